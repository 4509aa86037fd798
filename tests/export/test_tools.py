"""The tools around the converters: agreement, options, metadata, registry, the speed table."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from stream.errors import ModelError, SourceError, UsageError
from stream.inference.bounded_weights import with_bounded_weights
from stream.inference.contract import Metadata, Resize
from stream.inference.onnx_file import read_onnx_file
from stream.instances import Instances
from stream_export import command, registry
from stream_export.options import parse_size, read_names
from stream_export.tools.agreement import (
    Tolerance,
    compare,
    mask_iou,
    match,
    picture_files,
    read_pictures,
)
from tests import photos
from tests.export.lazily import lazily

onnx = lazily("onnx")
TensorProto = lazily("onnx", "TensorProto")
helper = lazily("onnx.helper")
numpy_helper = lazily("onnx.numpy_helper")
widened = lazily("stream_export.graph", "widened")
check_contract = lazily("stream_export.metadata", "check_contract")
load_model = lazily("stream_export.metadata", "load_model")
read_metadata = lazily("stream_export.metadata", "read_metadata")
save_model = lazily("stream_export.metadata", "save_model")
write_metadata = lazily("stream_export.metadata", "write_metadata")
speed = lazily("stream_export.tools.speed")
half_model = lazily("stream_export.tools.half", "half_model")
quantize_model = lazily("stream_export.tools.quantize", "quantize_model")

METADATA = Metadata(names=("person", "cat"), resize=Resize("stretch", width=32, height=32))


def _instances(*rows: tuple[float, ...]) -> Instances:
    """Rows of x1, y1, x2, y2, score, label in a picture of 100 x 100."""
    values = np.array(rows, np.float32).reshape(-1, 6)
    return Instances(
        boxes=values[:, :4],
        scores=values[:, 4],
        labels=values[:, 5].astype(np.int64),
        masks=np.full((len(values), 28, 28), 0.9, np.float32),
        class_names=("person", "cat"),
        picture_size=(100, 100),
    )


def _compare(expected: Instances, found: Instances):
    picture = np.zeros((100, 100, 3), np.uint8)
    return compare(lambda _: expected, lambda _: found, [("it", picture)])


def test_the_same_is_the_same():
    both = _instances((10, 10, 50, 50, 0.9, 0), (20, 20, 90, 90, 0.5, 1))
    found = _compare(both, both)
    assert (found.matched, found.missing, found.extra, found.mask) == (2, 0, 0, 1.0)
    assert found.failures(Tolerance()) == []


def test_that_nothing_was_found_is_no_proof():
    """Rows of zeros and an overlap of 1 had looked like one."""
    lines = " ".join(_compare(_instances(), _instances()).lines())
    assert "neither found anything, so nothing was compared" in lines
    assert "overlap" not in lines
    one = _instances((10, 10, 50, 50, 0.9, 0))
    assert "1 missing" in " ".join(_compare(one, _instances()).lines())


def test_each_way_to_differ_is_told():
    expected = _instances((10, 10, 50, 50, 0.9, 0), (20, 20, 90, 90, 0.5, 1))
    found = _compare(expected, _instances((12, 10, 52, 50, 0.8, 0), (20, 20, 90, 90, 0.5, 0)))
    assert (found.matched, found.missing, found.extra) == (1, 1, 1)
    told = " ".join(found.failures(Tolerance()))
    for part in ("boxes differ by up to 2 pixels", "scores differ", "overlap by only", "1 detect"):
        assert part in told
    assert "it, score 0.900" in found.worst["box"]


def test_a_single_pixel_at_the_threshold_is_no_disagreement():
    """However small the mask is: of 24 pixels it is more than what all may differ by."""
    size = (10, 10, 16, 14)
    canvas = np.zeros((3, 100, 100), np.float32)
    canvas[:, 10:14, 10:16] = 0.9
    canvas[1, 10, 10] = canvas[2, 10, 10] = canvas[2, 13, 15] = 0.0
    whole, one_less, two_less = (
        replace(
            _instances((*size, 0.9, 0)),
            masks=mask[None],
            mask_boxes=np.array([[0, 0, 100, 100]], np.float32),
        )
        for mask in canvas
    )
    assert _compare(whole, one_less).failures(Tolerance()) == []
    assert "overlap by only 0.9167" in " ".join(_compare(whole, two_less).failures(Tolerance()))


def test_a_mask_of_one_row_is_compared_before_it_is_pasted():
    """A hundredth of a pixel had taken a seventh of its pixels away, as all lie at its edge."""
    rng = np.random.default_rng(3)
    noise = rng.uniform(0, 1, (1, 28, 28)).astype(np.float32)

    def at(y: float, masks: np.ndarray) -> Instances:
        return replace(_instances((3, y, 99, y + 1.2, 0.9, 0)), masks=masks)

    here, near = at(40.13, noise), at(40.16, noise)
    assert mask_iou(here, 0, near, 0, spare=1) < 0.95
    assert _compare(here, near).failures(Tolerance()) == []
    other = np.where(rng.uniform(0, 1, noise.shape) < 0.1, 1 - noise, noise)
    assert "masks overlap by only" in " ".join(
        _compare(here, at(40.13, other)).failures(Tolerance())
    )


def test_a_score_at_the_threshold_is_no_disagreement():
    found = _compare(
        _instances((10, 10, 50, 50, 0.0504, 0)), _instances((10, 10, 50, 50, 0.0499, 0))
    )
    assert found.failures(Tolerance()) == []
    missing = _compare(_instances((10, 10, 50, 50, 0.0504, 0)), _instances())
    assert (missing.missing, missing.borderline) == (0, 1)


def test_two_detections_never_share_a_partner():
    twice = _instances((10, 10, 50, 50, 0.9, 0), (10, 10, 50, 51, 0.8, 0))
    assert match(twice, _instances((10, 10, 50, 50, 0.9, 0)), 0.05) == [(0, 0)]
    assert mask_iou(twice, 0, twice, 0) == 1


def test_masks_are_compared_where_they_lie():
    plain = _instances((10, 10, 50, 50, 0.9, 0))
    framed = replace(plain, mask_boxes=np.array([[20, 10, 60, 50]], np.float32))
    assert mask_iou(framed, 0, framed, 0) == 1
    # Of 40 columns 30 are in both, of 50 in either.
    assert mask_iou(plain, 0, framed, 0) == pytest.approx(30 / 50, abs=0.01)


def test_pictures_are_thinned_evenly_and_must_be_there(tmp_path):
    import cv2

    for number in range(10):
        cv2.imwrite(str(tmp_path / f"{number}.png"), photos.cat()[:8, :8])
    assert [file.stem for file in picture_files(tmp_path, 5)] == ["0", "2", "4", "6", "8"]
    (tmp_path / "._0.png").write_bytes(b"what macOS leaves")
    assert len(list(read_pictures(tmp_path))) == 10
    for content in (b"no picture", b""):
        (tmp_path / "0.png").write_bytes(content)
        with pytest.raises(SourceError, match=r"0\.png: the picture cannot be read; take it out"):
            list(read_pictures(tmp_path))
    (tmp_path / "empty").mkdir()
    for name, words in {
        "empty": "it holds no pictures",
        "none": "there is no such folder",
        "0.png": "that is no folder",
    }.items():
        with pytest.raises(SourceError, match=f"{name}: {words}; give"):
            picture_files(tmp_path / name)


@pytest.mark.parametrize("text", ["800", "0x0", "100x100", "1333/800", "9999/9999", "a/b"])
def test_sizes_that_make_no_sense(text):
    with pytest.raises(UsageError, match="--size"):
        parse_size(text, in_graph=True)


def test_sizes():
    assert parse_size("800/1333", in_graph=True).mode == "native"
    assert parse_size("800/1333", in_graph=False) == Resize(
        "shortest_edge", shortest=800, longest=1333
    )
    box = parse_size("640x384", in_graph=True)
    assert (box.mode, box.width, box.height) == ("letterbox", 640, 384)


def test_names_come_one_a_line(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("background\nperson\n\ncat\n")
    assert read_names(path, 2) == ("person", "cat")
    with pytest.raises(ModelError, match="holds 3 names, the model has 5"):
        read_names(path, 5)


def test_a_name_of_two_classes_is_refused_and_numbers_without_a_class_are_not(tmp_path):
    path = tmp_path / "names.txt"
    for text in (
        "cat\ndog\ncat\n",
        "background\ncat\ndog\n cat \n",
        '["cat", "dog", "cat"]',
        "names:\n  0: cat\n  1: dog\n  2: cat\n",
        "".join(
            f'item {{ id: {number} name: "{name}" }}\n'
            for number, name in enumerate(("cat", "dog", "cat"), 1)
        ),
    ):
        path.write_text(text)
        with pytest.raises(ModelError, match=r"the classes 1 and 3 are all called 'cat', .* own$"):
            read_names(path, 3)
    for text in ("cat\nN/A\nN/A\n", '{"0": "cat", "1": "N/A", "2": "N/A"}', "cat\nCat\nCAT\n"):
        path.write_text(text)
        assert len(read_names(path, 3)) == 3


def test_names_may_stand_behind_or_before_their_numbers(tmp_path):
    path = tmp_path / "names.txt"
    for text, names in {
        "0 person\n1 hot dog\n": ("person", "hot dog"),
        "1: person\n2: cat\n": ("person", "cat"),
        "0,background\n1,person\n2,cat\n": ("person", "cat"),
        "1 euro\n2 euro\n": ("1 euro", "2 euro"),
        "7 a\n8 b\n": ("7 a", "8 b"),
        "2 a\n1 b\n": ("2 a", "1 b"),
        "1 person\ncat\n": ("1 person", "cat"),
        "1\n2\n": ("1", "2"),
        '{"cat": 1, "person": 0}': ("person", "cat"),
        '{"BG": 0, "cat": 2, "person": 1}': ("person", "cat"),
        '{"label2id": {"cat": "2", "person": "1"}}': ("person", "cat"),
        '{"0": "1", "1": "2"}': ("1", "2"),
    }.items():
        path.write_text(text)
        assert read_names(path, 2) == names, text
    path.write_text('{"epochs": 12, "lr": 1}')
    with pytest.raises(ModelError, match="holds no class names by number"):
        read_names(path, 2)


def test_names_are_read_in_the_encodings_that_say_themselves(tmp_path):
    path = tmp_path / "names.txt"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"):
        mark = "\ufeff" if encoding == "utf-16-le" else ""
        path.write_bytes(f"{mark}käse\r\ncat\r\n".encode(encoding))
        if encoding == "latin-1":
            with pytest.raises(ModelError, match=r"names\.txt: class names are not in UTF-8"):
                read_names(path, 2)
        else:
            assert read_names(path, 2) == ("käse", "cat"), encoding
    with pytest.raises(ModelError, match=r"cannot be read \(No such file"):
        read_names(tmp_path / "none.txt", 2)


def _tiny(tmp_path: Path | None = None, weight: float = 1.0) -> onnx.ModelProto:
    """A model of the contract that finds one thing whose score is a convolution's."""
    weights = np.full((1, 3, 32, 32), weight / 3072, np.float32)
    constants = {
        "w": weights,
        "box": np.array([[0, 0, 32, 32]], np.float32),
        "white": np.array(255, np.float32),
        "one": np.array([1], np.int64),
        "label": np.array([1], np.int64),
        "cells": np.array([1, 28, 28], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["f"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Div", ["f", "white"], ["u"], "scale"),
        helper.make_node("Transpose", ["u"], ["t"], "turn", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["t", "w"], ["c"], "backbone/Conv"),
        helper.make_node("Reshape", ["c", "one"], ["scores"], "flat"),
        helper.make_node("Identity", ["box"], ["boxes"], "b"),
        helper.make_node("Identity", ["label"], ["labels"], "l"),
        helper.make_node("Expand", ["scores", "cells"], ["masks"], "m"),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 32, 32, 3])
    outputs = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1]),
        helper.make_tensor_value_info("labels", TensorProto.INT64, [1]),
        helper.make_tensor_value_info("masks", TensorProto.FLOAT, [1, 28, 28]),
    ]
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", [image], outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    write_metadata(model, METADATA)
    return model


