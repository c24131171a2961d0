"""Saving and loading a surrogate, without pickle.

The file is a container like a table's (`nb201env.container`): a manifest and arrays with their
sha256, so damage is found before a number is used. The arrays are the boosters in XGBoost's own
UBJSON (compressed with zlib), the training architectures, the noise's shapes, and what the
surrogate predicted when it was saved for a few architectures: versions of XGBoost before 3.1 read
trees of later ones without complaint and predict something else, so loading compares.
"""

from __future__ import annotations

import os
import zlib
from typing import Any

import numpy as np
from xgboost import Booster
from xgboost.core import XGBoostError

from nb201env.arrays import Array, FloatArray, IntArray
from nb201env.container import Container, write
from nb201env.space import SIZE, decode
from nb201env.surrogate.boosting import VarianceModel
from nb201env.surrogate.curves import CurveRegressor
from nb201env.surrogate.encodings import transfer_tables
from nb201env.surrogate.model import Surrogate
from nb201env.surrogate.noise import NoiseModel
from nb201env.surrogate.regressor import SurrogateRegressor

KIND = "surrogate-model"
SCHEMA = 1
_CLOSE = 1e-4  # relative; processors round differently, another reading of the trees is far off
_MOST_BYTES = 1 << 28  # of one unpacked booster: a damaged or hostile file must not fill the memory


class NotASurrogate(ValueError):
    """A file that is a sound container but no surrogate that this version can load."""


def save(surrogate: Surrogate, path: str | os.PathLike[str]) -> str:
    """Write a surrogate to one file, atomically, and return the file's id.

    The same surrogate gives the same bytes.

    Raises:
        ValueError: If its regressor takes features instead of architectures (encoding=None).
        OSError: If the file cannot be written.
    """
    if surrogate.accuracy.encoding is None:
        raise ValueError("a surrogate with encoding=None cannot be saved: its features are not known")
    arrays: dict[str, Array] = {
        "architectures": surrogate.architectures.astype(np.uint16),
        "time_shares": surrogate.time_shares,
    }
    models: dict[str, Any] = {"accuracy": _pack_regressor("accuracy", surrogate.accuracy, arrays)}
    models["costs"] = {
        name: _pack_regressor(f"costs.{name}", cost, arrays) for name, cost in surrogate.costs.items()
    }
    if surrogate.noise is not None:
        models["noise"] = surrogate.noise.settings()
        arrays["noise.variance"] = _pack(surrogate.noise.variance_.booster)
        arrays["noise.shapes"] = surrogate.noise.shapes_
    if surrogate.curves is not None:
        models["curves"] = _pack_curves(surrogate.curves, arrays)
    arrays["check"] = _check_values(surrogate)
    manifest = {"kind": KIND, "schema": SCHEMA, "fitted": surrogate.manifest, "models": models}
    return write(path, manifest, arrays)


def load(path: str | os.PathLike[str]) -> Surrogate:
    """Read a surrogate.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedTable: If it is no container, or not the bytes that were written.
        NotASurrogate: If it is another kind of container (a table, say) or another schema, a table
            that its encoding reads is not the one it was fitted with, or the installed XGBoost does
            not predict what the file says it predicted.
    """
    file = Container(path)
    if file.manifest.get("kind") != KIND or file.manifest.get("schema") != SCHEMA:
        found = file.manifest.get("kind", "table")
        raise NotASurrogate(f"{path}: a {found}, not a {KIND} of schema {SCHEMA}; fit one and save it")
    models, fitted = file.manifest["models"], file.manifest["fitted"]
    _check_tables(path, models["accuracy"]["settings"]["encoding"], fitted["encoding_tables"])
    surrogate = Surrogate(
        accuracy=_regressor("accuracy", models["accuracy"], file),
        noise=_noise(models["noise"], file) if "noise" in models else None,
        costs={name: _regressor(f"costs.{name}", spec, file) for name, spec in models["costs"].items()},
        curves=_curves(models["curves"], file) if "curves" in models else None,
        time_shares=_floats(file, "time_shares"),
        architectures=_architectures(file),
        manifest=fitted,
    )
    _check_predictions(surrogate, file)
    return surrogate


def _check_predictions(surrogate: Surrogate, file: Container) -> None:
    try:
        same = np.allclose(_check_values(surrogate), file.array("check"), rtol=_CLOSE)
    except (XGBoostError, ValueError) as error:
        raise NotASurrogate(f"{file.path}: its trees do not fit its encoding; get a fresh copy") from error
    if not same:
        raise NotASurrogate(
            f"{file.path}: written with xgboost {surrogate.manifest['versions']['xgboost']}, of which the "
            "installed one makes other predictions; install that version, or fit again"
        )


