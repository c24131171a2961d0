"""Triton kernels, backward: batch norm's sums, a node's gradient, and the weights'.

Layout, op codes and slots are those of `training.gpu.kernels`. The order of a cell's backward
pass follows from batch norm, which needs two sums over the batch before the first gradient:

    for node 3, 2, 1:  norm_sums       reads the node's gradient once and each convolution's output
                       data_gradient   of the node before: gathers from all edges that leave it
    for every edge:    weight_gradient

The gradient of a convolution's output is never stored. It is `upstream` of what is: the node's
gradient, the saved output and four numbers per channel; whoever needs it computes it on the way
in. `data_gradient` gathers (each program owns its pixels), so a node's gradient is written once
and never read back for another edge's share.
"""

import triton
import triton.language as tl

from training.gpu.kernels import CONV1X1, CONV3X3, POOL, SKIP, inside, is_conv, locate, neighbours


@triton.jit
def upstream(g, y, coefficients, co, CO: tl.constexpr):
    """Gradient of a convolution's output, before its batch norm, from tiles of g and y."""
    ok = co < CO
    scale = tl.load(coefficients + co, ok, 0.0)
    offset = tl.load(coefficients + CO + co, ok, 0.0)
    slope = tl.load(coefficients + 2 * CO + co, ok, 0.0)
    mean = tl.load(coefficients + 3 * CO + co, ok, 0.0)
    return (g - offset[None, :]) * scale[None, :] - (y - mean[None, :]) * slope[None, :]


