"""Small files that stand for much: refused in little memory and little time, in every layout."""

from __future__ import annotations

import bz2
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from nb201env.sources import hw, records
from nb201env.sources.errors import SourceError
from nb201env.sources.importer import import_official
from nb201env.sources.nats import tar_items
from nb201env.sources.opening import SLACK, Careful, open_source
from nb201env.sources.parquet import LARGEST
from nb201env.sources.pickles import unpickle
from nb201env.sources.pickles.streams import KEEP, Stream
from nb201env.sources.pickles.unpickle import Unpickler, loads
from nb201env.sources.pth import read_pth
from nb201env.sources.rows import import_rows
from tests.official_data import write_folder
from tests.sources.test_hostile import DTYPE, ORDERED, PROTO, legacy_header, named, text

MEGABYTES = 600
"""What a process that reads one of these files may take beyond what Python and its libraries take."""
SECONDS = 60
APART = f"""
import resource, sys
from pathlib import Path
from nb201env.sources.errors import SourceError
from nb201env.sources.importer import import_official
from nb201env.sources.rows import import_rows
source = Path(sys.argv[1])
if source.suffix == ".parquet":
    import pyarrow.parquet
used = next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmSize")) << 10
resource.setrlimit(resource.RLIMIT_AS, (used + ({MEGABYTES} << 20),) * 2)
try:
    if source.suffix == ".parquet":
        import_rows(source, source.with_suffix(".safetensors"), key="arch", name="x",
                    columns={{"acc": "valid_accuracy@200"}}, dataset="cifar10", epochs=200, percent=True,
                    index="official")
    else:
        import_official(source, source.parent / "out", workers=1)
except (SourceError, OSError) as error:
    print(type(error).__name__, error)
"""


def refusal(source: Path) -> str:
    """What a process with little memory and time says of a file that it must refuse."""
    if not Path("/proc/self/status").exists():
        pytest.skip("needs /proc to know how much memory there is to spare")
    done = subprocess.run(
        [sys.executable, "-c", APART, source], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert source.name in done.stdout
    return done.stdout


def holes(path: Path, start: bytes, size: int, end: bytes = b"") -> Path:
    """A sparse file: some bytes, then nothing, up to a size."""
    with open(path, "wb") as file:
        file.write(start)
        file.truncate(size - len(end))
        file.seek(0, os.SEEK_END)
        file.write(end)
    if path.stat().st_blocks * 512 > size // 2:
        pytest.skip("the file system makes no holes")
    return path


# -- pickles -------------------------------------------------------------------------------------


def long_text(size: int) -> bytes:
    return b"X" + struct.pack("<I", size) + b"x" * size


def whole_number(value: int) -> bytes:
    size = (value.bit_length() + 8) // 8
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


SAME_HASH = [whole_number(k * (2**61 - 1) + 1) for k in range(60_000)]


def test_texts_are_counted_together(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "set", ()) / "000011.pickle.pbz2"
    some = os.urandom(500_000)  # so that the file is large enough to inflate
    squeeze = bz2.BZ2Compressor()
    pieces = [squeeze.compress(PROTO + b"](B" + struct.pack("<I", len(some)) + some)]
    pieces += [squeeze.compress(long_text(1 << 24)) for _ in range(6)]
    path.write_bytes(b"".join([*pieces, squeeze.flush()]))
    assert "texts and byte strings of more than" in refusal(path.parent)


def test_what_may_be_kept_grows_with_the_file() -> None:
    data = PROTO + b"](" + long_text(1 << 20) * 4 + b"e."
    assert len(loads(data, file="x")) == 4
    assert Stream("x", data, size=0).keep == SLACK
    assert Stream("x", size=1 << 20).keep == (KEEP << 20) + SLACK


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    "made",
    {
        "sets": named("builtins", "set") + b"\x94](" + b"K\x01" * 400_000 + b"e\x85\x94"
        + b"h\x00h\x01R0" * 9,
        "pairs": ORDERED + b"\x94](" + b"K\x01K\x01\x86" * 200_000 + b"e\x85\x94" + b"h\x00h\x01R0" * 9,
        "encodings": named("_codecs", "encode") + b"\x94X\0\0\0\x01" + b"x" * (1 << 24) + text("latin1")
        + b"\x86\x94" + b"h\x00h\x01R0" * 40,
    }.items(),
    ids=lambda made: made[0],
)  # fmt: skip
def test_what_a_call_makes_is_counted_each_time(made: tuple[str, bytes], fast: bool) -> None:
    data = PROTO + made[1].replace(b"R0", b"R") + b"."
    with pytest.raises(SourceError, match="more than"):
        Unpickler(Stream("x", data, size=0), fast=fast).load()


