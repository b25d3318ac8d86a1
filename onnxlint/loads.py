"""What one kernel asks of a machine: the operations of its class, those beside them, bytes, and its size."""

from __future__ import annotations

from math import inf, prod

import msgspec

from onnxlint.channels import channels_of, padded_copies, padding, sides_of, window_elements
from onnxlint.cost import Cost
from onnxlint.costs import CostModel
from onnxlint.device import Device
from onnxlint.device_types import INTEGER_CLASSES, KERNEL_CLASSES, KernelClass
from onnxlint.graph import Graph, Node
from onnxlint.kernels import ANCHORS, CONVOLUTIONS, MATRIX_PRODUCTS, Kernel, weight_of
from onnxlint.operators import ELEMENTWISE
from onnxlint.operators.normalization import LAYER_NORM
from onnxlint.quantization import is_integer_product
from onnxlint.tensor import UnknownShape
from onnxlint.variants import cost_of, form_of, run_of

CLASS_INDEX = {name: index for index, name in enumerate(KERNEL_CLASSES)}
_BY_PIXEL = ("Resize.linear", "Resize.cubic")
_ANY_LAYOUT = frozenset({"Reshape", "Transpose", "Expand", "Gather", *MATRIX_PRODUCTS})
_MOST_STEPS = 16
_WIDER_THAN_INT8 = ("fp32", "fp16", "bf16")
_LOWERED, _STRIDED = ("lowered", "integer_lowered"), "Window.strided"
_BYTE, _MAX_POOL = 8, "NhwcMaxPool"
_FLOPS_OF_GROUP = {"LayerNormalization": LAYER_NORM}
"""Structures that are an operator written in parts: an element of it takes as many FLOPs as one of that operator."""


class Load(msgspec.Struct, frozen=True):
    """What one kernel asks of a machine: padded operations of its class, vector operations, bytes, and its size.

    `outputs`, `depth` and `positions` are the three sides of its arithmetic (see SmallShapes); `converted_bytes` move
    once more, in so many `conversions` of the layout. `streamed_bytes` are weights that the device's weight memory does
    not keep, `switches` is 1 in a network that it can't keep whole; `launches` how often the kernel starts.
    """

    class_index: int
    operations: float
    vector_operations: float
    moved_bytes: float
    out_elements: int
    slowdown: float = 1.0
    outputs: float = inf
    depth: float = inf
    positions: float = inf
    converted_bytes: float = 0.0
    conversions: int = 0
    streamed_bytes: float = 0.0
    switches: int = 0
    launches: int = 1


def load_of(kernel: Kernel, cost: Cost, costs: CostModel, device: Device, on_chip_bytes: int = 0) -> Load:
    """The kernel's Load on a device whose on-chip memory keeps `on_chip_bytes` of its traffic from moving."""
    operations, slowdown = 0.0, 1.0
    vector = 0.0
    blocked = device.fusion.blocked
    sides = (inf, inf, inf)
    is_integer = any(name in costs.integers for name in kernel.main.inputs)
    form = kernel.group or _form(kernel.main, costs, device, is_integer=is_integer)
    in_epilogue = kernel.main.op_type in ANCHORS
    for node in kernel.nodes:
        work = costs.work(node)
        if work is None or (is_integer and node.op_type == "QuantizeLinear" and node is not kernel.main):
            continue  # an integer operator gives integers
        if work.other_flops:
            own = form if node is kernel.main else form_of(costs.graph, node, blocked)
            weight = cost_of(device.vector_cost, kernel.group or own)
            vector += work.other_flops * weight * (device.epilogue_cost if in_epilogue else 1.0)
        if work.macs:
            channels = channels_of(costs.graph, node)
            factor, slow = padding(node, channels, device)
            operations += 2.0 * work.macs * factor
            slowdown = max(slowdown, slow)
            sides = sides_of(costs.graph, node, channels)
        elif node.op_type == "Resize" and _is_by_pixel(costs.graph, node, device):
            sides = (inf, inf, _plane(costs.graph, node))
    if kernel.group in _FLOPS_OF_GROUP:
        flops = _FLOPS_OF_GROUP[kernel.group] * _elements(costs.graph, kernel.nodes[-1].outputs[0])
        vector = flops * cost_of(device.vector_cost, kernel.group)
    if form == "QLinearConcat" and not vector:
        # the pair around a Concat says the same as its integer form, whose inputs are brought to one grid
        vector = 2.0 * _elements(costs.graph, kernel.main.outputs[0]) * cost_of(device.vector_cost, form)
    if kernel.main.bodies:
        operations, vector = 2.0 * cost.macs, float(cost.other_flops)
    half = cost_of(device.short_runs, form, 0.0)
    slower = 1 + half / max(1, run_of(costs.graph, kernel.main)) if half else 1.0
    out = max((_elements(costs.graph, name) for name in kernel.nodes[-1].outputs if name), default=0)
    moved = max(0, cost.memory_access_bytes - on_chip_bytes) * cost_of(device.move_cost, form) * slower
    found = _arithmetic_class(kernel, costs, device)
    if found == "integer" and device.fusion.integer_direct is not None:
        own_channels = channels_of(costs.graph, kernel.main)
        if own_channels is not None:
            sides = (sides[0], own_channels[0], sides[2])  # the window is gone through place by place
    if found in INTEGER_CLASSES:
        vector += out * device.vector_cost.get("Requantize", 0.0)
    again, passes = _moved_again(kernel, found, costs, device, sides)
    return Load(CLASS_INDEX[found], operations, vector * slower, float(moved), out, slowdown, *sides, again, passes)


