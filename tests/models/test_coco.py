"""COCO's json as tools write it: exact objects where the meaning is clear, else one sentence."""

import json
import struct
import zlib
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from stream.errors import UsageError
from stream_models.training.checks import check
from stream_models.training.data import ANY_CLASS
from stream_models.training.picture_files import load_picture
from stream_models.training.polygons import draw
from stream_models.training.reading import read

from .labelled import NAMES, SIZE, TRUTH, areas, coco, coco_folder, found, pictures, ring, runs


def byte_order_mark(content):
    return json.dumps(content).encode("utf-8-sig")


def sixteen_bits(content):
    return json.dumps(content).encode("utf-16")


def list_on_top(content):
    return [content]


def lists_on_top(content):
    """Two sets in one file, the second of one picture."""
    first, second = json.loads(json.dumps(content)), json.loads(json.dumps(content))
    first["images"], second["images"] = content["images"][:1], content["images"][1:]
    first["annotations"] = content["annotations"][:2]
    second["annotations"] = content["annotations"][2:]
    return [first, second]


def string_ids(content):
    for entry in content["images"]:
        entry["id"] = f"img{entry['id']}"
    for entry in content["annotations"]:
        entry["image_id"] = f"img{entry['image_id']}"
        entry["category_id"] = str(entry["category_id"])
        entry["id"] = f"ann{entry['id']}"


def ids_of_both_kinds(content):
    for entry in content["annotations"]:
        entry["image_id"] = str(entry["image_id"])
        entry["category_id"] = float(entry["category_id"])


def flat_polygons(content):
    for entry in content["annotations"]:
        entry["segmentation"] = entry["segmentation"][0]


def polygons_of_points(content):
    for entry in content["annotations"]:
        entry["segmentation"] = np.array(entry["segmentation"]).reshape(-1, 2).tolist()


def polygons_of_lists_of_points(content):
    for entry in content["annotations"]:
        entry["segmentation"] = [np.array(entry["segmentation"]).reshape(-1, 2).tolist()]


def numbers_as_text(content):
    for entry in content["annotations"]:
        entry["bbox"] = [str(value) for value in entry["bbox"]]
        entry["segmentation"] = [[f"{value:.2f}" for value in entry["segmentation"][0]]]


def null_sizes(content):
    for entry in content["images"]:
        entry["width"] = entry["height"] = None


def no_sizes(content):
    for entry in content["images"]:
        del entry["width"], entry["height"]


def zero_sizes(content):
    for entry in content["images"]:
        entry["width"] = entry["height"] = 0


def sizes_that_are_no_numbers(content):
    for entry in content["images"]:
        entry["width"], entry["height"] = float("nan"), -1


def null_fields(content):
    for entry in content["annotations"]:
        entry["area"] = entry["iscrowd"] = None


def nan_area(content):
    for entry in content["annotations"]:
        entry["area"] = float("nan")


def no_area(content):
    for entry in content["annotations"]:
        del entry["area"], entry["iscrowd"]


def no_boxes(content):
    for entry in content["annotations"]:
        del entry["bbox"]


def boxes_as_corners(content):
    for entry in content["annotations"]:
        x, y, width, height = entry["bbox"]
        entry["bbox"] = [x, y, x + width, y + height]


def null_boxes(content):
    for entry in content["annotations"]:
        entry["bbox"] = None


def more_than_coco_has(content):
    content["info"], content["licenses"] = None, [None]
    for entry in content["annotations"]:
        entry["attributes"] = {"occluded": False, "rotation": 0.0}


def run_lengths(content):
    for entry in content["annotations"]:
        entry["segmentation"] = runs(*entry["bbox"])


def cvats_masks(content):
    run_lengths(content)
    for entry in content["annotations"]:
        entry["iscrowd"] = 1


def cvats_masks_and_boxes(content):
    """A box drawn as such has no segmentation and no mark."""
    cvats_masks(content)
    content["annotations"][1].update(segmentation=[], iscrowd=0)


def cvats_masks_and_polygons(content):
    for entry in content["annotations"]:
        entry["attributes"] = {"occluded": False}
    content["annotations"][0].update(segmentation=runs(*content["annotations"][0]["bbox"]))
    content["annotations"][0]["iscrowd"] = 1


def roboflows_root(content):
    for entry in content["categories"]:
        entry["supercategory"] = "screws"
    content["categories"].append({"id": 0, "name": "screws", "supercategory": "none"})


