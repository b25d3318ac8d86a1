"""Networks that published rows timed in another form than the zoo has: Caffe's variants, the paper's micro-blocks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import onnx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from zoo.builder import NetworkBuilder
from zoo.classic import SQUEEZE
from zoo.inception import GOOGLENET
from zoo.mobilenet import V1_UNITS, mobilenet_v2, mobilenet_v3
from zoo.resnet import DEPTHS
from zoo.yolo import YoloBuilder
from zoo.yolo_kin import ssd_mobilenet_v1

REPEATS = 10


def squeezenet_227() -> onnx.ModelProto:
    """SqueezeNet 1.1 at 227×227, as ncnn's benchmark runs it."""
    b = NetworkBuilder("squeezenet_1_1_227")
    x = b.relu(b.conv(b.input("input", (3, 227, 227)), 64, 3, stride=2, padding=0, bias=True))
    x = b.max_pool(x, 3, 2, ceil=True)
    for number, squeezed in enumerate(SQUEEZE):
        if number in (2, 4):
            x = b.max_pool(x, 3, 2, ceil=True)
        squeezed_x = b.relu(b.conv(x, squeezed, 1, bias=True))
        x = b.concat([b.relu(b.conv(squeezed_x, squeezed * 4, k, bias=True)) for k in (1, 3)])
    x = b.relu(b.conv(x, 1000, 1, bias=True))
    return b.finish(b.flatten(b.global_average_pool(x)))


def resnet50_caffe() -> onnx.ModelProto:
    """ResNet-50 with the stride in the first 1×1 of a bottleneck (3.86 GMAC), as the authors' Caffe model has it."""
    b = NetworkBuilder("resnet50_caffe")
    x = b.max_pool(b.relu(b.conv_bn(b.input("input", (3, 224, 224)), 64, 7, stride=2)), 3, 2, padding=1)
    for stage, repeats in enumerate(DEPTHS[50]):
        for unit in range(repeats):
            width, stride = 64 << stage, 2 if unit == 0 < stage else 1
            y = b.relu(b.conv_bn(x, width, 1, stride=stride))
            y = b.conv_bn(b.relu(b.conv_bn(y, width, 3)), width * 4, 1)
            if unit == 0:
                x = b.conv_bn(x, width * 4, 1, stride=stride)
            x = b.relu(b.add(y, x))
    return b.finish(b.classifier(x))


def resnet50_v2() -> onnx.ModelProto:
    """ResNet-50 v2 (arXiv 1603.05027), the ONNX model zoo's resnet50-v2-7: BatchNorm and ReLU before convolutions."""
    b = NetworkBuilder("resnet50_v2")
    x = b.max_pool(b.relu(b.conv_bn(b.input("input", (3, 224, 224)), 64, 7, stride=2)), 3, 2, padding=1)
    for stage, repeats in enumerate(DEPTHS[50]):
        for unit in range(repeats):
            width, stride = 64 << stage, 2 if unit == 0 < stage else 1
            y = b.relu(b.batchnorm(x))
            shortcut = b.conv(y, width * 4, 1, stride=stride) if unit == 0 else x
            z = b.relu(b.conv_bn(y, width, 1))
            z = b.relu(b.conv_bn(z, width, 3, stride=stride))
            x = b.add(b.conv(z, width * 4, 1), shortcut)
    return b.finish(b.classifier(b.relu(b.batchnorm(x))))


def resnext50() -> onnx.ModelProto:
    """ResNeXt-50 32x4d (arXiv 1611.05431)."""
    b = NetworkBuilder("resnext50_32x4d")
    x = b.max_pool(b.relu(b.conv_bn(b.input("input", (3, 224, 224)), 64, 7, stride=2)), 3, 2, padding=1)
    for stage, repeats in enumerate(DEPTHS[50]):
        for unit in range(repeats):
            width, stride = 128 << stage, 2 if unit == 0 < stage else 1
            y = b.relu(b.conv_bn(x, width, 1))
            y = b.relu(b.conv_bn(y, width, 3, stride=stride, groups=32))
            y = b.conv_bn(y, width * 2, 1)
            if unit == 0:
                x = b.conv_bn(x, width * 2, 1, stride=stride)
            x = b.relu(b.add(y, x))
    return b.finish(b.classifier(x))


def googlenet_caffe() -> onnx.ModelProto:
    """BVLC's GoogLeNet: the paper's 5×5 convolutions and local response normalization, no BatchNorm."""
    b = NetworkBuilder("googlenet_caffe")

    def conv(x: str, channels: int, kernel: int, stride: int = 1) -> str:
        return b.relu(b.conv(x, channels, kernel, stride=stride, bias=True))

    def norm(x: str) -> str:
        return b.unary("LRN", x, size=5, alpha=1e-4, beta=0.75, bias=1.0)

    x = norm(b.max_pool(conv(b.input("input", (3, 224, 224)), 64, 7, 2), 3, 2, ceil=True))
    x = b.max_pool(norm(conv(conv(x, 64, 1), 192, 3)), 3, 2, ceil=True)
    for unit in GOOGLENET:
        if unit is None:
            x = b.max_pool(x, 3, 2, ceil=True)
            continue
        one, reduce3, three, reduce5, five, pool = unit
        branches = [conv(x, one, 1), conv(conv(x, reduce3, 1), three, 3), conv(conv(x, reduce5, 1), five, 5)]
        x = b.concat([*branches, conv(b.max_pool(x, 3, 1, padding=1), pool, 1)])
    return b.finish(b.classifier(x))


