import os

import cv2
import numpy as np
import pytest
from faster_coco_eval.core import mask as mask_api

from stream.errors import UsageError
from stream_models.training.checks import check, sound, unlabelled, without_bad
from stream_models.training.data import LONGEST
from stream_models.training.picture_files import load_picture, picture_size
from stream_models.training.polygons import draw, outline, scaled
from stream_models.training.reading import Purpose, read
from tests.heif import tiled

from .made import coco_set, write


@pytest.fixture
def made(tmp_path):
    return tmp_path / "set", coco_set(tmp_path / "set", 6)


def test_a_good_set_has_no_problems_and_contiguous_labels(made):
    folder, _ = made
    data = read(folder)
    assert data.names == ("person", "bar")
    assert check(data) == []
    assert {item.label for picture in data.pictures for item in picture.objects} == {0, 1}


def spoil_missing(folder, content):
    (folder / "images" / "000.png").unlink()
    return "instances.json, 000.png: the picture is missing"


def spoil_unreadable(folder, content):
    (folder / "images" / "001.png").write_bytes(b"no picture")
    return "001.png: the picture cannot be read"


def spoil_size(folder, content):
    cv2.imwrite(str(folder / "images" / "002.png"), np.zeros((50, 50, 3), np.uint8))
    return "002.png: is 50x50 pixels, its annotation says 160x120"


def spoil_empty_mask(folder, content):
    content["annotations"][0]["segmentation"] = [[]]
    return "instances.json, 000.png: annotation 1 has an empty mask"


def spoil_box_outside(folder, content):
    content["annotations"][2]["bbox"] = [150, 10, 60, 20]
    return "instances.json, 001.png: annotation 3 has a box that leaves the picture (160x120)"


def spoil_empty_box(folder, content):
    content["annotations"][2]["bbox"] = [15, 10, 0, 20]
    return "instances.json, 001.png: annotation 3 has an empty box"


def spoil_category(folder, content):
    content["annotations"][4]["category_id"] = 3
    return "instances.json, 002.png: annotation 5 has category id 3"


def spoil_image_id(folder, content):
    content["annotations"][5]["image_id"] = 99
    return "instances.json: annotation 6: no picture has the id 99"


def spoil_mask_elsewhere(folder, content):
    content["annotations"][6]["segmentation"] = [[300, 300, 320, 300, 320, 320]]
    return "instances.json, 003.png: annotation 7 has a mask of which 100% lies outside its box"


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_missing,
        spoil_unreadable,
        spoil_size,
        spoil_empty_mask,
        spoil_box_outside,
        spoil_empty_box,
        spoil_category,
        spoil_image_id,
        spoil_mask_elsewhere,
    ],
)
def test_bad_data_is_named_picture_by_picture(made, spoil):
    folder, content = made
    expected = spoil(folder, content)
    write(folder, content)
    problems = check(read(folder))
    assert any(problem.startswith(expected) for problem in problems), problems
    assert len(without_bad(read(folder)).pictures) >= 5
    # A box and its mask that leave one place open are not two objects there.
    assert not any("labelled twice" in note for note in read(folder).notes)


def test_a_narrow_strip_is_shrunk_and_a_wrong_size_named_as_it_was_labelled(tmp_path):
    content = coco_set(tmp_path, 6)
    for place, size in enumerate(((4000, 3), (31, 2000), (4000, 3))):
        cv2.imwrite(str(tmp_path / f"images/00{place}.png"), np.zeros((*size[::-1], 3), np.uint8))
        content["images"][place].update(width=size[0], height=size[1])
    content["images"][2]["height"] = 300
    content["annotations"] = [one for one in content["annotations"] if one["image_id"] > 3]
    write(tmp_path, content)
    data = read(tmp_path)
    assert check(data) == ["002.png: is 4000x3 pixels, its annotation says 4000x300"]
    assert [load_picture(one).shape for one in data.pictures[:2]] == [(1, 960, 3), (960, 15, 3)]


def test_a_class_that_nothing_is_labelled_with_is_named(made):
    folder, content = made
    assert unlabelled(read(folder)) is None
    content["categories"] = [*content["categories"], {"id": 50, "name": "dog"}]
    write(folder, content)
    assert "nothing is labelled so: dog; " in (unlabelled(read(folder)) or "")
    # Where only other classes are labelled, nothing is learnt of this one.
    for one in content["images"]:
        one["only_classes"] = [one["id"] for one in content["categories"][:2]]
    write(folder, content)
    assert unlabelled(read(folder)) is None


