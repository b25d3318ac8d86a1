"""Operators that move elements and compute nothing: what they read and write, and no FLOPs.

A view gives its input another shape and moves nothing. What selects a part of its input reads that part. Inputs that
say where (shapes, axes, starts) are read by the host when it plans, so they move nothing either; indices are data.
"""

from __future__ import annotations

from onnxlint.operators.registry import CONTRIB, NCHWC, NHWC, Call, Work, costs

VIEWS = frozenset(
    {
        *("Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "Dropout", "BitCast"),
        *("Optional", "OptionalGetElement", "OptionalHasElement", "SequenceConstruct", "SequenceEmpty", "SequenceAt"),
        *("SequenceInsert", "SequenceErase", "SequenceLength"),
    }
)
"""Operators of the default domain whose result is their input's memory (Dropout: in inference)."""

GENERATORS = frozenset(
    {
        *("Constant", "ConstantOfShape", "Range", "EyeLike", "Shape", "Size", "BlackmanWindow", "HammingWindow"),
        *("HannWindow", "MelWeightMatrix", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
    }
)
"""Operators of the default domain that read no data: they write a constant, a ramp, a window or noise."""

MOVEMENT = VIEWS | frozenset(
    {
        *("Transpose", "Concat", "Slice", "Split", "Gather", "GatherElements", "GatherND", "Pad", "Tile", "Expand"),
        *("Scatter", "ScatterElements", "ScatterND", "TensorScatter", "DepthToSpace", "SpaceToDepth", "Compress"),
        *("ReverseSequence", "OneHot", "CenterCropPad", "Trilu", "MaxUnpool", "SplitToSequence", "ConcatFromSequence"),
    }
)
"""Operators of the default domain that do no arithmetic; those among VIEWS do not even move."""


def view(call: Call) -> Work:
    """Nothing is moved: neither the data nor what states its new shape."""
    return Work(reads=dict.fromkeys(range(len(call.inputs)), 0), writes=dict.fromkeys(range(len(call.outputs)), 0))


costs(*(VIEWS - {"Dropout"}))(view)
costs("ExpandDims", domain=CONTRIB)(view)


@costs("Dropout")
@costs("BitmaskDropout", domain=CONTRIB)
def dropout(call: Call) -> Work:
    """The identity in inference; the mask, where asked for, is written."""
    return Work(reads={0: 0, 1: 0, 2: 0}, writes={0: 0})


def copy(call: Call) -> Work:
    """Every tensor is read whole and every result written whole; what says how is not moved."""
    return Work()


costs("Transpose", "Concat", "DepthToSpace", "SpaceToDepth", "MemcpyFromHost", "MemcpyToHost")(copy)
costs("DepthToSpace", "SpaceToDepth", domain=NHWC)(copy)
costs("ReorderInput", "ReorderOutput", domain=NCHWC)(copy)
costs("QuantizeWithOrder", "DequantizeWithOrder", "RemovePadding", "RestorePadding", domain=CONTRIB)(copy)


@costs("Split", "Pad", "Tile", "Expand", "ReverseSequence", "MaxUnpool")
@costs("Pad", domain=CONTRIB)
@costs("MaxUnpool", domain=NHWC)
def rearranged(call: Call) -> Work:
    """Input 0 is read whole (MaxUnpool: the indices too); the others only say how."""
    first = 2 if call.op_type == "MaxUnpool" else 1
    return Work(reads=dict.fromkeys(range(first, len(call.inputs)), 0))


@costs("Slice", "CenterCropPad", "Crop", "DynamicSlice")
def part(call: Call) -> Work:
    """Reads as much of input 0 as it writes; the others only say which part."""
    return Work(reads={0: call.touched(0, call.out_size()), **dict.fromkeys(range(1, len(call.inputs)), 0)})


@costs("Gather", "GatherElements", "GatherND")
@costs("GatherND", domain=CONTRIB)
def gather(call: Call) -> Work:
    """Reads what it writes (never more than the table), and the indices."""
    return Work(reads={0: call.touched(0, call.out_size())})


@costs("Compress")
def compress(call: Call) -> Work:
    """Reads the selected elements, and the condition."""
    return Work(reads={0: call.touched(0, call.out_size())})


@costs("TorchEmbedding", domain=CONTRIB)
def embedding(call: Call) -> Work:
    """Table (entries, width) and indices: reads the rows that it writes."""
    return Work(reads={0: call.touched(0, call.out_size()), 2: 0, 3: 0})


@costs("UnfoldTensor", domain=CONTRIB)
def unfold(call: Call) -> Work:
    """Overlapping windows: the input is read once, each window is written."""
    return Work()


@costs("Scatter", "ScatterElements", "ScatterND")
def scatter(call: Call) -> Work:
    """A copy of the data with the updates in their places; a reduction is one FLOP per update."""
    return Work(other_flops=call.size(2) if call.text("reduction", "none") != "none" else 0)


@costs("TensorScatter")
def tensor_scatter(call: Call) -> Work:
    """A cache updated in place: only the update is read and written."""
    return Work(reads={0: 0}, writes={0: call.size(1)})


@costs("OneHot")
def one_hot(call: Call) -> Work:
    """Indices are read, the encoding is written."""
    return Work(reads={1: 0, 2: 0})


def generate(call: Call) -> Work:
    """Reads nothing, writes its output."""
    return Work(reads=dict.fromkeys(range(len(call.inputs)), 0))


costs(*(GENERATORS - {"Shape", "Size"}), "GivenTensorFill")(generate)
costs("Range", domain=CONTRIB)(generate)


@costs("Shape", "Size")
def shape(call: Call) -> Work:
    """The host knows shapes: nothing is moved."""
    return Work(reads={0: 0}, writes={0: 0})


@costs("ConcatFromSequence")
def concat_from_sequence(call: Call) -> Work:
    """Reads the tensors of the sequence, which are what it writes."""
    return Work(reads={0: call.out_size()})


@costs("SplitToSequence")
def split_to_sequence(call: Call) -> Work:
    """Writes what it reads, in pieces."""
    return Work(reads={1: 0}, writes={0: call.size(0)})


@costs("RelativePositionBias", domain=CONTRIB)
def relative_position_bias(call: Call) -> Work:
    """Table (buckets, heads), output (1, heads, queries, keys): a gather by the distance's bucket."""
    return Work(reads={0: call.touched(0, call.out_size()), 1: 0, 2: 0})


@costs("Bernoulli")
def bernoulli(call: Call) -> Work:
    """One comparison with a random number per element."""
    return Work(other_flops=call.out_size())
