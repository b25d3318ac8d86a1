"""Where a runtime changes between its blocked layout and the plain one: each change moves a whole tensor once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from onnxlint.device_runtime import BlockedLayout
from onnxlint.device_types import KernelClass
from onnxlint.graph import Graph, Node
from onnxlint.quantization import integer_sources

if TYPE_CHECKING:
    from onnxlint.kernels import Kernel

_POOLS = frozenset({"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"})
_CONVOLUTION = "Conv"
_PLAIN_CLASS = "lowered"
_MIXED = "Concat"


class Blocks:
    """Which values are in blocks, kernel after kernel in execution order."""

    def __init__(self, graph: Graph, layout: BlockedLayout) -> None:
        self.graph, self.layout = graph, layout
        self.anchors, self.followers = frozenset(layout.anchors), frozenset(layout.followers)
        self.values: set[str] = set()
        self.integers = integer_sources(graph)

    def runs(self, op: str, main: Node, kernel_class: KernelClass, read: Sequence[str]) -> bool:
        """A kernel runs in blocks: an anchor that can, or a follower whose computed inputs all come in blocks."""
        if main.inputs and main.inputs[0] in self.integers:
            return False
        if op in self.anchors and op == _CONVOLUTION:
            return kernel_class != _PLAIN_CLASS
        channels = self.channels(main.inputs[0]) if main.inputs else 0
        if channels == 0 or channels % self.layout.block:
            return False
        if op in self.anchors:
            return True
        same = op == _MIXED or len({self.graph.type_of(name).shape for name in read}) <= 1
        return op in self.followers and same and bool(read) and all(name in self.values for name in read)

    def channels(self, name: str) -> int:
        """Channels of an image; 0 for another value."""
        shape = self.graph.type_of(name).shape
        return (shape[1] or 0) if shape is not None and len(shape) == 4 else 0

    def transposes(self, node: Node) -> bool:
        """A Transpose that the change of layout does: out of blocks to channels last, or back where all want blocks."""
        if node.op_type != "Transpose" or not self.layout.transposes:
            return False
        order = node.ints("perm")
        if order == [0, 2, 3, 1]:
            return node.inputs[0] in self.values
        out = node.outputs[0]
        return order == [0, 3, 1, 2] and out not in self.graph.is_output and self.is_for_blocks(out)

    def is_for_blocks(self, name: str) -> bool:
        """All who read the value are convolutions in blocks, which have to convert it."""
        readers = self.graph.consumers(name)
        return not self.reads_plain(_CONVOLUTION, name) and all(map(self.is_convolution_in_blocks, readers))

    def is_convolution_in_blocks(self, node: Node) -> bool:
        """A convolution, not one of integers, whose channels fit the layout."""
        if node.op_type != _CONVOLUTION or len(node.inputs) < 2 or node.inputs[0] in self.integers:
            return False
        weight = self.graph.type_of(node.inputs[1]).shape
        return weight is not None and takes_blocks(node, weight, int(node.attr("group", 1)), self.layout)

    def reads_plain(self, op: str, name: str) -> bool:
        """A convolution of few input channels reads them as they are."""
        return op not in _POOLS and self.channels(name) < self.layout.block


def takes_blocks(node: Node, weight: tuple[int | None, ...], groups: int, blocked: BlockedLayout) -> bool:
    """The convolution's channels fit the runtime's blocked layout."""
    if node.op_type not in blocked.anchors or len(weight) != 4 or weight[0] is None or weight[1] is None:
        return False
    out, into = weight[0], weight[1]
    if groups == 1:
        return into < blocked.block or into % blocked.input_multiple == 0
    if into == 1 and out == groups:
        return out % blocked.input_multiple == 0
    return groups > 0 and into % blocked.block == 0 and (out // groups) % blocked.block == 0


def conversions(graph: Graph, kernels: Sequence[Kernel], layout: BlockedLayout) -> Mapping[int, tuple[str, ...]]:
    """Index of a kernel → the values that are converted for it: into blocks before it, out of them behind it.

    Each value is converted at most once.
    """
    blocks = Blocks(graph, layout)
    writer: dict[str, int] = {}
    converted: dict[str, int] = {}
    for index, kernel in enumerate(kernels):
        op = kernel.group or kernel.main.op_type
        read = computed_inputs(graph, kernel.nodes)
        in_blocks = blocks.runs(op, kernel.main, kernel.kernel_class, read)
        for name in read:
            if in_blocks and name not in blocks.values and not blocks.reads_plain(op, name):
                converted.setdefault(name, index)
            elif not in_blocks and name in blocks.values:
                converted.setdefault(name, writer[name])
        for name in kernel.nodes[-1].outputs:
            writer[name] = index
            if in_blocks:
                blocks.values.add(name)
                if name in graph.is_output:
                    converted.setdefault(name, index)
    found: dict[int, list[str]] = {}
    for name, index in converted.items():
        found.setdefault(index, []).append(name)
    return {index: tuple(names) for index, names in found.items()}


def computed_inputs(graph: Graph, nodes: Sequence[Node]) -> list[str]:
    """The values from outside that the nodes read, constants left out, each once."""
    own = {name for node in nodes for name in node.outputs}
    read = dict.fromkeys(name for node in nodes for name in node.inputs if name and name not in own)
    return [name for name in read if not graph.is_constant(name)]
