"""The edits that rewrites share, each with the constants that it reads: a Reshape, Slices, a Split, a sum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnxlint.finding import Declare, Edit, Insert
from onnxlint.tensor import INT64, TensorType


def stored(name: str, dtype: int, dims: tuple[int | None, ...]) -> Declare:
    """A new stored tensor."""
    return Declare(name, TensorType(dtype, dims), is_weight=True)


def integers(name: str, count: int) -> Declare:
    """A new stored vector of int64: a shape, axes, sizes."""
    return stored(name, INT64, (count,))


def reshaped(source: str, out: str, rank: int) -> tuple[Edit, ...]:
    """A Reshape of `source` to `out`, which has `rank` dims."""
    shape = f"{out}/shape"
    return integers(shape, rank), Insert("Reshape", (source, shape), (out,))


def sliced(source: str, out: str, axes: int = 1) -> tuple[Edit, ...]:
    """A Slice of `source` along that many axes to `out`."""
    limits = tuple(f"{out}/{word}" for word in ("starts", "ends", "axes"))
    return *(integers(limit, axes) for limit in limits), Insert("Slice", (source, *limits), (out,))


def split_into(source: str, parts: Sequence[str], axis: int) -> tuple[Edit, ...]:
    """A Split of `source` along an axis to `parts`, of any sizes."""
    sizes = f"{source}/sizes"
    return integers(sizes, len(parts)), Insert("Split", (source, sizes), tuple(parts), (("axis", axis),))


def summed(terms: Sequence[str], out: str, kind: TensorType) -> Iterator[Edit]:
    """Adds of two terms or more, of one type, to `out`."""
    total, *others = terms
    for index, term in enumerate(others, 1):
        is_last = index == len(others)
        result = out if is_last else f"{out}/total{index}"
        if not is_last:
            yield Declare(result, kind)
        yield Insert("Add", (total, term), (result,))
        total = result
