"""The measurements run and say what they should; how fast anything is, is not asked here."""

import importlib.util
import re
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace

import av
import cv2
import numpy as np
import pytest

from stream.bench import compositing, edges, effects, gpu, identity, nodes, obvious, peers, speed
from stream.bench.crossings import Material
from stream.bench.figures import Figure, median_seconds, medians_in_turns
from stream.bench.material import FindsNothing, crowd, make_clip
from stream.bench.speed import measure_model
from stream.compositing import LAYERS, Style
from stream.errors import ModelError, ProviderError, UsageError
from stream.frame import Frame
from stream.inference import nvidia, providers
from stream.inference.assignment import SUMS_OVER_SHAPES
from stream.inference.catalogue import find
from stream.inference.segmenter import Segmenter
from stream.inference.session import open_on
from stream.pictures.pixels import picture_from_bgr
from stream.system import extras
from stream.tracking.trackers.motion import Motion
from tests import tiny_models
from tests.tracking import objects


def test_a_figure_knows_whether_it_is_met():
    assert Figure("ratio", 0.95, "×", at_least=0.9).met is True
    assert Figure("ratio", 0.85, "×", at_least=0.9).met is False
    assert Figure("cost", 5.1, "ms", at_most=5).met is False
    assert Figure("cost", 5.1, "ms").met is None
    assert Figure("cost", None, "ms", at_most=5, detail="no such device").met is None


def test_a_median_is_taken_over_calls_after_the_warm_up():
    calls = []
    seconds = median_seconds(lambda: calls.append(1), 5, warm_up=2)
    assert len(calls) == 7
    assert seconds >= 0


def test_works_that_are_compared_take_turns():
    calls, now = [], [0.0]

    def work(name, seconds):
        def run():
            calls.append(name)
            now[0] += seconds

        return run

    took = medians_in_turns([work("a", 1.0), work("b", 2.5)], 3, warm_up=1, clock=lambda: now[0])
    assert calls == ["a", "b"] * 4
    assert took == [1.0, 2.5]


def test_clips_have_the_size_and_length_asked_for(tmp_path):
    make_clip(tmp_path / "clip.mp4", 320, 240, 160)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        pictures = list(container.decode(video=0))
    assert len(pictures) == 160
    assert (pictures[0].width, pictures[0].height) == (320, 240)


def test_a_crowd_is_inside_the_picture_and_shaped_like_people():
    people = crowd(20, 1280, 720)
    assert len(people) == 20
    assert people.boxes[:, 2].max() <= 1280
    assert people.boxes[:, 3].max() <= 720
    covered = people.full_masks().sum((1, 2)) / (160 * 380)
    assert np.all((covered > 0.4) & (covered < 0.8))


def test_the_do_nothing_segmenter_makes_the_input_and_finds_nothing():
    segmenter = FindsNothing()
    picture = av.VideoFrame.from_ndarray(np.zeros((720, 640), np.uint8), format="yuv420p")
    prepared = segmenter.preprocess(picture)
    assert prepared.tensor.shape == (1, 384, 512, 3)
    assert len(segmenter.postprocess(None, prepared)) == 0


def test_compositing_is_measured(monkeypatch):
    monkeypatch.setattr(
        compositing, "median_seconds", lambda work, times, **how: median_seconds(work, 2, **how)
    )
    names = [figure.name for figure in compositing.measure()]
    assert "paint 20 people, overlay" in names
    assert "paint nobody, overlay" in names


@pytest.mark.parametrize("size", [(160, 120)])
def test_a_model_is_measured_end_to_end(tmp_path, monkeypatch, size):
    monkeypatch.setattr(speed, "_ROUNDS", 1)
    monkeypatch.setattr(speed, "make_clip", lambda *told: make_clip(*told[:3], 30))
    model = tiny_models.bright(tmp_path / "bright.onnx")
    rate, first = measure_model(tmp_path, str(model), "cpu", size)
    assert rate.unit == "fps"
    assert rate.value > 0
    assert "infer" in rate.detail
    assert first.at_most == 2.0


