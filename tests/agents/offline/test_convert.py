"""Searches as Minari data sets: what is in them, and what cannot be made into one."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium as gym
import minari
import pytest

from nb201env.agents import make_agent
from nb201env.agents.searches.recorder import record
from nb201env.architecture import Architecture
from nb201env.tables import open_table
from nb201env.trajectory import BadTrajectory, read
from tests.agents.offline.conftest import ENV, nb201, searched

NAME = "nb201/cifar10/mine-v0"


def converted(folder: Path, *words: object, out: str = NAME) -> minari.MinariDataset:
    nb201("trajectories", "to-minari", folder, "--out", out, *words)
    return minari.load_dataset(out)


def asked(episode: Any) -> list[Any]:
    """The query of an episode, as a trajectory records it."""
    last = {key: values[-1] for key, values in episode.infos.items()}
    return [
        last["architecture"].decode(), last["run"].decode(), last["accuracy"], last["seconds"], last["clock"],
        episode.rewards[-1],
    ]  # fmt: skip


KEYS = ("architecture", "run", "accuracy", "seconds", "clock", "reward")


def test_each_query_is_an_episode_that_says_the_same(store: Path, tmp_path: Path) -> None:
    folder = searched(tmp_path / "runs", "random_search,regularized_evolution", seeds=2)
    data = converted(folder)
    records = [read(path) for path in sorted(folder.rglob("*.jsonl"))]
    queries = [[query[key] for key in KEYS] for one in records for query in one.queries]
    assert [asked(episode) for episode in data] == queries
    assert data.total_episodes == 48
    assert data.total_steps == 6 * 48
    for episode in data.sample_episodes(5):
        cell = Architecture.parse(asked(episode)[0])
        assert episode.actions.tolist() == list(cell.ops)
        assert episode.observations[-1].tolist() == list(cell.ops)
        assert episode.observations[0].tolist() == [5] * 6
        assert episode.terminations.tolist() == [False] * 5 + [True]
        assert not episode.truncations.any()
        assert episode.rewards[:-1].tolist() == [0.0] * 5


def test_the_clock_and_the_budget_are_seen(store: Path, tmp_path: Path) -> None:
    data = converted(searched(tmp_path / "runs"))
    infos = [episode.infos for episode in data]
    assert [info["queries"][-1] for info in infos] == list(range(1, 13))
    assert [info["search_over"][-1] for info in infos] == [False] * 11 + [True]
    assert all(later["clock"][0] == before["clock"][-1] for before, later in pairwise(infos))
    assert data.env_spec.kwargs["budget_queries"] == 12
    assert "budget_queries" not in data.recover_environment(eval_env=True).spec.kwargs


def test_the_metadata_tell_the_table_and_the_searches(store: Path, tmp_path: Path) -> None:
    folder = searched(tmp_path / "runs", seeds=2)
    metadata = converted(folder).storage.metadata
    table = open_table("cifar10-valid-200")
    assert metadata["nb201"]["table"]["id"] == table.id
    assert metadata["nb201"]["table"]["citation"] == table.manifest["citation"]
    assert [one["seed"] for one in metadata["nb201"]["searches"]] == [0, 1]
    assert metadata["algorithm_name"] == "random_search"
    assert "author" not in metadata
    means = table.accuracy(split="valid", epochs=200, run="mean")
    assert metadata["ref_min_score"] == pytest.approx(means.mean())
    assert metadata["ref_max_score"] == pytest.approx(means.max())


RECOVER = """
import sys, minari
data = minari.load_dataset(sys.argv[1])
env = data.recover_environment()
for number, episode in enumerate(data):
    env.reset(seed=0 if number == 0 else None)
    for action in episode.actions:
        observation, reward, terminated, truncated, info = env.step(action)
    assert reward == episode.rewards[-1] and info["clock"] == episode.infos["clock"][-1]
    assert (observation == episode.observations[-1]).all()
