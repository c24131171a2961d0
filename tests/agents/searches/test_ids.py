"""Searches are recorded, and replayed, under every id that is registered."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import pytest

from nb201env.agents.random_search import RandomSearch
from nb201env.agents.searches.recorder import ENV_IDS, record, replay
from nb201env.envs.registration import OWN, OWN_MULTI
from nb201env.trajectory import read


def test_every_registered_id_is_one_that_trajectories_may_name() -> None:
    assert sorted(env_id for env_id in gym.registry if env_id.startswith("NB201-")) == sorted(ENV_IDS)


@pytest.mark.parametrize("env_id", [env_id for env_id in ENV_IDS if env_id not in (OWN, OWN_MULTI)])
def test_a_search_is_recorded_under_its_id_and_replays(env_id: str, tmp_path: Path) -> None:
    record(RandomSearch(), gym.make(env_id, budget_queries=5), 0, tmp_path / "t.jsonl")
    trajectory = read(tmp_path / "t.jsonl")
    assert trajectory.header["env"]["id"] == env_id
    assert replay(trajectory) == []


@pytest.mark.parametrize("env_id", [OWN, OWN_MULTI])
def test_the_ids_for_any_table_need_one(env_id: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{env_id} is for tables of your own: gym.make.'{env_id}', table="):
        gym.make(env_id)
    record(RandomSearch(), gym.make(env_id, table="digits-10", budget_queries=5), 0, tmp_path / "t.jsonl")
    trajectory = read(tmp_path / "t.jsonl")
    assert len(trajectory.queries) == 5
    assert replay(trajectory) == []