def _score(model: onnx.ModelProto, picture: np.ndarray) -> float:
    import onnxruntime

    # As the runtime opens it where 8-bit products are added in 16 bits.
    content = with_bounded_weights(model.SerializeToString())
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return float(session.run(["scores"], {"image": picture[None]})[0][0])


def test_metadata_go_in_and_come_out_and_leave_others_alone():
    model = _tiny()
    model.metadata_props.add(key="mine", value="kept")
    write_metadata(model, replace(METADATA, precision="int8"))
    assert read_metadata(model).precision == "int8"
    assert [e.value for e in model.metadata_props if e.key == "mine"] == ["kept"]
    assert len({e.key for e in model.metadata_props}) == len(model.metadata_props)


def test_what_breaks_the_contract_is_refused(tmp_path):
    model = _tiny()
    model.graph.output[1].name = "score"
    with pytest.raises(ModelError, match="lacks the outputs"):
        check_contract(model)
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ModelError, match="not an ONNX model"):
        load_model(tmp_path / "text.onnx")
    with pytest.raises(ModelError, match="no such file"):
        load_model(tmp_path / "none.onnx")
    looped = _tiny()
    looped.graph.node[0].op_type = "Loop"
    with pytest.raises(ModelError, match="holds Loop"):
        check_contract(looped)


