"""Shared test data: every registered id, and every way to act and observe."""

from __future__ import annotations

import bz2
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nb201env  # noqa: F401  (registers the ids)
from nb201env.envs.registration import NAMED, TABLES
from nb201env.tables import open_table
from tests import browser as browsers
from tests.epoch_table import write_epoch_table
from tests.official_data import official_folder, official_tables  # noqa: F401  (fixtures)

ROOT = Path(__file__).parent.parent
REFERENCE = Path(os.environ.get("NB201_REFERENCE", ROOT.parent / "shared" / "reference"))

IDS = sorted(TABLES)
WAYS: list[dict[str, Any]] = [
    {"actions": actions, "observations": observations}
    for actions in ("build", "pick", "edit")
    for observations in ("ops", "onehot")
]
LIMIT = {"on": "params", "max": 400_000, "how": "hard"}
VARIANTS: list[dict[str, Any]] = [
    *WAYS,
    {"run": "mean", "reward": "log_error"},
    {"run": 777, "actions": "pick", "reward": "rank"},
    {"reward": "regret", "actions": "edit"},
    {"limit": LIMIT},
    {"limit": {"on": "macs", "max": 5e7, "how": "weighted", "exponent": -0.07}, "actions": "edit"},
    {"limit": {"on": "latency_seconds", "max": 0.01, "how": "weighted"}},
    {"budget_queries": 4},
    {"budget_queries": 7, "actions": "edit", "max_edits": 3},
    {"budget_seconds": 9000.0, "actions": "pick"},
    {"budget_seconds": 9000.0, "actions": "pick", "overshoot": "drop", "costs": ["params"]},
    {"budget_seconds": 9000.0, "actions": "edit", "overshoot": "drop", "max_edits": 4},
    {"budget_seconds": 100.0, "actions": "edit", "overshoot": "drop"},
    {"repeats": "free", "actions": "edit", "costs": ["macs", "params"]},
    {"repeats": "free", "budget_queries": 5, "observations": "onehot"},
]


def label(kwargs: dict[str, Any]) -> str:
    """A short test id."""
    return "-".join(str(v["on"]) if isinstance(v, dict) else str(v) for v in kwargs.values()) or "default"


@pytest.fixture(params=VARIANTS, ids=label)
def variant(request: pytest.FixtureRequest, env_id: str) -> dict[str, Any]:
    chosen = dict(request.param)
    cost = chosen.get("limit", {}).get("on")
    if cost == "latency_seconds" and cost not in open_table(TABLES[env_id]).columns:
        pytest.skip("this table records no latency")
    return chosen


@pytest.fixture(params=WAYS, ids=label)
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(request.param)


@pytest.fixture(params=IDS)
def env_id(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=sorted(NAMED))
def every_id(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def epoch_table(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of a table with learning curves of 12 epochs."""
    return str(write_epoch_table(tmp_path_factory.mktemp("tables") / "curves.safetensors").container.path)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium from the system (or CHROMIUM), driven by playwright."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright, of the extra dev")
    program = browsers.program()
    if program is None:
        names = ", ".join(browsers.PROGRAMS)
        pytest.skip(f"needs a browser: none of {names} is installed, and CHROMIUM names none")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=browsers.ARGUMENTS)
        yield browser
        browser.close()


def reference(name: str) -> Path:
    """A file of real official numbers; the test is skipped where it is not there."""
    path = REFERENCE / name
    if not path.exists():
        pytest.skip(f"needs {name} in NB201_REFERENCE ({REFERENCE}), which is not there")
    return path


@pytest.fixture
def reference_sample() -> dict[int, Any]:
    """Real NATS-Bench records by official index."""
    folder = reference("nats-tss-sample")
    return {
        index: pickle.loads(bz2.decompress((folder / f"{index:06d}.pickle.pbz2").read_bytes()))
        for index in (0, 11, 284)
    }


@pytest.fixture
def reference_csv() -> np.ndarray[Any, Any]:
    """Official 12-epoch training seconds on CIFAR-10, in official order; float64 [15625]."""
    path = reference("nb201_cifar10.csv")
    seconds: np.ndarray[Any, Any] = np.genfromtxt(path, delimiter=",", skip_header=1, usecols=(5,))
    return seconds
