"""Who won and how sure that is: a few sentences, made from the numbers of a report.

The intervals of the sentences hold for all comparisons with the best agent together (Bonferroni), as the
marks of the tables do; those of the table of probabilities are of one pair each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nb201env.agents.report.data import Bench
from nb201env.agents.report.marks import Scores, alike, together
from nb201env.agents.report.ranks import Ranks
from nb201env.agents.report.statistics import Estimate, Reach, improvements
from nb201env.agents.report.summary import Overall, SettingSummary
from nb201env.agents.report.tables import budget_words, interval

USUAL = 10
"""The fewest searches of an agent that comparisons usually rest on."""
_NAMED = 4  # of more agents not all are named
_MEAN = "(interquartile mean)"
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Field:
    """What is compared: agents with their scores, lower ones better.

    Attributes:
        scores: By agent, per environment float64 [searches].
        result: By agent: the number that says who is best, a fraction.
        unit: Of these numbers times 100.
        what: A result in words, with "{}" for the number and its unit.
        perfect: The best there is, scores of 0, in words.
    """

    scores: Mapping[str, Scores]
    result: Mapping[str, Estimate]
    unit: str
    what: str
    perfect: str = "at the optimum"

    def with_interval(self, label: str) -> str:
        """An agent's result in words."""
        return self.what.format(interval(self.result[label], unit=self.unit))

    def alone(self, label: str) -> str:
        """An agent with its result: "PPO (0.03 points)"."""
        return f"{label} ({100 * self.result[label].value:.2f}{self.unit})"


def verdict(one: SettingSummary) -> tuple[str, ...]:
    """What the searches in one environment say."""
    agents = {agent.entry.label: agent for agent in one.agents}
    field = Field(
        {label: [agent.entry.finals()] for label, agent in agents.items()},
        {label: agent.iqm for label, agent in agents.items()},
        " points",
        "with a regret of {}",
    )
    first, *others = compared(field)
    reached = reached_by({label: agent.reach[0] for label, agent in agents.items()})
    sentences = [f"Within {budget_words(one.setting)}, {first}", *others, reached]
    if one.setting.landscape.table.manifest.get("kind", "measured") != "measured":
        sentences.append("All this is by predictions of a surrogate, not by results of trainings.")
    return tuple(sentences)


def verdict_overall(over: Overall, bench: Bench) -> tuple[str, ...]:
    """What the searches in all environments together say."""
    return overall_of(
        Field(over.gaps, over.gap, " %", "with {} of the median architecture's regret left"), over, bench
    )


def overall_of(field: Field, over: Overall, bench: Bench) -> tuple[str, ...]:
    """The same of any scores.

    Args:
        field: The scores.
        over: What else is known of the agents.
        bench: The searches that the scores are of.
    """
    first, *others = compared(field)
    environments = len(bench.settings)
    where = "both environments" if environments == 2 else f"all {in_words(environments)} environments"
    sentences = [f"Over {where}, {first}", *others]
    if over.ranks is not None and len(over.labels) > 2:
        sentences.append(_ranked(over.ranks))
    if absent := len(bench.labels) - len(over.labels):
        who = "One agent is" if absent == 1 else f"{in_words(absent).capitalize()} agents are"
        sentences.append(f"{who} left out here, without searches in every environment.")
    return tuple(sentences)


def warnings(scores: Mapping[str, Scores]) -> tuple[str, ...]:
    """What to beware of: few searches, or different numbers of them.

    Args:
        scores: By agent, per environment float64 [searches].
    """
    counts = {label: min(map(len, one)) for label, one in scores.items()}
    few = {label: count for label, count in counts.items() if count < USUAL}
    found = []
    if few:
        found.append(
            f"{_have_few(few, len(counts))}: intervals are wide, and a better agent may not show as one. At "
            f"least {USUAL} searches of each agent are usual; the NAS-Bench-201 paper ran 500."
        )
    if len(set(counts.values())) > 1:
        found.append(
            f"The agents have different numbers of searches, from {min(counts.values())} to "
            f"{max(counts.values()):,}: intervals of those with fewer are wider for that reason alone."
        )
    return tuple(found)


