"""Agents of one's own: how they are found, refused with one sentence, and told apart by version."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nb201env.agents import AGENTS, AgentError, check_agent, make_agent
from nb201env.agents.check import check_start
from nb201env.agents.contract import Env
from nb201env.agents.registry import display_name, file_name, names
from nb201env.agents.searches.heading import as_json, hyperparameters
from nb201env.agents.searches.recorder import record, replay
from nb201env.agents.source import source_of
from nb201env.extras import MissingExtra, how_to_install
from nb201env.trajectory import BadTrajectory, read
from tests.agents.own import MINE, unchanged_imports, write_modules, write_package
from tests.agents.test_check import BROKEN, agent, walk

ENV = "NB201-cifar10-v0"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with mine.py in it."""
    monkeypatch.chdir(write_modules(tmp_path))
    with unchanged_imports(tmp_path):
        yield tmp_path


# -- finding it ------------------------------------------------------------------------------


def test_a_class_in_the_current_folder(folder: Path) -> None:
    assert type(make_agent("mine:MyAgent", skip=4)).__name__ == "MyAgent"
    assert sys.path[0] == str(folder)
    assert vars(make_agent("mine:Plain", preset="large"))["_size"] == 100
    write_modules(folder / "methods", sub=MINE)
    assert type(make_agent("methods.sub:MyAgent")).__module__ == "methods.sub"


def test_the_current_folder_is_for_those_who_name_a_module(folder: Path) -> None:
    with pytest.raises(ValueError, match="unknown agent 'mine'"):
        make_agent("mine")
    make_agent("random_search")
    assert str(folder) not in sys.path


def test_a_class_that_a_package_offers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = (
        "my_method = MyAgent\nlocal_search = Plain\nbad/name = MyAgent\nnot.a.name = MyAgent\nlost = Nope"
    )
    monkeypatch.syspath_prepend(write_package(tmp_path / "site", points))
    with unchanged_imports(tmp_path):
        assert names() == [*AGENTS, "lost", "my_method"]
        assert type(make_agent("my_method", skip=3)).__module__ == "mymethods"
        assert type(make_agent("local_search")).__module__ == "nb201env.agents.local_search", "ours counts"
        with pytest.raises(ValueError, match="unknown agent 'my_methd'; did you mean 'my_method'"):
            make_agent("my_methd")
        with pytest.raises(ValueError, match=r"agent 'lost': .* has no class 'Nope'; it has MyAgent, Plain"):
            make_agent("lost")
        monkeypatch.syspath_prepend(write_package(tmp_path / "more", "my_method = MyAgent", name="others"))
        with pytest.raises(ValueError, match=r"is offered by others 1\.2 and mymethods 1\.2; name the"):
            make_agent("my_method")


def test_names_of_files_and_for_people() -> None:
    assert (file_name("mine:MyAgent"), display_name("mine:MyAgent")) == ("mine.MyAgent", "MyAgent")
    assert (file_name("a.b:C"), display_name("a.b:My_Agent")) == ("a.b.C", "My_Agent")
    assert display_name('=LINK("http://x")') == '=LINK("http://x")', "strangers name agents as they like"
    assert (file_name("my_method"), display_name("my_method")) == ("my_method", "my method")
    assert len(set(map(file_name, AGENTS))) == len(AGENTS)


# -- what can be wrong with it ---------------------------------------------------------------

