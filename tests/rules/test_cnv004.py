"""CNV004: grouped 1x1 convolutions in a row whose groups never mix."""

from __future__ import annotations

import onnx
import pytest
from linting import found, found_in
from zoo import build

ROW = """row (float[1,64,28,28] x) => (float[1,64,28,28] y) <float[64,16,1,1] w, float[64,{each},1,1] v> {{
    a = Conv <group = 4> (x, w)
    b = Relu (a)
    y = Conv <group = {groups}> (b, v)
}}"""


def without_shuffles(name: str) -> onnx.ModelProto:
    """The network with every Reshape, Transpose, Reshape run cut out."""
    model = build(name)
    writer = {node.output[0]: node for node in model.graph.node}
    for node in list(model.graph.node):
        if node.op_type != "Transpose":
            continue
        before = writer[node.input[0]]
        after = next(n for n in model.graph.node if node.output[0] in n.input)
        for reader in model.graph.node:
            for i, value in enumerate(reader.input):
                if value == after.output[0]:
                    reader.input[i] = before.input[0]
        for gone in (before, node, after):
            model.graph.node.remove(gone)
    del model.graph.value_info[:]
    return model


@pytest.mark.parametrize("name", ["shufflenet_v1_g3", "shufflenet_v1_g8"])
def test_shufflenet_v1_is_silent_with_its_shuffles_and_found_without(name: str) -> None:
    assert found(name, "CNV004", "t4") == []
    (finding,) = found_in(without_shuffles(name), "CNV004", "t4")
    assert finding.places >= 12
    assert finding.severity == "warning"
    assert not finding.hidden


def test_the_price_of_either_remedy_is_stated() -> None:
    (finding,) = found_in(ROW.format(groups=4, each=16), "CNV004", "generic")
    assert finding.fix is not None
    assert {finding.fix.safety, *(other.safety for other in finding.alternatives)} == {"lossy"}
    assert len(finding.alternatives) == 1


def test_group_numbers_without_a_common_division_mix() -> None:
    assert found_in(ROW.format(groups=1, each=64), "CNV004", "generic") == []
    assert found_in(ROW.format(groups=2, each=32), "CNV004", "generic")[0].places == 1


@pytest.mark.parametrize("name", ["resnet50", "mobilenet_v2", "alexnet", "shufflenet_v2_x1_0"])
def test_other_networks_are_silent(name: str) -> None:
    assert found(name, "CNV004", "t4") == []