def _arithmetic_class(kernel: Kernel, costs: CostModel, device: Device) -> KernelClass:
    """The kernel's class, or that of integer products where the device runs those faster than the rest.

    A 1×1 convolution that is lowered to a product has nothing to write out first: it is one.
    """
    if costs.precision in _WIDER_THAN_INT8 and "int8" in device.precisions:
        is_integer = is_integer_product(costs.graph, kernel.main, costs.integers)
    else:
        measured = device.attainable.sets[0].integer is not None
        is_integer = measured and costs.precision == "int8" and kernel.main.op_type in ANCHORS
    if not is_integer:
        is_product = kernel.kernel_class == "lowered" and window_elements(costs.graph, kernel.main) == 1
        return "gemm" if is_product else kernel.kernel_class
    channels, main = channels_of(costs.graph, kernel.main), kernel.main
    if main.op_type in MATRIX_PRODUCTS:
        is_constant = len(main.inputs) > 1 and costs.graph.is_constant(weight_of(main))
        return "integer_gemm" if is_constant else "integer_batched"
    if channels is None:
        return "integer"
    if channels[2]:
        return "integer_depthwise"
    direct = device.fusion.integer_direct
    if direct is None:
        return "integer"
    into, out, _, _ = channels
    is_direct = main.attr("group", 1) == 1 and into % direct.input_multiple == 0 and out >= direct.least_outputs
    return "integer" if is_direct else "integer_lowered"


def _form(main: Node, costs: CostModel, device: Device, *, is_integer: bool) -> str:
    """The node's form, or the integer form of it that the device has a cost of."""
    if (
        main.op_type == "MaxPool"
        and main.inputs
        and costs.bits(main.inputs[0]) == _BYTE
        and _MAX_POOL in device.vector_cost
    ):
        return _MAX_POOL
    quantized = f"QLinear{main.op_type}"
    if is_integer and quantized in device.vector_cost:
        return quantized
    return form_of(costs.graph, main, device.fusion.blocked)


def _moved_again(
    kernel: Kernel, found: KernelClass, costs: CostModel, device: Device, sides: tuple[float, float, float]
) -> tuple[float, int]:
    """Bytes of passes over the kernel's data besides reading and writing it once; how many are kernels of their own.

    Those of a convolution's second pass and of copies into aligned channels are; a lowered input is not.
    """
    graph, fusion = costs.graph, device.fusion
    if kernel.main.op_type not in ANCHORS:
        return 0.0, 0
    passes = [n for n in kernel.nodes if n.op_type in fusion.second_pass and _is_passed_again(n)]
    copies = padded_copies(kernel.main, graph, device)
    moved = sum(2.0 * costs.bytes(name, _elements(graph, name)) for name in [*(n.outputs[0] for n in passes), *copies])
    _, depth, positions = sides
    if found in _LOWERED and depth * positions < inf and window_elements(graph, kernel.main) > 1:
        # each position's window is written out and read by the product, for all groups
        groups = int(kernel.main.attr("group", 1))
        window = 2.0 * costs.bytes(kernel.main.inputs[0], int(depth * positions * groups))
        is_strided = found == _LOWERED[0] and _is_strided(kernel.main)
        moved += window * (cost_of(device.move_cost, _STRIDED) if is_strided else 1.0)
    return moved, len(copies) + sum(n.op_type in CONVOLUTIONS for n in passes)


def _is_strided(node: Node) -> bool:
    """The convolution leaves places out, and its windows are no stretches of the input."""
    return any(step != 1 for step in node.attr("strides", ()))


def _is_passed_again(node: Node) -> bool:
    """A bias is added, or the BatchNorm that became one is run, in a pass of its own: none where there is no bias."""
    return node.op_type not in CONVOLUTIONS or len(node.inputs) > 2


def _is_by_pixel(graph: Graph, node: Node, device: Device) -> bool:
    """A Resize whose threads are one image's pixels: each runs all channels, unless the image is channels last."""
    if form_of(graph, node) not in _BY_PIXEL:
        return False
    if not device.fusion.channels_last:
        return True
    name = node.inputs[0]
    for _ in range(_MOST_STEPS):
        source = graph.producer(name)
        if source is None or source.op_type not in ELEMENTWISE:
            return source is not None and source.op_type in _ANY_LAYOUT
        name = next((n for n in source.inputs if n and not graph.is_constant(n)), "")
    return False


def _plane(graph: Graph, node: Node) -> float:
    """Pixels of one image and channel of the node's result; inf if unknown."""
    try:
        return prod(graph.type_of(node.outputs[0]).dims[2:])
    except UnknownShape:
        return inf


def _elements(graph: Graph, name: str) -> int:
    try:
        return graph.type_of(name).elements
    except UnknownShape:
        return 0
