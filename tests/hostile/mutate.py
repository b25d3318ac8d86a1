"""Structure-aware mutation of ONNX models: fields, shapes, attributes, names, edges and raw bytes."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

INTEGERS = (
    *(0, 1, -1, 2, 3, 7, 8, 16, 31, 63, 64, 65, 127, 128, 255, 1024, 4095, 65535),
    *(2**31 - 1, 2**31, -(2**31), 2**32, 2**40, 2**53, 2**62, 2**63 - 1, -(2**63)),
)
FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 1e38, -1e38, float("inf"), float("-inf"), float("nan"), 0.5)
NAMES = (
    *("", "x", "y", " ", "a/b", "../x", "\x1b[31m", "a\nb", "\u202e", "é", "::error::x", "##vso[task]", "[red]x[/red]"),
    *("=cmd()", "then_branch", "body", "axis", "N", "%s", "{0}", "a" * 300, "\x00", "\u2028"),
)
OPERATORS = tuple(sorted({schema.name for schema in onnx.defs.get_all_schemas()}))
_STRINGS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
_REALS = (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE)


def seeds(rng: random.Random, node_cases: int = 400) -> list[bytes]:
    """Small models: node test cases, examples of the rules, and windows of a few nodes out of zoo networks."""
    found: list[bytes] = []
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        cases = [case.model.SerializeToString() for case in collect_testcases(None) if case.model is not None]
    found += rng.sample(cases, min(node_cases, len(cases)))
    found += [model.SerializeToString() for model in _examples()]
    from zoo import build

    for name in ("shufflenet_v2_x0_5", "mobilenet_v2", "squeezenet_1_1", "tinybert_4l_312"):
        try:
            network = build(name)
        except KeyError:
            continue
        found += [window(network, rng).SerializeToString() for _ in range(40)]
    return [model for model in found if len(model) < 200_000]


def _examples() -> Iterator[onnx.ModelProto]:
    from onnxlint.registry import installed_rules
    from onnxlint.rule import example_model

    for rule in installed_rules():
        for name in ("VALID", "INVALID"):
            for example in getattr(rule.module, name, ()):
                yield example_model(example.text)


def window(network: onnx.ModelProto, rng: random.Random) -> onnx.ModelProto:
    """A few nodes in a row, whose first needs become inputs of an image's shape."""
    nodes = network.graph.node
    size = rng.randint(1, 24)
    start = rng.randrange(max(1, len(nodes) - size))
    chosen = list(nodes[start : start + size])
    written = {name for node in chosen for name in node.output}
    read = [name for node in chosen for name in node.input if name and name not in written]
    weights = [tensor for tensor in network.graph.initializer if tensor.name in read]
    known = {tensor.name for tensor in weights}
    rank = rng.choice(([1, 58, 14, 14], [1, 128, 312], ["N", 3, "H", "W"]))
    inputs = [onnx.helper.make_tensor_value_info(name, 1, rank) for name in dict.fromkeys(read) if name not in known]
    outputs = [onnx.helper.make_tensor_value_info(chosen[-1].output[0], 1, None)]
    graph = onnx.helper.make_graph(chosen, "g", inputs, outputs, weights)
    return onnx.helper.make_model(graph, opset_imports=network.opset_import, ir_version=network.ir_version)


