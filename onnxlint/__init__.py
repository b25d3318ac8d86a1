"""A static analyzer for ONNX graphs that prices each fault on the device you ship to."""

__version__ = "0.1.0"
