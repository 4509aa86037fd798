"""PNG masks: numbers, palettes, colours, soft edges, nobody."""

import cv2
import numpy as np
import pytest
from PIL import Image

from stream.errors import UsageError
from stream_models.training.checks import check
from stream_models.training.polygons import draw
from stream_models.training.reading import read

from .labelled import found

FIRST, SECOND = (0, 20, 10, 40, 40), (0, 70, 30, 40, 50)


def numbers(first=1, second=2):
    ids = np.zeros((90, 120), np.uint8)
    ids[10:50, 20:60] = first
    ids[30:80, 70:110] = second
    return ids


def folder_with(tmp_path, save):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.jpg"), np.full((90, 120, 3), 90, np.uint8))
    save(tmp_path / "masks" / "a.png")
    return tmp_path


def plain(path):
    cv2.imwrite(str(path), numbers())


def sixteen_bits(path):
    cv2.imwrite(str(path), numbers().astype(np.uint16) * 300)


def palette(path):
    picture = Image.fromarray(numbers(), "P")
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0])
    picture.save(path)


def palette_with_void(path):
    """PASCAL VOC's: an outline of index 255 around everybody."""
    ids = numbers()
    wide = cv2.dilate(ids, np.ones((5, 5), np.uint8))
    ids[(ids == 0) & (wide > 0)] = 255
    picture = Image.fromarray(ids, "P")
    colours = np.zeros((256, 3), np.uint8)
    colours[1], colours[2], colours[255] = (128, 0, 0), (0, 128, 0), (224, 224, 192)
    picture.putpalette(colours.ravel().tolist())
    picture.save(path)


def small_palette(path):
    """Two bits a pixel, as some programs save few colours."""
    picture = Image.fromarray(numbers(), "P")
    picture.putpalette([0, 0, 0, 255, 255, 255, 9, 9, 9, 7, 7, 7])
    picture.save(path, bits=2)


def grey_in_colour(path):
    cv2.imwrite(str(path), np.repeat(numbers(100, 200)[..., None], 3, axis=2))


def colours(path):
    out = np.zeros((90, 120, 3), np.uint8)
    out[numbers() == 1], out[numbers() == 2] = (200, 30, 30), (30, 200, 30)
    cv2.imwrite(str(path), out)


def transparent(path):
    out = np.full((90, 120, 4), 255, np.uint8)
    out[numbers() == 1, :3], out[numbers() == 2, :3] = (200, 30, 30), (30, 200, 30)
    out[numbers() == 0, 3] = 0
    cv2.imwrite(str(path), out)


@pytest.mark.parametrize(
    "save",
    [
        plain, sixteen_bits, palette, palette_with_void, small_palette, grey_in_colour, colours,
        transparent,
    ],
)  # fmt: skip
def test_each_person_of_a_mask_is_an_object(tmp_path, save):
    data = read(folder_with(tmp_path, save))
    assert check(data) == []
    assert sorted(found(data)["a.jpg"]) == [FIRST, SECOND]
    first, second = sorted(data.pictures[0].objects, key=lambda item: item.box)
    assert (first.area, second.area) == (1600, 2000)
    drawn = np.zeros((90, 120), np.uint8)
    draw(first.polygons, drawn, 1)
    assert (drawn == (numbers() == 1)).mean() > 0.999


def test_one_bit_is_one_person(tmp_path):
    mask = Image.fromarray(numbers(255, 0)).convert("1")
    data = read(folder_with(tmp_path, mask.save))
    assert found(data)["a.jpg"] == [FIRST]


def test_an_empty_mask_says_that_nobody_is_there(tmp_path):
    data = read(folder_with(tmp_path, lambda path: cv2.imwrite(str(path), numbers(0, 0))))
    assert check(data) == []
    assert found(data) == {"a.jpg": []}
    assert data.pictures[0].known.all()


@pytest.mark.parametrize("sigma", [0.5, 0.8, 1.5])
def test_soft_edges_of_one_mask_begin_at_half(tmp_path, sigma):
    """Not one person for each value in between."""
    soft = cv2.GaussianBlur(numbers(255, 0), (0, 0), sigma)
    assert len(np.unique(soft)) > 5
    data = read(folder_with(tmp_path, lambda path: cv2.imwrite(str(path), soft)))
    assert data.problems == []
    (item,) = data.pictures[0].objects
    assert item.box == (*FIRST[1:3], 60, 50)
    assert item.area == pytest.approx(1600, abs=8)


def shrunk(ids):
    big = cv2.resize(ids, (411, 309), interpolation=cv2.INTER_NEAREST)
    return cv2.resize(big, (120, 90), interpolation=cv2.INTER_AREA)


