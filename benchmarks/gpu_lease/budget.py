"""What the measured rows say: which trainer, how many architectures, how long a shard."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

RowLines = Sequence[dict[str, Any]]
"""Lines of a file of ``python -m benchmarks.speed.gpu --jsonl``."""
_USED = 0.85  # of a limit, when a number of architectures is chosen for it
_FALLBACK_SHARD = 8


def trainer_of(row: dict[str, Any]) -> str:
    """The trainer's name without its backend."""
    return str(row.get("trainer", "")).partition(",")[0]


def seconds_each(rows: RowLines, trainer: str, networks: int) -> float | None:
    """Measured seconds of a whole training per architecture; None if this trainer was not measured.

    Of several rows that with the nearest number of networks counts.
    """
    good = [row for row in rows if trainer_of(row) == trainer and not row.get("error")]
    good = [row for row in good if row["architectures_per_hour"] > 0]
    if not good:
        return None
    return 3600 / float(min(good, key=lambda row: abs(row["networks"] - networks))["architectures_per_hour"])


def fits(rows: RowLines, trainer: str, networks: int) -> bool:
    """Whether no row shows that this trainer fails with so many networks or fewer.

    A row whose time was up shows nothing: next time its kernels are compiled.
    """
    errors = [(row["networks"], row["error"]) for row in rows if trainer_of(row) == trainer]
    return not any(error and "time was up" not in error and count <= networks for count, error in errors)


def order(usable: Iterable[str], rows: RowLines, shard: int) -> list[str]:
    """The usable trainers whose shards fit, best first; all, if none does."""
    usable = list(usable)
    return [t for t in usable if fits(rows, t, shard_for(t, shard))] or usable


def shard_for(trainer: str, stacked: int) -> int:
    """Architectures per shard: those that are stacked, or few if a kill would lose more."""
    return stacked if trainer == "stacked" else min(stacked, _FALLBACK_SHARD)


def how_many(rows: RowLines, trainer: str, limit_seconds: float, least: int, most: int, shard: int) -> int:
    """How many architectures to compare with the official numbers: whole shards that fit into the time.

    Never fewer than `least`; what does not fit then is left to a later lease.
    """
    each = seconds_each(rows, trainer, shard)
    if each is None:
        return least
    fitting = int(_USED * limit_seconds / each) // shard * shard
    return max(least, min(most, fitting))
