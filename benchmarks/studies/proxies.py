"""How well scores of untrained networks rank architectures, beside the figures that others print.

    nb201 proxies compute --task cifar10 --data … --initialisations 3 --out cifar10.safetensors
    python -m benchmarks.studies proxies run --data …     larger batches, and seconds; resumable
    python -m benchmarks.studies proxies page             writes docs/proxies.md

The first writes what stands in nb201env/proxies. What others print, each figure with its source, stands in
docs/data/published_proxies.json.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.studies.pages import DATA, DOCS, Pages, read_data, with_part, write_data
from nb201env import pictures
from nb201env.architecture import Architecture
from nb201env.arrays import FloatArray
from nb201env.classes import representatives
from nb201env.comparison import kendall
from nb201env.envs.registration import OFFICIAL
from nb201env.output import markdown_table
from nb201env.proxies import open_proxies
from nb201env.proxies.agreement import Agreement, agreements, scores
from nb201env.tables import open_table
from nb201env.training.data import Data
from nb201env.training.images.tasks import load_task
from nb201env.training.latency import device_name
from nb201env.training.network import Network, Skeleton, initial_network
from nb201env.training.precision import exact_float32
from nb201env.training.proxies import activations, flow, gradients
from nb201env.training.proxies.compute import batch_of, order
from nb201env.training.proxies.measure import Batch, draw_weights
from nb201env.training.threads import one_thread

PAGE, FILE, PUBLISHED = DOCS / "proxies.md", DATA / "proxies.json", DATA / "published_proxies.json"
TABLES = tuple(OFFICIAL.values())
DATASETS = {name: open_table(name).dataset for name in TABLES}
LARGE, CLASSES, TIMED = 64, 150, 20
SPLIT, EPOCHS = "valid", 200


# -- larger batches, and seconds -------------------------------------------------------------


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
    parser.add_argument("--data", type=Path, required=True, help="CIFAR-10: its folder, or an .npz")
    parser.add_argument("--out", type=Path, default=FILE, help="the data; what is there goes on")


def run(a: argparse.Namespace) -> None:
    """Score some classes on 64 images, and time the formulas on as many as the embedded scores had."""
    data = load_task("cifar10", a.data)
    kept: dict[str, Any] = read_data(a.out) if a.out.exists() else {"images": LARGE, "scores": {}}
    large, small = first_images(data), batch_of(data)
    with one_thread(), exact_float32():
        if "seconds" not in kept:
            kept["machine"] = device_name(torch.device("cpu"))
            kept["seconds"] = seconds(small)
            write_data(a.out, kept)
        for _, cls in order(1)[:CLASSES]:
            if str(cls) not in kept["scores"]:
                kept["scores"][str(cls)] = scored(_network(cls), large)
                write_data(a.out, kept)


def first_images(data: Data) -> Batch:
    """The first 64 of the training set."""
    images, labels = data.splits["train"]
    return Batch(data.normalise(images[:LARGE]), labels[:LARGE])


def scored(network: Network, batch: Batch) -> dict[str, float]:
    """What one batch, or as much noise, gives; to six digits. The network's weights are drawn anew then."""
    watched, response = gradients.Watched(network, *batch), activations.Response(network, *batch)
    found = {
        "grad_norm": gradients.grad_norm(watched), "snip": gradients.snip(watched),
        "plain": gradients.plain(watched), "fisher": gradients.fisher(watched),
        "nwot": activations.nwot(response), "jacov": activations.jacov(response),
        "epe_nas": activations.epe_nas(response),
    }  # fmt: skip
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(batch.images.shape, generator=generator).contiguous(memory_format=torch.channels_last)
    drawn = draw_weights(network, generator, fan_in=True)
    found |= flow.az_nas(drawn, noise, generator)._asdict()
    return {name: float(f"{value:.6g}") for name, value in found.items()}


def seconds(batch: Batch) -> dict[str, float]:
    """CPU seconds that the parts of a class's scores take, mean over some classes."""
    spent: dict[str, float] = {}
    for _, cls in order(1)[:TIMED]:
        for words, work in _parts(cls, batch).items():
            start = time.process_time()
            work()
            spent[words] = spent.get(words, 0.0) + (time.process_time() - start) / TIMED
    return {words: round(value, 4) for words, value in spent.items()}


def _parts(cls: int, batch: Batch) -> dict[str, Callable[[], object]]:
    half = len(batch.labels) // 2
    network, other, drawn = (_network(cls) for _ in range(3))
    generator = torch.Generator().manual_seed(0)
    draw_weights(drawn, generator, fan_in=True)
    return {
        "grad_norm, snip, plain, fisher, l2_norm": lambda: gradients.Watched(
            network, batch.images[:half], batch.labels[:half]
        ),
        "zico, beside these": lambda: gradients.Watched(network, batch.images[half:], batch.labels[half:]),
        "nwot, jacov, epe_nas": lambda: activations.Response(network, *batch),
        "synflow": lambda: flow.synflow(other),
        "expressivity, progressivity, trainability": lambda: flow.az_nas(
            drawn, batch.images[:half], generator
        ),
        "zen": lambda: activations.zen(drawn, batch.images[:half], batch.images[half:]),
    }


