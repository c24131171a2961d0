"""Machine code of a kernel for a GPU that is not there, and how many instructions a program issues.

Triton compiles for any GPU, and its wheel brings NVIDIA's disassembler. From the listing the control flow
is rebuilt: blocks without a branch, loops by their edges back, and the path that a program takes for
a given op. Matrix instructions say which path that is and how often a loop is run, however it was
unrolled: how many a tile takes is known, and so is how many stand in a loop's body.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from nb201env.training.gpu.variants import Pointer, Variant, find_kernel

TYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32", "int32": "i32"}
_MULTIPLE = [["tt.divisibility", 16]]
_LABEL = re.compile(r"^(\.L_x_\d+):")
_INSTRUCTION = re.compile(r"^\s+/\*[0-9a-f]{4,}\*/\s+(.*?)\s*;")
_BRANCH = re.compile(r"BRA(?!\.DIV).*?(\.L_x_\d+)")  # BRA.DIV: for threads that have come apart
_MATRIX = re.compile(r"HGMMA\.64x(\d+)x16|HMMA")


class Usage(NamedTuple):
    """What one program holds.

    Attributes:
        registers: Of a thread.
        spilled: Bytes of a thread that did not fit into registers.
        shared: Bytes of shared memory.
    """

    registers: int
    spilled: int
    shared: int


@dataclass(frozen=True)
class Code:
    """A compiled kernel.

    Attributes:
        name: Of the kernel.
        constants: What is built in, and the sizes of it.
        usage: What a program holds.
        listing: The disassembler's lines.
        warps: Of a program.
        binary: Bytes of the machine code.
        matrix_units: Whether it multiplies on them.
    """

    name: str
    constants: dict[str, Any]
    usage: Usage
    listing: list[str] = field(repr=False)
    warps: int
    binary: int
    matrix_units: bool


def compiled(variant: Variant, capability: int = 90) -> Code:
    """Compile a kernel's variant for a GPU of this compute capability and disassemble it.

    Args:
        variant: What to compile; the kernels must not have been defined for Triton's interpreter.
        capability: 90 for H100 and H200.

    Raises:
        ValueError: If there is no such kernel.
        subprocess.CalledProcessError: If the disassembler fails.
    """
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    signature, constants, attributes = _kinds(variant)
    made = triton.compile(
        ASTSource(find_kernel(variant), signature, constants, attributes),
        target=GPUTarget("cuda", capability, 32), options=dict(variant.options),
    )  # fmt: skip
    tools = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(made.asm["cubin"])
        file.flush()
        listing = _run(tools / "nvdisasm", "-c", file.name)
        resources = _run(tools / "cuobjdump", "-res-usage", file.name)
    named = {name: value for name, value in variant.arguments.items() if not isinstance(value, Pointer)}
    return Code(
        variant.name, named, _usage(resources, made.metadata.shared), listing.splitlines(),
        int(variant.options.get("num_warps") or 4), len(made.asm["cubin"]), "mma" in made.asm["ptx"],
    )  # fmt: skip


def _kinds(variant: Variant) -> tuple[dict[str, str], dict[Any, Any], dict[Any, Any]]:
    """Signature, constants and attributes as Triton's compiler takes them."""
    signature, constants, attributes = dict[str, str](), dict[Any, Any](), dict[Any, Any]()
    for place, parameter in enumerate(find_kernel(variant).params):
        value = variant.arguments[parameter.name]
        if isinstance(value, Pointer):
            signature[parameter.name], multiple = f"*{TYPES[value.dtype]}", value.aligned
        elif parameter.is_constexpr or (value == 1 and not parameter.do_not_specialize):
            signature[parameter.name], multiple = "constexpr", False
            constants[(place,)] = value
        else:
            signature[parameter.name] = "fp32" if isinstance(value, float) else "i32"
            multiple = isinstance(value, int) and value % 16 == 0
        if multiple:
            attributes[(place,)] = _MULTIPLE
    return signature, constants, attributes


def _run(tool: Path, *arguments: str) -> str:
    return subprocess.run([tool, *arguments], capture_output=True, text=True, check=True).stdout


def _usage(resources: str, shared: int) -> Usage:
    found = {name: int(value) for name, value in re.findall(r"(REG|STACK|LOCAL):(\d+)", resources)}
    return Usage(found["REG"], found["STACK"] + found["LOCAL"], shared)


@dataclass
class Block:
    """Instructions that are issued one after the other.

    Attributes:
        size: How many.
        matrix: How many of them are products.
        after: Blocks that may follow.
    """

    size: int = 0
    matrix: int = 0
    after: list[int] = field(default_factory=list)


def blocks_of(listing: list[str]) -> list[Block]:
    """The blocks of a listing in its order; an early exit is not a way out of a block."""
    labels, lines = dict[str, int](), list[str]()
    for line in listing:
        if label := _LABEL.match(line):
            labels[label[1]] = len(lines)
        elif instruction := _INSTRUCTION.match(line):
            lines.append(instruction[1])
    starts = sorted({0, *labels.values(), *(i + 1 for i, line in enumerate(lines) if _ends(line))})
    starts = [start for start in starts if start < len(lines)]
    number = {start: n for n, start in enumerate(starts)}
    blocks = []
    for n, start in enumerate(starts):
        end = starts[n + 1] if n + 1 < len(starts) else len(lines)
        body, last = lines[start:end], lines[end - 1]
        after = []
        if branch := _BRANCH.search(last):
            after.append(number[labels[branch[1]]])
        if not re.match(r"(BRA|EXIT|RET)\b", last) and n + 1 < len(starts):
            after.append(n + 1)
        blocks.append(Block(len(body), sum(bool(_MATRIX.search(line)) for line in body), after))
    return blocks


