"""Every operator has a cost or a reason, and no call, however malformed, raises anything but UnknownShape."""

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxlint.operators import CONTROL_FLOW, ELEMENTWISE, MOVEMENT, VIEWS, Call, cost_function, why_unknown
from onnxlint.operators.registry import reasons, registered
from onnxlint.tensor import TensorType, UnknownShape

NEWEST_RUNTIME = (1, 32)
"""The newest release of ONNX Runtime whose operators were all looked at; later ones may have more."""

NO_REASON = "no cost function is registered for it"


def onnx_operators() -> list[tuple[str, str]]:
    return sorted({(schema.domain, schema.name) for schema in onnx.defs.get_all_schemas_with_history()})


def runtime_operators() -> list[tuple[str, str]]:
    state = pytest.importorskip("onnxruntime.capi.onnxruntime_pybind11_state")
    return sorted({(schema.domain, schema.name) for schema in state.get_all_operator_schema()})


def runtime_version() -> tuple[int, ...]:
    return tuple(map(int, pytest.importorskip("onnxruntime").__version__.split(".")[:2]))


def gaps(operators: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [key for key in operators if cost_function(*key) is None and why_unknown(*key) == NO_REASON]


def test_every_operator_of_onnx_has_a_cost_or_a_reason():
    assert gaps(onnx_operators()) == []


def test_every_operator_of_onnx_runtime_has_a_cost_or_a_reason():
    missing = gaps(runtime_operators())
    if missing and runtime_version() > NEWEST_RUNTIME:
        newest = ".".join(map(str, NEWEST_RUNTIME))
        pytest.skip(
            f"ONNX Runtime is newer than {newest}; to be looked at: {', '.join(':'.join(key) for key in missing)}"
        )
    assert missing == []


def test_an_operator_has_a_cost_or_a_reason_but_not_both():
    assert registered().isdisjoint(reasons())


def test_an_operator_that_nobody_knows_has_neither():
    assert cost_function("com.example", "Conv") is None
    assert why_unknown("com.example", "Conv") == NO_REASON


def test_control_flow_is_costed_from_its_bodies():
    assert all("body" in why_unknown("", op_type) for op_type in CONTROL_FLOW)


def test_no_cost_names_only_operators_that_exist():
    if runtime_version() != NEWEST_RUNTIME:
        pytest.skip("another ONNX Runtime has operators that this one lacks")
    known = {*onnx_operators(), *runtime_operators()}
    assert set(reasons()) <= known
    assert registered() - known == {("com.microsoft", "SimplifiedLayerNormalization")}


def test_the_groups_name_operators_of_the_default_domain():
    names = {name for domain, name in onnx_operators() if domain == ""}
    assert names >= ELEMENTWISE
    assert names >= MOVEMENT > VIEWS
    assert {"Add", "Mul", "Relu", "Clip", "Sigmoid", "Erf", "Pow", "Div", "Sqrt", "Where", "Cast"} <= ELEMENTWISE
    assert not ELEMENTWISE & {"BatchNormalization", "Conv", "Softmax", "Reshape"}


def test_views_move_nothing():
    kind = TensorType(1, (2, 3))
    for op_type in VIEWS:
        work = cost_function("", op_type)(Call(op_type, 25, {}, (kind, None), (kind,)))
        assert (work.macs, work.other_flops, work.reads.get(0, 0), work.writes[0]) == (0, 0, 0, 0)


INTEGERS = ("group", "hidden_size", "num_heads", "kv_num_heads", "q_num_heads", "axis", "transA", "k", "bits", "layout")
INTEGERS += (
    "do_rotary",
    "router_size",
    "rotary_embedding_dim",
    "top_k",
    "heads",
    "N",
    "K",
    "size",
    "p",
    "block_size",
    "ngram_size",
    "window",
    "sampling_ratio",
    "signal_ndim",
    "onesided",
)
LISTS = ("kernel_shape", "qkv_hidden_sizes", "nodes_treeids", "tree_roots", "support_vectors", "coefficients")
TEXTS = ("equation", "activation", "mode", "update_rule", "approximate", "reduction", "post_transform", "kernel_type")
VALUES = ("ij,jk->ik", "...ij,...jk", "ii", "->", "linear", "cubic", "gated_delta", "Relu", "é", "")

kinds = st.none() | st.builds(
    TensorType,
    st.sampled_from((0, 1, 2, 7)),
    st.none() | st.lists(st.none() | st.integers(0, 4), max_size=5).map(tuple),
)
known = st.builds(TensorType, st.just(1), st.lists(st.integers(0, 4), max_size=5).map(tuple))
slots = st.lists(kinds | known, max_size=21).map(tuple) | st.lists(known, min_size=1, max_size=21).map(tuple)
attributes = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(INTEGERS, st.integers(-2, 3)),
        **dict.fromkeys(LISTS, st.lists(st.integers(-1, 3), min_size=1, max_size=4)),
        **dict.fromkeys(TEXTS, st.sampled_from(VALUES)),
    },
).map(lambda found: {name: onnx.helper.make_attribute(name, value) for name, value in found.items()})
wrong = st.sampled_from((*INTEGERS, *LISTS, *TEXTS)).map(lambda name: {name: onnx.helper.make_attribute(name, 0.5)})


@settings(max_examples=60)
@given(data=st.data(), inputs=slots, outputs=slots, attrs=attributes | wrong, version=st.integers(1, 28))
def test_malformed_calls_raise_unknown_shape_and_nothing_else(data, inputs, outputs, attrs, version):
    import numpy as np

    values = tuple(None if i % 2 else np.asarray([data.draw(st.integers(-2, 3))]) for i in range(3))
    for domain, op_type in registered():
        call = Call(op_type, version, attrs, inputs, outputs, values)
        try:
            work = cost_function(domain, op_type)(call)
        except UnknownShape:
            continue
        counts = [work.macs, work.other_flops, *work.reads.values(), *work.writes.values()]
        assert all(isinstance(count, int) and count >= 0 for count in counts), (domain, op_type, work)