def test_every_tool_says_of_a_checkpoint_what_to_make_of_it(tmp_path):
    """They speak as the runtime does, and not as the parser of ONNX files."""
    files = {"mine.pth": b"PK\x03\x04" + bytes(64), "old.pkl": b"\x80\x02}q\x00."}
    files |= {"page.onnx": b"<!DOCTYPE html>", "lfs.onnx": b"version https://git-lfs.github.com/s"}
    for name, content in files.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ModelError) as runtime:
            read_onnx_file(path)
        with pytest.raises(ModelError) as tool:
            load_model(path)
        assert str(tool.value) == str(runtime.value), name


def test_what_was_there_survives_a_failed_write(tmp_path):
    path = tmp_path / "it.onnx"
    save_model(_tiny(), path)
    before = path.read_bytes()
    with pytest.raises(ModelError, match="cannot be written"):
        save_model(_tiny(), path / "below" / "a-file.onnx")
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["it.onnx"]


def test_halving_and_quantising_move_an_answer_by_what_they_round():
    picture = np.asarray(photos.astronaut()[:32, :32])
    expected = _score(_tiny(), picture)
    assert _score(half_model(_tiny()), picture) == pytest.approx(expected, rel=2e-3)
    quantised = quantize_model(_tiny(), [picture], exclude=())
    assert _score(quantised, picture) == pytest.approx(expected, rel=2e-2)
    assert {"QuantizeLinear", "DequantizeLinear"} <= {n.op_type for n in quantised.graph.node}


