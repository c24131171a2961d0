"""The official API's methods over our tables, for programs written for it.

    from nb201env.compat import create

    api = create(None, "tss")                       # all tables of NB201_HOME
    api.get_more_info(6111, "cifar10", hp="200", is_random=False)["test-accuracy"]

The same calls give the same numbers as ``nats_bench`` 1.8. Calls whose official answer is easily
mistaken raise `Trap` with an explanation; ``strict=False`` reproduces the official behaviour.

`naslib_api` and `syne_tune_blackbox` give a table to these two libraries in one call.
"""

from __future__ import annotations

from nb201env.compat.api import NATStopology
from nb201env.compat.choice import Source
from nb201env.compat.naslib import naslib_api
from nb201env.compat.older import NASBench201API
from nb201env.compat.results import ArchResults
from nb201env.compat.runs import ResultsCount
from nb201env.compat.syne_tune import syne_tune_blackbox
from nb201env.compat.traps import Info, Trap


def create(
    file_path_or_dict: Source = None,
    search_space: str = "tss",
    fast_mode: bool = False,
    verbose: bool = True,
    *,
    strict: bool = True,
    seed: int | None = None,
) -> NATStopology:
    """What ``nats_bench.create`` returns, backed by our tables.

    With None, every official task and schedule is answered from one's own table in ``NB201_HOME`` if that
    records the accuracies that the embedded one records of single runs, and from the embedded one
    otherwise: a table of means never hides one with runs.

    Args:
        file_path_or_dict: Tables (a mapping or a list), a table file or a folder of such; None as above.
        search_space: "tss" or "topology"; the size space ("sss") is not covered.
        fast_mode: Accepted and ignored: tables always open in milliseconds.
        verbose: Accepted and ignored.
        strict: Raise `Trap` where the official answer is easily mistaken.
        seed: Draw runs with an own generator; None for Python's global one, as the official API does.

    Raises:
        ValueError: For another search space or official files, or if there are no official tables, or
            two of one task and schedule.
        FileNotFoundError: If there is no such file or folder.
    """
    if search_space not in ("tss", "topology"):
        size = "; the size space of NATS-Bench is in no table" if search_space in ("sss", "size") else ""
        raise ValueError(f"the search space is 'tss', the topology space{size}; got {search_space!r}")
    return NATStopology(file_path_or_dict, fast_mode, verbose, strict=strict, seed=seed)


__all__ = ["ArchResults", "Info", "NASBench201API", "NATStopology", "ResultsCount", "Trap", "create",
           "naslib_api", "syne_tune_blackbox"]  # fmt: skip
