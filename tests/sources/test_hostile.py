"""Files made to harm: refused, with nothing executed and in bounded memory."""

from __future__ import annotations

import bz2
import io
import os
import pickle
import resource
import struct
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nb201env.sources import nats, records
from nb201env.sources.errors import SourceError
from nb201env.sources.importer import import_official
from nb201env.sources.nats import Item, read_item
from nb201env.sources.pickles.streams import Stream, from_bz2
from nb201env.sources.pickles.types import IMAGES, WITH_WEIGHTS, Call, Global
from nb201env.sources.pickles.unpickle import Unpickler, loads
from nb201env.sources.pth import read_pth
from nb201env.space import SIZE
from tests.official_data import architecture_results, write_folder

MOST_MEMORY = 200 << 20


class Calls:
    """An object whose pickle calls a function."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = (function, args)

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def named(module: str, name: str) -> bytes:
    return text(module) + text(name) + b"\x93"


PROTO = b"\x80\x04"
ORDERED = named("collections", "OrderedDict")
DTYPE = named("numpy", "dtype")
SCALAR = named("numpy.core.multiarray", "scalar")
ARRAY = named("numpy.core.multiarray", "_reconstruct") + named("numpy", "ndarray") + b"K\0\x85C\x01b\x87R"


def dtype(code: str) -> bytes:
    return DTYPE + text(code) + b"\x89\x88\x87R"


def array_of(length: bytes) -> bytes:
    """A numpy array that says it has this many numbers, and has one."""
    return PROTO + ARRAY + b"(K\x01" + length + b"\x85" + dtype("f8") + b"\x89C\x08" + bytes(8) + b"tb."


def nested_keys() -> bytes:
    """A tuple whose hash takes 2**60 steps, as a dictionary key."""
    doubled = b"K\x01" + b"".join(b"\x94h" + bytes([i]) + b"\x86" for i in range(60))
    return PROTO + b"}" + doubled + b"Ns."


def laughs() -> bytes:
    """A list of lists of lists: 2**50 items if anyone counts."""
    doubled = b"".join(b"\x94](h" + bytes([i]) + b"h" + bytes([i]) + b"e" for i in range(50))
    return PROTO + b"](]K\x01a" + doubled + b"e."


def marker(path: Path) -> dict[str, bytes]:
    """Pickles that would leave a file behind if they were executed, or take the machine's memory."""
    touch = f"open({os.fspath(path)!r}, 'w')"
    nested = pickle.dumps(Calls(eval, touch))
    return {
        "os.system": pickle.dumps(Calls(os.system, f"touch {path}")),
        "os.system, protocol 0": pickle.dumps(Calls(os.system, f"touch {path}"), protocol=0),
        "os.system, protocol 2": pickle.dumps(Calls(os.system, f"touch {path}"), protocol=2),
        "eval": pickle.dumps(Calls(eval, touch)),
        "exec": pickle.dumps(Calls(exec, touch)),
        "getattr chain": pickle.dumps(Calls(getattr, Calls(__import__, "os"), "system")),
        "subprocess": PROTO + named("subprocess", "Popen") + text(f"touch {path}") + b"\x85\x81.",
        "reduce chain": PROTO + ORDERED + b"]" + named("builtins", "eval") + text(touch) + b"\x85R\x85R.",
        "call of a call": PROTO + ORDERED + b")R" + text(touch) + b"\x85R.",
        "call of a number type": PROTO + dtype("f8") + text(touch) + b"\x85R.",
        "map": PROTO + named("builtins", "map") + named("os", "system") + b"]\x86R.",
        "dotted name": PROTO + named("collections", "OrderedDict.__init__.__globals__") + b".",
        "dotted module": PROTO + named("collections.abc", "sys") + b".",
        "old instance": b"(S'touch'\nios\nsystem\n.",
        "old object": b"(cos\nsystem\nS'touch'\no.",
        "extension": PROTO + b"\x82\x01.",
        "persistent": PROTO + text("x") + b"Q.",
        "state of a name": PROTO + ORDERED + b"}" + text("__init__") + text("x") + b"sb.",
        "state of a list": PROTO + b"]}" + text("append") + text("x") + b"sb.",
        "object array": pickle.dumps(np.array([Calls(eval, touch)], dtype=object)),
        "object number": PROTO + SCALAR + dtype("O8") + b"C\x08" + bytes(8) + b"\x86R.",
        "record type": pickle.dumps(np.zeros(2, dtype=[("a", "f8")])),
        "big-endian": pickle.dumps(np.zeros(2, dtype=">f8")),
        "numpy.load": PROTO + named("numpy", "load") + text(os.fspath(path)) + b"\x85R.",
        "memmap": PROTO + named("numpy", "memmap") + text(os.fspath(path)) + b"\x85R.",
        "huge number type": PROTO + dtype("V2000000000") + b".",
        "huge array": array_of(b"\x8a\x06" + (10**12).to_bytes(6, "little")),
        "negative array": array_of(b"J\xff\xff\xff\xff"),
        "absurd memo": PROTO + b"Nr\xff\xff\xff\x7f.",
        "absurd memo, read": PROTO + b"j\xff\xff\xff\x7f.",
        "absurd text": PROTO + b"X\xff\xff\xff\xff" + b"x" * 100 + b".",
        "absurd bytes": PROTO + b"B\xff\xff\xff\xff" + b"x" * 100 + b".",
        "absurd bytes, 8": PROTO + b"\x8e" + b"\xff" * 7 + b"\x7f" + b"x" * 100 + b".",
        "absurd text, 8": PROTO + b"\x8d" + b"\xff" * 7 + b"\x7f" + b"x" * 100 + b".",
        "absurd bytearray": PROTO + b"\x96" + b"\xff" * 7 + b"\x7f" + b"x" * 100 + b".",
        "absurd text of Python 2": PROTO + b"T\xff\xff\xff\xff" + b"x" * 100 + b".",
        "absurd decimal": b"I" + b"9" * 4000 + b"\n.",
        "absurd memo in words": b"Np99999999999\n.",
        "line without end": b"V" + b"x" * 100,
        "array of too few bytes": PROTO + named("numpy.core.numeric", "_frombuffer") + b"(C\x08" + bytes(8)
        + dtype("f8") + b"K\x02\x85" + text("C") + b"tR.",
        "absurd integer": PROTO + b"\x8b\xff\xff\xff\x7f" + b"x" * 100 + b".",
        "long integer": PROTO + b"\x8a\xff" + b"\x7f" * 255 + b".",
        "slow hash": nested_keys(),
        "list as a key": PROTO + b"}]Ns.",
        "items without end": PROTO + b"]" + b"(" + b"N" * 1_200_000 + b"e.",
        "lists without end": PROTO + b"]" * 1_200_000 + b".",
        "marks without end": PROTO + b"(" * 1_200_000 + b".",
        "nothing on the stack": PROTO + b"0.",
        "append to nothing": PROTO + b"Na.",
        "two values": PROTO + b"NN.",
        "no end": PROTO + b"N",
        "empty": b"",
        "nested pickle": PROTO + named("pickle", "loads") + b"C" + bytes([len(nested)]) + nested + b"\x85R.",
    }  # fmt: skip


