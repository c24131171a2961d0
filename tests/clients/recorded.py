"""What the rows of the tables say, so that programs can check what a client passed on to its user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

import nb201env
from nb201env.space import NUM_EDGES, NUM_OPS, PLACES

TABLE, EPOCHS = "cifar10-valid-200", 200


def ops_of(one_hot: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """One-hot observations of finished cells, [..., 36] or [..., 6, 6], to op numbers, int64 [..., 6]."""
    array = np.asarray(one_hot)
    encoded = array.reshape(*array.shape[: array.ndim - (1 if array.shape[-1] == 36 else 2)], NUM_EDGES, -1)
    assert (encoded.sum(-1) == 1).all(), "an edge has one op"
    ops: npt.NDArray[np.int64] = encoded.argmax(-1)
    return ops


def are_accuracies(values: npt.ArrayLike) -> None:
    """Raise unless there are values, and each is a run's validation accuracy of some cell."""
    given = np.asarray(values, dtype=np.float64).reshape(-1)
    runs = nb201env.open_table(TABLE).runs(split="valid", epochs=EPOCHS).ravel()
    known = np.unique(runs[~np.isnan(runs)])
    above = np.clip(np.searchsorted(known, given), 1, len(known) - 1)
    far = np.minimum(np.abs(known[above] - given), np.abs(known[above - 1] - given))
    assert len(given) > 0
    assert (far < 1e-6).all(), f"{(far >= 1e-6).sum()} of {len(far)} are no run's accuracy"


def are_episodes(episodes: Iterable[Mapping[str, float]], steps: int = 6) -> None:
    """Raise unless each episode that Stable-Baselines3 noted has so many steps, and an accuracy as return."""
    noted = list(episodes)
    are_accuracies([episode["r"] for episode in noted])
    assert {episode["l"] for episode in noted} == {steps}


def is_run(ops: npt.ArrayLike, rewards: npt.ArrayLike) -> None:
    """Raise unless each reward is a run's validation accuracy of its cell; ops [..., 6], rewards [...]."""
    cells, given = np.asarray(ops).reshape(-1, NUM_EDGES), np.asarray(rewards, dtype=np.float64).reshape(-1)
    assert len(given) > 0
    assert len(cells) == len(given)
    assert ((cells >= 0) & (cells < NUM_OPS)).all(), "a cell is not finished"
    runs = nb201env.open_table(TABLE).runs(split="valid", epochs=EPOCHS)[cells @ PLACES]
    far = np.nanmin(np.abs(runs - given[:, None]), axis=1)
    assert (far < 1e-6).all(), f"{(far >= 1e-6).sum()} of {len(far)} rewards are no run's accuracy"


def is_gain(before: npt.ArrayLike, after: npt.ArrayLike, rewards: npt.ArrayLike) -> None:
    """Raise unless each reward is the gain in mean accuracy from one cell to the next; ops [..., 6]."""
    mean = nb201env.open_table(TABLE).accuracy(split="valid", epochs=EPOCHS, run="mean")
    old, new = (np.asarray(ops).reshape(-1, NUM_EDGES) for ops in (before, after))
    given = np.asarray(rewards, dtype=np.float64).reshape(-1)
    assert len(given) > 0
    assert len(old) == len(new) == len(given)
    assert np.allclose(given, mean[new @ PLACES] - mean[old @ PLACES], atol=1e-6)
