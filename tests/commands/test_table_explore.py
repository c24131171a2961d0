"""``nb201 table explore``: what it writes, and what it says to wrong questions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nb201env import open_table
from nb201env.pages.explorer import explorer
from nb201env.tables import embedded_file
from tests.commands.test_table import as_json, mistake, table
from tests.pages.conftest import bare_table as bare_table


def test_it_writes_one_page_of_all_tables(tmp_path: Path, bare_table: Any) -> None:
    out = tmp_path / "space.html"
    names = ["cifar10-valid-200", str(bare_table.container.path)]
    assert table("explore", *names, "--out", out) == f"{out}\n"
    assert out.read_text(encoding="utf-8") == explorer([open_table(name) for name in names])
    assert [path.name for path in tmp_path.iterdir()] == ["space.html"]


def test_json_names_tables_and_size(tmp_path: Path) -> None:
    out = tmp_path / "space.html"
    out.write_text("an older page")
    said = as_json("explore", "cifar100-200", "--out", out)
    assert said == {"out": str(out), "tables": [open_table("cifar100-200").id], "bytes": out.stat().st_size}


def test_mistakes_get_one_line_and_write_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.html").mkdir()
    copy = Path("table.html")
    copy.write_bytes(embedded_file("digits-10").read_bytes())
    before = copy.read_bytes()
    for words, message in (
        (["cifar", "--out", "a.html"], "no table 'cifar': the names are"),
        (["cifar100-200", "--out", "a.png"], "--out is a page; end its name in .html; got 'a.png'"),
        (["cifar100-200", "--out", "nowhere/a.html"], "there is no such folder; make it"),
        (["cifar100-200", "--out", "folder.html"], "folder.html is a folder; name a file in it"),
        (["./table.html", "--out", "table.html"], "table.html is one of the tables; name another --out"),
        (["cifar100-200"], "Missing option '--out'"),
        (["--out", "a.html"], "Missing argument"),
    ):
        said = mistake(capsys, monkeypatch, "explore", *words)
        assert said.startswith("error: ")
        assert message in said
        assert said.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.html", "table.html"]
    assert copy.read_bytes() == before
