"""Syne Tune's simulator runs its schedulers on blackboxes made of our tables."""

from __future__ import annotations

import logging
import os
import tempfile
from typing import Any

import numpy as np
from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend.simulator_backend.simulator_callback import SimulatorCallback
from syne_tune.blackbox_repository import UserBlackboxBackend
from syne_tune.optimizer.baselines import ASHA, REA, RandomSearch

from nb201env import Architecture, open_table
from nb201env.compat import syne_tune_blackbox
from tests.clients.probes import row, run

ERROR, ELAPSED, ADDS = "metric_valid_error", "metric_elapsed_time", "syne_tune_blackbox(table, run='sample')"


@row("RandomSearch, simulated", adds=ADDS)
def random_search() -> None:
    check(*tune("cifar10-valid-200", lambda space: RandomSearch(space, metrics=[ERROR], random_seed=0)))


@row("REA, simulated", adds=ADDS)
def rea() -> None:
    def scheduler(space: Any) -> Any:
        return REA(space, metric=ERROR, population_size=20, sample_size=5, random_seed=0)

    check(*tune("cifar10-valid-200", scheduler))


@row("ASHA on learning curves, simulated", adds=ADDS)
def asha() -> None:
    def scheduler(space: Any) -> Any:
        return ASHA(space, metric=ERROR, time_attr="hp_epoch", max_t=10, random_seed=0)

    table, results = tune("digits-10", scheduler, look=0.01)  # its epochs take fractions of a second
    check(table, results)
    last = results.groupby("trial_id")["hp_epoch"].max()
    assert (last < 10).sum() > (last == 10).sum() > 0, "few trials should be trained to the end"


def tune(name: str, scheduler: Any, look: float = 5) -> tuple[Any, Any]:
    """Run 100 trials, and look at them every so many simulated seconds.

    Returns:
        The table, and Syne Tune's own record of all that was reported.
    """
    logging.disable(logging.WARNING)
    blackbox = syne_tune_blackbox(name, run="sample")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SYNETUNE_FOLDER"] = folder
        np.random.seed(0)  # noqa: NPY002  # Syne Tune draws the trials' seeds from it
        backend = UserBlackboxBackend(blackbox, elapsed_time_attr=ELAPSED, tuner_sleep_time=look)
        callback = SimulatorCallback()
        stop = StoppingCriterion(max_num_trials_finished=100)
        Tuner(backend, scheduler(blackbox.configuration_space), stop, n_workers=4, sleep_time=0,
              callbacks=[callback], save_tuner=False).run()  # fmt: skip
        return open_table(name), callback.dataframe()


def check(table: Any, results: Any) -> None:
    """Hold every reported error and time to one of the architecture's runs."""
    assert results["trial_id"].nunique() >= 100
    for _, result in results.iterrows():
        cell = Architecture.of({f"hp_x{edge}": result[f"config_hp_x{edge}"] for edge in range(6)})
        epochs = int(result["hp_epoch"])
        runs = 1 - table.runs(split="valid", epochs=epochs)[cell.index]
        seconds = table.run_seconds(epochs=epochs)[cell.index]
        assert any(error == result[ERROR] and abs(time - result[ELAPSED]) < 0.2
                   for error, time in zip(runs, seconds, strict=True))  # fmt: skip


if __name__ == "__main__":
    run()
