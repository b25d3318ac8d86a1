"""Point-wise operators: FLOPs per output element, and no MACs.

An addition, product, comparison, rounding or selection is one FLOP, a cast none. The other numbers count the float32
algorithm that ONNX Runtime's MLAS runs on a CPU (mlas/lib: compute.cpp, tanh.cpp, logistic.cpp, erf.cpp), a fused
multiply-add as two; a division or square root weighs four, as in the Livermore kernels' convention (McMahon, 1986),
since it runs at about a quarter of the rate of an addition on GPUs and CPUs alike. What MLAS has no kernel for counts
as exp.
"""

from __future__ import annotations

from onnxlint.operators.registry import CONTRIB, NHWC, Call, CostFunction, Work, costs

DIV = SQRT = 4
EXP = 23  # clamp 2, range reduction 7, polynomial of degree 6 12, two scalings 2
TANH = 26  # clamp 2, square 1, rational of degree 13/6 19, division 4
SIGMOID = 29  # clamp 2, square 1, rational of degree 9/10 19, division 4, add 1, clamp 2
ERF = 51  # both branches are always evaluated: 12 and 14 of polynomial, exp 20, range and selection 5
LOG = SIN = COS = EXP
POW = EXP + LOG + 1
ERF_GELU = ERF + 4  # x/sqrt(2), erf, +1, times x, times 0.5
TANH_GELU = TANH + 8  # 0.5x(1 + tanh(0.797(x + 0.0447x^3)))

