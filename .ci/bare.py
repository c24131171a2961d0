"""Run by `make test-bare`, where only NumPy, PyTorch, Triton, typer and rich are, as on a leased machine.

All that trains is imported from the checkout, which is not installed; then a GPU lease runs in miniature.
"""

import importlib
import importlib.util
import pkgutil
import sys
import tempfile
from pathlib import Path

from tests.benchmarks import lease_miniature

for absent in ("gymnasium", "numba", "sklearn", "scipy", "pytest"):
    assert importlib.util.find_spec(absent) is None, f"{absent} is installed: not as bare as a leased machine"

NEED_NUMBA = {
    "nb201env.training.compiled.trainer",
    "nb201env.training.compiled.kernels",
    "nb201env.training.compiled.passes",
}
"""The fast trainer for small images on a CPU; the others do without it."""


def import_all(package: str) -> int:
    """Import a package and all that is in it; returns how many modules that are."""
    found = importlib.import_module(package)
    names = [package, *(m.name for m in pkgutil.walk_packages(found.__path__, f"{package}."))]
    for name in names:
        if not name.endswith("__main__") and name not in NEED_NUMBA:
            importlib.import_module(name)
    return len(names)


imported = {package: import_all(package) for package in ("nb201env.training", "benchmarks.gpu_lease")}
importlib.import_module("benchmarks.speed.gpu")
assert imported["nb201env.training"] > 40, imported
assert "gymnasium" not in sys.modules

with tempfile.TemporaryDirectory() as temporary:
    folder = Path(temporary)
    print(lease_miniature.prepare(folder))
    checkout = lease_miniature.copy_checkout(folder / "checkout")
    print(lease_miniature.run(folder, checkout, "--seconds", "300"))
    found = lease_miniature.collect(folder)
    assert "smoke-2-stacked: of 2 classes, seed 777: 2" in found, found
print("trains on a bare machine")
