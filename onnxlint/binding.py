"""Free dims of the inputs: what the user binds, and what is assumed, openly, for the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec
import onnx

from onnxlint.resolved import GraphDef
from onnxlint.tensor import TensorType
from onnxlint.text import printable, text

ASSUMED_BATCH, ASSUMED_SIDE, ASSUMED_SEQUENCE, ASSUMED_CHANNELS = 1, 224, 128, 3
MAX_DIM = 2**31 - 1
MAX_RANK = 1024
"""A value of more dims is taken for one of unknown rank."""

_ANONYMOUS = frozenset({"", "?"})

_BATCH = re.compile(r"batch|^(n|bs|b)$", re.IGNORECASE)
_SIDE = re.compile(r"height|width|^(h|w)$|_[hw]$", re.IGNORECASE)
_SEQUENCE = re.compile(r"seq|len|token|time|step|word|^(t|s|l)$", re.IGNORECASE)


class BindingError(Exception):
    """A `--shape`, `--dim` or `--batch` that does not fit the model."""


class Bindings(msgspec.Struct, frozen=True):
    """What the user bound: whole shapes by input, dims by symbol, the batch."""

    shapes: Mapping[str, tuple[int, ...]] = msgspec.field(default_factory=dict)
    dims: Mapping[str, int] = msgspec.field(default_factory=dict)
    batch: int | None = None


class Bound(msgspec.Struct, frozen=True):
    """Every input's type with its free dims bound, the symbols' values, and what had to be assumed.

    `batch_factor` is the number of times that a model exported at a fixed batch is run for the batch asked for.
    """

    types: dict[str, TensorType]
    symbols: dict[str, int]
    assumed: tuple[str, ...]
    batch_factor: int = 1
    batch: int | None = None


def bind(graph: GraphDef, bindings: Bindings) -> Bound:
    """Bind the free dims of the main graph's inputs; raises BindingError."""
    inputs = {name: graph.declared[name] for name in graph.inputs}
    _check_names(inputs, bindings)
    symbols = dict(bindings.dims)
    fixed: dict[str, list[int | str | None] | None] = {name: _declared_dims(kind) for name, kind in inputs.items()}
    for name, shape in bindings.shapes.items():
        _bind_shape(name, fixed, shape, symbols)
    factor = _bind_batch(fixed, bindings.batch, symbols) if bindings.batch else 1
    assumed: list[str] = []
    types = {}
    for name, dims in fixed.items():
        dtype = tensor_of(inputs[name]).dtype
        if dims is None:
            types[name] = TensorType(dtype, None)
            continue
        bound = [_value(name, dims, axis, symbols, assumed) for axis in range(len(dims))]
        types[name] = TensorType(dtype, tuple(bound))
    return Bound(types, symbols, tuple(assumed), factor, _batch_of(types, bindings.batch))


def free_dims(graph: GraphDef, bound: Bound) -> dict[str, list[tuple[str, int]]]:
    """Each dim that had to be assumed, as `Bound.assumed` spells it → where the inputs have it: (input, axis)."""
    assumed = {label.rpartition("=")[0] for label in bound.assumed}
    places: dict[str, list[tuple[str, int]]] = {}
    for name in bound.types:
        for axis, dim in enumerate(_declared_dims(graph.declared[name]) or ()):
            label = printable(dim) if isinstance(dim, str) else f"{printable(name)}[{axis}]"
            if not isinstance(dim, int) and label in assumed:
                places.setdefault(label, []).append((name, axis))
    return places


def tensor_of(kind: onnx.TypeProto, symbols: Mapping[str, int] | None = None) -> TensorType:
    """A declared type as TensorType, its symbols replaced; dtype 0 and no shape for what is no tensor."""
    which = kind.WhichOneof("value")
    if which not in ("tensor_type", "sparse_tensor_type"):
        return TensorType(0, None)
    tensor = kind.tensor_type if which == "tensor_type" else kind.sparse_tensor_type
    if not tensor.HasField("shape") or len(tensor.shape.dim) > MAX_RANK:
        return TensorType(tensor.elem_type, None)
    dims = _dims(tensor.shape)
    known = symbols or {}
    return TensorType(tensor.elem_type, tuple(known.get(d) if isinstance(d, str) else d for d in dims))


def _declared_dims(kind: onnx.TypeProto) -> list[int | str | None] | None:
    """An input's dims; 0, which exporters write for an open dim, is free."""
    if kind.WhichOneof("value") != "tensor_type" or not kind.tensor_type.HasField("shape"):
        return None
    if len(kind.tensor_type.shape.dim) > MAX_RANK:
        return None
    return [dim if dim != 0 else None for dim in _dims(kind.tensor_type.shape)]


def _dims(shape: onnx.TensorShapeProto) -> list[int | str | None]:
    dims: list[int | str | None] = []
    for dim in shape.dim:
        if dim.HasField("dim_value") and 0 <= dim.dim_value <= MAX_DIM:
            dims.append(dim.dim_value)
        else:
            dims.append(name if (name := text(dim.dim_param)) not in _ANONYMOUS else None)
    return dims