CASES = sorted(marker(Path("x")))


@pytest.fixture
def bounded() -> Iterator[None]:
    """Fails if the process's largest memory grows beyond a bound."""
    unit = 1 if sys.platform == "darwin" else 1024
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < MOST_MEMORY


def refuse(read: Callable[[], Any], path: Path) -> SourceError:
    with pytest.raises(SourceError) as caught:
        read()
    assert not path.exists()
    assert len(str(caught.value)) < 1000
    return caught.value


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("allowed", [WITH_WEIGHTS, IMAGES], ids=["results", "images"])
@pytest.mark.parametrize("case", CASES)
def test_hostile_pickles_are_refused(
    tmp_path: Path, case: str, allowed: dict[Global, Call | None], fast: bool, bounded: None
) -> None:
    canary = tmp_path / "canary"
    data = marker(canary)[case]
    error = refuse(lambda: Unpickler(Stream("evil", data), allowed=allowed, fast=fast).load(), canary)
    assert error.file == "evil"
    assert error.field.startswith("byte ")


@pytest.mark.parametrize("case", ["os.system", "eval", "object array", "reduce chain", "nested pickle"])
@pytest.mark.parametrize("layout", ["folder", "single", "pth", "zip", "devices"])
def test_hostile_files_are_refused_in_every_layout(tmp_path: Path, case: str, layout: str) -> None:
    from nb201env.sources import hw

    canary = tmp_path / "canary"
    data = marker(canary)[case]
    source = tmp_path / "source"
    if layout == "folder":
        source.mkdir()
        (source / "000011.pickle.pbz2").write_bytes(bz2.compress(data))
    elif layout == "single":
        source = tmp_path / "evil.pickle.pbz2"
        source.write_bytes(bz2.compress(data))
    elif layout == "pth":
        source = tmp_path / "evil.pth"
        source.write_bytes(legacy_header() + data)
    elif layout == "zip":
        source = tmp_path / "evil.pth"
        with zipfile.ZipFile(source, "w") as archive:
            archive.writestr("evil/data.pkl", data)
    else:
        source.write_bytes(data)
        refuse(lambda: hw.read(source, "cifar10"), canary)
        return
    error = refuse(lambda: import_official(source, tmp_path / "out", workers=1), canary)
    assert tmp_path.name in error.file
    assert not list((tmp_path / "out").glob("*.safetensors"))


