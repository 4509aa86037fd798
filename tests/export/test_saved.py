"""The ways people save checkpoints, and the cases that were met in the field."""

from __future__ import annotations

import argparse
import collections
import datetime
import importlib
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.errors import ModelError, UsageError
from stream_export.converters.detectron2 import Detectron2
from stream_export.names import COCO, names_for
from stream_export.options import read_names
from tests.conftest import SHARED
from tests.export import made_checkpoints as made
from tests.export.lazily import lazily
from tests.export.torch_like import write_names

torch = lazily("torch")
recognise = lazily("stream_export.checkpoints.recognise", "recognise")
wrong_file = lazily("stream_export.checkpoints.recognise", "wrong_file")
find_weights = lazily("stream_export.checkpoints.states", "find_weights")
load_weights = lazily("stream_export.checkpoints.states", "load_weights")
read_content = lazily("stream_export.checkpoints.states", "read_content")
Request = lazily("stream_export.converters._request", "Request")
detectron2 = lazily("stream_export.converters.detectron2.model")

SIGNS = Detectron2.signs


@pytest.fixture(scope="module")
def state() -> dict[str, Any]:
    return {name: torch.from_numpy(value) for name, value in made.detectron2().items()}


def saved(folder: Path, content: Any, **options: Any) -> Path:
    path = folder / "mine.pth"
    torch.save(content, path, **options)
    return path


@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "model.", "_orig_mod.", "module._orig_mod.", "ema_model.", "net.detector."],
)
@pytest.mark.parametrize(
    "keys",
    [(), ("model",), ("state_dict",), ("net",), ("weights",), ("model_ema",), ("a", "model_state")],
)
def test_weights_are_found_whatever_they_are_wrapped_in(
    tmp_path: Path, state: dict[str, Any], prefix: str, keys: tuple[str, ...]
) -> None:
    content: Any = {f"{prefix}{name}": value for name, value in state.items()}
    for key in reversed(keys):
        content = {"epoch": 3, key: content}
    place = load_weights(saved(tmp_path, content), SIGNS, "detectron2's")
    assert set(place.tensors) == set(state)
    assert place.prefix == prefix
    assert place.name == ".".join([*keys, prefix]).strip(".")
    assert place.beside == ()


@pytest.mark.parametrize(
    "wrapper", ["_checkpoint_wrapped_module", "_fsdp_wrapped_module", "_orig_mod"]
)
def test_a_part_may_be_wrapped_alone(tmp_path: Path, state: dict[str, Any], wrapper: str) -> None:
    part = "backbone.bottom_up."
    content = {name.replace(part, f"{part}{wrapper}."): value for name, value in state.items()}
    assert set(content) != set(state)
    place = load_weights(saved(tmp_path, content), SIGNS, "detectron2's")
    assert set(place.tensors) == set(state)


@pytest.mark.parametrize("held", ["list", "tuple", "inside"])
def test_weights_may_be_one_of_several_things(
    tmp_path: Path, state: dict[str, Any], held: str
) -> None:
    content: Any = {"list": [state], "tuple": (3, state, "b"), "inside": {"a": [1, state]}}[held]
    place = load_weights(saved(tmp_path, content), SIGNS, "detectron2's")
    assert set(place.tensors) == set(state)
    assert place.name == {"list": "0", "tuple": "1", "inside": "a.1"}[held]


class Config:
    """A class of somebody's own, which is not there when the file is read."""

    def __init__(self) -> None:
        self.rate = 0.1


def test_what_lies_beside_the_weights_does_no_harm(tmp_path: Path, state: dict[str, Any]) -> None:
    beside = {
        "best": np.float64(0.5),
        "when": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
        "path": Path("runs/1"),
        "args": argparse.Namespace(lr=0.1, out=Path("x")),
        "metrics": collections.defaultdict(list, {"ap": [np.float32(1.0)]}),
        "counts": collections.Counter("aab"),
        "device": torch.device("cpu"),
        "kind": torch.float16,
        "config": Config(),
        "history": np.zeros(3),
        "optimizer": torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], 0.1, 0.9).state_dict(),
    }
    for legacy in (False, True):
        path = saved(
            tmp_path, {**beside, "model": state}, _use_new_zipfile_serialization=not legacy
        )
        place = load_weights(path, SIGNS, "detectron2's")
        assert (place.name, set(place.tensors)) == ("model", set(state))
    path.write_bytes(pickle.dumps({**beside, "model": state}, protocol=5))
    place = load_weights(path, SIGNS, "detectron2's")
    name = next(iter(state))
    torch.testing.assert_close(place.tensors[name], state[name])


