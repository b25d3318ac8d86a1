"""The roofline: seconds for each kernel on a device, as the larger of computing and moving, plus the launch.

    compute = 2·padded MACs / (peak · efficiency of the class) + Σ other FLOPs / vector rate
    memory  = bytes / attainable bandwidth
    time    = overhead + max(compute, memory) + weights that must be streamed / their bandwidth

Every formula is evaluated for all parameter sets of the profile at once: the estimate is their mean, its range their
extremes widened by the profile's spread. What the device can't run is timed on its host, with the transfers.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, prod
from typing import Any, Literal

import msgspec
import numpy as np

from onnxlint.cost import Cost
from onnxlint.costs import CostModel
from onnxlint.device import INTEGER_CLASSES, KERNEL_CLASSES, Alignment, Device, KernelClass, Precision
from onnxlint.device_runtime import SmallShapes
from onnxlint.graph import Graph, Node
from onnxlint.kernels import ANCHORS, CONVOLUTIONS, MATRIX_PRODUCTS, Kernel, weight_of
from onnxlint.operators import ELEMENTWISE
from onnxlint.quantization import is_integer_product
from onnxlint.tensor import UnknownShape
from onnxlint.variants import cost_of, form_of, run_of

Bound = Literal["compute", "memory", "overhead", "fallback", "free"]
BOUNDS: tuple[Bound, ...] = ("compute", "memory", "overhead", "fallback", "free")
Seconds = np.ndarray[Any, np.dtype[np.float64]]
_BY_PIXEL = ("Resize.linear", "Resize.cubic")
_ANY_LAYOUT = frozenset({"Reshape", "Transpose", "Expand", "Gather", *MATRIX_PRODUCTS})
_MOST_STEPS = 16
_WIDER_THAN_INT8 = ("fp32", "fp16", "bf16")
Channels = tuple[int, int, bool, bool]
"""Per group: in, out, whether depthwise, whether pointwise."""
_LOWERED = ("lowered", "integer_lowered")
_BYTE, _MAX_POOL = 8, "NhwcMaxPool"
_LARGE = SmallShapes()
_CLASS_INDEX = {name: index for index, name in enumerate(KERNEL_CLASSES)}


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
            weight = cost_of(device.vector_cost, kernel.group or own, cost_of(device.vector_cost, own))
            vector += work.other_flops * weight * (device.epilogue_cost if in_epilogue else 1.0)
        if work.macs:
            channels = channels_of(costs.graph, node)
            factor, slow = _padding(node, channels, device)
            operations += 2.0 * work.macs * factor
            slowdown = max(slowdown, slow)
            sides = sides_of(costs.graph, node, channels)
        elif node.op_type == "Resize" and _is_by_pixel(costs.graph, node, device):
            sides = (inf, inf, _plane(costs.graph, node))
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
    return Load(_CLASS_INDEX[found], operations, vector * slower, float(moved), out, slowdown, *sides, again, passes)


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
        is_product = kernel.kernel_class == "lowered" and _window(costs.graph, kernel.main) == 1
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
    copies = _padded_copies(kernel.main, graph, device)
    moved = sum(2.0 * costs.bytes(name, _elements(graph, name)) for name in [*(n.outputs[0] for n in passes), *copies])
    _, depth, positions = sides
    if found in _LOWERED and depth * positions < inf and _window(graph, kernel.main) > 1:
        # each position's window is written out and read by the product, for all groups
        groups = int(kernel.main.attr("group", 1))
        moved += 2.0 * costs.bytes(kernel.main.inputs[0], int(depth * positions * groups))
    return moved, len(copies) + sum(n.op_type in CONVOLUTIONS for n in passes)


def _is_passed_again(node: Node) -> bool:
    """A bias is added, or the BatchNorm that became one is run, in a pass of its own: none where there is no bias."""
    return node.op_type not in CONVOLUTIONS or len(node.inputs) > 2


def _padded_copies(node: Node, graph: Graph, device: Device) -> list[str]:
    """The input and output of a dense convolution that are copied because their channels are not aligned."""
    channels = channels_of(graph, node) if device.alignment.copies and node.op_type in CONVOLUTIONS else None
    if channels is None or int(node.attr("group", 1)) > 1:
        return []
    into, out, *_ = channels
    copies = [node.inputs[0]] if into % device.alignment.input_channels else []
    return copies + ([node.outputs[0]] if out % device.alignment.output_channels else [])


def _window(graph: Graph, node: Node) -> int:
    """Elements of a convolution's kernel in one channel, 0 where they are unknown."""
    try:
        return prod(graph.type_of(weight_of(node)).dims[2:])
    except UnknownShape:
        return 0


