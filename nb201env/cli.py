"""The command-line program ``nb201``.

Every package brings its own sub-commands through the entry-point group ``nb201.commands``: a
name, and a function (one command) or a `typer.Typer` (a group of them). So this module imports
none of them, and each is loaded when it is called. Modules named there import nothing heavy; what a
command needs beyond the core it asks `nb201env.extras.require` for.
"""

from __future__ import annotations

import os
import sys
import traceback
from importlib.metadata import EntryPoint, entry_points, version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nb201env.commands.common import Group
from nb201env.output import Interrupted, print_error

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

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # some releases of typer make a silent exit of it
            raise Interrupted("stopped") from None


def _command(what: Any, name: str, **settings: Any) -> Any:
    """A function or a group, as typer's own command."""
    outer = Group("")
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
    )
    app.callback()(_program)
    return app


def _program(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=lambda wanted: _version(wanted),
                     help="Print the version and exit."),
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where an error comes from; stands anywhere.")
    ] = False,
) -> None:  # fmt: skip
    """Options of the program itself; `main` reads --traceback before it hands over."""


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nb201env {version('nb201env')}")
        raise typer.Exit


def main() -> None:
    """Run the program.

    Exit codes: 2 for a mistake in its use, 1 for a finding or a failure, 130 after Ctrl-C. Errors
    are one line on stderr; --traceback, anywhere on the command line, shows where they come from.
    """
    # Notebooks hand on the name of a backend of their own, which may not be installed here.
    os.environ["MPLBACKEND"] = "agg"
    trace = "--traceback" in sys.argv[1:]
    sys.argv[1:] = [word for word in sys.argv[1:] if word != "--traceback"]
    try:
        code = build()(prog_name="nb201", standalone_mode=False)
    except Exception as error:
        code = _explain(error, trace)
    sys.exit(code)


def _explain(error: Exception, trace: bool) -> int:
    """Print one line about an error; the exit code."""
    if trace:
        traceback.print_exception(error)
    if isinstance(error, BrokenPipeError):  # nobody reads on, as in `nb201 ... | head`
        sys.stdout = None
        return 1
    if isinstance(error, Interrupted):
        typer.echo(error, err=True)
        return 130
    if hasattr(error, "format_message"):  # typer's own: a wrong option, a missing argument
        return _explain_usage(error)
    if isinstance(error, _mistakes()):
        print_error(error.args[0] if isinstance(error, KeyError) and error.args else error)
        return 2
    rest = "" if trace else "; run it with --traceback for the rest"
    print_error(f"unexpected {type(error).__name__}: {error}{rest}")
    return 1


def _explain_usage(error: Any) -> int:
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":  # the help is printed already
        typer.echo(message, err=True)
    else:
        context = getattr(error, "ctx", None)
        print_error(message.rstrip(".") + (f"; see {context.command_path} --help" if context else ""))
    return int(error.exit_code)


def _mistakes() -> tuple[type[Exception], ...]:
    """What a mistake in the program's use raises; Gymnasium's own where a command has loaded it."""
    gymnasium = sys.modules.get("gymnasium")
    ours = (ImportError, LookupError, OSError, Unloadable, ValueError)
    return (*ours, gymnasium.error.Error) if gymnasium else ours


if __name__ == "__main__":
    main()
