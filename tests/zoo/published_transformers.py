"""Published counts of the networks with attention."""

from __future__ import annotations

from functools import partial

from .bert import bert_base, distilbert, tinybert_4l_312
from .efficientformer import efficientformer_l1
from .mobileformer import mobileformer_294m
from .network import Network
from .vit import mobilevit, vit_tiny

TRANSFORMERS: dict[str, Network] = {
    "vit_tiny": Network(
        vit_tiny,
        5_717_416,
        1_253_683_200,
        "arXiv 2012.12877, table 1; timm vit_tiny_patch16_224 and deit_tiny_patch16_224",
        note="the paper prints 5 million; attention products included",
    ),
    "mobilevit_xs": Network(
        partial(mobilevit, "xs"),
        2_317_848,
        1_025_911_808,
        "arXiv 2110.02178; timm mobilevit_xs",
        note="the paper prints 2.3 million",
    ),
    "mobilevit_s": Network(
        partial(mobilevit, "s"),
        5_578_632,
        2_000_831_488,
        "arXiv 2110.02178; timm mobilevit_s",
        note="the paper prints 5.6 million",
    ),
    "mobileformer_294m": Network(
        mobileformer_294m,
        11_422_648,
        286_732_160,
        "arXiv 2108.05895; the authors' mobile_former_294m",
        macs_tolerance=0.00013,
        note="the paper prints 11.4 million and 294 million; the authors' code counts 36,864 more than the count here, "
        "which leaves out the products of the initial tokens, for they are constant",
    ),
    "efficientformer_l1": Network(
        efficientformer_l1,
        12_289_928,
        1_291_284_736,
        "arXiv 2206.01191, table 1; timm efficientformer_l1",
        note="the paper prints 12.3 million and 1.3 billion",
    ),
    "bert_base": Network(
        bert_base,
        109_482_240,
        11_174_215_680,
        "arXiv 1810.04805; Hugging Face bert-base-uncased with pooler, 128 tokens",
        note="the paper prints 110 million; TinyBERT's paper 22.5 billion operations, two per multiply-accumulate",
    ),
    "distilbert": Network(
        distilbert,
        66_362_880,
        5_586_812_928,
        "arXiv 1910.01108; Hugging Face distilbert-base-uncased, 128 tokens",
        note="the paper prints 66 million",
    ),
    "tinybert_4l_312": Network(
        tinybert_4l_312,
        14_350_248,
        623_737_920,
        "arXiv 1909.10351, table 1; Hugging Face TinyBERT_General_4L_312D, 128 tokens",
        note="the paper prints 14.5 million and 1.2 billion operations, two per multiply-accumulate",
    ),
}