def _network(cls: int) -> Network:
    made: Network = initial_network(Architecture.from_index(int(representatives()[cls])), Skeleton(), 0)
    return made.train()


# -- numbers ---------------------------------------------------------------------------------


@cache
def found(table: str) -> dict[str, Agreement]:
    """How well every score ranks a table's architectures, the best first."""
    opened = open_table(table)
    accuracy = opened.accuracy(split=SPLIT, epochs=EPOCHS, run="mean")
    return {one.name: one for one in agreements(scores(open_proxies(), opened), accuracy)}


@cache
def kept() -> Any:
    """What `run` has written."""
    return read_data(FILE)


def taus_by_batch() -> dict[str, tuple[list[float], list[float]]]:
    """Kendall's tau of scores on the batch that is embedded, and on the larger one, by table; by proxy."""
    members = [int(cls) for cls in kept()["scores"]]
    names = [*next(iter(kept()["scores"].values()))]
    accuracies = [
        open_table(table).accuracy(split=SPLIT, epochs=EPOCHS, run="mean")[representatives()[members]]
        for table in TABLES
    ]
    result = {}
    for name in names:
        small = open_proxies().of_classes(name, initialisation=0)[members]
        large = np.array([one[name] for one in kept()["scores"].values()])
        both = [[kendall(values, right) for right in accuracies] for values in (small, large)]
        result[name] = both[0], both[1]
    return result


def cross() -> tuple[list[str], FloatArray]:
    """Kendall's tau of each two scores over architectures, float64 [n, n]; by the order of `found`."""
    all_of_them = scores(open_proxies(), open_table(TABLES[0]))
    names = list(found(TABLES[0]))
    values = [all_of_them[name].mean(axis=0) for name in names]
    return names, np.array([[kendall(a, b) for b in values] for a in values])


# -- the page --------------------------------------------------------------------------------


def page() -> Pages:
    """The page."""
    parts = [_computed(), _ranks(), _published(), _batches(), _seconds()]
    return {PAGE: with_part(PAGE, "proxies", "\n\n".join(parts))}


def _computed() -> str:
    proxies = open_proxies()
    about = proxies.computed
    rows = [[f"`{name}`", proxies.sources[name]] for name in proxies.names]
    return (
        "## What was computed\n\n"
        f"{len(proxies.names)} proxies of {len(representatives()):,} canonical classes at "
        f"{proxies.initialisations} initialisations, on {about['batch']} images of {about['task']} in two "
        f"halves; {about['software']}, begun on {about['date']}.\n\n"
        + markdown_table(["proxy", "where its formula is from"], rows, "ll")
    )


def _ranks() -> str:
    headings = ["score", *(f"{what}, {DATASETS[table]}" for table in TABLES for what in ("tau", "rho"))]
    rows = [
        [f"`{name}`", *(_cell(found(table)[name], which)
                        for table in TABLES for which in ("kendall", "spearman"))]
        for name in found(TABLES[0])
    ]  # fmt: skip
    tops = [
        [f"`{name}`", *(_cell(found(table)[name], "kendall_top") for table in TABLES),
         *(f"{found(table)[name].mean.kendall:.3f}" for table in TABLES)]
        for name in found(TABLES[0])
    ]  # fmt: skip
    other = ["score", *(f"top 10 %, {DATASETS[table]}" for table in TABLES),
             *(f"mean score, {DATASETS[table]}" for table in TABLES)]  # fmt: skip
    return (
        "## How well they rank\n\n"
        f"Kendall's tau and Spearman's rho with the validation accuracy after {EPOCHS} epochs, mean over "
        "runs, of all 15,625 architectures. Mean over initialisations, each scored alone, ± half the range."
        "\n\n"
        f"{markdown_table(headings, rows, 'lr')}\n\n"
        "Kendall's tau among the best tenth of the architectures; and over all of them that of the mean "
        f"score over initialisations.\n\n{markdown_table(other, tops, 'lr')}"
    )


def _cell(one: Agreement, which: str) -> str:
    middle, spread = one.typical(which)
    return f"{middle:.3f} ± {spread:.3f}" if len(one.each) > 1 else f"{middle:.3f}"


