"""The order in which a machine is learnt: memory, then each operator's arithmetic, then the classes of products."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from onnxlint.calibrate.fit import Problem, Sample, scan, search, with_cost
from onnxlint.device import Device, ParameterSet

# table, form → the beginnings of the names of the benchmarks that teach it
MOVED: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("move_cost", "Transpose.last", ("transpose_1x96", "transpose_1x28", "transpose_1x64", "transpose_1x12", "transpose_1x784")),
    ("move_cost", "Transpose", ("transpose_1x197", "transpose_1x3x", "transpose_1x128", "transpose_64", "transpose_1x2x", "transpose_1x8")),
    ("move_cost", "Concat", ("concat_64",)),
    ("move_cost", "Concat.last", ("concat_last",)),
    ("move_cost", "Split", ("split_64",)),
    ("move_cost", "Slice", ("slice_64", "slice_last")),
    ("move_cost", "Gather", ("gather_64",)),
    ("move_cost", "Pad", ("pad_64",)),
    ("move_cost", "Where", ("where_",)),
)
COMPUTED: tuple[tuple[str, str, tuple[str, ...]], ...] = tuple(
    ("vector_cost", form, names)
    for form, names in (
        *((op, (f"{op.lower()}_64", f"{op.lower()}_96")) for op in ("Sigmoid", "Tanh", "HardSigmoid", "HardSwish")),
        *((op, (f"{op.lower()}_64", f"{op.lower()}_96")) for op in ("LeakyRelu", "Erf", "Exp", "Sqrt", "Softplus", "Elu")),
        *((op, (f"{op.lower()}_64", f"{op.lower()}_96")) for op in ("Abs", "Mul", "Sub", "Div", "Max", "Pow")),
        *((f"{op}.broadcast", (f"{op.lower()}_channel", f"{op.lower()}_row")) for op in ("Mul", "Add")),
        ("BatchNormalization", ("batchnorm",)),
        ("QuickGelu", ("silu",)),
        ("Gelu", ("gelu",)),
        ("LayerNormalization", ("layernorm",)),
        ("Softmax", ("softmax",)),
        ("GlobalAveragePool.plain", ()),
        ("GlobalAveragePool", ("globalaveragepool",)),
        ("ReduceMean", ("reducemean_64", "reducemean_96", "reducemean_512")),
        ("ReduceMean.last", ("reducemean_last",)),
        ("LRN", ("lrn",)),
        *((f"Resize.{mode}", (f"resize_{mode}",)) for mode in ("nearest", "linear", "cubic")),
        ("MaxPool", ("maxpool",)),
        ("AveragePool", ("averagepool",)),
    )
)
COPIES = ("Relu", "Neg", "Clip", "Cast", "Min", "Not", "Equal", "Greater", "Less", "And", "Or", "Expand", "Tile", "Identity")
CLASSES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("depthwise", ("depthwise",), ("half_depth", "half_positions", "overhead_us")),
    ("pointwise", ("conv1x1",), ("half_outputs", "half_depth", "half_positions", "overhead_us")),
    ("conv", ("conv3", "conv4", "conv5", "conv7", "conv11", "conv16", "conv2"), ("half_outputs", "half_depth", "half_positions", "overhead_us")),
    ("grouped", ("grouped",), ("half_outputs", "half_depth", "half_positions", "overhead_us")),
    ("lowered", ("grouped", "conv1x1_58", "conv3x3_18", "depthwise3x3s1_58"), ("half_outputs", "half_depth", "half_positions", "overhead_us")),
    ("gemm", ("matmul", "batched"), ("half_outputs", "half_depth", "half_positions", "overhead_us")),
    ("recurrent", ("lstm",), ()),
)
GUESSES = {"half_outputs": 4.0, "half_depth": 8.0, "half_positions": 8.0, "overhead_us": 3.0}


def learn(samples: Sequence[Sample], device: Device) -> Device:
    """The device with attainable figures and cost tables that fit the samples."""
    memory = chosen(samples, ("neg", "add_64", "add_96", "add_192", "add_16"))
    names = ("vector_overhead_us", "cache_gb_per_s", "cache_kib", "bandwidth_gb_per_s", "vector_gops")
    start = device.attainable.sets[0]
    guesses = {name: float(getattr(start, name)) for name in names[:-1]}
    device = with_set(device, search(Problem(memory, device), start, guesses))
    for table, form, beginnings in (*MOVED, *COMPUTED):
        device = _learn_cost(samples, device, table, form, beginnings)
    for _ in range(2):
        for kernel_class, beginnings, figures in CLASSES:
            device = _learn_class(samples, device, kernel_class, beginnings, figures)
        device = _learn_cost(samples, device, "move_cost", "LayoutConversion", ("convert", "maxpool", "averagepool"))
    return device


def chosen(samples: Sequence[Sample], beginnings: Sequence[str]) -> list[Sample]:
    """The samples whose names begin so."""
    return [sample for sample in samples if sample.name.startswith(tuple(beginnings))]


def with_set(device: Device, parameters: ParameterSet) -> Device:
    """The device with this one parameter set."""
    attainable = msgspec.structs.replace(device.attainable, sets=[parameters])
    return msgspec.structs.replace(device, attainable=attainable)


def _learn_cost(samples: Sequence[Sample], device: Device, table: str, form: str, beginnings: Sequence[str]) -> Device:
    found = chosen(samples, beginnings)
    return with_cost(device, table, form, scan(found, device, table, form)) if found and beginnings else device


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