def roboflows_root_named_as_a_class(content):
    for entry in content["categories"]:
        entry["supercategory"] = "person"
    content["categories"].append({"id": 0, "name": "person", "supercategory": "none"})


@pytest.mark.parametrize(
    "change",
    [
        byte_order_mark, sixteen_bits, list_on_top, lists_on_top, string_ids, ids_of_both_kinds,
        flat_polygons, polygons_of_points, polygons_of_lists_of_points, numbers_as_text,
        null_sizes, no_sizes, zero_sizes, sizes_that_are_no_numbers, null_fields, nan_area,
        no_area, no_boxes, null_boxes, boxes_as_corners, more_than_coco_has, run_lengths,
        cvats_masks, cvats_masks_and_boxes, cvats_masks_and_polygons, roboflows_root,
        roboflows_root_named_as_a_class,
    ],
)  # fmt: skip
def test_what_is_clearly_meant_is_read(tmp_path, change):
    content = coco()
    changed = change(content)
    coco_folder(tmp_path, content)
    if isinstance(changed, bytes):
        (tmp_path / "instances.json").write_bytes(changed)
    elif changed is not None:
        (tmp_path / "instances.json").write_text(json.dumps(changed))
    data = read(tmp_path)
    assert check(data) == []
    assert data.names == NAMES
    assert found(data) == TRUTH
    assert areas(data) == pytest.approx([1200, 240, 384])
    assert {(p.width, p.height) for p in data.pictures} == {SIZE}
    for picture in data.pictures:
        assert picture.known.all()
        for item, (_, x, y, width, height) in zip(
            picture.objects, TRUTH[picture.path.name], strict=True
        ):
            if not item.polygons:
                assert change is cvats_masks_and_boxes
                continue
            assert item.mask_weight == 1.0
            mask = np.zeros((SIZE[1], SIZE[0]), np.uint8)
            draw(item.polygons, mask, 1)
            assert mask[y : y + height, x : x + width].all()
            # OpenCV fills the pixels of the outline too.
            assert np.count_nonzero(mask) <= (width + 1) * (height + 1)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_labels_of_what_is_stored_are_turned_with_it(tmp_path, orientation):
    """Pictures are learnt from as they are shown; a tool may label them otherwise."""
    content = coco()
    coco_folder(tmp_path, content)
    marked = Image.Exif()
    marked[0x112] = orientation
    for path in (tmp_path / "images").iterdir():
        width, height = SIZE
        canvas = np.zeros((height, width), np.uint8)
        for _, x, y, w, h in TRUTH[path.name]:
            canvas[y : y + h, x : x + w] = 255
        Image.fromarray(canvas).save(path, exif=marked)
    data = read(tmp_path)
    assert check(data) == []
    assert "are labelled as stored" in " ".join(data.notes)
    for picture in data.pictures:
        assert (picture.height, picture.width) == SIZE
        shown = load_picture(picture)[..., 0] > 128
        inside = np.zeros(shown.shape, np.uint8)
        boxed = np.zeros(shown.shape, bool)
        for item in picture.objects:
            draw(item.polygons, inside, 1)
            x1, y1, x2, y2 = map(round, item.box)
            boxed[y1:y2, x1:x2] = True
        assert (boxed == shown).all()
        # OpenCV fills the pixels of the outline too.
        assert (inside[shown] == 1).all()


def test_labels_of_what_is_shown_stay(tmp_path):
    content = coco()
    for entry in content["images"]:
        entry["width"], entry["height"] = entry["height"], entry["width"]
    content["annotations"] = []
    coco_folder(tmp_path, content)
    marked = Image.Exif()
    marked[0x112] = 6
    for path in (tmp_path / "images").iterdir():
        Image.fromarray(np.zeros((SIZE[1], SIZE[0]), np.uint8)).save(path, exif=marked)
    data = read(tmp_path)
    assert check(data) == []
    assert "labelled as stored" not in " ".join(data.notes)
    assert {(picture.height, picture.width) for picture in data.pictures} == {SIZE}


def test_a_picture_larger_than_can_be_decoded_is_named(tmp_path):
    """Its labels may say less; OpenCV raises an error of its own then, which ended the program."""
    content = coco()
    content["images"][0]["file_name"] = "a.png"
    coco_folder(tmp_path, content)
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 40000, 30000, 1, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(100))),
        (b"IEND", b""),
    )
    written = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    (tmp_path / "images" / "a.png").write_bytes(written)
    assert check(read(tmp_path)) == ["a.png: the picture cannot be read"]