def resnet18_portrait() -> onnx.ModelProto:
    """ResNet-18 at 218×178, as Hailo's face attributes run it."""
    b = NetworkBuilder("resnet18_218x178")
    x = b.max_pool(b.relu(b.conv_bn(b.input("input", (3, 218, 178)), 64, 7, stride=2)), 3, 2, padding=1)
    return b.finish(b.classifier(_basic_stages(b, x)[-1], 40))


def fcn8_resnet18() -> onnx.ModelProto:
    """FCN-8 of ResNet-18 at 1024×1920 with Cityscapes' 19 classes: scores of three levels, added upwards."""
    b = YoloBuilder("fcn8_resnet18")
    x = b.max_pool(b.relu(b.conv_bn(b.input("input", (3, 1024, 1920)), 64, 7, stride=2)), 3, 2, padding=1)
    scores = [b.conv(level, 19, 1, bias=True) for level in _basic_stages(b, x)[1:]]
    return b.finish(b.add(b.upsample(b.add(b.upsample(scores[2]), scores[1])), scores[0]))


def fcn_resnet50_d8() -> onnx.ModelProto:
    """OpenMMLab's FCN of ResNet-50-D8 at 512×1024 (197.9 GMAC): the last two stages dilated, three 3×3 in the head."""
    b = YoloBuilder("fcn_resnet50_d8")
    x = b.input("input", (3, 512, 1024))
    for channels, stride in ((32, 2), (32, 1), (64, 1)):
        x = b.relu(b.conv_bn(x, channels, 3, stride=stride))
    x = b.max_pool(x, 3, 2, padding=1)
    for stage, repeats in enumerate(DEPTHS[50]):
        for unit in range(repeats):
            width, stride = 64 << stage, 2 if (stage, unit) == (1, 0) else 1
            dilation = (1, 1, 2, 4)[stage] if unit else (1, 1, 1, 2)[stage]
            y = b.relu(b.conv_bn(x, width, 1))
            y = b.relu(b.conv_bn(y, width, 3, stride=stride, dilation=dilation))
            y = b.conv_bn(y, width * 4, 1)
            x = b.relu(b.add(y, b.conv_bn(x, width * 4, 1, stride=stride) if unit == 0 else x))
    y = b.relu(b.conv_bn(b.relu(b.conv_bn(x, 512, 3)), 512, 3))
    x = b.conv(b.relu(b.conv_bn(b.concat([x, y]), 512, 3)), 19, 1, bias=True)
    return b.finish(b.upsample(b.upsample(b.upsample(x))))


def _basic_stages(b: NetworkBuilder, x: str) -> list[str]:
    """The four stages of ResNet-18."""
    levels = []
    for stage in range(4):
        for unit in range(2):
            width, stride = 64 << stage, 2 if unit == 0 < stage else 1
            y = b.conv_bn(b.relu(b.conv_bn(x, width, 3, stride=stride)), width, 3)
            x = b.relu(b.add(y, b.conv_bn(x, width, 1, stride=stride) if stride != 1 else x))
        levels.append(x)
    return levels


def mobilenet_v1_120() -> onnx.ModelProto:
    """MobileNet V1 at 120×120, as 3DDFA runs it."""
    b = NetworkBuilder("mobilenet_v1_120")
    x = b.relu(b.conv_bn(b.input("input", (3, 120, 120)), 32, 3, stride=2))
    for channels, stride in V1_UNITS:
        x = b.relu(b.conv_bn(b.relu(b.depthwise_bn(x, 3, stride=stride)), channels, 1))
    return b.finish(b.classifier(x, 62))


def repvgg_a0_reid() -> onnx.ModelProto:
    """RepVGG-A0, its branches merged, at 256×128 with 512 features."""
    b = NetworkBuilder("repvgg_a0_256x128")
    x = b.input("input", (3, 256, 128))
    for channels, repeats in ((48, 1), (48, 2), (96, 4), (192, 14), (1280, 1)):
        for unit in range(repeats):
            x = b.relu(b.conv(x, channels, 3, stride=1 if unit else 2, bias=True))
    return b.finish(b.classifier(x, 512))


def plain_pixels(name: str, height: int, width: int, layers: Sequence[tuple[int, int]]) -> onnx.ModelProto:
    """One grey image through convolutions of (channels, kernel) at full size."""
    b = NetworkBuilder(name)
    x = b.input("input", (1, height, width))
    for channels, kernel in layers[:-1]:
        x = b.relu(b.conv(x, channels, kernel, bias=True))
    return b.finish(b.conv(x, *layers[-1], bias=True))


