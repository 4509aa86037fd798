"""Each way of laying out a set gives exactly the same objects."""

import base64
import json

import cv2
import numpy as np
import pytest
from PIL import Image

from stream.errors import UsageError
from stream_models.training.checks import check, common, sound
from stream_models.training.data import Picture, part_of
from stream_models.training.layout import KIND, find
from stream_models.training.picture_files import pictures_in
from stream_models.training.reading import Purpose, holds_both, is_split, read

from .labelled import NAMES, SIZE, TRUTH, areas, coco, coco_folder, found, pictures, ring, write


def yolo_lines(objects, size=SIZE):
    lines = []
    for label, *box in objects:
        flat = [value / size[index % 2] for index, value in enumerate(ring(*box))]
        lines.append(" ".join([str(label), *(f"{value:.8f}" for value in flat)]))
    return "\n".join(lines) + "\n"


def plain(folder):
    coco_folder(folder)


def label_studio(folder):
    pictures(folder / "images")
    write(folder / "result.json", coco("images/", first=0))


def label_studio_on_windows(folder):
    pictures(folder / "images")
    write(folder / "result.json", coco("images\\", first=0))


def label_studio_names_in_ours(folder):
    coco_folder(folder, coco("..\\..\\data\\upload\\images\\"))


def cvat(folder):
    pictures(folder / "images")
    write(folder / "annotations" / "instances_default.json", coco())


def cvat_subset(folder):
    pictures(folder / "images" / "Train")
    write(folder / "annotations" / "instances_Train.json", coco())


def cocos_own(folder):
    pictures(folder / "train2017")
    write(folder / "annotations" / "instances_train2017.json", coco())
    write(folder / "annotations" / "captions_train2017.json", {"annotations": []})


def roboflow_folder(folder):
    pictures(folder)
    content = coco()
    top = {"id": 0, "name": "things-ab12", "supercategory": "none"}
    for entry in content["categories"]:
        entry["supercategory"] = "things-ab12"
    content["categories"].insert(0, top)
    write(folder / "_annotations.coco.json", content)


def fiftyone(folder):
    pictures(folder / "data")
    write(folder / "labels.json", coco())


def any_name(folder):
    pictures(folder / "shots")
    write(folder / "export_2026.json", coco("shots/"))
    (folder / "._export_2026.json").write_bytes(b"\0\5\26\7")


def yolo(folder):
    pictures(folder / "images" / "train")
    for name, objects in TRUTH.items():
        label = folder / "labels" / "train" / f"{name[:-4]}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(yolo_lines(objects))
    (folder / "data.yaml").write_text(
        "path: /nowhere\ntrain: images/train\nnames:\n  0: person\n  1: box\n"
    )


def yolo_roboflow(folder):
    pictures(folder / "train" / "images")
    for name, objects in TRUTH.items():
        label = folder / "train" / "labels" / f"{name[:-4]}.txt"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text(yolo_lines(objects))
    (folder / "data.yaml").write_text(
        "train: ../train/images\nnc: 2\nnames: ['person', 'box']\nroboflow:\n  version: 3\n"
    )


def yolo_list_of_files(folder):
    yolo(folder)
    (folder / "data.yaml").write_text("train: train.txt\nnames: [person, box]\n")
    (folder / "train.txt").write_text(
        "".join(f"data/images/train/{name}\n" for name in TRUTH), "utf-8-sig"
    )


def yolo_of_label_studio(folder):
    pictures(folder / "images")
    (folder / "classes.txt").write_text("person\nbox\n")
    (folder / "labels").mkdir()
    for name, objects in TRUTH.items():
        if objects:  # a negative has no file
            (folder / "labels" / f"{name[:-4]}.txt").write_text(yolo_lines(objects))


def labelme_shape(label, x, y, width, height, kind="polygon", **more):
    points = np.reshape(ring(x, y, width, height), (-1, 2)).tolist()
    points = [points[0], points[2]] if kind == "rectangle" else points
    named = {"label": NAMES[label], "points": points, "group_id": None, "shape_type": kind}
    return {**named, "flags": {}, **more}


def labelme_file(name, shapes):
    kept = {"version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": name}
    return {**kept, "imageData": None, "imageHeight": SIZE[1], "imageWidth": SIZE[0]}


