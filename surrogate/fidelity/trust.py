"""The report's first words: what a surrogate may be trusted for, and what not, with the measured numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from nb201env.output import in_markdown
from nb201env.surrogate.fidelity.baselines import SURROGATE

FEW, MANY = 78, 1563
"""The training sizes that are spoken of, 0.5 and 10 % of the space; where they are not measured, the ends."""

Tables = Sequence[Mapping[str, Any]]


def trust(tables: Iterable[Mapping[str, Any]]) -> str:
    """What the measurements of the surrogate on these tables say, in Markdown; empty if there are none.

    Args:
        tables: As the report's summary holds them.
    """
    measured = [table for table in tables if table["models"].get(SURROGATE)]
    if not measured:
        return ""
    sizes = [int(size) for size in measured[0]["models"][SURROGATE]]
    few, many = (size if size in sizes else end for size, end in ((FEW, min(sizes)), (MANY, max(sizes))))
    said = [about(measured, few, many) for about in (_order, _best, _numbers, _uncertainty)]
    return "\n".join([_OPENING, "", *(f"- {line}" for line in said if line)])


_OPENING = (
    "What it may be trusted for, and what not. Ranges are over the data sets below, and each figure is the "
    "mean over random draws of the N architectures that it learns from; ± is the standard deviation over "
    "those draws, that is what one's own draw may be off by."
)


def _order(tables: Tables, few: int, many: int) -> str:
    tau = {size: _span(_means(tables, size, "kendall_tau")) for size in (few, many)}
    text = (
        f"**The order of the whole space: yes.** Kendall's tau over all architectures that it never saw is "
        f"{tau[many]} with N = {many}, and with N = {few} still {tau[few]}."
    )
    compared = [table for table in tables if table.get("one_run") and table["ceilings"]["seed"]]
    if not compared:
        return text
    ceilings = _span([table["ceilings"]["seed"]["kendall_tau"] for table in compared])
    return (
        f"{text} A run of each architecture orders the next runs with {ceilings}; the surrogate, where it "
        f"learns and predicts single runs, orders them better {', '.join(map(_passes, compared))}."
    )


def _passes(table: Mapping[str, Any]) -> str:
    """From which N on the surrogate of one run orders runs better than another run does."""
    ceiling, name = table["ceilings"]["seed"]["kendall_tau"], in_markdown(table["name"])
    above = {int(size): scores["kendall_tau"]["mean"] > ceiling
             for size, scores in table["one_run"]["scores"].items()}  # fmt: skip
    from_here = [size for size in above if all(beats for other, beats in above.items() if other >= size)]
    return f"from N = {min(from_here)} on ({name})" if from_here else f"at no N up to {max(above)} ({name})"


def _best(tables: Tables, few: int, many: int) -> str:
    if not _has(tables, few, many, "top_kendall_tau", "regret_of_best"):
        return ""
    tau = {size: _span(_means(tables, size, "top_kendall_tau")) for size in (few, many)}
    regret = {size: _span(_means(tables, size, "regret_of_best"), _points) for size in (few, many)}
    moves = max(_spreads(tables, few, "top_kendall_tau"))
    return (
        f"**The best among the best: no.** Within the top 10 % tau is {tau[few]} with N = {few}, where it "
        f"moves by up to ± {moves:.2f} from draw to draw, and {tau[many]} with N = {many}. What it predicts "
        f"to be best lies {regret[few]} points below the best with N = {few}, and {regret[many]} with "
        f"N = {many}: train the first of its list before you choose among them."
    )


def _numbers(tables: Tables, few: int, many: int) -> str:
    if not _has(tables, few, many, "mae"):
        return ""
    error = {size: _span(_means(tables, size, "mae"), _points) for size in (few, many)}
    text = (
        f"**Accuracies as numbers: with N = {many}, not with {few}.** The mean error is {error[many]} points "
        f"with N = {many}, and {error[few]} with N = {few}"
    )
    runs = [table["ceilings"]["seed"]["mae"] for table in tables if table["ceilings"]["seed"]]
    return f"{text}; two runs differ by {_span(runs, _points)} on average." if runs else f"{text}."


def _uncertainty(tables: Tables, few: int, many: int) -> str:
    if not _has(tables, few, many, "coverage_80", "coverage_95", "error_rank"):
        return ""
    names = ("coverage_80", "coverage_95", "error_rank")
    sizes = [int(size) for size in tables[0]["models"][SURROGATE] if int(size) >= few]
    middle, wide, rank = ([mean for size in sizes for mean in _means(tables, size, name)] for name in names)
    moves = _percent(max(_spreads(tables, few, "coverage_80")))
    return (
        f"**Its uncertainty: for many architectures together, not for one.** From N = {few} on the 80 % "
        f"interval covers {_span(middle, _percent)} % on average; with N = {few} that moves by up to "
        f"± {moves} points from draw to draw. Large errors are more frequent than a normal distribution has "
        f"them: the 95 % interval covers {_span(wide, _percent)} %. Which errors are large it knows roughly: "
        f"their rank correlation with the uncertainty is {_span(rank)}."
    )


# -- numbers -------------------------------------------------------------------------------------


def _scores(tables: Tables, size: int) -> list[Mapping[str, Any]]:
    """The scores of every table that was measured at this size."""
    found = (table["models"][SURROGATE].get(str(size)) for table in tables)
    return [scores for scores in found if scores]


def _means(tables: Tables, size: int, name: str) -> list[float]:
    return [scores[name]["mean"] for scores in _scores(tables, size)]


def _spreads(tables: Tables, size: int, name: str) -> list[float]:
    return [scores[name]["std"] for scores in _scores(tables, size)]


def _has(tables: Tables, few: int, many: int, *names: str) -> bool:
    every = [*_scores(tables, few), *_scores(tables, many)]
    return all(scores.get(name, {}).get("mean") is not None for scores in every for name in names)


def _points(value: float) -> str:
    return f"{100 * value:.2f}"


def _percent(value: float) -> str:
    return f"{100 * value:.0f}"


def _three(value: float) -> str:
    return f"{value:.3f}"


def _span(values: Sequence[float], form: Callable[[float], str] = _three) -> str:
    """The least and the greatest, or the one if they read alike."""
    low, high = form(min(values)), form(max(values))
    return low if low == high else f"{low} to {high}"
