"""The report's page in headless Chromium: it draws, answers, and asks nobody for anything."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nb201env import Architecture, drawing, open_table
from nb201env.agents.random_search import RandomSearch
from nb201env.agents.report.data import Bench, load, load_files
from nb201env.agents.report.page import page as html
from nb201env.agents.report.summary import summarise
from nb201env.agents.searches.plan import plan
from nb201env.agents.searches.recorder import record
from nb201env.agents.searches.runner import run_all
from nb201env.envs.registration import OWN
from nb201env.space import SIZE
from nb201env.table import write_table
from tests.agents.conftest import ENVS, LIGHT
from tests.browser import opened


def curves(page: Any) -> dict[str, str]:
    """The drawn lines of the visible regret chart by name."""
    lines = page.locator("section:not([hidden]) [data-chart=regret] path.line")
    return {line.get_attribute("data-name"): line.get_attribute("d") for line in lines.all()}


def tip(page: Any) -> str:
    return str(page.locator("#tip").inner_text())


def press(page: Any, text: str) -> None:
    page.locator("section:not([hidden]) [data-chart=regret]").get_by_role(
        "button", name=text, exact=True
    ).click()


# -- regret ----------------------------------------------------------------------------------


def test_curves_are_drawn(page: Any) -> None:
    drawn = curves(page)
    assert set(drawn) == {"random search", "regularized evolution", "random search, expected"}
    for path in drawn.values():
        points = [tuple(map(float, point)) for point in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]
        x, y = zip(*points, strict=True)
        assert len(points) > 8
        assert list(x) == sorted(x)
        assert x[-1] - x[0] > 800
        assert y[-1] - y[0] > 100  # regret falls: downwards are growing numbers
    assert page.locator("section:not([hidden]) [data-chart=regret] path.band:visible").count() == 2


def test_hovering_shows_the_values(page: Any, bench: Bench) -> None:
    box = page.locator("[data-chart=regret] svg").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 5, box["y"] + 100)
    assert tip(page).startswith("80 queries")
    for agent in summarise(bench).settings[0].agents:
        shown = re.search(rf"{agent.entry.label}\s+([\d.]+)", tip(page))
        assert shown
        assert float(shown[1]) == pytest.approx(100 * agent.by_queries.mean[-1], rel=0.01)
    page.mouse.move(5, 5)
    assert page.locator("#tip").is_hidden()


def test_the_tip_says_what_the_curve_is_at_that_query(page: Any, bench: Bench) -> None:
    """Between points of a curve as well: the pointer goes to the next query at which there is one."""
    chart = page.locator("[data-chart=regret] svg.agents").first
    box = chart.bounding_box()
    agents = summarise(bench).settings[0].agents
    seen = set()
    for share in np.linspace(0.08, 0.9, 25):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 100)
        queries = int(re.match(r"(\d+) quer(y|ies)", tip(page))[1])  # type: ignore[index]
        seen.add(queries)
        for agent in agents:
            mean = dict(zip(agent.by_queries.x.tolist(), 100 * agent.by_queries.mean, strict=True))
            shown = float(re.search(rf"{agent.entry.label}\s+([\d.]+)", tip(page))[1])  # type: ignore[index]
            assert shown == pytest.approx(mean[queries], rel=6e-3)  # three digits
    assert len(seen) > 15


def test_the_keyboard_reads_values_too(page: Any) -> None:
    page.locator("[data-chart=regret] svg").first.focus()
    page.keyboard.press("ArrowRight")
    first = tip(page)
    assert first.startswith("1 query")
    for _ in range(30):
        page.keyboard.press("ArrowRight")
    assert int(tip(page).split()[0]) > 1


def test_axes_and_centres_switch(page: Any) -> None:
    seen = {json.dumps(curves(page))}
    for text in ("Simulated GPU time", "Median and quartiles", "Queries"):
        press(page, text)
        seen.add(json.dumps(curves(page)))
    for text in ("log x", "log y"):
        page.locator("section:not([hidden]) [data-chart=regret]").get_by_label(text).uncheck()
        seen.add(json.dumps(curves(page)))
    assert len(seen) == 6
    press(page, "Simulated GPU time")
    assert "simulated GPU hours" in page.locator("[data-chart=regret] svg").first.text_content()
    box = page.locator("[data-chart=regret] svg").first.bounding_box()
    page.mouse.move(box["x"] + 500, box["y"] + 100)
    assert re.match(r"[\d.]+ GPU hours", tip(page))


def test_only_the_chosen_agents_are_drawn_if_one_likes(page: Any) -> None:
    button = page.locator("#legend").get_by_role("button", name="regularized evolution")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert len(curves(page)) == 3  # chosen are in front of the others
    page.get_by_label("only the chosen").check()
    assert set(curves(page)) == {"regularized evolution", "random search, expected"}
    assert page.locator("section:not([hidden]) [data-chart=profile] path.line").count() == 1
    page.get_by_role("tab", name=ENVS[1]).click()
    assert set(curves(page)) == {"regularized evolution", "random search, expected"}
    button.click()
    assert len(curves(page)) == 3
    page.get_by_role("button", name="Choose all").click()
    button.click()
    assert set(curves(page)) == {"random search", "random search, expected"}
    page.get_by_role("button", name="Choose none").click()
    assert len(curves(page)) == 3


# -- the space -------------------------------------------------------------------------------


def test_hovering_over_the_space_draws_the_cell(page: Any, bench: Bench) -> None:
    canvas = page.locator("section:not([hidden]) canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    found = set()
    for i in range(60):
        page.mouse.move(box["x"] + 70 + i * box["width"] / 64, box["y"] + 20 + 13 * (i % 20))
        if page.locator("#tip svg").count() and page.locator("#tip").is_visible():
            found.add(check_cell(page, bench))
    assert len(found) > 10


def check_cell(page: Any, bench: Bench) -> int:
    text = tip(page)
    (official,) = re.findall(r"official index\s+(\d+)", text)
    architecture = Architecture.from_official_index(int(official))
    landscape = bench.settings[0].landscape
    assert f"{100 * landscape.valid[architecture.index]:.2f} %" in text
    assert re.search(rf"rank\s+{landscape.rank[architecture.index]:,}\s", text)
    same = "html => { const box = document.createElement('div'); box.innerHTML = html; return box.innerHTML }"
    shown = page.locator("#tip svg").evaluate("svg => svg.outerHTML")
    assert shown == page.evaluate(same, drawing.svg(architecture.ops))
    for entry in bench.settings[0].entries:
        count = sum(architecture.index in search.index for search in entry.searches)
        asked = re.search(rf"asked by {entry.label}\s+(\d+) of 6", text)
        assert (int(asked[1]) if asked else 0) == count
    return int(official)


def test_the_space_is_painted_and_highlights_agents(page: Any) -> None:
    """Pixels in an agent's colour appear and disappear with its legend button."""
    count = """label => {
        const canvas = document.querySelector("section:not([hidden]) canvas");
        const hex = getComputedStyle(document.documentElement).getPropertyValue(`--c${label}`).trim();
        const want = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
        const copy = new OffscreenCanvas(canvas.width, canvas.height);
        const pen = copy.getContext("2d", { willReadFrequently: true });
        pen.drawImage(canvas, 0, 0);
        const data = pen.getImageData(0, 0, canvas.width, canvas.height).data;
        let hits = 0;
        for (let i = 0; i < data.length; i += 4)
            hits += want.every((v, k) => Math.abs(v - data[i + k]) < 6) && data[i + 3] > 200;
        return hits;
    }"""
    assert page.evaluate(count, 1) > 50
    page.locator("#legend").get_by_role("button", name="random search").click()
    page.get_by_label("only the chosen").check()
    assert page.evaluate(count, 1) == 0
    assert page.evaluate(count, 0) > 50
    across = page.locator("section:not([hidden]) [data-chart=space]").get_by_label("Across")
    names = ["validation accuracy", "parameters", "MACs", "GPU seconds", "latency", "CPU latency"]
    assert across.locator("option").all_inner_texts() == [
        *(f"{name}, cifar10-valid-200" for name in names),
        *(f"validation accuracy, {name}-200" for name in ("cifar100", "ImageNet16-120")), "official index",
    ]  # fmt: skip
    picture = "document.querySelector('section:not([hidden]) canvas').toDataURL()"
    before = page.evaluate(picture)
    across.select_option("GPU seconds, cifar10-valid-200")
    assert page.evaluate(picture) != before


