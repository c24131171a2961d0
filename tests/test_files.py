"""Files that appear whole or not at all."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nb201env.files import appearing


def test_it_is_there_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with appearing(path) as new:
        new.write_text("whole")
        assert not path.exists()
        assert (new.parent, new.name[0]) == (tmp_path, ".")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]


def test_it_takes_the_place_of_an_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with appearing(path) as new:
        new.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("kind", ["file", "folder", "nothing"])
def test_an_error_leaves_the_old_one_and_nothing_else(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def write() -> None:
        with appearing(path) as new:
            if kind == "folder":
                new.mkdir()
            if kind != "nothing":
                (new / "b" if kind == "folder" else new).write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_killed_in_the_middle_it_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    code = (
        "import os, signal, sys; from nb201env.files import appearing\n"
        "with appearing(sys.argv[1]) as new:\n"
        "    new.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert [file.name[0] for file in tmp_path.iterdir() if file != path] == ["."]


def test_a_whole_folder(tmp_path: Path) -> None:
    with appearing(tmp_path / "made") as new:
        new.mkdir()
        (new / "a.txt").write_text("whole")
    assert (tmp_path / "made" / "a.txt").read_text() == "whole"
    assert [folder.name for folder in tmp_path.iterdir()] == ["made"]


def test_nothing_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), appearing(tmp_path / "a.txt"):
        pass
    assert not list(tmp_path.iterdir())


def test_a_file_has_the_rights_of_every_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with appearing(tmp_path / "appeared") as new:
        new.write_text("")
    assert (tmp_path / "appeared").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_two_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with appearing(path) as one, appearing(path) as two:
        one.write_text("one")
        two.write_text("two")
    assert path.read_text() == "one"  # whose block ended last
    assert list(tmp_path.iterdir()) == [path]
