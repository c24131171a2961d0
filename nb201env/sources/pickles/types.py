"""What stands for the few classes and functions that official files name.

Nothing here is, or calls, the thing that the file names. A name is turned into a `Global`; when
the file "calls" it, the function that stands for it (in `NUMBERS`, `IMAGES` or `WITH_WEIGHTS`)
computes inert data from inert data, or refuses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_DTYPES = {
    "b1": 1, "i1": 1, "i2": 2, "i4": 4, "i8": 8, "u1": 1, "u2": 2, "u4": 4, "u8": 8, "f2": 2, "f4": 4, "f8": 8
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Global:
    """A class or function that a file names; only its name."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True, slots=True)
class DType:
    """A plain little-endian number type, such as "f8"."""

    code: str


@dataclass(slots=True)
class PickledArray:
    """A numpy array whose content is still to come."""

    value: np.ndarray[Any, Any] | None = None


@dataclass(slots=True)
class PickledObject:
    """An object of a class that is no more than a name here: what its attributes are."""

    attributes: dict[str, Any]


class Weights:
    """Stands for trained weights, which are not imported."""

    __slots__ = ()


WEIGHTS = Weights()


class Refused(ValueError):
    """The file asks for something that no official file asks for."""


def _ordered_dict(args: tuple[Any, ...]) -> dict[Any, Any]:
    if not args:
        return {}
    (pairs,) = args
    if not (type(pairs) is list and all(type(p) in (list, tuple) and len(p) == 2 for p in pairs)):
        raise Refused("OrderedDict of something that is not a list of pairs")
    check_keys([pair[0] for pair in pairs])
    return dict(pairs)


def _set(args: tuple[Any, ...]) -> set[Any]:
    (items,) = args or ([],)
    if type(items) not in (list, tuple):
        raise Refused("a set of something that is not a list")
    return set(check_items(items))


def _text(value: Any) -> Any:
    """Python 2 writes its short texts as bytes."""
    return value.decode("latin1") if type(value) is bytes else value


def _dtype(args: tuple[Any, ...]) -> DType:
    code = _text(args[0]) if args else None
    if type(code) is not str or code.lstrip("<|=") not in _DTYPES:
        raise Refused(f"numpy type {str(code)[:20]!r}; only plain little-endian numbers are read")
    return DType(code.lstrip("<|="))


def _scalar(args: tuple[Any, ...]) -> Any:
    if len(args) != 2 or type(args[0]) is not DType or type(args[1]) is not bytes:
        raise Refused("a numpy number that is not a type and its bytes")
    if len(args[1]) != _DTYPES[args[0].code]:
        raise Refused(f"a numpy number of type {args[0].code} in {len(args[1])} bytes")
    return np.frombuffer(args[1], dtype="<" + args[0].code)[0].item()


def _encode(args: tuple[Any, ...]) -> bytes:
    if len(args) != 2 or type(args[0]) is not str or args[1] != "latin1":
        raise Refused("an encoding that is not latin1")
    try:
        return args[0].encode("latin1")
    except UnicodeEncodeError:
        raise Refused("bytes that are not latin1") from None


def _reconstruct(_args: tuple[Any, ...]) -> PickledArray:
    return PickledArray()


def _frombuffer(args: tuple[Any, ...]) -> PickledArray:
    if len(args) != 4:
        raise Refused("a numpy array without bytes, type, shape and order")
    data, dtype, shape, order = args
    array = PickledArray()
    set_array(array, (1, shape, dtype, order == "F", data))
    return array


def _weights(_args: tuple[Any, ...]) -> Weights:
    return WEIGHTS


def new_object(args: tuple[Any, ...]) -> PickledObject:
    """Stands for a class whose objects are nothing but their attributes.

    Raises:
        Refused: If it is to be made of anything.
    """
    if args:
        raise Refused("an object made of arguments")
    return PickledObject({})


def set_attributes(target: PickledObject, state: Any) -> None:
    """Give an object its attributes.

    Raises:
        Refused: If they are no dictionary of names.
    """
    if type(state) is not dict or not all(type(name) is str for name in state):
        raise Refused(f"attributes that are a {type(state).__name__}, not named values")
    target.attributes = state


def check_dtype(state: Any) -> None:
    """Check the state of a numpy type: a byte order, and none of the fields of a record.

    Raises:
        Refused: If it is anything else.
    """
    if type(state) is not tuple or not 7 <= len(state) <= 9 or _text(state[1]) not in ("<", "|", "="):
        raise Refused("a numpy type that is not little-endian")
    if any(type(x) is tuple or type(x) is dict for x in state):
        raise Refused("a numpy type with fields")