def legacy_header() -> bytes:
    system = {
        "protocol_version": 1001,
        "little_endian": True,
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }
    return b"".join(pickle.dumps(value, protocol=2) for value in (0x1950A86A20F9469CFC6C, 1001, system))


def test_the_refusal_names_what_was_asked_for(tmp_path: Path) -> None:
    for case, name in {"os.system": "posix.system", "eval": "builtins.eval", "numpy.load": "numpy.load",
                       "subprocess": "subprocess.Popen"}.items():  # fmt: skip
        with pytest.raises(SourceError, match=f"refused: it names {name}"):
            loads(marker(tmp_path / "x")[case], file="evil")
    with pytest.raises(SourceError, match="opcode INST"):
        loads(b"(ios\nsystem\n.", file="evil")


def test_nested_weights_are_never_opened(tmp_path: Path) -> None:
    inner = pickle.dumps(Calls(os.system, f"touch {tmp_path / 'canary'}"))
    data = PROTO + named("torch.storage", "_load_from_bytes") + b"C" + bytes([len(inner)]) + inner + b"\x85R."
    value = Unpickler(Stream("full", data), allowed=WITH_WEIGHTS).load()
    assert type(value).__name__ == "Weights"
    assert not (tmp_path / "canary").exists()


def test_lists_within_lists_cost_nothing(bounded: None) -> None:
    value = loads(laughs(), file="evil")
    with pytest.raises(SourceError, match="expected a dictionary"):
        records.read(value, file="evil", official_index=11)


# -- bombs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("filler", [b"N", b"]", b"}", b"K\x01"])
def test_a_decompression_bomb_is_refused(tmp_path: Path, filler: bytes, bounded: None) -> None:
    path = tmp_path / "000011.pickle.pbz2"
    squeeze = bz2.BZ2Compressor()
    pieces = [squeeze.compress(PROTO + b"](")] + [squeeze.compress(filler * 1_000_000) for _ in range(16)]
    path.write_bytes(b"".join([*pieces, squeeze.flush()]))
    assert path.stat().st_size < 30_000
    error = refuse(
        lambda: read_item(Item(11, str(path), 0, path.stat().st_size, str(path))), tmp_path / "canary"
    )
    assert "no official file" in str(error) or "more than 1000000 values" in str(error)


