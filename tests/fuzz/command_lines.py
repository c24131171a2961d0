"""Command lines made of sound and wrong words, on sound and spoilt files."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np

from nb201env import Architecture, cli
from nb201env.agents.searches import asking
from nb201env.agents.searches.runner import Search
from nb201env.container import write
from tests.fuzz.errors import Undocumented
from tests.fuzz.mutations import WRONG, pick
from tests.test_table import small_columns, small_manifest

PATTERNS = [
    "table list --json",
    "table info TABLE",
    "table verify TABLE",
    "table query TABLE ARCH --split SPLIT --epochs N --run N",
    "table best TABLE --split SPLIT --epochs N --top N --max-params X",
    "table best TABLE --split SPLIT --epochs N --max MAP --min MAP",
    "table add-columns FILE --table TABLE --name WORD --key WORD --column MAP --unit-of MAP",
    "table compare TABLE TABLE --split SPLIT --epochs N",
    "table export TABLE --out NEW",
    "table front TABLE --objective WANT --objective WANT --json",
    "table front TABLE --objective WANT --objective WANT --run SEEDS --per WORD",
    "table import FILE --out DIR --jobs 1",
    "table import-devices FILE --table TABLE --name WORD",
    "table import-rows FILE --name WORD --key WORD --column MAP --dataset WORD --epochs N --unit UNIT",
    "table plot TABLE --split SPLIT --out new.svg --kind WORD",
    "table explore TABLE TABLE --out new.html --json",
    "search --agent AGENT --env ENV --budget B --seeds SEEDS --out DIR --env-kwargs JSON --agent-kwargs JSON",
    "bench --agent AGENT --env ENV --budget B --seeds SEEDS --out DIR --env-kwargs JSON",
    "ask STATE --budget B --env ENV --seed SEEDS --env-kwargs JSON --name WORD --json",
    "ask STATE",
    "tell STATE ARCH ARCH --json",
    "tell STATE ARCH --epochs N",
    "tell STATE --stop",
    "replay FILE",
    "replay DIR",
    "report DIR --out NEW --no-figures",
    "report DIR --out NEW --replay --no-figures",
    "trajectories to-minari DIR --out SET --env ENV --actions WAY",
    "trajectories to-minari DIR DIR --out SET --partial --replace --json",
    "trajectories datasets --out SET --env ENV --episodes FEW --seed N",
    "surrogate predict FILE ARCH",
    "surrogate predict FILE ARCH ARCH --json",
    "surrogate fit --csv FILE --key WORD --value WORD --unit UNIT --name WORD --folds 0 --out NEW",
    "surrogate table FILE --out NEW --name WORD --json",
    "proxies compare --table TABLE --split SPLIT --epochs N --file FILE",
    "merge DIR --out NEW",
    "latency ARCH --batch N --device WORD --repeats 1",
    "build --task WORD --recipe WORD --seeds SEEDS --out DIR --data FILE --limit-seconds 0",
]
"""Commands; a word in capitals stands for one of `WORDS`."""

WORDS: dict[str, list[str]] = {
    "TABLE": [
        "digits-10",
        "cifar10-valid-200",
        "nowhere",
        "",
        "../x",
        "[/foo]",
        "a.safetensors",
        "./t.safetensors",
        "/dev/zero",
        "\x1b[2J",
    ],
    "ARCH": [
        "6111",
        "official:6111",
        "index:4711",
        "index:-1",
        "index:15625",
        "official:٣",
        "x" * 3000,
        "",
        "2.5",
        "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
        "True",
    ],
    "SPLIT": ["train", "valid", "test", "x", ""],
    "N": ["0", "1", "10", "12", "200", "-1", "1.5", "nan", "9" * 30, "٣", "1_0", "mean", "777", ""],
    "X": ["0.5", "nan", "-1", "inf", "1e400", ""],
    "B": ["5", "100s", "0", "-3", "infs", "nans", "1e400s", "1_0", "٣", "1234.5s", ""],
    "SEEDS": ["0", "0-2", "0,0", "3-1", "-1", "0-1000000000000", "9" * 30, "²", ""],
    "AGENT": [
        "random_search",
        "regularized_evolution",
        "random_search,local_search",
        "x",
        "",
        "os:system",
        "a, b",
    ],
    "ENV": [
        "NB201-digits-v0",
        "NB201-digits-mo-v0",
        "NB201-mo-v0",
        "NB201-v0",
        "CartPole-v1",
        "x",
        "",
        "NB201-digits-v0,NB201-cifar10-v0",
    ],
    "JSON": [
        "{}",
        '{"run": "mean"}',
        '{"rewrad": 1}',
        "{",
        "[]",
        "null",
        "[" * 5000,
        '{"table": 5}',
        '{"x": NaN}',
        '{"budget_queries": 7}',
        '{"max_episode_steps": 1}',
        '{"run": 777}',
        '{"epochs": 4}',
        '{"objectives": ["accuracy", "macs"]}',
        '{"objectives": [{"name": "params", "scale": 0}, 7]}',
        '{"limit": {"on": "params", "max": 0.5}}',
        '{"actions": "edit", "max_edits": null}',
    ],
    "SET": ["./sets/a-v0", "./sets", "a", "a/b", "a/b-v0", "..", "", "/dev/null", "x\n", "./r.csv/x-v0"],
    "FEW": ["0", "99", "-1", "x", "9999999", "9" * 30, ""],
    "WAY": ["build", "pick", "edit", ""],
    "UNIT": ["percent", "fraction", "x"],
    "WORD": ["arch", "mine", "valid", "digits-10", "a/b", "..", "", "x\n", "digits", "cpu", "gpu", "cifar10"],
    "WANT": [
        "accuracy",
        "params",
        "params:max",
        "synflow",
        "latency_seconds:min",
        "macs:",
        ":",
        "x:up",
        "\x1b[2J",
    ],
    "MAP": [
        "valid=valid_accuracy@12",
        "valid=valid_accuracy@12#7",
        "valid=row",
        "=",
        "x",
        "valid=valid_acc@1",
        "arch=",
        "latency_seconds=0.02",
        "params=nan",
        "valid=x_joules",
    ],
    "FILE": [
        "r.csv",
        "t.jsonl",
        "t.safetensors",
        "m.safetensors",
        "nowhere",
        ".",
        "/dev/null",
        "pipe",
        "empty",
        "x.pth",
        "000284.pickle.pbz2",
        "x.tar",
        "x.npz",
        "page.pth",
        "[/x]",
    ],
    "STATE": [
        "s.jsonl",
        "s.jsonl",
        "t.jsonl",
        "r.csv",
        "nowhere/x.jsonl",
        "nowhere.jsonl",
        ".",
        "pipe",
        "empty",
        "",
    ],
    "DIR": ["d", "runs", "r.csv", "nowhere/x", ""],
    "NEW": ["new", "new.csv", "new.parquet", "r.csv/x", ""],
}

HOMES = ("NB201_HOME", "MINARI_DATASETS_PATH")
"""Variables that say where commands keep things."""


def commands(folder: Path) -> Callable[[np.random.Generator], None]:
    """Command lines made of sound and wrong words, on sound and spoilt files."""
    _make_files(folder)

    def one(rng: np.random.Generator) -> None:
        words = [pick(rng, WORDS[word]) if word in WORDS else word for word in pick(rng, PATTERNS).split()]
        if rng.random() < 0.15:
            words.insert(int(rng.integers(1, len(words) + 1)), str(pick(rng, WRONG))[:200])
        if rng.random() < 0.1:
            del words[int(rng.integers(1, len(words)))]
        run_command(folder, words)

    return one


def run_command(folder: Path, words: list[str]) -> None:
    """Run a command in a folder; it ends with one line at most on stderr, and none that says "unexpected"."""
    out, err = io.StringIO(), io.StringIO()
    home, before = {name: str(folder / "home") for name in HOMES}, os.getcwd()
    shown = shlex.join(words)
    os.chdir(folder)
    try:
        with (
            mock.patch.object(sys, "argv", ["nb201", *words]), mock.patch.dict(os.environ, home),
            contextlib.redirect_stdout(out), contextlib.redirect_stderr(err),
        ):  # fmt: skip
            cli.main()
    except SystemExit as end:
        said = err.getvalue()
        if end.code not in (0, None, 1, 2):
            raise Undocumented(f"nb201 {shown}: exit code {end.code}: {said}") from None
        errors = [line for line in said.splitlines() if line.startswith("error:")]
        if "error: unexpected" in said or "Traceback" in said or (end.code == 2 and not errors):
            raise Undocumented(f"nb201 {shown}: exit code {end.code}: {said or out.getvalue()}") from None
    except Exception as error:
        raise Undocumented(f"nb201 {shown}: {type(error).__name__}: {error}") from error
    finally:
        os.chdir(before)


def _make_files(folder: Path) -> None:
    for name in ("d", "runs", "home"):
        (folder / name).mkdir(exist_ok=True)
    write(folder / "t.safetensors", small_manifest(schema=1), small_columns())
    (folder / "r.csv").write_text(f"arch,valid\n{Architecture.from_index(3)},50\n")
    (folder / "page.pth").write_text("<!DOCTYPE html><html>quota</html>")
    for name in ("x.pth", "x.tar", "x.npz", "000284.pickle.pbz2", "m.safetensors"):
        (folder / name).write_bytes(bytes(range(256)) * 8)
    (folder / "empty").write_bytes(b"")
    if not (folder / "pipe").exists():
        os.mkfifo(folder / "pipe")
    search = Search("random_search", "NB201-digits-v0", 0, {"budget_queries": 3}, folder / "runs" / "e")
    (folder / "t.jsonl").write_bytes(search.run().read_bytes())
    asking.begin(folder / "s.jsonl", "NB201-digits-v0", {"budget_queries": 20})