def test_a_folder_without_labels_says_what_was_looked_for(tmp_path):
    with pytest.raises(UsageError, match=r"neither instances.json .* nor a folder masks"):
        read(tmp_path)
    with pytest.raises(UsageError, match="is not there"):
        read(tmp_path / "none")
    # What tools export otherwise, and often.
    (tmp_path / "voc").mkdir()
    (tmp_path / "voc" / "a.xml").write_text("<annotation/>")
    with pytest.raises(UsageError, match=r"a\.xml holds labels in XML"):
        read(tmp_path)
    (tmp_path / "export.zip").touch()
    for place in (tmp_path, tmp_path / "export.zip"):
        with pytest.raises(UsageError, match=r"export\.zip is an archive: unpack it"):
            read(place)


def test_a_set_without_pictures_is_named(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "data.yaml").write_text("names: [person]")
    with pytest.raises(UsageError, match=f"{tmp_path.name} has no picture to judge by"):
        sound(tmp_path, Purpose.JUDGE, skip_bad=True)


def test_partial_labels_are_understood(made):
    folder, content = made
    content["images"][0]["only_person"] = 1
    content["images"][1]["person_incomplete"] = 1
    content["images"][2]["only_classes"] = [9]
    content["annotations"][0]["box_only"] = 1
    content["annotations"][1].update(mask_by="sam2", mask_score=0.75)
    content["annotations"][2].update(mask_by="sam2", mask_score=0.5)
    content["annotations"][3]["iscrowd"] = 1
    write(folder, content)
    pictures = read(folder).pictures
    known = [picture.known.tolist() for picture in pictures[:4]]
    assert known == [[True, False], [False, True], [False, True], [True, True]]
    weights = [item.mask_weight for picture in pictures[:2] for item in picture.objects]
    assert weights == pytest.approx([0.0, 0.5, 0.0, 0.0])
    assert pictures[1].objects[1].crowd


def test_run_length_masks_are_read(made):
    folder, content = made
    mask = np.zeros((120, 160), np.uint8)
    mask[20:60, 30:90] = 1
    coded = mask_api.encode(np.asfortranarray(mask))
    flat = mask.T.ravel()
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [0]])))
    runs = np.diff(np.concatenate([[0], edges, [flat.size]])).tolist()
    content["annotations"][0].update(
        bbox=[30, 20, 60, 40], segmentation={"size": [120, 160], "counts": runs}
    )
    content["annotations"][1].update(
        bbox=[30, 20, 60, 40],
        segmentation={"size": [120, 160], "counts": coded["counts"].decode()},
    )
    write(folder, content)
    for item in read(folder).pictures[0].objects:
        again = np.zeros_like(mask)
        draw(item.polygons, again, 1)
        assert (again == mask).mean() > 0.999


def test_large_files_are_shrunk_with_their_labels(tmp_path):
    content = coco_set(tmp_path / "set", 2)
    path = tmp_path / "set" / "images" / "000.png"
    cv2.imwrite(str(path), cv2.resize(cv2.imread(str(path)), (1920, 1440)))
    content["images"][0].update(width=1920, height=1440)
    for entry in content["annotations"][:2]:
        entry["bbox"] = [value * 12 for value in entry["bbox"]]
        entry["segmentation"] = [[value * 12 for value in entry["segmentation"][0]]]
    write(tmp_path / "set", content)
    data = read(tmp_path / "set")
    assert check(data) == []
    picture = data.pictures[0]
    assert (picture.width, picture.height) == (LONGEST, 720)
    assert load_picture(picture).shape == (720, 960, 3)
    assert max(item.box[2] for item in picture.objects) <= 960


def test_an_outline_drawn_again_is_the_same_mask():
    mask = np.zeros((60, 80), np.uint8)
    cv2.ellipse(mask, (40, 30), (25, 18), 20, 0, 360, 1, -1)
    again = np.zeros_like(mask)
    draw(outline(mask), again, 1)
    assert (again != mask).mean() < 0.002
    large = np.zeros((240, 320), np.uint8)
    draw(scaled(outline(mask), 4.0), large, 1)
    assert large.sum() / 16 == pytest.approx(mask.sum(), rel=0.05)


