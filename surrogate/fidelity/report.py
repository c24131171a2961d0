"""The fidelity report: measurements to one JSON value, and that to Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nb201env.output import in_markdown, markdown_table
from nb201env.surrogate.fidelity import published
from nb201env.surrogate.fidelity.baselines import SURROGATE
from nb201env.surrogate.fidelity.forms import NONE, Show, number, plain, points, with_spread
from nb201env.surrogate.fidelity.protocol import MEAN, Job
from nb201env.surrogate.fidelity.trust import trust
from nb201env.surrogate.metrics import mean_and_std
from nb201env.table import Table

Summary = dict[str, Any]

_DIGITS = 5


def summarise_table(
    table: Table,
    split: str,
    epochs: int,
    results: Mapping[Job, Mapping[str, float]],
    ceilings: Mapping[str, Mapping[str, float]],
) -> Summary:
    """One table's part of the report: the mean and standard deviation over draws of every score.

    Returns:
        "models": by model and training size, those trained and tested on means over runs; and "one_run", if
        it was measured: the "run" (a seed) that the surrogate was trained and tested on, and its "scores" by
        training size; besides what the table is, and its ceilings.
    """
    groups: dict[str, dict[int, list[Mapping[str, float]]]] = {}
    one_run: dict[str, dict[int, list[Mapping[str, float]]]] = {}
    for job, job_scores in sorted(results.items(), key=lambda item: (item[0].model != SURROGATE, item[0])):
        by_size = groups.setdefault(job.model, {}) if job.run == MEAN else one_run.setdefault(job.run, {})
        by_size.setdefault(job.size, []).append(job_scores)
    part = {
        "name": table.name,
        "id": table.id,
        "dataset": table.dataset,
        "split": split,
        "epochs": epochs,
        "ceilings": rounded(ceilings),
        "models": {model: _by_size(by_size) for model, by_size in groups.items()},
    }
    for run, by_size in one_run.items():
        part["one_run"] = {"run": run, "scores": _by_size(by_size)}
    return part


def _by_size(groups: Mapping[int, Sequence[Mapping[str, float]]]) -> Summary:
    return {str(size): _mean_and_std(rows) for size, rows in sorted(groups.items())}


def _mean_and_std(rows: Sequence[Mapping[str, float]]) -> Summary:
    names = [name for name in rows[0] if all(name in row for row in rows)]
    return {"draws": len(rows)} | {name: rounded(mean_and_std([row[name] for row in rows])) for name in names}


def rounded(value: Any) -> Any:
    """A JSON value with its numbers rounded to 5 digits after the point, for small, stable files.

    What is no finite number, such as the rank correlation of constants, becomes null.
    """
    if isinstance(value, float):
        return round(value, _DIGITS) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(entry) for entry in value]
    return value


# -- Markdown ------------------------------------------------------------------------------------

_ROWS: tuple[tuple[str, str, Show], ...] = (
    ("Kendall tau", "kendall_tau", plain),
    ("Spearman", "spearman", plain),
    ("sparse Kendall tau (0.1 points)", "sparse_kendall_tau", plain),
    ("Kendall tau within the top 10 %", "top_kendall_tau", plain),
    ("R2", "r2", plain),
    ("mean absolute error (points)", "mae", points),
    ("precision at 10", "precision_at_10", plain),
    ("precision at 50", "precision_at_50", plain),
    ("precision at 100", "precision_at_100", plain),
    ("regret of the predicted best (points)", "regret_of_best", points),
    ("coverage of the 50 % interval", "coverage_50", plain),
    ("coverage of the 80 % interval", "coverage_80", plain),
    ("coverage of the 95 % interval", "coverage_95", plain),
    ("rank correlation of error and uncertainty", "error_rank", plain),
    ("noise: earth mover's distance to real seeds (points)", "noise_wasserstein", points),
    ("noise: median difference of two runs, real (points)", "noise_median_real", points),
    ("noise: median difference of two runs, imagined (points)", "noise_median_imagined", points),
)


def markdown(summary: Mapping[str, Any], figures: Mapping[str, str], numbers: str = "fidelity.json") -> str:
    """The report as Markdown.

    Args:
        summary: What `evaluate` collected.
        figures: Names of figures to their paths, relative to the page.
        numbers: The path of the summary's file, relative to the page.
    """
    parts = [_head(summary, numbers)]
    if "learning" in figures:
        parts.append(f"![Kendall tau against training architectures]({figures['learning']})")
    parts += [_table_section(table) for table in summary["tables"]]
    if "calibration" in figures:
        parts.append(f"## Calibration\n\n{_CALIBRATION}\n\n![coverage]({figures['calibration']})")
    if summary.get("transfer"):
        parts.append(_transfer_section(summary["transfer"]))
    if summary.get("searches"):
        parts.append(_search_section(summary["searches"], figures))
    return "\n\n".join(parts) + "\n"


_CALIBRATION = (
    "How often the mean over seeds of a held-out architecture lies within the central interval of the "
    "predicted normal distribution. An honest uncertainty covers as often as it says."
)


def _head(summary: Mapping[str, Any], numbers: str) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in summary["versions"].items())
    parts = (summary, summary.get("searches", {}))
    writers = " and ".join(f"`{part['command']}`" for part in parts if "command" in part)
    made = (
        f"Written by {writers} with {versions}; the numbers behind it lie in `{numbers}`. Do not edit.\n\n"
        "Every model is trained on N random architectures and scored on **all** others, against the mean "
        "over seeds; figures are means over the random draws, ± their standard deviation "
        "over the draws (shaded in the figures). "
        "Encodings and settings were chosen on CIFAR-10 validation accuracy alone, on other draws than "
        "these; for the other data sets they were left as they are."
    )
    opening = trust(summary["tables"]) or "How far predictions may be trusted that stand in for a table."
    return f"# Fidelity of the surrogate\n\n{opening}\n\n{made}"


def _table_section(table: Mapping[str, Any]) -> str:
    name = in_markdown(table["name"])
    parts = [f"## {name}", _ceiling_text(table)]
    models = table["models"]
    if SURROGATE in models:
        own = models[SURROGATE]
        parts += [published.section(table, own), _score_table(own, table["ceilings"])]
    if len(models) > 1:
        parts += [f"### Baselines on {name}", _model_table(models, "kendall_tau", "Kendall tau")]
        parts.append(_model_table(models, "top_kendall_tau", "Kendall tau within the top 10 %"))
    return "\n\n".join(part for part in parts if part)


def _ceiling_text(table: Mapping[str, Any]) -> str:
    return (
        f"Split {table['split']!r}, {table['epochs']} epochs, table id `{table['id'][:12]}`. The last two "
        "columns are the noise ceiling: one seed taken as the prediction of another, and the mean of the "
        "other members of its canonical class as the prediction of an architecture's mean over seeds."
    )


def _score_table(own: Mapping[str, Any], ceilings: Mapping[str, Mapping[str, float]]) -> str:
    shown = [row for row in _ROWS if any(row[1] in scores for scores in own.values())]
    limits = [{name: {"mean": value} for name, value in ceilings[kind].items()} for kind in ("seed", "class")]
    rows = [
        [label, *(show(scores, name) for scores in [*own.values(), *limits])] for label, name, show in shown
    ]
    draws = [str(scores["draws"]) for scores in own.values()]
    heads = ["surrogate, N =", *own, "one seed for another", "class mean"]
    return markdown_table(heads, [*rows, ["random draws", *draws, NONE, NONE]])


def _model_table(models: Mapping[str, Any], score: str, label: str) -> str:
    sizes = sorted({int(size) for by_size in models.values() for size in by_size})
    rows = [
        [name, *(plain(by_size.get(str(n), {}), score) for n in sizes)] for name, by_size in models.items()
    ]
    return markdown_table([f"{label}, N =", *map(str, sizes)], rows)


def _transfer_section(rows: Sequence[Mapping[str, Any]]) -> str:
    body = [
        [in_markdown(row["from"]), in_markdown(row["to"]), str(row["size"])]
        + [with_spread(row["kendall_tau"][name]) for name in ("as_is", "own", "feature")]
        + [with_spread(row["top_kendall_tau"][name]) for name in ("as_is", "own", "feature")]
        for row in rows
    ]
    heads = ["known", "predicted", "N", "known as is", "N alone", "N + known", "top: as is", "N alone",
             "N + known"]  # fmt: skip
    return (
        "## Transfer between data sets\n\nKendall tau on one data set with all accuracies of another one "
        "known: taken as they are; not used (N architectures of the predicted data set alone); and used as "
        "a feature besides those N. The last three columns are within the top 10 %.\n\n"
    ) + markdown_table(heads, body)


def _search_section(searches: Mapping[str, Any], figures: Mapping[str, str]) -> str:
    fidelity = searches["trajectory_fidelity"]
    parts = [
        "## Trajectory fidelity",
        f"The same agents search on the surrogate's table `{_as_code(searches['surrogate']['name'])}` (id "
        f"`{searches['surrogate']['id'][:12]}`) and on `{_as_code(searches['table']['name'])}`, "
        f"{fidelity['queries']} queries each. Regret is by each table's own means; the band is the 5 to "
        '95 % quantiles over the searches on the table. "Found" is the regret, on the table, of what was '
        "found on the surrogate; ± is the standard deviation over searches. The p value is of the final "
        "regrets being alike (Mann-Whitney).",
        _agent_table(fidelity),
        _verdict(fidelity),
    ]
    if "searches" in figures:
        parts.append(f"![regret on surrogate and table]({figures['searches']})")
    parts.append("The searches:\n\n```text\n" + "\n".join(searches["commands"]) + "\n```")
    parts += ["## Leave-one-out by agent", _LEAVE_ONE_OUT, _leave_one_out_table(searches["leave_one_out"])]
    return "\n\n".join(parts)


def _as_code(name: str) -> str:
    """A name as it may stand between backticks."""
    return name.replace("`", "'")


def _agent_table(fidelity: Mapping[str, Any]) -> str:
    rows = [
        [name, str(one["searches_table"])]
        + [
            with_spread({"mean": one[f"{side}_mean"][-1], "std": one["final_std"][side]}, 100, 2)
            for side in ("table", "surrogate", "found")
        ]
        + [f"{100 * one['inside']:.0f} %", f"{one['p_value']:.2f}"]
        for name, one in fidelity["agents"].items()
    ]
    heads = ["agent", "searches", "final regret on table (points)", "on surrogate", "found",
             "queries inside the band", "p"]  # fmt: skip
    return markdown_table(heads, rows)


def _verdict(fidelity: Mapping[str, Any]) -> str:
    lines = []
    for name, one in fidelity["agents"].items():
        where, apart = _stretches(one["outside"]), _stretches(one["apart"])
        stays = f"leaves the band at queries {where}" if where else "stays inside the band throughout"
        lines.append(
            f"- {name}: the mean regret on the surrogate {stays}. "
            + (f"It differs from the table's mean by more than two standard errors at queries {apart}."
               if apart else "It nowhere differs from the table's mean by more than two standard errors.")
        )  # fmt: skip
    if fidelity["ranking_tau"] is None:  # one agent, or all alike: there is no order to compare
        return "\n".join(lines)
    order = ", ".join(fidelity["ranking_surrogate"]), ", ".join(fidelity["ranking_table"])
    lines.append(
        f"- Agents by mean final regret, best first: {order[0]} on the surrogate; {order[1]} on the table "
        f"(Kendall tau {fidelity['ranking_tau']:.2f}). Pairs that differ clearly on the table (p < 0.05): "
        f"{fidelity['clear_pairs']}, of which the surrogate orders {fidelity['clear_pairs_agree']} alike."
    )
    return "\n".join(lines)


def _stretches(ranges: Sequence[Sequence[int]]) -> str:
    return ", ".join(f"{first}–{last}" if first < last else str(first) for first, last in ranges)


_LEAVE_ONE_OUT = (
    "Trained on what one agent's searches on the table visited, tested on what another's visited and the "
    "first's did not (in the manner of NAS-Bench-301's leave-one-optimizer-out); \"everything\" is the "
    "whole rest of the space."
)


def _leave_one_out_table(rows: Iterable[Mapping[str, Any]]) -> str:
    body = [
        [row["train"], str(row["trained_on"]), row["test"], str(row["tested_on"])]
        + [number(row[name]) for name in ("kendall_tau", "sparse_kendall_tau", "r2")]
        for row in rows
    ]
    heads = ["trained on", "architectures", "tested on", "architectures", "Kendall tau", "sparse tau", "R2"]
    return markdown_table(heads, body)
