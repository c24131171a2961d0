"""An environment for each client, laid over that of the tests.

What the client needs is resolved with the tests' own versions preferred; what these have already is taken
from them; what is missing or must be of another version is installed into the client's own folder, which
Python searches first. This project itself comes from the checkout.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from benchmarks.checkout import ROOT
from tests.clients.catalogue import Client, ClientError

FOLDER = ROOT / "build" / "clients"
SITE = [path for path in sys.path if path.endswith("site-packages")]
"""Where the tests' own packages are."""
LARGE = ("torch",)
"""What no client gets in another version, whichever it pins: gigabytes."""


def python_for(client: Client) -> str:
    """The Python that has a client beside this project; makes its environment, if there is none that fits.

    Raises:
        ClientError: If its requirements cannot be installed; says why.
    """
    if not client.requires:
        return sys.executable
    folder, wanted = FOLDER / client.name, digest(client)
    python, done = folder / "bin" / "python", folder / "requirements.sha256"
    if not (done.exists() and done.read_text(encoding="utf-8") == wanted):
        make(client, folder)
        done.write_text(wanted, encoding="utf-8")
    return str(python)


def digest(client: Client) -> str:
    """What an environment depends on: the client's requirements, ours, and what it is laid over."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    parts = [client.requires, sys.version, str(ROOT), SITE, project, versions_here()]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def make(client: Client, folder: Path) -> None:
    """Make a client's environment in a folder; what was there is replaced."""
    uv("venv", "--clear", "--python", sys.executable, str(folder))
    python = folder / "bin" / "python"
    needed = missing(resolve(client.requires, folder))
    target = ("pip", "install", "--no-deps", "--python", str(python))
    if needed:
        uv(*target, *needed)
    uv(*target, "--editable", str(ROOT))
    packages = next((folder / "lib").glob("python*/site-packages"))
    (packages / "tests.pth").write_text("\n".join(SITE) + "\n", encoding="utf-8")


def resolve(requires: Sequence[str], folder: Path) -> dict[str, str]:
    """All distributions that the requirements and this project need, with their versions.

    Those of the tests' environment are preferred; they stay where the requirements allow them. What these
    depend on is taken from where they are installed: PyTorch for CPUs needs less than its wheel of the index.
    """
    wanted, locked, kept, settings = (folder / name for name in ("wanted", "locked", "kept", "uv.toml"))
    here = versions_here()
    wanted.write_text("\n".join(requires) + "\n", encoding="utf-8")
    locked.write_text("".join(f"{n}=={v}\n" for n, v in here.items()), encoding="utf-8")
    kept.write_text("".join(f"{n}=={here[n]}\n" for n in LARGE if n in here), encoding="utf-8")
    settings.write_text("\n".join(map(_as_toml, _installed())), encoding="utf-8")
    uv(
        "pip", "compile", "--quiet", "--no-header", "--no-annotate",
        "--python", str(folder / "bin" / "python"), "--config-file", str(settings),
        "--overrides", str(kept), "--output-file", str(locked), str(wanted), str(ROOT / "pyproject.toml"),
    )  # fmt: skip
    lines = locked.read_text(encoding="utf-8").splitlines()
    return {_normal(n): v for n, v in (line.split("==") for line in lines if "==" in line)}


def missing(needed: Mapping[str, str]) -> list[str]:
    """Of what is needed, what the tests' environment has not, or in another version."""
    here = versions_here()
    return [f"{name}=={version}" for name, version in needed.items() if here.get(name) != version]


def versions_here() -> dict[str, str]:
    """The public versions of what the tests' environment holds, but for this project."""
    return {_normal(one.name): one.version.partition("+")[0] for one in _installed()}


def _installed() -> list[metadata.Distribution]:
    found: dict[str, metadata.Distribution] = {}
    for one in metadata.distributions():
        found.setdefault(_normal(one.name), one)
    return [one for name, one in sorted(found.items()) if name != "nb201env"]


def _as_toml(one: metadata.Distribution) -> str:
    version = one.version.partition("+")[0]
    requires = json.dumps(one.requires or [])
    name, version = json.dumps(one.name), json.dumps(version)
    return f"[[dependency-metadata]]\nname = {name}\nversion = {version}\nrequires-dist = {requires}\n"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def uv(*words: str) -> None:
    """Run uv.

    Raises:
        ClientError: If it fails; with what it said.
    """
    command = [sys.executable, "-m", "uv", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT.parent, check=False)
    if done.returncode:
        raise ClientError(f"uv {words[0]} failed: {done.stderr.strip()}")
