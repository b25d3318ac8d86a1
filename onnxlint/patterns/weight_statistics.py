"""What a weight's values say of its channels: which are zero, how many zeros there are, what int8 makes of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from onnxlint.rows import Rows, blocks_of, takes_rows
from onnxlint.values import Array

NEAR_ZERO = 1e-6
"""A channel whose largest weight is at most this part of the tensor's largest is near zero."""
_LEVELS = 127.0
_BLOCK = 1 << 16
"""Elements that are gone through at once."""
_SAMPLE = 1 << 22
_BODY = 3.0 / 0.6745
"""Three standard deviations of a normal distribution, in medians of its absolute values."""


@dataclass(frozen=True, slots=True)
class Dead:
    """Channels (first axis) of `channels` that are exactly zero, and those that are nearly so."""

    channels: int
    exact: tuple[int, ...]
    near: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Int8Noise:
    """Signal to noise of a weight in int8, in dB: with one scale, with one a channel, and there without its outliers.

    The noise is averaged over channels relative to each one's own energy, since the layers behind scale channels back.
    `ratio` is the largest channel's range over the median one's.
    """

    per_tensor_db: float
    per_channel_db: float
    body_db: float
    ratio: float


@takes_rows
def dead_channels(weight: Array | Rows) -> Dead:
    """The channels of the first axis that are zero."""
    largest = np.concatenate([np.abs(_flat(block)).max(axis=1) for block in blocks_of(weight)])
    exact = np.flatnonzero(largest == 0)
    near = np.flatnonzero((largest > 0) & (largest <= NEAR_ZERO * largest.max()))
    return Dead(len(weight), tuple(exact.tolist()), tuple(near.tolist()))


@takes_rows
def zero_count(weight: Array | Rows) -> int:
    """Elements that are exactly zero, but for channels that are zero as a whole."""
    found = 0
    for rows in map(_flat, blocks_of(weight)):
        zeros = np.count_nonzero(rows == 0, axis=1)
        found += int(zeros[zeros < rows.shape[1]].sum())
    return found


@takes_rows
def is_two_of_four(weight: Array | Rows) -> bool:
    """At most two of each four neighbours along the input channels are not zero."""
    return weight.shape[1] % 4 == 0 and all(map(_is_two_of_four, blocks_of(weight)))


def _is_two_of_four(weight: Array) -> bool:
    rows = np.moveaxis(weight.reshape(len(weight), weight.shape[1], -1), 1, 2)
    return bool((np.count_nonzero(rows.reshape(-1, 4), axis=1) <= 2).all())


def _flat(weight: Array) -> Array:
    return weight.reshape(len(weight), -1)


@takes_rows
def int8_noise(weight: Array | Rows) -> Int8Noise | None:
    """Symmetric int8 of a weight whose first axis are the channels; None where all is zero."""
    if isinstance(weight, Rows):
        return _noise_in_slices(weight, by_columns=False)
    rows = weight.reshape(len(weight), -1).astype(np.float32, copy=False)
    largest = np.concatenate([np.abs(block).max(axis=1) for block in blocks_of(rows)])
    alive = largest > NEAR_ZERO * largest.max()
    if not alive.all():
        rows, largest = rows[alive], largest[alive]
    if not len(rows) or rows.shape[1] < 2:
        return None
    limit = _BODY * _median(np.abs(rows)) or math.inf
    whole = float(largest.max())
    return _summed_up(_in_blocks(rows, largest, whole, limit, rows.shape[1]), largest)


def _in_blocks(rows: Array, largest: Array, whole: float, limit: float, length: int) -> Array:
    tall = max(1, _BLOCK // rows.shape[1])
    parts = [
        _row_by_row(rows[at : at + tall], largest[at : at + tall], whole, limit, length)
        for at in range(0, len(rows), tall)
    ]
    return np.concatenate(parts, axis=1) if parts else np.zeros((5, 0))


def _summed_up(parts: Array, largest: Array) -> Int8Noise:
    energy, tensor, channel, inner, share = parts
    # rounding noise is alike for small and large values: the body has its share of it
    tails = (channel * share)[inner > 0] / inner[inner > 0]
    return Int8Noise(_db(tensor / energy), _db(channel / energy), _db(tails), float(largest.max() / np.median(largest)))


def _row_by_row(rows: Array, largest: Array, whole: float, limit: float, length: int) -> Array:
    """Of each row: its energy, the noise with one scale and with its own, the energy of its body and that one's share.

    The rows may be stretches of ones of that `length`, whose results add up. Few at once: what is made of them stays
    in the cache.
    """
    body = np.where(np.abs(rows) <= limit, rows, np.float32(0))
    share = np.count_nonzero(body, axis=1) / length
    return np.stack(
        [
            _energy(rows),
            _noise(rows, np.full_like(largest, whole)),
            _noise(rows, largest),
            _energy(body),
            share,
        ]
    )


def _median(values: Array) -> float:
    """As of numpy, which sorts for several places at once."""
    flat = values.reshape(-1)
    half = flat.size // 2
    flat.partition(half)  # in its place: whoever asks has made them for it
    parted = flat
    middle = parted[half : half + 1] if flat.size % 2 else np.array([parted[:half].max(), parted[half]])
    return float(middle.mean())


@takes_rows
def int8_noise_of_columns(weight: Array | Rows) -> Int8Noise | None:
    """The same of a matrix whose last axis are the channels."""
    if isinstance(weight, Rows):
        return _noise_in_slices(weight, by_columns=True)
    return int8_noise(weight.T)


def _noise_in_slices(weight: Rows, *, by_columns: bool) -> Int8Noise | None:
    """In two passes over what is not held; the median that bounds the body is that of a sample."""
    length = weight.size // (weight.shape[-1] if by_columns else len(weight))
    if length < 2:
        return None
    step = -(-weight.size // _SAMPLE)
    maxima, samples = list[Array](), list[Array]()
    for rows in map(_flat, weight.blocks()):
        sample = np.abs(rows[::step] if by_columns else rows[:, ::step])
        samples.append(sample)
        maxima.append(np.abs(rows).max(axis=0 if by_columns else 1))
    largest = np.max(maxima, axis=0) if by_columns else np.concatenate(maxima)
    whole = float(largest.max())
    alive = largest > NEAR_ZERO * whole
    if not alive.any():
        return None
    sampled = np.concatenate(samples)
    limit = _BODY * _median(sampled[:, alive] if by_columns else sampled[alive]) or math.inf
    parts, at = list[Array](), 0
    for rows in map(_flat, weight.blocks()):
        if by_columns:
            found = _in_blocks(rows.T[alive], largest[alive], whole, limit, length)
            parts = [found + parts[0] if parts else found]
        else:
            kept = alive[at : at + len(rows)]
            parts.append(_in_blocks(rows[kept], largest[at : at + len(rows)][kept], whole, limit, length))
            at += len(rows)
    return _summed_up(np.concatenate(parts, axis=1), largest[alive])


def _noise(rows: Array, largest: Array) -> Array:
    scale = (largest / _LEVELS)[:, None]
    error = rows / scale
    np.round(error, out=error)
    error *= scale
    error -= rows
    return _energy(error)


def _energy(rows: Array) -> Array:
    summed: Array = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    return summed


def _db(noise: Array) -> float:
    mean = float(noise.mean()) if noise.size else 0.0
    return float(-10 * np.log10(mean)) if mean > 0 else 200.0
