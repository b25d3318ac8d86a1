"""ai.onnx.ml (trees, support vectors, encoders), strings, and the optimizers of ai.onnx.preview.training."""

from __future__ import annotations

from onnxlint.operators.elementwise import DIV, EXP, POW, SQRT, TANH
from onnxlint.operators.movement import copy, gather
from onnxlint.operators.normalization import SOFTMAX
from onnxlint.operators.registry import CONTRIB, ML, TRAINING, Call, Work, costs, no_cost

_STRINGS = "it works on strings, whose lengths are data"
no_cost(_STRINGS, "StringConcat", "StringNormalizer", "StringSplit", "RegexFullMatch")
no_cost(_STRINGS, "Tokenizer", domain=CONTRIB)
no_cost("its input is a map, whose size is data", "CastMap", "DictVectorizer", domain=ML)
no_cost("its cost is that of the subgraph that it differentiates", "Gradient", domain=TRAINING)


def _lookup(entries: int) -> int:
    """Comparisons of a binary search."""
    return max(entries, 1).bit_length()


@costs("CategoryMapper", "LabelEncoder", domain=ML)
def label_encoder(call: Call) -> Work:
    """A search among the keys per element."""
    keys = max(
        (
            len(found)
            for name in call.attributes
            if name.startswith(("keys_", "cats_")) and _is_list(found := call.attr(name))
        ),
        default=1,
    )
    return Work(other_flops=call.size(0) * _lookup(keys))


def _is_list(value: object) -> bool:
    return isinstance(value, list)


@costs("TfIdfVectorizer")
def tfidf_vectorizer(call: Call) -> Work:
    """Every n-gram of the input (lengths and skips by attribute) is searched in the pool and counted."""
    lengths = call.number("max_gram_length", 1) - call.number("min_gram_length", 1) + 1
    pool = len(call.attr("pool_int64s") or call.attr("pool_strings") or ())
    searches = call.size(0) * max(lengths, 1) * (call.number("max_skip_count") + 1)
    return Work(other_flops=searches * (_lookup(pool) + 1))


@costs("Binarizer", "Imputer", domain=ML)
def compare(call: Call) -> Work:
    """One comparison per element."""
    return Work(other_flops=call.size(0))


@costs("Scaler", domain=ML)
def scaler(call: Call) -> Work:
    """(x - offset)·scale."""
    return Work(other_flops=2 * call.size(0))


@costs("Normalizer", domain=ML)
def normalizer(call: Call) -> Work:
    """Magnitude or square, sum, and the product with the norm's reciprocal."""
    return Work(other_flops=3 * call.size(0))


@costs("OneHotEncoder", domain=ML)
def one_hot_encoder(call: Call) -> Work:
    """One comparison per category."""
    categories = len(call.attr("cats_int64s") or call.attr("cats_strings") or ())
    return Work(other_flops=call.size(0) * categories)


costs("FeatureVectorizer", domain=ML)(copy)
costs("ArrayFeatureExtractor", domain=ML)(gather)


@costs("ZipMap", domain=ML)
def zip_map(call: Call) -> Work:
    """Scores (N, classes) become one map per sample."""
    return Work(writes={0: call.size(0)})


def _samples(call: Call) -> tuple[int, int]:
    """Samples and features of (N, F); (F) is one sample."""
    dims = call.dims(0)
    return (1, dims[0]) if len(dims) == 1 else (dims[0], dims[1])


_TRANSFORM = {"LOGISTIC": EXP + DIV + 1, "SOFTMAX": SOFTMAX, "SOFTMAX_ZERO": SOFTMAX, "PROBIT": EXP + POW}


def _transform(call: Call) -> int:
    return _TRANSFORM.get(call.text("post_transform", "NONE"), 0)


@costs("LinearClassifier", "LinearRegressor", domain=ML)
def linear(call: Call) -> Work:
    """(N, F) times the coefficients (classes or targets, F), an intercept and a transform per score."""
    samples, features = _samples(call)
    weights = len(call.attr("coefficients") or ())
    scores = samples * (weights // max(features, 1))
    return Work(samples * weights, scores * (1 + _transform(call)))


@costs("SVMClassifier", "SVMRegressor", domain=ML)
def support_vectors(call: Call) -> Work:
    """A dot product (or distance) with every support vector (V, F), the kernel's function, then the coefficients.

    Without support vectors it is linear: the coefficients are the weights.
    """
    samples, features = _samples(call)
    coefficients = len(call.attr("coefficients") or ())
    vectors = len(call.attr("support_vectors") or ()) // max(features, 1)
    kernel = {"POLY": POW + 2, "RBF": EXP + 1 + features, "SIGMOID": TANH + 2}.get(
        call.text("kernel_type", "LINEAR"), 0
    )
    return Work(samples * (vectors * features + coefficients), samples * (vectors * kernel + _transform(call)))


@costs("TreeEnsemble", "TreeEnsembleClassifier", "TreeEnsembleRegressor", domain=ML)
def tree_ensemble(call: Call) -> Work:
    """Per sample and tree one comparison per level and one sum: a tree of n nodes counts as balanced, log2(n) deep."""
    samples, _ = _samples(call)
    ids = call.attr("nodes_treeids")
    if ids is not None:
        trees, nodes = len(set(ids)), len(ids)
    else:
        trees = len(call.attr("tree_roots") or ())
        nodes = 2 * len(call.attr("nodes_featureids") or ()) + trees  # its leaves are listed apart
    depth = (nodes // max(trees, 1)).bit_length() - 1 if nodes else 0
    return Work(other_flops=samples * trees * (max(depth, 0) + 1) + samples * _transform(call))


_STEPS = {"Adagrad": 5 + SQRT + DIV, "Adam": 10 + SQRT + DIV, "Momentum": 5}


@costs("Adagrad", "Adam", "Momentum", domain=TRAINING)
def optimizer(call: Call) -> Work:
    """Inputs rate, step, then tensors, gradients and states: so many FLOPs per element of each updated tensor.

    Adagrad: regularize 2, square, sum, root, division, rate. Adam: two running means of 3 and 4. Momentum: 5.
    """
    outputs = 3 if call.op_type == "Adam" else 2
    updated = sum(call.out_size(i) for i in range(len(call.outputs) // outputs))
    return Work(other_flops=updated * _STEPS[call.op_type])
