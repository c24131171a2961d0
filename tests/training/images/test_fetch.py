"""Downloads: the right file whole, or one sentence and nothing, whatever the server does."""

from __future__ import annotations

import hashlib
import io
import socket
import tarfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from nb201env.files import AtWork, alone
from nb201env.training.images import fetch as fetch_module
from nb201env.training.images import originals
from nb201env.training.images.fetch import DamagedData, Patience, fetch
from nb201env.training.images.originals import Download, download
from nb201env.training.images.tasks import load_task
from tests.training.images.test_data import cifar10, made_up  # noqa: F401

CONTENT = b"twenty-six bytes of a file"
MD5 = hashlib.md5(CONTENT).hexdigest()
HURRY = Patience(stall=0.3, start=0.6, rate=1e9)
OK = b"HTTP/1.1 200 OK\r\n"
Behave = Callable[[socket.socket], None]


def says(*parts: bytes) -> Behave:
    return lambda connection: connection.sendall(b"".join(parts))


def repeats(head: bytes, piece: bytes, pause: float = 0) -> Behave:
    """Without end, or until the other side has gone."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(head)
        with suppress(OSError):
            for _ in range(100_000):
                connection.sendall(piece)
                time.sleep(pause)

    return behave


def length(count: object) -> bytes:
    return f"Content-Length: {count}\r\n\r\n".encode()


def redirects(to: str) -> Behave:
    return says(f"HTTP/1.1 302 Found\r\nLocation: {to}\r\n\r\n".encode())


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GOOD: dict[str, Behave] = {
    "plain": says(OK, length(len(CONTENT)), CONTENT),
    "without a length": says(OK, b"\r\n", CONTENT),
    "in pieces": says(CHUNKED, b"14\r\n", CONTENT[:20], b"\r\n6\r\n", CONTENT[20:], b"\r\n0\r\n\r\n"),
}
SLOW: dict[str, Behave] = {
    "silent": lambda connection: time.sleep(2),
    "silent within the body": repeats(OK + length(26), b"", 2),
    "a byte at a time": repeats(OK + length(26), b"x", 0.2),
    "a byte of the head at a time": repeats(OK, b"x", 0.2),
    "heads without end": repeats(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.01),
}
BROKEN: dict[str, Behave] = {
    "nothing": says(b""),
    "hangs up": says(OK, length(26), b"twenty"),
    "hangs up in a piece": says(CHUNKED, b"1a\r\ntwenty"),
    "hangs up between pieces": says(CHUNKED, b"6\r\ntwenty\r\n"),
    "no status": says(b"hello\r\n\r\n"),
    "another protocol": says(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "status too large": says(b"HTTP/1.1 99999 OK\r\n\r\n"),
    "a status line too long": says(b"HTTP/1.1 200 " + b"x" * 70_000),
    "a header too long": says(OK, b"x: " + b"y" * 70_000),
    "headers too many": says(OK, b"x: y\r\n" * 200, b"\r\n"),
    "a piece of another size": says(CHUNKED, b"xyz\r\n"),
    "a piece too large": says(CHUNKED, b"f" * 40, b"\r\n", b"x" * 1000),
    "a piece's size too long": says(CHUNKED, b"1" * 70_000),
    "not found": says(b"HTTP/1.1 404 Not Found\r\n\r\n"),
    "an error with escapes": says(b"HTTP/1.1 500 \x1b[31mred\x1b[0m\r\n\r\n"),
    "wants a password": says(b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\n\r\n"),
    "announces too much": says(OK, length(99999999999999)),
    "announces far too much": says(OK, length("9" * 400)),
    "sends without end": repeats(OK + b"\r\n", b"x" * 65536),
    "sends pieces without end": repeats(CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    "redirects to a file": redirects("file:///etc/passwd"),
    "redirects to FTP": redirects("ftp://127.0.0.1/file"),
    "redirects to data": redirects("data:,twenty-six"),
    "redirects to itself": redirects("/"),
    "redirects nowhere": redirects("http://"),
    "redirects to nonsense": redirects("http://[::1"),
}
OTHER: dict[str, Behave] = {
    "another file": says(OK, length(26), CONTENT[::-1]),
    "less": says(OK, b"\r\n", CONTENT[:-1]),
    "hangs up in the head": says(b"HTTP/1.1 200 OK\r\nConte"),
    "nothing at all": says(OK, length(0)),
    "an announcement below zero": says(OK, length(-5), b"x"),
}


@pytest.fixture
def serve() -> Iterator[Callable[[Behave], str]]:
    """Starts servers that behave as they are told, one connection after the other."""
    listeners: list[socket.socket] = []

    def start(behave: Behave) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def answer() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        connection.recv(65536)
                        behave(connection)

        threading.Thread(target=answer, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    yield start
    for listener in listeners:
        listener.close()


def get(address: str, path: Path) -> None:
    fetch(address, path, MD5, 1000, HURRY)


@pytest.mark.parametrize("behave", GOOD.values(), ids=GOOD)
def test_the_file_comes(behave: Behave, serve: Callable[[Behave], str], tmp_path: Path) -> None:
    get(serve(behave), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("behave", (SLOW | BROKEN | OTHER).values(), ids=SLOW | BROKEN | OTHER)
def test_misbehaviour_is_one_sentence_and_nothing_stays(
    behave: Behave, serve: Callable[[Behave], str], tmp_path: Path
) -> None:
    start = time.monotonic()
    with pytest.raises((OSError, DamagedData)) as error:
        get(serve(behave), tmp_path / "file")
    assert time.monotonic() - start < 20
    assert isinstance(error.value, DamagedData) == (behave in OTHER.values())
    assert str(error.value).isprintable()
    assert "127.0.0.1" in str(error.value)
    assert not list(tmp_path.iterdir())


def test_only_as_much_is_held_as_comes_at_once(serve: Callable[[Behave], str], tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(OSError, match="more than the 50,000,000 bytes"):
            fetch(serve(BROKEN["sends without end"]), tmp_path / "file", MD5, 50_000_000)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_redirections_are_followed_within_the_web(serve: Callable[[Behave], str], tmp_path: Path) -> None:
    get(serve(redirects(serve(GOOD["plain"]))), tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_what_comes_with_a_redirection_is_not_read(serve: Callable[[Behave], str], tmp_path: Path) -> None:
    endless = f"HTTP/1.1 302 Found\r\nLocation: {serve(GOOD['plain'])}\r\n\r\n".encode()
    get(serve(repeats(endless, b"x" * 65536)), tmp_path / "file")


def test_from_https_nothing_leads_back_to_http() -> None:
    with pytest.raises(OSError, match="redirects to http://127.0.0.1/x, which is not https"):
        fetch_module._Redirect("https").redirect_request(
            None, io.BytesIO(), 302, "", {}, newurl="http://127.0.0.1/x"
        )


@pytest.mark.parametrize("address", ["file:///etc/hosts", "ftp://127.0.0.1/x", "data:,x", "nonsense"])
def test_what_is_no_address_of_the_web(address: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot be reached"):
        get(address, tmp_path / "file")


def test_a_file_that_is_there_stays_until_the_new_one_is_whole(
    serve: Callable[[Behave], str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(DamagedData):
        get(serve(OTHER["less"]), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "old"


# -- archives --------------------------------------------------------------------------------


def packed(members: dict[str, Any], mode: str = "w:gz") -> bytes:
    """An archive of these members: content by name, or a TarInfo that is no plain file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, held in members.items():
            about = tarfile.TarInfo(name) if isinstance(held, bytes) else held
            about.size = len(held) if isinstance(held, bytes) else about.size
            archive.addfile(about, io.BytesIO(held) if isinstance(held, bytes) else None)
    return buffer.getvalue()


