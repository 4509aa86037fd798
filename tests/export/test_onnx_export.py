"""A module becomes a model of the contract; those of every origin do in the slow suite."""

from __future__ import annotations

import numpy as np
import pytest

from stream.errors import ModelError
from tests import tiny_models
from tests.export.lazily import lazily

onnxruntime = lazily("onnxruntime")
torch = lazily("torch")
export_module = lazily("stream_export.onnx_export", "export_module")
read_metadata = lazily("stream_export.metadata", "read_metadata")


def small() -> torch.nn.Module:
    """What says of two things how bright the picture is, by way of a layer with its norm."""

    class Small(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.look = torch.nn.Conv2d(3, 2, 3)
            self.norm = torch.nn.BatchNorm2d(2)
            self.norm.running_mean.fill_(0.5)
            self.norm.running_var.fill_(3.0)

        def forward(self, image):
            seen = self.norm(self.look(image.permute(0, 3, 1, 2) / 255)).mean((0, 2, 3))
            scores, labels = torch.sigmoid(seen).sort(descending=True)
            corners = torch.stack([labels.float(), labels.float() + 4] * 2, dim=1)[:, [0, 2, 1, 3]]
            return corners, scores, labels, scores[:, None, None].expand(2, 28, 28)

    torch.manual_seed(0)
    return Small()


def test_weights_that_are_no_numbers_are_refused() -> None:
    for place, value in (
        ("look.weight", "nan"),
        ("look.bias", "inf"),
        ("norm.running_mean", "nan"),
    ):
        module = small()
        part = module.get_submodule(place.partition(".")[0])
        getattr(part, place.partition(".")[2]).data.flatten()[-1] = float(value)
        with pytest.raises(ModelError, match=rf"no numbers .*: {place}; the training ran away"):
            export_module(module, tiny_models.metadata(), height=48, width=64, dynamic=True)


def test_a_module_becomes_a_model_that_answers_as_it_does() -> None:
    module, metadata = small(), tiny_models.metadata()
    model = export_module(module, metadata, height=48, width=64, dynamic=True)
    assert module.training, "it is left as it was"
    assert read_metadata(model) == metadata
    kinds = {node.op_type for node in model.graph.node}
    assert "Conv" in kinds and "BatchNormalization" not in kinds, "norms are folded"
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for size in ((48, 64), (40, 33)):
        image = np.random.default_rng(1).integers(0, 256, (1, *size, 3), dtype=np.uint8)
        with torch.no_grad():
            wanted = module.eval()(torch.from_numpy(image))
        for found, right in zip(session.run(None, {"image": image}), wanted, strict=True):
            np.testing.assert_allclose(found, right.numpy(), atol=1e-5)
        module.train()
