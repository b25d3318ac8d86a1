"""Where a runtime changes between its blocked layout and the plain one: each change moves a whole tensor once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnxlint.device_runtime import BlockedLayout
from onnxlint.graph import Graph
from onnxlint.kernels import ANCHORS, Kernel

_POOLS = frozenset({"MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool"})
_NO_CONVERSION = "lowered"



def conversions(graph: Graph, kernels: Sequence[Kernel], layout: BlockedLayout) -> Mapping[int, tuple[str, ...]]:
    """Index of a kernel → the values that are converted for it; each value is converted once in each direction."""
    return _Walk(graph, layout).run(kernels)


class _Walk:
    def __init__(self, graph: Graph, layout: BlockedLayout) -> None:
        self.graph, self.layout = graph, layout
        self.anchors, self.followers = frozenset(layout.anchors), frozenset(layout.followers)
        self.writer: dict[str, int] = {}
        self.blocked: set[str] = set()
        self.both: set[str] = set()
        self.found: dict[int, list[str]] = {}

    def run(self, kernels: Sequence[Kernel]) -> dict[int, tuple[str, ...]]:
        for index, kernel in enumerate(kernels):
            own = {name for node in kernel.nodes for name in node.outputs}
            read = [n for node in kernel.nodes for n in node.inputs if n and n not in own and not self.is_fixed(n)]
            is_blocked = self.is_blocked(kernel, read)
            for name in dict.fromkeys(read):
                if is_blocked and name not in self.blocked and not self.reads_plain(kernel, name):
                    self.convert(name, index)
                elif not is_blocked and name in self.blocked:
                    self.convert(name, self.writer[name])
            for name in kernel.nodes[-1].outputs:
                self.writer[name] = index
                if is_blocked:
                    self.blocked.add(name)
                    if name in self.graph.is_output:
                        self.convert(name, index)
        return {index: tuple(names) for index, names in self.found.items()}

    def is_fixed(self, name: str) -> bool:
        return self.graph.is_constant(name)

    def convert(self, name: str, index: int) -> None:
        if name not in self.both:
            self.both.add(name)
            self.found.setdefault(index, []).append(name)

    def is_blocked(self, kernel: Kernel, read: Sequence[str]) -> bool:
        """The kernel runs in blocks: an anchor that can, or a follower whose inputs all come in blocks."""
        op = kernel.group or kernel.main.op_type
        if op in self.anchors and op in ANCHORS:
            return kernel.kernel_class != _NO_CONVERSION
        channels = self.channels(kernel.main.inputs[0]) if kernel.main.inputs else 0
        if channels == 0 or channels % self.layout.block:
            return False
        if op in self.anchors:
            return True
        same = len({self.graph.type_of(name).shape for name in read}) <= 1 or op == "Concat"
        return op in self.followers and bool(read) and all(name in self.blocked for name in read) and same

    def channels(self, name: str) -> int:
        shape = self.graph.type_of(name).shape
        return (shape[1] or 0) if shape is not None and len(shape) == 4 else 0

    def reads_plain(self, kernel: Kernel, name: str) -> bool:
        """A convolution of few input channels reads them as they are."""
        return kernel.main.op_type not in _POOLS and self.channels(name) < self.layout.block