def test_an_averaged_copy_is_taken_when_it_is_asked_for(
    tmp_path: Path, state: dict[str, Any]
) -> None:
    averaged = {name: value + 1 for name, value in state.items()}
    path = saved(tmp_path, {"ema": averaged, "model": state})
    name = next(iter(state))
    for key, expected in ((None, state), ("model", state), ("ema", averaged)):
        place = load_weights(path, SIGNS, "detectron2's", key)
        torch.testing.assert_close(place.tensors[name], expected[name])
        told = "that the weights under 'model' are meant; there are others under 'ema' (--key ema)"
        assert place.assumed == (() if key else (told,))
    alone = load_weights(saved(tmp_path, {"model": state}), SIGNS, "detectron2's")
    assert alone.assumed == ()
    path = saved(tmp_path, {"ema": averaged, "model": state})
    converted = detectron2.convert(Request(path, names=write_names(tmp_path, made.CLASSES)))
    assert told in converted.assumed
    with pytest.raises(UsageError, match="no weights under 'swa'; there are 'ema', 'model'"):
        load_weights(path, SIGNS, "detectron2's", "swa")


def test_an_averaging_wrapper_s_counter_is_no_weight(tmp_path: Path, state: dict[str, Any]) -> None:
    content = {f"module.{name}": value for name, value in state.items()}
    path = saved(tmp_path, {**content, "n_averaged": torch.tensor(7)})
    assert load_weights(path, SIGNS, "detectron2's").beside == ()
    path = saved(tmp_path, {**content, "criterion.weight": torch.zeros(3)})
    assert load_weights(path, SIGNS, "detectron2's").beside == ("criterion.weight",)
    names = write_names(tmp_path, made.CLASSES)
    with pytest.raises(ModelError, match=r"no part of a network.*criterion\.weight"):
        detectron2.convert(Request(path, names=names))
    assert detectron2.convert(Request(path, names=names, ignore=("criterion.*",)))


def test_safetensors_are_read(tmp_path: Path, state: dict[str, Any]) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, {f"model.{name}": value.numpy() for name, value in state.items()})
    place = load_weights(path, SIGNS, "detectron2's")
    assert place.prefix == "model."
    for name, value in state.items():
        torch.testing.assert_close(place.tensors[name], value)
    found = recognise(path)
    assert found is not None
    assert found.system == "detectron2"
    whole = path.read_bytes()
    for share in (0.3, 0.999):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(ModelError, match=r"damaged or cut short"):
            read_content(path)


def write_safetensors(path: Path, arrays: dict[str, np.ndarray]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    content = b""
    for name, value in arrays.items():
        raw = value.astype(np.float32).tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(value.shape),
            "data_offsets": [len(content), len(content) + len(raw)],
        }
        content += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)


def test_programs_are_told_from_weights(tmp_path: Path) -> None:
    layer = torch.nn.Linear(2, 2)
    path = tmp_path / "script.pt"
    torch.jit.trace(layer, torch.zeros(1, 2)).save(str(path))
    with pytest.raises(
        ModelError, match=r"a TorchScript program; take its weights out.*state_dict"
    ):
        read_content(path)
    path = tmp_path / "program.pt2"
    torch.export.save(torch.export.export(layer, (torch.zeros(1, 2),)), str(path))
    with pytest.raises(
        ModelError, match=r"a program of torch\.export; take its weights out"
    ) as said:
        read_content(path)
    # What the command says last had been that an archive is to be unpacked.
    assert str(wrong_file(path, "torchvision", said.value)) == str(said.value)