def test_a_bomb_of_one_long_value_is_refused(tmp_path: Path, bounded: None) -> None:
    squeeze = bz2.BZ2Compressor()
    pieces = [squeeze.compress(PROTO + b"B" + struct.pack("<I", 1 << 27))]
    pieces += [squeeze.compress(bytes(1 << 20)) for _ in range(128)]
    data = b"".join([*pieces, squeeze.flush()])
    with pytest.raises(SourceError, match="no official file is so large"):
        Unpickler(from_bz2("bomb", data)).load()


def test_a_zip_bomb_is_refused(tmp_path: Path, bounded: None) -> None:
    path = tmp_path / "bomb.pth"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x/data.pkl", "w", force_zip64=True) as file,
    ):
        file.write(PROTO + b"](")
        for _ in range(64):
            file.write(b"\x8c\x01a" * 300_000)
    with pytest.raises(SourceError):
        read_pth(path, lambda record: None)


def test_an_archive_inside_is_not_opened(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("000011.pickle.pbz2"), io.BytesIO())
    folder = write_folder(tmp_path / "set", ())
    for data in (inner.getvalue(), bz2.compress(inner.getvalue()), bz2.compress(bz2.compress(b"x" * 999))):
        (folder / "000011.pickle.pbz2").write_bytes(data)
        with pytest.raises(SourceError, match="000011"):
            import_official(folder, tmp_path / "out", workers=1)


# -- tars ----------------------------------------------------------------------------------------


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return path


def member(name: str, size: int = 0, **changes: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    for key, value in changes.items():
        setattr(info, key, value)
    return info


@pytest.mark.parametrize(
    "info",
    [
        member("../000011.pickle.pbz2"),
        member("set/../../000011.pickle.pbz2"),
        member("/etc/000011.pickle.pbz2"),
        member("..\\000011.pickle.pbz2"),
        member("C:\\000011.pickle.pbz2"),
        member("000011.pickle.pbz2", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("000011.pickle.pbz2", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
        member("000011.pickle.pbz2", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
        member("000011.pickle.pbz2", type=tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name}-{info.type.decode()}",
)
def test_paths_that_lead_out_and_links_are_refused(tmp_path: Path, info: tarfile.TarInfo) -> None:
    with pytest.raises(SourceError, match="refused"):
        import_official(tar_of(tmp_path / "x.tar", (info, b"")), tmp_path / "out", workers=1)
    assert {path.name for path in tmp_path.iterdir()} <= {"x.tar", "out"}


def test_tars_that_lie_are_refused(tmp_path: Path) -> None:
    good = bz2.compress(pickle.dumps(architecture_results(11)))
    whole = tar_of(tmp_path / "x.tar", (member("s/000011.pickle.pbz2", len(good)), good)).read_bytes()
    for data in (whole[: 512 + len(good) // 2], whole[:700], b"\0" * 10240, whole[:300]):
        (tmp_path / "y.tar").write_bytes(data)
        with pytest.raises(SourceError, match=r"y\.tar"):
            import_official(tmp_path / "y.tar", tmp_path / "out", workers=1)
    twice = [(member(f"{folder}/000011.pickle.pbz2", len(good)), good) for folder in "ab"]
    with pytest.raises(SourceError, match="second file"):
        nats.tar_items(tar_of(tmp_path / "z.tar", *twice))
    with pytest.raises(SourceError, match="no architecture 15625"):
        nats.tar_items(tar_of(tmp_path / "z.tar", (member(f"{SIZE:06d}.pickle.pbz2"), b"")))
    (tmp_path / "packed.tar").write_bytes(bz2.compress(whole))
    with pytest.raises(SourceError, match="compress"):
        nats.tar_items(tmp_path / "packed.tar")
