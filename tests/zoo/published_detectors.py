"""Published counts of the detectors.

Sources round parameters to 0.1 million and print GFLOPs (two a multiply-accumulate, activations in part) to 0.1;
where a framework's own summary gives the exact parameters, they stand here. A v8 or 11 network is 16 short of its
summary: the fixed weights of the box decoding, which runs elsewhere.
"""

from __future__ import annotations

from functools import partial

from .network import Network
from .yolo import yolo_v5, yolo_v8, yolo_v10, yolo_v11
from .yolo_kin import (
    ssd_mobilenet_v1,
    tiny_yolo_v3,
    tiny_yolo_v4,
    yolo_v3,
    yolo_v5_r2,
    yolo_v6,
    yolo_v7,
    yolo_v7_tiny,
    yolox,
)

ULTRALYTICS = "github.com/ultralytics/{}: model summary"
HAILO = "hailo-ai/hailo_model_zoo@c83fc030 docs/public_models/HAILO8"


def _gflops(value: float) -> int:
    return int(value * 1e9 / 2)


def _ultralytics(version: int, name: str, params: int, gflops: float) -> Network:
    build = {5: yolo_v5, 8: yolo_v8, 11: yolo_v11}[version]
    source = ULTRALYTICS.format("yolov5" if version == 5 else "ultralytics")
    return Network(partial(build, name), params, _gflops(gflops), source, macs_tolerance=0.02)


def _v10(name: str, params: float, gflops: float) -> Network:
    source = "arXiv 2405.14458, table 1, and github.com/THU-MIG/yolov10 (one head, as deployed)"
    return Network(partial(yolo_v10, name), int(params * 1e6), _gflops(gflops), source, 0.012, 0.01)


DETECTORS: dict[str, Network] = {
    "yolo_v5n": _ultralytics(5, "n", 1_872_157, 4.5),
    "yolo_v5s": _ultralytics(5, "s", 7_235_389, 16.5),
    "yolo_v5m": _ultralytics(5, "m", 21_190_557, 49.0),
    "yolo_v5l": _ultralytics(5, "l", 46_563_709, 109.1),
    "yolo_v5m_segment": Network(
        partial(yolo_v5, "m", "segment"),
        21_990_397,
        _gflops(70.8),
        "github.com/ultralytics/yolov5: yolov5m-seg prints 22.0 million and 70.8 GFLOPs",
        macs_tolerance=0.01,
    ),
    "yolo_v5l_segment": Network(partial(yolo_v5, "l", "segment"), 47_890_000, _gflops(147.88), HAILO, 0.001, 0.005),
    "yolo_v8n": _ultralytics(8, "n", 3_157_184, 8.7),
    "yolo_v8s": _ultralytics(8, "s", 11_166_544, 28.6),
    "yolo_v8m": _ultralytics(8, "m", 25_902_624, 78.9),
    "yolo_v8l": _ultralytics(8, "l", 43_691_504, 165.2),
    "yolo_v8x": _ultralytics(8, "x", 68_229_632, 257.8),
    "yolo_v8m_segment": Network(
        partial(yolo_v8, "m", "segment"),
        27_285_952,
        _gflops(110.2),
        ULTRALYTICS.format("ultralytics"),
        0,
        0.075,
        note="the summary counts the transposed convolution by its output positions, four times what it computes",
    ),
    "yolo_v8m_pose": Network(
        partial(yolo_v8, "m", "pose"),
        26_464_446,
        _gflops(81.0),
        "docs.ultralytics.com yolov8m-pose: 26.4 million",
        0,
        0.01,
    ),
    "yolo_v10s": _v10("s", 7.2, 21.6),
    "yolo_v10m": _v10("m", 15.4, 59.1),
    "yolo_v10b": _v10("b", 19.1, 92.0),
    "yolo_v10l": _v10("l", 24.4, 120.3),
    "yolo_v10x": _v10("x", 29.5, 160.4),
    "yolo_v11n": _ultralytics(11, "n", 2_624_064, 6.5),
    "yolo_v11s": _ultralytics(11, "s", 9_458_736, 21.5),
    "yolo_v11m": _ultralytics(11, "m", 20_114_672, 68.0),
    "yolo_v11l": _ultralytics(11, "l", 25_372_144, 86.9),
    "yolo_v11x": _ultralytics(11, "x", 56_966_160, 194.9),
    "yolo_v3_608": Network(yolo_v3, 61_949_149, _gflops(140.7), "arXiv 1804.02767 (140.69 GFLOPs at 608)", 0, 0.001),
    "tiny_yolo_v3": Network(tiny_yolo_v3, 8_852_366, _gflops(5.58), f"pjreddie.com/darknet/yolo; {HAILO}", 0, 0.005),
    "tiny_yolo_v4": Network(tiny_yolo_v4, 6_056_606, _gflops(6.92), f"AlexeyAB/darknet; {HAILO}", 0, 0.005),
    "yolo_v5s_r2": Network(
        partial(yolo_v5_r2, "s"), 7_468_157, _gflops(17.5), "github.com/ultralytics/yolov5 v2.0", 0, 0.01
    ),
    "yolo_v5m_r2": Network(
        partial(yolo_v5_r2, "m"), 21_800_000, _gflops(52.3), "github.com/ultralytics/yolov5 v2.0", 0.001, 0.01
    ),
    "yolo_v5l_r2": Network(
        partial(yolo_v5_r2, "l"), 47_800_000, _gflops(117.2), "github.com/ultralytics/yolov5 v2.0", 0.001, 0.01
    ),
    "yolo_v6n": Network(
        partial(yolo_v6, "n"), 4_300_000, _gflops(11.1), f"meituan/YOLOv6 0.2.0: yolov6n; {HAILO}", 0.01, 0.01
    ),
    "yolo_v6s": Network(partial(yolo_v6, "s"), 17_200_000, _gflops(44.2), "meituan/YOLOv6 0.2.0: yolov6s", 0.01, 0.015),
    "yolo_v7": Network(yolo_v7, 36_900_000, _gflops(104.7), "arXiv 2207.02696, table 1", 0.001, 0.01),
    "yolo_v7_tiny": Network(yolo_v7_tiny, 6_200_000, _gflops(13.8), "arXiv 2207.02696, table 1", 0.005, 0.01),
    "yolox_tiny": Network(partial(yolox, "tiny"), 5_060_000, _gflops(6.45), "arXiv 2107.08430, table 3", 0.001, 0.01),
    "yolox_s": Network(partial(yolox, "s"), 8_970_000, _gflops(26.8), "arXiv 2107.08430, table 3", 0.001, 0.01),
    "yolox_m": Network(partial(yolox, "m"), 25_300_000, _gflops(73.8), "arXiv 2107.08430, table 3", 0.002, 0.01),
    "yolox_s_leaky": Network(partial(yolox, "s", True), 8_960_000, _gflops(26.74), HAILO, 0.002, 0.005),
    "yolox_s_wide_leaky": Network(partial(yolox, "s", True, 0.75), 20_120_000, _gflops(59.46), HAILO, 0.002, 0.005),
    "ssd_mobilenet_v1": Network(
        ssd_mobilenet_v1, 6_800_000, _gflops(2.5), f"TensorFlow object detection zoo; {HAILO}", 0.005, 0.015
    ),
}
