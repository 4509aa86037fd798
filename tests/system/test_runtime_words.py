"""What ONNX Runtime says, as it says it, and what is made of it."""

from __future__ import annotations

import pytest

from stream.system.runtime_words import failure_of, plain

_RUNNING = "[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running "
_SOURCE = "/onnxruntime_src/onnxruntime/core/"


@pytest.mark.parametrize(
    ("said", "layer", "cause"),
    [
        (
            f"{_RUNNING}Add node. Name:'/roi/Add_3' Status Message: {_SOURCE}providers/cpu/math/"
            "element_wise_ops.h:563 void onnxruntime::BroadcastIterator::Init(ptrdiff_t, ptrdiff_t)"
            " axis == 1 || axis == largest was false. Attempting to broadcast an axis by a "
            "dimension other than 1. 7 by 9215\n",
            "its layer '/roi/Add_3' (Add)",
            "attempting to broadcast an axis by a dimension other than 1: 7 by 9215",
        ),
        (
            f"{_RUNNING}Reshape node. Name:'' Status Message: {_SOURCE}providers/cpu/tensor/"
            "reshape_helper.h:91 onnxruntime::ReshapeHelper::ReshapeHelper(const "
            "onnxruntime::TensorShape&, bool) input_shape_size == requested_shape_size was false. "
            "The input tensor cannot be reshaped to the requested shape. Input shape:{7}",
            "a layer of the kind Reshape",
            "the input tensor cannot be reshaped to the requested shape: Input shape:{7}",
        ),
        (
            f"{_RUNNING}Conv node. Name:'c' Status Message: {_SOURCE}framework/bfc_arena.cc:360 "
            "void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) "
            "Failed to allocate memory for requested buffer of size 36",
            "its layer 'c' (Conv)",
            "failed to allocate memory for requested buffer of size 36",
        ),
        (
            "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: image",
            "",
            "got invalid dimensions for input: image",
        ),
        ("CUDA failure 700: an illegal access", "", "CUDA failure 700: an illegal access"),
        ("", "", "no reason given"),
    ],
)
def test_what_failed_is_said_without_where_it_stands_in_its_source(
    said: str, layer: str, cause: str
) -> None:
    assert failure_of(said) == (layer, cause)


def test_what_is_said_of_a_file_is_its_own_sentence() -> None:
    said = "[ONNXRuntimeError] : 7 : INVALID_PROTOBUF : Load model from a.onnx failed:Protobuf no."
    assert plain(f"\n{said}\nmore") == "Protobuf no"
