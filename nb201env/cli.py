"""The command-line program ``nb201``.

Every package brings its own sub-commands through the entry-point group ``nb201.commands``: a
name, and a function (one command) or a `typer.Typer` (a group of them). So this module imports
none of them. Modules named there import nothing heavy; what a command needs beyond the core it
asks `nb201env.extras.require` for.
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points

import typer
from rich.console import Console

GROUP = "nb201.commands"


def build() -> typer.Typer:
    """The program with all sub-commands of the installed packages."""
    app = typer.Typer(
        name="nb201",
        help="Architecture search on NAS-Bench-201 tables.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
    app.callback()(lambda: None)
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        command = point.load()
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=point.name)
        else:
            app.command(point.name)(command)
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
    ours = (ImportError, LookupError, OSError, ValueError)
    return (*ours, gymnasium.error.Error) if gymnasium else ours


if __name__ == "__main__":
    main()
