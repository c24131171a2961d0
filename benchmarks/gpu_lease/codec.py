"""Small images as a pyramid of 2x2 means, without loss: the smallest first, then what each doubling adds.

Whoever has the images of 16 pixels needs only the rest for those of 32, so nothing travels twice. It
needs NumPy and zlib alone, and takes for all of CIFAR-10 what lossless WebP takes for its 32-pixel
images alone (103 against 99 MB; the 16-pixel images are 31 of these 103 MB).

Of each 2x2 block three pixels are predicted, one after the other, by a weighted sum of everything that
is known already: the means around, the block's earlier pixels, the colours that came before (green,
red, blue). The weights are fitted to the images. What is left over is sorted into classes of equal
expected size, and each class is coded with the Huffman half of zlib. The fourth pixel of a block
follows from its mean up to one of four values. All arithmetic is in integers: the same everywhere.
"""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]
"""[n, side, side, 3]"""
Plane = npt.NDArray[np.int32]
"""One colour of the images, or one pixel of all their blocks; [n, side, side]."""

BASE = 4
"""The side that is stored as it is."""
_GREEN_FIRST = [1, 0, 2]
_PIXELS = ((0, 0), (1, 1), (0, 1), (1, 0))
"""A block's pixels in the order in which they are coded."""
_LAST = len(_PIXELS) - 1
_BITS, _CLASSES, _LAST_CLASSES = 12, 16, 12
_AT_ONCE = 128  # images, so that sums stay in the processor's cache
_MOST, _MOST_BIAS = 8 << _BITS, 1 << 28  # weights and constants; no sum leaves 32 bits


class Predictor(NamedTuple):
    """How one pixel of a block is predicted, in units of 2 ** -12.

    Attributes:
        value: Weights of the known pixels and, last, a constant; int32.
        size: Likewise for the expected size of what is left over.
        bounds: Between the classes of expected sizes, rising; int32 [15].
    """

    value: npt.NDArray[np.int32]
    size: npt.NDArray[np.int32]
    bounds: npt.NDArray[np.int32]


Model = dict[tuple[int, int, int], Predictor]
"""By side of the larger images, colour (0 to 2: green, red, blue) and pixel of the block (0 to 3)."""


class Block(NamedTuple):
    """One pixel of all blocks on its way: what is known of it before it is.

    Attributes:
        key: Side, colour and pixel, see `Model`.
        known: Planes that its value may depend on.
        sizes: Planes that tell how well it can be predicted.
        least: The smallest of the four values that it can have, for the last pixel of a block.
    """

    key: tuple[int, int, int]
    known: list[Plane]
    sizes: list[Plane]
    least: Plane | None


def fit(images: Images) -> Model:
    """Predictors for images like these, of every side down to `BASE`."""
    model: Model = {}

    def learn(block: Block, truth: Plane) -> Plane:
        value = _least_squares(block.known, truth)
        left = truth - (_weighted(block.known, value) >> _BITS)
        size = _least_squares(block.sizes, np.abs(left))
        shares = np.linspace(0, 1, _CLASSES + 1)[1:-1]
        bounds = np.quantile(_weighted(block.sizes, size), shares).astype(np.int32)
        model[block.key] = Predictor(value, size, bounds)
        return truth

    while images.shape[1] > BASE:
        means = _halved(images)
        pixels = _pixels(images)
        _walk(means, model, lambda block, pixels=pixels: learn(block, pixels[block.key[1:]]))  # type: ignore[misc]
        images = means
    return model


def encode(images: Images, model: Model) -> bytes:
    """What images have beyond their 2x2 means; images of `BASE` pixels, as they are."""
    if images.shape[1] == BASE:
        return lzma.compress(np.stack(_planes(images)).astype(np.uint8).tobytes(), preset=9)
    pixels, streams = _pixels(images), list[bytes]()

    def write(block: Block) -> Plane:
        truth = pixels[block.key[1:]]
        guess, classes = _predict(block, model[block.key])
        if block.least is not None:
            streams.extend(_squeeze(_packed(g)) for g in _sorted(truth - block.least, classes, _LAST_CLASSES))
        else:
            left = ((truth - guess) & 255).astype(np.uint8)
            streams.extend(_squeeze(g) for g in _sorted(left, classes, _CLASSES))
        return truth

    _walk(_halved(images), model, write)
    return np.array([len(s) for s in streams], np.uint32).tobytes() + b"".join(streams)


