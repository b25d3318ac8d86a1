"""What a weight's values say of its channels: which are zero, how many zeros there are, what int8 makes of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from onnxlint.values import Array

NEAR_ZERO = 1e-6
"""A channel whose largest weight is at most this part of the tensor's largest is near zero."""
_LEVELS = 127.0
_BLOCK = 1 << 16
"""Elements that are gone through at once."""
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


def dead_channels(weight: Array) -> Dead:
    """The channels of the first axis that are zero."""
    largest = np.abs(weight.reshape(len(weight), -1)).max(axis=1)
    exact = np.flatnonzero(largest == 0)
    near = np.flatnonzero((largest > 0) & (largest <= NEAR_ZERO * largest.max()))
    return Dead(len(weight), tuple(exact.tolist()), tuple(near.tolist()))


def zero_count(weight: Array) -> int:
    """Elements that are exactly zero, but for channels that are zero as a whole."""
    rows = weight.reshape(len(weight), -1)
    zeros = np.count_nonzero(rows == 0, axis=1)
    return int(zeros[zeros < rows.shape[1]].sum())


def is_two_of_four(weight: Array) -> bool:
    """At most two of each four neighbours along the input channels are not zero."""
    rows = np.moveaxis(weight.reshape(len(weight), weight.shape[1], -1), 1, 2)
    if rows.shape[-1] % 4:
        return False
    return bool((np.count_nonzero(rows.reshape(-1, 4), axis=1) <= 2).all())


def int8_noise(weight: Array) -> Int8Noise | None:
    """Symmetric int8 of a weight whose first axis are the channels; None where all is zero."""
    rows = weight.reshape(len(weight), -1).astype(np.float32, copy=False)
    largest = np.abs(rows).max(axis=1)
    alive = largest > NEAR_ZERO * largest.max()
    if not alive.all():
        rows, largest = rows[alive], largest[alive]
    if not len(rows) or rows.shape[1] < 2:
        return None
    limit = _BODY * _median(np.abs(rows)) or math.inf
    whole = float(largest.max())
    tall = max(1, _BLOCK // rows.shape[1])
    parts = [
        _row_by_row(rows[at : at + tall], largest[at : at + tall], whole, limit) for at in range(0, len(rows), tall)
    ]
    energy, tensor, channel, inner, share = np.concatenate(parts, axis=1)
    # rounding noise is alike for small and large values: the body has its share of it
    tails = (channel * share)[inner > 0] / inner[inner > 0]
    return Int8Noise(_db(tensor / energy), _db(channel / energy), _db(tails), float(whole / np.median(largest)))


def _row_by_row(rows: Array, largest: Array, whole: float, limit: float) -> Array:
    """Of each row: its energy, the noise with one scale and with its own, the energy of its body and that one's share.

    Few rows at once: what is made of them stays in the cache.
    """
    body = np.where(np.abs(rows) <= limit, rows, np.float32(0))
    share = np.count_nonzero(body, axis=1) / rows.shape[1]
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
    parted = np.partition(flat, half)
    middle = parted[half : half + 1] if flat.size % 2 else np.array([parted[:half].max(), parted[half]])
    return float(middle.mean())


def int8_noise_of_columns(weight: Array) -> Int8Noise | None:
    """The same of a matrix whose last axis are the channels."""
    return int8_noise(weight.T)


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