def test_what_somebody_asks_for_by_name_is_not_guessed(tmp_path: Path) -> None:
    checkpoint = tmp_path / "mine.pth"
    for classes, offered in ((80, "coco"), (90, "coco90"), (8, "cityscapes")):
        with pytest.raises(UsageError, match=f"does not name them.*or --names {offered} if"):
            names_for(checkpoint, classes, None)
        names, source = names_for(checkpoint, classes, offered)
        assert (len(names), source) == (classes, f"{offered}'s, as asked")
    with pytest.raises(UsageError, match="it has 80 classes, the checkpoint has 3"):
        names_for(checkpoint, 3, "coco")
    with pytest.raises(UsageError, match="neither a file nor one of coco, coco90, cityscapes"):
        names_for(checkpoint, 3, "imagenet")
    assert names_for(checkpoint, 80, None, ("coco", "it says so"))[0] == COCO
    assert names_for(checkpoint, 2, "numbers")[0] == ("class 1", "class 2")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "BG\nbolt\nnut\n"),
        ("a.txt", "\ufeff__background__\r\nbolt\r\nnut\r\n"),
        ("a.txt", "bolt\n\n  nut  \n"),
        ("a.pbtxt", "item {\n id: 2\n name: 'nut'\n}\nitem {\n id: 1\n name: 'bolt'\n}\n"),
        ("a.pbtxt", "# ours\nitem: { id: 1 name: 'n/01' display_name: 'bolt' } "
         "item { id: 2 display_name: 'nut' }"),
        ("data.yaml", "train: images\nnc: 2\nnames: [bolt, nut]\n"),
        ("data.yaml", "names:\n  0: bolt\n  1: nut\n"),
        ("a.json", '["bolt", "nut"]'),
        ("a.json", '{"0": "bolt", "1": "nut"}'),
        ("a.json", '{"id2label": {"0": "bolt", "1": "nut"}}'),
        ("a.json", '{"categories": [{"id": 5, "name": "nut"}, {"id": 2, "name": "bolt"}]}'),
    ],
)  # fmt: skip
def test_names_come_in_many_forms(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert read_names(path, 2) == ("bolt", "nut")
    with pytest.raises(ModelError, match="the model has 7 classes besides background"):
        read_names(path, 7)


def test_numbers_without_a_class_are_kept_free(tmp_path: Path) -> None:
    path = tmp_path / "a.pbtxt"
    path.write_text("item { id: 1 name: 'bolt' } item { id: 3 name: 'nut' }")
    assert read_names(path, 3) == ("bolt", "N/A", "nut")


def case(name: str) -> Path:
    """A file of the cases that were met in the field."""
    path = SHARED / "cases" / "models" / name
    if not path.exists():
        pytest.skip("the folder shared/cases is not beside this checkout")
    return path


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("tv_plain.pth", ""),
        ("tv_args_path.pth", "model"),
        ("tv_best_numpy.pth", "model_state_dict"),
        ("tv_compiled.pth", "_orig_mod"),
        ("tv_ema.pth", "model.module"),
        ("tv_model_ema_key.pth", "model_ema"),
        ("tv_net_key.pth", "net"),
        ("tv_whole_model.pth", ""),
    ],
)
def test_torchvisions_cases(name: str, where: str) -> None:
    from stream_export.converters.torchvision.conversion import Asked, opened

    path = case(name)
    found = opened(Asked(weights=str(path)))
    assert found.arch == "maskrcnn_resnet18_fpn"
    place = find_weights(path, read_content(path), ("rpn.head.cls_logits.weight",))
    assert place is not None
    assert place.name == where
    if "whole" in name:
        assert not found.assumed
    else:
        assert "anchors" in found.assumed[0]


@pytest.mark.parametrize(
    ("system", "name", "asked", "said"),
    [
        ("detectron2", "d2_plain.pkl", {}, "140 weights"),
        ("detectron2", "d2_dconv.pkl", {}, "146 weights"),
        ("detectron2", "d2_ddp.pth", {}, "138 weights"),
        ("detectron2", "d2_best_numpy.pth", {}, "138 weights"),
        ("detectron2", "d2_plain.pkl", {"config": "d2_config.yaml"}, "SIZES = [[16], [32], [64]"),
        ("detectron2", "d2_plain.pkl", {"config": "d2_config_min0.yaml"}, "MIN_SIZE_TEST = 0"),
        ("detectron2", "d2_plain.pkl", {"config": "d2_lazy_config.yaml"}, "input_format = RGB"),
        ("matterport", "matterport_3.h5", {}, "186 weights"),
        ("matterport", "matterport_1.h5", {"names": "names_BG.txt"}, "names_BG.txt"),
        ("matterport", "matterport_1.h5", {"config": "matterport_self.py", "names": "names_BG.txt"},
         "settings: shortest 512, longest 512, anchor_sizes (8, 16, 32, 64, 128)"),
        ("tensorflow", "tf_one_class.pb", {"names": "label_map.pbtxt"}, "label_map.pbtxt"),
    ],
)  # fmt: skip
def test_other_origins_cases(system: str, name: str, asked: dict[str, str], said: str) -> None:
    given = {key: str(case(value)) for key, value in ({"names": "names3.txt"} | asked).items()}
    module = importlib.import_module(f"stream_export.converters.{system}.model")
    converted = module.convert(Request(case(name), **given))
    assert any(said in line for line in converted.read), converted.read
    if "d2_config_min0" in str(asked):
        assert converted.metadata.resize.mode == "native"
    if name == "d2_dconv.pkl":
        assert any(any(stage) for stage in converted.module.config.deformable)


