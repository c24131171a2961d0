"""The arithmetic of the compiled trainer, by Numba: convolutions, batch norm, pooling, SGD.

All activations are float32 [C, H, W * B]: the batch is innermost, so one image column to the right
is B floats further. A 3x3 convolution then is, per kernel row, one loop over a whole image row that
reads three shifted windows of the same memory. Such loops become vector instructions and, for
images of a few pixels, everything stays in the processor's nearest cache: that is where libraries
made for large images lose their time.

Inputs of 3x3 kernels are padded copies [C, H + 2, (W + 2) * B] with a border of zeros. Names: b is
the batch, "grad" the gradient of the loss with respect to what it is named after. Every kernel that
computes a layer's output or an input's gradient adds to it, because a node is a sum over its edges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

EPS = np.float32(1e-5)
MOMENTUM = np.float32(0.1)
"""Of PyTorch's batch norm: added to the variance, and the weight of the newest running statistics."""

_F = TypeVar("_F", bound=Callable[..., Any])
Floats = Any
"""float32 array; Numba compiles for the types it is called with."""


def compiled(function: _F) -> _F:
    """Decorator: compile on the first call, and keep the machine code beside the source file.

    Without fast-math: LLVM may then neither reorder sums nor fuse a multiplication into an addition,
    so the bits do not depend on how it inlined, nor on the processor. See `folded`.
    """
    return cast(_F, njit(cache=True, error_model="numpy")(function))


@compiled
def folded(x: Floats) -> Any:
    """The sum of x, which it overwrites: halves are added to each other until one number is left.

    A plain loop would have to add one number after the other; this order is made of whole vectors.
    """
    n = len(x)
    while n > 1:
        half = n // 2
        upper, lower = x[n - half : n], x[:half]
        for j in range(half):
            lower[j] += upper[j]
        n -= half
    return x[0]


@compiled
def pad(x: Floats, out: Floats, b: int, positive: bool) -> None:
    """Copy x [C, H, W * B] into the middle of out [C, H + 2, (W + 2) * B]; ReLU it if `positive`."""
    channels, rows, columns = x.shape
    for c in range(channels):
        out[c, 0] = 0
        out[c, rows + 1] = 0
        for y in range(rows):
            source, target = x[c, y], out[c, y + 1]
            target[:b] = 0
            target[b + columns :] = 0
            middle = target[b : b + columns]
            if positive:
                for j in range(columns):
                    middle[j] = max(source[j], np.float32(0))
            else:
                for j in range(columns):
                    middle[j] = source[j]


@compiled
def convolve_3x3(p: Floats, weight: Floats, out: Floats, b: int, stride: int) -> None:
    """out [O, H, W * B] += the convolution of padded p with weight [O, I, 3, 3]."""
    outputs, inputs = weight.shape[:2]
    rows = out.shape[1]
    pieces = 1 if stride == 1 else out.shape[2] // b
    length = out.shape[2] // pieces
    for o in range(outputs):
        for y in range(rows):
            for piece in range(pieces):
                target = out[o, y, piece * length : (piece + 1) * length]
                left = piece * stride * b
                for i in range(inputs):
                    for r in range(3):
                        line = p[i, y * stride + r, left:]
                        x0, x1, x2 = line[:length], line[b : b + length], line[2 * b : 2 * b + length]
                        w0, w1, w2 = weight[o, i, r, 0], weight[o, i, r, 1], weight[o, i, r, 2]
                        for j in range(length):
                            target[j] += w0 * x0[j] + w1 * x1[j] + w2 * x2[j]


@compiled
def weight_grad_3x3(p: Floats, grad: Floats, out: Floats, b: int, stride: int) -> None:
    """out [O, I, 3, 3] = the weight's gradient, from padded input p and output gradient."""
    outputs, inputs = out.shape[:2]
    rows = grad.shape[1]
    pieces = 1 if stride == 1 else grad.shape[2] // b
    length = grad.shape[2] // pieces
    sums = np.empty((3, length), dtype=np.float32)
    s0, s1, s2 = sums[0], sums[1], sums[2]
    for o in range(outputs):
        for i in range(inputs):
            for r in range(3):
                sums[:] = 0
                for y in range(rows):
                    for piece in range(pieces):
                        g = grad[o, y, piece * length : (piece + 1) * length]
                        line = p[i, y * stride + r, piece * stride * b :]
                        x0, x1, x2 = line[:length], line[b : b + length], line[2 * b : 2 * b + length]
                        for j in range(length):
                            s0[j] += g[j] * x0[j]
                            s1[j] += g[j] * x1[j]
                            s2[j] += g[j] * x2[j]
                for c in range(3):
                    out[o, i, r, c] = folded(sums[c])


