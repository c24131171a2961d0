"""PyPI's analog-nasbench: read from the installed package, its wheel or its folder, and never imported."""

from __future__ import annotations

import json
import os
import pickle
import sys
import zipfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import gymnasium as gym
import numpy as np
import pytest
from typer.testing import CliRunner

from nb201env import Architecture, NotRecorded, Table, cli, open_table
from nb201env.comparison import kendall
from nb201env.compat import create
from nb201env.sources.analog_nasbench import EPOCHS, LARGEST, MEMBER, TRAPS, import_package
from nb201env.sources.errors import SourceError
from tests.sources.test_hostile import PROTO, named, text

NASLIB = {
    (2, 1, 4, 0, 3, 1): "|nor_conv_3x3~0|+|none~0|skip_connect~1|+|avg_pool_3x3~0|nor_conv_1x1~1|none~2|",
    (1, 1, 1, 1, 1, 1): "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
    (
        2,
        2,
        0,
        2,
        2,
        3,
    ): "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",
}
"""NASLib's numbers of three cells, and the official string of each."""
ONCE = ("baseline", "ptq", "qat", "noisy", "analog")
DRIFTS = [
    f"{kind}_drift_{seconds}" for kind in ("baseline", "analog") for seconds in (60, 3600, 86400, 2592000)
]
OURS = ["test_accuracy", *(f"test_{name}_accuracy" for name in ONCE[1:])]
runner = CliRunner()


def values(number: int) -> dict[str, Any]:
    """The numbers of one architecture: 10·n+1, 10·n+2, … per cent."""
    once = {f"{name}_accuracy": 10.0 * number + i for i, name in enumerate(ONCE, 1)}
    return once | {name: (10.0 * number + 5 + i / 10, i / 100) for i, name in enumerate(DRIFTS)}


def data(records: dict[Any, dict[str, Any]]) -> bytes:
    """What the package's file holds: objects of its two classes, which a module that is not there defines."""
    module = ModuleType("analognasbench.data")
    for name in ("Architecture", "DriftMeasurement"):
        setattr(module, name, type(name, (), {"__module__": module.__name__}))

    def made(kind: str, **attributes: Any) -> Any:
        new = getattr(module, kind)()
        new.__dict__.update(attributes)
        return new

    def drift(value: Any) -> Any:
        return (
            made("DriftMeasurement", value=value[0], uncertainty=value[1]) if type(value) is tuple else value
        )

    objects = {
        key: made(
            "Architecture", **({"architecture": key} | {name: drift(held) for name, held in record.items()})
        )
        for key, record in records.items()
    }
    with patch.dict(sys.modules, {"analognasbench": ModuleType("analognasbench"), module.__name__: module}):
        return pickle.dumps(objects, protocol=4)


SOUND = {key: values(number) for number, key in enumerate(NASLIB, 1)}


def site_packages(folder: Path, content: bytes, version: str = "0.1.3") -> Path:
    """The package as pip installs it; its code fails when it is imported."""
    path = folder / MEMBER
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    (path.parent / "__init__.py").write_text("raise SystemExit('imported')\n")
    about = folder / f"analog_nasbench-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.2\nName: analog-nasbench\nVersion: {version}\n")
    return folder


