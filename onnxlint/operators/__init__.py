"""One small cost function per operator, by family; importing this package fills the registry."""

from onnxlint.operators import attention as attention
from onnxlint.operators import classical as classical
from onnxlint.operators import contrib as contrib
from onnxlint.operators import convolution as convolution
from onnxlint.operators import decoder as decoder
from onnxlint.operators import matmul as matmul
from onnxlint.operators import normalization as normalization
from onnxlint.operators import pooling as pooling
from onnxlint.operators import quantized as quantized
from onnxlint.operators import recurrent as recurrent
from onnxlint.operators import reduction as reduction
from onnxlint.operators.elementwise import ELEMENTWISE
from onnxlint.operators.movement import GENERATORS, MOVEMENT, VIEWS
from onnxlint.operators.positions import (
    RUNNING_STATISTICS,
    is_learnable_input,
    is_parameter_input,
    weights_per_element,
)
from onnxlint.operators.registry import CONTROL_FLOW, Call, CostFunction, Work, cost_function, why_unknown

__all__ = [
    "CONTROL_FLOW",
    "ELEMENTWISE",
    "GENERATORS",
    "MOVEMENT",
    "RUNNING_STATISTICS",
    "VIEWS",
    "Call",
    "CostFunction",
    "Work",
    "cost_function",
    "is_learnable_input",
    "is_parameter_input",
    "weights_per_element",
    "why_unknown",
]
