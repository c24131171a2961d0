"""Files that appear whole or not at all, locks, and files from strangers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nb201env.files import AtWork, alone, appearing, appearing_together, open_regular, read_limited


def test_it_is_there_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with appearing(path) as new:
        new.write_text("whole")
        assert not path.exists()
        assert (new.parent, new.name[0]) == (tmp_path, ".")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_it_takes_the_place_of_an_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with appearing(path) as new:
        new.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("kind", ["file", "folder", "nothing"])
def test_an_error_leaves_the_old_one_and_nothing_else(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def write() -> None:
        with appearing(path) as new:
            if kind == "folder":
                new.mkdir()
            if kind != "nothing":
                (new / "b" if kind == "folder" else new).write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_killed_in_the_middle_it_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    code = (
        "import os, signal, sys; from nb201env.files import appearing\n"
        "with appearing(sys.argv[1]) as new:\n"
        "    new.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert [file.name[0] for file in tmp_path.iterdir() if file != path] == ["."]


def test_a_whole_folder(tmp_path: Path) -> None:
    with appearing(tmp_path / "made") as new:
        new.mkdir()
        (new / "a.txt").write_text("whole")
    assert (tmp_path / "made" / "a.txt").read_text() == "whole"
    assert [folder.name for folder in tmp_path.iterdir()] == ["made"]


def test_nothing_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), appearing(tmp_path / "a.txt"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_file_has_the_rights_of_every_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with appearing(tmp_path / "appeared") as new:
        new.write_text("")
    assert (tmp_path / "appeared").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_two_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with appearing(path) as one, appearing(path) as two:
        one.write_text("one")
        two.write_text("two")
    assert path.read_text() == "one"  # whose block ended last
    assert list(tmp_path.iterdir()) == [path]


# -- one at a time ---------------------------------------------------------------------------


HOLD = """
import sys, time
from nb201env.files import alone
with alone(sys.argv[1], "importing"):
    print("in", flush=True)
    time.sleep(60)
"""


def test_two_are_not_in_one_block_and_the_second_is_told(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, lock], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        with pytest.raises(AtWork, match=r"another command is importing .*\.lock"), alone(lock, "importing"):
            pytest.fail("let in")
        other.kill()
        other.wait()
    with alone(lock, "importing"):  # the lock of a killed process does not stay
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_ends_with_its_block_also_by_an_error(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with pytest.raises(KeyError), alone(lock, "importing"):
        raise KeyError
    with alone(lock, "importing"), pytest.raises(AtWork), alone(lock, "importing"):
        pytest.fail("let in")


# -- files from strangers --------------------------------------------------------------------


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"1234")
    assert read_limited(path, 4) == b"1234"
    with pytest.raises(ValueError, match="more than 3 bytes"):
        read_limited(path, 3)
    with pytest.raises(FileNotFoundError):
        read_limited(tmp_path / "b", 3)


def test_pipes_devices_and_folders_are_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match="not a file"):
            open_regular(path)


# -- several files ---------------------------------------------------------------------------


def test_files_appear_together_those_that_tell_of_them_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "b").write_text("old")
    (tmp_path / "other").write_text("stays")
    order: list[str] = []
    replace = os.replace

    def noted(old: Path, new: Path) -> None:
        order.append(new.name)
        replace(old, new)

    monkeypatch.setattr(os, "replace", noted)
    with appearing_together(tmp_path, last=("a", "page")) as new:
        for name in ("page", "a", "b", "c"):
            (new / name).write_text("new")
        assert (tmp_path / "b").read_text() == "old"
    assert order == ["b", "c", "a", "page"]
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "a": "new", "b": "new", "c": "new", "page": "new", "other": "stays",
    }  # fmt: skip


def test_new_files_replace_those_of_a_kind(tmp_path: Path) -> None:
    for name in ("page-1.png", "page-2.png", "other-2.png", "page-2.png.txt"):
        (tmp_path / name).write_text("old")
    (tmp_path / "page-3.png").mkdir()
    with appearing_together(tmp_path, replacing=re.compile(r"page-\d\.png")) as new:
        (new / "page-1.png").write_text("new")
        assert (tmp_path / "page-2.png").exists()
    assert {path.name for path in tmp_path.iterdir()} == {
        "page-1.png", "other-2.png", "page-2.png.txt", "page-3.png",
    }  # fmt: skip
    assert (tmp_path / "page-1.png").read_text() == "new"


def test_an_error_leaves_all_old_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")

    def write() -> None:
        with appearing_together(tmp_path) as new:
            (new / "a").write_text("new")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