def test_the_pipeline_is_measured_against_decoding_and_encoding_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "_ROUNDS", 2)
    monkeypatch.setattr(speed, "_FRAMES", 8)
    small = lambda path, width, height, frames: make_clip(path, 320, 180, frames)  # noqa: E731
    monkeypatch.setattr(speed, "make_clip", small)
    (ratio,) = speed.measure_pipeline(tmp_path)
    told = re.search(
        r"; ([\d.]+) against ([\d.]+) fps, ([\d.]+) against ([\d.]+) ms of", ratio.detail
    )
    assert told is not None
    assert ratio.value > 0 and all(float(one) > 0 for one in told.groups())


def computing_away(told: str) -> set[str]:
    """What a card leaves to the CPU besides sums over shapes, of "2 of 20: Gather, Min"."""
    count, _, kinds = told.partition(": ")
    named = set(kinds.split(", ")) - {""}
    assert bool(named) == (not count.startswith("0 of "))
    return named - SUMS_OVER_SHAPES


@pytest.mark.parametrize(
    ("told", "computing"),
    [
        ("0 of 18", set()),
        ("2 of 20: Gather, Min", set()),  # an H100 with the model of the test below
        ("5 of 603: Concat, Gather, Mod, Reshape, Sub", set()),  # and with the bundled one
        ("3 of 20: Conv, Gather, Min", {"Conv"}),
        ("1 of 20: MemcpyToHost", {"MemcpyToHost"}),
    ],
)
def test_only_sums_over_shapes_may_be_left_to_the_cpu(told, computing):
    assert computing_away(told) == computing


@pytest.mark.parametrize(
    "provider", ["cpu", pytest.param("auto", marks=pytest.mark.gpu, id="card")]
)
def test_a_card_is_measured_or_the_cpu_in_its_place(tmp_path, monkeypatch, provider):
    monkeypatch.setattr(speed, "_ROUNDS", 1)
    monkeypatch.setattr(speed, "make_clip", lambda *told: make_clip(*told[:3], 30))
    if provider == "auto" and (cause := nvidia.obstacle()[0]):
        pytest.skip(f"no card: {cause}")
    model = tiny_models.bright(tmp_path / "bright.onnx", 100, layer=True)
    told = list(gpu.measure(tmp_path, str(model), provider, (160, 120)))
    where = "CPU in a card's place" if provider == "cpu" else "CUDA"
    figures = {figure.name: figure for figure in told}
    assert figures[f"{where}, float32"].value > 0
    assert not computing_away(figures["  nodes not on the card"].detail)
    for count in (2, 4):
        together = figures[f"  a picture of {count} in one run"]
        assert together.value > 0 and "ms one by one" in together.detail
        assert figures[f"  a picture of {count} in runs side by side"].value > 0
    assert figures["make the model's input there"].value > 0
    assert figures["make the model's input on the CPU"].value > 0
    assert where in figures["latency of one picture, decoded to instances"].detail
    assert told[-1].unit == "fps" and told[-1].value > 0
    for count in (1, 2):
        assert figures[f"  with {count} under way at once"].value > 0
    if provider == "cpu":
        assert figures["card"].value is None
        assert figures["card"].detail == gpu.STAND_IN


def test_several_pictures_at_once_are_measured_or_it_is_said_why_not(tmp_path):
    frame = gpu._frame((160, 120))
    model = find(str(tiny_models.bright(tmp_path / "bright.onnx", 100)))

    def figures(chosen):
        segmenter = Segmenter("bright", open_on(model, chosen))
        return list(gpu._several(segmenter, segmenter.preprocess(frame)))

    first, *beside = figures(gpu.stand_in())
    assert first.value is None and "none of its convolutions" in first.detail
    assert len(beside) == 2 and all(one.value > 0 for one in beside)
    (only,) = figures(replace(gpu.stand_in(), batches=False))
    assert only.value is None and "an engine of its own" in only.detail


