"""Pictures of footage are inferred side by side, and one that comes again exactly only once."""

import json
import threading
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from stream.cli import main
from stream.errors import ModelError
from stream.frame import Frame
from stream.run import inference_pool
from stream.run.figures import Figures
from stream.run.inference_pool import InferencePool
from stream.timing import END_TO_END, Clock
from tests import photos
from tests.run.parts import Looker, picture, prepared_number, until


def job_of(number, index=0):
    frame = Frame(picture(number), index, index, Fraction(1, 25))
    return Figures(Clock(), END_TO_END).enter(frame)


def inferred_of(numbers, detector_type=Looker, workers=1):
    """What a pool infers of such pictures, and its answers, in order."""
    inferred = []
    pool = InferencePool(detector_type(inferred.append, workers))
    try:
        answers = [pool.submit(job_of(number)).result()[1] for number in numbers]
    finally:
        pool.close()
    return inferred, answers, pool.remarks


def test_a_picture_that_comes_again_keeps_its_answer():
    inferred, answers, remarks = inferred_of([5, 5, 5, 6, 7, 7])
    assert inferred == [5, 6, 7]
    assert answers == [5, 5, 5, 6, 7, 7]
    assert remarks == ("3 pictures came again exactly, and kept their answer without inference",)


def test_that_a_few_came_again_is_not_spoken_of():
    inferred, _, remarks = inferred_of([*range(20), 19])
    assert inferred == list(range(20)) and remarks == ()


def test_other_pictures_are_inferred_each():
    inferred, answers, remarks = inferred_of(range(20))
    assert inferred == answers == list(range(20))
    assert remarks == ()


def test_only_the_last_few_answers_are_kept():
    inferred, _, remarks = inferred_of([1, 2, 3, 1])
    assert inferred == [1, 2, 3, 1]
    assert remarks == ()


class OnePixel(Looker):
    """Tells pictures by a pixel of their input, on a row that is not among the first compared."""

    def preprocess(self, image):
        prepared = prepared_number(0)
        prepared.pixels()[0, 17, 9, 1] = bytes(image.planes[0])[0]
        return prepared

    def infer(self, prepared):
        return super().infer(replace(prepared, tensor=prepared.pixels()[:, 17:, 9:, 1]))


class Closer(Looker):
    """Tells pictures by a further view alone."""

    def preprocess(self, image):
        return replace(prepared_number(0), others=(super().preprocess(image),))

    def infer(self, prepared):
        return super().infer(prepared.others[0])


class Smaller(Looker):
    """Tells pictures by where they lie in their input."""

    def preprocess(self, image):
        number = bytes(image.planes[0])[0]
        prepared = prepared_number(0)
        return replace(prepared, geometry=replace(prepared.geometry, offset=(number, 0)))

    def infer(self, prepared):
        return super().infer(prepared_number(prepared.geometry.offset[0]))


class Elsewhere(Looker):
    """Makes the input in a device's memory, out of which nothing is to be brought."""

    class Tensor:
        def __init__(self, pixels):
            self._pixels = pixels

        def numpy(self):
            return self._pixels

    def preprocess(self, image):
        prepared = super().preprocess(image)
        return replace(prepared, tensor=self.Tensor(prepared.pixels()))


@pytest.mark.parametrize("detector_type", [OnePixel, Closer, Smaller])
def test_what_differs_in_anything_is_another_picture(detector_type):
    inferred, answers, _ = inferred_of([5, 6, 6], detector_type)
    assert inferred == [5, 6]
    assert answers == [5, 6, 6]


def test_what_lies_on_a_card_is_not_compared():
    inferred, _, remarks = inferred_of([5, 5], Elsewhere)
    assert inferred == [5, 5]
    assert remarks == ()


def test_a_picture_waits_for_the_answer_that_is_under_way():
    begun, go, inferred = threading.Event(), threading.Event(), []

    def infer(number):
        inferred.append(number)
        begun.set()
        assert go.wait(60)

    pool = InferencePool(Looker(infer, workers=2))
    try:
        first = pool.submit(job_of(5))
        assert begun.wait(60)
        second = pool.submit(job_of(5))
        until(lambda: pool.remarks != ())
        assert not second.done()
        go.set()
        assert first.result()[1] == second.result()[1] == 5
    finally:
        go.set()
        pool.close()
    assert inferred == [5]


def test_where_inference_fails_it_fails_for_both():
    def infer(number):
        raise ModelError("the model is broken")

    pool = InferencePool(Looker(infer))
    try:
        for _ in range(2):
            with pytest.raises(ModelError, match="broken"):
                pool.submit(job_of(5)).result()
    finally:
        pool.close()


def test_a_film_of_repeated_pictures_is_found_as_if_each_were_inferred(tmp_path, monkeypatch):
    film = tmp_path / "twice.mkv"
    astronaut = photos.astronaut()[:480, :480]
    with av.open(film, "w") as container:
        video = container.add_stream("ffv1", 25, width=320, height=320, pix_fmt="yuv420p")
        for index in range(8):
            shown = np.roll(astronaut, 40 * (index // 4), axis=1)[:320, :320]
            container.mux(video.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        container.mux(video.encode())

    def found(name):
        records, report = tmp_path / f"{name}.ndjson", tmp_path / f"{name}.json"
        with pytest.raises(SystemExit, match=r"^0$"):
            main(["file", str(film), "--records", str(records), "--report", str(report), "-q"])
        return records.read_text(), json.loads(report.read_text())["runs"][0]

    once, told = found("once")
    monkeypatch.setattr(inference_pool, "_same", lambda one, other: False)
    each, reference = found("each")
    assert once == each
    assert once.count('"class":"person"') >= 8
    assert told["found"] == reference["found"]
    assert [one for one in told["remarks"] if one.startswith("6 pictures came again exactly")]
    assert not [one for one in reference["remarks"] if "came again" in one]