def mutated(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """The model with one to eight changes; now and then its bytes are changed too."""
    try:
        model = onnx.ModelProto.FromString(data)
    except Exception:
        return _noise(data, rng)
    for _ in range(1 + int(rng.expovariate(0.5))):
        try:
            _change(model, others, rng)
        except (TypeError, ValueError, IndexError):  # a name that is no UTF-8, an enum that takes no such number
            continue
    data = model.SerializeToString()
    return _noise(data, rng) if rng.random() < 0.08 else data


def _noise(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            changed[at : at + 1] = bytes((rng.randrange(256),))
        elif kind == 1:
            del changed[at : at + rng.randint(1, 20)]
        elif kind == 2:
            changed[at:at] = rng.randbytes(rng.randint(1, 6))
        else:
            del changed[at:]
    return bytes(changed)


def _messages(root: Message) -> list[Message]:
    found, pending = [], [root]
    while pending:
        message = pending.pop()
        found.append(message)
        for field, value in message.ListFields():
            if field.type == FieldDescriptor.TYPE_MESSAGE:
                pending += list(value) if isinstance_repeated(value) else [value]
    return found


def isinstance_repeated(value: Any) -> bool:
    """The field's value is a list of messages, not one."""
    return not isinstance(value, Message)


def _change(model: onnx.ModelProto, others: list[bytes], rng: random.Random) -> None:
    if rng.random() < 0.45:
        rng.choice((_rewire, _operator, _attribute, _dims, _name, _constant))(model, rng)
        return
    messages = _messages(model)
    message = rng.choice(messages)
    fields = message.DESCRIPTOR.fields
    set_fields = [field for field, _ in message.ListFields()]
    field = rng.choice(set_fields) if set_fields and rng.random() < 0.8 else rng.choice(list(fields))
    value = getattr(message, field.name)
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        _change_message(message, field, value, others, rng)
    elif _is_list(value):
        kind = rng.randrange(4)
        if kind == 0 and len(value):
            del value[rng.randrange(len(value))]
        elif kind == 1 and len(value):
            value.append(value[rng.randrange(len(value))])
        elif kind == 2 and len(value):
            value[rng.randrange(len(value))] = _scalar(field, rng)
        else:
            value.append(_scalar(field, rng))
    elif rng.random() < 0.15:
        message.ClearField(field.name)
    else:
        setattr(message, field.name, _scalar(field, rng))


def _is_list(value: Any) -> bool:
    return hasattr(value, "append")


def _change_message(message: Message, field: Any, value: Any, others: list[bytes], rng: random.Random) -> None:
    if not _is_list(value):
        if rng.random() < 0.5:
            message.ClearField(field.name)
        else:
            _transplant(value, others, rng)
        return
    kind = rng.randrange(4)
    if kind == 0 and len(value):
        del value[rng.randrange(len(value))]
    elif kind == 1 and len(value):
        value.append(value[rng.randrange(len(value))])
    elif kind == 2 and len(value) > 1:
        order = list(value)
        rng.shuffle(order)
        copies = [type(item).FromString(item.SerializeToString()) for item in order]
        del value[:]
        value.extend(copies)
    else:
        _transplant(value.add(), others, rng)


def _transplant(target: Message, others: list[bytes], rng: random.Random) -> None:
    """Replace by a message of the same type out of another model."""
    try:
        donor = onnx.ModelProto.FromString(rng.choice(others))
    except Exception:
        return
    same = [message for message in _messages(donor) if message.DESCRIPTOR is target.DESCRIPTOR]
    if same:
        target.CopyFrom(rng.choice(same))


def _scalar(field: Any, rng: random.Random) -> Any:
    if field.type in _STRINGS:
        text = rng.choice(NAMES)
        return text.encode() if field.type == FieldDescriptor.TYPE_BYTES else text
    if field.type in _REALS:
        return rng.choice(FLOATS)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return rng.choice((*field.enum_type.values_by_number, 0, 99))
    value = rng.choice(INTEGERS)
    if field.type in (FieldDescriptor.TYPE_INT32,):
        return max(-(2**31), min(2**31 - 1, value))
    return abs(value) if field.type == FieldDescriptor.TYPE_UINT64 else value


def _nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [message for message in _messages(model) if isinstance(message, onnx.NodeProto)]


def _rewire(model: onnx.ModelProto, rng: random.Random) -> None:
    nodes = _nodes(model)
    names = [name for node in nodes for name in (*node.input, *node.output)] + [i.name for i in model.graph.input]
    node = rng.choice(nodes)
    ends = rng.choice((node.input, node.output))
    if len(ends) and rng.random() < 0.8:
        ends[rng.randrange(len(ends))] = rng.choice((*names, ""))
    else:
        ends.append(rng.choice(names))


def _operator(model: onnx.ModelProto, rng: random.Random) -> None:
    rng.choice(_nodes(model)).op_type = rng.choice(OPERATORS)


def _attribute(model: onnx.ModelProto, rng: random.Random) -> None:
    node = rng.choice(_nodes(model))
    schemas = [s for s in onnx.defs.get_all_schemas() if s.name == node.op_type and s.attributes]
    if not schemas:
        return
    name = rng.choice(sorted(schemas[0].attributes))
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    kept = [onnx.AttributeProto.FromString(attribute.SerializeToString()) for attribute in kept]
    value: Any = rng.choice(
        (
            rng.choice(INTEGERS),
            rng.choice(FLOATS),
            rng.choice(NAMES),
            [rng.choice(INTEGERS) for _ in range(rng.randint(1, 6))],
            [rng.randint(0, 4) for _ in range(rng.randint(1, 6))],
            [rng.choice(FLOATS)],
        )
    )
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])


def _dims(model: onnx.ModelProto, rng: random.Random) -> None:
    shapes = [m for m in _messages(model) if isinstance(m, onnx.TensorShapeProto)]
    shape = rng.choice(shapes)
    kind = rng.randrange(3)
    if kind == 0 and len(shape.dim):
        shape.dim[rng.randrange(len(shape.dim))].dim_value = rng.choice(INTEGERS)
    elif kind == 1 and len(shape.dim):
        shape.dim[rng.randrange(len(shape.dim))].dim_param = rng.choice(NAMES)
    else:
        del shape.dim[:]
        for _ in range(rng.randint(0, 7)):
            shape.dim.add().dim_value = rng.randint(0, 9)


def _name(model: onnx.ModelProto, rng: random.Random) -> None:
    """Rename one value everywhere."""
    nodes = _nodes(model)
    names = [name for node in nodes for name in (*node.input, *node.output)]
    old, new = rng.choice(names), rng.choice(NAMES)
    for node in nodes:
        for ends in (node.input, node.output):
            for at, name in enumerate(ends):
                if name == old:
                    ends[at] = new
    for info in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        if info.name == old:
            info.name = new


def _constant(model: onnx.ModelProto, rng: random.Random) -> None:
    """Give an input a constant of small or absurd numbers."""
    node = rng.choice(_nodes(model))
    at = rng.randrange(len(node.input))
    numbers = [rng.choice(INTEGERS) if rng.random() < 0.5 else rng.randint(-3, 9) for _ in range(rng.randint(0, 6))]
    array = np.array(numbers, rng.choice((np.int64, np.int64, np.float32)))
    name = f"fuzz{rng.randrange(10**6)}"
    model.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    node.input[at] = name