def wheel(path: Path, content: bytes, member: str = MEMBER, packed: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", packed) as archive:
        archive.writestr(member, content)
    return path


def anb(folder: Path, content: bytes) -> Path:
    path = folder / "data.anb"
    path.write_bytes(content)
    return path


PLACES: dict[str, Callable[[Path], Path]] = {
    "site-packages": lambda folder: site_packages(folder / "site", data(SOUND)),
    "package folder": lambda folder: (site_packages(folder / "site", data(SOUND)) / MEMBER).parent,
    "wheel": lambda folder: wheel(folder / "analog_nasbench-0.1.3-py3-none-any.whl", data(SOUND)),
    "data file": lambda folder: anb(folder, data(SOUND)),
}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Table:
    folder = tmp_path_factory.mktemp("analog")
    return import_package(folder / "a.safetensors", "a", source=anb(folder, data(SOUND)))


@pytest.mark.parametrize("place", PLACES)
def test_it_is_found_wherever_the_user_has_it(tmp_path: Path, place: str, table: Table) -> None:
    found = import_package(tmp_path / "b.safetensors", "b", source=PLACES[place](tmp_path))
    assert found.id == table.id
    assert "analognasbench" not in sys.modules


def test_the_installed_package_is_found_and_not_imported(
    tmp_path: Path, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(site_packages(tmp_path / "site", data(SOUND), "0.9"))
    notes: list[str] = []
    found = import_package(tmp_path / "b.safetensors", "b", note=notes.append)
    assert found.id == table.id
    assert found.manifest["provenance"]["package"] == "analog-nasbench 0.9"
    assert "analognasbench" not in sys.modules
    assert "not the data of analog-nasbench 0.1.3 (its sha256 is" in notes[0]
    assert notes[1:] == ["15,622 of 15,625 architectures are missing"]


def test_numbers_stand_by_naslibs_order_under_honest_names(table: Table) -> None:
    for number, string in enumerate(NASLIB.values(), 1):
        index = Architecture.parse(string).index
        held = {column: float(table.values(column, epochs=EPOCHS)[index]) * 100 for column in table.columns}
        assert [held[column] for column in OURS] == pytest.approx([10 * number + i for i in range(1, 6)])
        drifts = [
            f"test_{kind}_drift_{seconds}s"
            for kind in ("noisy", "analog")
            for seconds in (60, 3600, 86400, 2592000)
        ]
        assert [held[f"{name}_accuracy"] for name in drifts] == pytest.approx(
            [10 * number + 5 + i / 10 for i in range(8)]
        )
        assert [held[f"{name}_spread"] for name in drifts] == pytest.approx([i / 100 for i in range(8)])
    assert int(np.isnan(table.values("test_accuracy", epochs=EPOCHS)).sum()) == 15_625 - 3
    assert table.verify() == []


def test_nothing_in_it_is_called_validation_and_its_traps_are_told(table: Table) -> None:
    assert all(column.startswith("test_") for column in table.columns)
    assert table.manifest["provenance"]["traps"] == "; ".join(TRAPS)
    for trap in (
        "no validation",
        "augmented",
        "tuned on the test",
        "one training",
        "NASLib's order",
        "licence",
    ):
        assert any(trap in told for told in TRAPS)


def test_no_environment_searches_on_it(table: Table) -> None:
    with pytest.raises(NotRecorded, match="no 'valid_accuracy', which rewards are made of"):
        gym.make("NB201-v0", table=str(table.container.path))


def test_it_is_never_taken_for_the_official_trainings(table: Table) -> None:
    with pytest.raises(NotRecorded, match="'cifar10'"):
        create([table, open_table("cifar10-valid-200")]).get_more_info(
            6111, "cifar10", hp="200", is_random=False
        )


# -- the command ---------------------------------------------------------------------------------


def nb201(*words: str) -> Any:
    return runner.invoke(cli.build(), ["table", "import-package", *words])


def test_the_command_names_the_table_and_tells_the_traps(tmp_path: Path) -> None:
    source = PLACES["wheel"](tmp_path)
    result = nb201("analog-nasbench", "--from", str(source), "--out", str(tmp_path), "--json")
    assert [one["name"] for one in json.loads(result.stdout)["tables"]] == ["analog-nasbench"]
    assert all(f"note: {trap}" in result.stderr for trap in TRAPS)
    again = nb201("analog-nasbench", "--from", str(source), "--out", str(tmp_path))
    assert "unchanged" in again.stderr


def test_other_packages_are_refused(tmp_path: Path) -> None:
    error = nb201("nats_bench", "--out", str(tmp_path)).exception
    assert isinstance(error, ValueError)
    assert "analog-nasbench" in str(error)


def test_what_is_not_installed_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(FileNotFoundError, match=r"pip install analog-nasbench==0\.1\.3"):
        import_package(tmp_path / "x.safetensors", "x")
    with pytest.raises(FileNotFoundError, match="holds no analognasbench/data.anb"):
        import_package(tmp_path / "x.safetensors", "x", source=tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no .*nowhere.whl; name the package's wheel"):
        import_package(tmp_path / "x.safetensors", "x", source=tmp_path / "nowhere.whl")


# -- wrong files ---------------------------------------------------------------------------------

WRONG: list[Any] = [None, True, "91.2", -0.1, 100.1, float("nan"), float("inf"), 10**30, [1.0], {}]


@pytest.mark.parametrize("field", [*(f"{name}_accuracy" for name in ONCE), *DRIFTS])
def test_every_wrong_number_is_named(tmp_path: Path, field: str) -> None:
    (first, *_) = SOUND
    for wrong in WRONG:
        variants = [wrong, (wrong, 0.1), (1.0, wrong)] if field in DRIFTS else [wrong]
        for value in variants:
            spoilt = SOUND | {first: SOUND[first] | {field: value}}
            with pytest.raises(SourceError) as caught:
                import_package(tmp_path / "x.safetensors", "x", source=anb(tmp_path, data(spoilt)))
            assert field in str(caught.value)
            assert "expected a" in str(caught.value)
    missing = {first: {name: held for name, held in SOUND[first].items() if name != field}}
    with pytest.raises(SourceError, match=field):
        import_package(tmp_path / "x.safetensors", "x", source=anb(tmp_path, data(missing)))


@pytest.mark.parametrize("key", [(5, 0, 0, 0, 0, 0), (0,) * 5, "abcdef", 7, (0, 0, 0, 0, 0, "1")])
def test_keys_are_architectures(tmp_path: Path, key: Any) -> None:
    with pytest.raises(SourceError, match=r"no architecture|dictionary key"):
        import_package(tmp_path / "x.safetensors", "x", source=anb(tmp_path, data({key: values(1)})))


def test_an_entry_of_another_architecture_is_refused(tmp_path: Path) -> None:
    one, other, _ = NASLIB
    spoilt = {one: values(1) | {"architecture": other}}
    with pytest.raises(SourceError, match="expected an object of that architecture"):
        import_package(tmp_path / "x.safetensors", "x", source=anb(tmp_path, data(spoilt)))


OBJECT = named("analognasbench.data", "Architecture")
HOSTILE = {
    "a call": PROTO + named("os", "system") + text("touch x") + b"\x85R.",
    "an object of another class": PROTO + named("os", "system") + b")\x81.",
    "an object made of arguments": PROTO + OBJECT + b"K\x01\x85\x81.",
    "an object of a number": PROTO + b"K\x01)\x81.",
    "an object of numpy's": PROTO + named("numpy", "dtype") + b")\x81.",
    "attributes without names": PROTO + OBJECT + b")\x81}K\x01K\x02sb.",
    "attributes that are a list": PROTO + OBJECT + b")\x81]b.",
    "no dictionary": PROTO + b"K\x01.",
    "nothing": PROTO + b"}.",
    "another class's name": data(SOUND).replace(b"DriftMeasurement", b"DriftMeasuremenX"),
    "cut short": data(SOUND)[:-20],
    "a page": b"<!DOCTYPE html><title>Quota exceeded</title>",
    "empty": b"",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_files_are_refused(tmp_path: Path, content: bytes) -> None:
    for source in (anb(tmp_path, content), wheel(tmp_path / "p.whl", content)):
        with pytest.raises(SourceError) as caught:
            import_package(tmp_path / "x.safetensors", "x", source=source)
        assert source.name in str(caught.value)
    assert not (tmp_path / "x.safetensors").exists()


def test_wheels_that_are_none_or_swell_are_refused(tmp_path: Path) -> None:
    swelling = wheel(tmp_path / "swelling.whl", bytes(LARGEST + 1))
    crowded = tmp_path / "crowded.whl"
    with zipfile.ZipFile(crowded, "w") as archive:
        for number in range(12_000):
            archive.writestr(f"{number:0100d}", b"")
    cases = {
        swelling: "more than",
        crowded: "larger than any real one",
        anb(tmp_path, b"no zip").rename(tmp_path / "broken.whl"): "damaged or no wheel",
        wheel(tmp_path / "other.whl", b"", member="nats_bench/data"): "is not in the wheel",
        wheel(tmp_path / "slow.whl", data(SOUND), packed=zipfile.ZIP_LZMA): "damaged or no wheel",
    }
    for source, message in cases.items():
        with pytest.raises(SourceError, match=message):
            import_package(tmp_path / "x.safetensors", "x", source=source)
    with open(tmp_path / "long.anb", "wb") as file:
        file.write(os.urandom(1 << 20) * 33)
    with pytest.raises(SourceError, match="too large"):
        import_package(tmp_path / "x.safetensors", "x", source=tmp_path / "long.anb")


# -- the real one --------------------------------------------------------------------------------


def test_the_real_package_agrees_with_the_official_trainings(tmp_path: Path) -> None:
    try:
        distribution("analog-nasbench")
    except PackageNotFoundError:
        pytest.skip("needs analog-nasbench (pip install analog-nasbench==0.1.3)")
    notes: list[str] = []
    real = import_package(tmp_path / "real.safetensors", "real", note=notes.append)
    assert notes == []
    official = open_table("cifar10-valid-200").accuracy(split="valid", epochs=200, run="mean")
    assert kendall(real.accuracy(split="test", epochs=200, run="mean"), official) > 0.9
    best, accuracy = real.optimum(split="test", epochs=200)
    assert (best.official_index, round(100 * accuracy, 2)) == (13_714, 94.07)
