"""How commands read what people write: architectures, names, seeds, budgets, numbers.

Everything here raises `ValueError` with one sentence that says what would have been right.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from nb201env.architecture import Architecture
from nb201env.fields import parse_json
from nb201env.table import Run

Budget = dict[str, Any]
"""{"budget_queries": n} or {"budget_seconds": s}: arguments of an environment."""

# -- architectures ---------------------------------------------------------------------------


def read_architecture(text: str) -> Architecture:
    """Read an architecture in any form of `nb201env.notation`, such as ``official:6111``.

    Raises:
        ValueError: If it is none; a bare number could be two.
    """
    return Architecture.parse(text)


def read_architectures(texts: Iterable[str]) -> list[Architecture]:
    """Read any number of architectures, one or more in each text, separated by commas."""
    return [read_architecture(part) for part in _parts(texts)]


def read_architecture_file(path: Path) -> list[Architecture]:
    """Read a file of architectures, one per line.

    Raises:
        ValueError: If a line is no architecture; the message names file and line.
    """
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            found += [read_architecture(line.strip())] if line.strip() else []
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from error
    return found


# -- names -----------------------------------------------------------------------------------


def read_names(
    texts: Iterable[str], what: str, known: Iterable[str], hint: str = "", telling: Callable[[str], str] = str
) -> list[str]:
    """Read names that are repeated, separated by commas, or both.

    Args:
        texts: What an option was given.
        what: What the names are of, such as "agent".
        known: The names there are. One with a colon, ``module:name``, is left to whom it concerns.
        hint, telling: What else could have been meant; see `check_name`.

    Raises:
        ValueError: If a name is unknown or stands twice, or there is none.
    """
    names, known = _parts(texts), list(known)
    for name in names:
        if ":" not in name:
            check_name(name, what, known, hint, telling)
    if not names:
        raise ValueError(f"name at least one {what}: {', '.join(known)}")
    for place, name in enumerate(names):
        if name in names[:place]:
            raise ValueError(f"{what} {name!r} is named twice")
    return names


def check_name(
    name: str, what: str, known: Iterable[str], hint: str = "", telling: Callable[[str], str] = str
) -> None:
    """Refuse an unknown name: with the one that was probably meant, else with all there are and the hint.

    `telling` is the part of a name that tells it from the others: what they all begin with makes none alike.
    """
    known = list(known)
    if name in known:
        return
    parts = {telling(one): one for one in known}
    close = difflib.get_close_matches(telling(name), parts, n=1)
    mend = f"did you mean {parts[close[0]]!r}?" if close else f"the {what}s are {', '.join(known)}"
    if hint and not close:
        mend += f"; {hint}"
    raise ValueError(f"unknown {what} {name!r}; {mend}")


def _parts(texts: Iterable[str]) -> list[str]:
    """What commas separate, but for those within brackets."""
    parts = [""]
    for text in texts:
        depth = 0
        for letter in text + ",":
            depth += (letter in "([{") - (letter in ")]}")
            if letter == "," and depth <= 0:
                parts.append("")
            else:
                parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


# -- numbers ---------------------------------------------------------------------------------


def read_whole(text: str) -> int | None:
    """A whole number from 0 on, in up to 18 of the digits 0 to 9 and nothing else; else None.

    ``int`` takes signs, blanks, underscores and the digits of every script too.
    """
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else None


MOST_SEEDS = 1_000_000
"""So many seeds a command takes at most."""


def parse_seeds(text: str) -> list[int]:
    """Read "4", "0-9" or "0,3,7-9".

    Raises:
        ValueError: If it is none of these, a seed stands twice, or there are more than `MOST_SEEDS`.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        low, high = read_whole(first), read_whole(last) if "-" in part else read_whole(first)
        if low is None or high is None or high < low:
            raise ValueError(f"seeds look like 4, 0-9 or 0,3,7-9; got {text!r} (at most 18 digits)")
        if len(seeds) + high - low >= MOST_SEEDS:
            raise ValueError(f"{text}: at most {MOST_SEEDS:,} seeds, please")
        seeds += range(low, high + 1)
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"a seed is named twice: {text}")
    return seeds


def format_seeds(seeds: Sequence[int]) -> str:
    """The shortest text that `parse_seeds` reads as these seeds, in rising order."""
    parts: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if parts and seed == parts[-1][-1] + 1:
            parts[-1][1:] = [seed]
        else:
            parts.append([seed])
    return ",".join("-".join(map(str, part)) for part in parts)


def parse_budget(text: str) -> Budget:
    """Read "500" (queries) or "12000s" (simulated seconds).

    Raises:
        ValueError: If it is neither, not above 0, or not finite.
    """
    if queries := read_whole(text):
        return {"budget_queries": queries}
    if re.fullmatch(r"([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?s", text):
        seconds = float(text[:-1])
        if 0 < seconds < float("inf"):
            return {"budget_seconds": seconds}
    raise ValueError(f"a budget is a number of queries (500) or simulated seconds (12000s); got {text!r}")


def format_budget(budget: Budget) -> str:
    """The text that `parse_budget` reads."""
    if "budget_seconds" in budget:
        return f"{str(budget['budget_seconds']).removesuffix('.0')}s"
    return str(budget["budget_queries"])


def read_numbers(text: str, option: str) -> tuple[int, ...]:
    """Read whole numbers separated by commas; rising, each once."""
    numbers = {read_whole(part.strip()) for part in text.split(",")}
    if None in numbers:
        raise ValueError(f"{option} takes whole numbers separated by commas; got {text!r}")
    return tuple(sorted(number for number in numbers if number is not None))


def read_amount(text: str, option: str) -> tuple[str, float]:
    """Read "params=500000", a cost and a number in its unit.

    Raises:
        ValueError: If it is not that, or the number is not finite.
    """
    name, _, number = (part.strip() for part in text.rpartition("="))
    if name and re.fullmatch(
        r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?", number, re.ASCII | re.IGNORECASE
    ):
        amount = float(number)
        if math.isfinite(amount):
            return name, amount
    raise ValueError(f"{option} reads like params=500000, a cost and a number in its unit; got {text!r}")


def read_share(text: str) -> tuple[int, int]:
    """Read "2/5", the second of five shares."""
    part, parts = (read_whole(side) for side in text.partition("/")[::2])
    if part is None or parts is None or not 1 <= part <= parts:
        raise ValueError(f"--share looks like 2/5, the second of five shares; got {text!r}")
    return part, parts


def read_run(text: str) -> Run:
    """Read a seed, or "mean"."""
    if text == "mean":
        return "mean"
    if (seed := read_whole(text)) is None:
        raise ValueError(f"--run is a seed or 'mean'; got {text!r}")
    return seed


def read_object(text: str, option: str) -> dict[str, Any]:
    """Read an option that holds a JSON object.

    Raises:
        ValueError: If it is not one.
    """
    try:
        value = parse_json(text, option)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        shown = text if len(text) <= 100 else f"{text[:99]}…"
        raise ValueError(f"{option} takes a JSON object, such as '{{\"population\": 20}}'; got {shown!r}")
    return value
