"""Published counts of the convolutional networks for servers."""

from __future__ import annotations

from functools import partial

from .classic import alexnet, vgg
from .dense import densenet121, vovnet39
from .inception import googlenet, inception_v3
from .network import Network
from .repvgg import repvgg_a0
from .resnet import cspresnet50, resnet

LARGE: dict[str, Network] = {
    "alexnet": Network(
        alexnet,
        60_965_224,
        724_406_816,
        "Krizhevsky et al. 2012; Caffe bvlc_alexnet",
        note="by hand from the table of the paper: 665,784,864 in convolutions, 58,621,952 in linear layers; "
        "the paper says 60 million parameters",
    ),
    "resnet18": Network(
        partial(resnet, 18),
        11_689_512,
        1_814_073_344,
        "arXiv 1512.03385, table 1; torchvision resnet18",
        note="the paper prints 1.8 billion",
    ),
    "resnet50": Network(
        partial(resnet, 50),
        25_557_032,
        4_089_184_256,
        "arXiv 1512.03385, table 1; torchvision resnet50",
        note="the paper prints 3.8 billion with the stride in the first 1x1 of a bottleneck",
    ),
    "se_resnet50": Network(
        partial(resnet, 50, squeeze=16),
        28_088_024,
        4_091_699_200,
        "arXiv 1709.01507, table 2; timm seresnet50",
        note="the paper prints 3.87 billion with the stride in the first 1x1 of a bottleneck",
    ),
    "cspresnet50": Network(
        cspresnet50,
        21_616_168,
        4_517_240_832,
        "arXiv 1911.11929; timm cspresnet50 at 256x256",
    ),
    "densenet121": Network(densenet121, 7_978_856, 2_834_161_664, "arXiv 1608.06993; torchvision densenet121"),
    "vovnet39": Network(
        vovnet39,
        22_600_296,
        7_072_227_328,
        "arXiv 1904.09730; timm vovnet39a",
    ),
    "repvgg_a0_train": Network(
        partial(repvgg_a0, False),
        9_108_968,
        1_512_581_120,
        "arXiv 2101.03697, table 4; timm repvgg_a0",
        note="the paper prints the deployed form alone",
    ),
    "repvgg_a0_deploy": Network(
        partial(repvgg_a0, True),
        8_309_384,
        1_361_451_008,
        "arXiv 2101.03697, table 4; timm repvgg_a0, reparameterized",
        note="the paper prints 8.30 million and 1.4 billion",
    ),
    "googlenet": Network(
        googlenet,
        6_624_904,
        1_498_376_192,
        "arXiv 1409.4842; torchvision googlenet without auxiliary heads",
        note="the paper prints 1.5 billion",
    ),
    "inception_v3": Network(
        inception_v3,
        23_834_568,
        5_713_216_096,
        "arXiv 1512.00567; torchvision inception_v3 without auxiliary heads",
        note="the paper prints 5 billion",
    ),
    "vgg16": Network(partial(vgg, 16), 138_357_544, 15_470_264_320, "arXiv 1409.1556, table 2; torchvision vgg16"),
    "vgg19": Network(partial(vgg, 19), 143_667_240, 19_632_062_464, "arXiv 1409.1556, table 2; torchvision vgg19"),
}
