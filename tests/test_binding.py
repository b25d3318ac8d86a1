"""Free dims: what the user binds, and what is assumed for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import modelfiles
import pytest
from onnx import TensorProto, helper

from onnxlint.binding import MAX_DIM, BindingError, Bindings, Bound, bind
from onnxlint.scope import read_graph


def bound(inputs: dict[str, Sequence[Any] | None], **options: Any) -> Bound:
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in inputs]
    model = modelfiles.model_of(nodes, inputs, {f"{name}_out": None for name in inputs})
    return bind(read_graph(model), Bindings(**options))


def shapes(found: Bound) -> dict[str, tuple[int | None, ...] | None]:
    return {name: kind.shape for name, kind in found.types.items()}


IMAGE = {"x": ["batch", 3, "height", "width"]}


@pytest.mark.parametrize(
    ("dims", "expected", "assumed"),
    [
        ([1, 3, 32, 32], (1, 3, 32, 32), ()),
        (["N", 3, "H", "W"], (1, 3, 224, 224), ("N=1", "H=224", "W=224")),
        ([None, 3, None, None], (1, 3, 224, 224), ("x[0]=1", "x[2]=224", "x[3]=224")),
        (["unk__0", "unk__1", "unk__2", 3], (1, 224, 224, 3), ("unk__0=1", "unk__1=224", "unk__2=224")),
        ([None, None], (1, 128), ("x[0]=1", "x[1]=128")),
        (["batch_size", "seq_len", 64], (1, 128, 64), ("batch_size=1", "seq_len=128")),
        ([0, 3, 8, 8], (1, 3, 8, 8), ("x[0]=1",)),
        ([-1, 3, 8, 8], (1, 3, 8, 8), ("x[0]=1",)),
        ([1, 3, 2**62, 8], (1, 3, 224, 8), ("x[2]=224",)),
        ([MAX_DIM], (MAX_DIM,), ()),
        ([], (), ()),
        (None, None, ()),
    ],
)
def test_what_is_not_bound_is_assumed_and_listed(
    dims: list[Any] | None, expected: tuple[int, ...] | None, assumed: tuple[str, ...]
) -> None:
    found = bound({"x": dims})
    assert shapes(found) == {"x": expected}
    assert found.assumed == assumed


def test_one_symbol_is_one_number() -> None:
    found = bound({"a": ["n", "seq"], "b": ["n", "seq"]})
    assert shapes(found) == {"a": (1, 128), "b": (1, 128)}
    assert found.assumed == ("n=1", "seq=128")


def test_shape_binds_symbols_of_other_inputs() -> None:
    found = bound({"a": ["n", "seq"], "b": ["n", "seq"]}, shapes={"a": (4, 77)})
    assert shapes(found) == {"a": (4, 77), "b": (4, 77)}
    assert found.assumed == ()


@pytest.mark.parametrize(
    "options",
    [
        {"shapes": {"x": (1, 3, 64, 96)}},
        {"dims": {"batch": 1, "height": 64, "width": 96}},
        {"dims": {"height": 64, "width": 96}, "batch": 1},
        {"shapes": {"x": (1, 3, 64, 96)}, "dims": {"height": 64}, "batch": 1},
    ],
)
def test_three_ways_to_bind(options: dict[str, Any]) -> None:
    found = bound(IMAGE, **options)
    assert shapes(found) == {"x": (1, 3, 64, 96)}
    assert (found.assumed, found.batch, found.batch_factor) == ((), 1, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shapes": {"y": (1,)}}, "no input 'y' .it has x"),
        ({"shapes": {"x": (1, 3)}}, "the input has 4 dims"),
        ({"shapes": {"x": (1, 4, 8, 8)}}, "dim 1 is fixed at 3"),
        ({"shapes": {"x": (1, 3, 8, 8)}, "dims": {"height": 9}}, "dim 2 is bound to 9"),
        ({"dims": {"depth": 3}}, "no dim 'depth' .they have batch, height, width"),
        ({"dims": {"batch": 3}, "batch": 4}, "bound to 3 already"),
    ],
)
def test_what_does_not_fit(options: dict[str, Any], words: str) -> None:
    with pytest.raises(BindingError, match=words):
        bound(IMAGE, **options)


@pytest.mark.parametrize(
    ("inputs", "batch", "expected", "factor"),
    [
        (IMAGE, 8, {"x": (8, 3, 224, 224)}, 1),
        ({"x": [1, 3, 8, 8]}, 8, {"x": (1, 3, 8, 8)}, 8),
        ({"x": [4, 3, 8, 8]}, 8, {"x": (4, 3, 8, 8)}, 2),
        ({"x": [4, 3, 8, 8]}, 4, {"x": (4, 3, 8, 8)}, 1),
        ({"x": [None, 3], "y": [10, 4]}, 2, {"x": (2, 3), "y": (10, 4)}, 1),
        ({"x": ["seq", "batch", 64]}, 8, {"x": (128, 8, 64)}, 1),
        ({"x": ["k", 3]}, 8, {"x": (8, 3)}, 1),
    ],
)
def test_batch(inputs: dict[str, Any], batch: int, expected: dict[str, Any], factor: int) -> None:
    found = bound(inputs, batch=batch)
    assert shapes(found) == expected
    assert (found.batch_factor, found.batch) == (factor, batch)


@pytest.mark.parametrize(
    ("inputs", "words"), [({"x": [4, 3]}, "no multiple"), ({"x": ["seq", 64]}, "named like a batch")]
)
def test_batches_that_do_not_fit(inputs: dict[str, Any], words: str) -> None:
    with pytest.raises(BindingError, match=words):
        bound(inputs, batch=6)


def test_inputs_that_are_no_tensors() -> None:
    model = modelfiles.relu()
    sequence = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, [1])
    model.graph.input.append(sequence)
    model.graph.input.add(name="t")
    found = bind(read_graph(model), Bindings())
    assert shapes(found) == {"x": (1, 3, 8, 8), "s": None, "t": None}
