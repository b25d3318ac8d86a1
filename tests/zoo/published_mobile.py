"""Published counts of the convolutional networks for small devices."""

from __future__ import annotations

from functools import partial

from .classic import squeezenet
from .efficientnet import efficientnet_b0, fbnet_c
from .espnet import espnet_c
from .ghostnet import ghostnet
from .mobiledet import mobiledet
from .mobilenet import mobilenet_v1, mobilenet_v2, mobilenet_v3
from .nasnet import nasnet_mobile
from .network import Network
from .shufflenet import shufflenet_v1, shufflenet_v2

MOBILE: dict[str, Network] = {
    "squeezenet_1_0": Network(
        partial(squeezenet, "1.0"), 1_248_424, 818_924_576, "arXiv 1602.07360; torchvision squeezenet1_0"
    ),
    "squeezenet_1_1": Network(
        partial(squeezenet, "1.1"), 1_235_496, 349_151_936, "arXiv 1602.07360; torchvision squeezenet1_1"
    ),
    "mobilenet_v1": Network(
        mobilenet_v1,
        4_231_976,
        568_740_352,
        "arXiv 1704.04861, table 4; timm mobilenetv1_100",
        note="the paper prints 4.2 million and 569 million",
    ),
    "mobilenet_v2": Network(
        mobilenet_v2,
        3_504_872,
        300_774_272,
        "arXiv 1801.04381, table 4; torchvision mobilenet_v2",
        note="the paper prints 3.4 million and 300 million",
    ),
    "mobilenet_v3_large": Network(
        partial(mobilenet_v3, "large"),
        5_483_032,
        216_589_760,
        "arXiv 1905.02244; torchvision mobilenet_v3_large",
        note="the paper prints 5.4 million and 219 million",
    ),
    "mobilenet_v3_small": Network(
        partial(mobilenet_v3, "small"),
        2_542_856,
        56_510_400,
        "arXiv 1905.02244; torchvision mobilenet_v3_small",
        note="the paper prints 2.5 million and 56 million",
    ),
    "shufflenet_v1_g3": Network(
        partial(shufflenet_v1, 3),
        1_865_728,
        137_000_000,
        "arXiv 1707.01083, table 1 (137 MFLOPs); imgclsmob shufflenet_g3_w1 for the parameters",
        macs_tolerance=0.004,
        note="the paper rounds to millions",
    ),
    "shufflenet_v1_g8": Network(
        partial(shufflenet_v1, 8),
        2_434_768,
        137_000_000,
        "arXiv 1707.01083, table 1 (137 MFLOPs); imgclsmob shufflenet_g8_w1 for the parameters",
        macs_tolerance=0.011,
        note="the layers of the paper's table sum to 138.4 million, 1 % more than the table prints",
    ),
    "shufflenet_v2_x0_5": Network(
        partial(shufflenet_v2, 0.5),
        1_366_792,
        40_476_448,
        "arXiv 1807.11164; torchvision shufflenet_v2_x0_5",
        note="the authors print 1.4 million and 41 million",
    ),
    "shufflenet_v2_x1_0": Network(
        partial(shufflenet_v2, 1.0),
        2_278_604,
        144_907_992,
        "arXiv 1807.11164; torchvision shufflenet_v2_x1_0",
        note="the authors print 2.3 million and 146 million",
    ),
    "shufflenet_v2_x1_5": Network(
        partial(shufflenet_v2, 1.5),
        3_503_624,
        295_759_392,
        "arXiv 1807.11164; torchvision shufflenet_v2_x1_5",
        note="the authors print 3.5 million and 299 million",
    ),
    "ghostnet": Network(
        ghostnet,
        5_182_508,
        141_150_512,
        "arXiv 1911.11907, table 7; timm ghostnet_100",
        note="the paper prints 5.2 million and 141 million",
    ),
    "efficientnet_b0": Network(
        efficientnet_b0,
        5_288_548,
        385_814_752,
        "arXiv 1905.11946, table 2; torchvision efficientnet_b0",
        note="the paper prints 5.3 million and 0.39 billion",
    ),
    "fbnet_c": Network(
        fbnet_c,
        5_572_200,
        384_960_160,
        "arXiv 1812.03443, table 3; timm fbnetc_100",
        note="the paper prints 5.5 million and 375 million",
    ),
    "espnet_c": Network(
        espnet_c,
        349_449,
        3_470_155_776,
        "arXiv 1803.06815; the authors' ESPNet_Encoder with p=2, q=8 at 1024x512",
        note="the paper prints 0.36 million for the whole network, decoder included",
    ),
    "mobiledet_edgetpu": Network(
        partial(mobiledet, "edgetpu"),
        4_200_000,
        1_530_000_000,
        "arXiv 2004.14525; ssdlite_mobiledet_edgetpu_320x320 of the TensorFlow Object Detection API",
        params_tolerance=0.014,
        macs_tolerance=0.0033,
        note="the configuration prints 4.20 million and 1.53 billion; its parameters include the running mean and "
        "variance of BatchNorm, 1.2 % of them, with which the sum rounds to 4.20 million",
    ),
    "mobiledet_dsp": Network(
        partial(mobiledet, "dsp"),
        7_160_000,
        2_820_000_000,
        "arXiv 2004.14525; ssdlite_mobiledet_dsp_320x320 of the TensorFlow Object Detection API",
        params_tolerance=0.009,
        macs_tolerance=0.0018,
        note="the configuration prints 7.16 million and 2.82 billion; its parameters include the running mean and "
        "variance of BatchNorm, 0.8 % of them, with which the sum rounds to 7.16 million",
    ),
    "nasnet_mobile": Network(
        nasnet_mobile,
        5_289_978,
        564_000_000,
        "arXiv 1707.07012 (5.3 million, 564 million); Keras NASNetMobile, trainable parameters",
        macs_tolerance=0.001,
        note="the paper rounds to millions",
    ),
}
