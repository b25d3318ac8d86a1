"""Which limits of a Condition a node breaks, and what of the node is beyond them; what is not known breaks none."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from onnxlint.device_operators import Condition
from onnxlint.graph import Graph, Node
from onnxlint.tensor import dtype_name

Broken = Iterator[tuple[str, str]]
"""Pairs: the Condition's field, and what of the node is beyond it, in words."""

Check = Callable[[Graph, Node, Condition], Broken]
_NO_LIMIT = Condition(op="any", reason="none", source="none")
Dims = tuple[int | None, ...]

# Operators whose axes are an input, by its position; before the opset that made it one, the attribute `axes`.
_AXES_INPUT = {"Slice": 3, "Squeeze": 1, "Unsqueeze": 1}
_WINDOWED = frozenset({"Conv", "ConvTranspose", "AveragePool", "MaxPool", "LpPool", "DeformConv"})


def broken_limits(graph: Graph, node: Node, limit: Condition, checks: Sequence[Check]) -> Broken:
    """The limits that the node breaks, in the order of `checks_of`; none where the condition is not about it."""
    if limit.depthwise is None or limit.depthwise == _is_depthwise(graph, node):
        for check in checks:
            yield from check(graph, node, limit)


def checks_of(limit: Condition) -> tuple[Check, ...]:
    """The checks of what the condition limits."""
    return tuple(
        check for check, fields in _CHECKS.items() if any(getattr(limit, f) != getattr(_NO_LIMIT, f) for f in fields)
    )


def _is_depthwise(graph: Graph, node: Node) -> bool:
    """A convolution with one input channel a group."""
    groups, shape = node.attr("group", 1), _shape(graph, node, 0)
    return groups > 1 and shape is not None and len(shape) > 1 and shape[1] == groups


def _shape(graph: Graph, node: Node, position: int) -> Dims | None:
    """The dims of one input; None for one that is left out or of unknown rank."""
    name = node.inputs[position] if len(node.inputs) > position else ""
    return graph.type_of(name).shape if name else None


def _ranks(graph: Graph, node: Node, limit: Condition) -> Broken:
    ranks = [graph.type_of(name).rank for name in node.inputs if name]
    largest = max((rank for rank in ranks if rank is not None), default=0)
    if limit.min_rank is not None and None not in ranks and largest < limit.min_rank:
        yield "min_rank", f"{largest}-D input"
    shape = _shape(graph, node, 0)
    if limit.max_rank is not None and shape is not None and len(shape) > limit.max_rank:
        yield "max_rank", f"{len(shape)}-D input"


def kernel_of(graph: Graph, node: Node) -> list[int]:
    """The kernel's height and width, from the attribute or the weight; empty where neither says."""
    given = node.attr("kernel_shape")
    weight = _shape(graph, node, 1) if node.op_type in ("Conv", "ConvTranspose", "DeformConv") else None
    found = list(given) if given else list((weight or ())[2:])
    return [size for size in found if isinstance(size, int)]


def _window(graph: Graph, node: Node, limit: Condition) -> Broken:
    for name, kind, attribute, largest in (
        ("kernel", "max_kernel", "kernel_shape", limit.max_kernel),
        ("stride", "max_stride", "strides", limit.max_stride),
        ("dilation", "max_dilation", "dilations", limit.max_dilation),
        ("padding", "max_padding", "pads", limit.max_padding),
        ("groups", "max_groups", "group", limit.max_groups),
    ):
        sizes = _sizes(graph, node, attribute) if largest is not None else []
        if largest is not None and sizes and max(sizes) > largest:
            yield kind, f"{name} {_by(sizes)} above {largest}"
    kernel = kernel_of(graph, node)
    if limit.min_kernel is not None and kernel and min(kernel) < limit.min_kernel:
        yield "min_kernel", f"kernel {_by(kernel)} below {limit.min_kernel}"
    for name, kind, known in (("stride", "strides", limit.strides), ("dilation", "dilations", limit.dilations)):
        sizes = _sizes(graph, node, kind) or [1] if known is not None else []
        if known is not None and node.op_type in _WINDOWED and not {*sizes} <= {*known}:
            yield kind, f"{name} {_by(sizes)}"
    if limit.max_kernel_area is not None and kernel:
        dilations = [*_sizes(graph, node, "dilations"), 1, 1, 1]
        wide = [1 + (size - 1) * step for size, step in zip(kernel, dilations, strict=False)]
        if math.prod(wide) > limit.max_kernel_area:
            yield "max_kernel_area", f"kernel {_by(wide)} above {limit.max_kernel_area} positions"
    weight = _shape(graph, node, 1)
    if limit.max_kernel_elements is not None and weight and None not in weight:
        elements = math.prod(size for size in weight[1:] if size is not None)
        if elements > limit.max_kernel_elements:
            yield "max_kernel_elements", f"{elements} weights a filter, above {limit.max_kernel_elements}"