def test_quantising_says_at_which_picture_it_is(tmp_path):
    import cv2

    (tmp_path / "pictures").mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / "pictures" / f"{number}.png"), np.full((32, 32, 3), 99, "u1"))
    save_model(_tiny(), tmp_path / "it.onnx")
    words = ["quantize", str(tmp_path / "it.onnx"), "--images", str(tmp_path / "pictures")]
    words += ["--pictures", "2", "-o", str(tmp_path / "int8.onnx")]
    told = CliRunner().invoke(command.build(), words)
    assert told.exit_code == 0, told.exception
    assert told.stderr.splitlines() == ["calibrating: picture 1 of 2"]


def test_what_is_left_out_of_quantising_is_so_beside_the_last_layers(tmp_path, monkeypatch):
    from stream_export.tools import quantize

    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "it.png").touch()
    save_model(_tiny(), tmp_path / "it.onnx")
    asked, written = [], []
    monkeypatch.setattr(quantize, "quantize_file", lambda *_, exclude, **__: asked.append(exclude))
    monkeypatch.setattr("stream_export.tools.inspect.announce", written.append)
    words = ["quantize", str(tmp_path / "it.onnx"), "--images", str(tmp_path / "pictures")]
    words += ["-o", str(tmp_path / "int8.onnx")]
    for more in ([], ["--exclude", "stem/", "--exclude", "fpn"]):
        told = CliRunner().invoke(command.build(), [*words, *more])
        assert told.exit_code == 0, told.exception
    assert asked == [quantize.SENSITIVE, (*quantize.SENSITIVE, "stem/", "fpn")]


