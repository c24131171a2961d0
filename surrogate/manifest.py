"""What the manifest of a surrogate's file must say before anything is made of it.

Whoever wrote the file may have written anything, with correct hashes. So every entry is read with its
type and bounds, an entry that nothing here writes is refused, and no entry names a file: the tables
that an encoding reads go by name, and only with the ids that the file was fitted with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nb201env.fields import Fields, shown
from nb201env.surrogate.encodings import check_stored
from nb201env.surrogate.evaluations import COSTS
from nb201env.surrogate.targets import TARGETS

Json = dict[str, Any]
SPLITS = ("train", "valid", "test")
_MOST_SEED = 2**32 - 1
_MOST = 10**6  # of trees, epochs and so on: more than anyone trains, and no overflow


@dataclass(frozen=True)
class RegressorSpec:
    """What the manifest says of one `SurrogateRegressor`.

    Attributes:
        settings: Its arguments.
        center, scale: Of the training targets on the target's scale.
        members: How many boosters it has.
    """

    settings: Json
    center: float
    scale: float
    members: int


@dataclass(frozen=True)
class Models:
    """What the manifest says of all models of a surrogate.

    Attributes:
        accuracy: Of the accuracy at the last epoch.
        costs: Of seconds, by column.
        noise: The arguments of the `NoiseModel`, if there is one.
        curves: Of each component of the learning curves; empty if there are none.
        curve_target: The scale of the curves.
    """

    accuracy: RegressorSpec
    costs: dict[str, RegressorSpec]
    noise: Json | None
    curves: tuple[RegressorSpec, ...]
    curve_target: str


def only(fields: Fields, names: Iterable[str]) -> None:
    """Refuse entries other than these."""
    for name in fields.value:
        if name not in names:
            raise fields.refuse(name, "is no entry of it")


def read_fitted(fields: Fields) -> Json:
    """What a surrogate was fitted on and with, checked; see `nb201env.surrogate.model.Surrogate.manifest`."""
    only(fields, ("table", "task", "schedule", "licence", "citation", "split", "epochs", "settings",
                  "random_state", "encoding_tables", "versions", "held_out_scores", "run_several_times",
                  "cross_validation", "source"))  # fmt: skip
    table, task = fields.object("table"), fields.object("task")
    for one, name in ((table, "name"), (table, "id"), (task, "name"), (task, "dataset"), (fields, "licence")):
        one.text(name)
    fields.object("schedule").whole("epochs", least=1, most=_MOST)
    fields.texts("citation")
    _one_of(fields, "split", SPLITS)
    epochs = fields.wholes("epochs", least=0, most=_MOST)
    if not epochs or sorted(set(epochs)) != epochs:
        raise fields.refuse("epochs", "should be one epoch or several, rising")
    _seed(fields)
    for name in ("encoding_tables", "versions"):
        inner = fields.object(name)
        for key in inner.value:
            inner.text(key)
    fields.object("versions").text("xgboost")
    _numbers(fields.object("held_out_scores"))
    fields.whole("run_several_times", least=0, most=_MOST, default=0)  # older files do not say
    if "cross_validation" in fields.value:
        _cross_validation(fields.object("cross_validation"))
    if "source" in fields.value:
        _source(fields.object("source"))
    _settings(fields.object("settings"), fields.object("encoding_tables").value, seed=False)
    return fields.value


def read_models(fields: Fields, fitted: Json) -> Models:
    """What the file's models are, checked; `fitted` is what `read_fitted` returned."""
    only(fields, ("accuracy", "costs", "noise", "curves"))
    tables, several = fitted["encoding_tables"], len(fitted["epochs"]) > 1
    costs = fields.object("costs")
    only(costs, COSTS)
    if ("curves" in fields.value) != several:
        raise fields.refuse("curves", "curves are for several epochs, and several epochs need them")
    curves, target = _curves(fields.object("curves"), tables) if several else ((), "")
    return Models(
        accuracy=_regressor(fields.object("accuracy"), tables),
        costs={name: _regressor(costs.object(name), tables) for name in costs.value},
        noise=_noise(fields.object("noise"), tables) if "noise" in fields.value else None,
        curves=curves,
        curve_target=target,
    )