def _ends(line: str) -> bool:
    return bool(re.search(r"\b(BRA|EXIT|RET)\b", line))


def matrix_columns(listing: list[str]) -> int:
    """Columns of the products' instructions, which take 64 rows and 16 terms each.

    Raises:
        ValueError: If there are none, or of several sizes.
    """
    found = {int(m[1]) for line in listing for m in re.finditer(r"HGMMA\.64x(\d+)x16", line)}
    if len(found) != 1:
        raise ValueError(f"expected matrix instructions of one size; got {sorted(found)}")
    return found.pop()


@dataclass(frozen=True)
class Trips:
    """How often loops are run.

    Attributes:
        matrix: The innermost with products; None: as often as `products` says.
        outer: Those that no loop surrounds and that have no products in them; 0 keeps away from them.
        inner: Those within them.
    """

    matrix: int | None = None
    outer: int = 0
    inner: int = 0


def issued(blocks: list[Block], products: int, trips: Trips) -> int:
    """Instructions that a warp issues on a program's longest path with so many matrix instructions.

    Args:
        blocks: Of the kernel.
        products: With `trips.matrix`: those of one turn of the loop; without: of the whole program.
        trips: Of the loops.

    Raises:
        ValueError: If no path has as many, or more than one loop has products.
    """
    loops = _loops(blocks)
    hot = [head for head in loops if any(blocks[b].matrix for b in loops[head])]
    hot = [head for head in hot if not any(loops[other] < loops[head] for other in hot)]
    if len(hot) > 1:
        raise ValueError("more than one loop has matrix instructions: the paths cannot be told apart")
    walker = _Walker(blocks, loops, trips, products, hot[0] if hot and products else None)
    paths = walker.paths(0, frozenset(range(len(blocks))), None)
    wanted = products if trips.matrix is None or not products else products * trips.matrix
    if wanted not in paths:
        raise ValueError(f"no path has {wanted} matrix instructions; there are some with {sorted(paths)}")
    return paths[wanted]


def _loops(blocks: list[Block]) -> dict[int, frozenset[int]]:
    """The blocks of every loop, by its head; a loop that nothing leads to is none."""
    before: list[list[int]] = [[] for _ in blocks]
    for n, block in enumerate(blocks):
        for after in block.after:
            before[after].append(n)
    loops: dict[int, frozenset[int]] = {}
    reached = _reached(blocks)
    for n in sorted(reached):
        for head in (h for h in blocks[n].after if h <= n):
            body, todo = {head}, [n]
            while todo:
                member = todo.pop()
                if member not in body and member in reached:
                    body.add(member)
                    todo.extend(before[member])
            loops[head] = loops.get(head, frozenset()) | body
    return loops


def _reached(blocks: list[Block]) -> set[int]:
    reached, todo = set[int](), [0]
    while todo:
        n = todo.pop()
        if n not in reached:
            reached.add(n)
            todo.extend(blocks[n].after)
    return reached


class _Walker:
    """Longest paths by their number of matrix instructions, with loops as single steps."""

    def __init__(
        self, blocks: list[Block], loops: Mapping[int, frozenset[int]], trips: Trips, products: int,
        hot: int | None,
    ) -> None:  # fmt: skip
        self.blocks, self.loops, self.trips, self.products, self.hot = blocks, loops, trips, products, hot

    def paths(self, entry: int, region: frozenset[int], head: int | None) -> dict[int, int]:
        """From a region's entry to where it is left, or once around the loop of this head."""
        inside = {h: body for h, body in self.loops.items() if body <= region and h != head}
        outermost = [h for h in inside if not any(inside[h] < other for other in inside.values())]
        memo: dict[int, dict[int, int]] = {}

        def to_end(n: int) -> dict[int, int]:
            if n not in memo:
                memo[n] = {}
                step, after = self._step(n, inside if n in outermost else {}, region)
                ends = [{0: 0}] if not after or (head is not None and head in after) else []
                onward = [to_end(m) for m in after if m in region and m != head]
                found: dict[int, int] = {}
                for matrix, cost in step.items():
                    for rest in (*ends, *onward):
                        for more, further in rest.items():
                            total = found.get(matrix + more, -1)
                            found[matrix + more] = max(total, cost + further)
                memo[n] = found
            return memo[n]

        return to_end(entry)

    def _step(
        self, n: int, inside: Mapping[int, frozenset[int]], region: frozenset[int]
    ) -> tuple[dict[int, int], list[int]]:
        """Cost by matrix instructions of a block, or of a whole loop, and what follows."""
        block = self.blocks[n]
        if n not in inside:
            return {block.matrix: block.size}, block.after
        body = inside[n]
        after = [m for b in sorted(body) for m in self.blocks[b].after if m not in body]
        turn = self.paths(n, body, n)
        if n == self.hot:
            return self._hot(turn), after
        if self.hot is not None and self.hot in body:
            return turn, after
        if any(self.blocks[b].matrix for b in body):
            return {}, after  # a path without products keeps away from their loop
        nested = len(region) < len(self.blocks)
        times = self.trips.inner if nested else self.trips.outer
        return ({0: times * max(turn.values())} if times and turn else {}), after

    def _hot(self, turn: dict[int, int]) -> dict[int, int]:
        if self.trips.matrix is not None:
            cost = turn.get(self.products, 0) * self.trips.matrix
            return {self.products * self.trips.matrix: cost} if cost else {}
        each = max(turn)
        return {each * n: turn[each] * n for n in range(1, self.products // each + 1)}
