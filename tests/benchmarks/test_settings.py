"""How the predictor's settings were chosen: spaces without their best, and data of today's agent."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from benchmarks.studies import settings
from benchmarks.studies.pages import read_data
from nb201env.agents.contract import Proposals
from nb201env.agents.predictor_evolution import PredictorEvolution
from nb201env.classes import canonical_classes

CHOSEN = "floor 1, exploration 2, proxies"
QUICK = {"proxies": "", "startup": 3}


@pytest.mark.parametrize("removed", [0, 1, 15])
def test_a_search_without_the_best_asks_for_none_of_them(
    removed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    proposals = PredictorEvolution.proposals

    def watched(self: PredictorEvolution, rng: np.random.Generator) -> Proposals:
        search = proposals(self, rng)
        architecture = next(search)
        while True:
            asked.append(int(canonical_classes()[architecture.index]))
            architecture = search.send((yield architecture))

    monkeypatch.setattr(PredictorEvolution, "proposals", watched)
    count = settings.measure(QUICK, removed, seed=0)
    assert count is not None
    *others, last = asked[-count:]
    order = settings.space().order.tolist()
    assert last == order[removed]
    assert not set(others) & set(order[: removed + 1])
    assert len(set(others)) == count - 1  # a class is asked once


def test_the_order_is_that_of_mean_accuracies() -> None:
    mean = np.nanmean(settings.space().runs, axis=1)[settings.space().order]
    assert (np.diff(mean) <= 0).all()
    assert mean[0] == pytest.approx(0.7349, abs=5e-5)  # NAS-Bench-201's best on CIFAR-100


def test_the_data_are_of_the_agent_as_it_is_now() -> None:
    found = read_data(settings.FILE)
    assert list(found) == list(settings.SETTINGS)
    for label, about in settings.SETTINGS.items():
        now = json.loads(json.dumps(asdict(PredictorEvolution(**about))))
        assert found[label]["hyperparameters"] == now
        counts = found[label]["queries"]
        assert [len(row) for row in counts] == [len(settings.SEEDS)] * len(settings.REMOVED)


def test_what_was_chosen_is_what_the_agent_has_and_needs_the_fewest_queries() -> None:
    assert settings.SETTINGS[CHOSEN] == {}
    mean = {label: np.mean(one["queries"]) for label, one in read_data(settings.FILE).items()}
    assert min(mean, key=mean.__getitem__) == CHOSEN
    assert f'"{CHOSEN}"' in settings.PAGE.read_text(encoding="utf-8")