def _check_values(surrogate: Surrogate) -> FloatArray:
    """Everything that the surrogate predicts for a few architectures, float64 [architectures, values]."""
    index = np.arange(0, SIZE, SIZE // 16)
    ops = decode(index)
    costs = [surrogate.costs[name].predict(ops) for name in sorted(surrogate.costs)]
    values = [*surrogate.predict(index), *costs]
    if surrogate.noise is not None:
        values.append(surrogate.noise.deviation(ops))
    if surrogate.curves is not None:
        values += list(surrogate.curves.predict(ops).T)
    return np.stack(values, axis=1)


# -- writing -------------------------------------------------------------------------------------


def _pack(booster: Any) -> Array:
    return np.frombuffer(zlib.compress(booster.save_raw("ubj"), 9), dtype=np.uint8)


def _pack_regressor(name: str, regressor: SurrogateRegressor, arrays: dict[str, Array]) -> dict[str, Any]:
    """Add a regressor's boosters to the arrays and return what the manifest says of it."""
    for number, booster in enumerate(regressor.boosters_):
        arrays[f"{name}.member{number}"] = _pack(booster)
    if regressor.variance_ is not None:
        arrays[f"{name}.variance"] = _pack(regressor.variance_.booster)
    settings = {key: value for key, value in regressor.get_params().items() if key != "n_jobs"}
    if not isinstance(settings["random_state"], int | None):
        settings["random_state"] = None  # a generator has moved on; there is no seed to record
    return {
        "settings": settings,
        "center": regressor.center_,
        "scale": regressor.scale_,
        "members": len(regressor.boosters_),
    }


def _pack_curves(curves: CurveRegressor, arrays: dict[str, Array]) -> dict[str, Any]:
    arrays["curves.mean"] = curves.mean_
    arrays["curves.components"] = curves.components_
    parts = [_pack_regressor(f"curves.{k}", part, arrays) for k, part in enumerate(curves.regressors_)]
    return {"target": curves.target, "parts": parts}


# -- reading -------------------------------------------------------------------------------------


def _check_tables(path: str | os.PathLike[str], encoding: str, expected: dict[str, str]) -> None:
    for name, table_id in transfer_tables(encoding).items():
        if expected.get(name) != table_id:
            raise NotASurrogate(
                f"{path}: its encoding reads the table {name!r} with id {expected.get(name)}, but here "
                f"that table has id {table_id}; get the same table, or fit again"
            )


def _booster(file: Container, name: str) -> Booster:
    booster, unpacker = Booster({"nthread": 1}), zlib.decompressobj()
    try:
        booster.load_model(bytearray(unpacker.decompress(file.array(name).tobytes(), _MOST_BYTES)))
    except (zlib.error, XGBoostError) as error:
        raise NotASurrogate(f"{file.path}: {name!r} holds no XGBoost model; get a fresh copy") from error
    return booster


def _regressor(name: str, spec: dict[str, Any], file: Container) -> SurrogateRegressor:
    regressor = SurrogateRegressor(**spec["settings"])
    regressor.boosters_ = [_booster(file, f"{name}.member{number}") for number in range(spec["members"])]
    variance = f"{name}.variance"
    regressor.variance_ = VarianceModel.of(_booster(file, variance)) if variance in file else None
    regressor.center_, regressor.scale_ = spec["center"], spec["scale"]
    regressor.n_features_in_ = 6
    return regressor


def _noise(settings: dict[str, Any], file: Container) -> NoiseModel:
    variance = VarianceModel.of(_booster(file, "noise.variance"))
    return NoiseModel.of(settings, variance, _floats(file, "noise.shapes"))


def _curves(spec: dict[str, Any], file: Container) -> CurveRegressor:
    parts = [_regressor(f"curves.{k}", part, file) for k, part in enumerate(spec["parts"])]
    return CurveRegressor.of(
        _floats(file, "curves.mean"), _floats(file, "curves.components"), parts, spec["target"]
    )


def _floats(file: Container, name: str) -> FloatArray:
    return file.array(name).astype(np.float64)


def _architectures(file: Container) -> IntArray:
    train = file.array("architectures").astype(np.int64)
    if train.ndim != 1 or (len(train) and train.max() >= SIZE):
        raise NotASurrogate(f"{file.path}: its training architectures are no indices; get a fresh copy")
    return train
