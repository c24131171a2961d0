"""What is fuzzed: a sound input of each kind, spoilt, which its reader refuses with a documented error."""

from __future__ import annotations

import contextlib
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nb201env import Architecture, DamagedTable, NotRecorded, Table, trajectory
from nb201env.agents.searches.outcome import outcome
from nb201env.agents.searches.recorder import replay
from nb201env.agents.searches.runner import Search
from nb201env.classes import representatives
from nb201env.container import Container, write
from nb201env.proxies import read as read_proxies
from nb201env.sources.rows import import_rows
from nb201env.surrogate.storage import NotASurrogate, load
from nb201env.training.builds.plan import Folder
from nb201env.training.journal import BadJournal
from nb201env.training.network import Skeleton
from nb201env.training.proxies.compute import KIND, Setting
from nb201env.training.proxies.measure import SOURCES
from tests.fuzz.command_lines import commands
from tests.fuzz.errors import Undocumented
from tests.fuzz.mutations import WRONG, pick, spoilt_bytes, spoilt_json
from tests.fuzz.pickles import fuzz as fuzz_pickles
from tests.test_table import small_columns, small_manifest

ROOT = Path(__file__).parents[2]
Rng = np.random.Generator
Target = Callable[[Rng], None]
LONGEST = 1500
"""Characters of an error's message: one sentence, with a path and a name or two in it."""


@contextmanager
def refused_by(*documented: type[Exception]) -> Iterator[None]:
    """Let the block raise these errors, which must be whole sentences in one line, and no others."""
    try:
        yield
    except documented as error:
        plain = type(error) in (KeyError, IndexError, UnicodeDecodeError, json.JSONDecodeError)
        if plain or "\n" in str(error) or not 10 < len(str(error)) < LONGEST:
            raise Undocumented(f"{type(error).__name__}: {error}") from error


# -- tables ----------------------------------------------------------------------------------


def tables(folder: Path) -> Target:
    """Table files with spoilt bytes, and with manifests that lie although every hash is right."""
    path, sound = folder / "t.safetensors", folder / "sound.safetensors"
    columns = small_columns(7) | {"row": (np.arange(15_625) % 7).astype(np.uint16)}
    manifest = small_manifest(schema=1, kind="measured", citation=["x"], protocol="y")
    write(sound, manifest, columns)
    content = sound.read_bytes()

    def one(rng: Rng) -> None:
        if rng.random() < 0.3:
            path.write_bytes(spoilt_bytes(rng, content))
        else:
            with contextlib.suppress(ValueError):  # what JSON cannot hold is not written
                write(path, spoilt_json(rng, manifest), columns)
        with refused_by(DamagedTable, NotRecorded, OSError):
            ask(Table.open(path), rng)

    return one


def ask(table: Table, rng: Rng) -> None:
    """Questions that a table answers or refuses."""
    for column in table.columns:
        epochs = table.recorded_epochs(column)
        table.values(column, epochs=pick(rng, epochs) if epochs else None)
        table.record(int(rng.integers(15_625)), column)
    table.query(int(rng.integers(15_625)), split="valid", epochs=3, run=pick(rng, [7, 8, "mean"]))
    table.verify()


# -- trajectories ----------------------------------------------------------------------------


def trajectories(folder: Path) -> Target:
    """Trajectories with spoilt lines, read, judged and replayed."""
    search = Search("random_search", "NB201-digits-v0", 0, {"budget_queries": 5}, folder / "sound")
    lines = search.run().read_text().splitlines()
    path = folder / "t.jsonl"

    def one(rng: Rng) -> None:
        spoilt = list(lines)
        if rng.random() < 0.3:
            path.write_bytes(spoilt_bytes(rng, "\n".join([*lines, ""]).encode()))
        else:
            at = 0 if rng.random() < 0.6 else int(rng.integers(len(lines)))
            spoilt[at] = json.dumps(spoilt_json(rng, json.loads(lines[at])))
            path.write_text("\n".join(spoilt) + "\n")
        with refused_by(ValueError, TypeError, OSError, NotRecorded):
            read = trajectory.read(path)
            found = outcome(read)
            replay(read, found.landscape.table)

    return one


# -- surrogates ------------------------------------------------------------------------------


def surrogates(folder: Path) -> Target:
    """Surrogates with lying manifests and spoilt trees."""
    model = next((ROOT / "surrogate" / "models").glob("*.safetensors"))
    file, path = Container(model), folder / "m.safetensors"
    arrays = {name: file.array(name) for name in file.manifest["arrays"]}
    manifest = {key: value for key, value in file.manifest.items() if key != "arrays"}

    def one(rng: Rng) -> None:
        spoilt, said = dict(arrays), manifest
        if rng.random() < 0.5:
            name = pick(rng, sorted(arrays))
            spoilt[name] = _spoilt_array(rng, arrays[name])
        else:
            said = spoilt_json(rng, manifest)
        with contextlib.suppress(ValueError):
            write(path, said, spoilt)
        with refused_by(NotASurrogate, DamagedTable, OSError):
            load(path).predict([0, 15_624])

    return one


