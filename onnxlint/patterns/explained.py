"""Nodes that leave the device as parts of structures, of which other rules than OPS001 speak."""

from __future__ import annotations

from onnxlint.graph import Graph
from onnxlint.patterns.channel_shuffle import channel_shuffles
from onnxlint.patterns.layout_changes import layout_changes
from onnxlint.patterns.placement import exceeds_rank
from onnxlint.patterns.spelled_lrn import spelled_lrns
from onnxlint.patterns.spelled_norms import is_of_images, leaving_norms
from onnxlint.support import SupportTable


def explained_elsewhere(graph: Graph, table: SupportTable) -> set[str]:
    """The keys of the nodes of which OPS002, OPS003, TRF002 and TRF003 speak."""
    found = {node.key for shuffle in channel_shuffles(graph) for node in shuffle.nodes}
    found |= {node.key for node in layout_changes(graph, table).leaving}
    for lrn in spelled_lrns(graph):
        if any(exceeds_rank(graph, table, node) for node in lrn.nodes):
            found |= {node.key for node in lrn.nodes}
    if is_of_images(graph):
        found |= {node.key for norm in leaving_norms(graph, table) for node in norm.nodes}
    return found