@pytest.mark.parametrize(("scale", "objects"), [(1.0, 1), (4.0, 0)])
def test_a_sliver_at_the_edge_proves_nothing(tmp_path, scale, objects):
    """Someone as large as the picture; four times as large, a canvas shows a sixteenth of them."""
    from stream_models.training.augment import AugmentConfig, find_donors, make

    content = coco_set(tmp_path / "set", 2)
    for entry in content["annotations"]:
        entry["bbox"], entry["area"] = [0, 0, 160, 120], 160 * 120
        entry["segmentation"] = [[0, 0, 160, 0, 160, 120, 0, 120]]
    content["annotations"] = content["annotations"][::2]
    write(tmp_path / "set", content)
    picture = read(tmp_path / "set").pictures[0]
    config = AugmentConfig(
        shortest=120,
        longest=160,
        scale=(scale, scale),
        whole=0.0,
        rotate=0.0,
        turn=0.0,
        headless=0.0,
    )
    rng = np.random.default_rng(0)
    _, truth = make(picture, load_picture, find_donors([]), (120, 160), config, rng)
    assert len(truth.boxes) == objects
    assert len(truth.ignore) == 1 - objects


def test_a_thing_that_someone_may_be_on_is_not_cut_out(made):
    from stream_models.training.augment import find_donors

    folder, content = made
    for entry in content["annotations"]:
        if entry["category_id"] == 7:
            entry["bbox"], entry["segmentation"] = [0, 0, 160, 120], [[0, 0, 160, 0, 160, 120]]
    write(folder, content)
    donors = find_donors(read(folder).pictures)
    assert len(donors.people) == 6
    assert donors.things == []


def test_a_picture_begins_below_a_head(tmp_path):
    from stream_models.training.augment import below_head

    content = coco_set(tmp_path / "set", 2)
    tall, high, low = (
        content["annotations"][0],
        content["annotations"][1],
        dict(content["annotations"][1], id=90),
    )
    tall["bbox"], tall["segmentation"] = [20, 10, 40, 100], [[20, 10, 60, 10, 60, 110, 20, 110]]
    high["bbox"], high["segmentation"] = [90, 0, 60, 36], [[90, 0, 150, 0, 150, 36, 90, 36]]
    low["bbox"], low["segmentation"] = [90, 90, 60, 8], [[90, 90, 150, 90, 150, 98, 90, 98]]
    content["annotations"].append(low)
    write(tmp_path / "set", content)
    picture = read(tmp_path / "set").pictures[0]
    cuts = set()
    for seed in range(20):
        part, cut = below_head(picture, np.random.default_rng(seed))
        cuts.add(cut)
        assert 29 <= cut <= 70
        assert part.height == 120 - cut
        person = part.objects[0]
        assert person.box == (20, 0, 60, 110 - cut)
        assert person.polygons[0].min(axis=0).tolist() == [20, 0]
        assert not person.crowd
        boxes = [item.box for item in part.objects[1:]]
        assert boxes[-1] == (90, 90 - cut, 150, 98 - cut)
        # What is left of the upper bar is a sliver, which proves nothing, or nothing at all.
        assert len(boxes) == (2 if cut <= 34 else 1)
        assert all(item.crowd == (item.box[1] == 0) for item in part.objects[1:])
    assert len(cuts) > 5


def test_a_picture_without_anyone_tall_stays_whole(made):
    from stream_models.training.augment import below_head

    folder, _ = made
    picture = read(folder).pictures[0]
    picture.objects = [item for item in picture.objects if item.label == 1]
    assert below_head(picture, np.random.default_rng(0)) == (picture, 0)


@pytest.mark.parametrize("changed", [{}, {"turn": 1.0}, {"headless": 1.0}])
def test_made_pictures_carry_true_boxes(tmp_path, changed):
    from stream_models.training.augment import AugmentConfig, find_donors, make

    coco_set(tmp_path / "set", 16)
    pictures = read(tmp_path / "set").pictures
    donors = find_donors(pictures)
    assert donors.people
    assert donors.things
    rng = np.random.default_rng(0)
    config = AugmentConfig(
        shortest=120, longest=160, paste=1.0, paste_things=1.0, camera=1.0, **changed
    )
    seen = 0
    for index in range(40):
        image, truth = make(pictures[index % 16], load_picture, donors, (128, 160), config, rng)
        assert image.shape == (128, 160, 3)
        assert image.dtype == np.uint8
        assert len(truth.boxes) == len(truth.labels) == len(truth.polygons)
        for row, box in enumerate(truth.boxes.tolist()):
            assert 0 <= box[0] < box[2] <= 160
            assert 0 <= box[1] < box[3] <= 128
            canvas = np.zeros((128, 160), np.uint8)
            draw(truth.polygons[row], canvas, 1)
            for front in truth.hidden[row]:
                draw(front, canvas, 0)
            x, y, w, h = cv2.boundingRect(canvas)
            assert [x, y, x + w, y + h] == pytest.approx(box, abs=2.5)
            seen += 1
    assert seen > 40


