"""What all sub-commands share: how they are declared and helped, and the options that mean the same."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperCommand

from nb201env.extras import require
from nb201env.reading import check_name

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Jobs = Annotated[int, typer.Option(min=1, help="Processes; the results do not depend on it.")]
Seeds = Annotated[str, typer.Option(help="Seeds: 4, 0-9 or 0,3,7-9.")]
Split = Annotated[str, typer.Option(help="train, valid or test.")]
Epochs = Annotated[int, typer.Option(help="Epochs completed.")]
Engine = Annotated[str, typer.Option(help="local (this machine's processes) or ray.")]
Address = Annotated[str, typer.Option(help="Of the cluster: local, auto, ray://host:10001.")]
CORES = os.cpu_count() or 1
ARCHITECTURE = "An official string, official:6111, index:4711 or another form (docs/notation.md)."

_Function = TypeVar("_Function", bound=Callable[..., Any])


def cluster_address(engine: str, address: str) -> str | None:
    """The cluster that ``--engine`` and ``--address`` name; None for this machine's processes.

    Raises:
        MissingExtra: If it is Ray, which is not installed.
        ValueError: If there is no such engine.
    """
    check_name(engine, "engine", ("local", "ray"))
    if engine == "local":
        return None
    require("ray", "ray")
    return address


class Command(TyperCommand):
    """A command whose docstring ends in an example, which --help shows on a line of its own.

    Attributes:
        example: The command line, from "nb201" on; empty if the docstring has none.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        text, _, example = inspect.cleandoc(kwargs.get("help") or "").partition("\n\nExample: ")
        super().__init__(*args, **kwargs | {"help": text})
        self.example = " ".join(example.split())

    def get_help(self, ctx: Any) -> str:
        """The help, with the example below: not folded, so that it can be copied."""
        text = super().get_help(ctx)
        return f"{text}\n Example: {self.example}\n" if self.example else text


class Group(typer.Typer):
    """A group of commands, each a `Command`."""

    def __init__(self, help: str) -> None:
        super().__init__(
            help=help, no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False
        )

    def command(self, name: str | None = None, **settings: Any) -> Callable[[_Function], _Function]:
        """Declare a function as a command of the group."""
        return super().command(name, cls=Command, **settings)
