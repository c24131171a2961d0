"""What predictors of NAS-Bench-201 reach in the literature, at the report's training sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nb201env.output import markdown_table
from nb201env.surrogate.fidelity.forms import NONE, number, plain
from nb201env.surrogate.fidelity.protocol import PAPER_SIZES


@dataclass(frozen=True)
class Source:
    """Where figures were read, and what they are figures of.

    Attributes:
        mark: "V": read in what the authors published. "S": read in somebody else's summary of it. "M":
            remembered, neither read nor checked.
        where: Paper, and where its figures were read.
        labels: What the predictor learns and what it is tested on.
    """

    mark: str
    where: str
    labels: str


_PINAT = Source(
    "V",
    "Lu et al., PINAT, AAAI 2023, table 1, which its repository github.com/ShunLu91/PINAT shows in "
    "`nasbench/README.md`; the rows of NP and NAO come from TNASP (Lu et al., NeurIPS 2021), those of "
    "Graphormer and Arch2Vec were trained by PINAT's authors",
    "learns the validation accuracy and is tested on the **test** accuracy of all 15,625, those that it "
    "learnt from among them (`nasbench/train_nasbench.py`), both after 200 epochs and scaled by constants "
    "that are those of means over runs (`nasbench/datasets/nb201_dataset.py`)",
)
_FLOWER = Source(
    "S",
    "Hwang et al., FlowerFormer, CVPR 2024, arXiv:2403.12821, by a summary of its table; its repository "
    "github.com/y0ngjaenius/CVPR2024_FLOWERFormer confirms the sizes (1 % of 7,813)",
    "which accuracy it is, the summary does not say; each epoch is scored on further "
    "architectures and the best epoch kept (`experiments.py`), so it saw more than 78",
)
_NAR = Source(
    "M",
    "Yi et al., NAR-Former, CVPR 2023, arXiv:2211.08024, and NAR-Former V2, NeurIPS 2023",
    "which accuracy it is, is not known here; the repository github.com/yuny220/NAR-Former reads single runs "
    "beside means (`preprocessing/gen_json_201.py`)",
)
_GATES = Source(
    "M",
    "Ning et al., TA-GATES, NeurIPS 2022, also for GATES (ECCV 2020)",
    "learns on 1 % of one half of the space and is tested on the other half",
)

PUBLISHED: tuple[tuple[str, Mapping[int, float], Source], ...] = (
    ("PINAT", {78: 0.549, 156: 0.631, 469: 0.706, 781: 0.761, 1563: 0.784}, _PINAT),
    ("Graphormer", {78: 0.505, 156: 0.630, 469: 0.680, 781: 0.719, 1563: 0.776}, _PINAT),
    ("TNASP", {78: 0.539, 156: 0.589, 469: 0.640, 781: 0.689, 1563: 0.724}, _PINAT),
    ("Arch2Vec", {78: 0.542, 156: 0.573, 469: 0.601, 781: 0.606, 1563: 0.605}, _PINAT),
    ("NP", {78: 0.343, 156: 0.413, 469: 0.584, 781: 0.634, 1563: 0.646}, _PINAT),
    ("NAO", {78: 0.467, 156: 0.493, 469: 0.470, 781: 0.522, 1563: 0.526}, _PINAT),
    ("FlowerFormer", {78: 0.790}, _FLOWER),
    ("NAR-Former V2", {781: 0.874, 1563: 0.888}, _NAR),
    ("NAR-Former", {781: 0.849, 1563: 0.901}, _NAR),
    ("TA-GATES", {78: 0.769}, _GATES),
    ("GATES", {78: 0.740}, _GATES),
)
"""Predictor, Kendall tau on CIFAR-10 by number of training architectures, source."""


def section(table: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """The surrogate's Kendall tau on both kinds of label; on CIFAR-10 beside what is published.

    Args:
        table: A table's part of the report's summary.
        own: Its scores of the surrogate trained on means, by training size.

    Returns:
        Markdown; empty if no such size was measured.
    """
    one_run = table.get("one_run") or {"run": "", "scores": {}}
    sizes = [size for size in PAPER_SIZES if str(size) in own or str(size) in one_run["scores"]]
    if not sizes:
        return ""
    rows = [_measured("surrogate, means over runs", own, sizes)]
    if one_run["scores"]:
        rows.append(_measured(f"surrogate, one run (seed {one_run['run']})", one_run["scores"], sizes))
    heads = ["Kendall tau, N =", *map(str, sizes), "source"]
    if table["dataset"] != "cifar10":
        return markdown_table(heads[:-1], [row[:-1] for row in rows])
    sources = list(dict.fromkeys(source for _, _, source in PUBLISHED))
    for name, taus, source in PUBLISHED:
        cells = [number(taus[size]) if size in taus else NONE for size in sizes]
        rows.append([name, *cells, f"{source.mark} [{1 + sources.index(source)}]"])
    listed = [
        f"{place}. ({source.mark}) {source.where}. Labels: {source.labels}."
        for place, source in enumerate(sources, 1)
    ]
    return "\n\n".join([markdown_table(heads, rows), _HOW_TO_READ, "\n".join(listed)])


def _measured(name: str, scores: Mapping[str, Any], sizes: list[int]) -> list[str]:
    return [name, *(plain(scores.get(str(size), {}), "kendall_tau") for size in sizes), "measured here"]


_HOW_TO_READ = (
    "Published figures are of other draws and often of other labels, so a difference of a few hundredths "
    "says nothing. V: read in what the authors published; S: read in somebody else's summary of it; M: "
    "remembered, check it before quoting."
)
