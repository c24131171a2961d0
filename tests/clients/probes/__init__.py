"""Programs that use this package as a client's own users would, each in the client's own environment.

A program is a file of functions, one for each row of the compatibility table:

    @row("GymEnv(id)")
    def gym_env() -> None: ...

    @row("PPO", adds="env_config={'observations': 'onehot'}")
    def ppo() -> None: ...

    @row("VecNormalize of ops", lacks="normalises only Box and Dict observations")
    def normalise() -> None: ...

A function returns if the row works and raises if not; those with `lacks` are expected to raise. It checks
what it shows: numbers against the table, not only that nothing was raised. The program ends with

    if __name__ == "__main__":
        run()

and ``python -m tests.clients.probes.torchrl`` prints a JSON line for each row, one that says how many there
were, and exits with 1 if one was not as expected. Only the standard library is imported here.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass

Program = Callable[[], None]
LONGEST = 120
"""Characters of an error that are kept."""


class CommandFailed(Exception):
    """A command of the client failed; the message is the last line that it said."""


@dataclass(frozen=True)
class Row:
    """What a client's user tries.

    Attributes:
        title: What it is, in a few words of the client's.
        adds: The code that the client's user must add to what its manual shows; "" if the id is enough.
        lacks: Why it cannot work, where the client itself is the reason; such a row must fail.
    """

    title: str
    adds: str = ""
    lacks: str = ""


@dataclass(frozen=True)
class Found:
    """What came of a row.

    Attributes:
        result: "as is", "+1" (with what `adds` says) or "X".
        error: The last line of what was raised; "" if nothing was.
        seconds: How long it took.
    """

    title: str
    result: str
    adds: str
    lacks: str
    error: str
    seconds: float

    @property
    def expected(self) -> bool:
        """Whether it worked, or failed for the client's own reason."""
        return (self.result == "X") == bool(self.lacks)


_ROWS: list[tuple[Row, Program]] = []


def row(title: str, *, adds: str = "", lacks: str = "") -> Callable[[Program], Program]:
    """Make a function a row of the table; see the module."""

    def keep(program: Program) -> Program:
        _ROWS.append((Row(title, adds, lacks), program))
        return program

    return keep


def run() -> None:
    """Try the rows of the program that calls this, all or those named, and print what was found."""
    wanted = sys.argv[1:]
    found = [_try(row, program) for row, program in _ROWS if not wanted or row.title in wanted]
    print(json.dumps({"finished": len(found)}), flush=True)
    sys.exit(not found or not all(one.expected for one in found))


def _try(row: Row, program: Program) -> Found:
    begun, error = time.monotonic(), ""
    try:
        program()
    except (Exception, SystemExit) as raised:  # a client's command line ends so
        error = traceback.format_exception_only(raised)[-1].strip().splitlines()[0]
        error = _short(str(raised) if isinstance(raised, CommandFailed) else error)
        if not row.lacks:
            traceback.print_exc()
    result = "X" if error else "+1" if row.adds else "as is"
    seconds = round(time.monotonic() - begun, 1)
    found = Found(row.title, result, row.adds, row.lacks, error, seconds)
    print("\n" + json.dumps(asdict(found)), flush=True)  # a client's progress bar may not have ended its line
    return found


def _short(error: str) -> str:
    """The beginning of an error's line, which may hold all that the client knows."""
    line = error.partition("\\n")[0]
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"
