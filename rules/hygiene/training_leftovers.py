"""A model exported in training mode, or with its loss.

## What it does
Finds BatchNormalization that normalizes by the batch's own statistics, Dropout that drops, and losses, gradients and
optimizer steps.

## Why it costs
Deployed, a Dropout that drops gives another answer at every run, and a BatchNormalization in training mode one that
hangs on what else is in the batch; neither folds into the convolution before it. A loss needs labels that nobody has
on the device. It is a mistake of the export far more often than wish: `torch.nn.functional.dropout(x)` drops by
default, whatever `eval()` says.

## How to fix
Call `model.eval()` before the export and write `F.dropout(x, training=self.training)`; export what predicts, without
the loss. The outputs change, and are meant to: the price is of the same graph in inference mode.
Silent where a Dropout's mode is data (decided at run time).
"""

from __future__ import annotations

from collections.abc import Iterator

from onnxlint.finding import Declare, Edit, Finding, Fix, Insert, Reconnect, Remove
from onnxlint.graph import Graph, Node
from onnxlint.no_ops import Known, is_training_dropout
from onnxlint.patterns.convolutions import attributes_of
from onnxlint.rule import Context, Invalid, Rule, Valid
from onnxlint.units import plural

RULE = Rule(code="GRF007", name="training-leftovers", severity="warning")
_TRAINING_DOMAIN = "ai.onnx.preview.training"
_LOSSES = frozenset({"SoftmaxCrossEntropyLoss", "NegativeLogLikelihoodLoss"})


def check(ctx: Context) -> Iterator[Finding]:
    """One finding for the modes, one for losses, gradients and optimizers."""
    graph, known = ctx.graph, Known(ctx.graph, not ctx.assumed)
    dropouts = [n for n in graph.compute_nodes if _is(n, "Dropout") and is_training_dropout(known, n)]
    norms = [n for n in graph.compute_nodes if _is(n, "BatchNormalization") and _trains(n)]
    if dropouts or norms:
        kinds = [plural(len(norms), "BatchNormalization")] if norms else []
        kinds += [plural(len(dropouts), "Dropout")] if dropouts else []
        edits = [edit for node in norms for edit in _normalizing(graph, node)]
        edits += [edit for node in dropouts for edit in (Remove(node.key), Reconnect(node.outputs[0], node.inputs[0]))]
        nodes = [*norms, *dropouts]
        yield Finding(
            message=f"{' and '.join(kinds)} {'is' if len(nodes) == 1 else 'are'} in training mode",
            suggestion="Export the model in eval() mode; functional dropout wants training=self.training.\n"
            "As it is, the answer changes from run to run or with the rest of the batch.",
            nodes=tuple(node.key for node in nodes),
            places=len(nodes),
            fixes=(Fix("exported in inference mode", "advice", tuple(edits)),),
            severity="warning",
        )
    losses = [n for n in graph.compute_nodes if _is(n, *_LOSSES) or n.domain == _TRAINING_DOMAIN]
    if losses:
        yield Finding(
            message=f"{plural(len(losses), 'operator')} of training: "
            f"{', '.join(sorted({node.op_type for node in losses}))}",
            suggestion="Export what predicts, without the loss and its labels.",
            nodes=tuple(node.key for node in losses),
            places=len(losses),
            severity="warning",
        )


def _is(node: Node, *operators: str) -> bool:
    return not node.domain and node.op_type in operators and bool(node.inputs and node.inputs[0])


def _trains(node: Node) -> bool:
    """Until opset 14 (6 in the oldest form), the further outputs or `is_test` say it."""
    if node.version >= 14:
        return bool(node.attr("training_mode", 0))
    if node.version < 7:
        return not node.attr("is_test", 0)
    return any(node.outputs[1:])


def _normalizing(graph: Graph, node: Node) -> Iterator[Edit]:
    """The same normalization by the running statistics; what else it wrote is what it was given."""
    attributes = tuple((name, value) for name, value in attributes_of(node) if name != "training_mode")
    yield Remove(node.key)
    yield Declare(node.outputs[0], graph.type_of(node.inputs[0]))
    yield Insert(node.op_type, node.inputs, node.outputs[:1], attributes)
    for written, given in zip(node.outputs[1:3], node.inputs[3:5], strict=False):
        if written and given:
            yield Reconnect(written, given)


VALID = [
    Valid(
        """
        inference (float[1,8,4,4] x) => (float[1,8,4,4] y)
        <float[8] scale, float[8] offset, float[8] mean, float[8] variance, float ratio = {0.5}, bool mode = {0}> {
          a = BatchNormalization(x, scale, offset, mean, variance)
          y = Dropout(a, ratio, mode)
        }
        """
    )
]
INVALID = [
    Invalid(
        """
        <ir_version: 8, opset_import: ["" : 17]>
        training (float[4,8,4,4] x) => (float[4,8,4,4] y)
        <float[8] scale, float[8] offset, float[8] mean, float[8] variance, float ratio = {0.5}, bool mode = {1}> {
          a, running_mean, running_variance = BatchNormalization<training_mode = 1>(x, scale, offset, mean, variance)
          b = Relu(a)
          y = Dropout(b, ratio, mode)
        }
        """,
        places=2,
        severity="warning",
    ),
    Invalid(
        """
        <ir_version: 8, opset_import: ["" : 17]>
        loss (float[4,10] x, int64[4] labels) => (float l) {
          l = SoftmaxCrossEntropyLoss(x, labels)
        }
        """,
        severity="warning",
    ),
]