def test_shares_of_a_picture_are_no_pixels(tmp_path):
    content = coco()
    for entry in content["annotations"]:
        entry["bbox"] = [0.1, 0.2, 0.5, 0.5]
        entry["segmentation"] = []
    coco_folder(tmp_path, content)
    with pytest.raises(UsageError, match="lie between 0 and 1, as shares of the picture"):
        read(tmp_path)


def test_boxes_that_masks_contradict_are_no_corners(tmp_path):
    """One that fits only as COCO writes it says that all are so; the other is what is wrong."""
    content = coco()
    x, y, width, height = content["annotations"][0]["bbox"]
    content["annotations"][0]["bbox"] = [x, y, x + width, y + height]
    coco_folder(tmp_path, content)
    assert "corners" not in " ".join(read(tmp_path).notes)


def test_a_class_without_objects_that_is_nobodys_parent_stays(tmp_path):
    content = coco()
    content["categories"].append({"id": 0, "name": "dog", "supercategory": "dog"})
    content["categories"][0]["supercategory"] = "person"
    coco_folder(tmp_path, content)
    assert read(tmp_path).names == ("dog", *NAMES)


def test_cocos_crowds_stay_places_that_prove_nothing(tmp_path):
    content = coco()
    content["annotations"][0].update(segmentation=runs(10, 5, 30, 40), iscrowd=1)
    coco_folder(tmp_path, content)
    data = read(tmp_path)
    assert data.problems == []
    assert found(data)["a.jpg"] == [("ignored", 10, 5, 30, 40), TRUTH["a.jpg"][1]]
    assert data.pictures[0].objects[0].mask_weight == 0.0


def test_crowds_in_polygons_are_crowds_whoever_wrote_them(tmp_path):
    content = coco()
    for entry in content["annotations"]:
        entry["iscrowd"] = 1
    coco_folder(tmp_path, content)
    assert read(tmp_path).count() == 0


A, B, C = "instances.json, a.jpg: annotation 1 ", "instances.json: ", "instances.json, a.jpg: "
WHOLE = [(10, 5, 30, 40)]


