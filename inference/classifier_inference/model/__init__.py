"""Pixels to scores: the ONNX session, its device and binding, labels and the self-test. Knows no HTTP."""