MODULES = {
    "needs_cma": "import numpy\nimport no_such_package.sub\n",
    "needs_ours": "from nb201env.extras import require\nrequire('no_such_package', 'agents')\n",
    "inner": "from mine import nothing\n",
    "deep": "import inner\n",
    "divides": "x = 1\n\n1 / 0\n",
    "unread": "x = 1\nclass A(:\n",
    "leaves": "import sys\nsys.exit('no arguments')\n",
    "silent": "raise KeyboardInterrupt if False else Exception\n",
    "strange": (
        "\n\n"
        "class Needs:\n    def __init__(self, size, *, step): pass\n    def search(self, env, seed): pass\n"
        "class Raises:\n    def __init__(self):\n        {}['x']\n    def search(self, env, seed): pass\n"
        "class Refuses:\n    def __init__(self, size=1): raise ValueError('size is odd')\n"
        "class Imports:\n    def __init__(self): import no_such_package\n"
        "class NoSearch: pass\n"
        "class OneArgument:\n    def search(self, env): pass\n"
        "class Yields:\n    def search(self, env, seed): yield\n"
        "class Awaits:\n    async def search(self, env, seed): pass\n"
        "class Anything:\n    def __init__(self, **settings): pass\n    def search(self, env, seed): pass\n"
        "def function(env, seed): pass\ninstance = NoSearch()\n"
    ),
}
WRONG = [
    ("mine", "unknown agent 'mine'; the agents are .*; one of your own is module:Class, such as"),
    ("mine.MyAgent", "unknown agent 'mine.MyAgent'; .* one of your own is module:Class"),
    (":MyAgent", "is named module:Class, such as mine:MyAgent for the class MyAgent in mine.py; got ':My"),
    ("mine:", "is named module:Class"),
    ("mine:My.Agent", "is named module:Class"),
    ("a/mine:MyAgent", "is named module:Class"),
    (".mine:MyAgent", "is named module:Class"),
    ("mine::MyAgent", "is named module:Class"),
    ("mine:MyAgent()", "is named module:Class"),
    ("mine.py:MyAgent", "there is no module 'mine.py' .*; leave out the ending .py"),
    ("main:MyAgent", "there is no module 'main', neither in the current folder, FOLDER, nor among the"),
    ("no.such:MyAgent", r"there is no module 'no.such' \(No module named 'no'\), neither in"),
    ("mine.sub:MyAgent", r"no module 'mine.sub' \(.*'mine' is not a package\), neither in"),
    ("mine:MyAgnt", r"module 'mine' \(mine.py\) has no class 'MyAgnt'; did you mean 'MyAgent'"),
    ("mine:Other", r"module 'mine' \(mine.py\) has no class 'Other'; it has MyAgent, Plain"),
    ("os:system", "system in .*os.py is no class, but a builtin_function_or_method; name the class"),
    ("needs_cma:A", r"needs no_such_package, which is not installed \(needs_cma.py, line 2\): pip install"),
    ("needs_ours:A", r"agent 'needs_ours:A': this needs no_such_package, .* pip install 'nb201env"),
    ("inner:A", r"importing inner raised ImportError: cannot import name 'nothing' .*\(inner.py, line 1\)"),
    ("deep:A", r"importing deep raised ImportError: .*\(inner.py, line 1\)"),
    ("divides:A", r"importing divides raised ZeroDivisionError: division by zero \(divides.py, line 3\)"),
    ("unread:A", r"importing unread raised SyntaxError: invalid syntax \(unread.py, line 2\)"),
    ("leaves:A", r"raised SystemExit: no arguments \(leaves.py, line 2\); put what it runs below if"),
    ("silent:A", r"importing silent raised Exception \(silent.py, line 1\)"),
    ("strange:Needs", "the hyper-parameter 'size' of its constructor has no default; give it one, or a"),
    ("strange:Raises", r"its constructor raised KeyError: 'x' \(strange.py, line 8\)"),
    ("strange:Refuses", "agent 'strange:Refuses': size is odd"),
    ("strange:Imports", r"raised ModuleNotFoundError: .* line 13\); pip install no_such_package"),
    ("strange:function", "function in strange.py is no class, but a function; name the class"),
    ("strange:instance", "instance in strange.py is no class, but a NoSearch; name the class"),
    ("strange:NoSearch", r"NoSearch has no method search\(env, seed\); give it one"),
    ("strange:OneArgument", r"must take two arguments, search\(env, seed\); it is search\(env\)"),
    ("strange:Yields", r"Yields.search is a generator, so that calling it does nothing: let it act"),
    ("strange:Awaits", r"Awaits.search is async, so that calling it does nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "message"), WRONG)
def test_what_is_wrong_is_one_sentence(name: str, message: str, folder: Path) -> None:
    write_modules(folder, **MODULES)
    with pytest.raises((ValueError, MissingExtra), match=message.replace("FOLDER", str(folder))) as caught:
        make_agent(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("mine:MyAgent", {"skp": 1}, "'mine:MyAgent': it has no hyper-parameter 'skp'; did you mean 'skip'?"),
        ("mine:Plain", {"x": 1}, "it has no hyper-parameter 'x'; it has size, step, rule"),
        ("mine:Plain", {"preset": "small"}, "agent 'mine:Plain' has no preset 'small'; it has large"),
        ("mine:MyAgent", {"preset": "small"}, "has no preset 'small'; it has none"),
        ("strange:NoSearch", {"name": 1}, "it has no hyper-parameter 'name'; it has none"),
        ("strange:Needs", {"size": 1}, "the hyper-parameter 'step' of its constructor has no default"),
        ("random_search", {"speed": 1}, "'random_search': it has no hyper-parameter 'speed'; it has none"),
        ("regularized_evolution", {"population": "x"}, "its constructor raised TypeError: '<' not supported"),
    ],
)  # fmt: skip
def test_wrong_hyperparameters(name: str, given: dict[str, Any], message: str, folder: Path) -> None:
    write_modules(folder, **MODULES)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        make_agent(name, **given)
    assert message in str(caught.value)


def test_constructors_that_take_anything_are_given_it(folder: Path) -> None:
    write_modules(folder, **MODULES)
    made = make_agent("strange:Anything", name=3, size=4)
    assert hyperparameters(made, {"name": 3, "size": 4}) == {"name": 3, "size": 4}


def test_a_module_that_failed_is_read_again(folder: Path) -> None:
    with pytest.raises(ValueError, match="ZeroDivisionError"):
        write_modules(folder, fresh="1 / 0") and make_agent("fresh:MyAgent")
    write_modules(folder, fresh=MINE)
    make_agent("fresh:MyAgent")


@pytest.mark.parametrize(
    ("module", "command"),
    [("torch", "nb201env[train]"), ("cma", "nb201env[agents]"), ("sklearn", "nb201env[train]"),
     ("stable_baselines3", "nb201env[agents]"),
     ("yaml", "PyYAML"), ("lightgbm", "lightgbm"), ("pytest", "pytest")],
)  # fmt: skip
def test_how_to_install(module: str, command: str) -> None:
    assert how_to_install(module).replace("'", "") == f"pip install {command}"


@pytest.mark.parametrize(
    ("name", "module"),
    [("cma_es", "cma"), ("tpe", "optuna"), ("bohb", "statsmodels"), ("predictor_evolution", "xgboost"),
     ("ppo", "stable_baselines3"), ("maskable_ppo", "sb3_contrib"), ("rsps", "sklearn"),
     ("ppo", "tensorboard"), ("dqn", "tensorboard"), ("vector_ppo", "tensorboard")],
)  # fmt: skip
def test_a_missing_extra_shows_when_the_agent_is_made(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("stable_baselines3")
    monkeypatch.setitem(sys.modules, module, None)
    given = {"tensorboard": "board"} if module == "tensorboard" else {}
    with pytest.raises(MissingExtra, match=rf"^agent '{name}': this needs {module}, .* pip install 'nb"):
        make_agent(name, **given)


# -- which one it was ------------------------------------------------------------------------


def test_a_header_says_which_agent_it_was(folder: Path) -> None:
    record(make_agent("mine:MyAgent"), gym.make(ENV, budget_queries=3), 0, "a.jsonl")
    head = read("a.jsonl").header
    assert list(head["source"]) == ["class", "distribution", "version", "code_sha256"]
    assert head["source"]["class"] == "mine:MyAgent"
    assert len(head["source"]["code_sha256"]) == 64
    assert head["hyperparameters"] == {"skip": 0}
    record(make_agent("random_search"), gym.make(ENV, budget_queries=3), 0, "b.jsonl")
    assert "source" not in json.loads(Path("b.jsonl").read_text().splitlines()[0])
    assert read("b.jsonl").header["source"] == {}


def test_the_version_is_the_distributions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(write_package(tmp_path / "site", "my_method = MyAgent"))
    with unchanged_imports(tmp_path):
        found = source_of(type(make_agent("my_method")))
    assert (found["class"], found["distribution"], found["version"]) == (
        "mymethods:MyAgent",
        "mymethods",
        "1.2",
    )


def test_a_package_that_is_developed_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = write_package(tmp_path / "site", "my_method = MyAgent")
    (site / "mymethods.py").rename(write_modules(tmp_path / "sources") / "mymethods.py")
    url = {"url": (tmp_path / "sources").as_uri(), "dir_info": {"editable": True}}
    (site / "mymethods-1.2.dist-info" / "direct_url.json").write_text(json.dumps(url))
    monkeypatch.syspath_prepend(tmp_path / "sources")
    monkeypatch.syspath_prepend(site)
    with unchanged_imports(tmp_path):
        assert source_of(type(make_agent("my_method")))["version"] == "1.2"
        assert source_of(type(make_agent("mine:MyAgent")))["distribution"] == ""


def test_without_a_distribution_the_module_says_its_version(folder: Path) -> None:
    write_modules(folder, dated=MINE + "\n__version__ = '0.3'\n")
    assert source_of(type(make_agent("dated:MyAgent")))["version"] == "0.3"
    assert source_of(type(make_agent("mine:MyAgent")))["version"] == ""


def test_a_script_has_no_version() -> None:
    assert source_of(type("Mine", (), {"__module__": "__main__"})) == {
        "class": "__main__:Mine", "distribution": "", "version": "", "code_sha256": ""
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ('"""An agent."""', '"""The best agent of all."""', True),
        ("    over = False\n", "    over = False  # not yet\n\n", True),
        ("Random search, without", "Without", True),
        ("15_625", "15625", True),
        ("15_625", "15_624", False),
        ("skip: int = 0", "skip: int = 1", False),
    ],
)
def test_the_digest_is_of_the_code_and_not_of_what_explains_it(
    old: str, new: str, same: bool, folder: Path
) -> None:
    assert old in MINE
    write_modules(folder, changed=MINE.replace(old, new))
    one, other = (source_of(type(make_agent(f"{name}:MyAgent"))) for name in ("mine", "changed"))
    assert (one["code_sha256"] == other["code_sha256"]) is same


class Colour(Enum):
    RED = 1


def test_hyperparameters_of_any_class(folder: Path) -> None:
    """An attribute of the parameter's name, else what was given, else the default; nothing else."""
    plain = make_agent("mine:Plain", step=3)
    assert hyperparameters(plain, {"step": 3}) == {"size": 3, "step": 1.5, "rule": print}
    given: dict[str, Any] = {"step": np.float32(0.5), "rule": Colour.RED, "size": {3, 1}}
    made = as_json(hyperparameters(make_agent("mine:Plain", **given), given))
    assert made == {"size": [1, 3], "step": 0.25, "rule": "RED"}
    assert as_json([print, object(), float("inf"), np.arange(2), Path("a")]) == [
        "builtins:print", "builtins:object", "inf", [0, 1], "a"
    ]  # fmt: skip


NO_SOURCES: list[Any] = [3, [], None, {"class": 3}, {"version": None}, {"code_sha256": ["0"]}]
NO_WRAPPERS: list[Any] = [3, {}, None, [3], ["a", None]]


@pytest.mark.parametrize(
    "wrong", [*({"source": value} for value in NO_SOURCES), *({"wrappers": value} for value in NO_WRAPPERS)]
)
def test_what_a_stranger_says_of_them_is_texts(wrong: dict[str, Any], folder: Path) -> None:
    record(make_agent("mine:MyAgent"), gym.make(ENV, budget_queries=3), 0, "a.jsonl")
    first, *rest = Path("a.jsonl").read_text().splitlines(keepends=True)
    Path("a.jsonl").write_text(json.dumps(json.loads(first) | wrong) + "\n" + "".join(rest))
    with pytest.raises(BadTrajectory, match=r"line 1: \w+: should be"):
        read("a.jsonl")


def test_nothing_that_a_header_names_is_imported(folder: Path) -> None:
    record(make_agent("mine:MyAgent"), gym.make(ENV, budget_queries=3), 0, "a.jsonl", name="mine:MyAgent")
    del sys.modules["mine"]
    write_modules(folder, mine="raise SystemExit\n")
    assert replay(read("a.jsonl")) == []
    assert "mine" not in sys.modules


# -- trying it before a benchmark ------------------------------------------------------------

NOT_SEEN = {"goes_on", "ignores_the_seed", "only_builds", "shortens_the_vectors_trainings"}
"""What only whole searches, other seeds and other ways to act show."""


@pytest.mark.parametrize(
    ("broken", "message"),
    [pair for pair in BROKEN if pair[0].__name__ not in NOT_SEEN],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_first_queries_show_most_of_what_is_wrong(broken: Any, message: str) -> None:
    with pytest.raises(AgentError, match=message.replace(" with actions='build'", "")):
        check_start(broken(), gym.make(ENV, budget_queries=500), 0)


def test_the_start_of_a_long_search_is_cheap() -> None:
    """However large the budget, and whatever the agent catches."""
    asked = []

    def stubborn(env: Env, seed: int) -> None:
        rng = np.random.default_rng(seed)
        while True:
            env.reset()
            for _ in range(6):
                info = env.step(int(rng.integers(5)))[4]
            asked.append(info["architecture"])

    check_start(agent(stubborn), gym.make(ENV, budget_queries=10**6), 0)
    assert 10 <= len(asked) <= 20
    check_start(agent(walk), gym.make(ENV, budget_queries=3), 0)


def test_checks_where_no_time_is_recorded_and_where_queries_are_cheap() -> None:
    for env_id in ("NB201-digits-v0", "NB201-ImageNet16-120-v0"):
        check_agent(agent(walk), env_id=env_id, queries=10)
