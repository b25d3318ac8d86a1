"""Totals as polynomials in the free dims."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import onnx
import pytest
from models import constant, lint, model, value, weight
from onnx import helper
from zoo import build

from onnxlint.binding import Bindings
from onnxlint.device import load_device
from onnxlint.formula import formulas
from onnxlint.isolated import Limits
from onnxlint.output.profile_table import formula_text
from onnxlint.output.terminal import View
from onnxlint.report import FormulaInfo
from onnxlint.run.check import lint_models
from onnxlint.settings import Settings
from onnxlint.target import target_for

NODE = helper.make_node


def found(proto: onnx.ModelProto, **bindings: object) -> dict[str, FormulaInfo]:
    target = target_for(load_device("generic"))
    return {f.metric: f for f in formulas(proto, Bindings(**bindings), target, Limits())}


def terms(formula: FormulaInfo) -> dict[str, tuple[tuple[str, int], ...]]:
    return {term.exact: tuple(term.powers.items()) for term in formula.terms}


def test_a_batch_is_linear() -> None:
    macs = found(build("resnet50", batch="N"))["macs"]
    assert terms(macs) == {"4089184256": (("N", 1),)}
    assert formula_text(macs) == "MACCs = 4.09 G·N"


def test_a_fixed_or_bound_model_has_none() -> None:
    assert found(build("squeezenet_1_1")) == {}
    assert found(build("squeezenet_1_1", batch="N"), batch=4) == {}


def test_attention_is_quadratic_in_the_sequence() -> None:
    nodes = [NODE("Transpose", ["x"], ["t"], perm=[0, 2, 1]), NODE("MatMul", ["x", "t"], ["s"])]
    nodes += [NODE("MatMul", ["s", "x"], ["a"]), NODE("MatMul", ["a", "w"], ["y"])]
    proto = model(nodes, [value("x", ["batch", "seq", 16])], ["y"], [weight("w", 16, 16)])
    formula = found(proto)["macs"]
    assert terms(formula) == {"32": (("batch", 1), ("seq", 2)), "256": (("batch", 1), ("seq", 1))}
    assert formula_text(formula) == "MACCs = 32·batch·seq² + 256·batch·seq"


def test_image_sides_hold_for_multiples_of_the_strides() -> None:
    proto = build("mobilenet_v2", batch="batch")
    for axis, name in ((2, "height"), (3, "width")):
        proto.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    formula = found(proto)["macs"]
    assert formula.multiple_of == {"height": 32, "width": 32}
    for sizes in ({"batch": 3, "height": 160, "width": 416}, {"batch": 1, "height": 64, "width": 96}):
        stated = sum(
            Fraction(term.exact) * _product(sizes[name] ** power for name, power in term.powers.items())
            for term in formula.terms
        )
        totals = lint(proto, dims=sizes).totals
        assert totals is not None
        assert stated == totals.macs


def _product(numbers) -> int:
    result = 1
    for number in numbers:
        result *= number
    return result


def test_a_dim_that_the_weights_fix_is_held() -> None:
    node = NODE("Conv", ["x", "w"], ["y"])
    proto = model([node], [value("x", ["N", "channels", 8, 8])], ["y"], [weight("w", 4, 3, 1, 1)])
    formula = found(proto, dims={"channels": 3})["macs"]
    assert terms(formula) == {str(64 * 12): (("N", 1),)}
    assert found(proto)["macs"].held == {"channels": 3}
    assert formula_text(found(proto)["macs"]) == "MACCs = 768·N (channels = 3)"


def test_what_is_no_polynomial_has_no_formula() -> None:
    """Division by the size: 840 / n rows."""
    nodes = [NODE("Shape", ["x"], ["s"]), NODE("Div", ["big", "s"], ["d"])]
    nodes += [NODE("ConstantOfShape", ["d"], ["c"]), NODE("Concat", ["x", "c"], ["y"], axis=0)]
    proto = model(nodes, [value("x", ["n"])], ["y"], [constant("big", [840])])
    assert "memory_access_bytes" not in found(proto)


@pytest.mark.parametrize("name", ["tinybert_4l_312"])
def test_inferences_are_few(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxlint.formula as module

    calls = []
    original = module.infer
    monkeypatch.setattr(module, "infer", lambda *given: calls.append(1) or original(*given))
    assert found(build(name, batch="batch"))
    assert 0 < len(calls) <= 8


def test_the_report_has_the_formula_where_dims_are_free(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proto = model([NODE("MatMul", ["x", "w"], ["y"])], [value("x", ["N", 16])], ["y"], [weight("w", 16, 16)])
    onnx.save(proto, tmp_path / "m.onnx")
    chosen = Settings()
    lint_models([str(tmp_path / "m.onnx")], ["generic"], chosen, (), "text", None, View())
    assert "MACCs = 256·N" in capsys.readouterr().out
    lint_models([str(tmp_path / "m.onnx")], ["generic"], chosen, (), "json", None, View())
    formulas = json.loads(capsys.readouterr().out)["model"]["formulas"]
    assert [formula["metric"] for formula in formulas] == ["macs", "flops", "memory_access_bytes"]
    bound = Settings(bindings=Bindings(batch=1))
    lint_models([str(tmp_path / "m.onnx")], ["generic"], bound, (), "text", None, View())
    assert "MACCs =" not in capsys.readouterr().out
