"""Windows beyond a device's limits in the forms that it runs, as fixes with their numbers in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from onnxlint.device_operators import Condition
from onnxlint.finding import Fix, Insert
from onnxlint.graph import Graph, Node
from onnxlint.patterns.conv_windows import legal_convolutions
from onnxlint.patterns.edits import stored
from onnxlint.patterns.forms import Form, Runs, everywhere
from onnxlint.patterns.phases import phases
from onnxlint.patterns.pool_windows import legal_pools
from onnxlint.patterns.windows import Window, between_views, bounds, by, window_of

_PREPROCESSING = frozenset({"Cast", "Sub", "Add", "Mul", "Div", "QuantizeLinear", "DequantizeLinear", "Identity"})
_MAX_PREPROCESSING = 8
_MAX_EXACT, _MAX_LINES = 2, 3


def legal_forms(
    graph: Graph, conditions: Sequence[Condition], nodes: Sequence[Node], runs: Runs
) -> Iterator[tuple[Fix, str]]:
    """Each legal form in all the places that it fits and that the device runs, with its numbers in the first."""
    yield from everywhere(graph, nodes, lambda node: _legal(graph, conditions, node), runs)


def told(graph: Graph, node: Node, forms: Sequence[tuple[Fix, str]]) -> str:
    """The forms in words, what keeps the outputs first; "" where there is none."""
    lines = [f"Exact: {words}." for fix, words in forms if fix.safety == "exact"][:_MAX_EXACT]
    kernel, strides = node.attr("kernel_shape"), node.attr("strides")
    is_patches = node.op_type == "Conv" and bool(kernel) and bool(strides) and list(kernel) == list(strides)
    if is_patches and _is_image(graph, node.inputs[0]):
        lines.append("Cut the patches in preprocessing, each into the channels, and convolve them 1x1 (exact).")
    lines += [f"When retraining: {words}." for fix, words in forms if fix.safety != "exact"]
    return "\n".join(lines[:_MAX_LINES])


def _legal(graph: Graph, conditions: Sequence[Condition], node: Node) -> Iterator[Form]:
    """The node's forms within the device's limits, the exact ones first; none for an odd node."""
    window = window_of(graph, node)
    if window is None:
        return
    weight = graph.type_of(node.inputs[1]).shape if len(node.inputs) > 1 else None
    depthwise = node.attr("group", 1) > 1 and weight is not None and len(weight) > 1 and weight[1] == 1
    most = bounds([limit for limit in conditions if limit.op == node.op_type], depthwise=depthwise)
    if node.op_type == "ConvTranspose":
        forms: Iterator[Form] = chain(_turned(window), phases(window))
    else:
        forms = legal_convolutions(window, most) if node.op_type == "Conv" else legal_pools(window, most)
    is_row = graph.type_of(node.inputs[0]).rank == 3
    yield from (between_views(window, form) if is_row else form for form in forms)


def _turned(window: Window) -> Iterator[Form]:
    """A transposed convolution of stride 1 is a convolution with its kernel turned around and padding the other way."""
    node, reach = window.node, [(k - 1) * d for k, d in zip(window.kernel, window.dilations, strict=True)]
    pads = [size - pad for size, pad in zip(reach * 2, window.pads, strict=True)]
    weight, groups = window.graph.type_of(node.inputs[1]), int(node.attr("group", 1))
    if window.strides != (1, 1) or min(pads) < 0 or any(node.attr("output_padding", None) or ()) or weight.rank != 4:
        return
    turned, (into, out, *kernel) = window.name("turned"), weight.dims
    edits = (
        window.gone,
        stored(turned, weight.dtype, (out * groups, into // groups, *kernel)),
        Insert(
            "Conv",
            (node.inputs[0], turned, *node.inputs[2:]),
            node.outputs,
            (
                ("kernel_shape", kernel),
                ("pads", pads),
                ("group", groups),
                ("strides", [1, 1]),
                ("dilations", list(window.dilations)),
            ),
        ),
    )
    yield Form(
        "as convolutions of stride 1", "exact", edits, f"at stride 1 it is a {by(*kernel)} Conv, the kernel turned"
    )


def _is_image(graph: Graph, value: str) -> bool:
    """An input of the graph, as it is or normalised: preprocessing can still rearrange it."""
    for _ in range(_MAX_PREPROCESSING):
        node = graph.producer(value)
        if node is None:
            return value in graph.inputs
        if node.op_type not in _PREPROCESSING or not all(map(graph.is_constant, node.inputs[1:])):
            return False
        value = node.inputs[0]
    return False