def _have_few(few: Mapping[str, int], agents: int) -> str:
    """ "PPO and A2C have only 5 searches each"."""
    least, most = min(few.values()), max(few.values())
    count = f"{in_words(least)} search{'' if least == 1 else 'es'}"
    if least != most:
        count = f"{least} to {most} searches"
    if len(few) == agents:
        return f"{'The agent' if agents == 1 else 'Every agent'} has only {count}"
    who = listed([*few]) if len(few) <= _NAMED else _upper(f"{in_words(len(few))} of the {agents} agents")
    return f"{who} has only {count}" if len(few) == 1 else f"{who} have only {count} each"


# -- who ends best ---------------------------------------------------------------------------


def compared(field: Field) -> list[str]:
    """Who ends best, who cannot be told apart from it, and whom it beats; something stands before the first.

    No sentence begins with an agent's name, which may have no capital.
    """
    labels = [*field.scores]
    first = min(labels, key=lambda label: field.result[label].value)
    perfect = [label for label in labels if not any(one.any() for one in field.scores[label])]
    if len(labels) == 1:
        at = f"{field.perfect} in every search" if perfect else f"{field.with_interval(first)} {_MEAN}"
        return [f"{first} ends {at}."]
    if len(perfect) == len(labels):
        return [f"{all_of(len(labels))} end {field.perfect} in every search."]
    if all(len(one) == 1 for scores in field.scores.values() for one in scores):
        return [
            f"{first} ended best, {field.with_interval(first)}; but one search of each agent does not say "
            "which of them is better."
        ]
    return _against(field, first, perfect)


def _against(field: Field, first: str, perfect: Sequence[str]) -> list[str]:
    others = [label for label in field.scores if label != first and label not in perfect]
    pairs = [(first, label) for label in others]
    comparisons = len(field.scores) - 1
    chances = {b: e for (_, b), e in improvements(field.scores, pairs, together(comparisons)).items()}
    others.sort(key=lambda label: chances[label].value)
    near = [label for label in others if alike(chances[label])]
    beaten = [label for label in others if label not in near]
    all_of_them = "both" if comparisons == 2 else f"all {in_words(comparisons)}"
    note = f" (95 % for {all_of_them} comparisons together)" if comparisons > 1 else ""
    sentences = [_leads(field, first, perfect)]
    if near:
        # One sentence names the level, for all.
        sentences.append(_not_told_apart(field, first, near, chances, len(perfect) > 1) + f"{note}.")
    if beaten:
        beats = _beats(field, beaten, chances, len(perfect) > 1)
        sentences.append(f"{beats}{'' if near else note}.")
    return sentences


def _leads(field: Field, first: str, perfect: Sequence[str]) -> str:
    if len(perfect) > 1:
        return f"{some(perfect)} end {field.perfect} in every search."
    at = f"{field.perfect} in every search" if perfect else f"{field.with_interval(first)} {_MEAN}"
    return f"{first} ends best, {at}."


def _not_told_apart(
    field: Field, first: str, near: Sequence[str], chances: Mapping[str, Estimate], several: bool
) -> str:
    they = "They" if several else "It"
    if len(near) == 1:
        (other,) = near
        return (
            f"{they} cannot be told apart from {field.alone(other)}: a search of {first} ends lower than one "
            f"of {other} with probability {_chance(chances[other])}"
        )
    least, most = (f"{100 * pick(chances[label].value for label in near):.0f}" for pick in (min, max))
    span = f"{least} %" if least == most else f"{least} to {most} %"
    what = (
        f"a search of {first} ends lower than one of theirs with a probability of {span}, and every interval "
        "holds 50"
    )
    if len(near) == len(field.scores) - 1 == 2:
        return f"Neither {near[0]} nor {near[1]} can be told apart from it: {what}"
    if len(near) == len(field.scores) - 1:
        return f"None of the other {in_words(len(near))} agents can be told apart from it: {what}"
    marked = " (marked in the tables)" if len(near) > _NAMED else ""
    return f"{they} cannot be told apart from {some(near)}{marked}: {what}"


