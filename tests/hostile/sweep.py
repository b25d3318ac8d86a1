"""Each rule's examples with one thing taken away or altered: `python tests/hostile/sweep.py [--only CODE]`.

Where the fuzzer throws dice, this goes through all: every node becomes an operator that nobody knows, of no or of
another shape, or loses an input or an attribute; every input and weight loses its shape, its rank or a dim. A rule that
fails on what is left is printed. `--every 20` takes one in twenty.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import onnx

DEVICES = ("t4", "hi3519", "cortex-a76")
DIMS = (0, 1, 2**31, -1)
DECLARED: tuple[list[int], ...] = ([], [2], [0, 0, 0, 0], [2, 3, 4, 5, 6])


def altered(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.ModelProto]]:
    """The model's alterations, each with its name."""
    for at, node in enumerate(model.graph.node):
        changed = _copy(model)
        changed.graph.node[at].op_type, changed.graph.node[at].domain = "Unknown", "nobody"
        _undeclared(changed, node.output)
        yield f"node {at} unknown", changed
        for dims in DECLARED:
            declared = _copy(changed)
            kept = [value for value in declared.graph.value_info if value.name not in node.output]
            del declared.graph.value_info[:]
            declared.graph.value_info.extend(kept)
            for name in node.output:
                declared.graph.value_info.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dims))
            yield f"node {at} unknown, declared as {dims}", declared
        for index, name in enumerate(node.input):
            if name and index:
                changed = _copy(model)
                changed.graph.node[at].input[index] = ""
                yield f"node {at} without input {index}", changed
        for index, attribute in enumerate(node.attribute):
            changed = _copy(model)
            del changed.graph.node[at].attribute[index]
            yield f"node {at} without {attribute.name}", changed
    for at, value in enumerate(model.graph.input):
        dims = len(value.type.tensor_type.shape.dim)
        yield f"input {at} of no rank", _with_dims(model, at, None)
        yield f"input {at} of no dims", _with_dims(model, at, [])
        for rank in {dims - 1, dims + 1} - {-1}:
            yield f"input {at} of {rank} dims", _with_dims(model, at, [2] * rank)
        for axis in range(dims):
            for size in DIMS:
                changed = _copy(model)
                changed.graph.input[at].type.tensor_type.shape.dim[axis].dim_value = size
                _undeclared(changed, [output.name for output in changed.graph.output])
                yield f"input {at}, dim {axis} of {size}", changed
    for at, tensor in enumerate(model.graph.initializer):
        changed = _copy(model)
        del changed.graph.initializer[at]
        changed.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, None))
        yield f"initializer {at} is an input", changed
        for axis in range(len(tensor.dims)):
            for size in DIMS:
                changed = _copy(model)
                changed.graph.initializer[at].dims[axis] = size
                _undeclared(changed, [output.name for output in changed.graph.output])
                yield f"initializer {at}, dim {axis} of {size}", changed


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    return changed


def _with_dims(model: onnx.ModelProto, at: int, dims: list[int] | None) -> onnx.ModelProto:
    changed = _copy(model)
    old = changed.graph.input[at]
    new = onnx.helper.make_tensor_value_info(old.name, old.type.tensor_type.elem_type, dims)
    old.CopyFrom(new)
    _undeclared(changed, [output.name for output in changed.graph.output])
    return changed


def _undeclared(model: onnx.ModelProto, names: object) -> None:
    for value in (*model.graph.output, *model.graph.value_info):
        if value.name in names:  # type: ignore[operator]
            value.type.tensor_type.ClearField("shape")


def failures(model: onnx.ModelProto, device: str) -> list[str]:
    """The rules that fail on the model."""
    from onnxlint import lint_model
    from onnxlint.load import LoadError

    try:
        report = lint_model(model, device)
    except LoadError:
        return []
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]
    return [problem for problem in report.incomplete if re.match(r"rule \w+ failed", problem)]


def every_example(code: str = "") -> Iterator[tuple[str, onnx.ModelProto]]:
    """All alterations of the examples of the rules whose code begins so."""
    from onnxlint.registry import installed_rules
    from onnxlint.rule import example_model

    for rule in installed_rules():
        if rule.code.startswith(code):
            for name in ("VALID", "INVALID"):
                for number, example in enumerate(getattr(rule.module, name, ())):
                    for what, model in altered(example_model(example.text)):
                        yield f"{rule.code} {name} {number}, {what}", model


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="rules whose code begins so")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the first that is taken")
    options = parser.parse_args()
    done, found = 0, 0
    for at, (what, model) in enumerate(every_example(options.only)):
        if at % options.every != options.first:
            continue
        done += 1
        device = DEVICES[done % len(DEVICES)]
        for problem in failures(model, device):
            found += 1
            print(f"{what}, on {device}: {problem}", flush=True)
    print(f"{done} alterations, {found} failures")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