def labelme(folder):
    pictures(folder)
    for name, objects in TRUTH.items():
        shapes = [labelme_shape(*one) for one in objects]
        write(folder / f"{name[:-4]}.json", labelme_file(name, shapes))
    (folder / "labels.txt").write_text("__ignore__\n_background_\nperson\nbox\n")


def labelme_apart(folder):
    """Labels in a folder of their own, rectangles, and painted masks."""
    pictures(folder / "images")
    for name, objects in TRUTH.items():
        shapes = [labelme_shape(*one, kind="rectangle") for one in objects]
        if name == "b.jpg":
            *_, width, height = objects[0]
            stored = cv2.imencode(".png", np.full((height, width), 255, np.uint8))[1].tobytes()
            painted = base64.b64encode(stored).decode()
            shapes = [labelme_shape(*objects[0], kind="rectangle", shape_type="mask", mask=painted)]
        write(folder / "labels" / f"{name[:-4]}.json", labelme_file(f"..\\images\\{name}", shapes))
    (folder / "labels.txt").write_text("person\nbox\n")


def coco_of_another_name(folder):
    pictures(folder / "images" / "train2017")
    write(folder / "annotations" / "my_train.json", coco())


LAYOUTS = [
    coco_of_another_name,
    labelme,
    labelme_apart,
    plain,
    label_studio,
    label_studio_on_windows,
    label_studio_names_in_ours,
    cvat,
    cvat_subset,
    cocos_own,
    roboflow_folder,
    fiftyone,
    any_name,
    yolo,
    yolo_roboflow,
    yolo_list_of_files,
    yolo_of_label_studio,
]


@pytest.mark.parametrize("make", LAYOUTS)
def test_every_layout_gives_the_same_objects(tmp_path, make):
    make(tmp_path)
    data = read(tmp_path)
    assert check(data) == []
    assert data.names == NAMES
    assert data.described == 3
    assert found(data) == TRUTH
    assert areas(data) == pytest.approx([1200, 240, 384], rel=1e-5)
    assert all(p.objects[0].mask_weight == 1.0 for p in data.pictures[:2])
    assert all(p.known.all() for p in data.pictures)
    assert (data.pictures[0].width, data.pictures[0].height) == SIZE


@pytest.mark.parametrize("make", LAYOUTS)
def test_every_layout_may_be_spelt_in_capitals(tmp_path, make):
    """Windows and macOS take one case for another, and cameras name their files in capitals."""
    make(tmp_path)
    for path in sorted(tmp_path.rglob("*"), reverse=True):
        path.rename(path.with_name(path.name.upper()))
    data = read(tmp_path)
    assert check(data) == []
    assert data.names == NAMES
    assert {name.lower(): objects for name, objects in found(data).items()} == TRUTH


@pytest.mark.parametrize("make", [make for make in LAYOUTS if make not in (yolo, yolo_roboflow)])
def test_parts_are_kept_apart(tmp_path, make):
    """`train`, `valid` and `test`: what is kept for judging is not learnt from."""
    for name in ("train", "valid", "test"):
        make(tmp_path / name)
    assert is_split(tmp_path)
    learn, judged = (read(tmp_path, purpose) for purpose in (Purpose.LEARN, Purpose.JUDGE))
    assert {p.path.relative_to(tmp_path).parts[0] for p in learn.pictures} == {"train"}
    assert {p.path.relative_to(tmp_path).parts[0] for p in judged.pictures} == {"valid"}
    assert found(learn) == found(judged) == TRUTH
    assert "only its part for training" in learn.notes[0]


