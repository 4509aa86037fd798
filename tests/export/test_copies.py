"""A model of somebody's own is exported from a copy, wherever it lies, and left as it was."""

from __future__ import annotations

import copy

import pytest

from stream.errors import ModelError, UsageError
from tests.export.lazily import lazily

torch = lazily("torch")
nn = lazily("torch.nn")
FakeTensorMode = lazily("torch._subclasses.fake_tensor", "FakeTensorMode")
converter = lazily("stream_export.converters.torchvision")
random = lazily("stream_export.converters.torchvision.model", "random")
on_cpu = lazily("stream_export.copies", "on_cpu")
tensors = lazily("stream_export.copies", "_tensors")

ARCH = "maskrcnn_mobilenet_v3_large_fpn"
NAMES = ("a", "b")


def convert(model, monkeypatch: pytest.MonkeyPatch, names=NAMES, size="64/96"):
    """What is handed to PyTorch's exporter, which takes seconds."""
    handed = []

    class Enough(Exception):
        pass

    def export(module, metadata, **_):
        handed.append(module)
        raise Enough

    monkeypatch.setattr("stream_export.onnx_export.export_module", export)
    with pytest.raises(Enough):
        converter.convert(model, names=names, size=size)
    return handed[0]


@pytest.fixture(scope="module")
def model():
    return random(ARCH, 3)


def test_what_a_card_keeps_of_a_model_that_came_back_is_no_matter(model, monkeypatch) -> None:
    mine = copy.deepcopy(model)
    generator = mine.rpn.anchor_generator
    # Such tensors have a device, and no numbers: there need be no card.
    with FakeTensorMode(allow_non_fake_inputs=True):
        generator.cell_anchors = [one.to("cuda") for one in generator.cell_anchors]
    form = convert(mine, monkeypatch)
    assert {one.device.type for one in tensors(form, set())} == {"cpu"}
    assert {one.device.type for one in generator.cell_anchors} == {"cuda"}


def test_weights_on_a_card_stay_there() -> None:
    with FakeTensorMode():
        mine = nn.Sequential(nn.Conv2d(3, 4, 1, device="cuda"), nn.BatchNorm2d(4, device="cuda"))
        made = on_cpu(mine)
    assert {one.device.type for one in tensors(made, set())} == {"cpu"}
    assert {one.device.type for one in tensors(mine, set())} == {"cuda"}


def test_a_converted_model_stays_as_it_was(model, monkeypatch) -> None:
    mine = copy.deepcopy(model).half().train()
    mine.backbone.eval()
    mine.transform.min_size, mine.transform.max_size = (480, 512), 700
    modes = [one.training for one in mine.modules()]
    before = {name: one.clone() for name, one in mine.state_dict().items()}
    form = convert(mine, monkeypatch)
    assert modes == [one.training for one in mine.modules()]
    assert (mine.transform.min_size, mine.transform.max_size) == ((480, 512), 700)
    after = mine.state_dict()
    assert all(torch.equal(after[name], one) for name, one in before.items())
    assert {one.dtype for one in after.values()} == {torch.float16}
    assert form.resize.keywords == {"shortest": 64, "longest": 96}
    floats = [one for one in tensors(form, set()) if one.is_floating_point()]
    assert {one.dtype for one in floats} == {torch.float32}
    assert not any(one.training for one in form.features.modules() if one is not form.features)


def test_where_pytorch_puts_new_tensors_is_no_matter(model, monkeypatch) -> None:
    with torch.device("meta"):
        form = convert(model, monkeypatch)
    assert {one.device.type for one in tensors(form, set())} == {"cpu"}


def test_what_is_wrapped_is_taken_out(model, monkeypatch) -> None:
    wanted = [tuple(one.shape) for one in convert(model, monkeypatch).parameters()]
    compiled = nn.ModuleDict({"_orig_mod": model})  # as `torch.compile` does, which takes seconds
    for wrapped in (nn.DataParallel(model), compiled, nn.DataParallel(compiled)):
        form = convert(wrapped, monkeypatch)
        assert [tuple(one.shape) for one in form.parameters()] == wanted


def test_what_cannot_be_converted_is_one_sentence(model) -> None:
    from torchvision.models.detection import fasterrcnn_mobilenet_v3_large_fpn

    empty = copy.deepcopy(model)
    empty.roi_heads.to("meta")
    boxes = fasterrcnn_mobilenet_v3_large_fpn(weights=None, weights_backbone=None)
    for wrong, told in (
        (empty, r"^a MaskRCNN whose weights have no numbers yet \(.*'meta'\).*load its weights"),
        (boxes, r"^a FasterRCNN is no Mask R-CNN of torchvision's$"),
        (nn.Linear(2, 2), r"^a Linear is no Mask R-CNN"),
    ):
        with pytest.raises(ModelError, match=told):
            converter.convert(wrong, names=NAMES)
    with pytest.raises(UsageError, match=r"tells 2 classes apart, .* there are 3 names"):
        converter.convert(model, names=("a", "b", "c"))


def test_a_copy_has_all_tensors_however_they_are_held() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tied = self.layer = nn.Linear(2, 2)
            self.kept = {"deep": [(torch.ones(2, dtype=torch.float64), "word")], "me": [self]}
            # Computed from a weight, such as by a norm of weights: PyTorch copies no such tensor.
            self.computed = self.layer.weight * 2

    odd = Odd()
    made = on_cpu(odd)
    assert made.kept["deep"][0][0].dtype == torch.float32 and made.kept["me"][0] is made
    assert made.tied is made.layer is not odd.layer
    assert torch.equal(made.computed, odd.computed) and made.layer.weight.requires_grad
    assert odd.kept["deep"][0][0].dtype == torch.float64 and odd.training and not made.training
    odd.lock = (one for one in ())
    with pytest.raises(ModelError, match=r"^a Odd that holds what cannot be copied"):
        on_cpu(odd)
