"""Nodes whose result is one of their inputs, unchanged."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from onnxlint.graph import Graph, Node
from onnxlint.values import Array

_FOREVER = 2**31 - 1


class Known(msgspec.Struct, frozen=True):
    """What may be relied on: with free dims assumed (`is_static` false) neither shapes nor values made of them."""

    graph: Graph
    is_static: bool

    def value(self, name: str) -> Array | None:
        """The value of a small constant that does not hang on an assumption."""
        writer = self.graph.producer(name)
        if not self.is_static and writer is not None and writer.role != "constant":
            return None
        return self.graph.values.get(name)

    def operand(self, node: Node, index: int, attribute: str) -> list[float] | None:
        """The numbers of an input, or of the attribute that older opsets have in its place."""
        if len(node.inputs) > index and node.inputs[index]:
            found = self.value(node.inputs[index])
            return None if found is None else found.reshape(-1).tolist()
        given = node.attr(attribute)
        return None if given is None else list(given)

    def keeps_shape(self, node: Node) -> bool:
        """The result has its input's shape, at every size of the free dims."""
        before, after = self.graph.type_of(node.inputs[0]), self.graph.type_of(node.outputs[0])
        return self.is_static and before.is_known and before.shape == after.shape


def passed_on(known: Known, node: Node) -> str | None:
    """The input that the node hands on unchanged, None where it does something."""
    test = _TESTS.get(node.op_type)
    if test is None or node.domain or not node.inputs or not node.inputs[0] or not node.outputs[0]:
        return None
    if any(name in known.graph.is_output or known.graph.consumers(name) for name in node.outputs[1:] if name):
        return None
    found = test(known, node)
    return (node.inputs[0] if found else None) if isinstance(found, bool) else found


def is_open(known: Known, node: Node) -> bool:
    """The Slice begins at the beginning and has no end: it takes everything, however long the axes are."""
    ends = known.operand(node, 2, "ends")
    return _all(known.operand(node, 1, "starts"), 0) and ends is not None and all(end >= _FOREVER for end in ends)


def is_training_dropout(known: Known, node: Node) -> bool | None:
    """The Dropout drops at run time; None where that is data."""
    if node.version >= 12:
        if len(node.inputs) < 3 or not node.inputs[2]:
            return False
        mode = known.graph.values.get(node.inputs[2])
        return None if mode is None or not mode.size else bool(mode.reshape(-1)[0])
    return node.version < 7 and not node.attr("is_test", 0)


def _all(numbers: Iterable[float] | None, wanted: float) -> bool:
    return numbers is not None and all(number == wanted for number in numbers)


def _neutral(wanted: int, *, either: bool) -> Callable[[Known, Node], str | None]:
    """A single number that changes nothing: 1 in a product, 0 in a sum."""

    def test(known: Known, node: Node) -> str | None:
        if len(node.inputs) != 2:
            return None
        for index in (1, 0) if either else (1,):
            other = node.inputs[1 - index]
            value = known.value(node.inputs[index])
            if value is None or value.size != 1 or value.item() != wanted or not other:
                continue
            writer = known.graph.producer(node.inputs[index])
            # zeros or ones that are stored as a tensor are a bias or a scale that was not trained yet
            if value.ndim and (writer is None or writer.op_type != "Constant"):
                continue
            rank = known.graph.type_of(other).rank
            if rank is not None and value.ndim <= rank:
                return other
        return None

    return test


def _is_same_type(known: Known, node: Node) -> bool:
    dtype = known.graph.type_of(node.inputs[0]).dtype
    return dtype != 0 and node.attr("to", known.graph.type_of(node.outputs[0]).dtype) == dtype


def _is_unpadded(known: Known, node: Node) -> bool:
    return _all(known.operand(node, 1, "pads"), 0)


def _is_whole(known: Known, node: Node) -> bool:
    if (len(node.inputs) > 4 and node.inputs[4]) and not _all(known.operand(node, 4, "steps"), 1):
        return False
    return is_open(known, node) or known.keeps_shape(node)


def _is_expanded_by_nothing(known: Known, node: Node) -> bool:
    sizes, rank = known.operand(node, 1, "shape"), known.graph.type_of(node.inputs[0]).rank
    by_ones = sizes is not None and rank is not None and len(sizes) <= rank and _all(sizes, 1)
    return by_ones or known.keeps_shape(node)


def _is_unmoved(known: Known, node: Node) -> bool:
    rank = known.graph.type_of(node.inputs[0]).rank
    perm = node.attr("perm")
    return list(perm) == sorted(perm) if perm else rank is not None and rank < 2


def _is_resized_by_nothing(known: Known, node: Node) -> bool:
    if node.attr("coordinate_transformation_mode", b"") == b"tf_crop_and_resize":
        return False
    index = 1 if node.op_type == "Upsample" or node.version < 11 else 2
    if node.attr("scales") is not None or (len(node.inputs) > index and node.inputs[index]):
        scales = known.operand(node, index, "scales")
        if scales:
            return _all(scales, 1)
    return len(node.inputs) > 3 and known.keeps_shape(node)


def _is_window_of_one(known: Known, node: Node) -> bool:
    sizes = [*node.attr("kernel_shape", [2]), *node.attr("strides", [])]
    return _all(sizes, 1) and _all(node.attr("pads", []), 0)


def _is_one(known: Known, node: Node) -> bool:
    return len(node.inputs) == 1


_TESTS: dict[str, Callable[[Known, Node], bool | str | None]] = {
    "Identity": lambda known, node: True,
    "Dropout": lambda known, node: is_training_dropout(known, node) is False,
    "Cast": _is_same_type,
    "CastLike": _is_same_type,
    "Reshape": lambda known, node: known.keeps_shape(node),
    "Squeeze": lambda known, node: known.keeps_shape(node),
    "Flatten": lambda known, node: known.keeps_shape(node),
    "Expand": _is_expanded_by_nothing,
    "Tile": lambda known, node: _all(known.operand(node, 1, "repeats"), 1),
    "Slice": _is_whole,
    "Pad": _is_unpadded,
    "Transpose": _is_unmoved,
    "Resize": _is_resized_by_nothing,
    "Upsample": _is_resized_by_nothing,
    "MaxPool": _is_window_of_one,
    "AveragePool": _is_window_of_one,
    "Concat": _is_one,
    "Sum": _is_one,
    "Max": _is_one,
    "Min": _is_one,
    "Mean": _is_one,
    "Mul": _neutral(1, either=True),
    "Div": _neutral(1, either=False),
    "Pow": _neutral(1, either=False),
    "Add": _neutral(0, either=True),
    "Sub": _neutral(0, either=False),
}
