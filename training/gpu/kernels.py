"""Triton kernels, forward: convolutions with their statistics, and the sum of a node's edges.

Memory layout. Activations are [K, pixels, C]: K networks, the pixels (image, row, column) of a
batch, and a pixel's channels side by side, so a tile of pixels is one contiguous block, a 1x1
convolution is a matrix product without any move, and a 3x3 one is nine of them on shifted tiles
(an implicit product: the nine reads of a pixel hit the cache, device memory sees one).

The architecture is data. Every kernel is launched over all K networks; a program reads the op of
its network on the edge at hand and leaves at once if that op is none of its business. An idle
program costs a fraction of a microsecond and no memory traffic, so one captured program serves
any K architectures. Only the outputs of convolutions are stored per edge (the batch norm's
backward pass needs them); `slots` says where, so that memory goes to the edges that have one.

Passes. A batch norm needs the whole batch's statistics before its first output, so a convolution
is two passes: `convolve` reads the node once (ReLU on the way in), writes the raw output and
each tile's mean and squared deviations; `node_sum` reads each term of a node once, normalises,
pools or copies it in registers, and writes the node. Nothing else touches device memory.

All sums run in float32 and in a fixed order: no atomics, so the same run gives the same bits.
"""

import triton
import triton.language as tl

NONE = tl.constexpr(0)
SKIP = tl.constexpr(1)
CONV1X1 = tl.constexpr(2)
CONV3X3 = tl.constexpr(3)
POOL = tl.constexpr(4)


@triton.jit
def is_conv(op):
    """Whether an op code is one of the two convolutions."""
    return (op == CONV1X1) | (op == CONV3X3)


@triton.jit
def locate(p, H: tl.constexpr, W: tl.constexpr):
    """Image, row and column of pixel numbers."""
    return p // (H * W), (p // W) % H, p % W


@triton.jit
def inside(h, w, H: tl.constexpr, W: tl.constexpr):
    """Whether positions lie in the image."""
    return (h >= 0) & (h < H) & (w >= 0) & (w < W)


@triton.jit
def neighbours(h, w, H: tl.constexpr, W: tl.constexpr):
    """How many of a pixel's 3x3 neighbours lie in the image, as float32."""
    rows = 3 - (h == 0).to(tl.int32) - (h == H - 1).to(tl.int32)
    columns = 3 - (w == 0).to(tl.int32) - (w == W - 1).to(tl.int32)
    return (rows * columns).to(tl.float32)