def pointwise_pairs(into: int, out: int) -> onnx.ModelProto:
    """ShuffleNetV2 Table 1: ten blocks of two 1×1 convolutions (into → out → into) at 56×56."""
    b = NetworkBuilder("g1", fold_batchnorm=False)
    x = b.input("input", (into, 56, 56))
    for _ in range(REPEATS):
        x = b.relu(b.conv_bn(b.relu(b.conv_bn(x, out, 1)), into, 1))
    return b.finish(x)


def grouped_pointwise(groups: int, channels: int) -> onnx.ModelProto:
    """ShuffleNetV2 Table 2: ten 1×1 group convolutions at 56×56; 180 channels in 8 groups are taken as 184."""
    channels = -(-channels // groups) * groups
    b = NetworkBuilder("g2", fold_batchnorm=False)
    x = b.input("input", (channels, 56, 56))
    for _ in range(REPEATS):
        x = b.relu(b.conv_bn(x, channels, 1, groups=groups))
    return b.finish(x)


def fragments(count: int, parallel: bool, channels: int) -> onnx.ModelProto:
    """ShuffleNetV2 Table 3: ten blocks of one to four 1×1 convolutions, in series or summed side by side, at 56×56.

    `channels` are those of one fragment; more fragments have fewer, so that the FLOPs stay. That parallel ones are
    summed is the appendix's figure.
    """
    b = NetworkBuilder("g3", fold_batchnorm=False)
    width = round(channels / count**0.5)
    x = b.input("input", (width, 56, 56))
    for _ in range(REPEATS):
        if not parallel:
            for _ in range(count):
                x = b.relu(b.conv_bn(x, width, 1))
            continue
        branches = [b.relu(b.conv_bn(x, width, 1)) for _ in range(count)]
        x = branches[0]
        for other in branches[1:]:
            x = b.add(x, other)
    return b.finish(x)


def bottlenecks(relu: bool, shortcut: bool, channels: int) -> onnx.ModelProto:
    """ShuffleNetV2 Table 4: ten bottlenecks (1×1, 3×3, 1×1; inner width a half) at 56×56.

    The inner width is not printed; with a quarter the ARM rows come out 2.5 times too short.
    """
    b = NetworkBuilder("g4")
    x = b.input("input", (channels, 56, 56))
    for _ in range(REPEATS):
        y = b.conv_bn(x, channels // 2, 1)
        y = b.conv_bn(b.relu(y) if relu else y, channels // 2, 3)
        y = b.conv_bn(b.relu(y) if relu else y, channels, 1)
        y = b.add(y, x) if shortcut else y
        x = b.relu(y) if relu else y
    return b.finish(x)


VARIANTS: dict[str, Callable[[], onnx.ModelProto]] = {
    "squeezenet_1_1_227": squeezenet_227,
    "resnet50_caffe": resnet50_caffe,
    "resnet50_v2": resnet50_v2,
    "resnext50_32x4d": resnext50,
    "googlenet_caffe": googlenet_caffe,
    "resnet18_218x178": resnet18_portrait,
    "fcn8_resnet18": fcn8_resnet18,
    "fcn_resnet50_d8": fcn_resnet50_d8,
    "mobilenet_v1_120": mobilenet_v1_120,
    "mobilenet_v3_large_opset13": partial(mobilenet_v3, "large", opset=13),
    "mobilenet_v2_1_4": partial(mobilenet_v2, 1.4),
    "repvgg_a0_256x128": repvgg_a0_reid,
    "dncnn_321x481": partial(plain_pixels, "dncnn", 321, 481, [(64, 3)] * 19 + [(1, 3)]),
    "espcn_x4": partial(plain_pixels, "espcn", 78, 120, [(64, 5), (32, 3), (16, 3)]),
    "ssd_mobilenet_v1_voc": partial(ssd_mobilenet_v1, classes=21),
    **{
        f"g1_{into}_{out}": partial(pointwise_pairs, into, out)
        for into, out in [
            *((128, 128), (256, 256), (512, 512), (32, 32), (64, 64), (90, 180), (180, 360), (360, 720), (22, 44)),
            *((44, 88), (88, 176), (52, 312), (104, 624), (208, 1248), (13, 78), (26, 156), (36, 432), (72, 864)),
            *((144, 1728), (9, 108), (18, 216)),
        ]
    },
    **{
        f"g2_{groups}_{channels}": partial(grouped_pointwise, groups, channels)
        for groups, widths in {
            1: (64, 128, 256, 512),
            2: (90, 180, 360, 720),
            4: (128, 256, 512, 1024),
            8: (180, 360, 720, 1440),
        }.items()
        for channels in widths
    },
    **{
        f"g3_{count}_{'parallel' if parallel else 'series'}_{channels}": partial(fragments, count, parallel, channels)
        for count, parallel in ((1, False), (2, False), (4, False), (2, True), (4, True))
        for channels in (64, 128, 256, 512)
    },
    **{
        f"g4_{'relu' if relu else 'plain'}_{'shortcut' if shortcut else 'straight'}_{channels}": partial(
            bottlenecks, relu, shortcut, channels
        )
        for relu in (True, False)
        for shortcut in (True, False)
        for channels in (32, 64, 128)
    },
}