def test_subsets_of_cvat_and_of_yolo_are_parts(tmp_path):
    for place in ("Train", "Validation"):
        pictures(tmp_path / "cvat" / "images" / place)
        write(tmp_path / "cvat" / "annotations" / f"instances_{place}.json", coco())
    for place in ("train", "val"):
        pictures(tmp_path / "yolo" / "images" / place)
        (tmp_path / "yolo" / "labels" / place).mkdir(parents=True)
        (tmp_path / "yolo" / "labels" / place / "a.txt").write_text(yolo_lines(TRUTH["a.jpg"]))
    (tmp_path / "yolo" / "dataset.yaml").write_text(
        "train: ./images/train\nval: ./images/val\nnames: {0: person, 1: box}\n"
    )
    for kind, learnt, kept in (("cvat", "Train", "Validation"), ("yolo", "train", "val")):
        assert is_split(tmp_path / kind)
        learn, judged = (
            read(tmp_path / kind, purpose) for purpose in (Purpose.LEARN, Purpose.JUDGE)
        )
        assert {p.path.parent.name for p in learn.pictures} == {learnt}
        assert {p.path.parent.name for p in judged.pictures} == {kept}
        assert found(judged)["a.jpg"] == TRUTH["a.jpg"]


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train", "train"),
        ("Train", "train"),
        ("training_set", "train"),
        ("train2017", "train"),
        ("valid", "val"),
        ("val2017", "val"),
        ("Validation", "val"),
        ("test-dev", "test"),
        ("trains", ""),
        ("default", ""),
        ("valley", ""),
    ],
)
def test_names_of_parts(name, part):
    assert part_of(name) == part


def test_a_set_with_one_part_is_not_split():
    assert not holds_both(["val"])
    assert not holds_both(["train"])
    assert holds_both(["train", "test"])


def test_every_layout_is_found_by_being_asked(tmp_path):
    assert {one.__name__ for one in KIND} == {
        "Cvat", "FiftyOne", "Instances", "LabelStudio", "Labelme", "Masks", "Roboflow", "Single",
        "Splits", "Yolo",
    }  # fmt: skip
    pictures(tmp_path / "images")
    write(tmp_path / "result.json", coco())
    (tmp_path / "data.yaml").write_text("names: [a]\n")
    with pytest.raises(UsageError, match=r"can be read as .*Label Studio.* and as YOLO text"):
        find(tmp_path)
    write(tmp_path / "instances.json", coco())
    assert find(tmp_path).title == "COCO format"


def test_a_coco_file_may_be_given_itself(tmp_path):
    coco_folder(tmp_path)
    assert found(read(tmp_path / "instances.json")) == TRUTH
    inner = tmp_path / "annotations" / "instances_val2017.json"
    write(inner, coco())
    assert check(read(inner)) == []


def test_coco_files_of_parts_have_any_name(tmp_path):
    for part in ("train", "val"):
        pictures(tmp_path / part)
        write(tmp_path / "annotations" / f"coco_{part}.json", coco())
    assert is_split(tmp_path)
    for purpose, part in ((Purpose.LEARN, "train"), (Purpose.JUDGE, "val")):
        data = read(tmp_path, purpose)
        assert found(data) == TRUTH
        assert {picture.path.parent.name for picture in data.pictures} == {part}


def test_cvats_yolo_1_1_is_read_and_said_to_be_of_boxes(tmp_path):
    """Its lists begin with a folder data/ that is not in its archive."""
    for part in ("train", "valid"):
        inner = tmp_path / f"obj_{part}_data"
        pictures(inner)
        for name, objects in TRUTH.items():
            lines = []
            for label, x, y, *sides in objects:
                centre = (x + sides[0] / 2, y + sides[1] / 2)
                shares = [one / side for one, side in zip((*centre, *sides), SIZE * 2, strict=True)]
                lines.append(" ".join(map(str, (label, *shares))))
            (inner / f"{name[:-4]}.txt").write_text("\n".join(lines))
        listed = "".join(f"data/{inner.name}/{name}\n" for name in TRUTH)
        (tmp_path / f"{part}.txt").write_text(listed)
    (tmp_path / "obj.names").write_text("person\nbox\n")
    (tmp_path / "obj.data").write_text(
        "classes = 2\ntrain = data/train.txt\nvalid = data/valid.txt\nnames = data/obj.names\n"
    )
    assert is_split(tmp_path)
    data = read(tmp_path, Purpose.JUDGE)
    assert check(data) == []
    assert found(data) == TRUTH
    assert {picture.path.parent.name for picture in data.pictures} == {"obj_valid_data"}
    assert 'CVAT\'s "COCO 1.0" holds masks' in data.notes[1]