def test_every_file_that_a_card_can_run_is_measured(tmp_path):
    for name, precision in (("m", "float32"), ("m.float16", "float16"), ("m.int8", "int8")):
        meta = tiny_models.metadata(precision=precision)
        tiny_models.nothing(tmp_path / f"{name}.onnx", meta)
    entry = find("m", tmp_path)
    cuda = replace(gpu.stand_in(), name="cuda")
    assert set(gpu._variants(entry, cuda)) == {"float32", "float32, with TF32", "float16"}
    assert set(gpu._variants(entry, gpu.stand_in())) == {"float32", "float16"}


def test_a_card_that_is_not_there_is_said_with_its_cause(tmp_path, monkeypatch):
    monkeypatch.setattr(nvidia, "obstacle", lambda: ("there is no driver", "install one"))
    monkeypatch.setattr(providers, "_nvidia_obstacle", nvidia.obstacle)
    with pytest.raises(ProviderError, match=r"^CUDA cannot be used here: .*; "):
        list(gpu.measure(tmp_path, str(tiny_models.nothing(tmp_path / "n.onnx"))))
    with pytest.raises(UsageError, match="--part gpu is for auto, cuda, tensorrt"):
        list(gpu.measure(tmp_path, str(tmp_path / "n.onnx"), "openvino"))


def test_a_model_file_is_timed_against_other_runtimes(tmp_path):
    model = tiny_models.bright(tmp_path / "bright.onnx")
    figures = {figure.name: figure for figure in peers.engines(model)}
    assert figures["CPU provider, float32, as exported"].value > 0
    for figure in figures.values():
        assert figure.value is not None or figure.detail, "what did not run says why"


def test_peers_want_a_file(tmp_path):
    with pytest.raises(ModelError, match=r"no\.onnx"):
        list(peers.measure(tmp_path, str(tmp_path / "no.onnx")))


