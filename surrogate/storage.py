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
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from xgboost import Booster
from xgboost.core import XGBoostError

from nb201env.arrays import Array, FloatArray, IntArray
from nb201env.container import Container, write
from nb201env.fields import Fields, shown
from nb201env.space import NUM_EDGES, SIZE, decode
from nb201env.surrogate.boosting import VALUE, VARIANCE, VarianceModel
from nb201env.surrogate.curves import CurveRegressor
from nb201env.surrogate.encodings import check_stored, transfer_tables
from nb201env.surrogate.manifest import RegressorSpec, only, read_fitted, read_models
from nb201env.surrogate.model import Surrogate
from nb201env.surrogate.noise import NoiseModel
from nb201env.surrogate.regressor import SurrogateRegressor
from nb201env.surrogate.trees import check, pack

KIND = "surrogate-model"
SCHEMA = 1
_CLOSE = 1e-4  # relative; processors round differently, another reading of the trees is far off
_MOST_TIMES, _SPARE = 32, 1 << 24  # unpacked bytes of all boosters: so often the file's size, and so many


class NotASurrogate(ValueError):
    """A file that is a sound container but no surrogate that this version can load."""


def save(surrogate: Surrogate, path: str | os.PathLike[str]) -> str:
    """Write a surrogate to one file, atomically, and return the file's id.

    The same surrogate gives the same bytes.

    Raises:
        ValueError: If its encoding cannot be saved; see `check_can_be_saved`.
        OSError: If the file cannot be written.
    """
    check_can_be_saved(surrogate.accuracy.encoding)
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
        arrays["noise.variance"] = _pack(surrogate.noise.variance_.booster, VARIANCE)
        arrays["noise.shapes"] = surrogate.noise.shapes_
    if surrogate.curves is not None:
        models["curves"] = _pack_curves(surrogate.curves, arrays)
    arrays["check"] = _check_values(surrogate)
    manifest = {"kind": KIND, "schema": SCHEMA, "fitted": surrogate.manifest, "models": models}
    return write(path, manifest, arrays)


def check_can_be_saved(encoding: str | None) -> None:
    """Raise ValueError for an encoding that no file can name: None, or one that reads a table by its path."""
    if encoding is None:
        raise ValueError("a surrogate with encoding=None cannot be saved: its features are not known")
    try:
        check_stored(encoding, transfer_tables(encoding))
    except ValueError as error:
        raise ValueError(f"a surrogate with encoding {encoding!r} cannot be saved: {error}") from error


def load(path: str | os.PathLike[str]) -> Surrogate:
    """Read a surrogate.

    The file may come from anyone: all of it is checked before it is used, the trees before XGBoost
    reads them, and unpacking takes no more memory than 32 times the file's size and 16 MB.

    Raises:
        FileNotFoundError: If there is no such file.
        DamagedTable: If it is no container, or not the bytes that were written.
        NotASurrogate: If it is another kind of container (a table, say) or another schema, an entry
            or an array is not what belongs there, a table that its encoding reads is not the one it
            was fitted with, or the installed XGBoost does not predict what the file says it predicted.
    """
    file = Container(path)
    kind, schema = file.manifest.get("kind", "table"), file.manifest.get("schema")
    if (kind, type(schema), schema) != (KIND, int, SCHEMA):
        found = shown(kind).strip('"') + (f" of schema {shown(schema)}" if kind == KIND else "")
        raise NotASurrogate(f"{path}: a {found}, not a {KIND} of schema {SCHEMA}; fit one and save it")
    reader = _Reader(file)
    surrogate = reader.surrogate()
    _check_predictions(surrogate, reader)
    return surrogate