def test_two_subsets_that_are_no_parts_are_one_set(tmp_path):
    pictures(tmp_path / "images" / "monday")
    pictures(tmp_path / "images" / "tuesday")
    write(tmp_path / "annotations" / "instances_monday.json", coco())
    second = coco()
    second["categories"] = [{"id": 1, "name": "cup"}, {"id": 2, "name": "person"}]
    write(tmp_path / "annotations" / "instances_tuesday.json", second)
    data = read(tmp_path)
    assert check(data) == []
    assert data.names == ("person", "box", "cup")
    assert len({picture.id for picture in data.pictures}) == 6
    first, other = data.pictures[0], data.pictures[3]
    assert (first.path.parent.name, other.path.parent.name) == ("monday", "tuesday")
    assert [item.label for item in first.objects] == [0, 1]
    assert [item.label for item in other.objects] == [2, 0]
    # Nobody said whether there are cups in Monday's pictures, or boxes in Tuesday's.
    assert first.known.tolist() == [True, True, False]
    assert other.known.tolist() == [True, False, True]


@pytest.mark.parametrize(
    "name", ["A.JPG", "sub/a.jpg", "/mnt/d/sub/a.jpg", "sub\\A.jpg", "a%2Ejpg"]
)
def test_a_picture_is_found_however_its_name_was_written(tmp_path, name):
    content = coco()
    content["images"][0]["file_name"] = name
    coco_folder(tmp_path, content)
    if "sub" in name:
        pictures(tmp_path / "images" / "sub", ["a.jpg"])
        pictures(tmp_path / "images" / "other", ["a.jpg"])
        (tmp_path / "images" / "a.jpg").unlink()
    data = read(tmp_path)
    assert data.problems == []
    assert data.pictures[0].path.parent.name == ("sub" if "sub" in name else "images")


def test_a_name_that_fits_two_files_is_not_guessed(tmp_path):
    content = coco()
    content["images"][0]["file_name"] = "elsewhere/a.jpg"
    coco_folder(tmp_path, content)
    for folder in ("one", "two"):
        pictures(tmp_path / "images" / folder, ["a.jpg"])
    (tmp_path / "images" / "a.jpg").unlink()
    (problem,) = read(tmp_path).problems
    assert "instances.json, a.jpg: the picture could be images/one/a.jpg and images/two" in problem


def test_two_names_of_one_file_are_named(tmp_path):
    content = coco()
    content["images"][1]["file_name"] = "images/a.jpg"
    coco_folder(tmp_path, content)
    data = read(tmp_path)
    assert data.problems == ["instances.json, a.jpg: a.jpg is the file of a.jpg already"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0.1 0.1 0.5 0.1 0.5", "has 5 numbers after the class"),
        ("7 0.1 0.1 0.5 0.1 0.5 0.5", "has the class 7, which has no name"),
        ("person 0.1 0.1 0.5 0.1 0.5 0.5", "has the class person, which has no name"),
        ("0 0.1 nan 0.5 0.1 0.5 0.5", "has something else than numbers in it"),
        ("0 10 10 50 10 50 50", "has coordinates that are no shares of the picture"),
        ("0 0.5 0.5 1.6 0.2", "has a box that leaves the picture"),
        ("0", "has 0 numbers after the class"),
    ],
)
def test_a_bad_line_of_yolo_is_named_and_its_place_ignored(tmp_path, line, reason):
    yolo_of_label_studio(tmp_path)
    (tmp_path / "labels" / "b.txt").write_text(f"\n{line}\n")
    data = read(tmp_path)
    (problem,) = data.problems
    assert problem.startswith(f"b.txt, b.jpg: line 2 {reason}")
    picture = data.pictures[1]
    assert all(item.crowd for item in picture.objects)
    assert picture.objects or not picture.known.all()