def test_every_cost_of_a_table_is_an_axis(browser: Any, tmp_path: Path) -> None:
    """Also one that is negative, one of half of the architectures, a stranger's name; and no time."""
    table = open_table("cifar10-valid-200")
    columns = {
        "valid_accuracy": table.container.array("valid_accuracy"),
        "phone_energy_joules": np.full(SIZE, 0.002),
        "synflow": -np.arange(1.0, SIZE + 1), "<img src=x>": np.where(np.arange(SIZE) % 2, np.nan, 3.0),
        "unmeasured": np.full(SIZE, np.nan),
    }  # fmt: skip
    manifest = {key: value for key, value in table.manifest.items() if key != "arrays"} | {"name": "own"}
    manifest["columns"] = {name: {"unit": "<b>"} for name in columns} | {
        "valid_accuracy": manifest["columns"]["valid_accuracy"], "phone_energy_joules": {"unit": "J"}
    }  # fmt: skip
    own = write_table(tmp_path / "own.safetensors", manifest, columns).container.path
    path = tmp_path / "a.jsonl"
    record(RandomSearch(), gym.make(OWN, table=str(own), budget_queries=3), 0, path)
    file = tmp_path / "report.html"
    file.write_text(html(summarise(load_files([path], tables=[own])), "nb201 report"), encoding="utf-8")
    for tab in opened(browser, file):
        chart = "section:not([hidden]) [data-chart=space]"
        names = tab.locator(chart).get_by_label("Across").locator("option").all_inner_texts()
        own_names = [name.removesuffix(", own") for name in names if name.endswith(", own")]
        assert own_names == [
            "validation accuracy", "parameters", "MACs", "<img src=x>", "phone energy", "synflow",
            "CPU latency",
        ]  # fmt: skip
        pictures = set()
        for name in names:
            tab.locator(chart).get_by_label("Across").select_option(name)
            pictures.add(tab.evaluate("document.querySelector('canvas').toDataURL()"))
        assert len(pictures) == len(names)
        canvas = tab.locator(f"{chart} canvas")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        for step in range(40):  # somewhere among so many there is a dot
            tab.mouse.move(box["x"] + box["width"] / 2 + 5 * step, box["y"] + 60 + 5 * step)
            if tab.locator("#tip").is_visible():
                break
        assert re.search(r"phone energy\s*2\.000 mJ", tip(tab))
        assert re.search(r"<img src=x>\s*(3\.000 <b>|not recorded)", tip(tab))


