"""Measures this machine through ONNX Runtime and writes what it attains as a device profile."""