def test_yolos_boxes_have_no_mask(tmp_path):
    yolo_of_label_studio(tmp_path)
    (tmp_path / "labels" / "b.txt").write_text("1 0.5 0.5 0.25 0.5\n")
    data = read(tmp_path)
    assert data.problems == []
    assert found(data)["b.jpg"] == [(1, 30, 15, 20, 30)]
    assert data.pictures[1].objects[0].mask_weight == 0.0


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("names: [a, b\ntrain: x", "is no YAML"),
        ("just text", "must name the classes"),
        ("train: images\n", "must have its class names as a list"),
        ("train: images\nnames: [a, a]\n", "each once"),
        ("train: images\nnames: {0: a, 2: b}\n", "without gaps"),
        ("train: nowhere\nnames: [a]\n", "name nowhere, which is not there"),
        ("train: images\nnames: [a]\nkpt_shape: [17, 3]\n", "key points"),
        ("train: images\nnames: [a]\n", "no picture has a file of labels"),
    ],
)
def test_settings_of_yolo_that_cannot_be_followed_are_one_sentence(tmp_path, settings, reason):
    pictures(tmp_path / "images")
    (tmp_path / "data.yaml").write_text(settings)
    with pytest.raises(UsageError, match=reason) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_names_that_yaml_takes_for_truth_values_stay_names(tmp_path):
    yolo_of_label_studio(tmp_path)
    (tmp_path / "data.yaml").write_text("train: images\nnames: [no, on]\n")
    assert read(tmp_path).names == ("no", "on")


def test_pictures_that_are_missing_from_a_set_to_judge_by_are_named(tmp_path):
    coco_folder(tmp_path)
    for name in ("a.jpg", "c.jpg"):
        (tmp_path / "images" / name).unlink()
    told = []
    with pytest.raises(UsageError, match=r"2 things are wrong .* a\.jpg: the picture is missing"):
        sound(tmp_path, Purpose.JUDGE, tell=told.append)
    assert sum("is missing" in line for line in told) == 2
    told.clear()
    data = sound(tmp_path, Purpose.JUDGE, skip_bad=True, tell=told.append)
    assert found(data) == {"b.jpg": TRUTH["b.jpg"]}
    assert (
        "2 of 3 pictures with all that is labelled there are left out; what stays is 1 picture with"
        in told[-1]
    )


def test_what_is_left_out_is_counted_once_and_with_what_it_belongs_to(tmp_path):
    # Of one file with a wrong object and an unreadable picture that has one too, and with an object
    # of no picture at all.
    content = coco()
    for entry in (content["annotations"][0], content["annotations"][2]):
        entry["category_id"] = 9
    content["annotations"].append({**content["annotations"][1], "id": 77, "image_id": 55})
    coco_folder(tmp_path, content)
    whole = tmp_path / "images" / "b.jpg"
    whole.write_bytes(whole.read_bytes()[:400])  # its size can be read, its pixels cannot
    told = []
    data = sound(tmp_path, Purpose.BOTH, skip_bad=True, tell=told.append)
    assert [picture.path.name for picture in data.pictures] == ["a.jpg", "c.jpg"]
    assert told[-1] == (
        f"{tmp_path}: 1 of 3 pictures with all that is labelled there and 2 other objects are left "
        "out; what stays is 2 pictures with 1 object to learn from and judge by"
    )
    # A class that cannot be used and that no object has takes nothing away.
    content = coco()
    content["categories"].append({"id": 9})
    coco_folder(tmp_path / "more", content)
    told.clear()
    sound(tmp_path / "more", Purpose.LEARN, skip_bad=True, tell=told.append)
    assert "no picture and no object is left out; what stays is 3 pictures with 3" in told[-1]


def test_pictures_to_judge_by_that_are_learnt_from_too_are_counted(tmp_path):
    pictures(tmp_path / "data" / "images")
    pictures(tmp_path / "copies" / "images", ("x.jpg", "y.jpg"))
    (tmp_path / "copies" / "images" / "z.jpg").write_bytes(b"another")
    learn, other = (pictures_in(tmp_path / name) for name in ("data", "copies"))
    known = np.ones(1, np.bool_)
    sets = [[Picture(1, path, *SIZE, "", [], known) for path in paths] for paths in (learn, other)]
    assert common(sets[0], sets[0]) == 3
    assert common(*sets) == 2
    assert common(sets[0], sets[1][2:]) == 0


def test_a_set_without_objects_is_refused(tmp_path):
    content = coco()
    content["annotations"] = []
    coco_folder(tmp_path, content)
    with pytest.raises(UsageError, match="no object is labelled in the 3 pictures"):
        sound(tmp_path, Purpose.LEARN)


