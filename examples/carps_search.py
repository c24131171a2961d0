"""CARP-S: its random search, and SMAC through it, on the environment over our CIFAR-10 table.

Run on 28 November 2026 with carps 1.1.0, smac 2.4.1, ConfigSpace 1.2.2, NumPy 2.4.6 and Python 3.11.7, in an
environment of their own (carps brings some 60 packages):

    pip install . carps smac
    python examples/carps_search.py

It printed:

    random search: 40 queries, 21 simulated GPU hours, best 89.90 %
    SMAC: 40 queries, 22 simulated GPU hours, best 91.12 %
"""

from __future__ import annotations

import tempfile

import gymnasium as gym
from carps.objective_functions.objective_function import ObjectiveFunction
from carps.optimizers.optimizer import Optimizer
from carps.optimizers.random_search import RandomSearchOptimizer
from carps.optimizers.smac20 import SMAC3Optimizer
from carps.utils.task import InputSpace, OptimizationResources, OutputSpace, Task, TaskMetadata
from carps.utils.trials import TrialInfo, TrialValue
from ConfigSpace import Categorical, ConfigurationSpace
from omegaconf import OmegaConf

import nb201env
from nb201env.space import EDGES, OPS

ENV, QUERIES = "NB201-cifar10-v0", 40
NAMES = [f"{source}_{target}" for source, target in EDGES]


class NB201(ObjectiveFunction):  # type: ignore[misc]  # where carps is not installed
    """The validation error of a cell; its virtual time is what the environment's clock says.

    Attributes:
        env: The search's environment, which keeps clock and budget.
        space: One categorical parameter for each edge.
        clock: Simulated seconds spent.
        asked: Every architecture and its accuracy.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.env = gym.make(ENV, actions="pick", budget_queries=QUERIES)
        self.env.reset(seed=seed)
        self.clock = 0.0
        self.space = ConfigurationSpace(seed=seed)
        self.space.add([Categorical(name, OPS) for name in NAMES])
        self.asked: list[tuple[str, str, float]] = []

    @property
    def configspace(self) -> ConfigurationSpace:
        """The space; optimizers draw from it, so it is one object."""
        return self.space

    def _evaluate(self, trial_info: TrialInfo) -> TrialValue:
        ops = [OPS.index(trial_info.config[name]) for name in NAMES]
        *_, info = self.env.step(ops)
        self.env.reset()
        self.clock = info["clock"]
        self.asked.append((info["architecture"], info["run"], info["accuracy"]))
        return TrialValue(cost=1 - info["accuracy"], virtual_time=info["seconds"])


def task_of(objective: NB201) -> Task:
    """The task: as many trials as the budget has queries."""
    about = TaskMetadata(domain="NAS", objective_function_approximation="tabular", has_virtual_time=True)
    return Task(
        name=ENV, objective_function=objective, input_space=InputSpace(objective.configspace),
        output_space=OutputSpace(), optimization_resources=OptimizationResources(n_trials=QUERIES),
        metadata=about, seed=0,
    )  # fmt: skip


def smac(task: Task, folder: str) -> Optimizer:
    """SMAC's facade for hyperparameters, as CARP-S's own configuration sets it."""
    facade = "smac.facade.hyperparameter_optimization_facade.HyperparameterOptimizationFacade"
    scenario = {"seed": 0, "n_trials": QUERIES, "objectives": ["quality"], "deterministic": True,
                "n_workers": 1, "output_directory": folder}  # fmt: skip
    settings = {"smac_class": facade, "scenario": scenario,
                "smac_kwargs": {"dask_client": None, "overwrite": True}}  # fmt: skip
    return SMAC3Optimizer(task, OmegaConf.create(settings))


def main() -> None:
    """Search twice, and compare every answer with the table."""
    table = nb201env.open_table("cifar10-valid-200")
    for name in ("random search", "SMAC"):
        objective = NB201(seed=0)
        with tempfile.TemporaryDirectory() as folder:
            task = task_of(objective)
            optimizer = smac(task, folder) if name == "SMAC" else RandomSearchOptimizer(task)
            _, found = optimizer.run()
        for architecture, run, accuracy in objective.asked:
            assert accuracy == table.query(architecture, split="valid", epochs=200, run=int(run)).accuracy
        assert optimizer.virtual_time_elapsed_seconds == objective.clock
        print(f"{name}: {len(objective.asked)} queries, {objective.clock / 3600:.0f} simulated GPU hours, "
              f"best {100 - 100 * found.cost:.2f} %")  # fmt: skip


if __name__ == "__main__":
    main()
