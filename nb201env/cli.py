"""The command-line program ``nb201``.

Every package brings its own sub-commands through the entry-point group ``nb201.commands``: a
name and a `typer.Typer`. So this module imports none of them, and a sub-command whose extra is
not installed is listed all the same and answers with the install it needs.
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points

import typer
from rich.console import Console

GROUP = "nb201.commands"


def build() -> typer.Typer:
    """The program with all sub-commands that installed packages bring."""
    app = typer.Typer(
        name="nb201",
        help="Architecture search on NAS-Bench-201 tables.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
    )
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        app.add_typer(_load(point), name=point.name)
    return app


def _load(point: EntryPoint) -> typer.Typer:
    try:
        loaded = point.load()
    except ImportError as error:
        return _unavailable(point.name, error)
    assert isinstance(loaded, typer.Typer), f"{point.value} is not a typer.Typer"
    return loaded


def _unavailable(name: str, error: ImportError) -> typer.Typer:
    app = typer.Typer(help=f"(not installed: {error})", invoke_without_command=True)

    @app.callback(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
    def explain() -> None:
        raise ImportError(f"nb201 {name}: {error}")

    return app


def main() -> None:
    """Run the program; errors of use end in one line and exit code 2."""
    try:
        build()()
    except (ImportError, LookupError, OSError, ValueError) as error:
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        Console(stderr=True).print(f"[red]error:[/red] {message}", highlight=False, soft_wrap=True)
        sys.exit(2)