def sides_of(graph: Graph, node: Node, channels: Channels | None) -> tuple[float, float, float]:
    """Outputs, depth and positions of a convolution or product: columns, elements summed up, rows; inf if unknown."""
    if channels is None:
        return inf, inf, inf
    into, out, is_depthwise, _ = channels
    try:
        dims = graph.type_of(node.outputs[0]).dims
        if node.op_type in CONVOLUTIONS:
            window = prod(graph.type_of(weight_of(node)).dims[2:])
            positions = prod(dims[2:]) * dims[0]
            return (1, window, positions) if is_depthwise else (out, window * into, positions)
        constant = graph.is_constant(weight_of(node))
        return out, into, prod(dims[:-1]) if constant else dims[-2]
    except (UnknownShape, IndexError):
        return inf, inf, inf


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


def _padding(node: Node, channels: Channels | None, device: Device) -> tuple[float, float]:
    """By what factor the machine's channel multiples inflate a node's MACs, and its slowdown off a cliff."""
    if channels is None:
        return 1.0, 1.0
    alignment = device.alignment
    into, out, is_depthwise, is_pointwise = channels
    floor = alignment.pointwise_input_floor if is_pointwise else 1
    if is_depthwise:
        padded, real = _up(out, alignment.output_channels), out
    else:
        padded = max(_up(into, alignment.input_channels), floor) * _up(out, alignment.output_channels)
        real = into * out
    groups = int(node.attr("group", 1)) if node.op_type in CONVOLUTIONS else 1
    if groups > 1 and not is_depthwise and alignment.mode == "internal":
        _, wide, tall, tiles = tiles_of(alignment, into, out, groups, floor)
        padded, real = wide * tall * tiles, into * out * groups
    unit = alignment.group_multiple
    if unit is not None and not is_depthwise and node.op_type in CONVOLUTIONS and int(node.attr("group", 1)) > 1:
        return 1.0, alignment.cliff_factor if into % unit or out % unit else 1.0
    if alignment.mode == "cliff":
        return 1.0, alignment.cliff_factor if padded != real else 1.0
    return padded / real, 1.0


