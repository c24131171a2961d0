"""Triton kernels, forward: rectified copies, convolutions with their statistics, and nodes as sums of edges.

Memory layout. Activations are [K, pixels, C]: K networks, the pixels (image, row, column) of a
batch, and a pixel's channels side by side, so a tile of pixels is one contiguous block, a 1x1
convolution is a matrix product without any move, and a 3x3 one is nine of them on shifted tiles
(an implicit product: the nine reads of a pixel hit the cache next to the program, device memory
sees one).

The architecture is data. Every kernel is launched over all K networks; a program reads the op of
its network on the edge at hand and leaves at once if that op is none of its business. An idle
program costs a fraction of a microsecond and no memory traffic, so one captured program serves
any K architectures. Only the outputs of convolutions are stored per edge (the batch norm's
backward pass needs them); `slots` says where, so that memory goes to the edges that have one.
The edge that enters node t from node s has the number t * (t - 1) / 2 + s; a lone convolution is
edge 0 of a cell of two nodes.

Passes. A batch norm needs the whole batch's statistics before its first output, so a convolution
is two passes: `convolve` reads the node, writes the raw output and each tile's mean and squared
deviations; `node_sum` reads each term of a node once, normalises, pools or copies it in registers,
and writes the node: after its ReLU where a convolution leaves it, so that the matrix units take it
as it is stored, and before it where a skip or a pooling does. Nothing else touches device memory.

Instructions. At 16 to 64 channels a GPU runs out of issue slots before it runs out of bandwidth, so
what is recomputed per tap is kept small: whether a tap falls into the image is one of nine bits that a
pixel computes once, and where it lies is an offset that all pixels share. The loops over taps are not
pipelined (num_stages=1): asynchronous copies pass by the innermost cache, which would read each pixel
nine times from the cache beyond it, and cost more instructions; other programs fill the waiting.

All sums run in float32 and in a fixed order: no atomics, so the same run gives the same bits.
Integers that change from launch to launch are not specialised: one compiled kernel serves them all.
"""

import triton
import triton.language as tl

NONE = tl.constexpr(0)
SKIP = tl.constexpr(1)
CONV1X1 = tl.constexpr(2)
CONV3X3 = tl.constexpr(3)
POOL = tl.constexpr(4)

TOP, BOTTOM = tl.constexpr(0b000000111), tl.constexpr(0b111000000)
LEFT, RIGHT = tl.constexpr(0b001001001), tl.constexpr(0b100100100)
ALL = tl.constexpr(0b111111111)


@triton.jit
def is_conv(op):
    """Whether an op code is one of the two convolutions."""
    return (op == CONV1X1) | (op == CONV3X3)


@triton.jit
def first_tap(op):
    """Of a convolution's loop over taps: a 1x1 convolution has the centre alone."""
    return tl.where(op == CONV3X3, 0, 4)


@triton.jit
def last_tap(op):
    """The tap after the last of a convolution's loop."""
    return tl.where(op == CONV3X3, 9, 5)


