"""Programs of rows, run and read; the environments they run in; the page that is made of what they found."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.studies import clients as page
from benchmarks.studies.pages import write_data
from tests.clients import __main__ as command
from tests.clients import environments, running
from tests.clients.catalogue import CLIENTS, Checkout, Client, ClientError, find
from tests.clients.probes import Found

HEAD = "from tests.clients.probes import CommandFailed, row, run\n"
WORKS = '@row("works")\ndef works():\n    print("12 %", end="")\n'
FAILS = '@row("fails")\ndef fails():\n    raise KeyError("ours")\n'
ADDS = '@row("adds", adds="x=1")\ndef adds():\n    pass\n'
LACKS = '@row("lacks", lacks="theirs")\ndef lacks():\n    raise CommandFailed("TypeError: " + "long" * 99)\n'
MENDED = '@row("mended", lacks="theirs")\ndef mended():\n    pass\n'
LEAVES = '@row("leaves")\ndef leaves():\n    raise SystemExit(2)\n'
DIES = '@row("dies")\ndef dies():\n    import os; os._exit(7)\n'
WAITS = '@row("waits")\ndef waits():\n    import time; time.sleep(60)\n'


def tried(*parts: str, end: str = "run()\n", limit: float = 60) -> running.Report:
    return running.run_program([sys.executable, "-c", "\n".join([HEAD, *parts, end])], limit)


def results(report: running.Report) -> dict[str, str]:
    return {one.title: one.result for one in report.rows}


def test_rows_work_as_they_are_or_with_an_addition_or_fail_as_expected() -> None:
    report = tried(WORKS, ADDS, LACKS)
    assert results(report) == {"works": "as is", "adds": "+1", "lacks": "X"}
    assert (len(report.rows[2].error), report.rows[2].lacks) == (121, "theirs")
    assert report.rows[2].error.startswith("TypeError: longlong")
    assert report.expected
    assert report.said == "12 %"


@pytest.mark.parametrize(
    ("program", "result", "said"),
    [(FAILS, "X", "KeyError: 'ours'"), (MENDED, "as is", ""), (LEAVES, "X", "SystemExit: 2")],
)
def test_a_row_that_is_not_as_expected_is_told(program: str, result: str, said: str) -> None:
    report = tried(WORKS, program, ADDS)
    assert len(report.rows) == 3
    assert report.rows[1].result == result
    assert report.rows[1].error == said
    assert said in report.said
    assert not report.why
    assert not report.expected


def test_a_program_that_ends_halfway_is_told() -> None:
    report = tried(WORKS, DIES, ADDS)
    assert results(report) == {"works": "as is"}
    assert report.why.startswith("it ended after the row 'works'")
    assert not report.expected


def test_a_program_that_does_not_begin_is_told() -> None:
    assert tried(end="import nowhere").why == (
        "it ended before its first row: ModuleNotFoundError: No module named 'nowhere'"
    )
    assert tried(WORKS, end="").why == "it ended before its first row: it does not end with run()"


def test_a_program_without_rows_is_not_as_expected() -> None:
    assert not tried().expected


def test_the_limit_ends_a_program() -> None:
    report = tried(WORKS, WAITS, limit=5)
    assert results(report) == {"works": "as is"}
    assert "its time was up after 5 s" in report.why


def test_a_program_runs_in_an_empty_folder_with_an_empty_home() -> None:
    where = """
@row("where")
def where():
    import os
    from pathlib import Path

    assert os.listdir() == ["home"]
    assert os.listdir(Path.home()) == ["tmp"]
