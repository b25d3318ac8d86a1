"""Sets what ONNX Runtime takes on this machine beside what a profile predicts."""
