"""Surrogates that predict a table from a part of one, and measure how faithfully they do.

    from nb201env import open_table
    from nb201env.surrogate import SurrogateTable, fit_surrogate

    table = open_table("cifar10-valid-200")
    surrogate = fit_surrogate(table, range(0, 15625, 10), split="valid", epochs=200)
    predicted = SurrogateTable(surrogate)

Importing this package loads neither XGBoost nor scikit-learn; the names below do.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nb201env.extras import check

if TYPE_CHECKING:
    from nb201env.surrogate.curves import CurveRegressor as CurveRegressor
    from nb201env.surrogate.files import read_evaluations as read_evaluations
    from nb201env.surrogate.model import Surrogate as Surrogate
    from nb201env.surrogate.model import fit as fit
    from nb201env.surrogate.model import fit_evaluations as fit_evaluations
    from nb201env.surrogate.model import fit_surrogate as fit_surrogate
    from nb201env.surrogate.noise import NoiseModel as NoiseModel
    from nb201env.surrogate.regressor import SurrogateRegressor as SurrogateRegressor
    from nb201env.surrogate.storage import load as load
    from nb201env.surrogate.storage import save as save
    from nb201env.surrogate.tables import SurrogateTable as SurrogateTable
    from nb201env.surrogate.tables import materialise as materialise

_HOME = {
    "CurveRegressor": "curves",
    "NoiseModel": "noise",
    "Surrogate": "model",
    "SurrogateRegressor": "regressor",
    "SurrogateTable": "tables",
    "fit": "model",
    "fit_evaluations": "model",
    "fit_surrogate": "model",
    "load": "storage",
    "materialise": "tables",
    "read_evaluations": "files",
    "save": "storage",
}
__all__ = ["DEFAULT_MODEL", "default_model", *sorted(_HOME)]

DEFAULT_MODEL = "cifar10-valid-200-surrogate-model.safetensors"
"""The shipped model's file in ``surrogate/models``; `default_model` opens it."""


def default_model() -> Surrogate:
    """The shipped surrogate, trained on 1,563 architectures of the table "cifar10-valid-200".

    Raises:
        MissingExtra: If XGBoost or scikit-learn is not installed.
    """
    check_extra()
    from nb201env.surrogate.storage import load

    return load(Path(__file__).parent / "models" / DEFAULT_MODEL)


def check_extra() -> None:
    """Raise MissingExtra unless everything that a surrogate needs is installed."""
    for module in ("joblib", "scipy", "sklearn", "xgboost"):
        check(module, "surrogate")


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'nb201env.surrogate' has no attribute {name!r}")
    check_extra()
    return getattr(importlib.import_module(f"nb201env.surrogate.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
