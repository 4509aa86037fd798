"""Float layers of single pixels that compiled loops compute are the same as ONNX Runtime's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from stream import kernels
from stream.inference.own_heads import with_own_heads
from stream.kernels.convolve import Way
from stream.types import Array

_found = kernels.layers()
if _found is None or Way.VNNI not in _found.ways():
    pytest.skip(
        f"no compiled heads: {kernels.examined()[1]}, or a processor without AVX-512",
        allow_module_level=True,
    )


@dataclass(frozen=True)
class Head:
    """Bytes as floats, a layer, and what becomes of its answers."""

    channels: int = 64
    parts: tuple[int, ...] = (3, 12)
    kernel: int = 1
    stride: int = 1
    bounded: bool = False
    turned: tuple[int, ...] = (0, 2, 3, 1)
    read_again: bool = False
    zero: int = 7

    @property
    def answers(self) -> int:
        return sum(self.parts)

    @property
    def names(self) -> list[str]:
        return [f"part{at}" for at in range(len(self.parts))]

    def model(self) -> bytes:
        random = np.random.default_rng(self.channels)
        shape = (self.answers, self.channels, self.kernel, self.kernel)
        held: dict[str, Array] = {
            "level": np.array(0.037, np.float32),
            "zero": np.array(self.zero, np.uint8),
            "weights": random.normal(0, 0.2, shape).astype(np.float32),
            "bias": random.normal(0, 3, self.answers).astype(np.float32),
            "parts": np.array(self.parts, np.int64),
        }
        split = [f"{name}/planes" for name in self.names]
        answer = "bounded" if self.bounded else "answer"
        nodes = [
            helper.make_node("Transpose", ["picture"], ["planes"], perm=(0, 3, 1, 2)),
            helper.make_node("DequantizeLinear", ["planes", "level", "zero"], ["floats"]),
            helper.make_node(
                "Conv", ["floats", "weights", "bias"], ["answer"], strides=[self.stride] * 2
            ),
            helper.make_node("Relu", ["answer"], ["bounded"]),
            helper.make_node("Split", [answer, "parts"], split, axis=1),
            *(
                helper.make_node("Transpose", [one], [name], perm=self.turned)
                for one, name in zip(split, self.names, strict=True)
            ),
        ]
        if not self.bounded:
            del nodes[3]
        ends = [*self.names, *(split[:1] if self.read_again else [])]
        graph = helper.make_graph(
            nodes,
            "head",
            [helper.make_tensor_value_info("picture", TensorProto.UINT8, [None] * 4)],
            [helper.make_tensor_value_info(one, TensorProto.FLOAT, [None] * 4) for one in ends],
            [numpy_helper.from_array(value, name) for name, value in held.items()],
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        return bytes(made.SerializeToString())

    def optimised(self, folder: Path) -> bytes:
        """The model as ONNX Runtime would keep it."""
        options = onnxruntime.SessionOptions()
        options.optimized_model_filepath = str(folder / "optimised.onnx")
        options.log_severity_level = 3
        onnxruntime.InferenceSession(self.model(), options, providers=["CPUExecutionProvider"])
        return (folder / "optimised.onnx").read_bytes()


def run(model: bytes, picture: Array, names: list[str], threads: int = 1) -> list[Array]:
    made = onnx.load_from_string(model)
    made.opset_import.append(helper.make_opsetid("stream", 1))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.register_custom_ops_library(str(kernels.compiled().path))
    handle = onnxruntime.InferenceSession(
        made.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return handle.run(names, {"picture": picture})  # type: ignore[no-any-return]


def kinds(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(model).graph.node]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [(1, 1, 1), (1, 5, 8), (2, 33, 31)])
@pytest.mark.parametrize(
    "head",
    [
        Head(),
        Head(16, (1, 4)),
        Head(96, (15, 1), zero=0),
        Head(128, (8, 8), zero=255),
        Head(48, (2, 7)),
        Head(24),  # laid out in sixteens, of which the last is not full
    ],
    ids=str,
)
def test_answers_are_the_same_to_the_last_bit(
    head: Head, size: tuple[int, int, int], threads: int, tmp_path: Path
) -> None:
    before = head.optimised(tmp_path)
    made = with_own_heads(before)
    assert kinds(made) == ["Head"]
    kept = {one.name for one in onnx.load_from_string(made).graph.initializer}
    assert kept == {f"{head.names[0]}/{name}" for name in ("filters", "bias", "level", "parts")}
    picture = np.random.default_rng(1).integers(0, 256, (*size, head.channels)).astype(np.uint8)
    expected = run(before, picture, head.names)
    found = run(made, picture, head.names, threads)
    for one, other, many in zip(found, expected, head.parts, strict=True):
        assert one.shape == (*size, many)
        np.testing.assert_array_equal(one, other)


def test_no_picture_at_all_is_answered_by_none(tmp_path: Path) -> None:
    head = Head()
    made = with_own_heads(head.optimised(tmp_path))
    one, other = run(made, np.zeros((0, 3, 4, 64), np.uint8), head.names)
    assert (one.shape, other.shape) == ((0, 3, 4, 3), (0, 3, 4, 12))


@pytest.mark.parametrize(
    "head",
    [
        Head(parts=(3, 5, 4)),
        Head(parts=(17, 3)),
        Head(23),
        Head(144),
        Head(kernel=3),
        Head(stride=2),
        Head(bounded=True),
        Head(turned=(0, 3, 2, 1)),
        Head(read_again=True),
    ],
    ids=str,
)
def test_what_the_loops_do_not_know_stays(head: Head, tmp_path: Path) -> None:
    before = head.optimised(tmp_path)
    assert with_own_heads(before) is before
