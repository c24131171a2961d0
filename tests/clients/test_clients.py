"""The clients, each tried in its own environment: what their rows find is what docs/clients.md says."""

from __future__ import annotations

import re

import pytest

from benchmarks.checkout import ROOT
from benchmarks.studies.clients import read
from tests.clients.catalogue import CLIENTS, Client
from tests.clients.running import try_client

TRIED = [client for client in CLIENTS if client.ci]


@pytest.mark.slow
@pytest.mark.parametrize("client", TRIED, ids=lambda client: client.name)
def test_it_finds_what_the_page_says(client: Client) -> None:
    """Every row, the client's own errors included; the environment is made where there is none yet."""
    found, held = try_client(client), read()[client.name]
    again = f"if this is right, run python -m tests.clients run {client.name} --write"
    assert found["rows"] == held["rows"], again
    assert found["versions"].keys() == held["versions"].keys(), again


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_the_page_is_of_the_versions_that_are_tried(client: Client) -> None:
    held = read()[client.name]
    lines = [*(ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines(), *client.requires]
    pins = dict(_pin(line) for line in lines if "==" in line)  # the client's own last: they prevail
    for name, version in held["versions"].items():
        again = f"run python -m tests.clients run {client.name} --write"
        assert pins.get(_normal(name), version) == version, f"{name}: {again}"
    assert all(held[key] == getattr(client, key) for key in ("title", "what", "url", "command"))
    assert held["versions"].get("commit") == (client.checkout.commit if client.checkout else None)


def test_the_page_has_every_client_and_no_gap_of_ours() -> None:
    assert list(read()) == [client.name for client in CLIENTS]
    for name, client in read().items():
        assert client["rows"], name
        for row in client["rows"]:
            assert (row["result"] == "X") == bool(row["lacks"]) == bool(row["error"]), f"{name}: {row}"
            assert (row["result"] == "+1") == bool(row["adds"]), f"{name}: {row}"


def test_every_program_is_a_clients() -> None:
    files = (ROOT / "tests" / "clients" / "probes").glob("[a-z]*.py")
    programs = {path.stem for path in files if "\n    run()\n" in path.read_text(encoding="utf-8")}
    assert programs == {client.name for client in CLIENTS}


def _pin(line: str) -> tuple[str, str]:
    name, _, version = line.partition("==")
    return _normal(name.partition("[")[0]), version


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
