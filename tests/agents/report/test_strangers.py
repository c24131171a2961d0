"""Trajectories from strangers: their words are words in every format, and nothing is lost or hangs."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from nb201env import cli, comparison
from nb201env.agents.report import page, tables, write
from nb201env.agents.report.data import load
from nb201env.agents.report.summary import summarise
from nb201env.agents.report.words import _LATEX, in_csv, in_figure, own_command
from nb201env.agents.searches.plan import plan
from nb201env.agents.searches.runner import run_all
from nb201env.output import in_markdown, named, plain, unlike
from nb201env.pages import space
from tests.agents.conftest import ENVS, LIGHT

runner = CliRunner()
HOSTILE = (
    "<script>alert(1)</script>", "<!--<script>", "</script>", "{{script}}", "a\n\n## All agents are equal\n",
    "a\r# forged", "| x | y |", "`code` ``more``", "![](http://x.example/p.png)", "[a](javascript:alert(1))",
    '=HYPERLINK("http://x.example")', "+1", "-1+1", "@SUM(A1)", "\t=1", "a,b;c\"d'e", "$\\frac{1}{0}$",
    r"\input{/etc/passwd}", r"\end{table}\write18{id}", "^^5cinput", "50 % & #1", "[2em]",
    "$x^$",
    "_hidden", "\x1b]0;title\x07", "\x1b[31mred", "\u202egnp.exe", "line\u2028separator", "\x00", "&lt;b&gt;",
    "*bold*", "~~gone~~", "\\", "x" * 5000,
)  # fmt: skip


def report(out: Path, folder: Path, *options: str) -> str:
    result = runner.invoke(cli.build(), ["report", str(folder), "--out", str(out), *options])
    if result.exception:
        raise result.exception
    return result.output


def edit(path: Path, **changes: Any) -> None:
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([json.dumps(json.loads(lines[0]) | changes) + "\n", *lines[1:]]))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One search for each payload, which stands in every text of its header; and an honest one."""
    folder = tmp_path_factory.mktemp("hostile")
    searches = plan(LIGHT[:1], ENVS[:1], range(len(HOSTILE) + 1), {"budget_queries": 5}, folder)
    run_all(searches, 1, lambda *_: None)
    for seed, payload in enumerate(HOSTILE):
        (path,) = folder.rglob(f"*-{seed}.jsonl")
        header = json.loads(path.read_text().splitlines()[0])
        edit(
            path,
            agent=payload,
            hyperparameters={payload: payload, "x": [payload, {payload: None}]},
            versions={payload: payload, "numpy": payload},
            table={"name": payload, "id": header["table"]["id"]},
            command=f"nb201 search {payload}; rm -rf ~",
        )
    (folder / "<b>\n## cut short.jsonl.partial").touch()
    return folder