print("nb201env" in sys.modules, info["search_over"])
"""


@pytest.mark.parametrize(
    "ways", [[], ["--actions", "pick", "--observations", "onehot"]], ids=["own", "other"]
)
def test_the_environment_is_recovered_in_a_fresh_process(
    store: Path, tmp_path: Path, ways: list[str]
) -> None:
    converted(searched(tmp_path / "runs"), *ways)
    command = [sys.executable, "-c", RECOVER, NAME]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.stdout.split() == ["True", "True"], result.stderr


def test_other_actions_and_observations(store: Path, tmp_path: Path) -> None:
    folder = searched(tmp_path / "runs")
    build = converted(folder, out="own-v0")
    pick = converted(folder, "--actions", "pick", "--observations", "onehot", out="pick-v0")
    assert pick.total_steps == 12
    assert pick.action_space == gym.spaces.MultiDiscrete([5] * 6)
    for one, other in zip(build, pick, strict=True):
        assert asked(one) == asked(other)
        assert other.actions.tolist() == [one.actions.tolist()]
        assert other.observations[0].reshape(6, 6).argmax(1).tolist() == [5] * 6
        assert other.observations[1].reshape(6, 6).argmax(1).tolist() == one.actions.tolist()


def test_searches_that_edit_need_to_be_told_how(store: Path, tmp_path: Path) -> None:
    env = gym.make(ENV, actions="edit", budget_queries=9)
    folder = tmp_path / "runs"

    class Walk:
        def search(self, env: gym.Env[Any, Any], seed: int) -> None:
            env.action_space.seed(seed)
            info = env.reset()[1]
            while not info["search_over"]:
                *_, ended, info = env.step(env.action_space.sample())
                if ended and not info["search_over"]:
                    info = env.reset()[1]

    record(Walk(), env, 3, folder / "walk-3.jsonl")
    with pytest.raises(
        BadTrajectory, match="searched with actions='edit'.*--actions build or --actions pick"
    ):
        converted(folder)
    data = converted(folder, "--actions", "build")
    queries = read(folder / "walk-3.jsonl").queries
    assert [asked(episode)[:5] for episode in data] == [[query[key] for key in KEYS[:5]] for query in queries]
    assert [episode.rewards[-1] for episode in data] == [query["accuracy"] for query in queries]


def test_shorter_trainings_keep_their_epochs(store: Path, tmp_path: Path, epoch_table: str) -> None:
    env = gym.make("NB201-v0", table=epoch_table, budget_seconds=2000.0)
    record(make_agent("bohb"), env, 0, tmp_path / "runs" / "bohb-0.jsonl")
    data = converted(tmp_path / "runs", "--table", epoch_table)
    queries = read(tmp_path / "runs" / "bohb-0.jsonl").queries
    metadata = data.storage.get_episode_metadata(range(len(queries)))
    options = [one.get("options", {}).get("epochs") for one in metadata]
    assert options == [query.get("epochs") for query in queries]
    assert len(set(options)) > 1
    assert data.recover_environment().unwrapped.table.id == open_table(epoch_table).id


# -- what is refused -------------------------------------------------------------------------


def spoilt(folder: Path, number: int, **changes: Any) -> None:
    """Change a query of the only trajectory."""
    [path] = folder.rglob("*.jsonl")
    lines = path.read_text().splitlines()
    lines[number] = json.dumps(json.loads(lines[number]) | changes)
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reward": 0.5}, "query 7: reward is .*; recorded was 0.5"),
        ({"run": "778"}, 'query 7: run is .*; recorded was "778"'),
        ({"seconds": 1.0}, "query 7: seconds is "),
    ],
)
def test_a_record_that_does_not_replay_leaves_nothing(
    store: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    folder = searched(tmp_path / "runs")
    spoilt(folder, 7, **changes)
    with pytest.raises(BadTrajectory, match=f"does not replay: {message}"):
        converted(folder)
    assert [path for path in store.rglob("*") if path.is_file()] == []


def test_only_what_belongs_together(store: Path, tmp_path: Path, tested_table: Any) -> None:
    folder = searched(tmp_path / "runs", envs=[ENV, "NB201-cifar100-v0"])
    with pytest.raises(BadTrajectory, match="another environment than in .*choose with --env"):
        converted(folder)
    assert converted(folder, "--env", f"nb201env:{ENV}").total_episodes == 12
    searched(tmp_path / "more", seeds=1, budget={"budget_queries": 13})
    with pytest.raises(BadTrajectory, match="another argument of the environment than in "):
        converted(folder / ENV, tmp_path / "more", out="two-v0")
    path = str(tested_table.container.path)
    searched(tmp_path / "own", env_kwargs={"table": path})
    with pytest.raises(BadTrajectory, match="another table than in "):
        converted(folder / ENV, tmp_path / "own", out="two-v0")
    (folder / ENV / "copy.jsonl").write_bytes((folder / ENV / "random_search-0.jsonl").read_bytes())
    with pytest.raises(BadTrajectory, match="is the search of .* again"):
        converted(folder / ENV, out="two-v0")


def test_unfinished_searches_are_taken_on_demand(store: Path, tmp_path: Path) -> None:
    folder = searched(tmp_path / "runs")
    [path] = folder.rglob("*.jsonl")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:6]))
    with pytest.raises(BadTrajectory, match=re.escape("its search is not finished (1 of 1)")):
        converted(folder)
    data = converted(folder, "--partial")
    assert data.total_episodes == 5
    assert data.storage.metadata["nb201"]["searches"][0]["complete"] is False


def test_wrapped_environments_are_refused(store: Path, tmp_path: Path) -> None:
    env = gym.wrappers.TransformReward(gym.make(ENV, budget_queries=5), lambda reward: 2 * float(reward))
    record(make_agent("random_search"), env, 0, tmp_path / "runs" / "a.jsonl")
    with pytest.raises(BadTrajectory, match="its environment was wrapped .*transform_reward"):
        converted(tmp_path / "runs")


def test_what_is_there_stays_unless_it_may_be_replaced(store: Path, tmp_path: Path) -> None:
    folder = searched(tmp_path / "runs")
    converted(folder)
    with pytest.raises(FileExistsError, match="is there already; name another --out, or replace it"):
        converted(folder)
    searched(tmp_path / "more", seeds=2)
    assert converted(tmp_path / "more", "--replace").total_episodes == 24
    assert [path.name for path in (store / NAME).parent.iterdir() if path.is_dir()] == ["mine-v0"]
    (store / "notes-v0").mkdir()
    with pytest.raises(FileExistsError, match="is no Minari data set"):
        converted(folder, "--replace", out="notes-v0")
    spoilt(folder, 3, reward=0.0)
    with pytest.raises(BadTrajectory, match="does not replay"):
        converted(folder, "--replace")
    assert minari.load_dataset(NAME).total_episodes == 24


@pytest.mark.parametrize("out", ["mine", "a b-v0", "", "x/../y-v0", "./mine", "~", "/", "a:b-v0"])
def test_names_that_minari_would_not_take(store: Path, tmp_path: Path, out: str) -> None:
    with pytest.raises(ValueError, match="--out is a name in Minari's store or a path, such as "):
        nb201("trajectories", "to-minari", tmp_path, "--out", out)


def test_a_path_is_a_store_and_a_name(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    printed = nb201("trajectories", "to-minari", searched(tmp_path / "runs"), "--out", "./sets/mine-v0")
    assert f"MINARI_DATASETS_PATH={tmp_path / 'sets'}" in printed
    assert minari.MinariDataset(tmp_path / "sets" / "mine-v0" / "data").total_episodes == 12
    monkeypatch.setenv("MINARI_DATASETS_PATH", "sets")
    assert minari.load_dataset("mine-v0").total_episodes == 12


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--actions", "edit"], "--actions is build or pick; got 'edit'"),
        (["--observations", "pixels"], "--observations is ops or onehot; got 'pixels'"),
        (["--env", "NB201-mnist-v0"], "unknown environment 'NB201-mnist-v0'"),
        (["--env", "NB201-digits-v0"], r"no search \(\*\.jsonl\) of NB201-digits-v0 in "),
    ],
)
def test_wrong_words(store: Path, tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        converted(searched(tmp_path / "runs"), *words)
