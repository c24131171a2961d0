"""Who found most of a front and how sure that is: a few sentences, made from the numbers of a report."""

from __future__ import annotations

from nb201env.agents.report.data import Bench
from nb201env.agents.report.fronts.summary import FRONT_TARGETS, FrontSetting
from nb201env.agents.report.fronts.tables import mean_points
from nb201env.agents.report.summary import Overall
from nb201env.agents.report.tables import budget_words
from nb201env.agents.report.verdict import Field, Goal, compared, overall_of, reached_by, some

_UNIT, _WHAT, _PERFECT = (
    " %",
    "with {} of the true front's hypervolume lacking",
    "with all of the hypervolume",
)


def verdict(one: FrontSetting) -> tuple[str, ...]:
    """What the searches in one environment say."""
    agents = {agent.entry.label: agent for agent in one.agents}
    field = Field(
        {label: [1 - agent.volumes] for label, agent in agents.items()},
        {label: agent.iqm for label, agent in agents.items()},
        _UNIT,
        _WHAT,
        _PERFECT,
    )
    first, *others = compared(field)
    goal = Goal(f"{FRONT_TARGETS[-1][0]}", "reaches", "reached")
    reached = reached_by({label: agent.reach[-1] for label, agent in agents.items()}, goal)
    sentences = [f"Within {budget_words(one.setting)}, {first}", *others, reached, _points(one)]
    if one.landscape.table.manifest.get("kind", "measured") != "measured":
        sentences.append("All this is by predictions of a surrogate, not by results of trainings.")
    return tuple(sentences)


def _points(one: FrontSetting) -> str:
    """Who asked for most points of the true front."""
    means = {agent.entry.label: mean_points(agent, one) for agent in one.agents}
    most, count = max(means.values()), len(one.landscape.front.index)
    if not most:
        return "No search asks for a point of the true front."
    what = "the one point" if count == 1 else f"the {count:,} points"
    if len(means) == 1:
        return f"Of {what} of the true front a search asks for {most:.1f} on average."
    first = [label for label, mean in means.items() if mean > most - 1e-9]
    return f"Of {what} of the true front most are asked for by {some(first)}: {most:.1f} on average."


def verdict_overall(over: Overall, bench: Bench) -> tuple[str, ...]:
    """What the searches in all environments with several objectives together say."""
    return overall_of(Field(over.gaps, over.gap, _UNIT, _WHAT, _PERFECT), over, bench)
