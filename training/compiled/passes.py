"""Forward, backward and whole epochs of one network, compiled by Numba.

Read `nb201env.training.compiled.layout` first: a network is a list of units and a list of places. Here b is
the number of images of a batch, and every function that ends in _grad mirrors the one above it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nb201env.arrays import IntArray
from nb201env.space import CONV1X1, CONV3X3, EDGES, POOL, SKIP
from nb201env.training.compiled import kernels as k
from nb201env.training.compiled.kernels import compiled
from nb201env.training.compiled.layout import (
    CELL,
    CHANNELS,
    F32,
    IN,
    KERNEL,
    NORM,
    NORMAL,
    OFFSET,
    OUT,
    ROWS,
    RUNNING,
    SIDE,
    STRIDE,
    WEIGHT,
    Layout,
)
from nb201env.training.network import STAGES

_EDGES: IntArray = np.array(EDGES)


class Work(NamedTuple):
    """Memory that is written before it is read.

    Attributes:
        values: The places.
        value_grads: Their gradients.
        normals: The units' outputs, normalised.
        scales: One over their deviations, at half the offset of the running statistics.
        grads: Of theta.
        padded: An input with its border, twice.
        plain: A tensor without border, twice.
        turned: A turned weight.
        counts: `kernels.pool_counts` of each stage.
    """

    values: F32
    value_grads: F32
    normals: F32
    scales: F32
    grads: F32
    padded: F32
    plain: F32
    turned: F32
    counts: tuple[F32, F32, F32]


def make_work(layout: Layout, batch: int) -> Work:
    """Memory for one layout and batches up to this size."""
    units, places = layout.units, layout.places
    values = int((places[:, OFFSET] + places[:, CHANNELS] * places[:, ROWS] ** 2).max()) * batch
    outputs = units[:, OUT] * (units[:, SIDE] // units[:, STRIDE]) ** 2
    normals = int((units[:, NORMAL] + outputs).max()) * batch
    channels = np.maximum(units[:, IN], units[:, OUT])
    padded = int((channels * (units[:, SIDE] + 2) ** 2).max()) * batch
    plain = int((channels * units[:, SIDE] ** 2).max()) * batch
    theta = int(layout.classifier[1] + layout.classifier[2])
    running = int((units[:, RUNNING] + 2 * units[:, OUT]).max())
    side = int(units[0, SIDE])

    def zeros(*shape: int) -> F32:
        return np.zeros(shape, dtype=np.float32)

    first, second, third = (k.pool_counts(side >> stage) for stage in range(STAGES))
    return Work(
        zeros(values), zeros(values), zeros(normals), zeros(running), zeros(theta), zeros(2, padded),
        zeros(2, plain), zeros(int((9 * units[:, IN] * units[:, OUT]).max())), (first, second, third),
    )  # fmt: skip


@compiled
def _tensor(flat: Any, place: Any, b: int) -> Any:
    offset, channels, side = place[OFFSET], place[CHANNELS], place[ROWS]
    return flat[offset * b : (offset + channels * side * side) * b].reshape(channels, side, side * b)


@compiled
def _shaped(flat: Any, channels: int, side: int, b: int) -> Any:
    return flat[: channels * side * side * b].reshape(channels, side, side * b)


@compiled
def _rows(x: Any) -> Any:
    return x.reshape(x.shape[0], x.shape[1] * x.shape[2])


@compiled
def _weight(flat: Any, unit: Any) -> Any:
    size = unit[KERNEL]
    end = unit[WEIGHT] + unit[OUT] * unit[IN] * size * size
    return flat[unit[WEIGHT] : end].reshape(unit[OUT], unit[IN], size, size)


@compiled
def _pair(flat: Any, offset: int, channels: int) -> Any:
    return flat[offset : offset + 2 * channels].reshape(2, channels)


@compiled
def _unit(
    unit: Any, x: Any, out: Any, theta: Any, running: Any, work: Any, b: int, positive: bool, training: bool
) -> None:
    """out += the unit's output for x [C, H, W * B]; x passes a ReLU first if `positive`."""
    side = unit[SIDE] // unit[STRIDE]
    offset = unit[NORMAL] * b
    z = out
    if unit[NORM] >= 0:
        z = _shaped(work.normals[offset:], unit[OUT], side, b)
        z[:] = 0
    if unit[KERNEL] == 3:
        p = _shaped(work.padded[0], unit[IN], unit[SIDE] + 2, b)
        k.pad(x, p, b, positive)
        k.convolve_3x3(p, _weight(theta, unit), z, b, unit[STRIDE])
    elif unit[KERNEL] == 1:
        source = x
        if positive:
            source = _shaped(work.plain[0], unit[IN], unit[SIDE], b)
            k.relu(x.ravel(), source.ravel())
        k.convolve_1x1(_rows(source), _weight(theta, unit)[:, :, 0, 0], _rows(z))
    else:
        z[:] = x
    if unit[NORM] >= 0:
        norm = _pair(theta, unit[NORM], unit[OUT])
        statistics = _pair(running, unit[RUNNING], unit[OUT])
        if training:
            scale = work.scales[unit[RUNNING] // 2 :]
            k.normalise(_rows(z), norm, statistics, scale, _rows(out))
        else:
            k.normalise_fixed(_rows(z), norm, statistics, _rows(out))


@compiled
def _unit_grad(
    unit: Any, x: Any, x_grad: Any, out_grad: Any, theta: Any, work: Any, b: int, positive: bool
) -> None:
    """x_grad += the gradient of the unit's input; the parameters' go to work.grads."""
    side = unit[SIDE] // unit[STRIDE]
    d = out_grad
    if unit[NORM] >= 0:
        d = _shaped(work.plain[0], unit[OUT], side, b)
        normal = _shaped(work.normals[unit[NORMAL] * b :], unit[OUT], side, b)
        scale = work.scales[unit[RUNNING] // 2 :]
        norm, norm_grad = _pair(theta, unit[NORM], unit[OUT]), _pair(work.grads, unit[NORM], unit[OUT])
        k.normalise_grad(_rows(out_grad), _rows(normal), norm, scale, norm_grad, _rows(d))
    into = _shaped(work.plain[1], unit[IN], unit[SIDE], b)
    if unit[KERNEL] == 0:
        k.add(d.ravel(), x_grad.ravel())
        return
    weight, weight_grad = _weight(theta, unit), _weight(work.grads, unit)
    if unit[KERNEL] == 1:
        source = x
        if positive:
            source = into
            k.relu(x.ravel(), source.ravel())
        k.weight_grad_1x1(_rows(source), _rows(d), weight_grad[:, :, 0, 0])
        into[:] = 0
        k.convolve_1x1(_rows(d), weight[:, :, 0, 0].T, _rows(into))
    else:
        p = _shaped(work.padded[0], unit[IN], unit[SIDE] + 2, b)
        k.pad(x, p, b, positive)
        k.weight_grad_3x3(p, d, weight_grad, b, unit[STRIDE])
        if unit[STRIDE] == 1:
            q = _shaped(work.padded[1], unit[OUT], unit[SIDE] + 2, b)
            k.pad(d, q, b, False)
            turned = work.turned[: weight.size].reshape(unit[IN], unit[OUT], 3, 3)
            k.turned(weight, turned)
            into[:] = 0
            k.convolve_3x3(q, turned, into, b, 1)
        else:
            k.input_grad_3x3_stride_2(d, weight, p, b)
            into[:] = p[:, 1:-1, b:-b]
    if positive:
        k.add_where_positive(into.ravel(), x.ravel(), x_grad.ravel())
    else:
        k.add(into.ravel(), x_grad.ravel())


@compiled
def _pool(x: Any, out: Any, counts: Any, work: Any, b: int) -> None:
    """out += the official average pooling of x."""
    p = _shaped(work.padded[0], x.shape[0], x.shape[1] + 2, b)
    k.pad(x, p, b, False)
    k.box_sum(p, work.padded[1], counts, out, b)


@compiled
def _pool_grad(grad: Any, x_grad: Any, counts: Any, work: Any, b: int) -> None:
    weighed = _shaped(work.plain[0], grad.shape[0], grad.shape[1], b)
    k.scaled(grad, counts, weighed, b)
    _pool(weighed, x_grad, np.ones_like(counts), work, b)


@compiled
def _forward(layout: Any, images: Any, theta: Any, running: Any, work: Any, b: int, training: bool) -> None:
    """Fill all places; the last one holds the features before the last ReLU."""
    units, places, values = layout.units, layout.places, work.values
    values[: (places[-1, OFFSET] + places[-1, CHANNELS] * places[-1, ROWS] ** 2) * b] = 0
    _unit(units[0], images, _tensor(values, places[0], b), theta, running, work, b, False, training)
    place, unit, stage = 0, 1, 0
    for block in layout.blocks:
        x = _tensor(values, places[place], b)
        if block == CELL:
            for edge in range(6):
                op = layout.ops[edge]
                source = _tensor(values, places[place + _EDGES[edge, 0]], b)
                target = _tensor(values, places[place + _EDGES[edge, 1]], b)
                if op == SKIP:
                    k.add(source.ravel(), target.ravel())
                elif op == POOL:
                    _pool(source, target, work.counts[stage], work, b)
                elif op in (CONV1X1, CONV3X3):
                    _unit(units[unit], source, target, theta, running, work, b, True, training)
                    unit += 1
        else:
            inner = _tensor(values, places[place + 1], b)
            halved = _tensor(values, places[place + 2], b)
            out = _tensor(values, places[place + 3], b)
            _unit(units[unit], x, inner, theta, running, work, b, True, training)
            _unit(units[unit + 1], inner, out, theta, running, work, b, True, training)
            k.halve(x, halved, b)
            _unit(units[unit + 2], halved, out, theta, running, work, b, False, training)
            unit += 3
            stage += 1
        place += 3
    last = _tensor(values, places[place + 1], b)
    _unit(units[unit], _tensor(values, places[place], b), last, theta, running, work, b, False, training)


@compiled
def _backward(layout: Any, images: Any, theta: Any, work: Any, b: int) -> None:
    """From the last place's gradient to work.grads."""
    units, places, values, grads = layout.units, layout.places, work.values, work.value_grads
    place, unit, stage = len(places) - 2, len(units) - 1, 2
    grads[: places[-1, OFFSET] * b] = 0
    _unit_grad(
        units[unit], _tensor(values, places[place], b), _tensor(grads, places[place], b),
        _tensor(grads, places[place + 1], b), theta, work, b, False,
    )  # fmt: skip
    for block in layout.blocks[::-1]:
        place -= 3
        x, x_grad = _tensor(values, places[place], b), _tensor(grads, places[place], b)
        if block == CELL:
            for edge in range(5, -1, -1):
                op, source = layout.ops[edge], place + _EDGES[edge, 0]
                value, value_grad = _tensor(values, places[source], b), _tensor(grads, places[source], b)
                target_grad = _tensor(grads, places[place + _EDGES[edge, 1]], b)
                if op == SKIP:
                    k.add(target_grad.ravel(), value_grad.ravel())
                elif op == POOL:
                    _pool_grad(target_grad, value_grad, work.counts[stage], work, b)
                elif op in (CONV1X1, CONV3X3):
                    unit -= 1
                    _unit_grad(units[unit], value, value_grad, target_grad, theta, work, b, True)
        else:
            unit -= 3
            stage -= 1
            inner, inner_grad = _tensor(values, places[place + 1], b), _tensor(grads, places[place + 1], b)
            halved, halved_grad = _tensor(values, places[place + 2], b), _tensor(grads, places[place + 2], b)
            out_grad = _tensor(grads, places[place + 3], b)
            _unit_grad(units[unit + 2], halved, halved_grad, out_grad, theta, work, b, False)
            k.halve_grad(halved_grad, x_grad, b)
            _unit_grad(units[unit + 1], inner, inner_grad, out_grad, theta, work, b, True)
            _unit_grad(units[unit], x, x_grad, inner_grad, theta, work, b, True)
    # The stem's input is the image; its gradient goes where nobody reads it.
    nowhere = _shaped(work.padded[1], units[0, IN], units[0, SIDE], b)
    _unit_grad(units[0], images, nowhere, _tensor(grads, places[0], b), theta, work, b, False)


@compiled
def _judge(layout: Any, theta: Any, work: Any, labels: Any, b: int, training: bool) -> Any:
    """Summed loss and correct images; in training also the gradients of classifier and last place."""
    last = layout.places[-1]
    channels, area = last[CHANNELS], last[ROWS] ** 2
    weight_at, bias_at, classes = layout.classifier
    weight = theta[weight_at:bias_at].reshape(classes, channels)
    values = _tensor(work.values, last, b).reshape(channels, area, b)
    share = np.float32(1) / np.float32(area)
    features = np.zeros((channels, b), dtype=np.float32)
    logit_grads = np.empty((classes, b), dtype=np.float32)
    for c in range(channels):
        for pixel in range(area):
            for j in range(b):
                features[c, j] += share * max(values[c, pixel, j], np.float32(0))
    loss, correct = k.classify(features, weight, theta[bias_at : bias_at + classes], labels, logit_grads)
    if training:
        k.weight_grad_1x1(features, logit_grads, work.grads[weight_at:bias_at].reshape(classes, channels))
        for label in range(classes):
            work.grads[bias_at + label] = k.folded(logit_grads[label].copy())
        features[:] = 0
        k.convolve_1x1(logit_grads, weight.T, features)
        grads = _tensor(work.value_grads, last, b).reshape(channels, area, b)
        for c in range(channels):
            for pixel in range(area):
                for j in range(b):
                    positive = values[c, pixel, j] > 0
                    grads[c, pixel, j] = share * features[c, j] if positive else np.float32(0)
    return loss, correct


@compiled
def _batch(stream: Any, start: int) -> Any:
    labels = stream.labels[start : start + stream.batch]
    first = start * stream.channels * stream.side * stream.side
    images = _shaped(stream.pixels[first:], stream.channels, stream.side, len(labels))
    return images, labels, len(labels)


@compiled
def train_epoch(
    layout: Any, theta: Any, running: Any, velocity: Any, work: Any, stream: Any,
    rate: float, momentum: float, decay: float, nesterov: bool,
) -> Any:  # fmt: skip
    """All training steps of one epoch; summed loss and correct images."""
    loss, correct = 0.0, 0
    for start in range(0, len(stream.labels), stream.batch):
        images, labels, b = _batch(stream, start)
        _forward(layout, images, theta, running, work, b, True)
        summed, right = _judge(layout, theta, work, labels, b, True)
        _backward(layout, images, theta, work, b)
        k.sgd(theta, work.grads, velocity, rate, momentum, decay, nesterov)
        loss += summed
        correct += right
    return loss, correct


@compiled
def evaluate(layout: Any, theta: Any, running: Any, work: Any, stream: Any) -> Any:
    """Summed loss and correct images of a stream in evaluation mode."""
    loss, correct = 0.0, 0
    for start in range(0, len(stream.labels), stream.batch):
        images, labels, b = _batch(stream, start)
        _forward(layout, images, theta, running, work, b, False)
        summed, right = _judge(layout, theta, work, labels, b, False)
        loss += summed
        correct += right
    return loss, correct