def _numbers(fields: Fields) -> None:
    for name in fields.value:
        fields.number(name)


def _cross_validation(fields: Fields) -> None:
    only(fields, ("folds", "architectures", "scores", "spread", "kendall_tau_95"))
    for name in ("folds", "architectures"):
        fields.whole(name, least=2, most=_MOST)
    for name in ("scores", "spread"):
        _numbers(fields.object(name))
    if "kendall_tau_95" in fields.value:
        interval = fields.object("kendall_tau_95")
        only(interval, ("low", "high"))
        for name in ("low", "high"):
            interval.number(name, least=-1, most=1)


def _source(fields: Fields) -> None:
    only(fields, ("file", "sha256", "rows", "key", "values", "unit"))
    for name in ("file", "sha256", "key", "unit"):
        fields.text(name)
    fields.whole("rows", least=1, most=_MOST)
    fields.texts("values")


def _regressor(fields: Fields, tables: Mapping[str, str]) -> RegressorSpec:
    only(fields, ("settings", "center", "scale", "members"))
    return RegressorSpec(
        _settings(fields.object("settings"), tables),
        center=fields.number("center"),
        scale=fields.number("scale", least=0),
        members=fields.whole("members", least=1, most=_MOST),
    )


def _settings(fields: Fields, tables: Mapping[str, str], *, seed: bool = True) -> Json:
    """The arguments of a `SurrogateRegressor` but "n_jobs", and with `seed` the "random_state"."""
    found: Json = {
        "encoding": _encoding(fields, tables),
        "target": _one_of(fields, "target", TARGETS),
        "n_members": fields.whole("n_members", least=1, most=_MOST),
        "n_estimators": fields.whole("n_estimators", least=1, most=_MOST),
        "max_depth": None
        if _is_null(fields, "max_depth")
        else fields.whole("max_depth", least=1, most=_MOST),
    }
    for name in ("learning_rate", "min_child_weight", "subsample", "colsample_bytree"):
        found[name] = fields.number(name, least=0)
    if seed:
        found["random_state"] = _seed(fields)
    only(fields, found)
    return found


def _noise(fields: Fields, tables: Mapping[str, str]) -> Json:
    only(fields, ("encoding", "target", "seed"))
    return {
        "encoding": _encoding(fields, tables),
        "target": _one_of(fields, "target", TARGETS),
        "seed": fields.whole("seed", least=0, most=_MOST_SEED),
    }


def _curves(fields: Fields, tables: Mapping[str, str]) -> tuple[tuple[RegressorSpec, ...], str]:
    only(fields, ("target", "parts"))
    parts = tuple(_regressor(part, tables) for part in fields.objects("parts"))
    if not parts:
        raise fields.refuse("parts", "should be one or more")
    return parts, _one_of(fields, "target", TARGETS)


def _encoding(fields: Fields, tables: Mapping[str, str]) -> str:
    name = fields.text("encoding")
    try:
        check_stored(name, tables)
    except (ValueError, LookupError, OSError) as error:
        raise fields.refuse("encoding", str(error)) from error
    return name


def _seed(fields: Fields) -> int | None:
    """The entry "random_state": a seed, or null where there was none to record."""
    if _is_null(fields, "random_state"):
        return None
    return fields.whole("random_state", least=0, most=_MOST_SEED)


def _one_of(fields: Fields, name: str, known: Iterable[str]) -> str:
    text = fields.text(name)
    if text not in known:
        raise fields.refuse(name, f"should be one of {', '.join(known)}, not {shown(text)}")
    return text


def _is_null(fields: Fields, name: str) -> bool:
    return name in fields.value and fields.value[name] is None
