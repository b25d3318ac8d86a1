"""Why nodes leave the device: a rank that it can't hold, a shuffle, or the operator itself."""

from __future__ import annotations

from onnxlint.graph import Graph, Node
from onnxlint.support import SupportTable


def exceeds_rank(graph: Graph, table: SupportTable, node: Node) -> bool:
    """The device has the node's operator, but not for tensors of so many dims."""
    limit = table.device.operators.max_rank
    if limit is None or table.by_name(node) == "unsupported":
        return False
    return any((graph.type_of(name).rank or 0) > limit for name in (*node.inputs, *node.outputs) if name)
