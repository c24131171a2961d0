"""The numbers of searches with several objectives as CSV, in per cent, seconds and the objectives' units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from nb201env.agents.report.csv_rows import BAND, Row, curve_rows, improvement_rows, overall_rows, percent
from nb201env.agents.report.fronts.summary import FRONT_TARGETS, FrontAgent, FrontSetting
from nb201env.agents.report.fronts.tables import asked_for
from nb201env.agents.report.statistics import mean_estimate
from nb201env.agents.report.summary import Summary
from nb201env.arrays import FloatArray
from nb201env.output import named


def _agents(summary: Summary) -> Iterator[tuple[FrontSetting, FrontAgent]]:
    return ((one, agent) for one in summary.fronts for agent in one.agents)


def _searches(summary: Summary) -> Iterator[Row]:
    for one, agent in _agents(summary):
        finals = agent.volumes, agent.answer_volumes, agent.shares
        for search, volume, answer, share, *hits in zip(
            agent.entry.searches, *(values.tolist() for values in finals), *agent.hits, strict=True
        ):
            size = 0 if search.answer is None else len(search.answer)
            yield (
                one.setting.name, agent.entry.label, search.seed, search.queries, float(search.clock[-1]),
                100 * volume, 100 * answer, size, 100 * share, *(hit.queries for hit in hits),
                *(hit.seconds for hit in hits), one.landscape.table.id,
            )  # fmt: skip


def _by_agent(summary: Summary) -> Iterator[Row]:
    for one, agent in _agents(summary):
        yield (
            one.setting.name, agent.entry.label, len(agent.entry.searches), agent.queries, agent.unique,
            agent.seconds, *_spread(agent.volumes), *_spread(agent.answer_volumes), *_spread(agent.shares),
            *percent(agent.iqm),
        )  # fmt: skip


def _spread(fractions: FloatArray) -> list[float]:
    """Mean, standard deviation and the mean's interval, in per cent."""
    mean, low, high = percent(mean_estimate(fractions))
    return [mean, 100 * float(fractions.std()), max(low, 0.0), min(high, 100.0)]


def _reach(summary: Summary) -> Iterator[Row]:
    for one, agent in _agents(summary):
        by_target = agent.reach, agent.reach_unique, agent.reach_seconds
        for (_, within), there, different, seconds in zip(FRONT_TARGETS, *by_target, strict=True):
            yield (
                one.setting.name, agent.entry.label, 100 * (1 - within), *there, different.mean,
                seconds.median, *percent(there.share),
            )  # fmt: skip


def _curves(summary: Summary) -> Iterator[Row]:
    for one in summary.fronts:
        name = one.setting.name
        for agent in one.agents:
            for what, axis, curve in (
                ("gap", "queries", agent.gap_by_queries),
                ("gap", "seconds", agent.gap_by_seconds),
                ("share", "queries", agent.share_by_queries),
                ("share", "seconds", agent.share_by_seconds),
            ):
                yield from curve_rows(name, agent.entry.label, what, axis, curve=curve)
        for what, random in (("gap", one.random_gap), ("share", one.random_share)):
            if random is not None:
                yield from curve_rows(name, "random search, expected", what, "queries", curve=random)


def _points(summary: Summary) -> Iterator[Row]:
    """One row for each objective of each point of the true front."""
    for one in summary.fronts:
        front = one.landscape.front
        columns = zip(front.architectures, front.values.tolist(), asked_for(one).tolist(), strict=True)
        for number, (architecture, values, searches) in enumerate(columns, start=1):
            for known, value in zip(front.objectives, values, strict=True):
                yield (
                    one.setting.name, number, named(known.name), value, named(known.unit), searches,
                    architecture.official_index, str(architecture),
                )  # fmt: skip


def _attained(summary: Summary) -> Iterator[Row]:
    """One row for each objective of each corner of the median attainment surfaces."""
    for one, agent in _agents(summary):
        corners = [] if agent.surface is None else agent.surface.tolist()
        for number, values in enumerate(corners, start=1):
            for known, value in zip(one.landscape.all.objectives, values, strict=True):
                yield (
                    one.setting.name, agent.entry.label, number, named(known.name), value, named(known.unit)
                )  # fmt: skip


def _names(what: str) -> str:
    return " ".join(f"{what}{100 * (1 - within):.0f}" for _, within in FRONT_TARGETS)


def _spread_names(what: str) -> str:
    return " ".join(f"{what}_percent_{part}" for part in ("mean", "sd", "low", "high"))


FRONT_FILES: dict[str, tuple[str, Callable[[Summary], Iterable[Row]]]] = {
    "front_searches": (
        "environment agent seed queries gpu_seconds hypervolume_percent answer_hypervolume_percent "
        f"answer_architectures front_share_percent {_names('queries_to_')} {_names('gpu_seconds_to_')} "
        "table_id",
        _searches,
    ),
    "front_agents": (
        f"environment agent searches queries architectures gpu_seconds {_spread_names('hypervolume')} "
        f"{_spread_names('answer_hypervolume')} {_spread_names('front_share')} gap_percent_iqm low high",
        _by_agent,
    ),
    "front_reach": (
        "environment agent hypervolume_percent reached searches mean_queries median_queries longest_queries "
        "mean_architectures median_gpu_seconds percent_of_searches low high",
        _reach,
    ),
    "front_curves": (f"environment agent what axis x {BAND}", _curves),
    "front_points": (
        "environment point objective value unit asked_for_by official_index architecture",
        _points,
    ),
    "front_attained": ("environment agent corner objective value unit", _attained),
    "front_improvement": (
        "environment agent better_than percent low high",
        lambda summary: improvement_rows(summary.fronts, summary.front_overall),
    ),
    "front_overall": (
        "agent gap_percent_iqm low high mean_rank critical_difference blocks friedman_p",
        lambda summary: overall_rows(summary.front_overall),
    ),
}
"""By name: the headings, and what gives the rows."""
