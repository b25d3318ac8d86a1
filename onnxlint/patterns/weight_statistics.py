"""What a weight's values say of its channels: which are zero, how many zeros there are, what int8 makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from onnxlint.values import Array

NEAR_ZERO = 1e-6
"""A channel whose largest weight is at most this part of the tensor's largest is near zero."""
_LEVELS = 127.0
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
    rows = weight.reshape(len(weight), -1).astype(np.float32)
    largest = np.abs(rows).max(axis=1)
    rows, largest = rows[largest > NEAR_ZERO * largest.max()], largest[largest > NEAR_ZERO * largest.max()]
    if not len(rows) or rows.shape[1] < 2:
        return None
    energy = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
    tensor = _noise(rows, np.full_like(largest, largest.max())) / energy
    channel = _noise(rows, largest) / energy
    median = float(np.median(np.abs(rows)))
    body = np.where(np.abs(rows) <= _BODY * median, rows, 0) if median else rows
    inner = np.einsum("ij,ij->i", body, body, dtype=np.float64)
    share = np.count_nonzero(body, axis=1) / rows.shape[1]
    # rounding noise is alike for small and large values: the body has its share of it
    tails = (channel * energy * share)[inner > 0] / inner[inner > 0]
    return Int8Noise(_db(tensor), _db(channel), _db(tails), float(largest.max() / np.median(largest)))


def int8_noise_of_columns(weight: Array) -> Int8Noise | None:
    """The same of a matrix whose last axis are the channels."""
    return int8_noise(weight.T)


def _noise(rows: Array, largest: Array) -> Array:
    scale = (largest / _LEVELS)[:, None]
    error = rows - np.round(rows / scale) * scale
    summed: Array = np.einsum("ij,ij->i", error, error, dtype=np.float64)
    return summed


def _db(noise: Array) -> float:
    mean = float(noise.mean()) if noise.size else 0.0
    return float(-10 * np.log10(mean)) if mean > 0 else 200.0
