"""The command-line program ``nb201``.

Every package brings its own sub-commands through the entry-point group ``nb201.commands``: a
name, and a function (one command) or a `typer.Typer` (a group of them). So this module imports
none of them, and each is loaded when it is called. Modules named there import nothing heavy; what a
command needs beyond the core it asks `nb201env.extras.require` for.
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

GROUP = "nb201.commands"


class Unloadable(Exception):
    """A command's entry point cannot be loaded: whose it is, and why."""


class _Commands(TyperGroup):
    """The commands of all installed packages; one that does not load takes no other with it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._points = {point.name: point for point in entry_points(group=GROUP)}

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(self._points)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        point = self._points.get(cmd_name)
        if point is None:
            return None
        try:
            return _command(point.load(), cmd_name)
        except Exception as error:
            return _refusal(point, error)


def _command(what: Any, name: str, **settings: Any) -> Any:
    """A function or a group, as typer's own command."""
    outer = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    outer.callback()(lambda: None)
    if isinstance(what, typer.Typer):
        outer.add_typer(what, name=name)
    else:
        outer.command(name, **settings)(what)
    return typer.main.get_command(outer).commands[name]  # type: ignore[attr-defined]


def _refusal(point: EntryPoint, error: Exception) -> Any:
    """A command in place of one that cannot be loaded, which says so whatever its arguments are."""

    def refuse() -> None:
        owner = f" of {point.dist.name}" if point.dist else ""
        raise Unloadable(
            f"the command {point.name!r}{owner} cannot be loaded from {point.value!r}: {error}"
        ) from error

    anything = {"ignore_unknown_options": True, "allow_extra_args": True}
    return _command(
        refuse,
        point.name,
        help=f"Cannot be loaded: {error}",
        add_help_option=False,
        context_settings=anything,
    )


def build() -> typer.Typer:
    """The program with all sub-commands of the installed packages."""
    app = typer.Typer(
        name="nb201",
        cls=_Commands,
        help="Architecture search on NAS-Bench-201 tables.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(lambda: None)
    return app


def main() -> None:
    """Run the program; a mistake in its use ends in one line on stderr and exit code 2."""
    try:
        build()()
    except _mistakes() as error:
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        Console(stderr=True).print(f"[red]error:[/red] {message}", highlight=False, soft_wrap=True)
        sys.exit(2)


def _mistakes() -> tuple[type[Exception], ...]:
    """What a mistake in the program's use raises; Gymnasium's own where a command has loaded it."""
    gymnasium = sys.modules.get("gymnasium")
    ours = (ImportError, LookupError, OSError, Unloadable, ValueError)
    return (*ours, gymnasium.error.Error) if gymnasium else ours


if __name__ == "__main__":
    main()