def _published() -> str:
    data = read_data(PUBLISHED)
    sources = [
        [f"{one['key']} ({one['mark']})", one["words"], one["where"], one["how"]] for one in data["sources"]
    ]
    parts = [
        "## Beside published figures",
        "The marks are those of [published results](published.md): V was read in the source that is named, "
        "or computed from its data.",
        markdown_table(["", "who", "where", "what"], sources, "llll"),
    ]
    for place, table in enumerate(TABLES):
        parts += [f"### {DATASETS[table]}", _side_by_side(data, place, table)]
    return "\n\n".join(parts)


def _side_by_side(data: Any, place: int, table: str) -> str:
    columns = [
        (which, key)
        for which in ("kendall", "spearman")
        for key, rows in data["rows"].items()
        if any(row[place] is not None for row in rows.get(which, {}).values())
    ]
    signs = {"kendall": "tau", "spearman": "rho"}
    rows = []
    for name, one in found(table).items():
        theirs = {
            column: data["rows"][column[1]][column[0]].get(name, [None] * 3)[place] for column in columns
        }
        if all(value is None for value in theirs.values()):
            continue
        row = [f"`{name}`"]
        for which in signs:
            row.append(f"{one.typical(which)[0]:.3f}")
            row += ["" if theirs[c] is None else f"{theirs[c]:.3f}" for c in columns if c[0] == which]
        rows.append(row)
    headings = ["score"]
    for which, sign in signs.items():
        headings += [f"{sign}, ours", *(f"{sign}, {key}" for one, key in columns if one == which)]
    return markdown_table(headings, rows, "lr")


def _batches() -> str:
    rows = [
        [f"`{name}`", *(f"{tau:.3f}" for pair in zip(small, large, strict=True) for tau in pair)]
        for name, (small, large) in taus_by_batch().items()
    ]
    images = kept()["images"]
    headings = ["proxy", *(f"{size}, {DATASETS[table]}" for table in TABLES for size in ("small", images))]
    return (
        "## Larger batches\n\n"
        f"Kendall's tau over {len(kept()['scores'])} classes, drawn by chance, at one initialisation: with "
        "the small batch that the embedded scores have (20 images for `nwot`, `jacov` and `epe_nas`, 10 for "
        f"the others), and with the first {images} images of the training set, or as much noise.\n\n"
        f"{markdown_table(headings, rows, 'lr')}"
    )


def _seconds() -> str:
    spent = kept()["seconds"]
    rows = [[words, f"{value:.2f}"] for words, value in spent.items()]
    total = sum(spent.values())
    rows.append(["all", f"{total:.2f}"])
    hours = total * len(representatives()) / 3600
    return (
        "## What they cost\n\n"
        f"CPU seconds of a class, the mean of {TIMED} drawn by chance, on {kept()['machine']}. All classes "
        f"take {hours:.1f} core-hours for each initialisation.\n\n"
        f"{markdown_table(['', 'seconds'], rows, 'lr')}"
    )


# -- the figure ------------------------------------------------------------------------------


def figures(folder: Path) -> None:
    """Draw the page's figure into a folder."""
    pyplot = pictures.pyplot()
    figure, ((left, right),) = pictures.new(pyplot, 12, 5.6, columns=2)
    names, together = cross()
    _draw_taus(left, names)
    shown = right.imshow(together, cmap="RdBu", vmin=-1, vmax=1)
    right.set_xticks(range(len(names)), names, rotation=90)
    right.set_yticks(range(len(names)), names)
    for i, row in enumerate(together):
        for j, tau in enumerate(row):
            words = pictures.number(round(tau, 1) + 0.0, ".1f")  # so that there is no -0.0
            colour = "white" if abs(tau) > 0.6 else pictures.INK
            right.text(j, i, words, ha="center", va="center", fontsize=6, color=colour)
    pictures.finish(right, "Kendall's tau of each two scores", grid=False)
    bar = figure.colorbar(shown, ax=right, fraction=0.04, pad=0.02)
    bar.outline.set_visible(False)
    pictures.legend_below(figure, left, columns=3)
    pictures.save(figure, folder / "proxies.png", pyplot)


def _draw_taus(axes: Any, names: Sequence[str]) -> None:
    marks = zip(TABLES, (pictures.BLUE, pictures.ORANGE, pictures.GREEN), "os^", (-0.2, 0, 0.2), strict=True)
    for table, colour, marker, shift in marks:
        middle, spread = np.array([found(table)[name].typical("kendall") for name in names]).T
        axes.errorbar(middle, np.arange(len(names)) + shift, xerr=spread, fmt=marker, ms=4.5, lw=1,
                      color=colour, label=DATASETS[table])  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.axvline(0, color=pictures.MUTED, lw=0.8)
    axes.set(xlabel="Kendall's tau with the validation accuracy, ± half its range over initialisations")
    pictures.finish(axes, "How well scores rank all architectures")
