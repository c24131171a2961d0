"""Interrupted imports go on where they stopped; a full-size set is slow, and in bounds."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from nb201env import Table
from nb201env.sources import parts
from nb201env.sources.importer import import_official
from nb201env.space import SIZE
from tests.conftest import ROOT, reference
from tests.official_data import architecture_results, write_folder, write_pickle

MANY = 500
SCRIPT = """
import sys
from nb201env.sources.importer import import_official

def main():
    import_official(sys.argv[1], sys.argv[2], workers=2, progress=lambda done, total: print(done, flush=True))

if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 500 architectures: their first schedule only, to be quick."""
    folder = write_folder(tmp_path_factory.mktemp("many") / "set", ())
    for index in range(MANY):
        write_pickle(folder / f"{index:06d}.pickle.pbz2", architecture_results(index, (12,)))
    return folder


def start(tmp_path: Path, source: Path, text: str = SCRIPT) -> subprocess.Popen[str]:
    script = tmp_path / "run.py"
    script.write_text(text)
    command = [sys.executable, str(script), str(source), str(tmp_path / "out")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=ROOT)


def test_an_import_that_was_killed_goes_on(tmp_path: Path, many: Path) -> None:
    process = start(tmp_path, many)
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert next(lines) == "0\n"
    next(lines)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    (work,) = (tmp_path / "out").glob(".import-*")
    kept = {path.name: path.stat().st_mtime_ns for path in parts.part_paths(work) if parts.is_done(path)}
    assert 1 <= len(kept) < MANY / parts.PART_SIZE
    assert not list((tmp_path / "out").glob("*.safetensors"))

    seen: list[int] = []
    names: set[str] = set()

    def progress(done: int, total: int) -> None:
        seen.append(done)
        names.update(p.name for p in parts.part_paths(work) if kept.get(p.name) == p.stat().st_mtime_ns)

    tables = import_official(many, tmp_path / "out", workers=1, progress=progress)
    assert names == set(kept), "finished parts are not made again"
    assert seen[0] == len(kept) * parts.PART_SIZE
    fresh = import_official(many, tmp_path / "fresh", workers=1)
    assert [table.id for table in tables] == [table.id for table in fresh]
    assert not work.exists()


EXPORT = """
import sys
from pathlib import Path
from nb201env import Table
from nb201env.sources.export import to_nats

def main():
    tables = [Table.open(path) for path in Path(sys.argv[1]).glob("*.safetensors")]
    print(0, flush=True)
    to_nats(tables, sys.argv[2], workers=2, progress=lambda done, total: print(done, flush=True))

if __name__ == "__main__":
    main()
"""


def processes_of(parent: int) -> list[int]:
    children = Path(f"/proc/{parent}/task/{parent}/children")
    return [int(word) for word in children.read_text().split()] if children.exists() else []


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to see the workers")
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("what", ["import", "export"])
def test_the_workers_of_a_killed_command_end_with_it(
    tmp_path: Path, many: Path, official_tables: dict[str, Table], what: str, sign: signal.Signals
) -> None:
    source = many if what == "import" else next(iter(official_tables.values())).container.path.parent
    process = start(tmp_path, source, SCRIPT if what == "import" else EXPORT)
    assert process.stdout is not None
    assert process.stdout.readline() == "0\n"
    workers: list[int] = []
    for _ in range(600):
        workers = processes_of(process.pid)
        if len(workers) >= 3:  # two, and the one that looks after what they share
            break
        time.sleep(0.05)
    assert len(workers) >= 3
    os.kill(process.pid, sign)
    process.wait()
    process.stdout.close()
    for _ in range(400):
        if not any(map(is_alive, workers)):
            return
        time.sleep(0.05)
    pytest.fail("its workers are still there")


def test_a_damaged_part_is_made_again(tmp_path: Path, many: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bytes] = []

    def spoil(done: int, total: int) -> None:
        if done == 2 * parts.PART_SIZE:
            (work,) = (tmp_path / "out").glob(".import-*")
            path = parts.part_paths(work)[0]
            data = bytearray(path.read_bytes())
            data[-3] ^= 1
            path.write_bytes(data)
            kept.append(bytes(data))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_official(many, tmp_path / "out", workers=1, progress=spoil)
    assert kept
    tables = import_official(many, tmp_path / "out", workers=1)
    assert all(table.verify() == [] for table in tables)
    assert [t.id for t in tables] == [t.id for t in import_official(many, tmp_path / "fresh", workers=1)]


@pytest.mark.slow
def test_a_full_size_set_in_bounds(tmp_path: Path) -> None:
    """15,625 files: memory, and that every architecture arrived; benchmarks/speed/importing.py times it.

    NB201_FULL_SIZE_SET names a folder with the set, if it was made before.
    """
    sample = reference("nats-tss-sample")
    source = Path(os.environ.get("NB201_FULL_SIZE_SET", tmp_path / "full"))
    maker = "benchmarks.speed.full_size_set"
    subprocess.run([sys.executable, "-m", maker, sample, source], check=True, cwd=ROOT)
    process = start(tmp_path, source)
    assert process.stdout is not None
    assert process.stdout.read().split()[-1] == str(SIZE)
    assert process.wait() == 0
    process.stdout.close()
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) < 1.5e9
    tables = [Table.open(path) for path in sorted((tmp_path / "out").glob("*.safetensors"))]
    assert len(tables) == 8
    for table in tables:
        accuracy = table.accuracy(split="test", epochs=table.epochs, run="mean")
        assert not np.isnan(accuracy).any()
    shutil.rmtree(tmp_path)