@triton.jit
def norm_sums(
    g, y, norm, partial, ops, slots, networks, pixels, blocks,
    C: tl.constexpr, CB: tl.constexpr, FIRST: tl.constexpr, COUNT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """For a node's edges with a convolution: each tile's sums of g and of g * normalised output.

    partial: float32 [edges, K, blocks, 2, C].
    """
    block, k = tl.program_id(0), tl.program_id(1)
    p, c = block * BLOCK + tl.arange(0, BLOCK), tl.arange(0, CB)
    ok = c < C
    known = (p < pixels)[:, None] & ok[None, :]
    here = p[:, None] * C + c[None, :]
    gradient = tl.load(g + k.to(tl.int64) * pixels * C + here, known, 0.0).to(tl.float32)
    for n in tl.static_range(COUNT):
        place = (FIRST + n) * networks + k
        if is_conv(tl.load(ops + place)):
            raw = y + tl.load(slots + place).to(tl.int64) * pixels * C
            mean = tl.load(norm + place * 4 * C + c, ok, 0.0)
            inverse = tl.load(norm + (place * 4 + 1) * C + c, ok, 0.0)
            value = tl.load(raw + here, known, 0.0).to(tl.float32)
            normal = (value - mean[None, :]) * inverse[None, :]
            at = partial + (place.to(tl.int64) * blocks + block) * 2 * C + c
            tl.store(at, tl.sum(gradient, axis=0), ok)
            tl.store(at + C, tl.sum(gradient * normal, axis=0), ok)


@triton.jit
def finish_sums(
    partial, norm, coefficients, d_gain, d_bias, ops, networks, pixels, blocks,
    C: tl.constexpr, CB: tl.constexpr, FIRST: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Gradients of gain and bias, and the four numbers per channel that `upstream` takes."""
    k, n = tl.program_id(0), tl.program_id(1)
    place = (FIRST + n) * networks + k
    if not is_conv(tl.load(ops + place)):
        return
    c, rows = tl.arange(0, CB), tl.arange(0, ROWS)
    ok = c < C
    partial += place.to(tl.int64) * blocks * 2 * C
    first, second = tl.zeros((CB,), tl.float32), tl.zeros((CB,), tl.float32)
    for start in range(0, blocks, ROWS):
        tile = start + rows
        known = (tile < blocks)[:, None] & ok[None, :]
        first += tl.sum(tl.load(partial + tile[:, None] * 2 * C + c[None, :], known, 0.0), axis=0)
        second += tl.sum(tl.load(partial + (tile[:, None] * 2 + 1) * C + c[None, :], known, 0.0), axis=0)
    tl.store(d_bias + place * C + c, first, ok)
    tl.store(d_gain + place * C + c, second, ok)
    norm += place * 4 * C + c
    inverse = tl.load(norm + C, ok, 0.0)
    scale = tl.load(norm + 2 * C, ok, 0.0)
    coefficients += place * 4 * C + c
    tl.store(coefficients, scale, ok)
    tl.store(coefficients + C, first / pixels, ok)
    tl.store(coefficients + 2 * C, scale * inverse * second / pixels, ok)
    tl.store(coefficients + 3 * C, tl.load(norm, ok, 0.0), ok)


@triton.jit
def data_gradient(
    out, x, g0, g1, g2, y, coefficients, weight, ops, slots, networks, pixels,
    H: tl.constexpr, W: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr,
    CIB: tl.constexpr, COB: tl.constexpr, STRIDE: tl.constexpr,
    E0: tl.constexpr, E1: tl.constexpr, E2: tl.constexpr, COUNT: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradient of a node from all COUNT edges E0, E1, E2 that leave it, written once.

    x: the node, [K, pixels, CI], whose sign is the ReLU's mask. g0, g1, g2: gradients of the
    edges' targets, [K, pixels / STRIDE^2, CO]. weight: [edges, K, 9, CI, CO]. H, W: the node's.
    """
    block, k = tl.program_id(0), tl.program_id(1)
    p = block * BLOCK + tl.arange(0, BLOCK)
    ci, co = tl.arange(0, CIB), tl.arange(0, COB)
    b, h, w = locate(p, H, W)
    known = (p < pixels)[:, None] & (ci < CI)[None, :]
    here = p[:, None] * CI + ci[None, :]
    reached = pixels // (STRIDE * STRIDE)
    total = tl.zeros((BLOCK, CIB), tl.float32)
    through = tl.zeros((BLOCK, CIB), tl.float32)  # what arrives through ReLUs
    for n in tl.static_range(COUNT):
        g = (g0 if n == 0 else (g1 if n == 1 else g2)) + k.to(tl.int64) * reached * CO
        place = (E0 if n == 0 else (E1 if n == 1 else E2)) * networks + k
        op = tl.load(ops + place)
        if op == SKIP:
            total += tl.load(g + here, known, 0.0).to(tl.float32)
        elif op == POOL:
            for tap in range(9):
                row, column = h + tap // 3 - 1, w + tap % 3 - 1
                there = inside(row, column, H, W)
                at = ((b * H + row) * W + column)[:, None] * CI + ci[None, :]
                value = tl.load(g + at, there[:, None] & known, 0.0).to(tl.float32)
                share = neighbours(row, column, H, W)
                total += value / tl.where(there, share, 1.0)[:, None]
        elif is_conv(op):
            raw = y + tl.load(slots + place).to(tl.int64) * reached * CO
            matrix = weight + place.to(tl.int64) * 9 * CI * CO
            first = tl.where(op == CONV3X3, 0, 4)
            last = tl.where(op == CONV3X3, 9, 5)
            for tap in range(first, last):
                row, column = h - tap // 3 + 1, w - tap % 3 + 1
                there = (p < pixels) & inside(row, column, H, W)
                if STRIDE > 1:
                    there &= (row % STRIDE == 0) & (column % STRIDE == 0)
                at = (b * (H // STRIDE) + row // STRIDE) * (W // STRIDE) + column // STRIDE
                mask = there[:, None] & (co < CO)[None, :]
                at = at[:, None] * CO + co[None, :]
                gradient = tl.load(g + at, mask, 0.0).to(tl.float32)
                value = tl.load(raw + at, mask, 0.0).to(tl.float32)
                value = upstream(gradient, value, coefficients + place * 4 * CO, co, CO)
                value = tl.where(mask, value, 0.0).to(weight.dtype.element_ty)
                turned = tl.load(
                    matrix + (tap * CI + ci[None, :]) * CO + co[:, None],
                    (ci < CI)[None, :] & (co < CO)[:, None], 0.0,
                )  # fmt: skip
                through = tl.dot(value, turned, through, input_precision="ieee")
    node = tl.load(x + k.to(tl.int64) * pixels * CI + here, known, 0.0)
    total += tl.where(node > 0, through, 0.0)
    tl.store(out + k.to(tl.int64) * pixels * CI + here, total.to(out.dtype.element_ty), known)


@triton.jit
def weight_gradient(
    x, g, y, coefficients, partial, ops, slots, x_stride, pixels, splits, per_split,
    H: tl.constexpr, W: tl.constexpr, CI: tl.constexpr, CO: tl.constexpr,
    CIB: tl.constexpr, COB: tl.constexpr, STRIDE: tl.constexpr, RELU: tl.constexpr,
    TAPS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One edge's kernels: a split of the pixels, TAPS taps at a time; partial: [K, splits, 9, CI, CO].

    The taps stand beside the input channels, [TAPS * CIB, BLOCK] @ [BLOCK, COB], so one matrix
    product serves them all and the gradient of the output is made once per tile, not per tap.
    Networks without a convolution here write zeros: partial is summed whole.
    """
    group, split, k = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    op = tl.load(ops + k)
    j, co = tl.arange(0, TAPS * CIB), tl.arange(0, COB)
    tap, ci = group * TAPS + j // CIB, j % CIB
    # 1x1: the centre tap alone. Taps beyond the ninth fill up to a power of two.
    used = ((op == CONV3X3) | ((op == CONV1X1) & (tap == 4))) & (tap < 9) & (ci < CI)
    total = tl.zeros((TAPS * CIB, COB), tl.float32)
    wanted = (op == CONV3X3) | ((op == CONV1X1) & (group == 4 // TAPS))
    if wanted:
        x += k.to(tl.int64) * x_stride
        g += k.to(tl.int64) * pixels * CO
        raw = y + tl.load(slots + k).to(tl.int64) * pixels * CO
        end = tl.minimum(pixels, (split + 1) * per_split)
        for start in range(split * per_split, end, BLOCK):
            p = start + tl.arange(0, BLOCK)
            b, h, w = locate(p, H, W)
            mask = (p < end)[:, None] & (co < CO)[None, :]
            at = p[:, None] * CO + co[None, :]
            gradient = tl.load(g + at, mask, 0.0).to(tl.float32)
            value = tl.load(raw + at, mask, 0.0).to(tl.float32)
            value = upstream(gradient, value, coefficients + k * 4 * CO, co, CO)
            value = tl.where(mask, value, 0.0).to(x.dtype.element_ty)
            row = (h * STRIDE)[None, :] + (tap // 3 - 1)[:, None]
            column = (w * STRIDE)[None, :] + (tap % 3 - 1)[:, None]
            there = used[:, None] & (p < end)[None, :] & inside(row, column, H * STRIDE, W * STRIDE)
            place = (b[None, :] * (H * STRIDE) + row) * (W * STRIDE) + column
            tile = tl.load(x + place * CI + ci[:, None], there, 0.0)
            if RELU:
                tile = tl.maximum(tile, 0.0).to(x.dtype.element_ty)
            total = tl.dot(tile, value, total, input_precision="ieee")
    partial += ((k.to(tl.int64) * splits + split) * 9 + tap[:, None]) * CI * CO
    tl.store(
        partial + ci[:, None] * CO + co[None, :], total,
        ((tap < 9) & (ci < CI))[:, None] & (co < CO)[None, :],
    )  # fmt: skip