@pytest.mark.parametrize(
    ("fields", "sentence", "places"),
    [
        ({"bbox": [10, 5, 0, 40]}, A + "has an empty box", WHOLE),
        ({"bbox": [10, 5, -30, 40]}, A + "has an empty box", WHOLE),
        ({"bbox": [10, float("nan"), 30, 40]}, A + "has a box with something else", WHOLE),
        ({"bbox": [10, None, 30, 40]}, A + "has a box with something else", WHOLE),
        ({"bbox": [10, 5, 30]}, A + "has a box that is not the four", WHOLE),
        ({"bbox": {"x": 10}}, A + "has a box that is not the four", WHOLE),
        ({"bbox": "10 5 30 40"}, A + "has a box that is not the four", WHOLE),
        (
            {"bbox": [70, 5, 30, 40]},
            A + "has a box that leaves the picture (80x60)",
            [(70, 5, 10, 40), *WHOLE],
        ),
        ({"bbox": [1e308, 5, 1e308, 40]}, A + "has a box that leaves the picture", WHOLE),
        ({"bbox": None, "segmentation": None}, A + "has neither a box nor a mask", []),
        ({"bbox": [], "segmentation": []}, A + "has neither a box nor a mask", []),
        ({"segmentation": [[]]}, A + "has an empty mask", WHOLE),
        ({"segmentation": [[1, 2, 3, 4]]}, A + "has an empty mask", WHOLE),
        ({"segmentation": [[10, 5, 20, 15, 40, 35]]}, A + "has an empty mask", WHOLE),
        ({"segmentation": [[10, 5, 40, 5, 40]]}, A + "has a polygon of 5 numbers", WHOLE),
        ({"segmentation": [[10, 5, 40, 5, "x", 9]]}, A + "has a polygon with something", WHOLE),
        (
            {"segmentation": [[10, 5, 40, 5, float("inf"), 9]]},
            A + "has a polygon with something",
            WHOLE,
        ),
        ({"segmentation": [10, [5, 40], 5, 40, 40]}, A + "has a polygon that is not a", WHOLE),
        ({"segmentation": "drawn"}, A + "has a mask that is neither", WHOLE),
        (
            {"segmentation": {"size": [80, 60], "counts": [4800]}},
            A + "has a mask in run lengths of the size [80, 60]",
            WHOLE,
        ),
        (
            {"segmentation": {"size": [60, 80], "counts": [1, 2]}},
            A + "has a mask in run lengths that do not fill",
            WHOLE,
        ),
        (
            {"segmentation": {"size": [60, 80], "counts": [4801, -1]}},
            A + "has a mask in run lengths that are no",
            WHOLE,
        ),
        (
            {"segmentation": {"size": [60, 80], "counts": "ÿ"}},
            A + "has a mask in run lengths that do not fill",
            WHOLE,
        ),
        (
            {"segmentation": {"size": [60, 80], "counts": None}},
            A + "has a mask in run lengths that do not fill",
            WHOLE,
        ),
        ({"segmentation": {"size": [60, 80], "counts": [4800]}}, A + "has an empty mask", WHOLE),
        (
            {"segmentation": [ring(50, 10, 20, 20)]},
            A + "has a mask of which 100% lies outside its box [10, 5, 40, 45]",
            [*WHOLE, (50, 10, 20, 20)],
        ),
        (
            {"segmentation": [ring(10, 5, 60, 40)]},
            A + "has a mask of which 50% lies outside its box",
            [*WHOLE, (10, 5, 60, 40)],
        ),
        ({"segmentation": [[1e9, 5, 1e9, 9, 2e9, 5]]}, A + "has a mask far outside", WHOLE),
        ({"category_id": 5}, A + "has category id 5, which is not among", WHOLE),
        ({"category_id": None}, A + "has category id None, which is not among", WHOLE),
        ({"category_id": 5, "bbox": None}, A + "has category id 5, which is not among", []),
    ],
)
def test_what_is_wrong_is_one_sentence_and_its_place_is_no_background(
    tmp_path, fields, sentence, places
):
    content = coco()
    content["annotations"][0].update(fields)
    coco_folder(tmp_path, content)
    data = read(tmp_path)
    (problem,) = data.problems
    assert problem.startswith(sentence)
    assert "\n" not in problem
    assert data.pictures[0].skipped == 1
    picture = data.pictures[0]
    ignored = [item for item in picture.objects if item.crowd]
    assert [(x, y, w, h) for _, x, y, w, h in found(data)["a.jpg"][: len(ignored)]] == places
    label = ANY_CLASS if "category_id" in fields else 0
    assert {item.label for item in ignored} <= {label}
    # Where the object may be anywhere, nothing is proven about where its class is not.
    expected = [bool(places)] * 2 if label == ANY_CLASS else [bool(places), True]
    assert picture.known.tolist() == expected
    assert found(data)["a.jpg"][-1] == TRUTH["a.jpg"][1]
    assert found(data)["b.jpg"] == TRUTH["b.jpg"]


def test_categories_of_one_name_are_one_class_and_that_is_said(tmp_path):
    content = coco()
    having = Counter(one["category_id"] for one in content["annotations"])
    first = next(one for one in content["categories"] if having[one["id"]] > 1)
    content["categories"].append({**first, "id": 77})
    coco_folder(tmp_path, content)
    assert not any("one name" in note for note in read(tmp_path).notes)  # no object has the second
    before = found(read(tmp_path))
    moved = next(one for one in content["annotations"] if one["category_id"] == first["id"])
    moved["category_id"] = 77
    coco_folder(tmp_path, content)
    data = read(tmp_path)
    told = f"categories {first['id']} and 77 have one name, {first['name']}, and are learnt as"
    assert any(told in note for note in data.notes), data.notes
    assert found(data) == before and data.problems == []


@pytest.mark.parametrize(
    ("section", "value", "sentence"),
    [
        ("annotations", None, B + "number 1 of its annotations is no object but just None"),
        ("annotations", [7], B + "number 1 of its annotations is no object but a list"),
        ("annotations", {"id": 1}, B + "annotation 1: no picture has the id None"),
        ("annotations", {"id": 1, "image_id": 99}, B + "annotation 1: no picture has the id 99"),
        ("images", None, B + "number 1 of its images is no object"),
        ("images", {"id": 1}, B + "the picture with the id 1 has no file_name"),
        ("images", {"file_name": 5, "id": 1}, B + "the picture with the id 1 has no file_name"),
        ("images", {"file_name": "a.jpg"}, C + "the picture has no usable id"),
        ("images", {"file_name": "a.jpg", "id": 2}, "instances.json, b.jpg: the image id 2 is"),
        ("images", {"file_name": "a\0.jpg", "id": 1}, "instances.json, a\0.jpg: the picture is"),
        ("images", {"file_name": "x" * 300, "id": 1}, "instances.json, xxx"),
        ("categories", None, B + "number 1 of its categories is no object"),
        ("categories", {"id": 1}, B + "the category 1 has no usable id and name"),
        ("categories", {"id": 2, "name": "x"}, B + "the category id 2 is used twice"),
    ],
)
def test_entries_that_say_nothing_are_named(tmp_path, section, value, sentence):
    content = coco()
    content[section][0] = value
    coco_folder(tmp_path, content)
    data = read(tmp_path)
    assert any(problem.startswith(sentence) for problem in data.problems), data.problems
    if section == "images":
        assert "a.jpg" not in found(data)
    else:
        assert found(data)["b.jpg"][0][1:] == TRUTH["b.jpg"][0][1:]


