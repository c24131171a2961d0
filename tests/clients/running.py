"""A client's program run in the client's environment, and what it found."""

from __future__ import annotations

import datetime
import json
import platform
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.checkout import ROOT
from nb201env.processes import Ended, run_apart
from tests.clients.catalogue import Client, ClientError
from tests.clients.environments import python_for
from tests.clients.probes import Found

_LINE = re.compile(r'\{"(?:title|finished)": .*\}$')
_VERSIONS = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"


@dataclass(frozen=True)
class Report:
    """What a client's program found.

    Attributes:
        rows: What came of each row, in the program's order.
        said: The last lines of its output, where a row was not as expected or the program did not finish.
        why: Why it did not finish; "" if it did.
        seconds: How long all of it took.
    """

    rows: tuple[Found, ...]
    said: str
    why: str
    seconds: float

    @property
    def expected(self) -> bool:
        """Whether all rows were tried, and were as expected."""
        return not self.why and bool(self.rows) and all(one.expected for one in self.rows)


def try_client(client: Client, echo: Callable[[Found], None] = lambda _: None) -> dict[str, Any]:
    """Run a client's program in its environment; returns what docs/data/clients.json keeps of it.

    Args:
        client: The client.
        echo: Called with each row as it comes.

    Raises:
        ClientError: If a folder is missing, its environment cannot be made, or a row was not as expected.
    """
    if client.why_not:
        raise ClientError(client.why_not)
    python = python_for(client)
    command = [python, "-m", f"tests.clients.probes.{client.name}"]
    report = run_program(command, client.seconds, echo)
    if not report.expected:
        odd = "; ".join(f"{one.title}: {one.result} {one.error}" for one in report.rows if not one.expected)
        raise ClientError(f"{client.name}: {report.why or odd or 'it has no row'}\n{report.said}")
    return kept(client, versions(python, client.reports), report)


def run_program(
    command: Sequence[str], limit_seconds: float, echo: Callable[[Found], None] = lambda _: None
) -> Report:
    """Run a program that prints a line for each row, in an empty folder and with an empty home.

    Args:
        command: What to run.
        limit_seconds: How long it may run; what it started is ended with it.
        echo: Called with each row as it comes.
    """
    rows: list[Found] = []

    def listen(line: str) -> None:
        read = _read(line)
        if "title" in read:
            rows.append(Found(**read))
            echo(rows[-1])

    with tempfile.TemporaryDirectory(prefix="client-") as folder:
        ended = run_apart(_in_folder(Path(folder), command), limit_seconds, listen)
    finished = any(_read(line).get("finished") == len(rows) for line in ended.lines)
    said = "\n".join(line for line in ended.lines if line and not _read(line))[-4000:]
    return Report(tuple(rows), said, "" if finished else _why(ended, rows), ended.seconds)


def versions(python: str, names: Sequence[str]) -> dict[str, str]:
    """The versions of distributions where this Python finds them.

    Raises:
        ClientError: If one is not there.
    """
    ended = run_apart([python, "-c", _VERSIONS, *names], 60)
    if ended.code:
        raise ClientError(f"{python}: {ended.why}")
    found = (version.partition("+")[0] for version in ended.lines[-1].split())  # 2.13.0+cpu is a build's name
    return dict(zip(names, found, strict=True))


def kept(client: Client, found: Mapping[str, str], report: Report) -> dict[str, Any]:
    """What docs/data/clients.json keeps: times are left out, so that it changes only where something did."""
    rows = [{k: v for k, v in asdict(one).items() if k != "seconds"} for one in report.rows]
    checkout = {"commit": client.checkout.commit} if client.checkout else {}
    return {
        "title": client.title,
        "what": client.what,
        "url": client.url,
        "command": client.command,
        "date": datetime.date.today().isoformat(),
        "versions": {**checkout, **found, "Python": platform.python_version()},
        "rows": rows,
    }


def _in_folder(folder: Path, command: Sequence[str]) -> list[str]:
    """The command as it runs in a folder: homes in it, no screen, the checkout's modules importable."""
    home, temporary = folder / "home", folder / "home" / "tmp"
    temporary.mkdir(parents=True)
    settings = {
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "RAY_TMPDIR": tempfile.gettempdir(),  # its sockets' paths may not be long
        "NB201_HOME": str(home / "nb201"),
        "MINARI_DATASETS_PATH": str(home / "minari"),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "MPLBACKEND": "Agg",
        "SDL_VIDEODRIVER": "dummy",
        "SDL_AUDIODRIVER": "dummy",
        "OMP_NUM_THREADS": "1",
    }
    return ["env", "-C", str(folder), *(f"{name}={value}" for name, value in settings.items()), *command]


def _read(line: str) -> dict[str, Any]:
    """What the program says in a line; {} if the client says it. A client's own text may stand before it."""
    found = _LINE.search(line)
    if found is None:
        return {}
    try:
        read = json.loads(found[0])
    except json.JSONDecodeError:
        return {}
    fields = set(Found.__dataclass_fields__)
    return read if isinstance(read, dict) and set(read) in (fields, {"finished"}) else {}


def _why(ended: Ended, rows: Sequence[Found]) -> str:
    place = f"after the row {rows[-1].title!r}" if rows else "before its first row"
    return f"it ended {place}: {ended.why or 'it does not end with run()'}"
