"""Resizing in other forms: in steps, by a transposed convolution with fixed weights, in another mode."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from onnxlint.device_operators import Condition
from onnxlint.finding import Declare, Edit, Insert, Remove, Safety
from onnxlint.graph import Graph, Node
from onnxlint.patterns.edits import stored
from onnxlint.patterns.forms import Form
from onnxlint.tensor import FLOAT, TensorType

_LARGEST_SCALE = 16
_STRIDED = "down by 2 an AveragePool, by more a depthwise convolution of that stride"


def resize_forms(graph: Graph, node: Node, conditions: Sequence[Condition]) -> Iterator[Form]:
    """What computes the same, then what comes close."""
    before, after = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0])
    if not (before.is_known and after.is_known and before.rank == after.rank == 4) or 0 in before.dims:
        return
    if after.dims[:2] != before.dims[:2]:
        return
    yield _by_products(graph, node)
    yield from _strided(graph, node)
    tall, wide = after.dims[2] / before.dims[2], after.dims[3] / before.dims[3]
    if tall != wide or tall != int(tall) or not 1 < tall <= _LARGEST_SCALE:
        return
    scale, mode = int(tall), node.attr("mode", b"nearest")
    transform = node.attr("coordinate_transformation_mode", b"half_pixel" if node.version >= 11 else b"asymmetric")
    known = [step for limit in conditions for step in limit.integer_scales or ()]
    if mode == b"nearest" and _repeats(node, transform):
        yield from _in_steps(graph, node, scale, sorted({step for step in known if step > 1}))
        yield _transposed(graph, node, scale, scale, "exact", "a transposed convolution with ones, one group a channel")
    if mode == b"linear" and transform in (b"half_pixel", b"pytorch_half_pixel") and scale % 2 == 0:
        title = "a transposed convolution with bilinear weights, one group a channel (the border differs)"
        yield _transposed(graph, node, scale, 2 * scale, "close", title)
    yield from _other_modes(node, mode.decode("utf-8", "replace"), conditions)


def _by_products(graph: Graph, node: Node) -> Form:
    """Every interpolation of fixed size is linear in each axis: rows times the map times columns."""
    before, after = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0])
    rows, columns, between = (f"{node.outputs[0]}/{word}" for word in ("rows", "columns", "tall"))
    (n, c, h, w), (_, _, tall, wide) = before.dims, after.dims
    edits = (
        Remove(node.key),
        stored(rows, before.dtype, (tall, h)),
        stored(columns, before.dtype, (w, wide)),
        Declare(between, TensorType(before.dtype, (n, c, tall, w))),
        Insert("MatMul", (rows, node.inputs[0]), (between,)),
        Insert("MatMul", (between, columns), (node.outputs[0],)),
    )
    return Form("two products by constant interpolation matrices", "exact", edits)


def _strided(graph: Graph, node: Node) -> Iterator[Form]:
    """Down by whole factors: a mean of the two by two in the middle of each block, or its one in the middle."""
    before, after = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0])
    transform = node.attr("coordinate_transformation_mode", b"half_pixel")
    factors = [old // max(new, 1) for old, new in zip(before.dims[2:], after.dims[2:], strict=True)]
    is_whole = [by * new for by, new in zip(factors, after.dims[2:], strict=True)] == list(before.dims[2:])
    if not is_whole or min(after.dims[2:]) < 2 or not 1 < max(factors) <= _LARGEST_SCALE or node.attr("antialias", 0):
        return
    if node.attr("mode", b"nearest") != b"linear" or transform not in (b"half_pixel", b"pytorch_half_pixel"):
        return
    window = (("kernel_shape", factors), ("strides", factors))
    if set(factors) <= {1, 2}:
        edits: tuple[Edit, ...] = (Remove(node.key), Insert("AveragePool", node.inputs[:1], node.outputs, window))
        yield Form(_STRIDED, "exact", edits)
        return
    channels, weight = before.dims[1], f"{node.outputs[0]}/kernel"
    edits = (
        Remove(node.key),
        stored(weight, before.dtype, (channels, 1, *factors)),
        Insert("Conv", (node.inputs[0], weight), node.outputs, (("group", channels), *window)),
    )
    yield Form(_STRIDED, "exact", edits)


def _repeats(node: Node, transform: bytes) -> bool:
    """Every pixel is repeated scale times: the nearest one, whatever rounding and whole scale."""
    rounding = node.attr("nearest_mode", b"round_prefer_floor")
    if transform == b"asymmetric":
        return rounding == b"floor" or node.op_type == "Upsample" or node.version < 11
    return transform in (b"half_pixel", b"pytorch_half_pixel") and rounding in (
        b"round_prefer_floor",
        b"round_prefer_ceil",
    )


def _in_steps(graph: Graph, node: Node, scale: int, known: list[int]) -> Iterator[Form]:
    steps = _factors(scale, known)
    if len(steps) < 2:
        return
    before = graph.type_of(node.inputs[0])
    n, c, h, w = before.dims
    attributes = (("mode", "nearest"), ("coordinate_transformation_mode", "asymmetric"), ("nearest_mode", "floor"))
    edits: list[Edit] = [Remove(node.key)]
    value = node.inputs[0]
    for index, step in enumerate(steps):
        h, w = h * step, w * step
        scales = f"{node.outputs[0]}/scales{index}"
        result = node.outputs[0] if index == len(steps) - 1 else f"{node.outputs[0]}/step{index}"
        edits.append(stored(scales, FLOAT, (4,)))
        if result != node.outputs[0]:
            edits.append(Declare(result, TensorType(before.dtype, (n, c, h, w))))
        edits.append(Insert("Resize", (value, "", scales), (result,), attributes))
        value = result
    words = " and ".join(map(str, sorted(set(steps))))
    yield Form(f"nearest in steps by {words}", "exact", tuple(edits))


def _factors(scale: int, known: list[int]) -> list[int]:
    """The scale as a product of steps that the device has, the largest first; empty where it is none."""
    steps: list[int] = []
    for step in reversed(known):
        while scale % step == 0:
            steps.append(step)
            scale //= step
    return steps if scale == 1 else []


def _transposed(graph: Graph, node: Node, scale: int, kernel: int, safety: Safety, title: str) -> Form:
    known = graph.type_of(node.outputs[0])
    channels, weight = known.dims[1], f"{node.outputs[0]}/kernel"
    attributes = (
        ("group", channels),
        ("kernel_shape", [kernel, kernel]),
        ("pads", [(kernel - scale) // 2] * 4),
        ("strides", [scale, scale]),
    )
    edits = (
        Remove(node.key),
        stored(weight, known.dtype, (channels, 1, kernel, kernel)),
        Insert("ConvTranspose", (node.inputs[0], weight), (node.outputs[0],), attributes),
    )
    return Form(title, safety, edits)


def _other_modes(node: Node, mode: str, conditions: Sequence[Condition]) -> Iterator[Form]:
    """The same scale in the modes and transforms that the device lists."""
    modes = next((limit.modes for limit in conditions if limit.modes), ["nearest", "linear"])
    transforms = next((limit.coordinates for limit in conditions if limit.coordinates), ["asymmetric", "half_pixel"])
    scales = f"{node.outputs[0]}/scales"
    for other in modes:
        transform = "asymmetric" if other == "nearest" and "asymmetric" in transforms else transforms[0]
        same = other == mode
        attributes = (("mode", other), ("coordinate_transformation_mode", transform), ("nearest_mode", "floor"))
        edits = (
            Remove(node.key),
            stored(scales, FLOAT, (4,)),
            Insert("Resize", (node.inputs[0], "", scales), (node.outputs[0],), attributes),
        )
        title = f"{other} with {transform} coordinates" if same else f"{other} ({transform}) instead of {mode}"
        yield Form(title, "lossy", edits)