def test_what_was_rounded_fails_only_by_limits_that_are_given(tmp_path):
    import cv2

    picture = np.asarray(photos.astronaut()[:32, :32])
    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures" / "it.png"), picture[..., ::-1])
    exact = _tiny()
    coarse = {
        "int8": quantize_model(exact, [picture], exclude=()),
        "float16": half_model(exact),
        "float32": _tiny(weight=0.9),
    }
    save_model(exact, tmp_path / "exact.onnx")
    given = ["--images", str(tmp_path / "pictures"), "--against", str(tmp_path / "exact.onnx")]
    for precision, model in coarse.items():
        path = tmp_path / f"{precision}.onnx"
        save_model(model, path)
        told = CliRunner().invoke(command.build(), ["verify", str(path), *given])
        strict = CliRunner().invoke(
            command.build(), ["verify", str(path), *given, "--score-error", "0"]
        )
        assert isinstance(strict.exception, ModelError), precision
        assert told.stderr.splitlines() == ["comparing: picture 1 of 1"]
        if precision == "float32":
            assert "scores differ by up to" in str(told.exception)
        else:
            assert told.exit_code == 0, (precision, told.exception)
            assert f"{precision}.onnx is rounded to {precision}, and" in told.output
        other = ["--images", given[1], "--against", str(path)]
        turned = CliRunner().invoke(command.build(), ["verify", given[-1], *other])
        if precision == "float32":
            assert f"exact.onnx: it differs from the model {path}: scores" in str(turned.exception)
        else:
            assert turned.exit_code == 0, (precision, turned.exception)
            assert f"{path} is rounded to {precision}, and" in turned.output


def test_two_models_that_see_pictures_in_other_sizes_are_told_so(tmp_path):
    import cv2

    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures" / "it.png"), photos.astronaut()[:32, :32, ::-1])
    one, other = tmp_path / "one.onnx", tmp_path / "other.onnx"
    save_model(_tiny(), one)
    model = _tiny(weight=0.9)
    letterbox = Resize("letterbox", width=32, height=32)
    write_metadata(model, replace(read_metadata(model), resize=letterbox))
    save_model(model, other)
    words = ["verify", str(one), "--images", str(tmp_path / "pictures"), "--against", str(other)]
    told = CliRunner().invoke(command.build(), words)
    sentence = "pictures are resized otherwise: there fitted into 32x32, bilinear; here "
    assert sentence in told.output and sentence in str(told.exception)
    told = CliRunner().invoke(command.build(), [*words, "--json"])
    assert json.loads(told.stdout)["differing"][0].startswith(sentence)


def test_verify_says_that_stored_answers_are_of_pictures_resized_otherwise(
    tmp_path: Path,
) -> None:
    import cv2
    import onnx

    picture = tmp_path / "it.png"
    cv2.imwrite(str(picture), np.full((32, 32, 3), 99, np.uint8))
    model, stored = tmp_path / "one.onnx", tmp_path / "answers.npz"
    shapes = {"boxes": (1, 4), "scores": (1,), "labels": (1,), "masks": (1, 28, 28)}
    none = {f"{picture.name}/{part}": np.ones(shape) for part, shape in shapes.items()}
    words = ["verify", str(model), "--images", str(picture.parent), "--against", str(stored)]
    np.savez(stored, **none)
    faster = Resize("stretch", width=32, height=32)
    for resize, options, told in (
        (faster, {"weights": "random"}, "eight bits; random weights amplify that"),
        (replace(faster, interpolation="area"), {}, "eight bits; some networks amplify that"),
        (replace(faster, interpolation="pil_bilinear"), {}, ""),
        (Resize("native"), {}, ""),
        (Resize("letterbox", width=32, height=32), {}, "fitted into 32x32, bilinear here, which"),
    ):
        made = _tiny()
        write_metadata(made, replace(read_metadata(made), resize=resize))
        onnx.helper.set_model_props(
            made,
            {
                **{one.key: one.value for one in made.metadata_props},
                registry.OPTIONS_KEY: json.dumps({"system": "torchvision", **options}),
            },
        )
        save_model(made, model)
        said = CliRunner().invoke(command.build(), words)
        assert isinstance(said.exception, ModelError)
        assert ("pictures are" in said.output) == bool(told) and told in str(said.exception)
    np.savez(stored, **{**none, f"{picture.name}/boxes": np.full((1, 4), np.nan)})
    said = CliRunner().invoke(command.build(), words)
    assert "boxes are pixels of the picture, which [nan, " in str(said.exception)
    assert isinstance(said.exception, ModelError)


