"""What a build has Triton compile is known ahead, and compiled on a machine without a GPU.

The kernels' modules are interpreted in these tests' own process (see `conftest`), so what needs their
compiled form runs apart; kernels that are defined here are compiled ones.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from nb201env.processes import run_apart
from nb201env.training.gpu import kernel_cache, launches, precompile, variants
from nb201env.training.gpu.launches import IMAGES, Images, find_images, recorded
from nb201env.training.gpu.variants import Variant, distinct, read_variants, variant_of, write_variants

pytest.importorskip("triton")

MOST = 50
"""Variants of a whole build."""


def toy(x, n, bare, unaligned, SIZE, SHARE=0.5):  # type: ignore[no-untyped-def]
    pass


def kernel() -> Any:
    from triton import language
    from triton.runtime.jit import JITFunction

    toy.__annotations__ = {"SIZE": language.constexpr, "SHARE": language.constexpr}
    return JITFunction(toy, do_not_specialize=["bare"], do_not_specialize_on_alignment=["unaligned"])


def triton_sees(arguments: tuple[Any, ...]) -> str:
    """What Triton itself tells kernels apart by."""
    from triton.backends.compiler import GPUTarget
    from triton.compiler import make_backend
    from triton.runtime.jit import create_function_from_signature

    fn, backend = kernel(), make_backend(GPUTarget("cuda", 90, 32))
    bound, kinds, _ = create_function_from_signature(fn.signature, fn.params, backend)(*arguments)
    constants = {name: value for name, value in bound.items() if name.isupper()}
    return f"{kinds} {constants}"


TENSOR = torch.zeros(64, dtype=torch.bfloat16)
VALUES: list[Any] = [
    0, 1, 2, 16, 17, -16, 2**31 - 1, 2**31, 2**40, 2**40 + 1, 0.5, 1.0, True, False, None,
    TENSOR, TENSOR[1:], TENSOR[8:], TENSOR.float(), TENSOR.int(), TENSOR.int()[1:],
]  # fmt: skip


@pytest.mark.parametrize("place", range(6))
def test_variants_are_what_triton_tells_apart(place: int) -> None:
    by_triton: dict[str, str] = {}
    for value in VALUES:
        if place > 3 and isinstance(value, torch.Tensor):
            continue
        arguments: list[Any] = [TENSOR, 3, 3, 3, 32, 0.25]
        arguments[place] = value
        variant = variant_of(kernel(), tuple(arguments), {})
        stands_for = tuple(variant.arguments.values())
        assert triton_sees(stands_for) == triton_sees(tuple(arguments))
        assert by_triton.setdefault(triton_sees(tuple(arguments)), variant.text) == variant.text
    assert len(set(by_triton.values())) == len(by_triton)


def test_options_and_defaults_are_part_of_a_variant() -> None:
    fn = kernel()
    four = variant_of(fn, (TENSOR, 1, 1, 1), {"num_warps": 4, "SIZE": 16})
    assert four.arguments["SHARE"] == 0.5
    assert four.options == {"num_warps": 4}
    eight = variant_of(fn, (TENSOR, 1, 1, 1, 16), {"num_warps": 8})
    assert distinct([four, eight, four]) == [four, eight]
    with pytest.raises(TypeError, match=r"argument SIZE is \(1, 2\); constants are numbers"):
        variant_of(fn, (TENSOR, 1, 1, 1, (1, 2)), {})


def test_a_list_is_read_as_it_was_written(tmp_path: Path) -> None:
    fn = kernel()
    written = [variant_of(fn, (TENSOR[n:], 2**40, n, 1, True), {"num_warps": 8}) for n in (0, 1)]
    write_variants(written, tmp_path / "list.json")
    assert read_variants(tmp_path / "list.json") == written


@pytest.mark.parametrize("text", ["", "[]", '{"kind": "else"}', '{"kind": "training.gpu variants 1"}'])
def test_another_file_is_no_list(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.json").write_text(text)
    with pytest.raises(ValueError, match=r"list\.json is no list of kernel variants; write one with --list"):
        read_variants(tmp_path / "list.json")


@pytest.mark.parametrize(
    ("field", "value"),
    [("kernel", 5), ("kernel", None), ("arguments", []), ("arguments", {"x": [1]}), ("arguments", {"x": {}}),
     ("arguments", {"x": {"pointer": "uint8", "aligned": 1}}),
     ("options", {"extern_libs": {"x": "/tmp/evil.bc"}}),
     ("options", {"num_warps": "8"}), ("options", {"num_warps": 10**9}), ("added", 1)],
)  # fmt: skip
def test_a_list_names_kernels_of_ours_and_numbers(field: str, value: object, tmp_path: Path) -> None:
    """Nothing that would be linked, imported or run."""
    written = Variant("nb201env.training.gpu.kernels:convolve", {"x": 1}, {"num_warps": 8})
    write_variants([written], tmp_path / "list.json")
    found = json.loads((tmp_path / "list.json").read_text())
    found["variants"][0][field] = value
    (tmp_path / "list.json").write_text(json.dumps(found))
    with pytest.raises(ValueError, match=rf"no list of kernel variants.*variants\[0\].*{field}"):
        read_variants(tmp_path / "list.json")


def test_recording_runs_nothing_and_puts_the_kernels_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from triton import knobs

    module = ModuleType("toys")
    vars(module)["toy"] = original = kernel()
    monkeypatch.setattr(launches, "kernel_modules", lambda: [module])
    monkeypatch.setattr(knobs.runtime, "interpret", False)
    with pytest.raises(ZeroDivisionError), recorded() as found:  # noqa: PT012
        vars(module)["toy"][(4, 2)](TENSOR, 1, 1, 1, 16, num_warps=8)
        raise ZeroDivisionError
    assert [launch.grid for launch in found] == [(4, 2)]
    assert found[0].variant.name == "toy"
    assert vars(module)["toy"] is original


def test_interpreted_kernels_are_not_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    from triton import knobs

    monkeypatch.setattr(knobs.runtime, "interpret", True)
    with pytest.raises(ValueError, match="TRITON_INTERPRET is set"), recorded():
        pass


def test_the_sizes_of_a_tasks_images() -> None:
    assert find_images("cifar10-valid") == Images(25_000, 32, 3)
    with pytest.raises(ValueError, match="the kernels are listed for the tasks cifar10-valid, .*; got 'x'"):
        find_images("x")
    from nb201env.training.images.tasks import TASKS

    assert set(IMAGES) <= set(TASKS)


def run(*arguments: object, path: Path | None = None) -> list[str]:
    """Run the command apart; its output, if it succeeded."""
    return python("-m", "nb201env.training.gpu.precompile", *arguments, path=path)


def python(*arguments: object, path: Path | None = None) -> list[str]:
    """Run Python where kernels are compiled, with modules of `path` in front of all others."""
    inherited = os.environ.get("PYTHONPATH", "")
    environment = [f"PYTHONPATH={path}:{inherited}"] if path else []
    command = ["env", "TRITON_INTERPRET=0", *environment, sys.executable, *map(str, arguments)]
    done = run_apart(command, limit_seconds=300)
    assert done.code == 0, done.lines[-20:]
    return done.lines


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The variants of an official-12 build of cifar10-valid, 64 networks at a time."""
    path = tmp_path_factory.mktemp("variants") / "list.json"
    run("--list", path, "--task", "cifar10-valid", "--recipe", "official-12")
    return path