def test_a_size_that_is_not_the_files_is_named(tmp_path):
    content = coco()
    content["images"][0].update(width=60, height=80)
    content["images"][1].update(width=10**9, height=10**9)
    coco_folder(tmp_path, content)
    problems = check(read(tmp_path))
    assert any("b.jpg: the picture is 80x60 pixels" in problem for problem in problems)
    assert any("a.jpg: is 80x60 pixels, its annotation says 60x80" in p for p in problems)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "is no json: Expecting value in line 1, column 1"),
        (b'{"images": [', "is no json: .* in line 1, column 13"),
        (b"\xff\xfe\xff", "is no json that can be read"),
        (b"[" * 100_000, "is no json that can be read"),
        (b"{}", "is json, but no COCO file: on top it has an empty object"),
        (b"[]", "is json, but no COCO file: on top it has a list of 0 entries"),
        (b"7", "is json, but no COCO file: on top it has just 7"),
        (b'{"shapes": [], "version": "5"}', "on top it has an object with shapes, version"),
        (b'{"images": {}, "categories": []}', "names no category|its 'images' must be a list"),
        (b'{"images": []}', "its 'categories' must be a list, and is missing"),
        (b'{"images": [], "categories": []}', "names no category"),
        (b'{"images": null, "categories": [{"id": 1, "name": "a"}]}', "its 'images' must be a"),
        (b'{"images": [], "annotations": 5, "categories": []}', "its 'annotations' must be a"),
    ],
)
def test_a_file_that_is_no_coco_is_one_sentence(tmp_path, text, reason):
    pictures(tmp_path / "images")
    (tmp_path / "instances.json").write_bytes(text)
    with pytest.raises(UsageError, match=reason) as caught:
        read(tmp_path)
    assert str(tmp_path / "instances.json") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_mask_has_outside_its_box_is_cut_off_where_it_is_little(tmp_path):
    content = coco()
    # 3 of 33 columns, a little more than a tenth would be refused.
    content["annotations"][0]["segmentation"] = [ring(10, 5, 33, 40)]
    coco_folder(tmp_path, content)
    data = read(tmp_path)
    assert data.problems == []
    item = data.pictures[0].objects[0]
    assert item.box == (10, 5, 40, 45)
    points = np.concatenate(item.polygons)
    assert points.min(axis=0).tolist() == [10, 5]
    assert points.max(axis=0).tolist() == [40, 45]


def test_a_concave_mask_is_cut_to_what_is_in_the_box(tmp_path):
    content = coco()
    # A comb of two teeth, which stick out of the box by 2.5 of 40 rows.
    comb = [10, 5, 40, 5, 40, 47.5, 30, 47.5, 30, 20, 20, 20, 20, 47.5, 10, 47.5]
    content["annotations"][0]["segmentation"] = [comb]
    coco_folder(tmp_path, content)
    (picture, *_) = read(tmp_path).pictures
    whole, cut = (np.zeros((60, 80), np.uint8) for _ in range(2))
    draw([np.array(comb, np.float32).reshape(-1, 2)], whole, 1)
    draw(picture.objects[0].polygons, cut, 1)
    assert (whole[5:44, 10:39] == cut[5:44, 10:39]).all()
    assert cut[46:].sum() == 0


def test_boxes_that_leave_the_picture_by_a_rounding_are_cut(tmp_path):
    content = coco()
    content["annotations"][1].update(bbox=[60, 40, 21, 21.5], segmentation=[])
    coco_folder(tmp_path, content)
    data = read(tmp_path)
    assert data.problems == []
    assert found(data)["a.jpg"][1] == (1, 60, 40, 20, 20)