def blurred(ids):
    return cv2.GaussianBlur(ids, (0, 0), 1.0)


@pytest.mark.parametrize("spoil", [shrunk, blurred])
@pytest.mark.parametrize(("first", "second"), [(100, 200), (85, 255), (120, 121)])
def test_soft_edges_between_people_are_refused_in_a_sentence(tmp_path, spoil, first, second):
    soft = spoil(numbers(first, second))
    data = read(folder_with(tmp_path, lambda path: cv2.imwrite(str(path), soft)))
    (problem,) = data.problems
    assert problem.startswith("a.png: the mask has soft edges")
    assert "save it without anti-aliasing" in problem
    assert data.pictures == []


def test_a_photo_in_place_of_a_mask_is_refused(tmp_path):
    rng = np.random.default_rng(0)
    photo = cv2.GaussianBlur(rng.integers(0, 256, (90, 120, 3)).astype(np.uint8), (0, 0), 3)
    data = read(folder_with(tmp_path, lambda path: cv2.imwrite(str(path), photo)))
    (problem,) = data.problems
    assert problem.startswith("a.png: the mask has soft edges")


def test_small_people_with_hard_edges_are_people(tmp_path):
    """Also of one and two pixels, touching one another."""
    ids = np.zeros((90, 120), np.uint8)
    for index in range(6):
        ids[10:40, 10 + 2 * index : 12 + 2 * index] = index + 1
    ids[60:62, 60:62] = 9
    ids[80, 80] = 10
    ids[5:85, 90:115] = 20
    data = read(folder_with(tmp_path, lambda path: cv2.imwrite(str(path), ids)))
    assert data.problems == []
    assert len(data.pictures[0].objects) == 9


def test_people_side_by_side_have_no_soft_edges(tmp_path):
    ids = np.zeros((90, 120), np.uint8)
    for index in range(8):
        cv2.ellipse(ids, (12 + 13 * index, 45), (9, 30), 10, 0, 360, index + 1, -1)
    data = read(folder_with(tmp_path, lambda path: cv2.imwrite(str(path), ids)))
    assert data.problems == []
    assert [item.area for item in data.pictures[0].objects] == [
        np.count_nonzero(ids == value) for value in range(1, 9)
    ]


def test_what_does_not_belong_together_is_named(tmp_path):
    folder_with(tmp_path, plain)
    for name in ("b", "c", "d", "e"):
        cv2.imwrite(str(tmp_path / "images" / f"{name}.jpg"), np.zeros((90, 120, 3), np.uint8))
    cv2.imwrite(str(tmp_path / "masks" / "c.png"), numbers()[:50])
    (tmp_path / "masks" / "d.png").write_bytes(b"no picture")
    (tmp_path / "images" / "e.jpg").write_bytes(b"no picture")
    plain(tmp_path / "masks" / "e.png")
    plain(tmp_path / "masks" / "f.png")
    data = read(tmp_path)
    assert [picture.path.name for picture in data.pictures] == ["a.jpg"]
    assert data.described == 5
    assert [problem.partition(":")[0] for problem in data.problems] == [
        "f.png", "b.jpg", "c.png", "d.png", "e.jpg",
    ]  # fmt: skip
    assert "the mask is 120x50 pixels, its picture 120x90" in data.problems[2]


def test_masks_without_pictures_are_refused(tmp_path):
    (tmp_path / "masks").mkdir()
    with pytest.raises(UsageError, match="no images/ beside it"):
        read(tmp_path)


def test_pictures_and_masks_may_be_spelt_in_capitals(tmp_path):
    folder_with(tmp_path, plain)
    before = found(read(tmp_path))["a.jpg"]
    for path in sorted(tmp_path.rglob("*"), reverse=True):
        path.rename(path.with_name(path.name.upper()))
    (tmp_path / "MASKS" / "._A.PNG").write_bytes(b"\0\5\26\7")
    data = read(tmp_path)
    assert check(data) == []
    assert found(data)["A.JPG"] == before


def test_masks_of_a_picture_as_stored_are_turned_as_it_is(tmp_path):
    folder_with(tmp_path, plain)
    picture = tmp_path / "images" / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # shown a quarter turn clockwise
    with Image.open(picture) as opened:
        opened.load()
    opened.save(picture, exif=exif)
    data = read(tmp_path)
    assert check(data) == []
    assert (data.pictures[0].width, data.pictures[0].height) == (90, 120)
    turned = np.rot90(numbers(), -1)
    drawn = np.zeros((120, 90), np.uint8)
    for place, one in enumerate(data.pictures[0].objects, 1):
        draw(one.polygons, drawn, place)
    assert np.mean(drawn != turned) < 0.02
