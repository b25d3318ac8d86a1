"""OPS002 channel-shuffle on the zoo."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from zoo import build

from onnxlint.device import load_device
from onnxlint.engine import ReadModel, lint_graph, read_model
from onnxlint.finding import Insert
from onnxlint.patterns.channel_shuffle import channel_shuffles
from onnxlint.patterns.shuffle_fixes import fold, split_once
from onnxlint.registry import find_rule, installed_rules
from onnxlint.report import Report
from onnxlint.settings import Settings
from onnxlint.whatif import apply

RULE = find_rule(installed_rules(), "OPS002")


def read(name: str) -> ReadModel:
    return read_model(build(name), Settings())


def lint(name: str, device: str) -> Report:
    return lint_graph(read(name), load_device(device), [RULE], Settings())


@pytest.mark.parametrize("name", ["shufflenet_v1_g3", "shufflenet_v1_g8", "shufflenet_v2_x1_0"])
@pytest.mark.parametrize(("device", "severity"), [("hi3519", "error"), ("x3", "error"), ("t4", "warning")])
def test_shufflenets(name: str, device: str, severity: str) -> None:
    [finding] = lint(name, device).findings
    assert (finding.severity, finding.places, len(finding.nodes)) == (severity, 16, 48)
    assert finding.fix is not None
    assert finding.fix.safety == "exact"
    assert finding.saving_low_s is not None
    assert finding.saving_low_s > 0


@pytest.mark.parametrize(
    "name", ["resnet18", "repvgg_a0_deploy", "vit_tiny", "mobilevit_xs", "efficientformer_l1", "ghostnet"]
)
@pytest.mark.parametrize("device", ["hi3519", "t4"])
def test_silent_without_a_shuffle(name: str, device: str) -> None:
    assert lint(name, device).findings == ()


def test_leaving_the_device_costs_more_than_sixteen_convolutions() -> None:
    [finding] = lint("shufflenet_v2_x1_0", "hi3519").findings
    gains = [finding.saving_s, *(other.saving_s for other in finding.alternatives)]
    assert len(gains) == 3
    assert all(gain is not None and gain > 0.4 * finding.latency_s for gain in gains)


def test_only_the_stage_ends_fold() -> None:
    graph = read("shufflenet_v2_x1_0").graph
    folded = [i for i, shuffle in enumerate(channel_shuffles(graph)) if fold(graph, shuffle) is not None]
    assert folded == [3, 11, 15]


def test_split_once_gives_every_reader_the_channels_it_had() -> None:
    graph = read("shufflenet_v2_x0_5").graph
    shuffles = channel_shuffles(graph)
    edits, replaced = split_once(graph, shuffles)
    after = apply(graph, edits)
    assert len(replaced) == 16
    assert not {node.op_type for node in after.compute_nodes} & {"Reshape", "Transpose", "Slice"}
    for edit in edits:
        if isinstance(edit, Insert) and edit.op_type == "Concat":
            widths = [after.type_of(name).dims[1] for name in edit.inputs]
            assert sum(widths) == after.type_of(edit.outputs[0]).dims[1]
        if isinstance(edit, Insert) and edit.op_type == "Split":
            widths = [after.type_of(name).dims[1] for name in edit.outputs]
            assert sum(widths) == after.type_of(edit.inputs[0]).dims[1]


def test_split_once_sends_channels_where_the_shuffles_sent_them() -> None:
    graph = read("shufflenet_v2_x1_0").graph
    edits, _ = split_once(graph, channel_shuffles(graph))
    after = apply(graph, edits)
    joined = [edit for edit in edits if isinstance(edit, Insert) and edit.op_type == "Concat"]
    found = [sorted(after.type_of(name).dims[1] for name in edit.inputs) for edit in joined]
    assert sorted(found) == sorted(
        sent for half, units in ((58, 4), (116, 8), (232, 4)) for sent in sent_by_shuffling(half, units)
    )


def sent_by_shuffling(half: int, units: int) -> Iterator[list[int]]:
    """How many channels each unit's reader gets of every branch, by following them one by one."""
    kept = [0] * half
    for unit in range(units):
        mixed = [branch for pair in zip(kept, [unit + 1] * half, strict=True) for branch in pair]
        is_last = unit == units - 1
        kept, read_now = ([], mixed) if is_last else (mixed[:half], mixed[half:])
        yield sorted(Counter(read_now).values())
