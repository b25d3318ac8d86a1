"""What is left of com.microsoft, and why some operators have no cost."""

from __future__ import annotations

from onnxlint.operators.elementwise import DIV
from onnxlint.operators.registry import CONTRIB, CONTROL_FLOW, Call, Work, costs, no_cost

no_cost("it is costed from its body", *CONTROL_FLOW)
no_cost("it decodes a compressed stream: its work depends on the bytes", "ImageDecoder")
no_cost(
    "it runs its decoder until an end token: the number of steps is data",
    *("BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch"),
    domain=CONTRIB,
)
no_cost("it holds a program compiled for one accelerator", "EPContext", "Snpe", domain=CONTRIB)
no_cost("its context lengths are data: block tables and sequence lengths", "PagedAttention", domain=CONTRIB)
no_cost(
    "which keys it selects or attends to, and how many, is data",
    *("DynamicSparseAttention", "SparsePagedAttention", "SparseAttentionIndexer", "PackedSparseAttentionIndexer"),
    domain=CONTRIB,
)
no_cost("where two token sequences part is data", "BifurcationDetector", domain=CONTRIB)
no_cost(
    "it is a TensorRT plugin, whose algorithm ONNX does not define",
    *("DisentangledAttention_TRT", "EfficientNMS_TRT", "MultilevelCropAndResize_TRT", "PyramidROIAlign_TRT"),
)


@costs("NGramHashMapping", "VarlenNGramHashMapping", domain=CONTRIB)
def ngram_hash_mapping(call: Call) -> Work:
    """Per hash a product and an exclusive or for each token of its n-gram, then a remainder."""
    return Work(other_flops=call.out_size() * (2 * call.number("max_ngram_size", 2) + DIV))


@costs("SampleOp", domain=CONTRIB)
def sample_op(call: Call) -> Work:
    """An example operator that copies its input."""
    return Work()