def _check_predictions(surrogate: Surrogate, reader: _Reader) -> None:
    path = reader.file.path
    try:
        with np.errstate(all="ignore"):  # what overflows is refused below
            found = _check_values(surrogate)
    except (XGBoostError, ValueError, LookupError) as error:
        raise NotASurrogate(f"{path}: its trees do not fit its encoding; get a fresh copy") from error
    if not np.isfinite(found).all():
        raise NotASurrogate(f"{path}: it predicts what is no number; get a fresh copy")
    if not np.allclose(found, reader.floats("check", *found.shape), rtol=_CLOSE):
        raise NotASurrogate(
            f"{path}: written with xgboost {surrogate.manifest['versions']['xgboost']}, of which the "
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


def _pack(booster: Any, objective: str) -> Array:
    return np.frombuffer(zlib.compress(pack(booster, objective), 9), dtype=np.uint8)


def _pack_regressor(name: str, regressor: SurrogateRegressor, arrays: dict[str, Array]) -> dict[str, Any]:
    """Add a regressor's boosters to the arrays and return what the manifest says of it."""
    for number, booster in enumerate(regressor.boosters_):
        arrays[f"{name}.member{number}"] = _pack(booster, VALUE)
    if regressor.variance_ is not None:
        arrays[f"{name}.variance"] = _pack(regressor.variance_.booster, VARIANCE)
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


class _Reader:
    """Makes a surrogate of an open file: first its manifest is read, then array by array."""

    def __init__(self, file: Container) -> None:
        self.file = file
        head = Fields(file.manifest, str(file.path), NotASurrogate)
        only(head, ("arrays", "kind", "schema", "fitted", "models"))
        self.fitted = read_fitted(head.object("fitted"))
        self.models = read_models(head.object("models"), self.fitted)
        self.left = _SPARE + _MOST_TIMES * file.path.stat().st_size

    def surrogate(self) -> Surrogate:
        """The surrogate; whether it predicts what it should is for others to check."""
        epochs, models = len(self.fitted["epochs"]), self.models
        return Surrogate(
            accuracy=self._regressor("accuracy", models.accuracy),
            noise=None if models.noise is None else self._noise(models.noise, epochs),
            costs={name: self._regressor(f"costs.{name}", spec) for name, spec in models.costs.items()},
            curves=self._curves(models.curves, epochs) if models.curves else None,
            time_shares=self.floats("time_shares", epochs),
            architectures=self._architectures(),
            manifest=self.fitted,
        )

    def floats(self, name: str, *shape: int | None) -> FloatArray:
        """An array of finite numbers of this shape; see `_array`."""
        values: FloatArray = self._array(name, np.float64, shape)
        if not np.isfinite(values).all():
            raise self._unfit(name, "holds what is no number")
        return values

    def _regressor(self, name: str, spec: RegressorSpec) -> SurrogateRegressor:
        regressor = SurrogateRegressor(**spec.settings)
        regressor.boosters_ = [self._booster(f"{name}.member{n}", VALUE) for n in range(spec.members)]
        variance = f"{name}.variance"
        regressor.variance_ = None
        if variance in self.file:
            regressor.variance_ = VarianceModel.of(self._booster(variance, VARIANCE))
        regressor.center_, regressor.scale_ = spec.center, spec.scale
        regressor.n_features_in_ = NUM_EDGES
        return regressor

    def _noise(self, settings: dict[str, Any], epochs: int) -> NoiseModel:
        variance = VarianceModel.of(self._booster("noise.variance", VARIANCE))
        return NoiseModel.of(settings, variance, self.floats("noise.shapes", None, epochs))

    def _curves(self, specs: Sequence[RegressorSpec], epochs: int) -> CurveRegressor:
        parts = [self._regressor(f"curves.{number}", spec) for number, spec in enumerate(specs)]
        mean, components = (
            self.floats("curves.mean", epochs), self.floats("curves.components", len(parts), epochs)
        )  # fmt: skip
        return CurveRegressor.of(mean, components, parts, self.models.curve_target)

    def _booster(self, name: str, objective: str) -> Booster:
        packed = self._array(name, np.uint8, (None,))
        unpacker, booster = zlib.decompressobj(), Booster({"nthread": 1})
        try:
            content = unpacker.decompress(packed.tobytes(), max(1, self.left))
            if not unpacker.eof or unpacker.unused_data:
                raise ValueError("its packed bytes do not end where they should")
            self.left -= len(content)
            check(content, objective)
            booster.load_model(bytearray(content))
            booster.num_boosted_rounds()  # only now does XGBoost judge its parameters
        except (zlib.error, XGBoostError, ValueError) as error:
            why = "XGBoost refuses them" if isinstance(error, XGBoostError) else error
            raise self._unfit(name, f"holds no trees that can be used ({why})") from error
        return booster

    def _architectures(self) -> IntArray:
        train: IntArray = self._array("architectures", np.uint16, (None,)).astype(np.int64)
        if train.max() >= SIZE or (np.diff(train) <= 0).any():
            raise self._unfit("architectures", "holds no rising indices of architectures")
        return train

    def _array(self, name: str, dtype: npt.DTypeLike, shape: tuple[int | None, ...]) -> Array:
        """An array of this type and shape; where the shape says None, of any length but 0."""
        if name not in self.file:
            raise self._unfit(name, "is missing")
        array = self.file.array(name)
        fits = len(array.shape) == len(shape) and all(
            found == expected if expected else found > 0
            for found, expected in zip(array.shape, shape, strict=True)
        )
        if array.dtype != np.dtype(dtype) or not fits:
            wanted = ", ".join("any" if length is None else str(length) for length in shape)
            raise self._unfit(name, f"is {array.dtype} {list(array.shape)}, not {np.dtype(dtype)} [{wanted}]")
        return array

    def _unfit(self, name: str, why: str) -> NotASurrogate:
        return NotASurrogate(f"{self.file.path}: the array {name!r} {why}; get a fresh copy")