def test_batches_are_seeded_and_the_cache_outlives_them(made, tmp_path):
    from stream_models.training.augment import AugmentConfig
    from stream_models.training.batches import Batches, PictureCache

    folder, _ = made
    pictures = read(folder).pictures
    firsts = []
    for _ in range(2):
        cache = PictureCache(pictures, tmp_path / "cache")
        config = AugmentConfig(canvases=((64, 96),))
        batches = Batches(pictures, cache, np.ones(6), 3, config, 5)
        batch = next(iter(batches))
        batches.close()
        assert batch.images.shape == (3, 3, 64, 96)
        firsts.append(batch.images)
    assert (firsts[0] == firsts[1]).all()
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_people_are_known_however_their_class_is_written(made):
    folder, content = made
    person, bar = content["categories"]
    content["categories"] = [person | {"name": "Person"}, bar]
    content["images"][0]["only_person"] = 1
    content["images"][1]["person_incomplete"] = 1
    write(folder, content)
    known = [picture.known.tolist() for picture in read(folder).pictures[:3]]
    assert known == [[True, False], [False, True], [True, True]]


def test_a_disk_that_is_full_is_told_before_a_batch(made, tmp_path):
    resource = pytest.importorskip("resource")
    if not hasattr(os, "posix_fallocate"):
        pytest.skip("this system takes no room beforehand")
    from stream_models.training.batches import PictureCache

    pictures = read(made[0]).pictures
    size = sum(picture.width * picture.height * 3 for picture in pictures)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size - 1, before[1]))
    try:
        with pytest.raises(OSError, match=rf"pictures need {size / 1e6:.1f} MB there: .*pictures-"):
            PictureCache(pictures, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list((tmp_path / "out").iterdir()) == []


def test_other_pictures_take_the_room_of_those_before(made, tmp_path):
    from stream_models.training.batches import PictureCache

    pictures = read(made[0]).pictures
    out = tmp_path / "out"
    out.mkdir()
    (out / "pictures-of-mine.jpg").write_bytes(b"mine")
    first = PictureCache(pictures, out)
    seen = first.load(pictures[0]).copy()
    # What is there is taken, and no picture decoded once more.
    first.files[0].write_bytes(bytes(first.files[0].stat().st_size))
    again = PictureCache(pictures, out)
    assert again.files == first.files and not again.load(pictures[0]).any() and seen.any()
    other = PictureCache(pictures[1:], out)
    there = {out / "pictures-of-mine.jpg", *other.files}
    assert set(out.iterdir()) == there
    # Of this run the room is on the disk already, in whole blocks.
    if hasattr(os, "posix_fallocate"):
        about = other.files[0].stat()
        assert about.st_blocks * 512 >= about.st_size > 0


def test_pictures_of_phones_are_learnt_from(made):
    """HEIC, which neither OpenCV nor Pillow reads, in tiles that are turned."""
    folder, content = made
    for index, entry in enumerate(content["images"]):
        stored = folder / "images" / entry["file_name"]
        pixels = cv2.imread(str(stored), cv2.IMREAD_COLOR_RGB)
        entry["file_name"] = f"{index}.HEIC"
        # Turned back by what the file says.
        tiled(folder / "images" / entry["file_name"], np.rot90(pixels, -1), (64, 64), turned=1)
        stored.unlink()
    write(folder, content)
    data = read(folder)
    assert check(data) == [] and len(data.pictures) == 6
    assert {picture_size(one.path) for one in data.pictures} == {(160, 120)}
    assert np.abs(load_picture(data.pictures[-1]).astype(int) - pixels).mean() < 12
    data.pictures[0].path.write_bytes(data.pictures[0].path.read_bytes()[:900])
    assert "0.HEIC is not a picture that can be read, or it is damaged" in check(data)[0]


def test_a_picture_that_breaks_later_stops_the_batches(made, tmp_path):
    from stream_models.training.augment import AugmentConfig
    from stream_models.training.batches import Batches, PictureCache

    folder, _ = made
    pictures = read(folder).pictures
    cache = PictureCache(pictures, tmp_path / "cache")
    for picture in pictures:
        picture.path.write_bytes(b"")
    batches = Batches(pictures, cache, np.ones(6), 2, AugmentConfig(), 0)
    with pytest.raises(ValueError, match="cannot be read"):
        next(iter(batches))
    batches.close()


@pytest.mark.slow
def test_the_projects_own_data_is_sound(shared_data):
    data = read(shared_data / "val")
    assert len(data.pictures) == 338
    assert check(data) == []
