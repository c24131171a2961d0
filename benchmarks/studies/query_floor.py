"""Why some best architectures take long to find: the best among its rivals, as they predict it.

    python -m benchmarks.studies query_floor run                         prints the table
    python -m benchmarks.studies query_floor run --encoding canonical    describes architectures otherwise

A search asks for what it predicts to be good. Here the predictor of the query benchmark is given
what no search has: the mean accuracy of the 1,000 best classes, each time without the one that it
predicts (leave-one-out; Rasmussen & Williams, 2006, equation 5.12). Where the best class stands in
the order of these predictions is how many classes promised as much or more than the best one did,
with everything else known. It is no strict bound: a worse predictor may be luckier. Each description
has a process of its own, as in the agent; "both" is the mean of what the two predict.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

import nb201env  # noqa: F401  (registers the ids)
from benchmarks.studies.pages import DOCS, Pages, with_part
from nb201env.agents.gaussian_process import LENGTHS, NOISES, matern, standardise
from nb201env.agents.predictor_evolution import PredictorEvolution, class_features, proxy_features
from nb201env.arrays import FloatArray
from nb201env.classes import representatives
from nb201env.envs.registration import OFFICIAL
from nb201env.output import markdown_table
from nb201env.surrogate.encodings import class_mean
from nb201env.table import Table
from nb201env.tables import open_table

PAGE = DOCS / "query-efficiency.md"
CLASSES = 1000
ENCODING = PredictorEvolution().encoding


class Floor(NamedTuple):
    """One data set's best class among its rivals.

    Attributes:
        accuracy: The best class's mean accuracy, a fraction.
        predicted: What the others predict for it.
        rank: Its place in the order of such predictions; 1 is first.
    """

    accuracy: float
    predicted: float
    rank: int


def floor(table: Table, views: Sequence[FloatArray]) -> Floor:
    """Where the best class of a table stands in the order of leave-one-out predictions.

    Args:
        table: The accuracies.
        views: Descriptions of the classes, each float64 [5485, features]; what they predict is averaged.
    """
    accuracy = class_mean(table.accuracy(split="valid", epochs=table.epochs, run="mean"))[representatives()]
    best = np.argsort(-accuracy, kind="stable")[:CLASSES]
    values = accuracy[best]
    center, scale = values.mean(), values.std()
    found = [leave_one_out(standardise(features)[best], (values - center) / scale) for features in views]
    predicted = center + scale * np.mean(found, axis=0)
    return Floor(float(values[0]), float(predicted[0]), int((predicted >= predicted[0]).sum()))


def leave_one_out(features: FloatArray, values: FloatArray) -> FloatArray:
    """What all other observations predict for each; float64 [n].

    Of the length scales and noises of `nb201env.agents.gaussian_process` the likeliest are taken.

    Args:
        features: Standardised; float64 [n, features].
        values: Around 0; float64 [n].
    """
    lengths = (features**2).sum(axis=1)
    squares = np.maximum(lengths[:, None] + lengths - 2 * features @ features.T, 0) / (2 * features.shape[1])
    fits = [_fit(matern(squares, length), noise, values) for length, noise in product(LENGTHS, NOISES)]
    return max(fits, key=lambda fit: fit[0])[1]


def _fit(correlation: FloatArray, noise: float, values: FloatArray) -> tuple[float, FloatArray]:
    """The log marginal likelihood up to a constant, and the leave-one-out predictions."""
    n = len(values)
    precision = np.linalg.inv(correlation + noise * np.eye(n))
    weights = precision @ values
    likelihood = (np.linalg.slogdet(precision)[1] - n * np.log(values @ weights / n)) / 2
    return float(likelihood), values - weights / np.diag(precision)


def table_text(encoding: str = ENCODING) -> str:
    """What is predicted for the best, and its rank, by description; in Markdown."""
    encodings, proxies = class_features(encoding), proxy_features("all")
    views = {"encodings": [encodings], "proxies": [proxies], "both": [encodings, proxies]}
    rows = []
    for table in map(open_table, OFFICIAL.values()):
        found = [floor(table, some) for some in views.values()]
        cells = [f"{100 * one.predicted:.2f} / {one.rank}" for one in found]
        rows.append([table.dataset, f"{100 * found[0].accuracy:.2f}", *cells])
    headings = ["", "its accuracy (%)", *(f"predicted (%) / rank, {words}" for words in views)]
    return markdown_table(headings, rows, "lr")


def page() -> Pages:
    """The page of query efficiency, with the ranks."""
    return {PAGE: with_part(PAGE, "query_floor", table_text())}


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
    parser.add_argument(
        "--encoding", default=ENCODING, help="see surrogate.encodings; default: the predictor's"
    )


def run(a: argparse.Namespace) -> None:
    """Print the ranks."""
    print(table_text(a.encoding))
