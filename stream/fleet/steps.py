"""What a worker does with a part of a file, and with all parts together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from stream import sinks
from stream.compositing.painter import Painter
from stream.fleet.between import (
    SETTLED,
    KeptSink,
    KeptSource,
    NotApartError,
    Place,
    Stretch,
    entries_of,
)
from stream.fleet.results import remarks_of
from stream.fleet.transit import Life
from stream.frame import Frame, VideoInfo
from stream.inference.segmenter import Segmenter
from stream.instances import Instances
from stream.motion.flow import Grey
from stream.run import setup
from stream.run.about import Told
from stream.run.figures import Figures, Job
from stream.run.finder import Finder
from stream.run.finding import make_finder
from stream.run.inference_pool import Answer, InferencePool
from stream.run.kept import KeptReader, KeptWriter, mark_of
from stream.run.opening import make_painter, open_sink, suited, without_others
from stream.run.output import Output
from stream.run.plan import OutputPlan, RunPlan
from stream.run.recall import Painting, Recall, Recalling, Remembered
from stream.run.schedule import Schedule
from stream.run.unused import unused
from stream.settings.options import PictureOptions
from stream.sinks._containers import choose_container
from stream.sinks._spliced import PartSink, SplicedSink, read_part
from stream.sinks.video import VideoSink
from stream.sources._part import FileCopies, FilePart
from stream.sources.file import FileSource
from stream.timing import Clock
from stream.types import JSON

_COMPARED = 8
"""Pictures behind a part's end that are decoded too: the next part must begin with the same."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What came of following.

    Attributes:
        frames: in all; 0 where the file is to be painted at once.
        why: it is to be, in words.
    """

    frames: int = 0
    why: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """A result.

    Attributes:
        frames: that it has.
        remarks: what is to be said of it, a sentence each.
    """

    frames: int
    remarks: tuple[str, ...] = ()


class Steps:
    """Does the steps with one file at hand.

    Args:
        plan: what is done with it; its source and its outputs' targets are put in.
        segmenter: the model.
        life: called for each frame, and each packet, that has come to something.
    """

    def __init__(self, plan: RunPlan, segmenter: Segmenter, life: Life) -> None:
        self._plan = plan
        self._life = life
        self._segmenter = segmenter
        self._path = Path(str(plan.source.target))

    # Finding.

    def find(self, begin: int | None, end: int | None, out: Path) -> int:
        """Infers a part's frames and keeps what may be in them.

        Args:
            begin: its first frame's time in ticks; None for the file's first.
            end: the next part's; None for the file's end.
            out: the file of candidates.

        Returns:
            How many frames it has.
        """
        with FilePart(self._path, begin) as source, ExitStack() as stack:
            # As for the whole file: another shape of the model gives other last digits.
            self._segmenter.expect(source.info.width, source.info.height)
            finder = self._finder(source.info)
            finder.covers = True  # more than is wanted is left out later
            pool = InferencePool(finder.detector)
            stack.callback(pool.close)
            writer = KeptWriter(out, {}, self._segmenter.names)
            stack.callback(writer.close)
            beyond: list[JSON] = []
            for frame, mark, found, small in _candidates(source, end, finder, pool, beyond):
                writer.add(frame, mark, found, small)
                self._life()
            writer.finish({"beyond": beyond, "broken": source.broken})
            return writer.frames

    # Following.

    def follow(
        self,
        found: Sequence[Place],
        begins: Sequence[int],
        records: Sequence[OutputPlan],
        out: Sequence[Path],
    ) -> Followed:
        """Says who is who, and writes the records.

        Args:
            found: the files of candidates, in order.
            begins: where parts begin, in ticks.
            records: outputs that want no pictures.
            out: for each part a file of its frames' objects.
        """
        with FileSource(self._path) as source:
            info = replace(source.info, copied=())
        painter = make_painter(self._plan.outputs[0].picture, info)
        why = self._why_at_once(info, painter)
        if why:
            return Followed(why=why)
        kept = KeptSource(info, found)
        sink = KeptSink(
            kept,
            begins,
            out,
            self._segmenter.names,
            unsure=painter.covers,
            settles=painter if painter.settles else None,
        )
        # What is to be painted is painted part by part, and not here.
        unpainted = tuple(replace(one, picture=PictureOptions()) for one in records)
        plan = replace(self._plan, outputs=unpainted)
        try:
            with setup.prepared(
                plan,
                self._segmenter,
                lambda _: self._life(),
                source=kept,
                further=[lambda _: Output(sink, "parts")],
                finding=self._recalling(kept.recall),
            ) as ready:
                outcome = ready.run.run()
                if outcome.error is not None:
                    raise outcome.error
                ready.conclude()
        except NotApartError as error:
            return Followed(why=str(error))
        return Followed(kept.frames)

    def _why_at_once(self, info: VideoInfo, painter: Painter) -> str:
        """Why parts cannot be painted and encoded apart with the same result; "" where they can."""
        video = self._plan.outputs[0]
        if sinks.find(video.target) is not VideoSink or video.picture.divided:
            return "only one video can be put together of parts"
        if painter.remembers:
            return "what its look paints depends on the frames before"
        if painter.alpha or info.alpha:
            return "transparency is encoded beside the picture"
        if not choose_container(Path(video.target)).timestamps:
            return f"{Path(video.target).suffix} files have no times"
        return ""

    def _finder(self, info: VideoInfo) -> Finder:
        return make_finder(self._segmenter, self._plan.tracking, info)

    def _recalling(self, recall: Recall) -> setup.Finding:
        def finding(info: VideoInfo) -> tuple[Told, Schedule]:
            return self._segmenter, Recalling(self._finder(info), recall)

        return finding

    # Painting.

    def paint(self, place: int, begins: Sequence[int], first: int, at: Path, out: Path) -> int:
        """Paints and encodes a part.

        Args:
            place: which.
            begins: where parts begin, in ticks.
            first: how many frames come before it.
            at: its frames' objects.
            out: the file of packets.

        Returns:
            How many frames it has.
        """
        video = self._plan.outputs[0]
        with FileSource(self._path) as whole:
            # The encoder is to be asked for the same as for the whole.
            info = replace(whole.info, copied=(), covers=(), chapters=())
        end = begins[place + 1] if place + 1 < len(begins) else None
        source = Stretch(FilePart(self._path, begins[place] if place else None), info, end, first)
        painter = make_painter(video.picture, info)
        with ExitStack() as stack:
            stack.callback(source.close)
            reader = KeptReader(at)
            stack.callback(reader.close)
            settled = reader.about.get(SETTLED)
            if isinstance(settled, list):
                painter.go_on(settled)
            sink = open_sink(PartSink, video.target, info, video.options, painter)
            assert isinstance(sink, PartSink)
            sink.keep(out)
            schedule = Painting(self._finder(info), Remembered(iter(reader)))
            output = Output(sink, "part", painter)
            run = setup.put_together(
                source, schedule, [output], self._segmenter, lambda _: self._life()
            )
            outcome = run.run()
            if outcome.error is not None:
                raise outcome.error
            return outcome.counts.written

    def join(self, painted: Sequence[Path]) -> Made:
        """Puts the parts together, with all else that the file holds."""
        video = self._plan.outputs[0]
        times = [time for path in painted for time in read_part(path).times]
        with FileCopies(self._path, times) as source:
            painter = make_painter(video.picture, source.info)
            info, said = without_others(source.info, painter)
            info, options = suited(SplicedSink, video.target, info, video.options, painter)
            with SplicedSink.of_parts(video.target, info, options, painted) as sink:
                for item in source:
                    sink.write(item)
                    self._life()
            plan = self._plan
            said += [*sink.remarks, *unused(plan.outputs, photos=False, counts=plan.counts)]
            return Made(len(times), (*source.remarks, *said))

    def whole(self, found: Sequence[Place]) -> Made:
        """Does the whole file at once with what was found."""
        report, outcome = setup.execute(
            self._plan,
            segmenter=self._segmenter,
            on_frame=lambda _: self._life(),
            finding=self._recalling(Remembered(entries_of(found))),
        )
        if outcome.error is not None:
            raise outcome.error
        return Made(report.frames_out, tuple(remarks_of(report)))


def _candidates(
    source: FilePart, end: int | None, finder: Finder, pool: InferencePool, beyond: list[JSON]
) -> Iterator[tuple[Frame, int, Instances, Grey | None]]:
    """The frames before `end` with what may be in them; the marks of some behind it."""
    from concurrent.futures import Future

    figures = Figures(Clock(), "")
    waiting: deque[tuple[Frame, Future[Answer], int]] = deque()

    def first() -> tuple[Frame, int, Instances, Grey | None]:
        frame, answer, mark = waiting.popleft()
        prepared, raw = answer.result()
        return frame, mark, *finder.look(raw, prepared)

    for item in source:
        if not isinstance(item, Frame):
            continue
        mark = mark_of(item.image)
        if end is not None and item.pts >= end:
            beyond.append([item.pts, mark])
            if len(beyond) == _COMPARED:
                break
            continue
        waiting.append((item, pool.submit(Job(item, figures)), mark))
        while len(waiting) > pool.ahead:
            yield first()
    while waiting:
        yield first()