def test_a_build_compiles_few_variants(listed: Path) -> None:
    found = read_variants(listed)
    assert len({variant.name for variant in found}) >= 6
    assert len(found) <= MOST, [variant.text for variant in found]


def test_a_cache_is_made_without_pytorch_and_used_elsewhere(listed: Path, tmp_path: Path) -> None:
    """One that was moved is found kernel by kernel; another option is compiled anew."""
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "torch.py").write_text("raise ImportError('no torch')")
    chosen = {variant.name: variant for variant in read_variants(listed)}
    few = list(chosen.values())[:4]
    source = tmp_path / "few.json"
    write_variants(few, source)
    here, there = tmp_path / "here", tmp_path / "elsewhere" / "cache"

    def compiled(cache: Path) -> str:
        command = ("--from", source, "--capability", 90, "--out", cache, "--jobs", 1)
        return run(*command, path=alone)[-1].partition(";")[0]

    assert compiled(here) == "4 variants: 4 compiled, 0 were there, 0 failed"
    assert {file.suffix for file in here.rglob("*") if file.is_file()} <= {".json", ".cubin", ".so"}
    assert run("--install", here, "--into", there, path=alone) == [f"4 kernels of {here} in {there}"]
    shutil.rmtree(here)
    assert compiled(there) == "4 variants: 0 compiled, 4 were there, 0 failed"
    write_variants(few[::-1], source)  # in any order
    assert compiled(there) == "4 variants: 0 compiled, 4 were there, 0 failed"
    write_variants([replace(few[0], options={"num_warps": 2}), *few[1:]], source)
    assert compiled(there) == "4 variants: 1 compiled, 3 were there, 0 failed"


def test_the_trainer_settles_the_keys_of_its_kernels() -> None:
    """Before it launches any, else they could differ from those of the kernels compiled ahead."""
    lines = python("-c", """
import nb201env.training.gpu.functions
from nb201env.training.gpu.variants import kernel_modules, kernels_in
print({kernel.hash is not None for module in kernel_modules() for kernel in kernels_in(module).values()})
""")  # fmt: skip
    assert lines == ["{True}"]


