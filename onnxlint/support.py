"""What the device says of a node: it runs there, it does not, or nobody published it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from onnxlint.device import Condition, Device
from onnxlint.graph import Graph, Node
from onnxlint.tensor import dtype_name

Status = Literal["supported", "unsupported", "unknown"]


@dataclass(frozen=True, slots=True)
class Support:
    """The status of one node on one device; `reason` says why where it is not supported, `source` who says so."""

    status: Status
    reason: str = ""
    source: str = ""


class SupportTable:
    """A device's list of operators, ready to be asked node by node."""

    def __init__(self, device: Device) -> None:
        self.device = device
        operators = device.operators
        self._status: dict[str, Status] = dict.fromkeys(operators.supported, "supported")
        self._status |= dict.fromkeys(operators.unsupported, "unsupported")
        self._status |= dict.fromkeys(operators.unknown, "unknown")
        self._conditions: dict[str, list[Condition]] = {}
        for condition in operators.conditional:
            self._conditions.setdefault(condition.op, []).append(condition)
            self._status[condition.op] = "supported"

    def by_name(self, node: Node) -> Status:
        """What the device says of the operator itself, whatever its attributes and shapes."""
        return self._status.get(node.qualified_op, self.device.operators.default)

    def of(self, graph: Graph, node: Node) -> Support:
        """Whether the device runs the node: by its operator, the conditions on it and the rank of its tensors."""
        operators, name = self.device.operators, self.device.name
        status = self.by_name(node)
        for condition in self._conditions.get(node.qualified_op, ()):
            broken = next(_violations(graph, node, condition), "")
            if broken:
                return Support("unsupported", f"{condition.reason}; here {broken}", condition.source)
        if status == "unsupported":
            return Support("unsupported", f"{node.op_type} does not run on {name}", operators.source)
        if operators.max_rank is not None:
            rank = max((graph.type_of(value).rank or 0 for value in (*node.inputs, *node.outputs) if value), default=0)
            if rank > operators.max_rank:
                reason = f"{rank}-D tensors, where {name} holds at most {operators.max_rank}-D"
                return Support("unsupported", reason, operators.source)
        if status == "unknown":
            return Support("unknown", f"whether {name} runs {node.op_type} is not public", operators.source)
        return Support("supported")


def _violations(graph: Graph, node: Node, limit: Condition) -> Iterator[str]:
    """Which limits of `limit` the node breaks, in words; what is not known breaks none."""
    first = graph.type_of(node.inputs[0]) if node.inputs else None
    shape = first.shape if first is not None else None
    weight = graph.type_of(node.inputs[1]).shape if len(node.inputs) > 1 else None
    kernel = node.attr("kernel_shape") or list((weight or ())[2:])
    groups = node.attr("group", 1)
    if limit.depthwise is not None and limit.depthwise != _is_depthwise(shape, groups):
        return
    ranks = [graph.type_of(name).rank for name in node.inputs if name]
    if limit.min_rank is not None and None not in ranks and max(filter(None, ranks), default=0) < limit.min_rank:
        yield f"{max(filter(None, ranks), default=0)}-D input"
    if limit.max_rank is not None and shape is not None and len(shape) > limit.max_rank:
        yield f"{len(shape)}-D input"
    for name, extents, largest in (
        ("kernel", kernel, limit.max_kernel),
        ("stride", node.attr("strides", []), limit.max_stride),
        ("dilation", node.attr("dilations", []), limit.max_dilation),
        ("groups", [groups], limit.max_groups),
    ):
        sizes = [size for size in extents if isinstance(size, int)]
        if largest is not None and sizes and max(sizes) > largest:
            yield f"{name} {'x'.join(map(str, sizes))} above {largest}"
    channels = shape[1] if shape is not None and len(shape) > 1 else None
    if channels is not None and limit.max_input_channels_per_group is not None:
        per_group = channels // max(1, groups)
        if per_group > limit.max_input_channels_per_group:
            yield f"{per_group} input channels a group, above {limit.max_input_channels_per_group}"
    if limit.max_elements is not None and shape is not None and None not in shape[1:]:
        elements = math.prod(size for size in shape[1:] if size is not None)
        if elements > limit.max_elements:
            yield f"{elements} elements above {limit.max_elements}"
    if limit.permutations is not None:
        perm = list(node.attr("perm") or reversed(range(len(shape or ()))))
        if perm not in limit.permutations:
            yield f"permutation ({','.join(map(str, perm))})"
    if limit.axes is not None and shape is not None:
        outside = [axis for axis in _axes(graph, node, len(shape)) if axis not in limit.axes]
        if outside:
            yield f"axis {', '.join(map(str, outside))}"
    if limit.dtypes is not None and first is not None and first.dtype and dtype_name(first.dtype) not in limit.dtypes:
        yield f"{dtype_name(first.dtype)} input"
    if limit.modes is not None:
        mode = node.attr("mode", b"")
        if mode and mode.decode("utf-8", "replace") not in limit.modes:
            yield f"mode {mode.decode('utf-8', 'replace')}"
    if limit.equal_parts and len({graph.type_of(name).shape for name in node.outputs if name}) > 1:
        yield "unequal parts"
    yield from _operand_violations(graph, node, limit)
    if limit.integer_scales is not None:
        yield from _scale_violations(graph, node, limit.integer_scales)


def _operand_violations(graph: Graph, node: Node, limit: Condition) -> Iterator[str]:
    operands = node.inputs[:2]
    is_constant = any(graph.is_constant(name) for name in operands)
    if limit.constant_operand is not None and limit.constant_operand != is_constant:
        yield "a constant input" if is_constant else "two feature maps"
    second = graph.type_of(operands[-1]).shape if operands else None
    if limit.shared_operand and not is_constant and second is not None and any(size != 1 for size in second[:-2]):
        first = graph.type_of(operands[0]).shape or ()
        yield " by ".join("x".join(str(size or "?") for size in shape) for shape in (first, second))


def _is_depthwise(shape: tuple[int | None, ...] | None, groups: int) -> bool:
    """Whether a convolution of these groups has one input channel a group."""
    return groups > 1 and shape is not None and len(shape) > 1 and shape[1] == groups


# Operators whose axes are an input, by its position; before the opset that made it one, the attribute `axes`.
_AXES_INPUT = {"Slice": 3, "Squeeze": 1, "Unsqueeze": 1}


def _axes(graph: Graph, node: Node, rank: int) -> list[int]:
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
            axes = [] if known is None else [int(value) for value in known.reshape(-1)]
        elif is_reduction:
            axes = list(range(rank)) if not node.attr("noop_with_empty_axes", 0) else []
        elif node.op_type in ("Softmax", "LogSoftmax"):
            axes = [-1 if node.version >= 13 else 1]
        else:
            axes = [0] if node.op_type in ("ArgMax", "ArgMin", "Split") else []
    return [value % rank if rank else value for value in axes]


def _scale_violations(graph: Graph, node: Node, scales: list[int]) -> Iterator[str]:
    block = node.attr("blocksize")
    if block is not None:
        if block not in scales:
            yield f"block size {block}"
        return
    before = graph.type_of(node.inputs[0]).shape
    after = graph.type_of(node.outputs[0]).shape
    if before is None or after is None or len(before) != len(after):
        return
    for old, new in zip(before[2:], after[2:], strict=True):
        if old and new is not None and (new % old or new // old not in scales):
            yield f"scale {new / old:g}"
            return
