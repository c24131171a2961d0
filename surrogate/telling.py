"""What commands say of a fitted surrogate: how good it is, and what its table will and will not hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nb201env.surrogate.model import Surrogate

_FEW = 100
"""Fewer architectures than this leave a wide interval, and the sentence says so."""
_NAMES = {
    "kendall_tau": ("Kendall's tau", 1), "spearman": ("Spearman's rho", 1), "r2": ("R2", 1),
    "mae": ("mean error, points", 100), "coverage_80": ("in 80 % interval, %", 100),
}  # fmt: skip


def told(surrogate: Surrogate) -> dict[str, Any]:
    """The same as `lines`, for programs."""
    fitted = surrogate.manifest
    return {
        "learnt_from": fitted["table"],
        "dataset": fitted["task"]["dataset"],
        "architectures": len(surrogate.architectures),
        "run_several_times": fitted.get("run_several_times"),
        "source": fitted.get("source"),
        "held_out_scores": fitted["held_out_scores"],
        "cross_validation": fitted.get("cross_validation"),
        "noise": surrogate.noise is not None,
        "clock": "train_seconds" in surrogate.costs,
    }


def lines(surrogate: Surrogate) -> Iterator[str]:
    """What a surrogate learnt from and how good it is; and `limits`."""
    fitted = surrogate.manifest
    if "source" in fitted:
        source, schedule = fitted["source"], fitted["schedule"]
        yield (
            f"{source['rows']:,} rows of {source['file']}, accuracies in {source['unit']}; data set "
            f"{fitted['task']['dataset']}, epochs {schedule['epochs']} ({schedule['what']})"
        )
    yield from _scores(fitted)
    yield from limits(surrogate)


def limits(surrogate: Surrogate) -> Iterator[str]:
    """What a surrogate's table will not have."""
    if surrogate.noise is None:
        several = surrogate.manifest.get("run_several_times", 0)
        yield (
            f"no noise: {several} architectures were run more than once and 5 are needed; its table holds "
            "one run of each, the prediction"
        )
    if "train_seconds" not in surrogate.costs:
        yield "no clock: it learnt from no seconds, so budgets on its table are queries"


def _scores(fitted: dict[str, Any]) -> Iterator[str]:
    if held_out := fitted["held_out_scores"]:
        yield "on the table's architectures that it did not learn from:"
        yield from (f"{name.replace('_', ' '):20} {value:.4f}" for name, value in held_out.items())
    elif found := fitted.get("cross_validation"):
        yield (
            f"cross-validated in {found['folds']} folds of whole canonical classes (± standard deviation "
            "over folds):"
        )
        yield from (_score(name, found) for name in _NAMES if name in found["scores"])
        yield from _how_sure(found)
    else:
        yield "how good it is was not measured"


def _score(name: str, found: dict[str, Any]) -> str:
    what, factor = _NAMES[name]
    digits = 1 if name == "coverage_80" else 3
    text = f"{what:20} {factor * found['scores'][name]:.{digits}f}"
    return text + (f" ± {factor * found['spread'][name]:.{digits}f}" if name in found["spread"] else "")


def _how_sure(found: dict[str, Any]) -> Iterator[str]:
    count, interval = found["architectures"], found.get("kendall_tau_95")
    if interval is None:
        yield "the accuracies do not vary, so there is no order to predict"
        return
    few = "; that is few to judge by" if count < _FEW else ""
    yield (
        f"from {count:,} architectures: on classes that it has not seen, and like these, Kendall's tau is "
        f"{interval['low']:.2f}..{interval['high']:.2f} (95 %){few}"
    )