_FLOPS = {
    **dict.fromkeys(("Abs", "Neg", "Sign", "Floor", "Ceil", "Round", "Not", "BitwiseNot", "Relu", "IsInf", "IsNaN"), 1),
    **dict.fromkeys(("Add", "Sub", "Mul", "And", "Or", "Xor", "Equal", "Greater", "GreaterOrEqual"), 1),
    **dict.fromkeys(("Less", "LessOrEqual", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Where"), 1),
    "Cast": 0,
    "LeakyRelu": 2,
    "PRelu": 2,
    "ThresholdedRelu": 1,
    "Shrink": 2,
    "HardSigmoid": 4,  # multiply, add, clamp
    "HardSwish": 5,
    "Div": DIV,
    "Mod": DIV + 2,  # x - y·floor(x/y)
    "Reciprocal": DIV,
    "Sqrt": SQRT,
    "Exp": EXP,
    "Log": LOG,
    "Erf": ERF,
    "Sigmoid": SIGMOID,
    "Tanh": TANH,
    **dict.fromkeys(("Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh"), EXP),
    "Softplus": EXP + LOG + 1,
    "Softsign": DIV + 2,
    "Mish": EXP + LOG + 1 + TANH + 1,
    "Elu": EXP + 3,
    "Celu": EXP + DIV + 3,
    "Selu": EXP + 4,
    "Swish": SIGMOID + 2,  # x·sigmoid(alpha·x)
    "SwiGLU": SIGMOID + 3,
}

ELEMENTWISE = frozenset({*_FLOPS, "CastLike", "Clip", "Pow", "Max", "Min", "Sum", "Mean", "Gelu"})
"""Operators of the default domain that compute each output element from the input elements at its place."""

_NAMED = {"silu": SIGMOID + 1, "quickgelu": SIGMOID + 2, "gelu": ERF_GELU, "fastgelu": TANH_GELU, "clip": 2}
_NAMED |= {name.lower(): flops for name, flops in _FLOPS.items()}
_NAMED |= {"swish": SIGMOID + 1, "swiglu": SIGMOID + 1, "affine": 2, "scaledtanh": TANH + 2}


def activation_flops(name: str) -> int:
    """FLOPs per element of the activation that a fused operator names; 0 for none, 1 for one that is not known."""
    return 0 if name.lower() in ("", "none", "identity") else _NAMED.get(name.lower(), 1)


def pointwise(flops: int) -> CostFunction:
    """This many FLOPs per element of the first output."""
    return lambda call: Work(other_flops=flops * call.out_size())


for _name, _flops in _FLOPS.items():
    costs(_name)(pointwise(_flops))


@costs("CastLike")
def cast_like(call: Call) -> Work:
    """A cast; of the second input only the type matters."""
    return Work(reads={1: 0})


@costs("Clip")
def clip(call: Call) -> Work:
    """One FLOP per element; the bounds are scalars (attributes before opset 11)."""
    return Work(other_flops=call.out_size())


@costs("Pow")
def power(call: Call) -> Work:
    """exp(y·log(x)); a constant exponent of 1, 2, 3, 0.5 or -1 is done by products, a root or a division."""
    exponent = call.value(1)
    known = {0.0: 0, 1.0: 0, 2.0: 1, 3.0: 2, 0.5: SQRT, -1.0: DIV, -0.5: SQRT + DIV}
    flops = known.get(float(exponent.reshape(-1)[0]), POW) if exponent is not None and exponent.size == 1 else POW
    return Work(other_flops=flops * call.out_size())


@costs("Max", "Min", "Sum")
def variadic(call: Call) -> Work:
    """One FLOP per output element and further operand."""
    return Work(other_flops=call.out_size() * max(len(call.inputs) - 1, 0))


@costs("Mean")
def mean(call: Call) -> Work:
    """The sum of the operands, and one product."""
    return Work(other_flops=call.out_size() * len(call.inputs))


@costs("Gelu")
def gelu(call: Call) -> Work:
    """x/2·(1 + erf(x/√2)), or its tanh approximation."""
    return Work(other_flops=call.out_size() * (TANH_GELU if call.text("approximate") == "tanh" else ERF_GELU))


@costs("BatchNormalization")
@costs("BatchNormalization", domain=NHWC)
def batch_normalization(call: Call) -> Work:
    """One scale and one shift per element: the statistics are constants in inference. Training counts as LayerNorm."""
    return Work(other_flops=call.out_size() * (7 if call.number("training_mode") else 2))


@costs("Trilu")
@costs("Trilu", domain=CONTRIB)
def trilu(call: Call) -> Work:
    """Half is copied, half is zero; no arithmetic."""
    return Work(reads={0: -(-call.out_size() // 2), 1: 0})


costs("QLinearAdd", "QLinearMul", "MulInteger", domain=CONTRIB)(pointwise(1))
costs("QLinearWhere", domain=CONTRIB)(pointwise(1))
costs("QLinearSigmoid", domain=CONTRIB)(pointwise(SIGMOID))
costs("QLinearLeakyRelu", domain=CONTRIB)(pointwise(2))
costs("Gelu", "QOrderedGelu", domain=CONTRIB)(pointwise(ERF_GELU))
costs("QuickGelu", domain=CONTRIB)(pointwise(SIGMOID + 2))
costs("BiasGelu", domain=CONTRIB)(pointwise(ERF_GELU + 1))
costs("BiasSplitGelu", domain=CONTRIB)(pointwise(ERF_GELU + 3))  # two biases, gelu of one half, product
costs("BiasAdd", domain=CONTRIB)(pointwise(2))  # bias and skip
costs("ScaledSiLU", domain=CONTRIB)(pointwise(SIGMOID + 2))
costs("GatedAdd", domain=CONTRIB)(pointwise(2))
costs("ComplexMul", "ComplexMulConj", domain=CONTRIB)(pointwise(3))  # six per complex number, which is two elements
costs("MurmurHash3", domain=CONTRIB)(pointwise(20))  # two rounds of multiply, rotate, xor and the final mix
costs("Affine", "ImageScaler")(pointwise(2))
costs("Scale")(pointwise(1))
costs("ScaledTanh")(pointwise(TANH + 2))
costs("ParametricSoftplus")(pointwise(EXP + LOG + 3))
costs("GRUUnit")(pointwise(2 * SIGMOID + TANH + 5))


@costs("FastGelu", domain=CONTRIB)
def fast_gelu(call: Call) -> Work:
    """Gelu's tanh approximation, of the input plus a bias where there is one."""
    return Work(other_flops=call.out_size() * (TANH_GELU + int(call.has(1))))


@costs("BiasDropout", "BitmaskBiasDropout", domain=CONTRIB)
def bias_dropout(call: Call) -> Work:
    """Bias and residual in inference."""
    return Work(other_flops=call.out_size() * (1 + int(call.has(2))), reads={3: 0, 4: 0})


@costs("LinearAttentionGate", domain=CONTRIB)
def linear_attention_gate(call: Call) -> Work:
    """decay = scale·softplus(a + bias), beta = sigmoid(b)."""
    beta = SIGMOID * call.size(3) if call.has(3) else 0
    return Work(other_flops=call.size(0) * (EXP + LOG + 3) + beta)