# -- the page as a whole ---------------------------------------------------------------------


def test_tabs_show_one_environment_each(page: Any) -> None:
    names = ["All environments", *ENVS]
    assert page.get_by_role("tab").all_inner_texts() == names
    for name in [*ENVS, "All environments"]:
        page.get_by_role("tab", name=name, exact=True).click()
        assert page.locator("section:not([hidden])").count() == 1
        assert page.locator("section:not([hidden]) path.line").count() >= 2
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("tab", name=ENVS[0], exact=True).get_attribute("aria-selected") == "true"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(browser: Any, file: Path, scheme: str) -> None:
    for page in opened(browser, file, color_scheme=scheme):
        background = "getComputedStyle(document.body).backgroundColor"
        channels = [int(c) for c in re.findall(r"\d+", page.evaluate(background))]
        assert (sum(channels) > 600) == (scheme == "light")
        page.locator("#theme").click()
        other = [int(c) for c in re.findall(r"\d+", page.evaluate(background))]
        assert (sum(other) > 600) == (scheme == "dark")


def test_a_narrow_window_fits(browser: Any, file: Path) -> None:
    for page in opened(browser, file):
        page.set_viewport_size({"width": 420, "height": 800})
        page.get_by_role("tab", name=ENVS[0], exact=True).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 420
        assert len(curves(page)) == 3


