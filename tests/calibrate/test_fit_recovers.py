"""Fits find the figures behind synthetic times: no clock is involved."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from onnxlint.calibrate.benchmarks import benchmarks
from onnxlint.calibrate.clock import reference_model
from onnxlint.calibrate.fit import Problem, Sample, changed, graph_of, scan, search, with_cost
from onnxlint.calibrate.learn import learn, with_set
from onnxlint.calibrate.partial import Circumstances
from onnxlint.calibrate.profile import starting_device
from onnxlint.device import Device

WHERE = Circumstances("a machine", "onnxruntime 0", "CPUExecutionProvider", 1, 0)
TRUE = {"pointwise": 0.7, "pointwise.half_outputs": 12.0, "pointwise.half_depth": 20.0, "pointwise.overhead_us": 4.0}


def device() -> Device:
    return starting_device("box", WHERE, 16, 100.0)


def samples(beginning: str, count: int, truth: Device, noise: float = 0.0) -> list[Sample]:
    """Benchmarks with the times that the true device would take."""
    rng = np.random.default_rng(1)
    graphs = {b.name: graph_of(b.build()) for b in benchmarks() if b.name.startswith(beginning)}
    found = [Sample(name, "", graph, 1.0) for name, graph in list(graphs.items())[:count]]
    seconds = Problem(found, truth).predict(truth.attainable.sets)[:, 0] * np.exp(
        noise * rng.standard_normal(len(found))
    )
    return [msgspec_replace(sample, float(s)) for sample, s in zip(found, seconds, strict=True)]


def msgspec_replace(sample: Sample, seconds: float) -> Sample:
    return Sample(sample.name, sample.family, sample.graph, seconds)


@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_a_class_s_figures_are_recovered(noise: float) -> None:
    truth = with_set(device(), changed(device().attainable.sets[0], TRUE))
    taught = samples("conv1x1_", 24, truth, noise)
    guesses = {
        "pointwise": 0.9,
        "pointwise.half_outputs": 4.0,
        "pointwise.half_depth": 8.0,
        "pointwise.overhead_us": 3.0,
    }
    found = search(Problem(taught, device()), device().attainable.sets[0], guesses)
    errors = np.abs(Problem(taught, device()).errors([found])[:, 0])
    assert np.median(errors) < 0.02 + noise
    assert found.pointwise == pytest.approx(0.7, rel=0.1 + 3 * noise)
    assert found.shapes["pointwise"].half_depth == pytest.approx(20.0, rel=0.3 + 10 * noise)


@pytest.mark.parametrize("cost", [3.0, 400.0])
def test_an_operator_s_cost_is_recovered_however_dear_it_is(cost: float) -> None:
    truth = with_cost(device(), "vector_cost", "Sigmoid", cost)
    taught = samples("sigmoid_", 3, truth)
    assert scan(taught, device(), "vector_cost", "Sigmoid") == pytest.approx(cost, rel=0.05)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_each_of_several_threads_has_more_to_do_in_the_reference_than_the_only_one(threads: int) -> None:
    rows = reference_model(threads).graph.input[0].type.tensor_type.shape.dim[0].dim_value
    alone = reference_model().graph.input[0].type.tensor_type.shape.dim[0].dim_value
    assert rows / threads == (alone if threads == 1 else 4 * alone)


def test_small_shapes_leave_other_classes_alone() -> None:
    base = device().attainable.sets[0]
    slower = changed(base, {"gemm.half_depth": 1000.0})
    assert slower.shapes["gemm"].half_depth == 1000.0
    taught = samples("conv1x1_", 3, device())
    predicted = Problem(taught, device()).predict([base, slower])
    assert predicted[:, 0] == pytest.approx(predicted[:, 1])
    assert msgspec.structs.asdict(base)["shapes"] == {}


def test_how_fast_weights_come_is_recovered() -> None:
    start = device()
    assert start.weight_memory is not None
    truth = with_set(start, changed(start.attainable.sets[0], {"stream_gb_per_s": 7.0, "gemm": 0.8}))
    taught = samples("matmul_1_", 9, truth)
    learnt = learn(taught, start).attainable.sets[0]
    assert learnt.stream_gb_per_s == pytest.approx(7.0, rel=0.1)


def test_rows_that_are_short_are_told_from_a_dear_operator() -> None:
    truth = with_cost(with_cost(device(), "vector_cost", "Softmax", 2.0), "short_runs", "Softmax", 50.0)
    learnt = learn(samples("softmax_", 5, truth), device())
    assert learnt.short_runs["Softmax"] == 50.0
    assert learnt.vector_cost["Softmax"] == pytest.approx(2.0, rel=0.1)
