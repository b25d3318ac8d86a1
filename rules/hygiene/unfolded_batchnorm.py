"""A BatchNormalization behind a convolution that is not folded into it.

## What it does
Finds BatchNormalization, or its spelling as Mul and Add with one constant a channel, behind a Conv, ConvTranspose, Gemm
or MatMul with constant weights that feeds nothing else: the layer scale of CaiT, BEiT and ConvNeXt is one, too.

## Why it costs
At inference BatchNormalization is a scale and an offset per channel, and a convolution is linear: the two are one
convolution with other weights (Jacob et al. 2018, arXiv 1712.05877, eq. 14). Left apart it is a launch and one pass
over the feature map more. ONNX Runtime (Conv + BatchNormalization fusion), TensorRT and most NPU toolchains fold it by
themselves, and so the price is near nothing there; what the graph is read by without such a pass pays for it all.

## How to fix
W' = W·γ/√(σ²+ε), b' = (b−μ)·γ/√(σ²+ε)+β: exact up to rounding. Export in `eval()` mode (PyTorch's exporter then folds
it), or run the file through a simplifier. A convolution of 64 channels loses 256 numbers and one pass.
Silent where a part of it does not run on the device (OPS001 offers the same), where the convolution's result has
another reader or is an output, where the weights are computed or quantized, and on a BatchNormalization before the
convolution (padding stands between).
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Finding, Fix
from onnxlint.graph import Node
from onnxlint.patterns.affine import affine_behind, folded
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural

RULE = Rule(code="GRF001", name="unfolded-batchnorm", severity="warning")


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for all of them."""
    graph = ctx.graph
    found = [(node, behind) for node in graph.compute_nodes if (behind := affine_behind(graph, node))]
    found = [(node, behind) for node, behind in found if not any(_leaves(ctx, follower) for follower in behind)]
    if not found:
        return
    nodes = [follower for _, behind in found for follower in behind]
    normalized = sum(any(n.op_type == "BatchNormalization" for n in behind) for _, behind in found)
    what = "BatchNormalization" if normalized else "scale"
    more = f" ({len(found) - normalized} spelled as Mul and Add)" if 0 < normalized < len(found) else ""
    kernels = {ctx.analysis.kernel_of[node.key] for node, _ in found}
    fused = all(ctx.analysis.kernel_of[node.key] in kernels for node in nodes)
    by_itself = f" {ctx.device.name} runs them as one already: the file is smaller, not faster." if fused else ""
    yield Finding(
        message=f"{plural(len(found), what)} behind a convolution or product {'is' if len(found) == 1 else 'are'} "
        f"not folded{more}",
        suggestion=f"Fold each into weights and bias: {plural(len(nodes), 'operator')} fewer, same outputs "
        f"(export in eval mode).{by_itself}",
        nodes=tuple(node.key for node in nodes),
        places=len(found),
        fixes=(
            Fix(
                f"{plural(len(nodes), 'operator')} folded into the weights before",
                "exact",
                tuple(edit for node, behind in found for edit in folded(graph, node, behind)),
            ),
        ),
    )


def _leaves(ctx: Context, node: Node) -> bool:
    return ctx.support(node).status == "unsupported"


_NORMALIZED = """
unfolded (float[1,64,56,56] x) => (float[1,64,56,56] y)
<float[64,64,3,3] w, float[64] scale, float[64] offset, float[64] mean, float[64] variance> {
  a = Conv<pads = [1, 1, 1, 1]>(x, w)
  b = BatchNormalization(a, scale, offset, mean, variance)
  y = Relu(b)
}
"""
VALID = [
    Valid(
        """
        two_readers (float[1,64,56,56] x) => (float[1,64,56,56] y)
        <float[64,64,1,1] w, float[64] scale, float[64] offset, float[64] mean, float[64] variance> {
          a = Conv(x, w)
          b = BatchNormalization(a, scale, offset, mean, variance)
          y = Add(a, b)
        }
        """
    ),
    Valid(
        """
        before (float[1,64,56,56] x) => (float[1,64,56,56] y)
        <float[64,64,3,3] w, float[64] scale, float[64] offset, float[64] mean, float[64] variance> {
          a = BatchNormalization(x, scale, offset, mean, variance)
          b = Relu(a)
          y = Conv<pads = [1, 1, 1, 1]>(b, w)
        }
        """
    ),
    Valid(
        """
        bias (float[1,64,56,56] x) => (float[1,64,56,56] y) <float[64,64,1,1] w, float[1,64,1,1] b> {
          a = Conv(x, w)
          y = Add(a, b)
        }
        """
    ),
]
INVALID = [
    Invalid(_NORMALIZED, device="t4", severity="info"),
    Invalid(
        """
        spelled (float[1,64,56,56] x) => (float[1,64,56,56] y)
        <float[64,64,1,1] w, float[64,1,1] scale, float[1,64,1,1] offset> {
          a = Conv(x, w)
          b = Mul(scale, a)
          c = Add(b, offset)
          y = Sigmoid(c)
        }
        """,
        device="cortex-a76",
    ),
]
