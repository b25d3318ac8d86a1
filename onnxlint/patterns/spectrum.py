"""How fast a weight's singular values fall: the ranks that keep nearly all of its energy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from onnxlint.rows import Rows, takes_rows
from onnxlint.values import Array

LOSSY_ENERGY, CLOSE_ENERGY = 0.99, 0.999999
"""Parts of the squared singular values: the weight's error is the root of the rest, 10 % and 0.1 %."""
_PAYING = 0.8
"""Two layers are looked for that have at most this part of the weight's products."""
_PROBES, _MARGIN, _SMALL_SIDE = 8, 1.2, 64
_MAX_SIDE, _BLOCK = 2048, 8192
_SHIFT = 0.1


@dataclass(frozen=True, slots=True)
class Ranks:
    """Singular values that keep LOSSY_ENERGY and CLOSE_ENERGY of a matrix of `rows` × `columns`."""

    rows: int
    columns: int
    lossy: int
    close: int


@takes_rows
def ranks(weight: Array | Rows) -> Ranks | None:
    """The ranks of a weight with its first axis against all others; None where no low rank can hold its energy.

    None too of one that is too large to be held.

    Cheap tests come first: an estimate by a few random vectors, which matrices of random numbers fail, then a bound
    by the determinant, which most trained ones fail.
    """
    if isinstance(weight, Rows):
        return None
    matrix = weight.reshape(len(weight), -1)
    if min(matrix.shape) < 2 or weight.dtype.kind != "f":
        return None
    rows, columns = matrix.shape
    if rows > columns:
        matrix = matrix.T
    side = len(matrix)
    most = int(_PAYING * rows * columns / (rows + columns))
    total = float(np.einsum("ij,ij->", matrix, matrix, dtype=np.float64))
    if most < 1 or total <= 0 or not np.isfinite(total) or side > _MAX_SIDE:
        return None
    if side > _SMALL_SIDE and not _may_pay(matrix, total, most):
        return None
    if not _can_hold(matrix, total, most):
        return None
    gram = np.zeros((side, side))
    for start in range(0, matrix.shape[1], _BLOCK):
        piece = matrix[:, start : start + _BLOCK].astype(np.float64)
        gram += piece @ piece.T
    energy = np.cumsum(np.maximum(np.linalg.eigvalsh(gram)[::-1], 0.0))
    energy /= energy[-1]
    lossy, close = (int(np.searchsorted(energy, part)) + 1 for part in (LOSSY_ENERGY, CLOSE_ENERGY))
    return Ranks(rows, columns, lossy, min(close, side)) if lossy <= most else None


def _may_pay(matrix: Array, total: float, most: int) -> bool:
    """An estimate: energy 0.99 in `most` singular values needs Σσ⁴ ≥ (0.99·Σσ²)²/most, and Σσ⁴ = E|W·Wᵀx|².

    Small matrices, where a few probes say little, do without.
    """
    probes = np.random.default_rng(0).standard_normal((len(matrix), _PROBES)).astype(matrix.dtype)
    fourth = float(((matrix @ (matrix.T @ probes)).astype(np.float64) ** 2).sum()) / _PROBES
    return fourth > 0 and (LOSSY_ENERGY * total) ** 2 / fourth <= _MARGIN * most


def _can_hold(matrix: Array, total: float, most: int) -> bool:
    """A bound by the determinant: n numbers that sum to T have the largest product where they are as equal as may be.

    Where k of them, each with a `shift`, held LOSSY_ENERGY, all logarithms would sum to no more than with k equal large
    ones and n - k equal small ones. The numbers are the σ². Rounding may hide some of the products, which are taken in
    the weight's own precision over few columns at once: as much is left out of the shift.
    """
    side, length = matrix.shape
    eps = float(np.finfo(matrix.dtype).eps)
    few = max(1, int(_SHIFT / (side * eps)))
    products = np.zeros((side, side))
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, length, few):
            piece = matrix[:, start : start + few]
            products += piece @ piece.T
    # a sum of so many products is off by at most that many times half an eps
    shift, hidden = _SHIFT * total / side, 0.51 * min(few, length) * eps * total
    products.flat[:: side + 1] += shift - hidden
    try:
        factor = np.linalg.cholesky(products)
    except np.linalg.LinAlgError:
        return True
    held, left = LOSSY_ENERGY * total, (1 - LOSSY_ENERGY) * total
    logarithms = most * math.log(held / most + shift) + (side - most) * math.log(left / (side - most) + shift)
    # what is no number, after an overflow, rejects nothing
    return not 2 * float(np.log(np.diagonal(factor)).sum()) > logarithms
