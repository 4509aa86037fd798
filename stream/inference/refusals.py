"""What ONNX Runtime says when it takes no model, in words for people."""

from __future__ import annotations

import os
import re

from stream.inference.onnx_file import DAMAGED
from stream.inference.providers import runtime


def about_model(error: Exception, sentence: str) -> bool:
    """Whether the model is the cause, wherever it is to run; `sentence` as `plain` makes it."""
    kind = type(error).__name__
    return (
        kind in ("InvalidProtobuf", "InvalidGraph", "NoSuchFile", "NoModel")
        or "IR version" in sentence
        or "opset" in sentence.lower()
    )


def model_problem(sentence: str) -> str:
    """What is wrong with a model, and what helps, of a sentence as `plain` makes it."""
    module = runtime()
    opset = re.search(r"Opset (\d+) is under development.*?is till opset (\d+)", sentence)
    if opset:
        return (
            f"it needs ONNX opset {opset[1]}, and ONNX Runtime {module.__version__} knows up to "
            f"{opset[2]}; update ONNX Runtime or export with an older opset"
        )
    version = re.search(r"IR version: (\d+), max supported IR version: (\d+)", sentence)
    if version:
        return (
            f"its file format is version {version[1]}, and ONNX Runtime {module.__version__} "
            f"reads up to {version[2]}; update ONNX Runtime"
        )
    lacking = re.search(r"No Op registered for (\w+) with domain_version of (\d+)", sentence)
    if lacking:
        return (
            f"it says that it is of ONNX opset {lacking[2]}, which has no {lacking[1]}, so another "
            "tool has changed it; take the file as it was exported"
        )
    if "Protobuf parsing failed" in sentence:
        return f"it {DAMAGED}"
    return sentence.replace(os.sep + "onnxruntime_src", "")
