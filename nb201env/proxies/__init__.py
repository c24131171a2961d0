"""Zero-cost proxies of all architectures, computed once and embedded: scores of untrained networks.

The file here is a `nb201env.container`: for each proxy a float32 array [initialisations, canonical classes],
and a manifest that says what was computed when and how, with the source of every formula. ``nb201 proxies
compute`` writes such files, and ``nb201 proxies compare`` says how well they rank. Use::

    proxies = nb201env.open_proxies()
    proxies.scores("synflow")                   # float64 [15625], by lexicographic index
    proxies.scores("nwot", initialisation=0)    # of one initialisation
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from nb201env import container
from nb201env.arrays import FloatArray
from nb201env.classes import canonical_classes, representatives
from nb201env.comparison import mean_ranks
from nb201env.fields import Fields

FORMAT, VERSION = "nb201-proxies", 1
EMBEDDED = Path(__file__).resolve().parent / "cifar10.safetensors"


@dataclass(frozen=True, eq=False)
class Proxies:
    """Scores of all architectures by a number of proxies; of each, more promises more.

    Members of a canonical class have one score: networks are scored without what does not reach their output.

    Attributes:
        values: By name, float64 [initialisations, 5485], by canonical class.
        sources: By name, where the formula is from.
        computed: What was computed, and how: plain entries.
        licence: Under which the numbers may be used.
    """

    values: Mapping[str, FloatArray]
    sources: Mapping[str, str]
    computed: Mapping[str, Any]
    licence: str

    @property
    def names(self) -> tuple[str, ...]:
        """The proxies, in alphabetical order."""
        return tuple(self.values)

    @property
    def initialisations(self) -> int:
        """How often each network was drawn."""
        return len(next(iter(self.values.values())))

    def of_classes(self, name: str, *, initialisation: int | None = None) -> FloatArray:
        """Scores by canonical class; float64 [5485].

        Args:
            name: One of `names`.
            initialisation: Of which one, from 0; None is the mean over all.

        Raises:
            LookupError: If there is no such proxy or initialisation.
        """
        if name not in self.values:
            raise LookupError(f"no proxy {name!r}; there are {', '.join(self.values)}")
        found: FloatArray = self.values[name]
        if initialisation is None:
            return np.asarray(found.mean(axis=0))
        if not 0 <= initialisation < len(found):
            raise LookupError(f"no initialisation {initialisation}; there are 0 to {len(found) - 1}")
        return np.asarray(found[initialisation])

    def scores(self, name: str, *, initialisation: int | None = None) -> FloatArray:
        """Scores by lexicographic index; float64 [15625]. As `of_classes` otherwise."""
        return np.asarray(self.of_classes(name, initialisation=initialisation)[canonical_classes()])

    def ranks(self, *names: str) -> FloatArray:
        """Ranks of the canonical classes by each proxy, from 0 (worst) to 1, ties sharing their mean.

        Args:
            *names: Some of `names`; none means all.

        Returns:
            float64 [len(names), 5485].

        Raises:
            LookupError: If there is no such proxy.
        """
        most = len(representatives()) - 1
        return np.stack([mean_ranks(self.of_classes(name)) / most for name in names or self.names])


@cache
def open_proxies() -> Proxies:
    """The embedded proxies, of CIFAR-10's networks.

    The official networks of all three data sets have the same cells; only their last layer differs.
    """
    return read(EMBEDDED)


def write(
    path: str | os.PathLike[str], values: Mapping[str, FloatArray], sources: Mapping[str, str],
    computed: Mapping[str, Any], licence: str,
) -> None:  # fmt: skip
    """Write proxies into a file of their own.

    Args:
        path: The file.
        values: See `Proxies`; numbers, none infinite.
        sources: Likewise, with the same names.
        computed: Likewise.
        licence: Likewise.

    Raises:
        ValueError: If a score or a source is missing, or a score is infinite.
    """
    if wrong := _wrong(values, sources):
        raise ValueError(wrong)
    manifest = {
        "format": FORMAT, "version": VERSION, "computed": dict(computed), "sources": dict(sources),
        "licence": licence,
    }  # fmt: skip
    container.write(path, manifest, {name: found.astype(np.float32) for name, found in values.items()})


def read(path: str | os.PathLike[str]) -> Proxies:
    """Read a file that `write` has written.

    Raises:
        DamagedTable: If it is another file, or its bytes are not those that were written.
        FileNotFoundError: If there is none.
    """
    opened = container.Container(path)
    about = Fields(opened.manifest, str(path), container.DamagedTable)
    if (about.text("format"), about.whole("version")) != (FORMAT, VERSION):
        raise container.DamagedTable(f"{path}: holds no proxies that this release reads")
    sources, computed = about.object("sources"), about.object("computed")
    texts = {name: sources.text(name) for name in sources.value}
    values = {name: opened.array(name).astype(np.float64) for name in sorted(opened.manifest["arrays"])}
    if wrong := _wrong(values, texts):
        raise container.DamagedTable(f"{path}: {wrong}")
    for found in values.values():
        found.flags.writeable = False
    return Proxies(
        MappingProxyType(values), MappingProxyType(texts), MappingProxyType(computed.value),
        about.text("licence"),
    )  # fmt: skip


def _wrong(values: Mapping[str, FloatArray], sources: Mapping[str, str]) -> str:
    """What proxies lack; empty if nothing."""
    if not values or values.keys() != sources.keys():
        return "every proxy needs its scores and a source"
    count = len(next(iter(values.values())))
    for name, found in values.items():
        if not count or found.shape != (count, len(representatives())) or not np.isfinite(found).all():
            return f"{name}: every class needs a finite score at every initialisation"
    return ""