def _spoilt_array(rng: Rng, array: Any) -> Any:
    """Other bytes; those of a packed tree are spoilt where they are unpacked."""
    if array.dtype != np.uint8:
        content = array.copy()
        content.flat[int(rng.integers(content.size))] = pick(rng, [0, 1, np.iinfo(np.uint16).max])
        return content
    unpacked = spoilt_bytes(rng, zlib.decompress(array.tobytes()))
    return np.frombuffer(zlib.compress(unpacked, 1), dtype=np.uint8)


# -- proxies ---------------------------------------------------------------------------------


def proxies(folder: Path) -> Target:
    """Files of proxies with spoilt bytes, and with manifests and arrays that lie; journals likewise."""
    path, journal = folder / "p.safetensors", folder / "p.journal"
    classes = len(representatives())
    scores = np.zeros((2, classes), np.float32)
    manifest = {"format": "nb201-proxies", "version": 1, "sources": {"a": "x", "b": "y"},
                "computed": {"task": "digits"}, "licence": "MIT"}  # fmt: skip
    setting = Setting("digits", "0" * 64, 20, 2, "PyTorch", Skeleton())
    head = {"format": KIND.format, "version": 1, **asdict(setting), "began": "2026-11-29"}
    entries = [head, *([0, cls, dict.fromkeys(SOURCES, 0.5)] for cls in range(3))]

    def one(rng: Rng) -> None:
        shape = pick(rng, [scores.shape, scores.shape, (2, 7), (0, classes), (classes,)])
        arrays = {"a": scores, "b": np.full(shape, pick(rng, [0.0, np.nan, np.inf]), np.float32)}
        with contextlib.suppress(ValueError):
            write(path, spoilt_json(rng, manifest) if rng.random() < 0.7 else manifest, arrays)
        if rng.random() < 0.3:
            path.write_bytes(spoilt_bytes(rng, path.read_bytes()))
        with refused_by(DamagedTable, OSError):
            read_proxies(path).ranks()
        lines = [json.dumps(spoilt_json(rng, one) if rng.random() < 0.3 else one) for one in entries]
        journal.write_bytes(spoilt_bytes(rng, "\n".join([*lines, ""]).encode()))
        with refused_by(BadJournal):
            KIND.read(journal)

    return one


# -- rows, plans -----------------------------------------------------------------------------


def rows(folder: Path) -> Target:
    """CSV files of results with spoilt cells, lines and bytes."""
    path, table = folder / "r.csv", folder / "t.safetensors"
    names = [str(Architecture.from_index(index)) for index in range(0, 15_625, 800)]
    lines = ["arch,valid,seconds"] + [f"{name},{50 + n},{100 + n}" for n, name in enumerate(names)]
    columns = {"valid": "valid_accuracy@12#777", "seconds": "train_seconds@12#777"}

    def one(rng: Rng) -> None:
        content = "\n".join([*lines, ""]).encode()
        if rng.random() < 0.5:
            content = spoilt_bytes(rng, content)
        else:
            cells = [line.split(",") for line in lines]
            line, cell = int(rng.integers(len(cells))), int(rng.integers(3))
            cells[line][cell] = str(pick(rng, WRONG))
            content = "\n".join(",".join(row) for row in [*cells, [""]]).encode(errors="replace")
        path.write_bytes(content)
        with refused_by(ValueError, OSError):
            table.unlink(missing_ok=True)
            made = import_rows(path, table, key="arch", columns=columns, name="t", dataset="cifar10",
                               epochs=12, percent=True)  # fmt: skip
            # A cell without seconds is missing, which is no damage; all else would be.
            assert all("but no 'train_seconds'" in problem for problem in made.verify())

    return one


def plans(folder: Path) -> Target:
    """Builds whose plan.json is spoilt."""
    plan = json.loads((ROOT / "docs" / "data" / "official-12" / "plan.json").read_text())

    def one(rng: Rng) -> None:
        text = json.dumps(spoilt_json(rng, plan) if rng.random() < 0.7 else plan)
        content = text.encode() if rng.random() < 0.7 else spoilt_bytes(rng, text.encode())
        (folder / "plan.json").write_bytes(content)
        with refused_by(ValueError, OSError):
            Folder.open(folder).missing()

    return one


def pickles(folder: Path) -> Target:
    """Official files: damaged pickles, read on the fast and on the plain path."""
    return lambda rng: fuzz_pickles(100, seed=int(rng.integers(2**31)))


TARGETS: dict[str, Callable[[Path], Target]] = {
    "tables": tables, "trajectories": trajectories, "surrogates": surrogates, "rows": rows, "plans": plans,
    "pickles": pickles, "proxies": proxies, "commands": commands,
}  # fmt: skip