def test_a_set_of_boxes_says_that_no_mask_is_learnt(tmp_path):
    content = coco()
    for entry in content["annotations"]:
        entry["segmentation"] = []
    coco_folder(tmp_path, content)
    data = read(tmp_path)
    assert data.problems == []
    assert found(data) == TRUTH
    assert "boxes are learnt" in data.notes[-1]
    assert all(item.mask_weight == 0 for p in data.pictures for item in p.objects)


def test_files_of_other_labelling_formats_are_named(tmp_path):
    pictures(tmp_path / "images")
    (tmp_path / "result.json").write_text(json.dumps([{"annotations": [], "data": {}, "id": 1}]))
    with pytest.raises(UsageError, match="a list of 1 entry, the first of which is an object"):
        read(tmp_path)


def test_what_tools_export_in_other_forms_is_named_with_the_way_to_a_form_that_is_read(tmp_path):
    region = {"regions": [{"shape_attributes": {"name": "polygon"}, "region_attributes": {}}]}
    forms = {
        "via.json": (json.dumps({"a.jpg12": {"filename": "a.jpg", **region}}), "VGG Image Annot"),
        "train/via.json": (json.dumps({"_via_settings": {}}), r"Export Annotations \(COCO"),
        "via.csv": ("filename,region_shape_attributes\n", "VGG Image Annotator"),
        "meta.json": (json.dumps({"classes": [], "projectType": "images"}), "Supervisely"),
        "tasks.json": (json.dumps([{"result": [{"from_name": "label"}]}]), "Label Studio's own"),
        "annotations/default.json": (json.dumps({"categories": {"label": {}}}), "Datumaro"),
        "train/_annotations.createml.json": ("[]", "CreateML"),
        "VOC2012/SegmentationObject/a.png": ("", "Pascal VOC's form"),
        "train/_classes.csv": ("Pixel Value, Class", "COCO Segmentation"),
        "train.record-00000-of-00001": ("", "TensorFlow"),
    }
    for number, (name, (content, said)) in enumerate(forms.items()):
        folder = tmp_path / str(number)
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(content)
        with pytest.raises(UsageError, match=said) as caught:
            read(folder)
        assert "COCO" in str(caught.value), name
        assert "\n" not in str(caught.value), name


