"""The order in which a machine is learnt: memory, each operator's arithmetic, weights, then the classes of products.

Whole networks come last, with one factor on all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from onnxlint.calibrate.fit import Problem, Sample, loss, scan, search, with_cost
from onnxlint.device import Device
from onnxlint.device_attainable import ParameterSet
from onnxlint.device_types import KERNEL_CLASSES

# table, form → the beginnings of the names of the benchmarks that teach it
_SMALL = ("launch_1", "launch_8", "mixed_", "mul_64_7", "sub_64_7", "max_64_7", "where_64_7", "abs_64_7", "reshape")
MEMORY = (*_SMALL, "neg_", "add_64", "add_96", "add_192", "add_16")
MOVED = {
    "Transpose.last": (*("transpose_1x96", "transpose_1x28", "transpose_1x64"), *("transpose_1x12", "transpose_1x784")),
    "Transpose": (
        *("transpose_1x197", "transpose_1x3x", "transpose_1x128"),
        *("transpose_64", "transpose_1x2x", "transpose_1x8", "transpose_196"),
    ),
    "Transpose.mixed": ("transpose_4x", "transpose_144x"),
    "Concat": ("concat_64",),
    "Concat.last": ("concat_last",),
    "Expand": ("expand_rows",),
    "Expand.last": ("expand_last",),
    "Split": ("split_64", "split_middle"),
    "Slice": ("slice_64", "slice_last", "slice_step"),
    "Gather": ("gather_64",),
    "Pad": ("pad_64",),
    "Where": ("where_",),
    "LSTM": ("lstm",),
}
_UNARY = ("Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "LeakyRelu", "Erf", "Exp", "Sqrt", "Softplus", "Elu", "Abs")
_QLINEAR_UNARY = ("Sigmoid", "LeakyRelu", "Softmax")
_BINARY = ("Mul", "Sub", "Div", "Max", "Pow")
COMPUTED = {
    **{op: (f"{op.lower()}_64", f"{op.lower()}_96") for op in (*_UNARY, *_BINARY)},
    **{f"{op}.broadcast": (f"{op.lower()}_channel", f"{op.lower()}_row") for op in ("Mul", "Add")},
    "PRelu": ("prelu",),
    "QuantizeLinear": ("quantize_",),
    **{f"QLinear{op}": (f"qlinear{op.lower()}_",) for op in ("Add", "Mul", *_QLINEAR_UNARY, "Concat")},
    "BatchNormalization": ("batchnorm_64", "batchnorm_96"),
    "QuickGelu": ("silu",),
    "Gelu": ("gelu",),
    "LayerNormalization": ("layernorm",),
    "SkipLayerNormalization": ("skiplayernorm",),
    "Softmax": ("softmax_",),
    "Softmax.inner": ("inner_softmax",),
    "GlobalAveragePool": ("globalaveragepool",),
    "ReduceMean": ("reducemean_64", "reducemean_96", "reducemean_512"),
    "ReduceMean.last": ("reducemean_last",),
    "ReduceSum": ("reducesum",),
    "LRN": ("lrn",),
    **{f"Resize.{mode}": (f"resize_{mode}",) for mode in ("nearest", "linear", "cubic")},
    "MaxPool": ("maxpool",),
    "AveragePool": ("averagepool",),
    **{f"{op}.plain": (f"plain_{op.lower()}",) for op in ("MaxPool", "AveragePool")},
}
KIN = {
    "LSTM": ("GRU", "RNN"),
    "ReduceMean": ("ReduceMax", "ReduceMin", "ReduceL2"),
    "ReduceMean.last": ("ReduceMax.last", "ReduceMin.last", "ReduceSum.last", "ReduceL2.last", "ArgMax"),
    "Softmax": ("LogSoftmax",),
    "Softmax.inner": ("LogSoftmax.inner",),
    "QuantizeLinear": ("DequantizeLinear", "DynamicQuantizeLinear"),
    "QLinearGlobalAveragePool": ("QLinearAveragePool",),
    "LayerNormalization": ("InstanceNormalization", "GroupNormalization"),
    "Abs": ("Relu", "Neg", "Clip", "Cast", "Min", "Not"),
    "Resize.nearest": ("Upsample",),
    "Gather": ("GatherElements", "GatherND"),
    "Concat": ("Tile",),
    "Transpose": ("DepthToSpace", "SpaceToDepth"),
}
"""Operators without a benchmark cost as one that works alike."""
SHORT = ("Softmax", "LayerNormalization", "SkipLayerNormalization", "Transpose", "Slice", "Expand", "Expand.last")
"""Operators whose rows or stretches cost something each, however short: what that is learnt beside their cost."""
_RUNS = (0.0, 8.0, 20.0, 50.0, 120.0)
WEIGHTS = tuple(f"matmul_1_{size}" for size in ("1024", "1280", "2048", "4096"))
"""Products of one row, which take as long as their weights take to come."""
CLASSES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("depthwise", ("depthwise",), ("half_depth", "half_positions", "overhead_us")),
    ("pointwise", ("conv1x1",), ("half_outputs", "half_depth", "half_positions", "overhead_us")),
    ("conv3x3", ("conv3x3_", "conv3x3s1"), ("half_outputs", "half_depth", "half_positions", "overhead_us")),
    (
        "conv",
        ("conv3x3s2", "conv3x3d", "conv4", "conv5", "conv7", "conv11", "conv16", "conv2"),
        ("half_outputs", "half_depth", "half_positions", "overhead_us"),
    ),
    ("grouped", ("grouped",), ("half_depth", "half_positions", "overhead_us")),
    (
        "lowered",
        ("grouped3", "conv3x3_18", "depthwise3x3s1_58", "strided"),
        ("half_depth", "half_positions", "overhead_us"),
    ),
    (
        "gemm",
        ("matmul", "batched", "conv1x1_58", "conv1x1_30", "grouped1"),
        ("half_depth", "half_positions", "overhead_us"),
    ),
    ("recurrent", ("lstm",), ()),
    ("integer", ("integer1", "integer3"), ("half_depth", "half_positions", "overhead_us")),
    ("integer_depthwise", ("integer_depthwise",), ("half_depth", "half_positions", "overhead_us")),
    ("integer_lowered", ("integer_lowered",), ("half_outputs", "half_depth", "overhead_us")),
    ("integer_gemm", ("integer_matmul",), ("half_depth", "half_positions", "overhead_us")),
    ("integer_batched", ("integer_batched",), ("half_depth", "half_positions", "overhead_us")),
)
BETWEEN_INTEGERS = {
    "Requantize": ("integer1x1",),
    "QLinearGlobalAveragePool": ("qlinearpool_",),
    "NhwcMaxPool": ("nhwcmaxpool_",),
}
"""What is only met in or between convolutions of integers: those are learnt first."""
BETWEEN = {"LayoutConversion": ("convert", "maxpool", "averagepool"), "Window.strided": ("grouped3x3s2", "strided")}
"""What is moved beside the arithmetic of convolutions, and learnt behind it."""
_RATES = ("vector_gops", "bandwidth_gb_per_s", "cache_gb_per_s", "stream_gb_per_s")
_SPANS = ("overhead_us", "vector_overhead_us", "view_us", "run_us", "switch_us")
_LEAST_COST = 0.01
GUESSES = {"half_outputs": 8.0, "half_depth": 8.0, "half_positions": 8.0, "overhead_us": 3.0}


def learn(samples: Sequence[Sample], device: Device) -> Device:
    """The device with attainable figures and cost tables that fit the samples."""
    memory = chosen(samples, MEMORY)
    start = device.attainable.sets[0]
    names = ("run_us", "vector_overhead_us", "view_us", "bandwidth_gb_per_s")
    guesses = {name: max(float(getattr(start, name)), 1.0) for name in names}
    if memory:
        device = with_set(device, search(Problem(memory, device), start, guesses))
    for form, beginnings in MOVED.items():
        device = _learn_cost(samples, device, "move_cost", form, beginnings)
    for form, beginnings in COMPUTED.items():
        device = _learn_cost(samples, device, "vector_cost", form, beginnings)
    device = _learn_weights(samples, device)
    for _ in range(2):
        for kernel_class, beginnings, figures in CLASSES:
            device = _learn_class(samples, device, kernel_class, beginnings, figures)
        for form, beginnings in BETWEEN_INTEGERS.items():
            device = _learn_cost(samples, device, "vector_cost", form, beginnings)
        for form, beginnings in BETWEEN.items():
            device = _learn_cost(samples, device, "move_cost", form, beginnings)
    return device


def in_networks(errors: Mapping[str, float]) -> tuple[float, dict[str, float]]:
    """How much longer kernels take among others than in benchmarks, and each network's error without its own say.

    `errors` are predicted over measured, less one, by network: the factor is the median of what they lack.
    """
    lacking = {name: 1 / (1 + error) for name, error in errors.items()}
    if not lacking:
        return 1.0, {}
    others = {name: [f for other, f in lacking.items() if other != name] or [1.0] for name in lacking}
    left_out = {name: float(np.median(others[name])) * (1 + error) - 1 for name, error in errors.items()}
    return float(np.median(list(lacking.values()))), left_out


def slowed(device: Device, factor: float) -> Device:
    """The device on which everything takes so many times as long."""
    start = device.attainable.sets[0]
    rates = dict.fromkeys((*_RATES, *KERNEL_CLASSES), 1 / factor)
    scales = rates | dict.fromkeys(_SPANS, factor)
    known = {name: getattr(start, name, None) for name in scales}
    changed = {name: scales[name] * figure for name, figure in known.items() if figure is not None}
    shapes = {
        name: msgspec.structs.replace(shape, overhead_us=shape.overhead_us * factor)
        for name, shape in start.shapes.items()
        if shape.overhead_us is not None
    }
    return with_set(device, msgspec.structs.replace(start, **changed, shapes=start.shapes | shapes))


def chosen(samples: Sequence[Sample], beginnings: Sequence[str]) -> list[Sample]:
    """The samples whose names begin so."""
    return [sample for sample in samples if sample.name.startswith(tuple(beginnings))]


def with_set(device: Device, parameters: ParameterSet) -> Device:
    """The device with this one parameter set."""
    attainable = msgspec.structs.replace(device.attainable, sets=[parameters])
    return msgspec.structs.replace(device, attainable=attainable)


def _learn_cost(samples: Sequence[Sample], device: Device, table: str, form: str, beginnings: Sequence[str]) -> Device:
    found = chosen(samples, beginnings)
    if not found:
        return device
    names = (form, *KIN.get(form, ()))
    tried = []
    for half in _RUNS if form in SHORT else (0.0,):
        changed = device
        for name in names if half else ():
            changed = with_cost(changed, "short_runs", name, half)
        cost = max(scan(found, changed, table, form), _LEAST_COST)
        for name in names:
            changed = with_cost(changed, table, name, cost)
        tried.append((float(loss(Problem(found, changed).errors(changed.attainable.sets))[0]), half, changed))
    return min(tried, key=lambda one: one[:2])[2]


def _learn_weights(samples: Sequence[Sample], device: Device) -> Device:
    """How fast weights come that the cache does not keep from run to run."""
    found = chosen(samples, WEIGHTS)
    start = device.attainable.sets[0]
    if not found or device.weight_memory is None:
        return device
    guesses = {"stream_gb_per_s": float(start.stream_gb_per_s or start.bandwidth_gb_per_s), "gemm": float(start.gemm)}
    return with_set(device, search(Problem(found, device), start, guesses))


def _learn_class(
    samples: Sequence[Sample], device: Device, kernel_class: str, beginnings: Sequence[str], figures: Sequence[str]
) -> Device:
    found = chosen(samples, beginnings)
    if not found:
        return device
    start = device.attainable.sets[0]
    old = start.shapes.get(kernel_class)  # type: ignore[call-overload]
    guesses = {kernel_class: getattr(start, kernel_class) or start.conv}
    for figure in figures:
        known = getattr(old, figure) if old is not None else None
        guesses[f"{kernel_class}.{figure}"] = GUESSES[figure] if known is None else known
    return with_set(device, search(Problem(found, device), start, guesses))