@triton.jit
def locate(p, H: tl.constexpr, W: tl.constexpr):
    """Image, row and column of pixel numbers; unsigned, because that saves the handling of signs."""
    p = p.to(tl.uint32)
    return (p // (H * W)).to(tl.int32), (p // W % H).to(tl.int32), (p % W).to(tl.int32)


@triton.jit
def taps_inside(p, H: tl.constexpr, W: tl.constexpr, STRIDE: tl.constexpr):
    """Which of the taps around output pixels lie in the image, as nine bits each.

    H and W are the output's; a stride of 2 never reaches the lower and right border.
    """
    _, h, w = locate(p, H, W)
    outside = tl.where(h == 0, TOP, 0) | tl.where(w == 0, LEFT, 0)
    if STRIDE == 1:
        outside |= tl.where(h == H - 1, BOTTOM, 0) | tl.where(w == W - 1, RIGHT, 0)
    return ALL - outside


@triton.jit
def under(p, H: tl.constexpr, W: tl.constexpr, STRIDE: tl.constexpr):
    """The input pixel under the centre tap of output pixels of an H x W image."""
    if STRIDE == 1:
        return p
    b, h, w = locate(p, H, W)
    return ((b * H + h) * STRIDE * W + w) * STRIDE


@triton.jit
def part(place, SIDE: tl.constexpr):
    """One over how many of a row's or a column's three neighbours lie in the image; 0 outside of it."""
    count = 3 - (place == 0).to(tl.int32) - (place == SIDE - 1).to(tl.int32)
    there = (place >= 0) & (place < SIDE)
    return tl.where(there, tl.where(count == 3, 1 / 3, tl.where(count == 2, 1 / 2, 1.0)), 0.0)


@triton.jit
def rectified(x):
    """The ReLU of x; what is not a number stays so."""
    return tl.maximum(x, 0.0, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def leaving(ops, node, nodes, networks, k):
    """How many convolutions leave a node of network k, and how many skips and poolings."""
    convs, others = 0, 0
    for n in tl.static_range(3):
        target = node + 1 + n
        place = (target * (target - 1) // 2 + node) * networks + k
        op = tl.load(ops + place, target < nodes, 0)
        conv = is_conv(op).to(tl.int32)
        convs += conv
        others += (op != NONE).to(tl.int32) - conv
    return convs, others


@triton.jit(do_not_specialize=["node", "nodes", "networks"])
def rectify(x, out, ops, node, nodes, networks, size, BLOCK: tl.constexpr):
    """A node after its ReLU, for networks in which a convolution leaves it; x, out: [K, size]."""
    block, k = tl.program_id(0), tl.program_id(1)
    convs, _ = leaving(ops, node, nodes, networks, k)
    if convs == 0:
        return
    at = block * BLOCK + tl.arange(0, BLOCK)
    mine = k.to(tl.int64) * size
    value = tl.load(x + mine + at, at < size, 0.0).to(tl.float32)
    tl.store(out + mine + at, rectified(value).to(out.dtype.element_ty), at < size)


@triton.jit(do_not_specialize=["edge", "networks", "apart", "pixels", "blocks", "statistics"])
def convolve(
    x, weight, y, partial, ops, slots, edge, networks, apart, pixels, blocks, statistics,
    H: tl.constexpr, W: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr,
    CIB: tl.constexpr, COB: tl.constexpr, STRIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One edge's convolutions: y[slot] = conv(x[k]), and each tile's mean and squared deviations.

    x: [K, pixels * STRIDE^2, CI], after its ReLU if there is one; with apart = 0 all networks see
    the same [1, ...]. weight: [K, 9, CI, CO]; a 1x1 convolution has the centre tap alone. y: [slots,
    pixels, CO]. partial: float32 [K, blocks, 2, CO], written if `statistics`. H and W are the output's.
    """
    block, k = tl.program_id(0), tl.program_id(1)
    op = tl.load(ops + edge * networks + k)
    if not is_conv(op):
        return
    p = block * BLOCK + tl.arange(0, BLOCK)
    ci, co = tl.arange(0, CIB), tl.arange(0, COB)
    bits = tl.where(p < pixels, taps_inside(p, H, W, STRIDE), 0)
    x += (k * apart).to(tl.int64) * pixels * (STRIDE * STRIDE * CI)
    x += under(p, H, W, STRIDE)[:, None] * CI + ci[None, :]
    weight += k.to(tl.int64) * (9 * CI * CO) + ci[:, None] * CO + co[None, :]
    square = (ci < CI)[:, None] & (co < CO)[None, :]
    total = tl.zeros((BLOCK, COB), tl.float32)
    for tap in tl.range(first_tap(op), last_tap(op), num_stages=1):
        offset = ((tap // 3 - 1) * (W * STRIDE) + tap % 3 - 1) * CI
        there = ((bits & (1 << tap)) != 0)[:, None] & (ci < CI)[None, :]
        tile = tl.load(x + offset, there, 0.0)
        matrix = tl.load(weight + tap * (CI * CO), square, 0.0)
        total = tl.dot(tile, matrix, total, input_precision="ieee")
    known = (p < pixels)[:, None] & (co < CO)[None, :]
    stored = total.to(y.dtype.element_ty)
    y += tl.load(slots + edge * networks + k).to(tl.int64) * pixels * CO
    tl.store(y + p[:, None] * CO + co[None, :], stored, known)
    if statistics:
        # Of what was stored, rounded as it is; deviations from the tile's own mean, because a sum
        # of squares would lose the variance of a channel whose mean is large. Beyond the last pixel
        # the tile is zero, which a sum does not mind and a deviation does.
        value = stored.to(tl.float32)
        mean = tl.sum(value, axis=0) / tl.minimum(BLOCK, pixels - block * BLOCK)
        off = tl.where((p < pixels)[:, None], value - mean[None, :], 0.0)
        place = partial + (k.to(tl.int64) * blocks + block) * 2 * CO + co
        tl.store(place, mean, co < CO)
        tl.store(place + CO, tl.sum(off * off, axis=0), co < CO)


@triton.jit(do_not_specialize=["first", "networks", "pixels", "blocks"])
def finish_statistics(
    partial, norm, gain, bias, running_mean, running_var, ops, first, networks, pixels, blocks, eps, momentum,
    CO: tl.constexpr, COB: tl.constexpr, BLOCK: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """The batch's statistics on edges first, first + 1, ... from the tiles' (Chan's formula).

    partial: that of edge `first` and on, [edges, K, blocks, 2, CO]. norm: float32 [edges, K, 4, CO]:
    mean, 1 / deviation, and the scale and shift that normalise. Moves the running statistics.
    """
    n, k = tl.program_id(1), tl.program_id(0)
    place = (first + n) * networks + k
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


@triton.jit(do_not_specialize=["first", "count", "node", "nodes", "networks", "pixels"])
def node_sum(
    raw, rectified_out, x0, x1, x2, y, norm, ops, slots, first, count, node, nodes, networks, pixels,
    H: tl.constexpr, W: tl.constexpr, C: tl.constexpr, CB: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """A node as the sum of its `count` edges first, first + 1, ...: every input is read once.

    raw: written where a skip or a pooling leaves the node, or where it is the last. rectified_out: the
    node after its ReLU, written where a convolution leaves it. x0, x1, x2: the edges' source nodes, as
    raw; all of these are [K, pixels, C]. y, norm: what `convolve` and `finish_statistics` wrote. ops,
    slots: int32 [edges, K].
    """
    block, k = tl.program_id(0), tl.program_id(1)
    convs, others = leaving(ops, node, nodes, networks, k)
    last = node == nodes - 1
    if (convs == 0) & (others == 0) & (not last):
        return
    p, c = block * BLOCK + tl.arange(0, BLOCK), tl.arange(0, CB)
    known = (p < pixels)[:, None] & (c < C)[None, :]
    here = p[:, None] * C + c[None, :]
    mine = k.to(tl.int64) * pixels * C
    total = tl.zeros((BLOCK, CB), tl.float32)
    for n in range(count):
        place = (first + n) * networks + k
        op = tl.load(ops + place)
        if is_conv(op):
            term = y + tl.load(slots + place).to(tl.int64) * pixels * C
            scale = tl.load(norm + (place * 4 + 2) * C + c, c < C, 0.0)
            shift = tl.load(norm + (place * 4 + 3) * C + c, c < C, 0.0)
            value = tl.load(term + here, known, 0.0).to(tl.float32)
            total += value * scale[None, :] + shift[None, :]
        elif op != NONE:
            source = x0
            if n == 1:
                source = x1
            if n == 2:
                source = x2
            source += mine
            if op == SKIP:
                total += tl.load(source + here, known, 0.0).to(tl.float32)
            else:
                around = tl.zeros((BLOCK, CB), tl.float32)
                bits = tl.where(p < pixels, taps_inside(p, H, W, 1), 0)
                for tap in tl.range(9, num_stages=1):
                    offset = ((tap // 3 - 1) * W + tap % 3 - 1) * C
                    there = ((bits & (1 << tap)) != 0)[:, None] & (c < C)[None, :]
                    around += tl.load(source + here + offset, there, 0.0).to(tl.float32)
                _, h, w = locate(p, H, W)
                total += around * (part(h, H) * part(w, W))[:, None]
    if last | (others > 0):
        tl.store(raw + mine + here, total.to(raw.dtype.element_ty), known)
    if convs > 0:
        tl.store(rectified_out + mine + here, rectified(total).to(raw.dtype.element_ty), known)