def test_a_numpy_type_has_a_short_state() -> None:
    kind = DTYPE + text("f8") + b"\x89\x88\x87R\x94"
    data = PROTO + kind + b"(" + b"N" * 300_000 + b"t\x94" + b"h\x00h\x01b0" * 200_000
    start = time.perf_counter()
    with pytest.raises(SourceError, match="little-endian"):
        loads(data.replace(b"b0", b"b"), file="x")
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize(
    ("what", "data"),
    [
        ("a dictionary", b"}(" + b"N".join([*SAME_HASH, b""]) + b"u."),
        ("items of a set", b"\x8f(" + b"".join(SAME_HASH) + b"\x90."),
        ("a set", named("builtins", "set") + b"](" + b"".join(SAME_HASH) + b"e\x85R."),
        ("an OrderedDict", ORDERED + b"](" + b"N\x86".join([*SAME_HASH, b""]) + b"e\x85R."),
        ("pairs of numbers", b"}(" + b"".join(b"K\x01K" + bytes([i]) + b"\x86N" for i in range(9)) + b"u."),
    ],
)  # fmt: skip
def test_keys_whose_hashes_can_be_chosen_are_refused(what: str, data: bytes, fast: bool) -> None:
    start = time.perf_counter()
    with pytest.raises(SourceError, match="dictionary key|a set of something"):
        Unpickler(Stream("x", PROTO + data), fast=fast).load()
    assert time.perf_counter() - start < 10


def test_keys_that_official_files_have_are_read() -> None:
    value = {("cifar10", 777): 1, "x-valid@3": 2, 199: 3, b"data": 4, 2**63: 5, -(2**63): 6}
    assert loads(pickle.dumps(value, protocol=4), file="x") == value
    assert loads(pickle.dumps({-5, 2**63, "x"}, protocol=4), file="x") == {-5, 2**63, "x"}


def test_what_stays_beside_the_architectures_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpickle, "WEIGH_AFTER", 1000)

    def done(values: dict[Any, Any]) -> bool:
        found = records.is_architecture(values)
        if found:
            values.clear()
        return found

    twelve = b"}" + text("12") + b"}" + text("all_results") + b"Nss"
    for left in (b"](" + b"]" * 4_000 + b"e", long_text(300_000)):
        data = PROTO + (left + twelve) * 4 + b"."
        with pytest.raises(SourceError, match="beside the architectures"):
            Unpickler(Stream("x", data), on_dict=done, most_items=10_000).load()
    with pytest.raises(SourceError, match="leaves more than one value"):
        Unpickler(Stream("x", PROTO + (b"]" + twelve) * 4 + b"."), on_dict=done, most_items=10_000).load()


# -- files of holes, pipes, devices, pages -------------------------------------------------------


SOURCES = ["x.pth", "x.pickle.pbz2", "x.tar", "x.pickle", "x.csv", "x.parquet", "set"]


def read_any(source: Path) -> None:
    """Read a file, or a folder of architectures, as the command for its kind does."""
    if source.suffix in (".csv", ".parquet"):
        import_rows(source, source.with_name("t"), key="arch", columns={"acc": "valid_accuracy@200"},
                    name="x", dataset="cifar10", epochs=200, percent=True, index="official")  # fmt: skip
    elif source.suffix == ".pickle":
        hw.read(source, "cifar10")
    else:
        import_official(source, source.with_name("out"), workers=1)


