"""Each object, or each class, in a file of its own, all in line with the source."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from stream import sinks
from stream.errors import UsageError
from stream.frame import Frame
from stream.instances import Instances
from stream.pictures.pixels import picture_from_bgr, plane_view
from stream.run import split
from stream.run.opening import check_output
from stream.run.outputs import open_output
from stream.run.plan import OutputPlan, RunPlan, SourcePlan, masks_plan
from stream.run.setup import check
from stream.run.split import SplitSink
from stream.settings.options import OutputOptions, PictureOptions
from tests.media import make_picture
from tests.sinks.running import info

WIDTH, HEIGHT = 96, 64
BOXES = {1: (4, 8, 36, 56), 2: (40, 8, 60, 56), 7: (64, 8, 92, 56)}
NAMES = ("person", "dining table")


def found(*ids, labels=None):
    """Whole boxes as objects, by identity."""
    return Instances(
        boxes=np.array([BOXES.get(one, (4, 8, 36, 56)) for one in ids], np.float32).reshape(-1, 4),
        scores=np.linspace(0.9, 0.6, len(ids), dtype=np.float32),
        labels=np.array(labels or [0] * len(ids), np.int64),
        masks=np.ones((len(ids), 28, 28), np.float32),
        class_names=NAMES,
        picture_size=(HEIGHT, WIDTH),
        track_ids=np.array(ids, np.int64),
    )


def run(target, frames, picture=None, *, times=None, photos=(), options=None):
    """Writes frames with these objects; returns what the sink has to say."""
    picture = PictureOptions(look="binary", split="object") if picture is None else picture
    plan = OutputPlan(str(target), picture, options or OutputOptions())
    about = info(width=WIDTH, height=HEIGHT, pictures=tuple(photos))
    sink = SplitSink(plan, sinks.find(plan.target, photos=bool(photos)), about)
    for index, instances in enumerate(frames):
        image = make_picture(index, WIDTH, HEIGHT, "yuv420p")
        pts = index if times is None else times[index]
        before = [bytes(plane) for plane in image.planes]
        sink.write(Frame(image, index, pts, Fraction(1, 25), 1, instances=instances))
        assert [bytes(plane) for plane in image.planes] == before
    sink.close()
    return sink.remarks


def read(path):
    """Times and binary masks of a video."""
    with av.open(str(path)) as container:
        return [(one.time, plane_view(one.planes[0]) > 100) for one in container.decode(video=0)]


def mask(*ids):
    return found(*ids).full_masks().any(axis=0)


def test_files_are_as_long_as_the_source_and_black_while_their_object_is_not_there(tmp_path):
    frames = [found(1), found(1), found(), found(1, 2), found(2), None, found(2, 1)]
    times = [0, 1, 2, 5, 6, 9, 10]
    remarks = run(tmp_path / "out.mkv", frames, times=times)
    files = {path.name: read(path) for path in tmp_path.iterdir()}
    assert sorted(files) == ["out.person-1.mkv", "out.person-2.mkv"]
    for identity in (1, 2):
        shown = files[f"out.person-{identity}.mkv"]
        assert [time for time, _ in shown] == pytest.approx([at / 25 for at in times])
        for instances, (_, white) in zip(frames, shown, strict=True):
            there = instances is not None and identity in instances.track_ids
            assert np.array_equal(white, mask(identity) if there else np.zeros_like(white))
    assert remarks == [
        f"2 files: {tmp_path}/out.person-1.mkv, {tmp_path}/out.person-2.mkv",
    ]


def test_a_class_has_one_file_with_all_of_it(tmp_path):
    frames = [found(1, 7, 2, labels=[0, 0, 1]), found(2, labels=[1])]
    run(tmp_path / "out.mkv", frames, PictureOptions(look="binary", split="class"))
    people, tables = read(tmp_path / "out.person.mkv"), read(tmp_path / "out.dining-table.mkv")
    assert np.array_equal(people[0][1], mask(1, 7)) and not people[1][1].any()
    assert np.array_equal(tables[1][1], mask(2))


def test_a_file_keeps_its_name_where_the_class_of_its_object_changes(tmp_path):
    run(tmp_path / "out.mkv", [found(1), found(1, labels=[1]), found(1)])
    assert [path.name for path in tmp_path.iterdir()] == ["out.person-1.mkv"]
    assert all(np.array_equal(white, mask(1)) for _, white in read(tmp_path / "out.person-1.mkv"))


def test_no_more_than_so_many_are_written_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(split, "MOST", 2)
    there = [[1], [1, 2], [1, 2, 7], [1, 2, 7], [1, 7], [1, 7]]
    times = [0, 25, 50, 75, 250, 275]
    remarks = run(tmp_path / "out.mkv", [found(*ids) for ids in there], times=times)
    lengths = {path.name: len(read(path)) for path in tmp_path.iterdir()}
    assert lengths == {"out.person-1.mkv": 6, "out.person-2.mkv": 4, "out.person-7.mkv": 6}
    assert remarks[1] == (
        "1 of them ends where its object left, as no more than 2 are written at a time"
    )
    assert len(remarks) == 2


def test_what_had_no_place_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(split, "MOST", 1)
    remarks = run(tmp_path / "out.mkv", [found(1, 2, 7)] * 3)
    assert [path.name for path in tmp_path.iterdir()] == ["out.person-1.mkv"]
    assert remarks[1].startswith("2 objects have no file, as 1 others were being written")


def test_nothing_found_makes_no_file_and_says_so(tmp_path):
    assert run(tmp_path / "out.mkv", [found(), None]) == [
        "nothing was found, so there is no file of it"
    ]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("asked", ["largest", "id2"])
def test_only_those_that_are_chosen_have_files(tmp_path, asked):
    picture = PictureOptions(look="binary", split="object", select=asked)
    run(tmp_path / "out.mkv", [found(1, 2)] * 3, picture)
    name = "out.person-1.mkv" if asked == "largest" else "out.person-2.mkv"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_cutouts_have_the_colours_and_the_transparency_of_their_object_alone(tmp_path):
    picture = PictureOptions(look="cutout", split="object", feather=0, refine=False)
    run(tmp_path / "out.mkv", [found(1), found(1, 7)], picture)
    with av.open(str(tmp_path / "out.person-7.mkv")) as container:
        first, second = container.decode(video=0)
        assert first.format.name == "yuva420p"
        assert not plane_view(first.planes[3]).any()
        assert (plane_view(second.planes[3]) > 127).mean() == pytest.approx(
            mask(7).mean(), abs=0.05
        )
    picture = PictureOptions(look="instances", identities=True, split="object")
    run(tmp_path / "ids.mkv", [found(1, 7)], picture)
    with av.open(str(tmp_path / "ids.person-7.mkv")) as container:
        (only,) = container.decode(video=0)
        assert np.array_equal(plane_view(only.planes[0], 16), 7 * mask(7))


@pytest.mark.parametrize("target", ["out/", "out/m%03d.png"])
def test_pictures_of_a_video_lie_in_a_folder_for_each_object(tmp_path, target):
    remarks = run(f"{tmp_path}/{target}", [found(1), found(), found(1, 7)])
    name = "m{:03d}.png" if "%" in target else "{:06d}.png"
    there = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png"))
    assert there == [
        f"out/person-1/{name.format(0)}",
        f"out/person-1/{name.format(2)}",
        f"out/person-7/{name.format(2)}",
    ]
    white = cv2.imread(str(tmp_path / there[2]), cv2.IMREAD_UNCHANGED)
    assert white.ndim == 2 and np.array_equal(white, 255 * mask(7))
    assert remarks[0].startswith("2 folders: ")


def photo(tmp_path, name="photo.jpg"):
    pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    cv2.imwrite(str(tmp_path / name), pixels)
    return picture_from_bgr(cv2.imread(str(tmp_path / name))), tmp_path / name


def write_photo(tmp_path, target, picture):
    image, path = photo(tmp_path)
    output = open_output(
        OutputPlan(target, picture),
        info(width=WIDTH, height=HEIGHT, pixel_format="yuv444p10le", pictures=(path,)),
    )
    instances = Instances.from_full_masks(
        found(1, 7, 2).full_masks(),
        class_names=NAMES,
        picture_size=(HEIGHT, WIDTH),
        labels=[0, 0, 1],
    )
    output.sink.write(Frame(image, 0, 0, Fraction(1), instances=instances))
    output.sink.close()
    return cv2.imread(str(path))


def test_pictures_of_a_numbered_film_have_its_numbers(tmp_path):
    plan = OutputPlan(f"{tmp_path}/out/", PictureOptions(look="binary", split="object"))
    about = info(width=WIDTH, height=HEIGHT, numbers=[7, 9])
    sink = SplitSink(plan, sinks.find(plan.target), about)
    for index in range(2):
        image = make_picture(index, WIDTH, HEIGHT, "yuv420p")
        sink.write(Frame(image, index, index, Fraction(1, 25), 1, instances=found(1)))
    sink.close()
    written = sorted(one.name for one in (tmp_path / "out").rglob("*.png"))
    assert written == ["000007.png", "000009.png"]


def test_objects_of_a_photo_are_numbered_by_class(tmp_path):
    write_photo(tmp_path, f"{tmp_path}/done/", PictureOptions(look="binary", split="object"))
    names = sorted(path.name for path in (tmp_path / "done").iterdir())
    assert names == ["photo.dining-table-1.png", "photo.person-1.png", "photo.person-2.png"]
    white = cv2.imread(str(tmp_path / "done" / "photo.person-2.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(white, 255 * mask(7))


@pytest.mark.parametrize("look", ["cutout", "blur", "hide"])
def test_photos_of_the_same_scene_have_nothing_to_do_with_each_other(tmp_path, look):
    image, _ = photo(tmp_path)
    first, second = (
        replace(one, track_ids=None, boxes=one.boxes + np.float32(by))
        for one, by in ((found(1), 0), (found(1), 3))
    )
    for name, shown in (("both", [first, second]), ("alone", [second])):
        paths = [tmp_path / f"{one}.png" for one in "ab"[2 - len(shown) :]]
        plan = OutputPlan(f"{tmp_path}/{name}/", PictureOptions(look=look, split="object"))
        output = open_output(plan, info(width=WIDTH, height=HEIGHT, pictures=tuple(paths)))
        for index, instances in enumerate(shown):
            output.sink.write(Frame(image, index, index, Fraction(1), instances=instances))
        output.sink.close()
    after, alone = (
        cv2.imread(str(tmp_path / name / "b.person-1.png"), cv2.IMREAD_UNCHANGED)
        for name in ("both", "alone")
    )
    assert np.array_equal(after, alone)


def test_what_is_doubted_is_covered_by_class_and_named_where_it_is_not(tmp_path):
    """It was bare in all, without a word."""
    doubts = replace(found(7, 2, labels=[0, 1]), track_ids=None)
    doubted = replace(found(1), track_ids=None, unsure=doubts)
    limb = replace(doubted, unsure=replace(found(1), track_ids=None))
    names = [tmp_path / name for name in ("a.png", "b.png")]
    said = "in 1 picture what the model was not sure of is covered in no file: a.png"

    def covered(name):
        """How much of the boxes of 1, 7 and 2 is as another picture has it."""
        original = make_picture(0, WIDTH, HEIGHT, "yuv420p").to_ndarray(format="bgr24")
        changed = np.abs(original - cv2.imread(str(tmp_path / name)).astype(int)).max(axis=2) > 8
        boxes = [BOXES[one] for one in (1, 7, 2)]
        return [changed[top:bottom, left:right].mean() for left, top, right, bottom in boxes]

    for by in ("object", "class"):
        picture = PictureOptions(look="hide", split=by)
        remarks = run(f"{tmp_path}/{by}/", [doubted, limb], picture, photos=names)
        assert remarks[1:] == [said], by
    sure, of_class, of_another = covered("object/a.person-1.png")
    assert sure > 0.6 and of_class < 0.1 and of_another < 0.5
    sure, of_class, of_another = covered("class/a.person.png")
    assert sure > 0.6 and of_class > 0.6 and of_another < 0.5
    chosen = PictureOptions(look="hide", split="object", select="largest")
    assert len(run(f"{tmp_path}/chosen/", [doubted], chosen, photos=names[:1])) == 1


@pytest.mark.parametrize("look", ["cutout", "binary", "contour"])
def test_crop_cuts_each_object_out(tmp_path, look):
    picture = PictureOptions(look=look, crop=True, feather=0)
    original = write_photo(tmp_path, f"{tmp_path}/out.png", picture)
    small = cv2.imread(str(tmp_path / "out.person-1.png"), cv2.IMREAD_UNCHANGED)
    left, top, right, bottom = BOXES[1]
    assert abs(small.shape[0] - (bottom - top + 8)) <= 2
    assert abs(small.shape[1] - (right - left + 4 + 4)) <= 2
    if look == "cutout":
        inner = small[6:-6, 6:-6]
        assert (inner[..., 3] == 255).all()
        top, left = np.argwhere(
            [
                [np.array_equal(original[y + 6, x + 6], inner[0, 0, :3]) for x in range(12)]
                for y in range(12)
            ]
        )[0]
        part = original[top + 6 :, left + 6 :][: inner.shape[0], : inner.shape[1]]
        assert np.array_equal(inner[..., :3], part)


@pytest.mark.parametrize(
    ("target", "picture", "words"),
    [
        ("out.mp4", {"look": "binary", "crop": True}, "--crop makes a picture for each object"),
        ("out.mp4", {"split": "object"}, "videos of the looks binary, instances and cutout"),
        (
            "nothing",
            {"look": "binary", "split": "object"},
            "make videos and pictures, not nothing",
        ),
        ("out.mp4", {"look": "cutout", "split": "object"}, "holds no transparency"),
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(tmp_path, target, picture, words):
    if target != "nothing":
        target = str(tmp_path / target)
    output = OutputPlan(target, PictureOptions(**picture))
    with pytest.raises(UsageError, match=words) as refused:
        check(RunPlan(SourcePlan(str(make_photo_source(tmp_path))), (output,)))
    assert "\n" not in str(refused.value)


def make_photo_source(tmp_path) -> Path:
    return photo(tmp_path, "source.png")[1]


def test_what_is_live_is_not_divided():
    output = OutputPlan("out.mp4", PictureOptions(look="binary", split="class"))
    with pytest.raises(UsageError, match="not of what is live; record it first"):
        check_output(output, [], live=True, photos=False)


def test_files_of_an_earlier_run_are_not_replaced_unless_it_is_asked_for(tmp_path):
    (tmp_path / "out.person-3.mkv").write_bytes(b"somebody's")
    picture = PictureOptions(look="binary", split="object")
    output = OutputPlan(str(tmp_path / "out.mkv"), picture)
    with pytest.raises(UsageError, match=r"out\.person-3\.mkv exists already"):
        check_output(output, [], live=False, photos=False)
    again = OutputPlan(output.target, picture, OutputOptions(overwrite=True))
    check_output(again, [], live=False, photos=False)


def test_masks_are_pure_and_identities_are_values(tmp_path):
    for identities, name in ((False, "a"), (True, "b")):
        asked = PictureOptions(look="overlay", identities=identities, select="2")
        plan = masks_plan(str(tmp_path / name), asked, OutputOptions(codec="libx264"))
        output = open_output(plan, info(width=WIDTH, height=HEIGHT))
        one = Frame(make_picture(0, WIDTH, HEIGHT, "yuv420p"), 3, 3, Fraction(1, 25))
        one.instances = found(1, 2, 7)
        output.painter.paint(one)
        output.sink.write(one)
        output.sink.close()
        values = cv2.imread(str(tmp_path / name / "000003.png"), cv2.IMREAD_UNCHANGED)
        expected = mask(1) * 1 + mask(7) * 7 if identities else 255 * mask(1, 7)
        assert values.ndim == 2 and np.array_equal(values, expected)
        assert values.dtype == (np.uint16 if identities else np.uint8)
