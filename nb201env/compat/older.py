"""The methods of ``nas_201_api`` 2.1, where they differ from ``nats_bench``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from nb201env.compat.api import Hp, NATStopology
from nb201env.compat.choice import Source
from nb201env.compat.traps import UNSET


class NASBench201API(NATStopology):
    """What ``nas_201_api.NASBench201API()`` is, backed by our tables; see `NATStopology`.

    Its constructor, `simulate_train_eval` and `find_best` take ``nas_201_api``'s arguments in their order.

    Args:
        file_path_or_dict: The tables to answer from; None for one's own and the embedded ones.
        verbose: Accepted and ignored.
        strict: Raise instead of guessing.
        seed: Draw runs with an own generator; None for Python's global one, as the official API does.
    """

    _joint = ", "

    def __init__(
        self, file_path_or_dict: Source = None, verbose: bool = True, *, strict: bool = True,
        seed: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(file_path_or_dict, False, verbose, strict=strict, seed=seed)

    @property
    def evaluated_indexes(self) -> Collection[int]:
        """The official indices of architectures with results; a list, ascending."""
        return sorted(super().evaluated_indexes)

    def simulate_train_eval(  # type: ignore[override]
        self, arch: Any, dataset: str, hp: Hp = UNSET, account_time: bool = True
    ) -> tuple[float, float | None, float, float]:
        """See `NATStopology.simulate_train_eval`; always after the last epoch."""
        return super().simulate_train_eval(arch, dataset, None, hp, account_time)

    def find_best(  # type: ignore[override]
        self,
        dataset: str,
        metric_on_set: str,
        FLOP_max: float | None = None,
        Param_max: float | None = None,
        hp: Hp = UNSET,
    ) -> tuple[int, float]:
        """See `NATStopology.find_best`."""
        return super().find_best(dataset, metric_on_set, FLOP_max, Param_max, hp)