LAUNCHES = """
import sys
from triton import knobs
from triton.runtime.driver import driver
from nb201env.training.gpu import kernel_cache, launches
from nb201env.training.network import Skeleton

class Compiler:  # in place of a recorder: does what a launch does before it needs a GPU
    def __init__(self, kernel, found):
        self.kernel = kernel
    def __getitem__(self, grid):
        return lambda *arguments, **options: self.kernel.warmup(*arguments, grid=grid, **options)

hits = []
launches._Recorder = Compiler
knobs.cache.dir = sys.argv[1]
knobs.compilation.listener = lambda *, cache_hit, **_: hits.append(cache_hit)
driver.set_active(kernel_cache._NoGpu(90))
for training in (False, True):
    launches.launches(64, 256, Skeleton(cells=1, image_size=16), training=training)
print(len(hits), sum(hits))
"""


@pytest.mark.slow
def test_a_program_finds_every_kernel_that_it_launches(tmp_path: Path) -> None:
    build = ("--task", "cifar10-valid-16px", "--recipe", "small-12", "--capability", 90)
    run(*build, "--out", tmp_path / "made")
    run("--install", tmp_path / "made", "--into", tmp_path / "cache")
    shutil.rmtree(tmp_path / "made")
    launched, found = map(int, python("-c", LAUNCHES, tmp_path / "cache")[-1].split())
    assert launched == found > 20


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What the command says when it ends with exit code 2."""
    with pytest.raises(SystemExit) as end:
        precompile.main(list(map(str, arguments)))
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said.strip()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "give --capability and --out, or --list FILE"),
        ("--capability 90", "give --capability and --out, or --list FILE"),
        ("--capability 9 --out x", "capability 9 is none that the kernels compile for; these are 80, 86, "),
        ("--list x --task cifar10", "--task and --recipe go together"),
        ("--list x --networks 0", "--networks and --jobs are at least 1"),
        ("--install x", "--install FOLDER and --into CACHE go together"),
        ("--list x --task digits --recipe official-12", "the kernels are listed for the tasks cifar10-valid"),
        ("--list x --task cifar10 --recipe x", "unknown recipe 'x'"),
        ("--from none.json --capability 90 --out x", "none.json: No such file or directory"),
        ("--install none --into x", "none: No such file or directory"),
    ],
)  # fmt: skip
def test_a_wrong_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, options: str,
    message: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert message in fails(capsys, *options.split())
    assert not list(tmp_path.iterdir())


def without(name: str) -> Callable[..., Any]:
    find = importlib.util.find_spec
    return lambda asked, *rest: None if asked == name else find(asked, *rest)


def test_a_missing_library(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", without("triton"))
        assert fails(capsys, "--list", "x") == (
            "Triton is not installed; install it with: pip install 'nb201env[gpu]'"
        )
    monkeypatch.setattr(importlib.util, "find_spec", without("torch"))
    assert "bring a list from elsewhere with --from" in fails(capsys, "--list", "x")


def test_a_folder_that_cannot_be_written(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    write_variants([], tmp_path / "list.json")
    out = tmp_path / "list.json" / "cache"
    said = fails(capsys, "--from", tmp_path / "list.json", "--capability", 90, "--out", out)
    assert said == f"the folder {out} cannot be written (Not a directory); choose another one"


def test_a_list_of_other_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = ModuleType("nb201env.training.gpu.kernels")
    vars(module)["toy"] = kernel()
    monkeypatch.setattr(variants, "kernel_modules", lambda: [module])
    monkeypatch.setattr(variants, "kernels_in", vars)
    for variant in (
        Variant("nb201env.training.gpu.kernels:toy", {"x": 1}, {}),
        Variant("nb201env.training.gpu.kernels:gone", {}, {}),
    ):
        with pytest.raises(ValueError, match=f"no kernel {variant.kernel}.*write it again with --list"):
            kernel_cache.compile_into(tmp_path, [variant], 90)


def test_a_kernel_that_does_not_compile_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done = [kernel_cache.Compiled("good", False, ""), kernel_cache.Compiled("bad", False, "no such op")]
    monkeypatch.setattr(precompile, "compile_into", lambda *_: done)
    write_variants([], tmp_path / "list.json")
    options = ["--from", tmp_path / "list.json", "--capability", 90, "--out", tmp_path]
    assert precompile.main(list(map(str, options))) == 1
    said = capsys.readouterr()
    assert said.err == "bad: no such op\n"
    assert said.out.startswith("2 variants: 1 compiled, 0 were there, 1 failed; ")
