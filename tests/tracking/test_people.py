"""Who is who on real pictures, found by the bundled model: made clips and filmed ones."""

import importlib.util
import random

import numpy as np
import pytest

from stream.bench import identity
from stream.bench.crossings import RATE, Material, scene
from stream.bench.identity import candidates, film_of, of_clip, scored, ways
from stream.bench.material import labelled_pictures
from stream.inference.segmenter import Segmenter

needs_library = pytest.mark.skipif(
    importlib.util.find_spec("trackers") is None, reason="the library trackers is not installed"
)


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter.load("default", throughput=True)


@pytest.fixture
def material(shared_data):
    return Material(labelled_pictures(shared_data / "val"))


def test_the_same_seed_gives_the_same_clip(material):
    one, other = (next(iter(scene(material, 101))) for _ in range(2))
    assert np.array_equal(one[1], other[1])
    assert one[2] == other[2] and len(one[2]) >= 2
    assert material.cutout(random.Random(0)).alpha.max() == 255


@needs_library
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_cut_out_people_who_cross_are_followed_better_than_by_the_library(segmenter, material):
    """At three inferences a second, where it is hardest, on people that nothing was chosen with."""
    films, truths = [], []
    for seed in (100, 101, 102):
        frames = list(scene(material, seed, RATE // 3))
        films.append([(when, candidates(segmenter, rgb)) for when, rgb, _ in frames])
        truths.append([boxes for _, _, boxes in frames])
    figures = {}
    for way in ways():
        followed = (identity.follow(way, film, segmenter.threshold) for film in films)
        shown = [[identity.people(one) for _, one in clip] for clip in followed]
        score = scored(truths, shown)
        figures[str(way)] = (score.hota, score.idf1)
    hota, idf1 = figures["motion, live"]
    theirs = [figures[str(way)] for way in ways() if way.library]
    assert all(hota > one[0] and idf1 > one[1] for one in theirs), figures


@needs_library
@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("sam2_05_default_juggle.mp4", 11),
        ("sam2_01_dog.mp4", 6),
        ("moviepy_chaplin.mp4", 5),
        ("intel_asl_again.mkv", None),
        ("intel_asl_book.mkv", None),
        ("intel_asl_brother.mkv", None),
        ("intel_asl_help.mkv", None),
    ],
)
def test_a_clip_has_few_identities_and_little_is_hidden(name, most, segmenter, shared_media):
    film = film_of(segmenter, shared_media / name)
    figures = list(of_clip(name, film, segmenter.threshold))
    count, lost = (one for one in figures if one.name == f"{name}, motion, file")
    if most is None:
        assert "1 person" in count.detail, figures
    else:
        assert count.value <= most, figures
        assert lost.met, figures
