"""What every place that pictures go to is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self, TypedDict

from stream.errors import UsageError
from stream.frame import Item, VideoInfo
from stream.settings.options import OutputOptions
from stream.types import JSON


class About(TypedDict, total=False):
    """With what a run works, ready for JSON.

    Attributes:
        model: its name.
        provider: where it runs.
        classes: the names of what it finds, in the order of their numbers.
        options: of the model and of tracking, as asked for.
        start: seconds into the footage that are time 0, where a part of it is taken.
    """

    model: str
    provider: str
    classes: list[str]
    options: dict[str, JSON]
    start: float


class Gone(Exception):  # noqa: N818 - nothing went wrong
    """Whoever read an output wants nothing more: it ends here, and that is no error."""


class NotNow(Exception):  # noqa: N818 - it may be otherwise soon
    """A frame cannot be written at present and is lost; what comes later may be."""


Summary = dict[str, JSON]
"""What a run counted, ready for JSON; docs/records.md says what is in it."""


class Sink(ABC):
    """Takes frames and copied packets in order.

    `write` and `close` are called from one thread. `SinkError` is raised with one sentence that
    says what was saved, where something was.

    A sink never writes on the frames and packets that it is given, which others may share.
    """

    priority: ClassVar[int] = 0
    """Of the sinks that accept a target, the one with the highest priority has it."""

    paints: ClassVar[bool] = True
    """Whether it wants the layers painted into its frames; records of what was found do not."""

    photos: ClassVar[bool] = True
    """Whether photos go to it, which have nothing to do with each other; else only footage."""

    encodes: ClassVar[bool] = True
    """Whether an encoder of video makes it, which `codec`, `crf` and `preset` are about."""

    shows: ClassVar[bool] = False
    """Whether it shows frames as they come: only the newest counts, and others may be lost."""

    sends: ClassVar[bool] = False
    """Whether it sends frames to a receiver as they play: of a live source, those that it has no
    time for are lost, and it begins with the first that it gets."""

    records: ClassVar[bool] = False
    """Whether it writes what was found as data, so that `--records` may name it."""

    mask_forms: ClassVar[tuple[str, ...]] = ("polygon", "soft")
    """Of records, which forms of masks besides run lengths they hold where they are asked for."""

    takes_packets: ClassVar[bool] = False
    """Whether it wants the packets of streams that are copied."""

    at_once: ClassVar[bool] = False
    """Whether `write` takes next to no time and waits for nothing: then it has no thread."""
    on_main_thread: ClassVar[bool] = False
    """Whether it must be called from the process's main thread, as windows must."""

    @classmethod
    def accepts(cls, target: str) -> bool:
        """Whether this is the kind of sink for a target: a path, an address, a word."""
        return False

    @classmethod
    def check(cls, target: str, options: OutputOptions, inputs: Sequence[Path] = ()) -> None:
        """Refuses an output that cannot come about, before any work is done for it.

        Args:
            target: where it is to go.
            options: how it is to be written.
            inputs: files that are read, which no output may replace.

        Raises:
            UsageError: it is not possible as asked for.
            SinkError: it cannot be written to.
        """
        return

    @classmethod
    def check_alpha(cls, target: str, options: OutputOptions) -> None:
        """Refuses an output that cannot keep frames' transparency, before any work is done.

        Only asked of sinks that want layers painted and whose layers make parts transparent.

        Raises:
            UsageError: it cannot; the sentence names those that can.
        """
        raise UsageError(f"{target} keeps no transparency, which the look cutout gives")

    @classmethod
    def check_identities(cls, target: str, options: OutputOptions) -> None:
        """Refuses an output that cannot keep 16-bit values exactly, before any work is done.

        Raises:
            UsageError: it cannot; the sentence names those that can.
        """
        raise UsageError(
            f"{target} does not keep the 16-bit values of identities exactly; .mkv (FFV1), .png "
            "and .tif do"
        )

    @classmethod
    def from_target(cls, target: str, info: VideoInfo, options: OutputOptions) -> Self:
        """Opens the sink that a target stands for.

        Args:
            target: one that `accepts` says yes to.
            info: what is known of the frames that will come.
            options: how it is written.

        Raises:
            UsageError: it is not possible as asked for.
            SinkError: it cannot be written to.
        """
        raise NotImplementedError(f"{cls.__name__} cannot be opened by a target")

    @property
    def wants_unsure(self) -> bool:
        """Whether it writes what is unsure too: `Instances.unsure`."""
        return False

    def describe(self, about: About) -> None:
        """Is told, before the first frame, with what the run works; for records.

        Args:
            about: `model`, `provider`, `classes` and the `options` asked for, ready for JSON.
        """
        return

    def conclude_with(self, summary: Callable[[], Summary]) -> None:
        """Is told, before the first frame, where to ask at the end what the run counted."""
        return

    @abstractmethod
    def write(self, item: Item) -> None:
        """Takes one item; frames come in presentation order.

        Raises:
            SinkError: it cannot be written.
            NotNow: it cannot be written at present.
            Gone: whoever reads it wants nothing more.
        """

    @abstractmethod
    def close(self) -> None:
        """Finishes the output so that it is a normal, complete file; safe to call twice."""

    def abort(self) -> None:
        """Lets go at once, without finishing; what was already saved stays playable."""
        self.close()

    @property
    def wanted(self) -> bool:
        """Whether anybody sees what it is given now; a page that nobody looks at wants nothing."""
        return True

    @property
    def problem(self) -> str | None:
        """Why it takes nothing at present, a sentence; None where it does."""
        return None

    @property
    def remarks(self) -> list[str]:
        """What the output could not keep of the input and why, a sentence each."""
        return []

    @property
    def quicker(self) -> str:
        """What helps where it cannot keep up with what it is given, as the end of a sentence."""
        return "what it writes to is too slow"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()
