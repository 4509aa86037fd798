"""Whatever stands in a COCO file, it becomes sound data or a sentence."""

import copy
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream.errors import StreamError
from stream_models.training.checks import check, without_bad
from stream_models.training.data import ANY_CLASS
from stream_models.training.reading import read

from .labelled import SIZE, coco, pictures, runs

JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 200),
    st.sampled_from([0, -1, 10**12, 10**400, 2**63, float("nan"), float("inf"), -1e308, 1e-300]),
    st.floats(-100, 200),
    st.sampled_from(["", "1", "x", "a.jpg", "..", "../a.jpg", "images\\a.jpg", "NaN", "1e999"]),
    st.text(max_size=6),
    st.sampled_from([[], {}, [[]], [None], {"size": [60, 80]}, [1, 2, 3], "PPP0", "`oo`oo0"]),
    st.lists(st.floats(-50, 130) | st.integers(-5, 90), max_size=9),
    st.lists(st.lists(st.floats(-50, 130), max_size=9), max_size=3),
    st.builds(
        lambda size, counts: {"size": size, "counts": counts},
        st.sampled_from([[60, 80], [80, 60], [60.0, "80"], [0, 0], None]),
        st.lists(st.integers(-5, 4800), max_size=5) | st.text(max_size=8),
    ),
)


def places(node, path=()):
    """Paths to everything in nested json."""
    yield path
    if isinstance(node, (dict, list)):
        pairs = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in pairs:
            yield from places(value, (*path, key))


def base(kind):
    content = coco()
    if kind == "runs":
        for entry in content["annotations"]:
            entry["segmentation"] = runs(*entry["bbox"])
    if kind == "crowds":
        content["annotations"][0]["iscrowd"] = 1
    if kind == "fields":
        content["images"][0].update(only_person=1, source="coco", only_classes=[1])
        content["annotations"][0].update(mask_by="sam2", mask_score=0.8, box_only=0)
    return content


@st.composite
def damaged(draw):
    """A file of COCO with up to six places changed, or bytes of it."""
    content = base(draw(st.sampled_from(["polygons", "runs", "crowds", "fields"])))
    for _ in range(draw(st.integers(0, 6))):
        # A path is drawn by its depth first, or nearly all would be coordinates.
        paths = list(places(content))
        depth = draw(st.integers(0, max(len(path) for path in paths)))
        path = draw(st.sampled_from([path for path in paths if len(path) == depth] or paths))
        if not path:
            content = draw(st.sampled_from([content, [content], [content, content]]))
            continue
        parent = content
        for key in path[:-1]:
            parent = parent[key]
        kind = draw(st.sampled_from(["replace", "replace", "remove", "repeat"]))
        if kind == "replace":
            parent[path[-1]] = copy.deepcopy(draw(JUNK))
        elif kind == "remove":
            del parent[path[-1]]
        elif isinstance(parent, list):
            parent.append(copy.deepcopy(parent[path[-1]]))
    text = json.dumps(content).encode()
    if draw(st.integers(0, 9)) == 0:
        begin = draw(st.integers(0, len(text)))
        end = draw(st.integers(begin, len(text)))
        text = text[:begin] + draw(st.binary(max_size=8)) + text[end:]
    return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("fuzz")
    pictures(made / "images")
    return made


def judge(folder, text):
    """Read `text` as a COCO file and look at what came out."""
    (folder / "instances.json").write_bytes(text)
    try:
        data = read(folder)
        problems = check(data)
    except StreamError as error:
        assert str(folder) in str(error)
        assert "\n" not in str(error)
        return None
    for sentence in problems:
        assert isinstance(sentence, str)
        assert "\n" not in sentence
    good = without_bad(data)
    assert len({picture.id for picture in good.pictures}) == len(good.pictures)
    assert len({picture.path for picture in good.pictures}) == len(good.pictures)
    for picture in good.pictures:
        assert (picture.width, picture.height) == SIZE
        assert picture.known.shape == (len(good.names),)
        for item in picture.objects:
            x1, y1, x2, y2 = item.box
            assert 0 <= x1 < x2 <= SIZE[0]
            assert 0 <= y1 < y2 <= SIZE[1]
            assert np.isfinite(item.area)
            assert item.area > 0
            assert 0 <= item.mask_weight <= 1
            assert (ANY_CLASS if item.crowd else 0) <= item.label < len(good.names)
            assert item.polygons or item.mask_weight == 0
            for ring in item.polygons:
                assert ring.dtype == np.float32
                assert len(ring) >= 3
                # Within what a mask may reach beyond its box.
                assert (ring >= -3).all()
                assert (ring <= [SIZE[0] + 3, SIZE[1] + 3]).all()
    return good


def train_on(data):
    """Make training pictures of `data` and judge it: what is read must be usable."""
    from stream_models.training.augment import AugmentConfig, find_donors, make
    from stream_models.training.evaluate import evaluate
    from stream_models.training.picture_files import load_picture

    rng = np.random.default_rng(0)
    config = AugmentConfig(shortest=60, longest=80, paste=1.0, paste_things=1.0, rotate=1.0)
    donors = find_donors(data.pictures)
    for picture in data.pictures:
        _, truth = make(picture, load_picture, donors, (64, 96), config, rng)
        assert bool(np.isfinite(truth.boxes.numpy()).all())

    def one_box(image):
        box = np.array([[10, 5, 40, 45]], np.float32)
        score, label = np.ones(1, np.float32), np.zeros(1, np.int64)
        return box, score, label, np.ones((1, 8, 8), np.float32), box

    report = evaluate(one_box, data.names, data, classes=True)
    for figures in report.groups.values():
        assert all(-1 <= value <= 1 for value in figures.values())
    assert "\n" not in report.line()


CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


@given(text=damaged())
@settings(deadline=None, suppress_health_check=CHECKS, derandomize=True)
def test_a_damaged_coco_file_is_data_or_a_sentence(folder, text):
    judge(folder, text)


def test_a_sound_file_can_be_trained_on_and_judged(folder):
    # What the long run below asks of every file; here so that it stays true of the modules.
    good = judge(folder, json.dumps(coco()).encode())
    assert good is not None and len(good.pictures) == len(coco()["images"])
    train_on(good)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@given(text=damaged())
@settings(max_examples=2000, deadline=None, suppress_health_check=CHECKS)
def test_two_thousand_damaged_coco_files_are_data_or_a_sentence(folder, text):
    good = judge(folder, text)
    if good is not None and good.pictures:
        train_on(good)
