"""What Triton compiles: a kernel with the kinds of its arguments, listed without a GPU and without PyTorch.

Triton compiles a kernel anew for other constants, other types, pointers that are aligned to 16 bytes
and those that are not, integers that are 1, a multiple of 16 or neither. A `Variant` is one such
combination, with arguments that stand for all others of their kind. It can be written to a file on
one machine and compiled on another.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from nb201env.fields import Fields, shown
from nb201env.files import read_limited
from nb201env.training import gpu

_ALIGNED = 16  # bytes of a pointer, or units of an integer
_KIND = "training.gpu variants 1"
_OPTIONS = ("num_warps", "num_stages")
"""What a list may set of Triton's options; others name files to link."""
_LONGEST_LIST = 10_000_000
Constant = bool | int | float | str | None


class _Tensor(Protocol):
    dtype: Any

    def data_ptr(self) -> int: ...


@dataclass(frozen=True)
class Pointer:
    """Stands for a tensor, for Triton too.

    Attributes:
        dtype: As PyTorch names it: "bfloat16".
        aligned: Whether its address is a multiple of 16.
    """

    dtype: str
    aligned: bool

    def data_ptr(self) -> int:
        """An address that is as aligned."""
        return 0 if self.aligned else 1


@dataclass(frozen=True)
class Variant:
    """One thing to compile.

    Attributes:
        kernel: Where it is: "nb201env.training.gpu.kernels:convolve".
        arguments: By parameter; constants as they are, of the others one that stands for its kind.
        options: Such as num_warps.
    """

    kernel: str
    arguments: dict[str, Pointer | Constant]
    options: dict[str, Constant]

    @property
    def name(self) -> str:
        """The kernel's name."""
        return self.kernel.partition(":")[2]

    @property
    def text(self) -> str:
        """JSON that is the same for the same variant, and for no other."""
        return json.dumps(
            {
                "kernel": self.kernel,
                "arguments": {
                    name: {"pointer": value.dtype, "aligned": value.aligned}
                    if isinstance(value, Pointer)
                    else value
                    for name, value in self.arguments.items()
                },
                "options": dict(sorted(self.options.items())),
            }
        )

    @classmethod
    def read(cls, entries: Fields) -> Variant:
        """Back from its `text`, by way of a file; raises as `entries` does."""
        entries.refuse_others(["kernel", "arguments", "options"])
        named, options = entries.object("arguments"), entries.object("options")
        options.refuse_others(_OPTIONS)
        return cls(
            entries.text("kernel"),
            {name: _argument(named, name) for name in named.value},
            {name: options.whole(name, least=0, most=64) for name in options.value},
        )


def _argument(named: Fields, name: str) -> Pointer | Constant:
    value = named.value[name]
    if isinstance(value, dict):
        pointer = named.object(name)
        return Pointer(pointer.text("pointer"), pointer.flag("aligned"))
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise named.refuse(name, "should be a constant or a pointer")