@pytest.mark.parametrize(
    ("system", "config", "said"),
    [
        ("detectron2", "path: .\nnc: 3\nnames: [a, b, c]\n", "none of its 3 settings"),
        ("centermask", "path: .\nnc: 3\nnames: [a, b, c]\n", "none of its 3 settings"),
        ("matterport", "STEPS_PER_EPOCH = 4\n", "none of its lines sets anything"),
        ("matterport", "IMAGE_MAX_DIM = compute()\n", "line 1: the value of IMAGE_MAX_DIM cannot"),
    ],
)
def test_a_configuration_of_which_nothing_is_used_is_an_error(
    tmp_path: Path, system: str, config: str, said: str
) -> None:
    from tests.export import made_tensorflow

    path = tmp_path / "config.txt"
    path.write_text(config)
    weights = tmp_path / "weights"
    if system == "detectron2":
        made.write_detectron2(weights)
    elif system == "centermask":
        made.write_torch(weights, made.centermask(), wrapped=True)
    else:
        made_tensorflow.write_keras(weights)
    module = importlib.import_module(f"stream_export.converters.{system}.model")
    with pytest.raises(UsageError, match=said):
        module.convert(Request(weights, config=str(path), names="numbers"))


@pytest.mark.parametrize(
    "text",
    [
        "class A(Config):\n    def __init__(self):\n        self.IMAGE_MAX_DIM = 512\n",
        "config = Config()\nconfig.IMAGE_MAX_DIM = 512\n",
        "class A(Config):\n    IMAGE_MAX_DIM: int = 2 * 256\n",
        "SIDE = 512\nIMAGE_MIN_DIM, IMAGE_MAX_DIM = 256, SIDE\n",
        "IMAGE_MAX_DIM                  512\nNAME     mine\n",
        "IMAGE_MAX_DIM: 512\n",
    ],
)
def test_matterports_settings_are_understood_however_they_are_set(
    tmp_path: Path, text: str
) -> None:
    from stream_export.converters.matterport.settings import settings_for

    path = tmp_path / "config.py"
    path.write_text(text)
    found = settings_for(str(path))
    assert found["longest"] == 512
    assert settings_for(str(path), ("IMAGE_MAX_DIM=640",))["longest"] == 640
    for wrong, said in {
        "CROWDED=640": r"CROWDED: there is no such setting \(known are IMAGE_MIN_DIM",
        "IMAGE_MAX_DIMM=640": r"there is no such setting; did you mean IMAGE_MAX_DIM\?",
        "640": "write NAME=VALUE, such as IMAGE_MAX_DIM=512$",
    }.items():
        with pytest.raises(UsageError, match=said):
            settings_for(str(path), (wrong,))


def test_a_foreign_onnx_is_told_what_it_is(tmp_path: Path) -> None:
    from onnx import TensorProto, helper, save

    from stream_export.metadata import load_model

    value = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 640, 640])
    answer = helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 3, 640, 640])
    graph = helper.make_graph(
        [helper.make_node("Relu", ["images"], ["output0"])], "g", [value], [answer]
    )
    model = helper.make_model(graph, producer_name="pytorch", producer_version="2.4")
    path = tmp_path / "yolo.onnx"
    for description, kind in (("Ultralytics YOLO11n-seg", "a YOLO model"), ("", "a network")):
        helper.set_model_props(model, {"description": description})
        save(model, path)
        with pytest.raises(ModelError) as refused:
            load_model(path)
        wrong = wrong_file(path, "detectron2", ModelError("its own words"))
        for said in (str(wrong), str(refused.value)):
            assert f"it is {kind}" in said
            assert "made by pytorch 2.4, from images to output0" in said
            assert "export the Mask R-CNN's own checkpoint" in said
            assert "\n" not in said


def test_weights_of_shapes_alone_are_called_that(tmp_path: Path) -> None:
    state = {"backbone.body.conv1.weight": torch.zeros(2, 3, device="meta")}
    for number, content in enumerate((state, {"model": state})):
        path = tmp_path / f"{number}.pth"
        torch.save(content, path)
        with pytest.raises(ModelError, match="saved without their values"):
            load_weights(path, ("backbone.body.conv1.weight",), "torchvision's")