def _beats(field: Field, beaten: Sequence[str], chances: Mapping[str, Estimate], several: bool) -> str:
    """Of more than three the closest."""
    it = "Each of them beats" if several else "It beats"
    if len(beaten) <= 3:
        each = [f"{field.alone(label)} with probability {_chance(chances[label])}" for label in beaten]
        return f"{it} {listed(each)}"
    closest = beaten[0]
    return (
        f"{it} {in_words(len(beaten))} agents, each with a probability of at least "
        f"{100 * chances[closest].value:.0f} %; the closest is {field.alone(closest)}, with "
        f"{_chance(chances[closest])}"
    )


def _ranked(ranks: Ranks) -> str:
    if ranks.p_value > 0.05:
        return f"Friedman's test does not tell the agents' ranks apart (p = {ranks.p_value:.2g})."
    first, *others = ranks.labels
    near = [label for label in others if ranks.mean[label] - ranks.mean[first] < ranks.critical]
    who = f"{some(near)} lie{'s' if len(near) == 1 else ''}" if near else "no other agent lies"
    return (
        f"By mean rank {first} leads ({ranks.mean[first]:.2f} of {len(ranks.labels)}); {who} within the "
        f"critical difference of {ranks.critical:.2f}."
    )


# -- who reaches the optimum -----------------------------------------------------------------


class Goal(NamedTuple):
    """What searches may reach, in words.

    Attributes:
        name: The goal.
        does: What a search does that reaches it.
        done: The same, said of the goal.
    """

    name: str
    does: str
    done: str


OPTIMUM = Goal("the optimum", "asks for", "asked for")


def reached_by(there: Mapping[str, Reach], goal: Goal = OPTIMUM) -> str:
    """Who reaches a goal, and how often."""
    order = sorted(there, key=lambda label: -there[label].share.value)
    some = [label for label in order if there[label].reached]
    if not some:
        who = ("", "No search", "No search of either agent")
        nobody = who[len(there)] if len(there) < 3 else "No search of any agent"
        return f"{nobody} {goal.does} {goal.name}."
    if all(one.reached == one.searches for one in there.values()):
        of = "" if len(there) == 1 else f" of {all_of(len(there))}"
        return f"Every search{of} {goal.does} {goal.name}."
    is_done = f"{goal.name[:1].upper()}{goal.name[1:]} is {goal.done}"
    if len(there) <= _NAMED:
        told = [_part_of(there[label]) + (f" of {label}" if len(there) > 1 else "") for label in order]
        return f"{is_done} by {listed(told)}."
    most, *more = some[:3]
    then = f", then {listed([f'{label} ({there[label].reached:,})' for label in more])}" if more else ""
    never = len(there) - len(some)
    rest = (
        f"; {in_words(never)} of the {len(there)} agents never do{'es' if never == 1 else ''}"
        if never
        else ""
    )
    return f"{is_done} most often by {most} ({_part_of(there[most])}){then}{rest}."


def _part_of(there: Reach) -> str:
    """ "8 of 10 searches"."""
    few = "none" if not there.reached else "all" if there.reached == there.searches else f"{there.reached:,}"
    if there.searches == 1:
        return "the one search" if there.reached else "no search"
    return f"{few} of {there.searches:,} searches" if few != "all" else f"all {there.searches:,} searches"


# -- words -----------------------------------------------------------------------------------


def _chance(estimate: Estimate) -> str:
    return str(interval(estimate, digits=0, unit=" %"))


def in_words(count: int) -> str:
    """ "no", "one", …; from ten on in digits."""
    return _NUMBERS[count] if count < len(_NUMBERS) else f"{count:,}"


def all_of(agents: int) -> str:
    """ "both agents" or "all three agents"."""
    return "both agents" if agents == 2 else f"all {in_words(agents)} agents"


def some(labels: Sequence[str]) -> str:
    """Names, or how many agents where they are many."""
    return listed(labels) if len(labels) <= _NAMED else f"{in_words(len(labels))} agents"


def _upper(text: str) -> str:
    """With a capital at the beginning if it is a number in words."""
    return text[:1].upper() + text[1:] if text.split(" ")[0] in _NUMBERS else text


def listed(texts: Sequence[str]) -> str:
    """ "a, b and c"."""
    return " and ".join(part for part in (", ".join(texts[:-1]), texts[-1]) if part)
