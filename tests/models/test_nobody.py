"""How the default model learnt that nobody is in some pictures: `docs/nobody.py`."""

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from stream.assets import demo_picture
from stream.inference.catalogue import find
from stream.inference.segmenter import Segmenter
from stream.instances import box_iou
from tests.scripts import script

SHIPPED = Path(find("default").files[""]).parent


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What it makes of the astronaut, labelled, and of her upside down as of nobody."""
    folder, picture = tmp_path_factory.mktemp("nobody"), demo_picture()
    height, width = picture.shape[:2]
    notes = {item.key: item.value for item in onnx.load(SHIPPED / "default.onnx").metadata_props}
    names = json.loads(notes["training.network"])["names"]
    x1, y1, x2, y2 = Segmenter.load("default", "cpu")(picture).boxes[0].tolist()
    box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
    told = {
        "images": [{"id": 1, "file_name": "one.png", "height": height, "width": width}],
        "categories": [{"id": 1 + place, "name": name} for place, name in enumerate(names)],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, **box}],
    }
    for name, rows in (("labelled", slice(None)), ("others", slice(None, None, -1))):
        (folder / name).mkdir()
        cv2.imwrite(str(folder / name / "one.png"), picture[rows, :, ::-1])
    (folder / "others" / "one.png").rename(folder / "others" / "one.jpg")
    (folder / "labelled" / "instances.json").write_text(json.dumps(told))
    with script("nobody") as nobody:
        nobody.BATCH = nobody.NOBODY_BATCH = 1
        assert nobody.main([str(folder / name) for name in ("labelled", "others", "out")]) == 0
    return folder / "out"


@pytest.mark.parametrize("name", ["default.onnx", "default.int8.onnx"])
def test_only_the_last_layers_of_both_heads_are_others(made, name):
    was, now = (
        {
            item.name: numpy_helper.to_array(item)
            for item in onnx.load(str(folder / name)).graph.initializer
        }
        for folder in (SHIPPED, made)
    )
    assert was.keys() == now.keys()
    others = {key for key in was if not np.array_equal(was[key], now[key])}
    assert others
    layers = {tuple(key.split(".")[2:4]) for key in others}
    assert layers == {
        (head, layer) for head in ("box", "refine") for layer in ("fc2", "classes", "deltas")
    }


@pytest.mark.parametrize("name", ["default.onnx", "default.int8.onnx"])
def test_who_is_labelled_is_found_where_she_was(made, name):
    before, since = (
        Segmenter.load(model, "cpu")(demo_picture())
        for model in (str(SHIPPED / name), str(made / name))
    )
    assert since.names[0] == "person"
    assert box_iou(since.boxes[:1], before.boxes[:1])[0, 0] > 0.9
