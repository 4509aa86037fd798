"""Where the steps of a file that is cut take frames from, and where they leave them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path

from av import VideoFrame

from stream.compositing import Painter
from stream.errors import StreamError
from stream.frame import Frame, Item, VideoInfo
from stream.run.kept import Kept, KeptReader, KeptWriter
from stream.sinks.base import Sink
from stream.sources._part import FilePart
from stream.sources.base import Source
from stream.types import JSON

SETTLED = "settled"
"""What a painter knows where a part begins, in the head of the file of its frames' objects."""

Place = Callable[[], AbstractContextManager[Path]]
"""Brings a file here, for as long as it is open."""


class NotApartError(StreamError):
    """Parts that cannot be painted apart: they do not fit together."""


def entries_of(places: Sequence[Place]) -> Iterator[Kept]:
    """What files hold, one behind the other; each is here only while it is read."""
    for place in places:
        with place() as path:
            reader = KeptReader(path)
            try:
                yield from reader
            finally:
                reader.close()


class KeptSource(Source):
    """Frames of which it is known what may be in them, without their pictures.

    Args:
        info: of the whole file.
        places: the files of candidates, in order.
    """

    def __init__(self, info: VideoInfo, places: Sequence[Place]) -> None:
        self.info = info
        self.frames = 0
        self._places = places
        self._known: dict[int, Kept] = {}
        self._marks: dict[int, int] = {}
        self._closed = False

    def __iter__(self) -> Iterator[Item]:
        blank = VideoFrame(self.info.width, self.info.height, self.info.pixel_format)
        expected: list[JSON] = []
        for number, place in enumerate(self._places):
            with place() as path:
                reader = KeptReader(path)
                try:
                    if reader.end["broken"]:
                        raise NotApartError("a part could not be decoded without a fault")
                    for index, entry in enumerate(reader):
                        if self._closed:
                            return
                        if number and index < len(expected):
                            _compare(expected[index], entry)
                        self._known[entry.pts] = entry
                        self._marks[entry.pts] = entry.mark
                        yield Frame(
                            blank, self.frames, entry.pts, self.info.time_base, entry.duration
                        )
                        self.frames += 1
                    beyond = reader.end["beyond"]
                    expected = beyond if isinstance(beyond, list) else []
                finally:
                    reader.close()

    def recall(self, frame: Frame) -> Kept | None:
        """What may be in a frame."""
        return self._known.pop(frame.pts)

    def mark(self, frame: Frame) -> int:
        """The mark of a frame's picture."""
        return self._marks.pop(frame.pts)

    def close(self) -> None:
        """Ends the iteration."""
        self._closed = True


def _compare(expected: JSON, entry: Kept) -> None:
    if expected != [entry.pts, entry.mark]:
        raise NotApartError("decoding from a key frame on gives other pictures than from before it")


class KeptSink(Sink):
    """Keeps frames' objects, in a file for each part.

    Args:
        source: of the frames.
        begins: where parts begin, in ticks.
        paths: the files.
        names: the classes.
        unsure: whether what is painted later wants what is unsure.
        settles: paints the frames for what it knows where a part begins, as far as what it paints
            there depends on frames before; the pictures are nobody's. None where nothing does.
    """

    paints = False

    def __init__(
        self,
        source: KeptSource,
        begins: Sequence[int],
        paths: Sequence[Path],
        names: tuple[str, ...],
        *,
        unsure: bool,
        settles: Painter | None = None,
    ) -> None:
        self._source = source
        self._unsure = unsure
        self._settles = settles
        self._ends = [end for _, end in pairwise(begins)]
        self._paths = iter(paths)
        self._names = names
        self._writer = self._next()

    def _next(self) -> KeptWriter:
        settled: JSON = None if self._settles is None else self._settles.state()
        return KeptWriter(next(self._paths), {SETTLED: settled}, self._names)

    @property
    def wants_unsure(self) -> bool:
        """Whether what is painted later wants it."""
        return self._unsure

    def write(self, item: Item) -> None:
        """Keeps a frame's."""
        if not isinstance(item, Frame):
            return
        while self._ends and item.pts >= self._ends[0]:
            self._roll()
        found = item.instances
        assert found is not None
        self._writer.add(item, self._source.mark(item), found)
        if self._settles is not None and self._ends:  # behind the last part none begins
            self._settles.paint(item)

    def _roll(self) -> None:
        self._writer.finish({})
        self._writer = self._next()
        del self._ends[0]

    def close(self) -> None:
        """Completes the last file; safe to call twice."""
        while self._ends:
            self._roll()
        self._writer.finish({})

    def abort(self) -> None:
        """Lets go."""
        self._writer.close()


class Stretch(Source):
    """A part's frames, without the rest of the file, numbered as in the whole."""

    def __init__(self, part: FilePart, info: VideoInfo, end: int | None, first: int) -> None:
        self.info = info
        self._part, self._end, self._first = part, end, first

    @property
    def corrupt(self) -> int:  # type: ignore[override]
        """As the part says."""
        return self._part.corrupt

    def __iter__(self) -> Iterator[Item]:
        for item in self._part:
            if not isinstance(item, Frame):
                continue
            if self._end is not None and item.pts >= self._end:
                return
            item.index += self._first
            yield item

    def close(self) -> None:
        """Closes the part."""
        self._part.close()
