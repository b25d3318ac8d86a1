"""MEM001: the peak of activations, and an order that holds less."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from linting import found_in
from models import analyse, model, value, weight
from onnx import helper

from onnxlint.finding import Reorder
from onnxlint.memory import activation_peak, greedy_order, peak_activation_bytes
from onnxlint.whatif import apply

NODE = helper.make_node


def side_by_side(branches: int, size: int = 64):
    """Wide intermediate values, all computed before the first of them is narrowed."""
    nodes = [NODE("Conv", ["x", "w"], [f"a{i}"], pads=[1, 1, 1, 1]) for i in range(branches)]
    nodes += [NODE("Conv", [f"a{i}", "p"], [f"b{i}"]) for i in range(branches)]
    nodes.append(NODE("Concat", [f"b{i}" for i in range(branches)], ["y"], axis=1))
    tensors = [weight("w", 64, 64, 3, 3), weight("p", 2, 64, 1, 1)]
    return model(nodes, [value("x", [1, 64, size, size])], ["y"], tensors)


def test_branches_one_after_the_other_hold_less() -> None:
    analysis = analyse(side_by_side(4), "cortex-a53")
    wide, narrow = 64 * 64 * 64 * 4, 2 * 64 * 64 * 4
    peak = activation_peak(analysis)
    assert peak.bytes == peak_activation_bytes(analysis) == 5 * wide
    assert [size for _, size in peak.alive] == [wide] * 5
    assert {name for name, _ in peak.alive} == {"x", "a0", "a1", "a2", "a3"}
    nodes, expected = greedy_order(analysis)
    assert expected == 2 * wide + 3 * narrow
    after = apply(analysis.graph, [Reorder(tuple(node.key for node in nodes))])
    assert [node.key for node in after.nodes] == [node.key for node in nodes]


def test_a_device_that_is_too_small_is_an_error_and_half_full_an_info() -> None:
    (short,) = found_in(side_by_side(8, 1024), "MEM001", "cortex-a53")
    assert short.severity == "error"
    assert short.fix is not None
    assert short.fix.safety == "exact"
    assert "less, exact" in short.suggestion
    (near,) = found_in(side_by_side(2, 1024), "MEM001", "cortex-a53")
    assert near.severity == "info"
    assert found_in(side_by_side(2, 512), "MEM001", "cortex-a53") == []
    assert found_in(side_by_side(8, 1024), "MEM001", "rk3588") == []  # its memory is not stated


def test_a_graph_without_work_has_no_peak_to_name() -> None:
    proto = model([], [value("x", [1 << 20, 1 << 12])], ["x"])
    assert found_in(proto, "MEM001", "cortex-a53") == []


def test_on_the_chip_only_an_order_that_fits_is_worth_a_word() -> None:
    (found,) = found_in(side_by_side(4, 40), "MEM001", "ethos-u65")
    assert found.severity == "info"
    assert found_in(side_by_side(4, 128), "MEM001", "ethos-u65") == []


@st.composite
def graphs(draw: st.DrawFn):
    names, nodes = ["x"], []
    for index in range(draw(st.integers(1, 14))):
        operands = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
        axis = draw(st.sampled_from([0, 1]))
        if len(operands) > 1:
            nodes.append(NODE("Sum", operands, [f"v{index}"]))
        else:
            nodes.append(NODE("Softmax", operands[:1], [f"v{index}"], axis=axis))
        names.append(f"v{index}")
    outputs = draw(st.lists(st.sampled_from(names[1:]), min_size=1, max_size=3, unique=True))
    return model(nodes, [value("x", [4, 8])], outputs)


@settings(max_examples=60)
@given(graphs())
def test_the_order_is_one_of_the_same_nodes_that_data_flow_allows(proto) -> None:
    analysis = analyse(proto)
    nodes, expected = greedy_order(analysis)
    assert sorted(node.key for node in nodes) == sorted(node.key for node in analysis.graph.compute_nodes)
    known = set(analysis.graph.inputs)
    for node in nodes:
        assert known.issuperset(node.inputs)
        known.update(node.outputs)
    assert expected >= 4 * int(np.prod([4, 8]))
