"""The memo of a pickle, small enough for files of 200 million entries.

A pickle may refer back to any earlier value by number. While one architecture is read, its values
are kept as they are. When it is done, `Memo.seal` keeps only its texts and globals, as two-byte
numbers of distinct values; the rest is forgotten, and referring back to it is an error. Official
files refer back to nothing else. Texts longer than `LONGEST` are forgotten like the rest.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import Any

_FORGOTTEN = 0
_MOST_ATOMS = 65535
LONGEST = 1024
MOST_NUMBERS = 1 << 28
"""How many values may be numbered in all; the official files number 200 million."""


class Forgotten(LookupError):
    """A reference to a value that was not kept."""


class Memo:
    """Numbered values: number `i` is the i-th value appended.

    Args:
        kept_types: Types of values that stay reachable after `seal`.
    """

    def __init__(self, kept_types: tuple[type, ...]) -> None:
        self._kept = kept_types
        self._recent: list[Any] = []
        self._sealed = 0
        self._starts: list[int] = []
        self._windows: list[array[int]] = []
        self._atoms: list[Any] = [None]
        self._numbers: dict[Any, int] = {}
        self.append = self._recent.append
        self.extend = self._recent.extend

    def __len__(self) -> int:
        return self._sealed + len(self._recent)

    def __getitem__(self, number: int) -> Any:
        if number >= self._sealed:
            try:
                return self._recent[number - self._sealed]
            except IndexError:
                raise Forgotten("refers to a value that does not exist") from None
        window = bisect_right(self._starts, number) - 1
        atom = self._windows[window][number - self._starts[window]]
        if atom == _FORGOTTEN:
            raise Forgotten("refers back to a value of an earlier architecture")
        return self._atoms[atom]

    def many(self, numbers: list[int]) -> list[Any]:
        """The values of several numbers."""
        first = self._sealed
        if min(numbers) >= first and max(numbers) < len(self):
            recent = self._recent
            return [recent[number - first] for number in numbers]
        return [self[number] for number in numbers]

    def put(self, number: int, value: Any) -> None:
        """Give a value a number: the next one, or a recent one again.

        Raises:
            Forgotten: If the number is neither.
        """
        if number == 1 and not len(self):
            self.append(None)  # Python 2 counts from 1
        if number == len(self):
            self.append(value)
        elif self._sealed <= number < len(self):
            self._recent[number - self._sealed] = value
        else:
            raise Forgotten(f"numbers a value {number} where {len(self)} comes next")

    def seal(self) -> None:
        """Forget everything so far but short texts and globals.

        Raises:
            Forgotten: If there are too many numbers.
        """
        numbers, kept = self._numbers, self._kept
        if len(self) > MOST_NUMBERS:
            raise Forgotten(f"numbers more than {MOST_NUMBERS} values")
        window = array("H", bytes(2 * len(self._recent)))
        for i, value in enumerate(self._recent):
            if isinstance(value, kept) and not (type(value) is str and len(value) > LONGEST):
                number = numbers.get(value)
                if number is None and len(self._atoms) < _MOST_ATOMS:
                    number = numbers[value] = len(self._atoms)
                    self._atoms.append(value)
                window[i] = number or _FORGOTTEN
        self._starts.append(self._sealed)
        self._windows.append(window)
        self._sealed += len(self._recent)
        self._recent.clear()
