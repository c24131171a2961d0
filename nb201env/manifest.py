"""What a table's manifest says, read with every entry checked, and the id that follows from it.

A manifest holds, as plain JSON:

| entry | meaning |
| --- | --- |
| schema | 1 |
| name | a short name, such as "cifar10-valid-200"; not a part of the id |
| kind | "measured" (where it is missing) or "surrogate": predicted |
| task | {"name", "dataset", "splits": {split: {"images", "what"}}} |
| schedule | {"epochs", "what"}: how many epochs the learning rate was annealed over |
| seeds | the labels of the run axis, whole numbers; none if the table holds means over runs |
| columns | {column: {"unit", "what", "epochs", "scale", "missing", "accumulates"}}, see `Column` |
| arrays | {column: {"dtype", "shape", "sha256"}}, and "row" where rows are classes |
| provenance, licence, citation, … | where the numbers come from, whose they are; not a part of the id |
"""

from __future__ import annotations

from dataclasses import dataclass

from nb201env.container import DamagedTable, Manifest, digest
from nb201env.fields import Fields, shown
from nb201env.space import SIZE

SCHEMA = 1
KINDS = ("measured", "surrogate")
LONGEST_NAME = 200
"""Characters of a table's name: it stands in sentences, on pages and in figures."""
ROW = "row"
"""The array that says, for tables whose rows are classes, which row is an architecture's."""

_MOST_SEED = 2**63 - 1
_MOST_EPOCHS = 1_000_000
_UNSIGNED = ("U8", "U16", "U32")


@dataclass(frozen=True, slots=True)
class Column:
    """What one column holds.

    Attributes:
        unit: "fraction", "s", "count", …
        epochs: The epochs (epochs completed) at which it was recorded; empty for a property of the
            architecture.
        scale: Stored numbers are divided by this.
        missing: The stored number that stands for a missing run, for whole-number types.
        accumulates: It holds the seconds of each epoch, not the total up to it; without an axis of epochs
            they are the same for all.
        shape: [rows], [rows, runs] or [rows, runs, epochs].
    """

    unit: str
    epochs: tuple[int, ...]
    scale: float | None
    missing: int | None
    accumulates: bool
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class About:
    """What a table is, from its manifest.

    Attributes:
        name: Its short name.
        kind: One of `KINDS`.
        task: The task's name, such as "cifar10-valid".
        dataset: The data set's, such as "cifar10".
        epochs: The schedule's length.
        seeds: The seeds of the runs.
        columns: By name, sorted as in the manifest.
        id: See `id_of`.
    """

    name: str
    kind: str
    task: str
    dataset: str
    epochs: int
    seeds: tuple[int, ...]
    columns: dict[str, Column]
    id: str


def read_manifest(manifest: Manifest, where: str) -> About:
    """Read and check a manifest.

    Args:
        manifest: As a `Container` holds it.
        where: The file, for messages.

    Raises:
        DamagedTable: If it is no table's, or says something that cannot be: a column's shape that does not
            fit the seeds and epochs, an epoch beyond the schedule, a seed that stands twice, …
    """
    fields = Fields(manifest, where, DamagedTable)
    if fields.value.get("schema") != SCHEMA:
        raise DamagedTable(f"{where}: not a table of schema {SCHEMA}, but {shown(manifest.get('schema'))}")
    kind = fields.text("kind", default=KINDS[0])
    if kind not in KINDS:
        raise DamagedTable(f"{where}: not a table of schema {SCHEMA}, but of kind {shown(kind)}")
    task, schedule = fields.object("task"), fields.object("schedule")
    epochs = schedule.whole("epochs", least=1, most=_MOST_EPOCHS)
    seeds = fields.wholes("seeds", least=0, most=_MOST_SEED)
    if len(set(seeds)) < len(seeds):
        raise fields.refuse("seeds", "a seed stands twice")
    schedule.text("what", default="")
    _check_words(fields)
    return About(
        name=_name(fields),
        kind=kind,
        task=task.text("name"),
        dataset=task.text("dataset"),
        epochs=epochs,
        seeds=tuple(seeds),
        columns=_columns(fields, epochs, len(seeds)),
        id=id_of(manifest, _images(task)),
    )


