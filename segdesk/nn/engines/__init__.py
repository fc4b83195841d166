"""What can run a network: torch, ONNX Runtime and OpenVINO, and the choice between them."""
