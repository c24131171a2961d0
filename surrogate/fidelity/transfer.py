"""Transfer: what a surrogate of one data set says about another."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import permutations
from typing import Any

from nb201env.comparison import kendall
from nb201env.space import all_ops
from nb201env.surrogate.fidelity.protocol import random_draw
from nb201env.surrogate.metrics import mean_and_std, top_kendall_tau
from nb201env.surrogate.regressor import SurrogateRegressor
from nb201env.table import Table
from nb201env.tables import open_table

SIZES = (20, 78, 156, 469)


def transfer_row(
    source: Table, goal: Table, size: int, draws: int, *, split: str, epochs: int
) -> dict[str, Any]:
    """How well one data set's architectures rank with the help of another data set.

    Args:
        source: The table of the known data set, known in full.
        goal: The table of the data set to predict.
        size: Training architectures on the goal.
        draws: Random draws to average over.
        split: The split, "valid" say, of both tables.
        epochs: Epochs completed, in both.

    Returns:
        Kendall tau on the goal's held-out architectures, mean and standard deviation over draws: "own"
        trained on the goal alone; "feature" with the source's accuracy as a feature besides; "as_is"
        the source's accuracies taken as predictions, without any training; and the same within the top 10 %.
    """
    names = ("own", "feature", "as_is")
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    truth = goal.accuracy(split=split, epochs=epochs, run="mean")
    known = source.accuracy(split=split, epochs=epochs, run="mean")
    encoding = f"paths+graph+transfer:{source.name}:{split}:{epochs}"
    for number in range(draws):
        train, rest = random_draw(truth, size, number)
        predictions = {"as_is": known[rest]}
        for name, features in (("own", "paths+graph"), ("feature", encoding)):
            model = SurrogateRegressor(encoding=features, random_state=number)
            predictions[name] = model.fit(all_ops()[train], truth[train]).predict(all_ops()[rest])
        for name in names:
            pair = (truth[rest], predictions[name])
            found[name].append((kendall(*pair), top_kendall_tau(*pair)))
    return {
        "from": source.name,
        "to": goal.name,
        "size": size,
        "draws": draws,
        "kendall_tau": {name: mean_and_std([tau for tau, _ in found[name]]) for name in names},
        "top_kendall_tau": {name: mean_and_std([tau for _, tau in found[name]]) for name in names},
    }


def check_sources(tables: Iterable[Table]) -> None:
    """Refuse tables that the encoding ``transfer:TABLE:SPLIT:EPOCHS`` cannot name.

    Raises:
        ValueError: If a table's name opens no table, or another one.
    """
    for table in tables:
        try:
            named = open_table(table.name)
        except (FileNotFoundError, KeyError, ValueError):
            named = None
        if named is None or named.id != table.id:
            raise ValueError(
                f"transfer needs tables that go by a name, and {table.name!r} does not open the one that was "
                "given; import it into NB201_HOME, or leave transfer out with --transfer-draws 0"
            )


def transfer(tables: Iterable[Table], *, split: str, epochs: int, draws: int) -> list[dict[str, Any]]:
    """`transfer_row` for every ordered pair of tables and all `SIZES`; tables go by embedded name."""
    return [
        transfer_row(source, goal, size, draws, split=split, epochs=epochs)
        for source, goal in permutations(tables, 2)
        for size in SIZES
    ]