@compiled
def input_grad_3x3_stride_2(grad: Floats, weight: Floats, p: Floats, b: int) -> None:
    """p [I, H + 2, (W + 2) * B] = the padded input's gradient, from that of the output."""
    outputs, inputs = weight.shape[:2]
    p[:] = 0
    for i in range(inputs):
        for o in range(outputs):
            for y in range(grad.shape[1]):
                for x in range(grad.shape[2] // b):
                    g = grad[o, y, x * b : (x + 1) * b]
                    for r in range(3):
                        for c in range(3):
                            left = (2 * x + c) * b
                            target = p[i, 2 * y + r, left : left + b]
                            w = weight[o, i, r, c]
                            for j in range(b):
                                target[j] += w * g[j]


@compiled
def turned(weight: Floats, out: Floats) -> None:
    """out [I, O, 3, 3] = weight [O, I, 3, 3] turned by 180 degrees: convolving with it gives gradients."""
    for o in range(weight.shape[0]):
        for i in range(weight.shape[1]):
            for r in range(3):
                for c in range(3):
                    out[i, o, 2 - r, 2 - c] = weight[o, i, r, c]


@compiled
def convolve_1x1(x: Floats, weight: Floats, out: Floats) -> None:
    """out [O, N] += weight [O, I] times x [I, N]; with its transpose: the input's gradient."""
    for o in range(weight.shape[0]):
        target = out[o]
        for i in range(weight.shape[1]):
            source, w = x[i], weight[o, i]
            for j in range(len(target)):
                target[j] += w * source[j]


@compiled
def weight_grad_1x1(x: Floats, grad: Floats, out: Floats) -> None:
    """out [O, I] = grad [O, N] times x's transpose [N, I]."""
    products = np.empty(x.shape[1], dtype=np.float32)
    for o in range(out.shape[0]):
        for i in range(out.shape[1]):
            g, source = grad[o], x[i]
            for j in range(len(g)):
                products[j] = g[j] * source[j]
            out[o, i] = folded(products)


@compiled
def normalise(z: Floats, norm: Floats, running: Floats, scale: Floats, out: Floats) -> None:
    """Batch norm in training: z [C, N] becomes its normalised self, and gain * z + bias is added to out.

    norm [2, C] is gain and bias, running [2, C] the running mean and variance, which it moves;
    scale [C] receives 1 / sqrt(variance + EPS).
    """
    n = np.float32(z.shape[1])
    copy = np.empty(z.shape[1], dtype=np.float32)
    for c in range(z.shape[0]):
        row, target = z[c], out[c]
        copy[:] = row
        mean = folded(copy) / n
        for j in range(len(row)):
            row[j] -= mean
            copy[j] = row[j] * row[j]
        variance = folded(copy) / n
        factor = np.float32(1) / np.sqrt(variance + EPS)
        gain, bias = norm[0, c], norm[1, c]
        for j in range(len(row)):
            row[j] *= factor
            target[j] += gain * row[j] + bias
        scale[c] = factor
        running[0, c] += MOMENTUM * (mean - running[0, c])
        running[1, c] += MOMENTUM * (variance * n / (n - np.float32(1)) - running[1, c])


@compiled
def normalise_fixed(z: Floats, norm: Floats, running: Floats, out: Floats) -> None:
    """Batch norm in evaluation, with the running statistics; added to out [C, N]."""
    for c in range(z.shape[0]):
        row, target = z[c], out[c]
        factor = norm[0, c] / np.sqrt(running[1, c] + EPS)
        shift = norm[1, c] - running[0, c] * factor
        for j in range(len(row)):
            target[j] += factor * row[j] + shift


@compiled
def normalise_grad(
    grad: Floats, normal: Floats, norm: Floats, scale: Floats, norm_grad: Floats, out: Floats
) -> None:
    """out [C, N] = the gradient before batch norm; norm_grad [2, C] receives gain's and bias's."""
    n = np.float32(grad.shape[1])
    copy = np.empty(grad.shape[1], dtype=np.float32)
    for c in range(grad.shape[0]):
        g, x, target = grad[c], normal[c], out[c]
        for j in range(len(g)):
            copy[j] = g[j] * x[j]
        for_gain = folded(copy)
        copy[:] = g
        for_bias = folded(copy)
        norm_grad[0, c], norm_grad[1, c] = for_gain, for_bias
        factor, a, b = scale[c] * norm[0, c], for_bias / n, for_gain / n
        for j in range(len(g)):
            target[j] = factor * (g[j] - a - b * x[j])


@compiled
def pool_counts(side: int) -> Floats:
    """One over the pixels of the image that a 3x3 window at (y, x) covers; float32 [side, side]."""
    inside = np.full(side, 3, dtype=np.float32)
    inside[0] -= 1
    inside[-1] -= 1
    out = np.empty((side, side), dtype=np.float32)
    for y in range(side):
        for x in range(side):
            out[y, x] = np.float32(1) / (inside[y] * inside[x])
    return out


@compiled
def box_sum(p: Floats, line: Floats, counts: Floats, out: Floats, b: int) -> None:
    """out [C, H, W * B] += counts times the 3x3 sums of padded p; line [(W + 2) * B] is scratch."""
    for c in range(out.shape[0]):
        for y in range(out.shape[1]):
            p0, p1, p2 = p[c, y], p[c, y + 1], p[c, y + 2]
            for j in range(len(p0)):
                line[j] = p0[j] + p1[j] + p2[j]
            for x in range(counts.shape[1]):
                target = out[c, y, x * b : (x + 1) * b]
                x0 = line[x * b : (x + 1) * b]
                x1, x2 = line[(x + 1) * b : (x + 2) * b], line[(x + 2) * b : (x + 3) * b]
                share = counts[y, x]
                for j in range(b):
                    target[j] += share * (x0[j] + x1[j] + x2[j])


@compiled
def scaled(x: Floats, counts: Floats, out: Floats, b: int) -> None:
    """out = counts [H, W] times x [C, H, W * B]."""
    for c in range(x.shape[0]):
        for y in range(x.shape[1]):
            for column in range(counts.shape[1]):
                share = counts[y, column]
                source = x[c, y, column * b : (column + 1) * b]
                target = out[c, y, column * b : (column + 1) * b]
                for j in range(b):
                    target[j] = share * source[j]


@compiled
def halve(x: Floats, out: Floats, b: int) -> None:
    """out [C, H / 2, W / 2 * B] = the means over 2x2 blocks."""
    quarter = np.float32(0.25)
    for c in range(out.shape[0]):
        for y in range(out.shape[1]):
            for column in range(out.shape[2] // b):
                target = out[c, y, column * b : (column + 1) * b]
                upper, lower = x[c, 2 * y, 2 * column * b :], x[c, 2 * y + 1, 2 * column * b :]
                x0, x1, x2, x3 = upper[:b], upper[b : 2 * b], lower[:b], lower[b : 2 * b]
                for j in range(b):
                    target[j] = quarter * (x0[j] + x1[j] + x2[j] + x3[j])


@compiled
def halve_grad(grad: Floats, out: Floats, b: int) -> None:
    """out [C, H, W * B] += the gradient before `halve`."""
    quarter = np.float32(0.25)
    for c in range(grad.shape[0]):
        for y in range(out.shape[1]):
            for column in range(out.shape[2] // b):
                g = grad[c, y // 2, column // 2 * b : (column // 2 + 1) * b]
                target = out[c, y, column * b : (column + 1) * b]
                for j in range(b):
                    target[j] += quarter * g[j]


@compiled
def add(x: Floats, out: Floats) -> None:
    """out [N] += x [N]."""
    for j in range(len(x)):
        out[j] += x[j]


@compiled
def relu(x: Floats, out: Floats) -> None:
    """out [N] = x where positive, else 0."""
    for j in range(len(x)):
        out[j] = max(x[j], np.float32(0))


@compiled
def add_where_positive(grad: Floats, x: Floats, out: Floats) -> None:
    """out [N] += grad where x is positive: the gradient of a ReLU."""
    for j in range(len(x)):
        out[j] += grad[j] if x[j] > 0 else np.float32(0)


@compiled
def classify(
    features: Floats, weight: Floats, bias: Floats, labels: Floats, grads: Floats
) -> tuple[float, int]:
    """Summed cross-entropy and correct images of features [C, B].

    grads [classes, B] receives the gradient of the mean loss with respect to the logits.
    """
    classes, channels = weight.shape
    b = features.shape[1]
    loss, correct = 0.0, 0
    for k in range(classes):
        grads[k] = bias[k]
        for c in range(channels):
            for j in range(b):
                grads[k, j] += weight[k, c] * features[c, j]
    for j in range(b):
        best = 0
        for k in range(classes):
            if grads[k, j] > grads[best, j]:
                best = k
        correct += best == labels[j]
        # In float64, so that libraries whose exponentials differ in the last bit give the same.
        top, total = float(grads[best, j]), 0.0
        for k in range(classes):
            total += np.exp(float(grads[k, j]) - top)
        loss += np.log(total) + top - float(grads[labels[j], j])
        for k in range(classes):
            share = np.exp(float(grads[k, j]) - top) / total
            grads[k, j] = np.float32((share - (k == labels[j])) / b)
    return loss, correct


@compiled
def sgd(
    theta: Floats, grad: Floats, velocity: Floats, rate: float, momentum: float, decay: float, nesterov: bool
) -> None:
    """One step of `torch.optim.SGD` on theta [N]; velocity starts as zeros."""
    lr, mu, wd = np.float32(rate), np.float32(momentum), np.float32(decay)
    for j in range(len(theta)):
        d = grad[j] + wd * theta[j]
        velocity[j] = mu * velocity[j] + d
        theta[j] -= lr * (d + mu * velocity[j] if nesterov else velocity[j])