def test_the_obvious_loop_takes_turns_with_ours(tmp_path):
    model = tiny_models.bright(tmp_path / "bright.onnx")
    clip = tmp_path / "clip.mp4"
    make_clip(clip, 160, 120, 12)
    measured = obvious.measure(tmp_path, clip, str(model), "cpu", frames=10, rounds=1)
    theirs, ours, ratio = measured
    assert theirs.value > 0
    assert ours.value > 0
    assert "10 frames" in ours.detail
    assert ratio.value == pytest.approx(ours.value / theirs.value)
    for name in ("theirs.mp4", "ours.mp4"):
        with av.open(str(tmp_path / name)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 10


@pytest.mark.parametrize("missing", ["supervision", "trackers"])
def test_the_obvious_loop_says_what_it_lacks(tmp_path, monkeypatch, missing):
    there = extras.importlib.util.find_spec
    monkeypatch.setattr(
        extras.importlib.util, "find_spec", lambda name: None if name == missing else there(name)
    )
    with pytest.raises(UsageError, match=rf"needs the package '{missing}'; install the extra .*"):
        list(obvious.measure(tmp_path, None, "default", "cpu"))


def test_each_node_is_told_with_the_provider_that_runs_it(tmp_path):
    model = tiny_models.bright(tmp_path / "bright.onnx")
    run, total, *kinds = nodes.measure(model, "cpu")
    assert run.value > 0
    assert total.name == "CPU"
    told = re.match(r"(\d+) of the model's (\d+) nodes, (\d+) ran", total.detail)
    assert told is not None
    assert told[1] == told[2]
    assert 0 < sum(int(figure.detail) for figure in kinds) <= int(told[3]) <= int(told[1])
    assert 0 < sum(figure.value for figure in kinds) <= total.value + 1e-3
    assert not list(tmp_path.glob("*.json"))


def _event(name: str, kind: str, provider: str, microseconds: int) -> dict[str, object]:
    told = {"op_name": kind, "provider": f"{provider}ExecutionProvider"}
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": microseconds, "args": told}


def test_what_another_provider_runs_is_listed_with_its_cost():
    events = [
        {"cat": "Session", "name": "model_loading_uri", "dur": 5},
        # The first two runs, which warm up, are slower.
        *(
            event
            for slower in (900, 90, 1, 1, 1)
            for event in (
                _event("backbone/Conv", "Conv", "CUDA", 600 * slower),
                _event("copy", "MemcpyToHost", "CUDA", 100 * slower),
                _event("sizes/Mul", "Mul", "CPU", 20 * slower),
                _event("sizes/Mul_2", "Mul", "CPU", 30 * slower),
                {"cat": "Node", "name": "sizes/Mul_fence_before", "dur": 7},
                {"cat": "Session", "name": "model_run", "dur": 1000 * slower},
            )
        ),
    ]
    seconds, ran = nodes.read_profile(events)
    assert seconds == pytest.approx(1e-3)
    assert [(one.name, one.provider) for one in ran] == [
        ("backbone/Conv", "CUDAExecutionProvider"),
        ("copy", "CUDAExecutionProvider"),
        ("sizes/Mul", "CPUExecutionProvider"),
        ("sizes/Mul_2", "CPUExecutionProvider"),
    ]
    figures = list(nodes.table(ran, seconds, asked="CUDAExecutionProvider", assigned=[]))
    told = {figure.name: (round(figure.value, 6), figure.detail) for figure in figures}
    assert told == {
        "CUDA": (0.7, "2 ran; 70.0 % of the run"),
        "  Conv": (0.6, "1"),
        "  MemcpyToHost": (0.1, "1"),
        "CPU": (0.05, "2 ran; 5.0 % of the run"),
        "  Mul": (0.05, "2: sizes/Mul, sizes/Mul_2"),
        "copies between devices": (0.1, "1; one to the host waits for the device"),
    }


def test_every_effect_is_timed_beside_what_is_most_like_it():
    people = effects.people(1, 320, 180)
    assert people.picture_size == (180, 320)
    assert people.full_masks().sum() > 0.05 * 320 * 180
    picture = picture_from_bgr(np.full((180, 320, 3), 90, np.uint8)).reformat(format="yuv420p")
    bgr = np.full((180, 320, 3), 90, np.uint8)
    assert (effects.with_people(bgr, people) != bgr).any(axis=2).sum() > 0.05 * 320 * 180
    assert (bgr == 90).all()
    assert set(LAYERS.names()) >= set(effects.EFFECTS) - {"overlay"}
    for look, theirs in effects.EFFECTS.items():
        effects.painting(look, picture, people)()
        annotate = effects.annotating(look, bgr, people)
        assert (annotate is not None) == bool(theirs)
        if annotate is not None:
            annotate()


def test_shimmer_is_the_change_of_still_edges():
    rng = np.random.default_rng(0)
    noise = rng.integers(90, 160, (240, 320)).astype(np.uint8)
    still = cv2.GaussianBlur(noise, (0, 0), 2)
    people = effects.people(1, 320, 240)

    def frames():
        for index in range(6):
            rgb = np.repeat(still[..., None], 3, 2)
            picture = picture_from_bgr(rgb).reformat(format="yuv420p")
            moved = people.boxes + np.float32(rng.uniform(-2, 2, 4))
            found = replace(people, boxes=moved)
            yield Frame(picture, index, index, Fraction(1, 25), instances=found)

    plain, same, steady = edges.shimmer(
        frames(),
        [Style(refine=False, steady_edges=False)] * 2 + [Style(refine=False)],
    )
    assert plain.still == same.still
    assert plain.still > 1
    assert steady.still < 0.5 * plain.still


def test_edges_want_something_to_be_measured_on():
    with pytest.raises(UsageError, match="--pictures or --clips"):
        next(edges.measure("default", "cpu", None, []))


def _film(*frames):
    """Frames of (box, score, label) rows at ten a second."""
    return [(index / 10, objects.found(*rows)) for index, rows in enumerate(frames)]


def test_identities_and_hidden_objects_are_counted_for_each_tracker():
    left, right = objects.LEFT, objects.RIGHT
    inside = (20.0, 20.0, 50.0, 100.0)
    both, flash = [(left, 0.95), (right, 0.8, 1)], [(left, 0.95), (inside, 0.7, 1), (right, 0.8, 1)]
    film = _film(*[both] * 5, [(left, 0.95), ((60.0, 60.0, 80.0, 90.0), 0.7)], flash, *[both] * 5)
    told = {(one.name, one.unit): one for one in identity.of_clip("c", film, objects.THRESHOLD)}
    counted = told["c, motion, file", "identities"]
    assert counted.value == 2
    assert counted.detail == "1 person, 1 dog; 12 frames"
    lost = told["c, motion, file", "hidden"]
    assert (lost.value, lost.detail) == (
        1,
        "of 25 above 0.5; 2 with what lies within what is shown",
    )
    assert told["c, steady", "identities"].value == 4
    assert told["c, steady", "hidden"].value == 0
    if importlib.util.find_spec("trackers") is None:
        assert lost.at_most is None
    else:
        theirs = [told[f"c, {name}", "hidden"].value for name in ("bytetrack", "ocsort")]
        assert lost.at_most <= min(theirs)


def test_footage_is_looked_ahead_into_as_far_as_a_run_does():
    seen = []

    class Looks(Motion):
        def update(self, given, seconds, threshold, following=()):
            seen.append([round(when - seconds, 3) for when, _ in following])
            return super().update(given, seconds, threshold, following)

    ahead = 3
    step = Motion.lookahead / ahead
    film = [(index * step, objects.found((objects.LEFT, 0.9))) for index in range(7)]
    list(identity.follow(identity.Way("looks", Looks, file=True), film, 0.5))
    assert seen[0] == [pytest.approx(place * step, abs=1e-3) for place in (1, 2, 3)]
    assert [len(one) for one in seen] == [ahead, ahead, ahead, ahead, 2, 1, 0]
    seen.clear()
    list(identity.follow(identity.Way("looks", Looks), film, 0.5))
    assert seen == [[]] * 7


def test_candidates_go_down_to_what_the_tracker_that_wants_most_is_given_in_a_run(monkeypatch):
    asked = []
    model = SimpleNamespace(
        threshold=0.6,
        preprocess=lambda picture: SimpleNamespace(
            pixels=lambda: [None], geometry=SimpleNamespace(scale=1, offset=0)
        ),
        infer=lambda prepared: None,
        postprocess=lambda raw, prepared, least: asked.append(least),
    )
    monkeypatch.setattr(identity, "with_colours", lambda found, *_: found)
    identity.candidates(model, None)
    assert asked == [pytest.approx(0.6 * min(way.kind.floor for way in identity.ways()))]
    assert asked[0] <= 0.6 * Motion.floor + 1e-9


def test_who_is_taken_for_another_is_counted_where_the_truth_is_known():
    pytest.importorskip("trackers.eval")
    left, right = objects.LEFT, objects.RIGHT
    truth = [{7: left, 9: right}] * 6
    right_ones = objects.found((left, 0.9), (right, 0.8))
    same = [right_ones.with_tracks(np.array([4, 2]))] * 6
    mixed = [*same[:3], *[right_ones.with_tracks(np.array([2, 4]))] * 3]
    assert identity.scored([truth], [same]) == (1, 1, 0, 2, 2)
    score = identity.scored([truth, truth], [same, mixed])
    assert 0.5 < score.hota < 1
    assert score.idf1 == pytest.approx(0.75)
    assert (score.switches, score.identities, score.people) == (2, 4, 4)


def test_identity_wants_something_to_be_measured_on():
    with pytest.raises(UsageError, match="--pictures or --clips"):
        next(identity.measure("default", "cpu", None, []))
    with pytest.raises(UsageError, match="0 whole people"):
        Material([])
