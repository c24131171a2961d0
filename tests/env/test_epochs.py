"""Asking for shorter trainings: the numbers, the clock, and the vector form bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nb201env import Architecture, NotRecorded, open_table
from tests.env.test_vector import assert_same

BEST = Architecture((3, 3, 3, 1, 3, 2))
N = 5


def ask(env: gym.Env[Any, Any], ops: Any = BEST.ops, epochs: int | None = None) -> dict[str, Any]:
    env.reset(options=None if epochs is None else {"epochs": epochs})
    return env.step(np.array(ops))[4]


def picking(table: str, **kwargs: Any) -> gym.Env[Any, Any]:
    env = gym.make("NB201-cifar10-v0", table=table, actions="pick", **kwargs)
    env.reset(seed=0)
    return env


@pytest.mark.parametrize("run", ["mean", 7])
@pytest.mark.parametrize("epochs", [1, 4, 12])
def test_the_answer_is_the_tables(epoch_table: str, run: Any, epochs: int) -> None:
    info = ask(picking(epoch_table, run=run), epochs=epochs)
    truth = open_table(epoch_table).query(BEST, split="valid", epochs=epochs, run=run)
    assert (info["accuracy"], info["seconds"]) == truth


def test_what_can_be_asked(epoch_table: str) -> None:
    def recorded(env: Any) -> Any:
        return env.get_wrapper_attr("recorded_epochs")

    assert recorded(picking(epoch_table)) == tuple(range(1, 13))
    assert recorded(picking(epoch_table, epochs=4)) == (1, 2, 3, 4)
    assert recorded(gym.make("NB201-cifar10-v0")) == (200,)
    vector = gym.make_vec("NB201-cifar10-v0", num_envs=2, table=epoch_table, epochs=3)
    assert vector.unwrapped.recorded_epochs == (1, 2, 3)  # type: ignore[attr-defined]


def test_a_longer_look_is_paid_in_full_as_the_official_simulation_does(epoch_table: str) -> None:
    env = picking(epoch_table, run=7)
    table = open_table(epoch_table)
    prices = [table.query(BEST, split="valid", epochs=e, run=7).seconds for e in (1, 4, 12)]
    assert prices[0] < prices[1] < prices[2]
    assert [ask(env, epochs=e)["seconds"] for e in (1, 4, 12)] == prices
    assert ask(env)["clock"] == sum(prices) + prices[2], "no option: the whole training"


def test_free_repeats(epoch_table: str) -> None:
    """What a training showed on its way is free afterwards; what it did not reach is not."""
    env = picking(epoch_table, run=7, repeats="free")
    assert ask(env, epochs=4)["seconds"] > 0
    assert ask(env, epochs=1)["seconds"] == 0
    assert ask(env, epochs=4)["seconds"] == 0
    assert ask(env, epochs=12)["seconds"] > 0
    info = ask(env)
    assert (info["seconds"], info["queries"]) == (0, 2)


def test_the_choice_holds_for_one_episode(epoch_table: str) -> None:
    env = gym.make("NB201-cifar10-v0", table=epoch_table, actions="edit", max_edits=3, run="mean")
    table = open_table(epoch_table)
    for epochs, expected in ((2, 2), (None, 12)):
        options = {"architecture": BEST} | ({} if epochs is None else {"epochs": epochs})
        _, info = env.reset(seed=0, options=options)
        truth = table.accuracy(split="valid", epochs=expected, run="mean")
        for action in (0, 8, 12):
            assert info["accuracy"] == truth[Architecture.parse(info["architecture"]).index]
            info = env.step(action)[4]


def test_epochs_drawn_with_numpy_are_integers(epoch_table: str) -> None:
    env = picking(epoch_table, run="mean")
    drawn = np.random.default_rng(0).choice([4])
    assert ask(env, epochs=drawn) == ask(picking(epoch_table, run="mean"), epochs=4)


def test_regret_is_measured_from_one_optimum(epoch_table: str) -> None:
    """Rewards after different epochs are comparable: the optimum is the whole training's."""
    env = picking(epoch_table, run="mean", reward="regret")
    optimum = open_table(epoch_table).optimum(split="valid", epochs=12)[1]
    for epochs in (1, 12):
        env.reset(options={"epochs": epochs})
        _, reward, _, _, info = env.step(np.array(BEST.ops))
        assert reward == info["accuracy"] - optimum


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"epochs": 13}, ValueError, r"epochs must be in 1\.\.12"),
        ({"epochs": 0}, ValueError, r"epochs must be in 1\.\.12"),
        ({"epochs": -2}, ValueError, r"epochs must be in 1\.\.12"),
        ({"epochs": 1.5}, ValueError, "epochs must be an integer; got 1.5"),
        ({"epochs": True}, ValueError, "epochs must be an integer; got True"),
        ({"epoch": 1}, ValueError, "reset options"),
    ],
)
def test_mistakes(epoch_table: str, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        picking(epoch_table).reset(options=options)
    with pytest.raises(error, match=message):
        gym.make_vec("NB201-cifar10-v0", num_envs=2, table=epoch_table).reset(options=options)


def test_what_was_not_recorded_is_an_error() -> None:
    with pytest.raises(NotRecorded, match="at epochs=12; recorded: 200"):
        gym.make("NB201-cifar10-v0").reset(options={"epochs": 12})


VARIANTS: list[dict[str, Any]] = [
    {},
    {"actions": "pick", "run": "mean"},
    {"actions": "pick", "repeats": "free"},
    {"actions": "edit", "repeats": "free", "max_edits": 4},
    {"actions": "pick", "reward": "regret", "run": 7},
    {"actions": "pick", "budget_seconds": 400.0, "overshoot": "drop"},
    {"budget_queries": 6, "epochs": 9},
]


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("mode", ["SameStep", "NextStep", "Disabled"])
def test_the_vector_form_is_the_same(epoch_table: str, variant: dict[str, Any], mode: str) -> None:
    arguments = {"table": epoch_table} | variant
    native = gym.make_vec("NB201-cifar10-v0", num_envs=N, autoreset_mode=mode, **arguments)
    sync = gym.make_vec(
        "NB201-cifar10-v0", num_envs=N, vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode}, **arguments,
    )  # fmt: skip
    native.action_space.seed(0)
    assert_same(*(env.reset(seed=3, options={"epochs": 2}) for env in (native, sync)))
    rng = np.random.default_rng(1)
    for step in range(60):
        actions = native.action_space.sample()
        ours, theirs = native.step(actions), sync.step(actions)
        assert_same(ours, theirs)
        done = ours[2] | ours[3]
        if mode == "Disabled" and done.any():
            options = {"epochs": int(rng.integers(1, 10))}
            assert_same(*(e.reset(options=options | {"reset_mask": done.copy()}) for e in (native, sync)))
        elif step % 9 == 8:
            # Everyone at once, and only some: their next episodes ask for other epochs.
            options = {"epochs": int(rng.integers(1, 10))} if step % 2 else {}
            assert_same(*(env.reset(options=dict(options)) for env in (native, sync)))


def test_partial_queries_are_recorded_and_replayed(epoch_table: str, tmp_path: Path) -> None:
    from nb201env.agents.contract import query
    from nb201env.agents.searches.recorder import record, replay
    from nb201env.trajectory import read

    class Ladder:
        """Every architecture after 1, 4 and all epochs."""

        def search(self, env: Any, seed: int) -> None:
            rng = np.random.default_rng(seed)
            while True:
                architecture = Architecture.from_index(int(rng.integers(15_625)))
                for epochs in (1, 4, None):
                    if query(env, architecture, epochs=epochs).over:
                        return

    for actions in ("build", "pick"):
        env = gym.make("NB201-cifar10-v0", table=epoch_table, budget_queries=10, actions=actions)
        record(Ladder(), env, 0, tmp_path / actions)
        trajectory = read(tmp_path / actions)
        assert [q.get("epochs") for q in trajectory.queries] == [1, 4, None] * 3 + [1]
        assert replay(trajectory, env.unwrapped.table) == []
    trajectory.queries[1]["epochs"] = 5
    assert replay(trajectory, env.unwrapped.table)[0].startswith("query 2: accuracy is")