def test_labels_of_long_searches_are_not_cut(browser: Any, tmp_path: Path) -> None:
    """The last label, "10,000", is as long as they get and stands at the chart's right edge."""
    run_all(plan(LIGHT[:1], ENVS[:1], [0], {"budget_queries": 10_000}, tmp_path), 1, lambda *_: None)
    file = tmp_path / "report.html"
    file.write_text(html(summarise(load([tmp_path])), "x"), encoding="utf-8")
    boxes = """svg => [svg, ...svg.querySelectorAll("text")].map(one => {
        const box = one.getBoundingClientRect();
        return [one.textContent, box.left, box.right, box.top, box.bottom];
    })"""
    for page in opened(browser, file):
        (_, *frame), *labels = page.locator("[data-chart=regret] svg").first.evaluate(boxes)
        assert "10,000" in [label[0] for label in labels]
        for _, left, right, top, bottom in labels:
            assert frame[0] <= left <= right <= frame[1]
            assert frame[2] <= top <= bottom <= frame[3]


def test_the_tables_need_no_script(browser: Any, file: Path, bench: Bench) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    text = page.locator("body").inner_text()
    for setting in bench.settings:
        assert setting.landscape.table.id in text
    assert "every number is in the tables" in text
    assert text.count("regularized evolution") > 10
    context.close()


def test_names_from_trajectories_are_only_text(browser: Any, bench_folder: Path, tmp_path: Path) -> None:
    evil = "</script><script>document.title = 'broken'</script><img src=x>"
    shutil.copytree(bench_folder / ENVS[0], tmp_path / "runs")
    for path in (tmp_path / "runs").glob("random_search-*.jsonl"):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join([json.dumps(json.loads(lines[0]) | {"agent": evil}) + "\n", *lines[1:]]))
    file = tmp_path / "report.html"
    file.write_text(html(summarise(load([tmp_path / "runs"])), "x"), encoding="utf-8")
    for page in opened(browser, file):
        box = page.locator("[data-chart=regret] svg").first.bounding_box()
        page.mouse.move(box["x"] + 500, box["y"] + 100)
        assert evil in tip(page)
        assert page.title().startswith("Benchmark report")
        assert page.locator("img").count() == 0


def test_the_page_names_no_address_and_stays_small(tmp_path: Path) -> None:
    """Twelve agents on one environment take a fifth of what any report may."""
    for sample in range(1, 12):
        out, settings = tmp_path / str(sample), {LIGHT[1]: {"sample": sample}}
        agents = LIGHT if sample == 1 else LIGHT[1:]
        run_all(plan(agents, ENVS[:1], [0, 1], {"budget_queries": 300}, out, settings), 1, lambda *_: None)
    text = html(summarise(load([tmp_path])), "x")
    assert len(text.encode()) < 1_200_000
    assert set(re.findall(r"\b\w+://[^\s\"'<\\]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"\b(src|href)=", text)


def test_the_data_is_what_the_csv_says(file: Path, bench: Bench) -> None:
    """The page's numbers and the CSV's come from one place."""
    data = json.loads(re.search(r'id="data">(.*?)</script>', file.read_text(), re.DOTALL)[1])  # type: ignore[index]
    one = summarise(bench).settings[1].agents[1]
    shown = data["panels"]["environment-1"]["agents"][1]
    assert data["labels"][shown["label"]] == one.entry.label
    mean = dict(zip(one.by_queries.x.tolist(), 100 * one.by_queries.mean, strict=True))
    kept = shown["queries"]["x"]  # the points without which the line would be another one
    assert shown["queries"]["mean"] == pytest.approx([mean[x] for x in kept], rel=1e-4)
    hours = one.by_seconds.x / 3600
    assert all(np.isclose(hours, x, rtol=1e-4).any() for x in shown["hours"]["x"])
    for axis, ends in (("queries", one.by_queries.x[[0, -1]]), ("hours", hours[[0, -1]])):
        assert shown[axis]["x"][:: len(shown[axis]["x"]) - 1] == pytest.approx(ends, rel=1e-4)
    assert shown["chosen"] == [search.chosen for search in one.entry.searches]
