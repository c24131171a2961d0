"""What other libraries do with the environments and tables, as their own users use them.

The data are written by ``python -m tests.clients run --write``, which tries each library in an environment
of its own; see `tests/clients`.
"""

from __future__ import annotations

from typing import Any

from benchmarks.studies.pages import DATA, DOCS, Pages, read_data, with_part
from nb201env.output import markdown_table

FILE, PAGE = DATA / "clients.json", DOCS / "clients.md"

Client = dict[str, Any]
"""What is kept of a client: title, what, url, command, date, versions, and its rows: title, result, adds,
lacks and error."""


def read() -> dict[str, Client]:
    """What was found, by the client's name; {} before anything was."""
    found: dict[str, Client] = read_data(FILE) if FILE.exists() else {}
    return found


def page() -> Pages:
    """The compatibility table's page."""
    return {PAGE: with_part(PAGE, "clients", text(read()))}


def text(clients: dict[str, Client]) -> str:
    """The generated part: a table of all, then one for each client."""
    return "\n\n".join(["## At a glance", summary(clients), *map(section, clients.values())])


def summary(clients: dict[str, Client]) -> str:
    """How many rows of each client work, and the sum in a sentence."""
    counts = {name: _counts(client) for name, client in clients.items()}
    as_is, added, lacking = (sum(c[i] for c in counts.values()) for i in range(3))
    said = (
        f"What users of these libraries do, in {as_is + added + lacking} rows: {as_is} work as the "
        f"library's manual has it, {added} with something added, and {lacking} the library itself cannot do."
    )
    rows = [
        [f"[{client['title']}](#{_anchor(client['title'])})", _own_version(client), *map(str, counts[name])]
        for name, client in clients.items()
    ]
    headings = ["library", "version", "as is", "with an addition", "the library cannot"]
    return f"{said}\n\n{markdown_table(headings, rows, 'llr')}"


def section(client: Client) -> str:
    """A client's heading, versions, command and rows."""
    versions = ", ".join(f"{name} {version}" for name, version in client["versions"].items())
    return "\n\n".join(
        [
            f"## {client['title']}",
            f"[{client['title']}]({client['url']}): {client['what']}. "
            f"Tried on {client['date']} with {versions}: `{client['command']}`",
            markdown_table(["what", "result", "what to add, or why not"], map(_row, client["rows"])),
        ]
    )


def _row(row: dict[str, str]) -> list[str]:
    if row["result"] == "X":
        return [row["title"], "no", f"{row['lacks']} ({_code(row['error'])})"]
    return [row["title"], row["result"], _code(row["adds"]) if set(row["adds"]) & set("=(:") else row["adds"]]


def _code(words: str) -> str:
    return f"`{words.replace('`', chr(39))}`"


def _counts(client: Client) -> tuple[int, int, int]:
    results = [row["result"] for row in client["rows"]]
    return results.count("as is"), results.count("+1"), results.count("X")


def _own_version(client: Client) -> str:
    return str(next(iter(client["versions"].values())))


def _anchor(title: str) -> str:
    """The anchor that GitHub gives a heading."""
    kept = "".join(sign for sign in title.lower() if sign.isalnum() or sign in " -_")
    return kept.replace(" ", "-")