def id_of(manifest: Manifest, images: dict[str, int]) -> str:
    """A table's id: the sha256 of its numbers and of what they are numbers of, and of nothing else.

    That is the kind, the task (its name, the data set, the images of each split), the schedule's length, the
    seeds, what decodes each column, and the sha256, type and shape of every array. Not the table's name, the
    file or folder it came from, who trained or converted it, or any text: whoever has the same numbers of the
    same task has the same id.

    Args:
        manifest: A manifest that `read_manifest` accepts.
        images: How many images each split has.
    """
    decoding = ("unit", "epochs", "scale", "missing", "accumulates")
    return digest(
        {
            "kind": manifest.get("kind", KINDS[0]),
            "task": {key: manifest["task"][key] for key in ("name", "dataset")} | {"images": images},
            "epochs": manifest["schedule"]["epochs"],
            "seeds": manifest["seeds"],
            "columns": {
                name: {key: spec[key] for key in decoding if key in spec}
                for name, spec in manifest["columns"].items()
            },
            "arrays": manifest["arrays"],
        }
    )


def _name(fields: Fields) -> str:
    name = fields.text("name")
    if not name or not name.isprintable():
        raise fields.refuse("name", "should be a text that can be printed")
    if len(name) > LONGEST_NAME:
        raise fields.refuse("name", f"should have at most {LONGEST_NAME} characters, not {len(name):,}")
    return name


def _check_words(fields: Fields) -> None:
    """The entries that are read by people, whose types programs rely on."""
    fields.object("provenance")
    fields.text("licence")
    if not isinstance(fields.value.get("citation", ""), str):
        fields.texts("citation")


def _images(task: Fields) -> dict[str, int]:
    splits = task.object("splits", default={})
    return {name: splits.object(name).whole("images", least=1) for name in splits.value}


def _columns(fields: Fields, epochs: int, runs: int) -> dict[str, Column]:
    specs, arrays = fields.object("columns"), fields.object("arrays")
    if not specs.value:
        raise fields.refuse("columns", "there is none")
    if {*specs.value, ROW} != {*arrays.value, ROW} or ROW in specs.value:
        raise fields.refuse("columns", f"should be those of the arrays: {', '.join(arrays.value):.80}")
    shapes = {name: tuple(spec["shape"]) for name, spec in arrays.value.items()}
    rows = _rows(fields, shapes)
    return {
        name: _column(specs.object(name), shapes[name], arrays.value[name]["dtype"], (rows, runs), epochs)
        for name in specs.value
    }


def _rows(fields: Fields, shapes: dict[str, tuple[int, ...]]) -> int:
    """How many rows each column has."""
    if ROW not in shapes:
        return SIZE
    if shapes[ROW] != (SIZE,) or fields.value["arrays"][ROW]["dtype"] not in _UNSIGNED:
        raise fields.refuse("arrays", f"{ROW!r} should be {SIZE} unsigned whole numbers")
    return max((shape[0] for name, shape in shapes.items() if name != ROW and shape), default=0)


def _column(spec: Fields, shape: tuple[int, ...], dtype: str, axes: tuple[int, int], schedule: int) -> Column:
    recorded = spec.wholes("epochs", least=1, most=schedule, default=[])
    if recorded != sorted(set(recorded)):
        raise spec.refuse("epochs", "should rise, each once")
    expected = (*axes, len(recorded))[: len(shape)]
    if not 1 <= len(shape) <= (3 if recorded else 2) or shape != expected:
        raise spec.error(f"{spec.where}: its shape is {list(shape)}; expected {[*axes, len(recorded)]}")
    whole = dtype[0] in "IU"
    if "missing" in spec.value and not whole:
        raise spec.refuse("missing", f"has no place in numbers of type {dtype}, where NaN is missing")
    column = Column(
        unit=spec.text("unit", default=""),
        epochs=tuple(recorded),
        scale=spec.number("scale") if "scale" in spec.value else None,
        missing=spec.whole("missing") if "missing" in spec.value else None,
        accumulates=spec.flag("accumulates", default=False),
        shape=shape,
    )
    spec.text("what", default="")
    if column.scale is not None and column.scale <= 0:
        raise spec.refuse("scale", "should be above 0")
    if column.accumulates and not recorded:
        raise spec.refuse("accumulates", "needs the epochs over which it does")
    if len(recorded) > 1 and len(shape) < 3 and not column.unit == "s":
        raise spec.refuse("epochs", "are several, but there is one number for all of them")
    return column