def place_of(source: Path) -> Path:
    """Where the file is put: a folder gets it as one architecture's."""
    return write_folder(source, ()) / "000011.pickle.pbz2" if source.name == "set" else source


@pytest.mark.parametrize("name", SOURCES)
def test_files_of_holes_are_refused(tmp_path: Path, name: str) -> None:
    starts = {"x.pth": legacy_header() + PROTO + b"](", "x.parquet": b"PAR1", "x.csv": b"arch,acc\n"}
    holes(place_of(tmp_path / name), starts.get(name, b"BZh9"), 64 << 20)
    with pytest.raises(SourceError, match="67108864 bytes, of which .* are holes"):
        read_any(tmp_path / name)


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.parametrize("name", [*SOURCES, "meta"])
def test_pipes_and_devices_are_refused_at_once(tmp_path: Path, name: str, kind: str) -> None:
    path = (
        write_folder(tmp_path / name, (0,)) / "meta.pickle.pbz2"
        if name == "meta"
        else place_of(tmp_path / name)
    )
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    start = time.perf_counter()
    with pytest.raises((OSError, SourceError), match="not a file .a folder, a pipe or a device") as caught:
        read_any(tmp_path / name)
    assert path.name in str(caught.value)
    assert time.perf_counter() - start < 10


PAGES = [
    b"<!DOCTYPE html><html><head><title>Quota exceeded</title>",
    b"\n  <HTML lang=en>",
    b"\xef\xbb\xbf<html>",
]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name", SOURCES)
def test_an_html_page_is_called_one(tmp_path: Path, name: str, page: bytes) -> None:
    path = place_of(tmp_path / name)
    path.write_bytes(page + b" " * 2000)
    with pytest.raises(SourceError, match="an HTML page, not the file: the download failed") as caught:
        read_any(tmp_path / name)
    assert caught.value.file == os.fspath(path)


# -- tars and zips -------------------------------------------------------------------------------


def header(kind: bytes, size: int, name: str = "././@LongLink") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK]
)
@pytest.mark.parametrize("size", [100 << 10, 100 << 20, 4 << 30])
def test_huge_headers_of_a_tar_are_not_read(tmp_path: Path, kind: bytes, size: int) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(header(kind, size))
    with open(path, "r+b") as file:
        file.truncate(min(size, 10 << 20))
    with pytest.raises(SourceError, match="larger than any real one"):
        tar_items(path)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_chained_headers_end_in_one_error(tmp_path: Path, kind: bytes) -> None:
    body = b"12 path=abc\n" if kind == tarfile.XHDTYPE else b"name\0"
    (tmp_path / "x.tar").write_bytes((header(kind, len(body)) + body.ljust(512, b"\0")) * 3000)
    with pytest.raises(SourceError, match=r"x\.tar: tar: not an uncompressed tar"):
        tar_items(tmp_path / "x.tar")


def test_global_headers_are_few(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT,
                      pax_headers={f"key{i}": "value" for i in range(2000)}) as tar:  # fmt: skip
        for index in range(20):
            tar.addfile(tarfile.TarInfo(f"{index:06d}.pickle.pbz2"))
    with pytest.raises(SourceError, match="global header"):
        tar_items(tmp_path / "x.tar")


def test_headers_have_a_limit_in_all(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(5000))
    with open_source(tmp_path / "x") as file:
        careful = Careful("x", file, at_once=1000, in_all=2500)
        assert [len(careful.read(1000)) for _ in range(2)] == [1000, 1000]
        with pytest.raises(SourceError, match="larger"):
            careful.read(1000)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_zips_that_torch_does_not_write_are_refused(tmp_path: Path, method: int) -> None:
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("x/data.pkl", pickle.dumps({"meta_archs": []}))
    whole = path.read_bytes()
    for at in (0, 40, 60):
        path.write_bytes(whole[:at] + b"\xff\xff" + whole[at + 2 :] if at else whole)
        with pytest.raises(SourceError, match=r"x\.pth: zip"):
            read_pth(path, lambda record: None)


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", PROTO + b"](" + b"\x8c\x01a" * 300_000)
    data = bytearray(path.read_bytes())
    at = data.rindex(b"PK\x01\x02")
    assert struct.unpack_from("<I", data, at + 20)[0] < 1 << 20
    struct.pack_into("<I", data, at + 20, (1 << 31) - 1)
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"x\.pth"):
        read_pth(path, lambda record: None)