def variant_of(kernel: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Variant:
    """What Triton would compile for a launch ``kernel[grid](*arguments, **keywords)``.

    Raises:
        TypeError: If an argument is of a kind that no kernel here takes, such as a tuple.
    """
    parameters = {parameter.name: parameter for parameter in kernel.params}
    named = {name: value for name, value in keywords.items() if name in parameters}
    options = {name: value for name, value in keywords.items() if name not in parameters}
    bound = kernel.signature.bind(*arguments, **named)
    bound.apply_defaults()
    return Variant(
        f"{kernel.module}:{kernel.__name__}",
        {name: _stand_in(parameters[name], value) for name, value in bound.arguments.items()},
        {name: _constant(name, value) for name, value in options.items()},
    )


def _stand_in(parameter: Any, value: Any) -> Pointer | Constant:
    """The argument that stands for all that Triton does not tell from this one."""
    if parameter.is_constexpr:
        return _constant(parameter.name, value)
    told = not parameter.do_not_specialize
    alignment = told and not parameter.do_not_specialize_on_alignment
    if hasattr(value, "data_ptr"):
        tensor: _Tensor = value
        aligned = not alignment or tensor.data_ptr() % _ALIGNED == 0
        return Pointer(str(tensor.dtype).removeprefix("torch."), aligned)
    if isinstance(value, float):
        return 0.5
    if isinstance(value, bool):
        return True
    if isinstance(value, int):
        return _integer(value, told, alignment)
    return _constant(parameter.name, value)


def _integer(value: int, told: bool, alignment: bool) -> int:
    if value == 1 and told:
        return 1
    narrow = -(2**31) <= value < 2**31
    if not narrow and not -(2**63) <= value < 2**63:
        raise TypeError(f"a kernel's integers have at most 64 bits; got {value}")
    multiple = _ALIGNED if narrow else 2**32
    return multiple if alignment and value % _ALIGNED == 0 else multiple + 1


def _constant(name: str, value: Any) -> Constant:
    if value is None or type(value) in (bool, int, float, str):
        return value  # type: ignore[no-any-return]
    raise TypeError(f"argument {name} is {value!r}; constants are numbers, strings, True, False or None")


def distinct(variants: Iterable[Variant]) -> list[Variant]:
    """Each variant once, in the order of their first occurrence."""
    return list({variant.text: variant for variant in variants}.values())


def write_variants(variants: Iterable[Variant], path: Path) -> None:
    """Write a list of variants as JSON, one a line."""
    lines = ",\n".join(variant.text for variant in variants)
    path.write_text(f'{{"kind": "{_KIND}", "variants": [\n{lines}\n]}}\n', encoding="utf-8")


def read_variants(path: Path) -> list[Variant]:
    """Read what `write_variants` wrote.

    Raises:
        ValueError: If it is no such list.
        OSError: If it cannot be read.
    """
    try:
        found = Fields.parse(read_limited(path, _LONGEST_LIST), "it")
        if (kind := found.text("kind")) != _KIND:
            raise found.refuse("kind", f"should be {_KIND!r}, not {shown(kind)}")
        return [Variant.read(entries) for entries in found.objects("variants")]
    except ValueError as error:
        raise ValueError(
            f"{path} is no list of kernel variants; write one with --list {path} ({error})"
        ) from error


def kernel_modules() -> list[ModuleType]:
    """The modules of this package whose names begin with "kernels"."""
    names = sorted(module.name for module in pkgutil.iter_modules(gpu.__path__))
    return [importlib.import_module(f"{gpu.__name__}.{n}") for n in names if n.startswith("kernels")]


def kernels_in(module: ModuleType) -> dict[str, Any]:
    """A module's kernels, and the functions that they call, by name; imported ones as well.

    Raises:
        ValueError: If they were defined for Triton's interpreter, which compiles nothing.
    """
    from triton import JITFunction, knobs

    if knobs.runtime.interpret:
        raise ValueError("TRITON_INTERPRET is set, so the kernels are interpreted and not compiled; unset it")
    return {name: value for name, value in vars(module).items() if isinstance(value, JITFunction)}


def settle_keys() -> None:
    """Have Triton make the keys of all kernels now, in the order of their definition.

    Triton 3.6 makes a kernel's key when it is first launched or compiled, and the key then also depends
    on which others came before. Settled first, a kernel has the same key in every process, so what was
    compiled in one is found by the other.
    """
    from triton import JITFunction

    for module in kernel_modules():
        for kernel in vars(module).values():
            if isinstance(kernel, JITFunction):
                _ = kernel.cache_key


def find_kernel(variant: Variant) -> Any:
    """The kernel of a variant, in this installation.

    Raises:
        ValueError: If there is none of that name and with those parameters.
    """
    place, _, name = variant.kernel.partition(":")
    for module in kernel_modules():
        kernel = kernels_in(module).get(name)
        if module.__name__ == place and kernel is not None:
            if list(inspect.signature(kernel.fn).parameters) == list(variant.arguments):
                return kernel
            break
    raise ValueError(
        f"there is no kernel {variant.kernel}({', '.join(variant.arguments)}) here: the list of variants "
        "was written for other kernels; write it again with --list"
    )