def _sizes(graph: Graph, node: Node, attribute: str) -> list[int]:
    """The numbers of a window's attribute; empty where it has none."""
    if attribute == "kernel_shape":
        return kernel_of(graph, node)
    return [node.attr("group", 1)] if attribute == "group" else node.attr(attribute) or []


def _extents(graph: Graph, node: Node, limit: Condition) -> Broken:
    shape = _shape(graph, node, 0)
    if shape is None:
        return
    channels = shape[1] if len(shape) > 1 else None
    per_group = channels // max(1, node.attr("group", 1)) if channels is not None else None
    most = limit.max_input_channels_per_group
    if most is not None and per_group is not None and per_group > most:
        yield "max_input_channels_per_group", f"{per_group} input channels a group, above {most}"
    if limit.max_batch is not None and shape and shape[0] is not None and shape[0] > limit.max_batch:
        yield "max_batch", f"batch {shape[0]} above {limit.max_batch}"
    if limit.max_elements is not None and None not in shape[1:]:
        elements = math.prod(size for size in shape[1:] if size is not None)
        if elements > limit.max_elements:
            yield "max_elements", f"{elements} elements above {limit.max_elements}"
    if limit.max_area is not None and len(shape) > 2 and None not in shape[2:]:
        area = math.prod(size for size in shape[2:] if size is not None)
        if area > limit.max_area:
            yield "max_area", f"{_by(shape[2:])} = {area} positions, above {limit.max_area}"


def _layout(graph: Graph, node: Node, limit: Condition) -> Broken:
    shape = _shape(graph, node, 0)
    if limit.permutations is not None or limit.keeps_batch:
        perm = list(node.attr("perm") or reversed(range(len(shape or ()))))
        if limit.permutations is not None and perm not in limit.permutations:
            yield "permutations", f"permutation ({','.join(map(str, perm))})"
        elif limit.keeps_batch and perm and perm[0] != 0 and (shape is None or shape[0] != 1):
            yield "keeps_batch", f"permutation ({','.join(map(str, perm))}) moves the batch"
    if (limit.axes is not None or limit.max_axes is not None) and shape is not None:
        axes = axes_of(graph, node, len(shape))
        outside = [axis for axis in axes if limit.axes is not None and axis not in limit.axes]
        if outside:
            yield "axes", f"axis {', '.join(map(str, outside))}"
        if limit.max_axes is not None and len(axes) > limit.max_axes:
            yield "max_axes", f"{len(axes)} axes at once"
    if limit.equal_parts and len({graph.type_of(name).shape for name in node.outputs if name}) > 1:
        yield "equal_parts", "unequal parts"
    steps = graph.values.get(node.inputs[4]) if len(node.inputs) > 4 else None
    if limit.unit_steps and steps is not None and any(step != 1 for step in steps.reshape(-1)):
        yield "unit_steps", f"step {_by([int(step) for step in steps.reshape(-1)])}"


def _kinds(graph: Graph, node: Node, limit: Condition) -> Broken:
    first = graph.type_of(node.inputs[0]) if node.inputs else None
    if limit.dtypes is not None and first is not None and first.dtype and dtype_name(first.dtype) not in limit.dtypes:
        yield "dtypes", f"{dtype_name(first.dtype)} input"
    for name, kind, known in (
        ("mode", "modes", limit.modes),
        ("coordinate_transformation_mode", "coordinates", limit.coordinates),
    ):
        mode = node.attr(name, _DEFAULTS.get((node.op_type, name), b"")) if known is not None else b""
        if known is not None and mode and (word := mode.decode("utf-8", "replace")) not in known:
            yield kind, f"{name.partition('_')[0]} {word}"
    if limit.integer_scales is not None:
        yield from _scales(graph, node, limit.integer_scales)