def decode(content: bytes, model: Model, means: Images | None) -> Images:
    """Images from what `encode` made of them and their 2x2 means; of `BASE` pixels without means.

    Raises:
        ValueError: If the content is not that of such images.
    """
    try:
        if means is None:
            planes = np.frombuffer(lzma.decompress(content), np.uint8).reshape(3, -1, BASE, BASE)
            return _images(list(planes.astype(np.int32)))
        return _decode(content, model, means)
    except (lzma.LZMAError, zlib.error, ValueError, IndexError) as error:
        raise ValueError(f"packed images cannot be read ({error}); pack them again") from error


def _decode(content: bytes, model: Model, means: Images) -> Images:
    count = 3 * (_LAST * _CLASSES + _LAST_CLASSES)
    lengths = np.frombuffer(content, np.uint32, count)
    ends = (lengths.cumsum() + lengths.nbytes).tolist()
    streams = iter([content[start:end] for start, end in pairwise([lengths.nbytes, *ends])])

    def read(block: Block) -> Plane:
        guess, classes = _predict(block, model[block.key])
        many = _CLASSES if block.least is None else _LAST_CLASSES
        sizes = np.bincount(classes.ravel(), minlength=many).tolist()
        groups = [np.frombuffer(zlib.decompress(next(streams), -15), np.uint8) for _ in sizes]
        if block.least is not None:
            groups = [_unpacked(group, size) for group, size in zip(groups, sizes, strict=True)]
            return block.least + _unsorted(groups, classes)
        return (guess + _unsorted(groups, classes)) & 255

    return _images(_walk(means, model, read))


def dump(model: Model) -> bytes:
    """Predictors as the content of an .npz."""
    arrays: dict[str, npt.NDArray[np.int32]] = {
        "-".join([*map(str, key), name]): array
        for key, predictor in model.items()
        for name, array in predictor._asdict().items()
    }
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def load(content: bytes) -> Model:
    """Predictors from the content of such an .npz."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        arrays = dict(file)
    model: Model = {}
    for name in arrays:
        side, colour, pixel = map(int, name.split("-")[:3])
        fields = (arrays[f"{side}-{colour}-{pixel}-{field}"] for field in Predictor._fields)
        model[side, colour, pixel] = Predictor(*fields)
    return model


# -- one walk over colours and pixels, for fitting, encoding and decoding alike ---------------


def _walk(means: Images, model: Model, step: Callable[[Block], Plane]) -> list[Plane]:
    """Call `step` for each pixel of the blocks; it says what that pixel is. Returns the larger planes."""
    large, side = list[Plane](), 2 * means.shape[1]
    earlier_means, earlier_planes = list[Plane](), list[Plane]()  # of the colours that came before
    left: dict[tuple[int, int], Plane] = {}  # by colour and pixel: what the prediction did not say
    for colour, mean in enumerate(_planes(means)):
        around, plane = _around(mean, 2), np.empty((len(means), side, side), np.int32)
        done, around_done = list[Plane](), list[Plane]()
        for pixel, (row, column) in enumerate(_PIXELS):
            known = [*around, *around_done, *earlier_means]
            known += [p[:, row::2, column::2] for p in earlier_planes]
            sizes = [np.abs(around[i] - mean) for i in (6, 7, 8, 11, 13, 16, 17, 18)]
            sizes += [np.abs(other - mean) for other in done]
            sizes += [np.abs(left[other, pixel]) for other in range(colour)]
            sizes += [np.abs(left[colour, earlier]) for earlier in range(pixel)]
            least = 4 * mean - 2 - sum(done) if pixel == _LAST else None
            block = Block((side, colour, pixel), known, sizes, least)
            value = step(block)
            left[colour, pixel] = value - _guess(known, model[block.key])
            plane[:, row::2, column::2] = value
            done.append(value)
            around_done += _around(value, 1)
        large.append(plane)
        earlier_means += _around(mean, 1)
        earlier_planes += _around(plane, 1)
    return large


def _predict(block: Block, predictor: Predictor) -> tuple[Plane, npt.NDArray[np.intp]]:
    """The guess, and each pixel's class: of expected size, or of where among the four values it should be."""
    guess = _guess(block.known, predictor)
    if block.least is not None:
        halves = _weighted(block.known, predictor.value) >> (_BITS - 1)
        return guess, np.clip(halves - 2 * block.least + 2, 0, _LAST_CLASSES - 1).astype(np.intp)
    return guess, np.searchsorted(predictor.bounds, _weighted(block.sizes, predictor.size))


