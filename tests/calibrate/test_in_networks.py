"""The factor that whole networks give, and the networks themselves."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxlint.calibrate import networks
from onnxlint.calibrate.benchmarks import benchmarks
from onnxlint.calibrate.fit import Problem, Sample, graph_of
from onnxlint.calibrate.learn import in_networks, slowed
from onnxlint.calibrate.partial import Circumstances
from onnxlint.calibrate.profile import starting_device
from onnxlint.calibrate.sessions import noise_feeds, open_session
from onnxlint.costs import CostModel

DEVICE = starting_device("box", Circumstances("a machine", "onnxruntime 0", "CPUExecutionProvider", 1, 0), 16, 100.0)
NETWORKS = dict(networks.networks())
_LEAST_MACS, _MOST_MACS = 50e6, 2e9


def some_samples() -> list[Sample]:
    chosen = ("conv1x1_64_384_14", "depthwise3x3s1_32_112", "matmul_1_4096_4096", "transpose_1x197", "launch_8")
    found = [b for b in benchmarks() if b.name.startswith(chosen)]
    assert len(found) >= 5
    return [Sample(b.name, b.family, graph_of(b.build()), 1.0) for b in found]


SAMPLES = some_samples()


@settings(max_examples=20)
@given(factor=st.floats(0.3, 4.0))
def test_on_a_slowed_device_everything_takes_so_many_times_as_long(factor: float) -> None:
    slow = slowed(DEVICE, factor)
    before = Problem(SAMPLES, DEVICE).predict(DEVICE.attainable.sets)
    after = Problem(SAMPLES, slow).predict(slow.attainable.sets)
    np.testing.assert_allclose(after, before * factor, rtol=1e-9)


def test_the_factor_is_what_most_networks_lack_and_each_is_judged_by_the_others() -> None:
    factor, left_out = in_networks({"a": -0.2, "b": -0.2, "c": -0.2, "odd": 3.0})
    assert factor == pytest.approx(1.25)
    assert left_out["a"] == pytest.approx(0.0)
    assert left_out["odd"] == pytest.approx(4.0)


def test_one_network_has_no_say_in_its_own_error() -> None:
    assert in_networks({"only": 0.5})[1] == {"only": 0.5}
    assert in_networks({}) == (1.0, {})


@pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS)
def test_networks_are_of_a_size_that_is_used_and_run(build: Callable[[], onnx.ModelProto]) -> None:
    model = build()
    graph = graph_of(model)
    costs = CostModel(graph, "fp32")
    assert _LEAST_MACS < sum(costs.arithmetic(node)[0] for node in graph.compute_nodes) < _MOST_MACS
    session = open_session(model, threads=1)
    outputs = session.run(None, noise_feeds(session, {}))
    assert all(np.isfinite(output).all() and output.std() > 0 for output in outputs)