def tiles_of(alignment: Alignment, into: int, out: int, groups: int, floor: int = 1) -> tuple[int, int, int, int]:
    """How many groups of so many channels a tile holds, its padded channels in and out, the number of tiles."""
    most = max(alignment.input_channels // into, alignment.output_channels // out, 1) if alignment.shared_groups else 1

    def sides(shared: int) -> tuple[int, int, int, int]:
        wide = max(_up(shared * into, alignment.input_channels), floor)
        return shared, wide, _up(shared * out, alignment.output_channels), -(-groups // shared)

    return min(map(sides, range(1, min(groups, most) + 1)), key=lambda found: prod(found[1:]))


def channels_of(graph: Graph, node: Node) -> Channels | None:
    """A convolution's or matrix product's channels per group: (in, out, depthwise, pointwise); None if unknown.

    A depthwise convolution gives all its channels as `out`; a matrix product counts as pointwise with in = K, out = N.
    """
    try:
        if node.op_type in CONVOLUTIONS:
            out, into, *kernel = graph.type_of(weight_of(node)).dims
            groups = int(node.attr("group", 1))
            if groups > 1 and into == 1:
                return (1, out, True, False) if out else None
            found = (into, out // max(1, groups), False, all(size == 1 for size in kernel))
        elif node.op_type in MATRIX_PRODUCTS and node.op_type != "Einsum":
            left, right = graph.type_of(node.inputs[0]).dims, graph.type_of(node.outputs[0]).dims
            found = (left[0] if node.attr("transA", 0) else left[-1], right[-1], False, True)
        else:
            return None
    except (UnknownShape, ValueError, IndexError):
        return None
    return found if found[0] and found[1] else None


def _up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


class Machine:
    """A device at a precision with its parameter sets as arrays over the sets."""

    def __init__(self, device: Device, precision: Precision) -> None:
        self.device, self.precision = device, precision
        sets = device.attainable.sets
        peak = device.peak_ops_per_s(precision)
        integer_peak = device.peak_ops_per_s("int8") if "int8" in device.precisions else peak
        self.peaks = [integer_peak if name in INTEGER_CLASSES else peak for name in KERNEL_CLASSES]
        self.rate = np.array(
            [[own * s.efficiency(name) for s in sets] for name, own in zip(KERNEL_CLASSES, self.peaks, strict=True)]
        )
        self.vector_rate = np.array([s.vector_gops * 1e9 for s in sets])
        self.bandwidth = np.array([s.bandwidth_gb_per_s * 1e9 for s in sets])
        self.overhead = np.array([s.overhead_us * 1e-6 for s in sets])
        self.launch = np.array([[s.launch_us(name) * 1e-6 for s in sets] for name in KERNEL_CLASSES])
        self.cache_bandwidth = np.array([(s.cache_gb_per_s or s.bandwidth_gb_per_s) * 1e9 for s in sets])
        self.cache_bytes = np.array([(s.cache_kib or 0.0) * 1024 for s in sets])
        self.run = np.array([s.run_us * 1e-6 for s in sets])
        self.stream = np.array([(s.stream_gb_per_s or s.bandwidth_gb_per_s) * 1e9 for s in sets])
        self.switch = np.array([s.switch_us * 1e-6 for s in sets])
        self.view = np.array([s.view_us * 1e-6 for s in sets])
        self.conversion_cost = cost_of(device.move_cost, "LayoutConversion")
        self.halves = {
            side: np.array([[getattr(s.shape(c) or _LARGE, f"half_{side}") for s in sets] for c in KERNEL_CLASSES])
            for side in ("outputs", "depth", "positions")
        }
        self.has_halves = any(halves.any() for halves in self.halves.values())
        self.spread = device.attainable.spread
        self.fill = device.fill_elements.value if device.fill_elements is not None else None

    def times(self, loads: Sequence[Load]) -> tuple[Seconds, list[Bound]]:
        """Seconds (kernels × sets) and what bounds each kernel."""
        if not loads:
            return np.zeros((0, len(self.overhead))), []
        operations = np.array([load.operations * load.slowdown for load in loads])[:, None]
        vector = np.array([load.vector_operations for load in loads])[:, None]
        moved = np.array([load.moved_bytes for load in loads])[:, None]
        rate = self.rate[[load.class_index for load in loads]]
        if self.fill:
            filled = np.minimum(1.0, np.array([load.out_elements for load in loads]) / self.fill)[:, None]
            rate = rate * np.maximum(filled, 1e-3)
        vector_rate: Seconds = self.vector_rate
        if self.has_halves:
            small = self._small_shapes(loads)
            # element-wise arithmetic beside multiply-accumulates is not what a small shape slows down
            rate, vector_rate = rate / small, vector_rate / np.where(operations > 0, 1.0, small)
        compute = operations / rate + vector / vector_rate
        memory = self.memory_seconds(moved)
        launches = np.array([load.launches for load in loads])[:, None]
        launch = self.launch[[load.class_index for load in loads]] * launches
        seconds = launch + np.maximum(compute, memory) + self._conversions(loads) + self._streaming(loads)
        terms = np.stack([compute.mean(axis=1), memory.mean(axis=1), launch.mean(axis=1)])
        # the launch is the bound only where it takes longer than the larger of the two others
        return seconds, [BOUNDS[index] for index in terms.argmax(axis=0)]

    def memory_seconds(self, moved: Seconds) -> Seconds:
        """What moving so many bytes takes, from the cache where they fit in."""
        seconds: Seconds = moved / np.where(moved <= self.cache_bytes, self.cache_bandwidth, self.bandwidth)
        return seconds

    def _small_shapes(self, loads: Sequence[Load]) -> Seconds:
        """By what factor each kernel is slower than a large one of its class."""
        classes = [load.class_index for load in loads]
        factor = np.ones((len(loads), len(self.overhead)))
        for side, halves in self.halves.items():
            sizes = np.array([getattr(load, side) for load in loads])[:, None]
            factor *= 1 + halves[classes] / np.maximum(sizes, 1)
        return factor

    def _streaming(self, loads: Sequence[Load]) -> Seconds | float:
        """What loading weights takes that don't stay on the chip."""
        streamed = np.array([load.streamed_bytes for load in loads])[:, None]
        switches = np.array([load.switches for load in loads])[:, None]
        if not streamed.any():
            return 0.0
        seconds: Seconds = streamed / self.stream + switches * self.switch
        return seconds

    def _conversions(self, loads: Sequence[Load]) -> Seconds | float:
        """What changing the layout takes, in kernels of its own."""
        count = np.array([load.conversions for load in loads])[:, None]
        moved = np.array([load.converted_bytes for load in loads])[:, None]
        if not moved.any():
            return 0.0
        each = moved / np.maximum(count, 1)
        bandwidth = np.where(each <= self.cache_bytes, self.cache_bandwidth, self.bandwidth)
        seconds: Seconds = count * self.launch[_CLASS_INDEX["vector"]] + moved * self.conversion_cost / bandwidth
        return seconds