def _of_light() -> onnx.ModelProto:
    """A model of the contract that finds one thing in a bright picture and nothing in a dark one.

    Its mask, all of 1, is made of a map whose values are small.
    """
    constants = {
        "w": np.full((1, 3, 32, 32), 1 / 3072, np.float32),
        "narrow": np.full((1, 3, 1, 1), 1 / 300, np.float32),
        "hundred": np.array(100, np.float32),
        "box": np.array([[0, 0, 32, 32]], np.float32),
        "white": np.array(255, np.float32),
        "half": np.array(0.5, np.float32),
        "one": np.array([1], np.int64),
        "all": np.array([-1], np.int64),
        "label": np.array([1], np.int64),
        "cells": np.array([-1, 32, 32], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["f"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Div", ["f", "white"], ["u"], "scale"),
        helper.make_node("Transpose", ["u"], ["t"], "turn", perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["t", "w"], ["c"], "backbone/Conv"),
        helper.make_node("Reshape", ["c", "one"], ["s"], "flat"),
        helper.make_node("Greater", ["s", "half"], ["g"], "bright"),
        helper.make_node("NonZero", ["g"], ["z"], "which"),
        helper.make_node("Reshape", ["z", "all"], ["i"], "places"),
        *(
            helper.make_node("Gather", [what, "i"], [out], out)
            for what, out in (("s", "scores"), ("box", "boxes"), ("label", "labels"), ("t", "m"))
        ),
        helper.make_node("Conv", ["m", "narrow"], ["n"], "mask/Conv"),
        helper.make_node("Reshape", ["n", "cells"], ["r"], "square"),
        helper.make_node("Mul", ["r", "hundred"], ["masks"], "wide"),
    ]
    outputs = [
        helper.make_tensor_value_info(name, kind, ["n", *shape])
        for name, kind, shape in (
            ("boxes", TensorProto.FLOAT, [4]),
            ("scores", TensorProto.FLOAT, []),
            ("labels", TensorProto.INT64, []),
            ("masks", TensorProto.FLOAT, [32, 32]),
        )
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 32, 32, 3])
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "light", [image], outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    write_metadata(model, METADATA)
    return model


@pytest.mark.parametrize("averaged", [True, False])
def test_pictures_with_nothing_in_them_coarsen_no_mask(averaged):
    import onnxruntime

    bright, dark = (np.full((32, 32, 3), level, np.uint8) for level in (250, 5))
    model = quantize_model(_of_light(), [dark, *[bright] * 20], exclude=(), averaged=averaged)
    content = with_bounded_weights(model.SerializeToString())
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    for picture, found in ((bright, 1), (dark, 0)):
        (masks,) = session.run(["masks"], {"image": picture[None]})
        assert masks == pytest.approx(np.full((found, 32, 32), 250 / 255), rel=0.1)
    with pytest.raises(UsageError, match="nothing is found in 2 pictures"):
        quantize_model(_of_light(), [dark, dark], exclude=(), averaged=averaged)


def test_symmetric_activations_have_no_zero_point():
    picture = np.asarray(photos.astronaut()[:32, :32])
    model = quantize_model(_tiny(), [picture], exclude=(), symmetric=True)
    stored = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    points = [
        stored[node.input[2]] for node in model.graph.node if node.op_type == "QuantizeLinear"
    ]
    assert points
    assert all((point == 0).all() and point.dtype == np.int8 for point in points)


def test_what_cannot_be_quantised_or_halved_says_why():
    picture = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(UsageError, match="needs pictures"):
        quantize_model(_tiny(), [])
    with pytest.raises(ModelError, match="is left to quantise"):
        quantize_model(_tiny(), [picture], exclude=("backbone",))
    with pytest.raises(UsageError, match="is no pattern"):
        quantize_model(_tiny(), [picture], exclude=("(",))
    with pytest.raises(UsageError, match="--exclude 'nosuch': no node's name has it"):
        quantize_model(_tiny(), [picture], exclude=("backbone", "nosuch"))
    with pytest.raises(ModelError, match="too large for half"):
        half_model(_tiny(weight=1e9))


def test_weights_stored_narrow_are_seen_through():
    model = _tiny()
    (stored,) = [item for item in model.graph.initializer if item.name == "w"]
    narrow = numpy_helper.to_array(stored).astype(np.float16)
    stored.CopyFrom(numpy_helper.from_array(narrow, "w/half"))
    widen = helper.make_node("Cast", ["w/half"], ["w"], "widen", to=TensorProto.FLOAT)
    model.graph.node.insert(0, widen)
    full = widened(model)
    kinds = {item.name: item.data_type for item in full.graph.initializer}
    assert kinds["w"] == TensorProto.FLOAT
    assert "w/half" not in kinds
    assert [n.op_type for n in half_model(model).graph.node].count("Cast") == 3


def test_what_is_missing_or_cannot_be_read_is_told():
    with pytest.raises(UsageError, match=r"from the checkout: pip install '\.\[export\]'"):
        registry.need_extra("a_module_that_is_not_there")
    with pytest.raises(ModelError, match="cannot be read"):
        registry.options_of({registry.OPTIONS_KEY: "{"})


def test_the_speed_table_holds_every_engine_or_the_reason(tmp_path):
    path = tmp_path / "tiny.onnx"
    save_model(_tiny(), path)
    rows = {row.engine: row for row in speed.speed_table(path, photos.astronaut(), rounds=1)}
    assert rows["CPU provider, float32"].seconds
    assert rows["CPU provider, int8"].instances == 1
    for row in rows.values():
        assert row.seconds is not None or row.note
        assert set(row.to_json()) == {"engine", "size", "seconds", "ratio", "instances", "note"}


def test_the_speed_table_calls_a_rounded_model_what_it_is(tmp_path):
    path = tmp_path / "tiny-int8.onnx"
    save_model(quantize_model(_tiny(), [photos.astronaut()], exclude=()), path)
    engines = {row.engine for row in speed.speed_table(path, photos.astronaut(), rounds=1)}
    assert {"CPU provider, int8", "CUDA, int8"} <= engines
    assert not any("float32" in engine for engine in engines)


@pytest.mark.parametrize("half", [False, True])
def test_torchvision_is_measured_where_it_is_asked_for_without_tf32(half):
    import torch

    from stream_export.tools.speed import _eager

    seen = []

    def model(pictures):
        seen.append((pictures[0].device.type, torch.is_autocast_enabled("cpu")))
        assert not torch.backends.cudnn.allow_tf32 and not torch.is_grad_enabled()
        return [{"scores": torch.ones(3), "boxes": torch.ones(3, 4)}]

    before = torch.backends.cudnn.allow_tf32
    assert _eager(model, torch.zeros(3, 4, 4), "cpu", half=half)() == 3
    assert seen == [("cpu", half)] and torch.backends.cudnn.allow_tf32 == before


def test_from_a_checkout_errors_are_a_sentence(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["stream_export", "inspect", "no-such.onnx"])
    with pytest.raises(SystemExit) as left:
        command.main()
    assert left.value.code == 2
    assert capsys.readouterr().err.strip() == "error: no-such.onnx: there is no such file"


@pytest.mark.parametrize("thin", [(30, 10, 30, 50), (30, 10, 50, 10), (30, 10, 30, 10)])
def test_a_box_without_area_that_is_alike_is_no_disagreement(thin):
    both = _instances((10, 10, 50, 50, 0.9, 0), (*thin, 0.8, 1))
    assert _compare(both, both).failures(Tolerance()) == []


def test_people_are_told_in_words_how_a_model_resizes_and_how_good_it_is(tmp_path: Path) -> None:
    from stream_export.tools.inspect import _measured, describe, describe_lines
    from tests import tiny_models

    lines = describe_lines(describe(tiny_models.bright(tmp_path / "bright.onnx")))
    told = {line.split()[0]: line for line in lines if line.startswith(("resize", "accuracy"))}
    assert set(told) == {"resize", "accuracy"}
    assert not any("{" in line or '"' in line for line in told.values()), told
    assert told["accuracy"].endswith(" mask AP")
    assert _measured("{}") == "not measured"
    assert not any(line.startswith("problem") for line in lines)


def test_what_inspect_reads_may_be_no_model_or_none_that_runs(tmp_path: Path) -> None:
    """Of an opset that no runtime knows it said that the contract is kept, and no more."""
    from stream_export.tools.inspect import describe, describe_lines
    from tests import tiny_models

    path = tiny_models.bright(tmp_path / "bright.onnx")
    model = onnx.load(path)
    for version, said in ((99, "opset 99, and ONNX .* knows"), (7, "it cannot be run")):
        model.opset_import[0].version = version
        kept = {one.key: one.value for one in model.metadata_props if "sum_of" not in one.key}
        onnx.helper.set_model_props(model, kept)
        onnx.save(model, path)
        assert re.search(said, describe_lines(describe(path))[-1]), version
    path.write_bytes(b"")
    for wrong, said in ((path, "is empty"), (tmp_path, "is a folder, a model is one .onnx file")):
        with pytest.raises(ModelError, match=said):
            describe(wrong)
