"""Triton kernels, backward: batch norm's sums, the gradients of raw outputs, of nodes and of weights.

Layout, op codes, slots and edges are those of `nb201env.training.gpu.kernels`. The order of a cell's backward
pass follows from batch norm, which needs two sums over the batch before the first gradient:

    for node 3, 2, 1:  norm_sums        reads the node's gradient once and each convolution's output
                       output_gradient  puts the gradient of each raw output in the output's place
                       data_gradient    of the node before: gathers from all edges that leave it
    for every edge:    weight_gradient

The gradient of a raw output costs a pass of its own, but each of its ten readers then takes it as it
is stored, without a register between memory and the matrix units. `data_gradient` gathers (each
program owns its pixels), so a node's gradient is written once and never read back for another edge's
share.
"""

import triton
import triton.language as tl

from nb201env.training.gpu.kernels import (
    ALL,
    BOTTOM,
    CONV1X1,
    CONV3X3,
    LEFT,
    POOL,
    RIGHT,
    SKIP,
    TOP,
    first_tap,
    is_conv,
    last_tap,
    leaving,
    locate,
    part,
    taps_inside,
    under,
)


@triton.jit(do_not_specialize=["first", "count", "networks", "pixels", "blocks"])
def norm_sums(
    g, y, norm, partial, ops, slots, first, count, networks, pixels, blocks,
    C: tl.constexpr, CB: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """For a node's edges with a convolution: each tile's sums of g and of g * normalised output.

    partial: float32 [edges, K, blocks, 2, C].
    """
    block, k = tl.program_id(0), tl.program_id(1)
    p, c = block * BLOCK + tl.arange(0, BLOCK), tl.arange(0, CB)
    ok = c < C
    known = (p < pixels)[:, None] & ok[None, :]
    here = p[:, None] * C + c[None, :]
    for n in range(count):
        place = (first + n) * networks + k
        if is_conv(tl.load(ops + place)):
            gradient = tl.load(g + k.to(tl.int64) * pixels * C + here, known, 0.0).to(tl.float32)
            raw = y + tl.load(slots + place).to(tl.int64) * pixels * C
            mean = tl.load(norm + place * 4 * C + c, ok, 0.0)
            inverse = tl.load(norm + (place * 4 + 1) * C + c, ok, 0.0)
            value = tl.load(raw + here, known, 0.0).to(tl.float32)
            normal = (value - mean[None, :]) * inverse[None, :]
            at = partial + (place.to(tl.int64) * blocks + block) * 2 * C + c
            tl.store(at, tl.sum(gradient, axis=0), ok)
            tl.store(at + C, tl.sum(gradient * normal, axis=0), ok)


@triton.jit(do_not_specialize=["first", "networks", "pixels", "blocks"])
def finish_sums(
    partial, norm, coefficients, d_gain, d_bias, ops, first, networks, pixels, blocks,
    C: tl.constexpr, CB: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Gradients of gain and bias, and the three numbers per channel that `output_gradient` takes.

    coefficients: float32 [edges, K, 3, C].
    """
    k, n = tl.program_id(0), tl.program_id(1)
    place = (first + n) * networks + k
    if not is_conv(tl.load(ops + place)):
        return
    c, rows = tl.arange(0, CB), tl.arange(0, ROWS)
    ok = c < C
    partial += place.to(tl.int64) * blocks * 2 * C
    sums, products = tl.zeros((CB,), tl.float32), tl.zeros((CB,), tl.float32)
    for start in range(0, blocks, ROWS):
        tile = start + rows
        known = (tile < blocks)[:, None] & ok[None, :]
        sums += tl.sum(tl.load(partial + tile[:, None] * 2 * C + c[None, :], known, 0.0), axis=0)
        products += tl.sum(tl.load(partial + (tile[:, None] * 2 + 1) * C + c[None, :], known, 0.0), axis=0)
    tl.store(d_bias + place * C + c, sums, ok)
    tl.store(d_gain + place * C + c, products, ok)
    norm += place * 4 * C + c
    inverse = tl.load(norm + C, ok, 0.0)
    scale = tl.load(norm + 2 * C, ok, 0.0)
    coefficients += place * 3 * C + c
    tl.store(coefficients, scale, ok)
    tl.store(coefficients + C, sums / pixels, ok)
    tl.store(coefficients + 2 * C, inverse * products / pixels, ok)


@triton.jit(do_not_specialize=["first", "count", "networks", "pixels"])
def output_gradient(
    g, y, norm, coefficients, ops, slots, first, count, networks, pixels,
    C: tl.constexpr, CB: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradients of the raw outputs on a node's edges, before their batch norms, in the outputs' place."""
    block, k = tl.program_id(0), tl.program_id(1)
    p, c = block * BLOCK + tl.arange(0, BLOCK), tl.arange(0, CB)
    ok = c < C
    known = (p < pixels)[:, None] & ok[None, :]
    here = p[:, None] * C + c[None, :]
    for n in range(count):
        place = (first + n) * networks + k
        if is_conv(tl.load(ops + place)):
            gradient = tl.load(g + k.to(tl.int64) * pixels * C + here, known, 0.0).to(tl.float32)
            raw = y + tl.load(slots + place).to(tl.int64) * pixels * C
            mean = tl.load(norm + place * 4 * C + c, ok, 0.0)
            scale = tl.load(coefficients + place * 3 * C + c, ok, 0.0)
            offset = tl.load(coefficients + (place * 3 + 1) * C + c, ok, 0.0)
            slope = tl.load(coefficients + (place * 3 + 2) * C + c, ok, 0.0)
            value = tl.load(raw + here, known, 0.0).to(tl.float32)
            value = gradient - offset[None, :] - (value - mean[None, :]) * slope[None, :]
            tl.store(raw + here, (value * scale[None, :]).to(y.dtype.element_ty), known)


@triton.jit
def taps_reached(p, H: tl.constexpr, W: tl.constexpr, STRIDE: tl.constexpr):
    """Which taps around input pixels lead to an output, turned by half a circle, as nine bits each.

    Turned: tap 0 is the output above and to the left. H and W are the input's.
    """
    if STRIDE == 1:
        return taps_inside(p, H, W, 1)
    # An even row has the output of its own (the middle row of taps), an odd one those around it.
    _, h, w = locate(p, H, W)
    rows = tl.where(h % 2 == 0, ALL - TOP - BOTTOM, tl.where(h == H - 1, TOP, TOP | BOTTOM))
    columns = tl.where(w % 2 == 0, ALL - LEFT - RIGHT, tl.where(w == W - 1, LEFT, LEFT | RIGHT))
    return rows & columns


@triton.jit
def above(p, H: tl.constexpr, W: tl.constexpr, STRIDE: tl.constexpr):
    """The output pixel over input pixels of an H x W image, or the one above and to the left."""
    if STRIDE == 1:
        return p
    b, h, w = locate(p, H, W)
    return (b * (H // STRIDE) + h // STRIDE) * (W // STRIDE) + w // STRIDE


@triton.jit(do_not_specialize=["node", "nodes", "networks", "pixels", "relu"])
def data_gradient(
    out, x, g0, g1, g2, dy, weight, ops, slots, node, nodes, networks, pixels, relu,
    H: tl.constexpr, W: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr,
    CIB: tl.constexpr, COB: tl.constexpr, STRIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradient of a node from all edges that leave it, written once.

    x: the node after its ReLU, [K, pixels, CI], whose sign is the ReLU's mask if `relu`. g0, g1, g2:
    gradients of the nodes after it, [K, pixels / STRIDE^2, CO]. dy: gradients of the raw outputs,
    [slots, pixels / STRIDE^2, CO]. weight: [edges, K, 9, CI, CO]. H, W: the node's.
    """
    block, k = tl.program_id(0), tl.program_id(1)
    convs, others = leaving(ops, node, nodes, networks, k)
    if (convs + others == 0) & (node > 0):
        return  # nobody reads it; node 0's gradient leaves the cell
    p = block * BLOCK + tl.arange(0, BLOCK)
    ci, co = tl.arange(0, CIB), tl.arange(0, COB)
    known = (p < pixels)[:, None] & (ci < CI)[None, :]
    here = p[:, None] * CI + ci[None, :]
    mine = k.to(tl.int64) * pixels * CI
    total = tl.zeros((BLOCK, CIB), tl.float32)
    if convs > 0:
        bits = tl.where(p < pixels, taps_reached(p, H, W, STRIDE), 0)
        at = above(p, H, W, STRIDE)[:, None] * CO + co[None, :]
        square = (ci < CI)[None, :] & (co < CO)[:, None]
        for target in range(node + 1, nodes):
            place = (target * (target - 1) // 2 + node) * networks + k
            op = tl.load(ops + place)
            if is_conv(op):
                gradient = dy + tl.load(slots + place).to(tl.int64) * (pixels // (STRIDE * STRIDE)) * CO + at
                turned = weight + place.to(tl.int64) * (9 * CI * CO) + ci[None, :] * CO + co[:, None]
                for tap in tl.range(first_tap(op), last_tap(op), num_stages=1):
                    row, column = tap // 3, tap % 3
                    if STRIDE == 1:
                        offset = ((row - 1) * W + column - 1) * CO
                    else:
                        offset = (row // 2 * (W // STRIDE) + column // 2) * CO
                    there = ((bits & (1 << tap)) != 0)[:, None] & (co < CO)[None, :]
                    tile = tl.load(gradient + offset, there, 0.0)
                    matrix = tl.load(turned + (8 - tap) * (CI * CO), square, 0.0)
                    total = tl.dot(tile, matrix, total, input_precision="ieee")
        if relu:
            sign = tl.load(x + mine + here, known, 0.0)
            total = tl.where(sign > 0, total, 0.0)
    if others > 0:
        for target in range(node + 1, nodes):
            g = g0
            if target == node + 2:
                g = g1
            if target == node + 3:
                g = g2
            g += mine
            op = tl.load(ops + (target * (target - 1) // 2 + node) * networks + k)
            if op == SKIP:
                total += tl.load(g + here, known, 0.0).to(tl.float32)
            elif op == POOL:
                _, h, w = locate(p, H, W)
                bits = tl.where(p < pixels, taps_inside(p, H, W, 1), 0)
                for tap in tl.range(9, num_stages=1):
                    row, column = tap // 3 - 1, tap % 3 - 1
                    there = ((bits & (1 << tap)) != 0)[:, None] & (ci < CI)[None, :]
                    value = tl.load(g + here + (row * W + column) * CI, there, 0.0).to(tl.float32)
                    total += value * (part(h + row, H) * part(w + column, W))[:, None]
    tl.store(out + mine + here, total.to(out.dtype.element_ty), known)


@triton.jit
def through_taps(x, bits, first, lane, inputs):
    """Pixels seen through the taps first, first + 1, ... of one row: [lanes * inputs, pixels]."""
    tap = tl.where(lane < 3, 1 << (first + lane), 0)
    return tl.load(x, ((bits[None, :] & tap[:, None]) != 0) & inputs[:, None], 0.0)


@triton.jit(do_not_specialize=["edge", "networks", "apart", "pixels", "splits", "per_split"])
def weight_gradient(
    x, dy, partial, ops, slots, edge, networks, apart, pixels, splits, per_split,
    H: tl.constexpr, W: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr,
    CIB: tl.constexpr, COB: tl.constexpr, STRIDE: tl.constexpr,
    WINDOW: tl.constexpr, WINDOWS: tl.constexpr, GROUPS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One edge's kernels: a split of the pixels, seen through WINDOWS windows of WINDOW taps side by side.

    x, apart, H, W: as in `convolve`. dy: as in `data_gradient`. partial: [K, splits, 9, CI, CO]; a 1x1
    convolution writes its centre tap alone, and who has no convolution nothing. per_split: in tiles.

    A window is a row of taps (the fourth of WINDOW = 4 is empty) or a single one, and stands beside the
    input channels: [WINDOW * CIB, BLOCK] @ [BLOCK, COB] fills the matrix units, which want 64 rows.
    """
    group, split, k = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    op = tl.load(ops + edge * networks + k)
    wide = op == CONV3X3
    if not (wide | ((op == CONV1X1) & (group == GROUPS // 2))):
        return
    if GROUPS == 1:
        group = 0
    j, co, i = tl.arange(0, WINDOW * CIB), tl.arange(0, COB), tl.arange(0, BLOCK)
    lane, ci = j // CIB, j % CIB
    first = group * (9 // GROUPS)
    # From one window to the next: by a row of taps, or by a tap.
    TAPS: tl.constexpr = 3 if WINDOW > 1 else 1
    STEP: tl.constexpr = W * STRIDE * CI if WINDOW > 1 else CI
    x += (k * apart).to(tl.int64) * pixels * (STRIDE * STRIDE * CI)
    x += ((first // 3 - 1) * (W * STRIDE) + first % 3 - 1) * CI
    dy += tl.load(slots + edge * networks + k).to(tl.int64) * pixels * CO
    total0 = tl.zeros((WINDOW * CIB, COB), tl.float32)
    if WINDOWS == 3:
        total1, total2 = total0, total0
    end = tl.minimum(tl.cdiv(pixels, BLOCK), (split + 1) * per_split)
    for tile in tl.range(split * per_split, end, num_stages=1):
        p = tile * BLOCK + i
        bits = tl.where(p < pixels, taps_inside(p, H, W, STRIDE), 0)
        mask = (p < pixels)[:, None] & (co < CO)[None, :]
        gradient = tl.load(dy + p[:, None] * CO + co[None, :], mask, 0.0)
        at = x + (under(p, H, W, STRIDE) * CI)[None, :] + (lane * CI + ci)[:, None]
        if WINDOWS == 1:
            seen = through_taps(at, bits, first, lane, ci < CI)
            total0 = tl.dot(seen, gradient, total0, input_precision="ieee")
        else:
            seen = through_taps(at + STEP, bits, first + TAPS, lane, ci < CI)
            total1 = tl.dot(seen, gradient, total1, input_precision="ieee")
            if wide:
                seen = through_taps(at, bits, first, lane, ci < CI)
                total0 = tl.dot(seen, gradient, total0, input_precision="ieee")
                seen = through_taps(at + 2 * STEP, bits, first + 2 * TAPS, lane, ci < CI)
                total2 = tl.dot(seen, gradient, total2, input_precision="ieee")
    partial += (k.to(tl.int64) * splits + split) * (9 * CI * CO)
    partial += ((first + lane) * CI + ci)[:, None] * CO + co[None, :]
    there = ((lane < 3) & (ci < CI))[:, None] & (co < CO)[None, :]
    # Window 0, or the middle one: the one that has the centre.
    tap = first + (TAPS if WINDOWS == 3 else 0) + lane
    centre = there & (tap == tl.where(wide, tap, 4))[:, None]
    if WINDOWS == 1:
        tl.store(partial, total0, centre)
    else:
        tl.store(partial + TAPS * CI * CO, total1, centre)
        if wide:
            tl.store(partial, total0, there)
            tl.store(partial + 2 * TAPS * CI * CO, total2, there)


@triton.jit(do_not_specialize=["networks", "splits"])
def finish_weights(partial, out, ops, networks, splits, matrix, BLOCK: tl.constexpr):
    """The sum over splits, and zero where there is no convolution or a 1x1 one has no tap.

    partial: [edges, K, splits, 9, matrix], matrix = CI * CO. out: float32 [edges, K, 9, matrix].
    """
    block, k, edge = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    op = tl.load(ops + edge * networks + k)
    at = block * BLOCK + tl.arange(0, BLOCK)
    end = tl.where(is_conv(op), last_tap(op), 0) * matrix
    there = (at >= first_tap(op) * matrix) & (at < end)
    place = (edge * networks + k).to(tl.int64)
    total = tl.zeros((BLOCK,), tl.float32)
    for split in range(splits):
        total += tl.load(partial + (place * splits + split) * 9 * matrix + at, there, 0.0)
    tl.store(out + place * 9 * matrix + at, total, at < 9 * matrix)