_DEFAULTS = {
    ("Resize", "coordinate_transformation_mode"): b"half_pixel",
    ("Resize", "mode"): b"nearest",
    ("Upsample", "mode"): b"nearest",
    ("DepthToSpace", "mode"): b"DCR",
    ("Pad", "mode"): b"constant",
}
"""ONNX's defaults of the attributes that name a mode (Resize before opset 11 knows no coordinate transform)."""


def _operands(graph: Graph, node: Node, limit: Condition) -> Broken:
    operands = node.inputs[:2]
    is_constant = any(graph.is_constant(name) for name in operands)
    if limit.constant_operand is not None and limit.constant_operand != is_constant:
        yield "constant_operand", "a constant input" if is_constant else "two feature maps"
    if limit.constant_weight and len(node.inputs) > 1 and not graph.is_constant(node.inputs[1]):
        yield "constant_weight", "a weight that is computed at run time"
    second = graph.type_of(operands[-1]).shape if operands else None
    if limit.shared_operand and not is_constant and second is not None and any(size != 1 for size in second[:-2]):
        first = graph.type_of(operands[0]).shape or ()
        yield "shared_operand", f"{_by(first)} by {_by(second)}"


def axes_of(graph: Graph, node: Node, rank: int) -> list[int]:
    """The axes that an operator works along, none negative; empty where they are not known."""
    axis, axes = node.attr("axis"), node.attr("axes")
    is_reduction = node.op_type.startswith("Reduce")
    if axis is not None:
        axes = [axis]
    elif axes is None:
        position = 1 if is_reduction else _AXES_INPUT.get(node.op_type)
        name = node.inputs[position] if position is not None and len(node.inputs) > position else ""
        if name:
            known = graph.values.get(name)
            axes = _shortened(graph, node) if known is None else [int(value) for value in known.reshape(-1)]
        elif is_reduction:
            axes = list(range(rank)) if not node.attr("noop_with_empty_axes", 0) else []
        elif node.op_type in ("Softmax", "LogSoftmax"):
            axes = [-1 if node.version >= 13 else 1]
        else:
            axes = [0] if node.op_type in ("ArgMax", "ArgMin", "Split") else []
    return [value % rank if rank else value for value in axes]


def _shortened(graph: Graph, node: Node) -> list[int]:
    """The axes that a Slice shortens, where a change states its types but no values."""
    before, after = graph.type_of(node.inputs[0]), graph.type_of(node.outputs[0])
    if node.op_type != "Slice" or not (before.is_known and after.is_known):
        return []
    return [axis for axis, (old, new) in enumerate(zip(before.dims, after.dims, strict=False)) if old != new]


def _scales(graph: Graph, node: Node, scales: list[int]) -> Broken:
    block = node.attr("blocksize")
    if block is not None:
        if block not in scales:
            yield "integer_scales", f"block size {block}"
        return
    before = graph.type_of(node.inputs[0]).shape
    after = graph.type_of(node.outputs[0]).shape
    if before is None or after is None or len(before) != len(after):
        return
    for old, new in zip(before[2:], after[2:], strict=True):
        if old and new is not None and (new % old or new // old not in scales):
            yield "integer_scales", f"scale {new / old:g}"
            return


def _by(sizes: Sequence[int | None]) -> str:
    return "x".join("?" if size is None else str(size) for size in sizes)


_CHECKS: Mapping[Check, tuple[str, ...]] = {
    _ranks: ("min_rank", "max_rank"),
    _window: (
        *("max_kernel", "max_stride", "max_dilation", "max_padding", "max_groups", "min_kernel"),
        *("strides", "dilations", "max_kernel_area", "max_kernel_elements"),
    ),
    _extents: ("max_input_channels_per_group", "max_batch", "max_elements", "max_area"),
    _layout: ("permutations", "keeps_batch", "axes", "max_axes", "equal_parts", "unit_steps"),
    _kinds: ("dtypes", "modes", "coordinates", "integer_scales"),
    _operands: ("constant_operand", "constant_weight", "shared_operand"),
}
"""The checks with the limits that they are about."""
