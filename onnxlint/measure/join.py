"""Joins what ONNX Runtime ran, by the names of its nodes, to the kernels that the package predicts.

Every node of the model is named by its first output before it is run (`tagged`). ONNX Runtime keeps that name in what
it makes of the node, or writes one of the model's own values; what does neither (a change of layout) is found through
the values on its other side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import onnx

from onnxlint.analysis import Analysis

_BLOCKED = "_nchwc"
_REORDERS = ("ReorderInput", "ReorderOutput")


def tagged(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, each node of its main graph renamed to `<its first output>`."""
    for node in model.graph.node:
        node.name = f"<{next((name for name in node.output if name), '')}>"
    return model


class Join:
    """Runtime nodes → kernels of one analysis; `optimized` is the graph that ONNX Runtime says it runs."""

    def __init__(self, analysis: Analysis, optimized: Iterable[onnx.NodeProto] = ()) -> None:
        self._writer = {
            name: index
            for index, kernel in enumerate(analysis.kernels)
            for node in kernel.nodes
            for name in node.outputs
            if name
        }
        self._kernels = analysis.kernels
        self._nodes = {node.name: node for node in optimized}
        self._reader: dict[str, onnx.NodeProto] = {}
        for node in self._nodes.values():
            for name in node.input:
                self._reader.setdefault(name, node)

    def kernel_of(self, name: str) -> int | None:
        """Index of the kernel that the runtime's node of this name belongs to; None where nothing tells."""
        node = self._nodes.get(name)
        if node is not None and node.op_type in _REORDERS:
            return self._of_reorder(node)
        if node is not None:
            for output in node.output:
                if output in self._writer:
                    return self._writer[output]
        if name.startswith("<") and ">" in name:
            return self._writer.get(name[1 : name.index(">")])
        found = self._writer.get(name.partition(_BLOCKED)[0])
        return self._before_reader(node) if found is None and node is not None else found

    def _before_reader(self, node: onnx.NodeProto) -> int | None:
        """A node between blocked ones, whose values have no names of ours: the kernel that its reader reads."""
        reader = self._reader.get(node.output[0])
        if reader is None or reader.name == node.name:
            return None
        if reader.op_type in _REORDERS:
            return self._writer.get(reader.output[0])
        index = self._writer.get(reader.name.partition(_BLOCKED)[0])
        inputs = self._kernels[index].main.inputs if index is not None else ()
        return self._writer.get(inputs[0]) if inputs else None

    def _of_reorder(self, node: onnx.NodeProto) -> int | None:
        """Into blocks: the kernel that reads them; out of blocks: the one that wrote them."""
        if node.op_type == "ReorderOutput":
            return self._writer.get(node.output[0])
        reader = self._reader.get(node.output[0])
        return self.kernel_of(reader.name) if reader is not None else self._writer.get(node.input[0])

    def by_kernel(self, seconds: Mapping[str, float]) -> tuple[dict[int, float], dict[str, float]]:
        """Seconds by kernel, and those of runtime nodes that belong to none."""
        found: dict[int, float] = {}
        rest: dict[str, float] = {}
        for name, amount in seconds.items():
            index = self.kernel_of(name)
            if index is None:
                rest[name] = amount
            else:
                found[index] = found.get(index, 0.0) + amount
        return found, rest

    def agreement(self) -> tuple[int, int]:
        """Of the runtime's nodes, layout changes and views left out: how many are a kernel of ours, and all."""
        groups: dict[int, int] = {}
        total = 0
        for node in self._nodes.values():
            if node.op_type in _REORDERS or node.op_type in ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"):
                continue
            total += 1
            index = self.kernel_of(node.name)
            if index is not None:
                groups[index] = groups.get(index, 0) + 1
        return sum(count == 1 for count in groups.values()), total
