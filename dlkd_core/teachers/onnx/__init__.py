"""ONNX graphs as teachers: reading, analysis and execution with onnxruntime."""
