"""One score for every canonical class, made of one proxy or of several, and the classes in its order.

Several proxies have nothing in common but that more promises more, so what is added are ranks: as they are
(as TE-NAS does; Chen, Gong & Wang, ICLR 2021), or their logarithms, where a class that one proxy finds poor
cannot make up for it with the others (AZ-NAS, equation 11; Lee & Ham, CVPR 2024).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nb201env import cost
from nb201env.arrays import FloatArray, IntArray
from nb201env.classes import representatives
from nb201env.proxies import Proxies, open_proxies

COMBINE = ("log", "mean")
"""What is added: logarithms of ranks, or ranks."""


def known() -> Proxies:
    """The embedded proxies and, as two more, what a network costs: "params" and "macs".

    Costs are those of a class's first member, in which no operation is dead.
    """
    proxies, members = open_proxies(), representatives()
    costs = {
        name: np.tile(form(members, "cifar10").astype(np.float64), (proxies.initialisations, 1))
        for name, form in cost.CLOSED_FORMS.items()
    }
    return replace(proxies, values={**proxies.values, **costs})


def check_proxies(proxies: Sequence[str], combine: str = "log") -> None:
    """Check the hyper-parameters that `class_scores` takes.

    Raises:
        ValueError: If there is no such proxy or no such way to combine them, or no proxy is named.
    """
    if isinstance(proxies, str) or not proxies:
        raise ValueError(f'proxies must be a list of names, such as ["nwot", "synflow"]; got {proxies!r}')
    names = known().names
    for name in proxies:
        if name not in names:
            raise ValueError(f"no proxy {name!r}; there are {', '.join(names)}")
    if combine not in COMBINE:
        raise ValueError(f"combine must be 'log' or 'mean'; got {combine!r}")


def class_scores(proxies: Sequence[str], rng: np.random.Generator, combine: str = "log") -> FloatArray:
    """What proxies promise together; float64 [5485], by canonical class, more being better.

    Each network is seen at one initialisation, as by a search that scores networks itself: by all proxies
    at the same one, which is drawn for each class.

    Args:
        proxies: Names of `known`.
        rng: What draws the initialisations.
        combine: One of `COMBINE`.
    """
    all_of = known()
    drawn = rng.integers(all_of.initialisations, size=len(representatives()))
    once = {name: all_of.values[name][drawn, np.arange(len(drawn))][None] for name in proxies}
    ranks = replace(all_of, values=once).ranks(*proxies)  # from 0, the worst, to 1
    if combine == "mean":
        return np.asarray(ranks.mean(axis=0))
    classes = ranks.shape[1]
    return np.asarray(np.log((1 + ranks * (classes - 1)) / classes).mean(axis=0))


def best_first(scores: FloatArray, rng: np.random.Generator) -> IntArray:
    """Positions from the highest score to the lowest, equal ones in random order; int64 [n] for n scores."""
    order = rng.permutation(len(scores))
    return np.asarray(order[np.argsort(-scores[order], kind="stable")])