@pytest.fixture
def offer(serve: Callable[[Behave], str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Offers a content as CIFAR-10's archive, under its own md5 or another."""

    def start(content: bytes, md5: str | None = None) -> None:
        address = serve(says(OK, length(len(content)), content))
        known = Download(
            address, md5 or hashlib.md5(content).hexdigest(), "cifar-10-batches-py", len(content)
        )
        monkeypatch.setattr(originals, "DOWNLOADS", {"cifar10": known})

    return start


def test_download(offer: Callable[..., None], cifar10: Path, tmp_path: Path) -> None:  # noqa: F811
    files = (cifar10 / "cifar-10-batches-py").iterdir()
    offer(packed({f"cifar-10-batches-py/{file.name}": file.read_bytes() for file in files}))
    found = download("cifar10", tmp_path / "new")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["cifar-10-batches-py"]
    assert load_task("cifar10", found).digest == load_task("cifar10", cifar10).digest
    offer(b"", "another")
    assert download("cifar10", tmp_path / "new") == found  # it is there already


def special(kind: bytes, target: str = "") -> tarfile.TarInfo:
    about = tarfile.TarInfo("cifar-10-batches-py/x")
    about.type, about.linkname = kind, target
    return about


def too_large() -> bytes:
    about = tarfile.TarInfo("cifar-10-batches-py/x")
    about.size = 2_000_000_000
    return about.tobuf()


HOSTILE: dict[str, bytes] = {
    "nothing": b"",
    "no archive": b"hello",
    "cut short": packed({})[:20],
    "its end lost": packed({"cifar-10-batches-py/x": b"x" * 10_000})[:-30],
    "another folder": packed({"elsewhere/x": b""}),
    "a way out": packed({"../x": b""}),
    "a way in and out": packed({"cifar-10-batches-py/../../x": b""}),
    "a link to a file": packed({"x": special(tarfile.SYMTYPE, "/etc/passwd")}),
    "a link out": packed({"x": special(tarfile.SYMTYPE, "../../x")}),
    "a hard link": packed({"x": special(tarfile.LNKTYPE, "/etc/passwd")}),
    "a pipe": packed({"x": special(tarfile.FIFOTYPE)}),
    "a device": packed({"x": special(tarfile.CHRTYPE)}),
    "too large": too_large(),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_archive_leaves_nothing(content: bytes, offer: Callable[..., None], tmp_path: Path) -> None:
    offer(content)
    with pytest.raises(DamagedData, match="cannot be unpacked"):
        download("cifar10", tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_a_broken_download_leaves_nothing(offer: Callable[..., None], tmp_path: Path) -> None:
    offer(b"x", MD5)
    with pytest.raises(DamagedData, match=r"md5 .* instead of .*nothing was written"):
        download("cifar10", tmp_path / "new")
    with pytest.raises(ValueError, match="ImageNet16-120 cannot be downloaded"):
        download("ImageNet16-120", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_a_killed_download_left_is_in_nobodys_way(offer: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / ".cifar-10-batches-py.partial" / "cifar-10-batches-py").mkdir(parents=True)
    offer(packed({"cifar-10-batches-py/x": b"new"}))
    assert (download("cifar10", tmp_path) / "x").read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["cifar-10-batches-py"]


def test_two_downloads_into_one_folder(offer: Callable[..., None], tmp_path: Path) -> None:
    offer(packed({"cifar-10-batches-py/x": b""}))
    with (
        alone(tmp_path / ".cifar-10-batches-py.lock", "here"),
        pytest.raises(AtWork, match="wait for its end"),
    ):
        download("cifar10", tmp_path)


def test_the_archives_are_known() -> None:
    for what in originals.DOWNLOADS.values():
        assert what.url.startswith("https://")
        assert len(what.md5) == 32
        assert 100_000_000 < what.bytes < 200_000_000