def _check_names(inputs: Mapping[str, onnx.TypeProto], bindings: Bindings) -> None:
    unknown = next((name for name in bindings.shapes if name not in inputs), None)
    if unknown is not None:
        known = ", ".join(printable(name) for name in inputs)
        raise BindingError(f"--shape: the model has no input {printable(unknown)!r} (it has {known})")
    symbols = {d for kind in inputs.values() for d in _declared_dims(kind) or () if isinstance(d, str)}
    unknown = next((name for name in bindings.dims if name not in symbols), None)
    if unknown is not None:
        known = ", ".join(map(printable, sorted(symbols))) or "none"
        raise BindingError(f"--dim: the model's inputs have no dim {printable(unknown)!r} (they have {known})")


def _bind_shape(
    name: str, fixed: dict[str, list[int | str | None] | None], shape: tuple[int, ...], symbols: dict[str, int]
) -> None:
    declared = fixed[name]
    spelled = "x".join(map(str, shape))
    if declared is None:
        fixed[name] = list(shape)
        return
    if len(declared) != len(shape):
        raise BindingError(f"--shape {printable(name)}={spelled}: the input has {len(declared)} dims")
    for axis, (old, new) in enumerate(zip(declared, shape, strict=True)):
        known = symbols.get(old) if isinstance(old, str) else old
        if known is not None and known != new:
            how = "bound to" if isinstance(old, str) else "fixed at"
            raise BindingError(f"--shape {printable(name)}={spelled}: dim {axis} is {how} {known} already")
        if isinstance(old, str):
            symbols[old] = new
        declared[axis] = new


def _bind_batch(fixed: dict[str, list[int | str | None] | None], batch: int, symbols: dict[str, int]) -> int:
    """Bind the free dims that stand for the batch; else the factor by which a fixed batch is repeated."""
    shapes = {name: dims for name, dims in fixed.items() if dims}
    is_free = False
    for name, dims in shapes.items():
        for axis in _batch_axes(dims, shapes.values()):
            is_free = True
            symbol = dims[axis]
            if isinstance(symbol, str) and symbols.setdefault(symbol, batch) != batch:
                raise BindingError(f"--batch {batch}: {printable(name)} is bound to {symbols[symbol]} already")
            dims[axis] = batch
    if is_free or not shapes:
        return 1
    name, dims = next(iter(shapes.items()))
    own = dims[0]
    if not isinstance(own, int):
        raise BindingError(f"--batch {batch}: no dim of {printable(name)} is named like a batch (bind it with --dim)")
    if batch % own:
        raise BindingError(f"--batch {batch}: the model's batch is fixed at {own}, of which it is no multiple")
    return batch // own


def _batch_axes(dims: list[int | str | None], shapes: Iterable[list[int | str | None]]) -> list[int]:
    """The axes named like a batch, in this input or in any; where none is, a free leading one not named otherwise."""
    named = {dim for shape in shapes for dim in shape if isinstance(dim, str) and _BATCH.search(dim)}
    if named:
        return [axis for axis, dim in enumerate(dims) if dim in named]
    first = dims[0]
    if first is None or (isinstance(first, str) and not _SIDE.search(first) and not _SEQUENCE.search(first)):
        return [0]
    return []


def _batch_of(types: Mapping[str, TensorType], batch: int | None) -> int | None:
    if batch:
        return batch
    first = next((t for t in types.values() if t.shape), None)
    return first.shape[0] if first is not None and first.shape else None


def _value(
    name: str,
    dims: list[int | str | None],
    axis: int,
    symbols: dict[str, int],
    assumed: list[str],
) -> int:
    dim = dims[axis]
    if isinstance(dim, int):
        return dim
    if isinstance(dim, str) and dim in symbols:
        return symbols[dim]
    value = _assumption(dim or "", dims, axis)
    if isinstance(dim, str):
        symbols[dim] = value
    assumed.append(f"{printable(dim)}={value}" if dim else f"{printable(name)}[{axis}]={value}")
    return value


def _assumption(symbol: str, dims: list[int | str | None], axis: int) -> int:
    """The stated stand-in for a free dim: by the symbol's name where it tells, else by its place."""
    if _BATCH.search(symbol):
        return ASSUMED_BATCH
    if _SIDE.search(symbol):
        return ASSUMED_SIDE
    if _SEQUENCE.search(symbol):
        return ASSUMED_SEQUENCE
    if axis == 0:
        return ASSUMED_BATCH
    if len(dims) == 4:
        channels_last = isinstance(dims[3], int) and dims[3] in (1, 3, 4) and not isinstance(dims[1], int)
        channel_axis = 3 if channels_last else 1
        return ASSUMED_CHANNELS if axis == channel_axis else ASSUMED_SIDE
    return ASSUMED_SEQUENCE
