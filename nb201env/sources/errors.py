"""The one error that reading a foreign file raises."""

from __future__ import annotations

import os


class SourceError(ValueError):
    """A file that cannot be imported; the message names the file, the field and what is wrong.

    Args:
        file: The file.
        field: Where in the file: a key such as "200/cifar10/777/train_losses", a column, or
            "byte 1234" for a file whose very bytes cannot be read.
        problem: What is wrong and, where there is one, the mend.
    """

    def __init__(self, file: str | os.PathLike[str], field: str, problem: str) -> None:
        self.file, self.field, self.problem = os.fspath(file), field, problem
        super().__init__(f"{self.file}: {field}: {problem}")

    def __reduce__(self) -> tuple[type[SourceError], tuple[str, str, str]]:
        return SourceError, (self.file, self.field, self.problem)


def show(value: object) -> str:
    """A value of unknown origin in a few characters, for a message."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)[:60]
    if isinstance(value, str | bytes):
        return repr(value[:40]) + ("…" if len(value) > 40 else "")
    return f"a {type(value).__name__}"