def _guess(known: list[Plane], predictor: Predictor) -> Plane:
    guess: Plane = np.clip((_weighted(known, predictor.value) + (1 << (_BITS - 1))) >> _BITS, 0, 255)
    return guess


def _weighted(planes: list[Plane], weights: npt.NDArray[np.int32]) -> Plane:
    total: Plane = np.full(planes[0].shape, weights[-1], np.int32)
    for start in range(0, len(total), _AT_ONCE):
        sums = total[start : start + _AT_ONCE]
        for plane, weight in zip(planes, weights[:-1], strict=True):
            sums += plane[start : start + _AT_ONCE] * weight
    return total


def _least_squares(planes: list[Plane], truth: Plane) -> npt.NDArray[np.int32]:
    columns = np.stack([*(p.ravel() for p in planes), np.ones(truth.size)]).astype(np.float64)
    weights = np.linalg.lstsq(columns @ columns.T, columns @ truth.ravel(), rcond=None)[0] * (1 << _BITS)
    most = np.full(len(weights), _MOST)
    most[-1] = _MOST_BIAS
    return np.clip(np.round(weights), -most, most).astype(np.int32)


def _halved(images: Images) -> Images:
    from nb201env.training.images.tasks import shrink  # needs PyTorch, which only packing waits for

    return shrink(images, images.shape[1] // 2)


def _around(plane: Plane, radius: int) -> list[Plane]:
    """The plane shifted by up to `radius` pixels each way; its edge goes on outside."""
    side = plane.shape[1]
    wide = np.pad(plane, ((0, 0), (radius, radius), (radius, radius)), mode="edge")
    steps = range(2 * radius + 1)
    return [wide[:, i : i + side, j : j + side] for i in steps for j in steps]


def _planes(images: Images) -> list[Plane]:
    return list(np.ascontiguousarray(images.transpose(3, 0, 1, 2)[_GREEN_FIRST]).astype(np.int32))


def _pixels(images: Images) -> dict[tuple[int, int], Plane]:
    return {
        (colour, pixel): plane[:, row::2, column::2]
        for colour, plane in enumerate(_planes(images))
        for pixel, (row, column) in enumerate(_PIXELS)
    }


def _images(planes: list[Plane]) -> Images:
    inverse = np.argsort(_GREEN_FIRST)
    return np.ascontiguousarray(np.stack(planes).astype(np.uint8)[inverse].transpose(1, 2, 3, 0))


# -- values by class, and bytes ---------------------------------------------------------------

_TWO_BITS = np.array([0, 2, 4, 6], np.uint8)


def _sorted(
    values: npt.NDArray[np.integer], classes: npt.NDArray[np.intp], count: int
) -> Iterable[npt.NDArray[np.uint8]]:
    flat, which = values.astype(np.uint8).ravel(), classes.ravel()
    return (flat[which == k] for k in range(count))


def _unsorted(groups: list[npt.NDArray[np.uint8]], classes: npt.NDArray[np.intp]) -> Plane:
    flat, which = np.empty(classes.size, np.int32), classes.ravel()
    for k, group in enumerate(groups):
        flat[which == k] = group
    return flat.reshape(classes.shape)


def _packed(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Four values of 0 to 3 in a byte: a Huffman code wastes less on a large alphabet."""
    four = np.append(values, np.zeros(-len(values) % 4, np.uint8)).reshape(-1, 4)
    packed: npt.NDArray[np.uint8] = (four << _TWO_BITS).sum(axis=1, dtype=np.uint8)
    return packed


def _unpacked(packed: npt.NDArray[np.uint8], count: int) -> npt.NDArray[np.uint8]:
    return ((packed[:, None] >> _TWO_BITS & 3).astype(np.uint8)).ravel()[:count]


def _squeeze(values: npt.NDArray[np.uint8]) -> bytes:
    coder = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_HUFFMAN_ONLY)
    return coder.compress(values.tobytes()) + coder.flush()