# -- Parquet -------------------------------------------------------------------------------------


def parquet(path: Path, keys: list[str], repeat: int = 1, **settings: Any) -> Path:
    """A file of keys and accuracies, the keys repeated so many times without taking memory for each."""
    pyarrow = pytest.importorskip("pyarrow")
    pyarrow_parquet = pytest.importorskip("pyarrow.parquet")
    column = pyarrow.array(keys)
    if repeat > 1:
        column = pyarrow.DictionaryArray.from_arrays(pyarrow.array([*range(len(keys))] * repeat), column)
    table = pyarrow.table({"arch": column, "acc": [50.0] * len(column)})
    pyarrow_parquet.write_table(table, path, **settings)
    return path


@pytest.mark.parametrize(
    ("keys", "settings"),
    [
        (["x" * 1_000_000], {"compression": "zstd", "repeat": 15_625}),
        (["x" * 2_000], {"compression": "gzip", "repeat": 15_625}),
        ([str(i) + "x" * 100_000 for i in range(900)], {"compression": "zstd"}),
        ([str(i) + "x" * 100_000 for i in range(900)],
         {"compression": "brotli", "use_dictionary": False, "data_page_version": "2.0"}),
        ([f"{'x' * 100_000}{i}" for i in range(900)],
         {"use_dictionary": False, "column_encoding": {"arch": "DELTA_BYTE_ARRAY", "acc": "PLAIN"}}),
        ([f"{i}{'x' * 100_000}" for i in range(900)], {"compression": "zstd", "use_dictionary": False,
          "column_encoding": {"arch": "DELTA_LENGTH_BYTE_ARRAY", "acc": "PLAIN"}}),
        (["1"] * 40_000, {}),
    ],
    ids=["1 MB", "2 KB", "dictionary", "pages", "prefixes", "lengths", "rows"],
)  # fmt: skip
def test_parquet_keys_are_measured_before_they_are_read(
    tmp_path: Path, keys: list[str], settings: dict[str, Any]
) -> None:
    path = parquet(tmp_path / "x.parquet", keys, **settings)
    assert path.stat().st_size < 1 << 20
    said = refusal(path)
    assert any(word in said for word in ("a key of", "when unpacked", "DELTA_BYTE_ARRAY", "rows"))


def test_the_footer_is_not_believed(tmp_path: Path) -> None:
    """The pages say how large they are; a footer with other sizes changes nothing."""
    path = parquet(tmp_path / "x.parquet", ["y" * (LARGEST + 1), "1"], compression="zstd")
    assert "when unpacked" in refusal(path)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd", "gzip"])
def test_ordinary_parquet_files_pass(tmp_path: Path, compression: str, version: str) -> None:
    keys = [str(index) for index in range(15_625)]
    for dictionary in (True, False):
        path = parquet(tmp_path / "x.parquet", keys, compression=compression, data_page_version=version,
                       use_dictionary=dictionary, row_group_size=8_000)  # fmt: skip
        table = import_rows(path, tmp_path / "t", key="arch", columns={"acc": "valid_accuracy@200"}, name="x",
                            dataset="cifar10", epochs=200, percent=True, index="official")  # fmt: skip
        assert set(table.accuracy(split="valid", epochs=200, run="mean").tolist()) == {0.5}


def test_damaged_parquet_files_are_refused_or_harmless(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", [str(index) for index in range(500)])
    whole = path.read_bytes()
    refused = 0
    for change in range(0, 120):
        data = bytearray(whole)
        data[4 + change] ^= 1 << (change % 8)
        path.write_bytes(data)
        (tmp_path / "t").unlink(missing_ok=True)
        try:
            read_any(path)
        except SourceError as error:
            refused += 1
            assert error.file == os.fspath(path)
    assert refused > 40
