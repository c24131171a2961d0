"""The published results of the two papers, to be printed beside ours.

Sources: Dong & Yang, "NAS-Bench-201", ICLR 2020, table 5; Dong, Liu, Musial & Gabrys,
"NATS-Bench", TPAMI 2021, table 4 (topology space). How well each row is established is said by
its mark:

* V: read in a source that quotes or reproduces it, or recomputed from the official numbers;
* S: quoted from memory of the paper; a simulation on the official numbers agrees with it;
* M: quoted from memory of the paper and not checked against it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nb201env import official
from nb201env.agents.searches.outcome import Spread

DATASETS = tuple(official.DATASETS)
SPLITS = ("valid", "test")


@dataclass(frozen=True)
class Row:
    """One row of a paper's table.

    Attributes:
        cells: Accuracy by data set and split.
        mark: "V", "S" or "M"; see the module.
        note: What the mark covers, or "".
    """

    cells: dict[tuple[str, str], Spread]
    mark: str
    note: str = ""


_NUMBER = re.compile(r"(\d+\.\d+)±(\d+\.\d+)")


def _row(text: str, mark: str, note: str = "") -> Row:
    """A row from the table's text; CIFAR-10, CIFAR-100, ImageNet16-120, each valid then test."""
    found = [Spread(float(mean) / 100, float(sd) / 100) for mean, sd in _NUMBER.findall(text)]
    places = [(dataset, split) for dataset in DATASETS for split in SPLITS]
    return Row(dict(zip(places, found, strict=True)), mark, note)


_QUOTED = "as quoted by later papers"
PUBLISHED: dict[str, dict[str, Row]] = {
    "nb201": {
        "random_search": _row("90.93±0.36 93.70±0.36  70.93±1.09 71.04±1.07  44.45±1.10 44.57±1.25", "S"),
        "regularized_evolution": _row(
            "91.19±0.31 93.92±0.30  71.81±1.12 71.84±0.99  45.15±0.89 45.54±1.03", "S"
        ),
        "reinforce": _row(
            "91.09±0.37 93.85±0.37  71.61±1.12 71.71±1.09  45.05±1.02 45.24±1.18",
            "V",
            "the test columns; the others M",
        ),
        "bohb": _row("90.82±0.53 93.61±0.52  70.74±1.29 70.85±1.28  44.26±1.36 44.42±1.49", "M"),
        "rsps": _row(
            "80.42±3.58 84.07±3.61  52.12±5.55 52.31±5.77  27.22±3.24 26.28±3.09",
            "V",
            f"{_QUOTED}; the paper's first version had 84.16 / 87.66 for CIFAR-10",
        ),
        "darts_v1": _row(
            "39.77±0.00 54.30±0.00  15.03±0.00 15.61±0.00  16.43±0.00 16.32±0.00", "V", "the all-skip cell"
        ),
        "darts_v2": _row(
            "39.77±0.00 54.30±0.00  15.03±0.00 15.61±0.00  16.43±0.00 16.32±0.00", "V", "the all-skip cell"
        ),
        "gdas": _row("89.89±0.08 93.61±0.09  71.34±0.04 70.70±0.30  41.59±1.33 41.71±0.98", "V", _QUOTED),
        "setn": _row("84.04±0.28 87.64±0.00  58.86±0.06 59.05±0.24  33.06±0.02 32.52±0.21", "V", _QUOTED),
        "enas": _row("37.51±3.19 53.89±0.58  13.37±2.35 13.96±2.33  15.06±1.95 14.84±2.10", "V", _QUOTED),
    },
    "nats": {
        "random_search": _row("91.07±0.26 93.86±0.23  71.46±0.97 71.55±0.97  45.03±0.91 45.28±0.97", "S"),
        "regularized_evolution": _row(
            "91.25±0.31 94.02±0.31  72.28±0.95 72.23±0.84  45.71±0.77 45.77±0.80", "S"
        ),
        "reinforce": _row("91.12±0.25 93.90±0.26  71.80±0.94 71.86±0.89  45.37±0.74 45.64±0.78", "S"),
        "bohb": _row("91.17±0.27 93.94±0.28  72.04±0.93 72.00±0.86  45.55±0.79 45.70±0.86", "M"),
        "rsps": _row("87.60±0.61 91.05±0.66  68.27±0.72 68.26±0.96  39.73±0.34 40.69±0.36", "M"),
        "darts_v1": _row(
            "49.27±13.44 59.84±7.84  61.08±4.37 61.26±4.43  38.07±2.90 37.88±2.91",
            "V",
            "the test columns of CIFAR-100 and ImageNet16-120; the others M",
        ),
        "darts_v2": _row(
            "58.78±13.44 65.38±7.84  59.48±5.13 60.49±4.95  37.56±7.10 36.79±7.59",
            "V",
            "the test column of CIFAR-100; the others M",
        ),
        "gdas": _row(
            "89.68±0.72 93.23±0.58  68.35±2.71 68.17±2.50  39.55±0.00 39.40±0.00",
            "V",
            "the test columns; the others M",
        ),
        "setn": _row("90.00±0.97 92.72±0.73  69.19±1.42 69.36±1.72  39.77±0.33 39.51±0.33", "M"),
        "enas": _row("90.20±0.00 93.76±0.00  70.21±0.71 70.67±0.62  40.78±0.00 41.44±0.00", "M"),
    },
}  # fmt: skip
"""The rows by protocol and agent."""


def published(protocol: str, agent: str) -> Row | None:
    """The published row of an agent under a protocol; None if the paper has none.

    Raises:
        ValueError: If there is no such protocol.
    """
    if protocol not in PUBLISHED:
        raise ValueError(f"unknown protocol {protocol!r}; the protocols are {', '.join(PUBLISHED)}")
    return PUBLISHED[protocol].get(agent)


def unlike(protocol: str, agent: str, epochs: Sequence[int]) -> str:
    """Why an agent's searches are not those that its published row is of, in a sentence; "" where they are.

    Args:
        protocol: "nb201" or "nats".
        agent: Its name in `nb201env.agents.registry.AGENTS`.
        epochs: Those after which the table that is searched knows accuracies.
    """
    if (protocol, agent) != ("nats", "bohb") or len(epochs) > 1:
        return ""
    return (
        "not the search of the paper. That one asks for accuracies after 1, 4 and 12 epochs; this table has "
        f"those after {epochs[0]} alone, so every rung is a whole training here, and an architecture that is "
        "promoted twice is paid for three times. A round of Hyperband's brackets, 15 architectures, costs "
        "240 epochs here and 93 there: the same seconds bought the paper 2.6 times as many architectures, "
        "and a difference between the two rows would compare budgets, not programs"
    )
