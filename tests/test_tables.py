"""A name means one table: embedded names, own names, paths and ids, wherever one stands."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from typer.testing import CliRunner

from nb201env import open_table
from nb201env.cli import build
from nb201env.table import Table, write_table
from nb201env.tables import embedded, embedded_file, find, home, open_by_id, own, own_tables
from tests.test_table import small_columns, small_manifest

MIRROR = "cifar100-200"
"""An embedded table, a copy of which tries to stand in for another one."""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of own tables with one in it."""
    monkeypatch.setenv("NB201_HOME", str(tmp_path))
    write_table(tmp_path / "mine.safetensors", small_manifest(), small_columns())
    return tmp_path


def test_own_tables_by_name_and_path(mine: Path) -> None:
    path = mine / "mine.safetensors"
    assert own() == ("mine",)
    assert open_table("mine").name == "toy-3"
    assert open_table(path) is open_table(str(path)) is open_table("mine")
    with pytest.raises(FileNotFoundError, match=r"no table 'other': the names are mine, ImageNet16-120-200"):
        open_table("other")
    with pytest.raises(FileNotFoundError):
        open_table(mine / "other.safetensors")


@pytest.mark.parametrize("name", embedded())
def test_an_embedded_name_opens_the_embedded_file_whatever_else_is_called_like_it(
    name: str, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in (mine / name, mine / f"{name}.safetensors"):
        shutil.copy(find(MIRROR if name != MIRROR else "digits-10"), other)
    monkeypatch.chdir(mine)
    assert find(name) == embedded_file(name)
    assert open_table(name).name == name
    # The copies can be opened, by what looks like a path.
    assert open_table(f".{os.sep}{name}").name == open_table(f"{name}.safetensors").name != name


def test_a_file_of_the_current_folder_changes_no_environment(
    mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(find(MIRROR), mine / "cifar10-valid-200")
    shutil.copy(find(MIRROR), mine / "cifar10-valid-200.safetensors")
    monkeypatch.chdir(mine)
    env = gym.make("NB201-cifar10-v0", actions="pick", run="mean")
    env.reset(seed=0)
    reward = env.step(np.array([3, 3, 3, 1, 3, 2]))[1]
    assert reward == pytest.approx(0.91606667, abs=1e-8)


def test_a_name_is_no_file_of_the_current_folder(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mine)
    (mine / "mine.safetensors").rename(mine / "here")
    with pytest.raises(FileNotFoundError, match=r"a path holds a '.' or ends in \.safetensors"):
        open_table("here")
    assert open_table(f".{os.sep}here").name == "toy-3"


def test_an_own_table_called_like_an_embedded_one_is_named_and_has_no_name(mine: Path) -> None:
    shutil.copy(find(MIRROR), mine / "digits-10.safetensors")
    tables, problems = own_tables()
    assert [table.name for table in tables] == ["toy-3"]
    assert problems == [
        f"{mine / 'digits-10.safetensors'}: its name means the embedded table; open it by its path"
    ]
    assert own() == ("mine",)


def test_one_broken_file_is_named_and_skipped(mine: Path) -> None:
    (mine / "broken.safetensors").write_bytes(b"no table")
    (mine / "dangling.safetensors").symlink_to(mine / "gone")
    (mine / "folder.safetensors").mkdir()
    os.mkfifo(mine / "pipe.safetensors")
    tables, problems = own_tables()
    assert [table.name for table in tables] == ["toy-3"]
    assert len(problems) == 4
    for problem, name in zip(problems, ("broken", "dangling", "folder", "pipe"), strict=True):
        assert f"{name}.safetensors" in problem
        assert problem.endswith("; skipped")
    done = CliRunner().invoke(build(), ["table", "list", "--json"])
    assert done.exit_code == 0
    listed = json.loads(done.stdout)
    assert [table["name"] for table in listed["tables"]] == ["toy-3", *embedded()]
    assert listed["problems"] == problems
    assert "broken.safetensors" in done.stderr


# -- without a home --------------------------------------------------------------------------

OPEN = "import gymnasium as gym, nb201env; gym.make('NB201-cifar10-v0').reset(seed=0); print('opens')"


@pytest.mark.parametrize("kind", ["nobody", "foreign", "unreadable", "file", "empty"])
def test_embedded_environments_need_no_home(kind: str, tmp_path: Path) -> None:
    """A user without an entry in the system's list, with somebody else's home, or an unreadable one."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    unset = ("NB201_HOME", "XDG_DATA_HOME", "HOME")
    env = {name: value for name, value in os.environ.items() if name not in unset}
    env |= {
        "nobody": {},
        "foreign": {"HOME": str(closed)},
        "unreadable": {"NB201_HOME": str(closed / "tables")},
        "file": {"NB201_HOME": sys.executable},
        "empty": {"NB201_HOME": ""},
    }[kind]
    # The user is changed after the imports, because nobody may read the interpreter's own folders here.
    become = "import os; os.getuid() == 0 and os.setuid(54321); "
    code = "import gymnasium, nb201env, nb201env.envs.single; " + become + OPEN
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("opens\n", 0), done.stderr


def test_without_a_home_the_message_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NB201_HOME", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(FileNotFoundError, match="set NB201_HOME"):
        home()
    with pytest.raises(FileNotFoundError, match="no table 'mine': .*set NB201_HOME"):
        open_table("mine")
    assert own() == ()
    assert own_tables() == ([], [])


def test_an_empty_nb201_home_is_not_the_current_folder(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mine)
    monkeypatch.setenv("NB201_HOME", "")
    monkeypatch.setenv("XDG_DATA_HOME", str(mine / "data"))
    assert home() not in (Path(), mine)
    assert own() == ()


# -- ids -------------------------------------------------------------------------------------


def test_a_table_is_found_by_its_id_wherever_it_lies(mine: Path, tmp_path: Path) -> None:
    for name in embedded():
        assert open_by_id(open_table(name).id).name == name
    assert open_by_id(open_table("mine").id).container.path == mine / "mine.safetensors"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    moved = Path(shutil.move(mine / "mine.safetensors", elsewhere / "x.safetensors"))
    table_id = Table.open(moved).id
    with pytest.raises(FileNotFoundError, match=f"no table here has the id {table_id[:12]}.*--table"):
        open_by_id(table_id)
    assert open_by_id(table_id, [moved]).container.path == moved
    with pytest.raises(FileNotFoundError):
        open_by_id(table_id[:12], [moved])  # a part of an id is none
