"""What the tests of converters for torch-like systems share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stream.inference.batched import of_picture, with_batch
from tests.export.lazily import lazily

if TYPE_CHECKING:
    import onnx

onnxruntime = lazily("onnxruntime")
torch = lazily("torch")
nn = lazily("torch.nn")
Converted = lazily("stream_export.converters._request", "Converted")
Request = lazily("stream_export.converters._request", "Request")
check_contract = lazily("stream_export.metadata", "check_contract")
SENSITIVE = lazily("stream_export.tools.quantize", "SENSITIVE")


def picture(height: int, width: int) -> np.ndarray:
    """A made picture with edges at every scale, uint8 [1, H, W, 3]."""
    random = np.random.default_rng(3)
    coarse = random.integers(0, 255, (-(-height // 16), -(-width // 16), 3))
    fine = random.integers(-20, 20, (height, width, 3))
    grown = coarse.repeat(16, 0).repeat(16, 1)[:height, :width]
    return np.clip(grown + fine, 0, 255).astype(np.uint8)[None]


def answers(
    converted: Converted, system: str, request: Request, image: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What the exported model finds, and what the same form finds in torch."""
    return answers_of(converted.to_onnx(system, request), converted, image)


def answers_of(
    model: onnx.ModelProto, converted: Converted, image: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The same of a model that was exported already."""
    check_contract(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    with torch.no_grad():
        expected = converted.module.eval()(torch.from_numpy(image))
    return session.run(None, {"image": image}), [value.numpy() for value in expected]


def check_several(model: bytes, image: np.ndarray) -> None:
    """Pictures that are inferred together have the answers that each has by itself."""

    def opened(content: bytes) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    names = [one.name for one in opened(model).get_outputs()]
    pictures = [image, np.ascontiguousarray(image[:, ::-1, ::-1])]
    inputs = {of_picture("image", place): one for place, one in enumerate(pictures)}
    together, alone = opened(with_batch(model, 2)), opened(model)
    for place, one in enumerate(pictures):
        found = together.run([of_picture(name, place) for name in names], inputs)
        for name, got, wanted in zip(names, found, alone.run(names, {"image": one}), strict=True):
            assert got.shape == wanted.shape, name
            np.testing.assert_allclose(got, wanted, atol=0.01, err_msg=name)


def check_same(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    """The exported model answers as the form does, and as the contract wants.

    Instances whose scores are equal but for float noise may come in either order.
    """
    assert len(expected[0]) > 0
    assert [value.shape for value in found] == [value.shape for value in expected]
    boxes, scores, labels, masks = found[:4]
    free = set(range(len(boxes)))
    for number, box in enumerate(expected[0]):
        partners = [
            one
            for one in free
            if labels[one] == expected[2][number]
            and abs(scores[one] - expected[1][number]) <= 1e-4
            and np.abs(boxes[one] - box).max() <= 2e-2
        ]
        assert partners, f"nothing is like {box} of class {expected[2][number]}"
        one = min(partners, key=lambda one: np.abs(masks[one] - expected[3][number]).max())
        # RoIAlign takes one sample more in a box that is a hair wider, so a few cells may differ.
        differences = np.abs(masks[one] - expected[3][number])
        assert differences.max() <= 3e-2
        assert np.quantile(differences, 0.9) <= 1e-3
        free.discard(one)
    assert (np.diff(scores) <= 0).all()
    assert masks.min() >= 0
    assert masks.max() <= 1


def kept_in_float(form: nn.Module) -> set[str]:
    """Convolutions and linear layers of a form that quantising leaves alone, by their names."""
    return {
        name
        for name, layer in form.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear)
        and any(re.search(pattern, f"{name}/Conv") for pattern in SENSITIVE)
    }


def write_names(folder: Path, count: int) -> Path:
    """A file with as many names."""
    path = folder / "names.txt"
    path.write_text("".join(f"thing {number}\n" for number in range(count)))
    return path
