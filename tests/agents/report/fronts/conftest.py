"""Searches with several objectives, run once."""

from __future__ import annotations

from pathlib import Path

import pytest

from nb201env.agents.report.data import load
from nb201env.agents.report.summary import Summary, summarise
from nb201env.agents.searches.plan import plan
from nb201env.agents.searches.runner import run_all
from tests.agents.report.fronts.agents import AGENTS, ENV, OTHER_ENV


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two agents on accuracy and parameters of two data sets, six searches of 60 queries each."""
    path = tmp_path_factory.mktemp("fronts")
    assert run_all(plan(AGENTS, [ENV, OTHER_ENV], range(6), {"budget_queries": 60}, path), 1, _silent) == []
    return path


@pytest.fixture(scope="session")
def summary(folder: Path) -> Summary:
    """Their numbers."""
    return summarise(load([folder], check=True))


def _silent(*_: object) -> None:
    pass