@triton.jit
def convolve(
    x, weight, y, partial, ops, slots, x_stride, pixels, blocks,
    H: tl.constexpr, W: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr,
    CIB: tl.constexpr, COB: tl.constexpr, STRIDE: tl.constexpr, RELU: tl.constexpr,
    STATISTICS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One edge's convolutions: y[slot] = conv(relu(x[k])), and each tile's mean and deviations.

    x: [K, pixels * STRIDE^2, CI] with K `x_stride` elements apart (0: all see the same).
    weight: [K, 9, CI, CO]; a 1x1 convolution has the centre tap alone. y: [slots, pixels, CO].
    partial: float32 [K, blocks, 2, CO]. H and W are the output's.
    """
    block, k = tl.program_id(0), tl.program_id(1)
    op = tl.load(ops + k)
    if not is_conv(op):
        return
    p = block * BLOCK + tl.arange(0, BLOCK)
    ci, co = tl.arange(0, CIB), tl.arange(0, COB)
    b, h, w = locate(p, H, W)
    x += k.to(tl.int64) * x_stride
    weight += k.to(tl.int64) * 9 * CI * CO
    first = tl.where(op == CONV3X3, 0, 4)
    last = tl.where(op == CONV3X3, 9, 5)
    total = tl.zeros((BLOCK, COB), tl.float32)
    for tap in range(first, last):
        row, column = h * STRIDE + tap // 3 - 1, w * STRIDE + tap % 3 - 1
        there = (p < pixels) & inside(row, column, H * STRIDE, W * STRIDE)
        place = (b * (H * STRIDE) + row) * (W * STRIDE) + column
        tile = tl.load(x + place[:, None] * CI + ci[None, :], there[:, None] & (ci < CI)[None, :], 0.0)
        if RELU:
            tile = tl.maximum(tile, 0.0).to(x.dtype.element_ty)
        matrix = tl.load(
            weight + (tap * CI + ci[:, None]) * CO + co[None, :], (ci < CI)[:, None] & (co < CO)[None, :], 0.0
        )
        total = tl.dot(tile, matrix, total, input_precision="ieee")
    known = (p < pixels)[:, None] & (co < CO)[None, :]
    stored = total.to(y.dtype.element_ty)
    y += tl.load(slots + k).to(tl.int64) * pixels * CO
    tl.store(y + p[:, None] * CO + co[None, :], stored, known)
    if STATISTICS:
        # Of what was stored, rounded as it is; deviations from the tile's own mean, because a sum
        # of squares would lose the variance of a channel whose mean is large.
        value = stored.to(tl.float32)
        count = tl.minimum(BLOCK, pixels - block * BLOCK)
        mean = tl.sum(tl.where(known, value, 0.0), axis=0) / count
        off = tl.where(known, value - mean[None, :], 0.0)
        partial += (k * blocks + block) * 2 * CO
        tl.store(partial + co, mean, co < CO)
        tl.store(partial + CO + co, tl.sum(off * off, axis=0), co < CO)


@triton.jit
def finish_statistics(
    partial, norm, gain, bias, running_mean, running_var, ops, networks, pixels, blocks, eps, momentum,
    CO: tl.constexpr, COB: tl.constexpr, FIRST: tl.constexpr, BLOCK: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """The batch's statistics on edges FIRST, FIRST+1, … from the tiles' (Chan's formula).

    partial: that of edge FIRST and on, [edges, K, blocks, 2, CO]. norm: float32 [edges, K, 4, CO]:
    mean, 1 / deviation, and the scale and shift that normalise. Moves the running statistics.
    """
    n, k = tl.program_id(1), tl.program_id(0)
    place = (FIRST + n) * networks + k
    if not is_conv(tl.load(ops + place)):
        return
    co, rows = tl.arange(0, COB), tl.arange(0, ROWS)
    ok = co < CO
    partial += (n * networks + k).to(tl.int64) * blocks * 2 * CO
    mean = tl.zeros((COB,), tl.float32)
    for start in range(0, blocks, ROWS):
        tile = start + rows
        known = (tile < blocks)[:, None] & ok[None, :]
        count = tl.minimum(BLOCK, pixels - tile * BLOCK).to(tl.float32)
        means = tl.load(partial + tile[:, None] * 2 * CO + co[None, :], known, 0.0)
        mean += tl.sum(means * count[:, None], axis=0)
    mean = mean / pixels
    squares = tl.zeros((COB,), tl.float32)
    for start in range(0, blocks, ROWS):
        tile = start + rows
        known = (tile < blocks)[:, None] & ok[None, :]
        count = tl.minimum(BLOCK, pixels - tile * BLOCK).to(tl.float32)
        means = tl.load(partial + tile[:, None] * 2 * CO + co[None, :], known, 0.0)
        within = tl.load(partial + (tile[:, None] * 2 + 1) * CO + co[None, :], known, 0.0)
        off = tl.where(known, means - mean[None, :], 0.0)
        squares += tl.sum(within + off * off * count[:, None], axis=0)
    inverse = 1 / tl.sqrt(squares / pixels + eps)
    scale = tl.load(gain + place * CO + co, ok, 0.0) * inverse
    shift = tl.load(bias + place * CO + co, ok, 0.0) - mean * scale
    norm += place * 4 * CO + co
    tl.store(norm, mean, ok)
    tl.store(norm + CO, inverse, ok)
    tl.store(norm + 2 * CO, scale, ok)
    tl.store(norm + 3 * CO, shift, ok)
    old = tl.load(running_mean + place * CO + co, ok, 0.0)
    tl.store(running_mean + place * CO + co, old + momentum * (mean - old), ok)
    old = tl.load(running_var + place * CO + co, ok, 0.0)
    tl.store(running_var + place * CO + co, old + momentum * (squares / (pixels - 1) - old), ok)


@triton.jit
def node_sum(
    out, x0, x1, x2, y, norm, ops, slots, networks, pixels,
    H: tl.constexpr, W: tl.constexpr, C: tl.constexpr, CB: tl.constexpr,
    FIRST: tl.constexpr, COUNT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """A node as the sum of its COUNT edges FIRST, FIRST+1, …: every input is read once.

    x0, x1, x2: the edges' source nodes, [K, pixels, C]. y, norm: what `convolve` and
    `finish_statistics` wrote. ops, slots: int32 [edges, K].
    """
    block, k = tl.program_id(0), tl.program_id(1)
    p, c = block * BLOCK + tl.arange(0, BLOCK), tl.arange(0, CB)
    known = (p < pixels)[:, None] & (c < C)[None, :]
    here = p[:, None] * C + c[None, :]
    mine = k.to(tl.int64) * pixels * C
    b, h, w = locate(p, H, W)
    total = tl.zeros((BLOCK, CB), tl.float32)
    for n in tl.static_range(COUNT):
        source = (x0 if n == 0 else (x1 if n == 1 else x2)) + mine
        place = (FIRST + n) * networks + k
        op = tl.load(ops + place)
        if op == SKIP:
            total += tl.load(source + here, known, 0.0).to(tl.float32)
        elif op == POOL:
            around = tl.zeros((BLOCK, CB), tl.float32)
            for tap in range(9):
                row, column = h + tap // 3 - 1, w + tap % 3 - 1
                there = inside(row, column, H, W)[:, None] & known
                at = ((b * H + row) * W + column)[:, None] * C + c[None, :]
                around += tl.load(source + at, there, 0.0).to(tl.float32)
            total += around / neighbours(h, w, H, W)[:, None]
        elif is_conv(op):
            raw = y + tl.load(slots + place).to(tl.int64) * pixels * C
            scale = tl.load(norm + (place * 4 + 2) * C + c, c < C, 0.0)
            shift = tl.load(norm + (place * 4 + 3) * C + c, c < C, 0.0)
            value = tl.load(raw + here, known, 0.0).to(tl.float32)
            total += value * scale[None, :] + shift[None, :]
    tl.store(out + mine + here, total.to(out.dtype.element_ty), known)