def set_array(array: PickledArray, state: Any) -> None:
    """Fill a numpy array from its state: version, shape, type, order, bytes.

    Raises:
        Refused: If the parts do not fit each other.
    """
    if type(state) is not tuple or len(state) != 5:
        raise Refused("a numpy array without shape, type and bytes")
    _, shape, dtype, fortran, data = state
    if type(dtype) is not DType or type(data) is not bytes:
        raise Refused("a numpy array of something that is not plain numbers")
    if type(shape) is not tuple or len(shape) > 8 or not all(type(n) is int and n >= 0 for n in shape):
        raise Refused("a numpy array without a shape")
    count = math.prod(shape)
    if count * _DTYPES[dtype.code] != len(data):
        raise Refused(f"a numpy array of {count} numbers in {len(data)} bytes")
    array.value = np.frombuffer(data, dtype="<" + dtype.code).reshape(shape, order="F" if fortran else "C")


LARGEST_KEY = 1 << 64
"""Python's whole numbers share a hash at intervals of 2**61 - 1, so keys without this bound could all share
one. Then filling a dictionary takes as many steps as the square of its size. The hashes of texts cannot be
foreseen."""


def check_keys(keys: Sequence[Any]) -> None:
    """Dictionary keys: texts, bytes, whole numbers of at most eight bytes, a flat tuple of texts and at
    most one such number, or six digits; nothing that is slow to hash, nothing whose hash can be chosen.

    Raises:
        Refused: If they are anything else.
    """
    kinds = set(map(type, keys))
    if kinds == {str} or (kinds == {int} and min(keys) >= -LARGEST_KEY and max(keys) < LARGEST_KEY):
        return
    for key in keys:
        if not (
            type(key) is bytes
            or _is_plain(key)
            or (type(key) is tuple and (_is_flat(key) or _is_digits(key)))
        ):
            large = " of more than eight bytes" if type(key) is int else ""
            raise Refused(f"a dictionary key that is a {type(key).__name__}{large}")


def check_items(items: Sequence[Any]) -> Sequence[Any]:
    """Items for a set: texts, and whole numbers of at most eight bytes.

    Raises:
        Refused: If they are anything else.
    """
    if not all(map(_is_plain, items)):
        raise Refused("a set of something that is not texts and numbers of at most eight bytes")
    return items


def _is_plain(value: Any) -> bool:
    return type(value) is str or (type(value) is int and -LARGEST_KEY <= value < LARGEST_KEY)


def _is_flat(key: tuple[Any, ...]) -> bool:
    return len(key) <= 4 and all(map(_is_plain, key)) and sum(type(part) is int for part in key) <= 1


def _is_digits(key: tuple[Any, ...]) -> bool:
    """Six digits, as the ops of a cell: there are too few such keys for their hashes to matter."""
    return len(key) == 6 and all(type(part) is int and 0 <= part <= 9 for part in key)


Call = Callable[[tuple[Any, ...]], Any]
NUMBERS: dict[Global, Call | None] = {
    Global("collections", "OrderedDict"): _ordered_dict,
    Global("builtins", "set"): _set,
    Global("__builtin__", "set"): _set,
    Global("numpy", "dtype"): _dtype,
    Global("numpy.core.multiarray", "scalar"): _scalar,
    Global("numpy._core.multiarray", "scalar"): _scalar,
    Global("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    Global("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    Global("_codecs", "encode"): _encode,
    Global("numpy", "ndarray"): None,
}
"""All that files of numbers name; None for names that are only ever arguments."""
IMAGES = NUMBERS | {
    Global("numpy.core.numeric", "_frombuffer"): _frombuffer,
    Global("numpy._core.numeric", "_frombuffer"): _frombuffer,
}
"""All that files of images name, in every protocol."""

_STORAGES = ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
WITH_WEIGHTS: dict[Global, Call | None] = (
    NUMBERS
    | {Global("torch", f"{name}Storage"): None for name in _STORAGES}
    | {
        Global("torch._utils", "_rebuild_tensor"): _weights,
        Global("torch._utils", "_rebuild_tensor_v2"): _weights,
        Global("torch._utils", "_rebuild_parameter"): _weights,
        Global("torch.storage", "_load_from_bytes"): _weights,
    }
)
"""The same, plus what files with trained weights name; the weights are passed over."""