def test_a_reader_never_changes_the_files(tmp_path):
    coco_folder(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    read(tmp_path)
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert before == after


def test_the_cases_beside_the_checkout(shared_cases):
    """What each of the sets there holds: classes, objects, problems."""
    people = ("person", "box")
    expected = {
        "set_bom": (people, 8, 0),
        "set_boxes_only": (people, 8, 0),
        "set_cvat_masks": (people, 8, 0),
        "set_labelstudio": (people, 8, 0),
        "set_list_on_top": (people, 8, 0),
        "set_mask_elsewhere": (people, 7, 1),
        "set_masks_antialiased": (("person",), 4, 0),
        "set_null_area": (people, 8, 0),
        "set_null_sizes": (people, 8, 0),
        "set_roboflow_root": (("bolt", "nut"), 8, 0),
        "set_seg_flat": (people, 8, 0),
        "set_string_ids": (people, 8, 0),
        "set_three_classes": (("bolt", "nut", "washer"), 12, 0),
        "set_two_classes": (("bolt", "nut"), 8, 0),
        "set_val_missing": (people, 2, 3),
        "set_zero_sizes": (people, 8, 0),
    }
    got = {}
    for folder in sorted((shared_cases / "models").glob("set_*")):
        data = read(folder)
        got[folder.name] = (data.names, data.count(), len(check(data)))
        for picture in data.pictures:
            for item in picture.objects:
                assert 0 < item.area <= picture.width * picture.height
                assert np.isfinite(item.box).all()
    assert got == expected


def test_labelmes_labels_of_another_size_are_told_or_turned(tmp_path):
    """Sizes in its files were not looked at: labels of a picture as stored lay elsewhere."""
    labelme(tmp_path)
    marked = Image.Exif()
    marked[0x112] = 6
    width, height = SIZE
    Image.fromarray(np.zeros((height, width), np.uint8)).save(tmp_path / "b.jpg", exif=marked)
    pictures(tmp_path, {"a.jpg": []}, (2 * width, 2 * height))
    data = read(tmp_path)
    assert check(data) == ["a.json: the picture is 160x120 pixels, its labels are of one of 80x60"]
    turned = next(picture for picture in data.pictures if picture.path.name == "b.jpg")
    (_, x, y, w, h), (only,) = TRUTH["b.jpg"][0], turned.objects
    assert (turned.width, turned.height) == (height, width)
    assert only.box == (height - y - h, x, height - y, x + w)
    assert sum("are turned where EXIF data turn" in note for note in data.notes) == 1


def test_labelmes_groups_are_one_object_and_what_is_ignored_is_no_background(tmp_path):
    pictures(tmp_path, ["a.jpg"])
    shapes = [
        labelme_shape(0, 2, 2, 10, 10, group_id=1),
        labelme_shape(0, 30, 2, 10, 10, group_id=1),
        labelme_shape(0, 2, 40, 10, 10),
        {**labelme_shape(0, 50, 40, 10, 10), "label": "__ignore__"},
    ]
    write(tmp_path / "a.json", labelme_file("a.jpg", shapes))
    (picture,) = read(tmp_path).pictures
    group, alone, ignored = picture.objects
    assert group.box == (2, 2, 40, 12) and len(group.polygons) == 2
    assert alone.box == (2, 40, 12, 50)
    assert ignored.crowd and ignored.mask_weight == 0.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"shape_type": "line", "points": [[1, 1], [9, 9]]}, "is a line, of which no mask"),
        ({"points": [[1, 1], [9, 9]]}, "has 2 points, and a polygon has three"),
        ({"points": None}, "something else than points"),
        ({"points": [[1, "x"], [2, 3], [4, 5]]}, "something else than points"),
        ({"label": None}, "has no class"),
        ({"shape_type": "mask", "points": [[1, 1], [9, 9]], "mask": "!!"}, "cannot be decoded"),
    ],
)
def test_wrong_shapes_of_labelme_are_named_and_left_out(tmp_path, change, said):
    pictures(tmp_path, ["a.jpg"])
    shapes = [labelme_shape(0, 2, 2, 10, 10), {**labelme_shape(1, 20, 20, 10, 10), **change}]
    write(tmp_path / "a.json", labelme_file("a.jpg", shapes))
    data = read(tmp_path)
    (problem,) = data.problems
    assert "a.json, a.jpg: shape 2" in problem and said in problem
    assert data.pictures[0].skipped == 1
    assert sum(not one.crowd for one in data.pictures[0].objects) == 1


def test_a_circle_of_labelmes_is_round(tmp_path):
    pictures(tmp_path, ["a.jpg"])
    circle = labelme_shape(0, 0, 0, 1, 1, shape_type="circle", points=[[40, 30], [50, 30]])
    write(tmp_path / "a.json", labelme_file("a.jpg", [circle]))
    (found,) = read(tmp_path).pictures[0].objects
    assert found.area == pytest.approx(np.pi * 100, rel=0.01)


def test_an_object_that_is_labelled_twice_counts_once(tmp_path):
    content = coco()
    first, *_ = content["annotations"]
    content["annotations"] += [{**first, "id": 50}, {**first, "id": 51, "category_id": 2}]
    coco_folder(tmp_path / "coco", content)
    data = read(tmp_path / "coco")
    assert check(data) == []
    # What is labelled with two classes is two objects.
    _, *box = TRUTH["a.jpg"][0]
    assert found(data) == {**TRUTH, "a.jpg": [*TRUTH["a.jpg"], (1, *box)]}
    assert "1 object is labelled twice" in data.notes[-1]

    yolo(tmp_path / "yolo")
    label = tmp_path / "yolo" / "labels" / "train" / "a.txt"
    label.write_text(label.read_text() * 3)
    data = read(tmp_path / "yolo")
    assert found(data) == TRUTH
    assert "4 objects are labelled twice" in data.notes[-1]
    coco_folder(tmp_path / "once")
    assert not any("twice" in note for note in read(tmp_path / "once").notes)
