"""Optuna searches the embedded CIFAR-10 table, and the environment over it."""

from __future__ import annotations

import optuna

from nb201env import Architecture, open_table
from nb201env.space import OPS
from tests.clients.cells import EDGE_NAMES, Search
from tests.clients.probes import row, run

optuna.logging.set_verbosity(optuna.logging.ERROR)


def names(trial: optuna.Trial) -> dict[str, str]:
    return {edge: trial.suggest_categorical(edge, OPS) for edge in EDGE_NAMES}


@row("TPE on the environment")
def tpe() -> None:
    search = Search(60)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(lambda trial: search.ask(names(trial)), n_trials=60)
    search.check(60)
    assert study.best_value == max(accuracy for *_, accuracy in search.asked)


@row("NSGA-II on accuracy and size")
def nsga2() -> None:
    table = open_table("cifar10-valid-200")
    params = table.values("params")

    def both(trial: optuna.Trial) -> tuple[float, float]:
        cell = Architecture.of(names(trial))
        return table.query(cell, split="valid", epochs=200, run="mean").accuracy, params[cell.index]

    sampler = optuna.samplers.NSGAIISampler(seed=0)
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    study.optimize(both, n_trials=100)
    accuracies = table.accuracy(split="valid", epochs=200, run="mean")
    for trial in study.best_trials:
        index = Architecture.of(trial.params).index
        assert trial.values == [accuracies[index], params[index]]


if __name__ == "__main__":
    run()