"""
    assert tried(where).expected


def test_rows_come_while_the_program_runs() -> None:
    heard: list[Found] = []
    program = [sys.executable, "-c", "\n".join([HEAD, WORKS, LACKS, "run()\n"])]
    assert running.run_program(program, 60, heard.append).rows == tuple(heard)


def client(**changed: Any) -> Client:
    return Client(
        **({"name": "it", "title": "It", "what": "a test", "url": "https://a.b", "reports": ()} | changed)
    )


def test_a_client_without_its_folder_is_not_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    needs = client(checkout=Checkout("IT_IS_AT", "abc"))
    monkeypatch.setenv("IT_IS_AT", str(tmp_path))
    assert needs.why_not == ""
    monkeypatch.setenv("IT_IS_AT", str(tmp_path / "none"))
    with pytest.raises(ClientError, match=r"it: set IT_IS_AT to the folder of .* of https://a\.b at abc"):
        running.try_client(needs)
    assert needs.command == "IT_IS_AT=FOLDER python -m tests.clients run it"


def test_what_fails_is_raised_with_what_was_said() -> None:
    with pytest.raises(ClientError, match="nowhere: it ended before its first row: .*No module named"):
        running.try_client(client(name="nowhere"))


def test_an_environment_without_what_is_reported_is_refused() -> None:
    assert running.versions(sys.executable, ["numpy", "torch"])["torch"].count("+") == 0
    with pytest.raises(ClientError, match="No package metadata was found for nowhere"):
        running.versions(sys.executable, ["nowhere"])


def test_only_what_is_missing_or_of_another_version_is_installed() -> None:
    here = environments.versions_here()
    assert "nb201env" not in here
    needed = {"numpy": here["numpy"], "torch": "0.1", "nowhere": "2"}
    assert environments.missing(needed) == ["torch==0.1", "nowhere==2"]


def test_an_environment_is_made_again_when_something_changed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[str] = []

    def make(client: Client, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        made.append(client.requires[0])

    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    monkeypatch.setattr(environments, "make", make)
    one, other = client(requires=("a==1",)), client(requires=("a==2",))
    python = environments.python_for(one)
    assert python == environments.python_for(one) == str(tmp_path / "it" / "bin" / "python")
    environments.python_for(other)
    assert made == ["a==1", "a==2"]
    assert environments.python_for(client()) == sys.executable


def test_what_cannot_be_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environments, "FOLDER", tmp_path)
    with pytest.raises(ClientError, match="uv pip failed: .*No solution found"):
        environments.python_for(client(requires=("numpy<1",)))


def test_clients_are_found_by_name() -> None:
    assert find([]) == list(CLIENTS)
    assert [one.name for one in find(["skrl", "torchrl"])] == ["skrl", "torchrl"]
    with pytest.raises(ClientError, match="there is no client 'torch'; there are gymnasium, "):
        find(["torch"])


def test_every_client_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [one.name for one in CLIENTS]
    with pytest.raises(SystemExit):
        command.main(["run", "torch"])
    assert "there is no client 'torch'" in capsys.readouterr().err


ROWS = [
    {"title": "a | b", "result": "as is", "adds": "", "lacks": "", "error": ""},
    {"title": "c", "result": "+1", "adds": "x=`1`", "lacks": "", "error": ""},
    {"title": "d", "result": "X", "adds": "", "lacks": "takes no texts", "error": "TypeError: no"},
]
HELD = {
    "title": "A B-C", "what": "a test", "url": "https://a.b", "command": "python", "date": "2026-01-02",
    "versions": {"a": "1.2", "Python": "3.11"}, "rows": ROWS,
}  # fmt: skip


def test_what_was_found_is_kept_beside_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "clients.json"
    write_data(file, {"skrl": HELD, "gone": HELD})
    pages: list[str] = []
    monkeypatch.setattr(command, "FILE", file)
    monkeypatch.setattr(page, "FILE", file)
    monkeypatch.setattr(command, "write_pages", pages.append)

    def try_client(client: Client, _: object) -> dict[str, Any]:
        if client.name == "smac":
            raise ClientError("smac: no")
        return HELD | {"title": client.title}

    monkeypatch.setattr(command, "try_client", try_client)
    assert command.main(["run", "torchrl", "smac", "--write"]) == 1
    assert "error: smac: no" in capsys.readouterr().err
    held = json.loads(file.read_text())
    assert {name: kept["title"] for name, kept in held.items()} == {"torchrl": "TorchRL", "skrl": "A B-C"}
    assert list(held) == ["torchrl", "skrl"]
    assert pages == ["clients"]
    assert command.main(["run", "skrl"]) == 0
    assert json.loads(file.read_text()) == held


def test_the_page_counts_the_rows_and_says_what_to_add_and_why_not() -> None:
    text = page.text({"one": HELD, "two": HELD | {"title": "Two", "rows": ROWS[:1]}})
    assert "What users of these libraries do, in 4 rows: 2 work as" in text
    assert "| [A B-C](#a-b-c) | 1.2 | 1 | 1 | 1 |" in text
    assert "| a \\| b | as is | |" in text
    assert "| c | +1 | `x='1'` |" in text
    assert "| d | no | takes no texts (`TypeError: no`) |" in text
    assert "[A B-C](https://a.b): a test. Tried on 2026-01-02 with a 1.2, Python 3.11: `python`" in text
