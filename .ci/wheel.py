"""Run by `make test-install` with the built wheel: it holds all modules of nb201env, and nothing else.

python .ci/wheel.py dist/nb201env-0.1.0-py3-none-any.whl
"""

import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
folders = {"nb201env": "nb201env"} | project["tool"]["setuptools"]["package-dir"]
written = {
    f"{package.replace('.', '/')}/{file.relative_to(ROOT / folder).as_posix()}"
    for package, folder in folders.items()
    for file in (ROOT / folder).rglob("*.py")
}
held = set(zipfile.ZipFile(sys.argv[1]).namelist())
assert {name for name in held if name.endswith(".py")} == written, written ^ held
assert {name.partition("/")[0].partition("-")[0] for name in held} == {"nb201env"}, "another top-level name"
assert {
    "nb201env/py.typed",
    "nb201env/agents/report/charts.js",
    "nb201env/pages/base.js",
    "nb201env/devices/cifar10-cpu.safetensors",
    "nb201env/proxies/cifar10.safetensors",
} <= held
assert sum(name.endswith(".safetensors") for name in held) == 8, "five tables, a device, proxies, a surrogate"
print(f"the wheel: {len(written)} modules and nothing else")