@pytest.fixture(scope="module")
def written(hostile: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("matplotlib")
    out = tmp_path_factory.mktemp("report")
    report(out, hostile, "--latex")
    return out


# -- every format ----------------------------------------------------------------------------


def test_nothing_that_a_terminal_obeys_is_written_anywhere(written: Path) -> None:
    texts = ("report.md", "report.html", "report.json", "tables.tex")
    for name in (*texts, *(path.name for path in written.glob("*.csv"))):
        text = (written / name).read_text()
        assert [sign for sign in set(text) - {"\n"} if not sign.isprintable()] == [], name


def test_markdown_holds_no_markup_of_strangers(written: Path, hostile: Path) -> None:
    text = (written / "report.md").read_text()
    prose = re.sub(r"```text\n.*?\n```", "", text, flags=re.DOTALL)
    assert [line for line in prose.splitlines() if line.startswith("#")] == [
        "# Benchmark report", f"## {ENVS[0]}", "### Final results", "### On other tables",
            "### Queries to reach: the optimum", "### Queries to reach: within 0.1 points",
            "### Queries to reach: within 0.3 points",
        "### Probability of improvement", "## Where the numbers come from", f"### Commands: {ENVS[0]}",
    ]  # fmt: skip
    outside_code = re.sub("`[^`]*`", "", prose)
    assert "<" not in outside_code
    assert "`" not in outside_code
    assert re.findall(r"\]\(([^)]*)\)", outside_code) == [
        f"{name}-0.png" for name in ("regret", "profiles", "space")
    ]
    for table in re.findall(r"(?:^\|.*\n)+", prose, re.MULTILINE):
        assert len({row.count("|") for row in table.splitlines()}) == 1
    assert "HYPERLINK" in text  # as words it is there


def test_html_holds_no_element_of_strangers(written: Path) -> None:
    class Elements(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.found: dict[str, int] = {}

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.found[tag] = self.found.get(tag, 0) + 1
            assert not [name for name, _ in attrs if name.startswith("on") or name in ("src", "href")]

    text = (written / "report.html").read_text()
    elements = Elements()
    elements.feed(text)
    assert elements.found["script"] == 2
    assert not {"img", "b", "a", "iframe"} & elements.found.keys()
    (data,) = re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert "<" not in data
    labels = json.loads(data)["labels"]
    assert "<!--<script>" in labels
    assert len(set(labels)) == len(HOSTILE) + 1


def test_a_spreadsheet_computes_nothing(written: Path) -> None:
    for path in written.glob("*.csv"):
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        assert len({len(row) for row in rows}) == 1
        for cell in (cell for row in rows for cell in row):
            assert not cell or cell[0] not in "=+@\t\r"
            assert cell[:1] != "-" or float(cell) <= 0


def test_figures_show_names_as_they_are(written: Path) -> None:
    assert in_figure("$x^$") == r"\$x^\$"
    assert in_figure("_hidden") == " _hidden"
    svg = (written / "regret-0.svg").read_text()
    for name in ("$x^$", "=HYPERLINK"):
        assert name in svg  # as the comment beside the drawn text


def test_drawings_hold_no_element_of_strangers(written: Path) -> None:
    ours = {"svg", "metadata", "RDF", "Work", "type", "format", "defs", "style", "g", "path", "use", "rect",
            "clipPath", "image"}  # fmt: skip
    paths = sorted(written.glob("*.svg"))
    assert paths
    for path in paths:
        elements = list(ElementTree.parse(path).iter())
        assert {str(element.tag).rpartition("}")[2] for element in elements} <= ours
        for element in elements:
            assert not [name for name in element.attrib if name.lower().startswith("on")]
            links = [text for name, text in element.attrib.items() if name.endswith("href")]
            assert all(link.startswith(("#", "data:image/png;base64,")) for link in links)
    for path in written.glob("*.pdf"):
        raw = path.read_bytes()
        assert not re.search(rb"/(JavaScript|JS|URI|Launch|OpenAction|EmbeddedFile)\b", raw)


def test_tables_for_latex_hold_no_command_of_strangers(written: Path) -> None:
    text = (written / "tables.tex").read_text()
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    ours = {
        "begin", "end", "centering", "small", "caption", "label", "par", "smallskip", "resizebox", "ifdim",
        "width", "linewidth", "else", "fi", "toprule", "midrule", "bottomrule", "shortstack", "textbf",
    }  # fmt: skip
    signs = {command for value in _LATEX.values() for command in re.findall(r"\\([a-z]+)", value)}
    assert set(re.findall(r"\\([a-zA-Z]+)", body)) <= ours | signs | {"texttt"}
    assert "^^" not in body
    assert re.findall(r"\\(?:begin|end)\{(.*?)\}", body) == ["table", "tabular", "tabular", "table"] * 6
    assert r"\textbackslash{}input\{/etc/passwd\}" in body  # as words it is there


def test_json_holds_words_as_words(written: Path) -> None:
    text = (written / "report.json").read_text()
    assert text.isascii()
    assert "<" not in text
    content = json.loads(text)
    assert "<!--<script>" in content["agents"]
    assert len(set(content["agents"])) == len(HOSTILE) + 1


def test_only_single_commands_of_this_program_are_shown(written: Path) -> None:
    assert "rm -rf" not in (written / "report.md").read_text() + (written / "report.html").read_text()
    good = "nb201 search --agent random_search --env-kwargs '{\"a\": 1}' --seeds 3"
    assert own_command(good) == good
    for text in (
        "nb201 search; id", "nb201 search && id", "nb201 search | sh", "nb201 search $(id)", "nb201 `id`",
        "nb201 search > ~/.bashrc", "nb201 search\nid", "python x.py", "nb201x search", "nb201 'open",
        "nb201 search # x", "nb201 $HOME", "nb201  search", "nb201 ~", "NB201_HOME=x nb201 search",
        "nb201 \x1b[8msearch", 5, ["nb201"], {"a": 1}, True,
    ):  # fmt: skip
        assert own_command(text) == "not shown (the trajectory names no single nb201 command)"
    assert own_command("") == own_command(None) == "not recorded"


def test_cut_short_searches_are_named_harmlessly(hostile: Path, tmp_path: Path) -> None:
    output = report(tmp_path / "out", hostile, "--no-figures")
    assert "left out, because cut short: <b>\\n## cut short.jsonl.partial" in output


@pytest.mark.parametrize("payload", HOSTILE)
def test_words_in_every_format(payload: str) -> None:
    name = named(payload)
    assert name.isprintable()
    assert "`" not in name
    assert len(name) <= 200
    assert not set("<|*~$\\") & set(in_markdown(name))
    assert in_csv(name)[:1] not in tuple("=+-@")


def test_what_is_printable_stays_as_it_is() -> None:
    for text in ("random search", "größe 3×3 → “ok”", "évolution", "日本", "a_b-c.d/e:f"):
        assert plain(text) == named(text) == in_markdown(text) == in_csv(text) == text


def test_names_that_would_read_alike_get_numbers() -> None:
    assert unlike(["a", "b", "a", "a (2)", "a"]) == ["a", "b", "a (2)", "a (2) (2)", "a (3)"]


def test_agents_whose_plain_names_are_alike_stay_two(tmp_path: Path) -> None:
    run_all(plan(LIGHT[:1], ENVS[:1], [0, 1], {"budget_queries": 3}, tmp_path), 1, lambda *_: None)
    first, second = sorted(tmp_path.rglob("*.jsonl"))
    edit(first, agent="a\nb")
    edit(second, agent="a\\nb")
    assert len(load([tmp_path]).labels) == 2


# -- environments and tables -----------------------------------------------------------------


@pytest.mark.parametrize(
    "env",
    [
        {"id": "Evil-v0", "kwargs": {}},
        {"id": "NB201-cifar10-v0", "kwargs": {}, "entry_point": "os:system"},
        {"id": "NB201-cifar10-v0", "kwargs": {}, "additional_wrappers": [{"entry_point": "os:system"}]},
        {"id": "NB201-cifar10-v0", "kwargs": {"budget_queries": "many"}},
        {"id": "NB201-cifar10-v0", "kwargs": {"budget_seconds": [1]}},
        {"id": "NB201-cifar10-v0", "kwargs": {"nonsense": 1}},
    ],
)
def test_a_report_is_on_environments_of_ours(tmp_path: Path, env: dict[str, Any]) -> None:
    run_all(plan(LIGHT[:1], ENVS[:1], [0], {"budget_queries": 3}, tmp_path), 1, lambda *_: None)
    (path,) = tmp_path.rglob("*.jsonl")
    edit(path, env=env)
    with pytest.raises(ValueError, match=re.escape(path.name)):
        load([tmp_path])


def test_a_table_without_a_name_is_found_by_its_id(tested_table: Any, tmp_path: Path) -> None:
    path = str(tested_table.container.path)
    searches = plan(
        LIGHT[:1], ENVS[:1], [0], {"budget_queries": 3}, tmp_path / "runs", env_kwargs={"table": path}
    )
    run_all(searches, 1, lambda *_: None)
    moved = tmp_path / "elsewhere.safetensors"
    shutil.copy(path, moved)
    with pytest.raises(FileNotFoundError, match="name it by --table"):
        report(tmp_path / "out", tmp_path / "runs", "--no-figures")
    report(tmp_path / "out", tmp_path / "runs", "--no-figures", "--replay", "--table", str(moved))
    page_text = (tmp_path / "out" / "report.md").read_text()
    assert tested_table.id in page_text
    assert "--replay --no-figures" in page_text
    assert f"--table {moved}" in page_text


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.jsonl")
    with pytest.raises(OSError, match=r"x.jsonl: not a file"):
        load([tmp_path])
    (tmp_path / "x.jsonl").unlink()
    (tmp_path / "folder.jsonl").mkdir()
    with pytest.raises(OSError, match=r"folder.jsonl: not a file"):
        load([tmp_path])


# -- nothing gets lost -----------------------------------------------------------------------


def test_a_full_disk_leaves_the_old_report(
    bench_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    report(out, bench_folder, "--no-figures")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    bench = load([bench_folder])

    def full(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    for name in ("page", "markdown", "json_text", "write_csv"):
        with monkeypatch.context() as patch:
            patch.setattr(write, name, full)
            with pytest.raises(OSError, match="No space left"):
                write.write(bench, out, "nb201 report elsewhere", figures=False)
        assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_disk_that_fills_up_midway_leaves_the_old_report(bench_folder: Path, tmp_path: Path) -> None:
    """As the system does it: no file may grow beyond 100 kB, which the page does."""
    out = tmp_path / "out"
    report(out, bench_folder, "--no-figures")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert len(before["report.html"]) > 100_000
    code = (
        "import resource, signal, sys; from nb201env.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"sys.argv = ['nb201', 'report', {str(bench_folder)!r}, '--out', {str(out)!r}, '--no-figures']\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "File too large" in done.stderr
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_two_reports_at_once(bench_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = "import sys; from nb201env.cli import main; sys.argv[0] = 'nb201'; main()"
    command = [sys.executable, "-c", code, "report", str(bench_folder), "--out", str(out), "--no-figures"]
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    report(tmp_path / "alone", bench_folder, "--no-figures")
    assert {path.name for path in out.iterdir()} == {path.name for path in (tmp_path / "alone").iterdir()}
    assert (out / "searches.csv").read_bytes() == (tmp_path / "alone" / "searches.csv").read_bytes()


def test_numbers_that_json_lacks_do_not_break_the_page(
    bench_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = load([bench_folder])
    real = comparison.costs
    monkeypatch.setattr(
        space, "costs", lambda table, name: np.where(np.arange(15_625) % 2, real(table, name), np.nan)
    )
    text = page.page(summarise(bench), "x")
    (data,) = re.findall(r'id="data">(.*?)</script>', text, re.DOTALL)
    json.loads(data, parse_constant=pytest.fail)


def test_queries_that_cost_nothing_have_a_curve(tmp_path: Path) -> None:
    run_all(plan(LIGHT[:1], ENVS[:1], [0], {"budget_queries": 3}, tmp_path), 1, lambda *_: None)
    (path,) = tmp_path.rglob("*.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    free = [line | ({"seconds": 0.0, "clock": 0.0} if "clock" in line else {}) for line in lines]
    path.write_text("".join(json.dumps(line) + "\n" for line in free))
    (setting,) = summarise(load([tmp_path])).settings
    assert setting.agents[0].by_seconds.x.tolist() == [0.0] * 160
    assert tables.final(setting).rows[0][4] == "0.0"
