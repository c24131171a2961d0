"""The journal of a long computation of many results: whatever ends the program, none of them is lost.

Its first line says what is computed, and how, with the day on which that began; a line of JSON follows for
each result. A computation that is run again goes on from there, and refuses the journal of another one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Generic, TypeVar

from nb201env.fields import Fields, parse_json

Setting = TypeVar("Setting")
Entry = TypeVar("Entry")


class BadJournal(ValueError):
    """A file that is no journal of this computation; the message says why."""


@dataclass(frozen=True)
class Journal(Generic[Setting, Entry]):
    """What a journal tells.

    Attributes:
        setting: What is computed, and how.
        began: The day on which that began: "2026-11-29".
        done: The results so far.
    """

    setting: Setting
    began: str
    done: list[Entry]


@dataclass(frozen=True)
class Kind(Generic[Setting, Entry]):
    """The journals of one kind of computation.

    Attributes:
        format, version: Of the file.
        command: Whose journals these are, for messages.
        what: What it does, for messages: "measurement".
        read_setting: Reads what `dataclasses.asdict` makes of a setting; may raise a ValueError.
        read_entry: Reads a result as it was given to `append`; None if it is none of this setting.
    """

    format: str
    version: int
    command: str
    what: str
    read_setting: Callable[[Fields], Setting]
    read_entry: Callable[[Any, Setting], Entry | None]

    def read(self, path: Path) -> Journal[Setting, Entry]:
        """Read a journal; what stands behind the last line's end counts for nothing.

        Raises:
            BadJournal: If it is none.
            FileNotFoundError: If it is not there.
        """
        first, *lines = path.read_bytes().split(b"\n")[:-1] or [b""]
        head = Fields.parse(first, f"{path}, line 1", BadJournal)
        if (head.text("format"), head.whole("version")) != (self.format, self.version):
            raise BadJournal(f"{path} is no journal of `{self.command}` that this release reads")
        try:
            setting = self.read_setting(head)
        except ValueError as error:
            raise BadJournal(str(error)) from error
        done = []
        for number, line in enumerate(lines, start=2):
            where = f"{path}, line {number}"
            entry = self.read_entry(parse_json(line, where, BadJournal), setting)
            if entry is None:
                raise BadJournal(f"{where}: not a {self.what}; delete the line, or the file")
            done.append(entry)
        return Journal(setting, head.text("began"), done)

    def resumed(self, path: Path, setting: Setting) -> list[Entry]:
        """What a computation that was stopped has left; a new journal is begun where there is none.

        A last line that was cut in two is cut off.

        Raises:
            BadJournal: If it is of another computation, or no journal.
        """
        known: Any = setting
        about = json.dumps({"format": self.format, "version": self.version, **asdict(known)})[:-1]
        there = path.read_bytes() if path.exists() else b""
        whole, newline, cut = there.rpartition(b"\n")
        if not newline:  # nothing, or the beginning of our first line
            if cut[: len(about)] != about.encode()[: len(cut)]:
                raise BadJournal(
                    f"{path} is no journal of this {self.what}; name another --out, or delete it"
                )
            path.write_text(f'{about}, "began": "{date.today()}"}}\n', encoding="utf-8")
            return []
        if cut:
            with path.open("r+b") as file:
                file.truncate(len(whole) + 1)
        found = self.read(path)
        self.check(path, found, setting)
        return found.done

    def check(self, path: Path, found: Journal[Setting, Entry], setting: Setting) -> None:
        """Check that a journal is of this setting.

        Raises:
            BadJournal: If it is not; the message says what differs.
        """
        if found.setting == setting:
            return
        both: tuple[Any, Any] = setting, found.setting
        mine, theirs = map(asdict, both)
        differ = ", ".join(f"{name} {theirs[name]}" for name in mine if mine[name] != theirs[name])
        raise BadJournal(
            f"{path} is of another {self.what} ({differ}); repeat its own command, name another --out, or "
            "delete it"
        )


def append(path: Path, entries: Iterable[object]) -> None:
    """Add results, what JSON makes of them, to a journal that is there."""
    with path.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(entry) + "\n" for entry in entries)
