"""What finds the objects of a run's frames, and says which are which over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from stream.errors import StreamError
from stream.inference.postprocess import Raw
from stream.inference.preprocess import Prepared
from stream.instances import Instances
from stream.motion.flow import Grey
from stream.motion.scenes import Scenes, small_of
from stream.objects.instance_arrays import with_fields
from stream.run import unsure
from stream.tracking.appearance import with_colours
from stream.tracking.base import Tracker

if TYPE_CHECKING:
    import av

    from stream.inference.gatherer import Gatherer


class Detector(Protocol):
    """What a schedule asks of a segmenter: its three steps, each from any thread."""

    @property
    def threshold(self) -> float:
        """Lowest score that is kept, 0..1; it may change on the way."""

    @property
    def workers(self) -> int:
        """From how many threads at once `infer` is called best."""

    @property
    def gatherer(self) -> Gatherer | None:
        """Takes pictures of several sources together; None where each is inferred by itself."""

    @property
    def spares_cores(self) -> bool:
        """Whether `infer` computes elsewhere than on the processor's cores."""

    def preprocess(self, picture: av.VideoFrame) -> Prepared:
        """Makes the model's input."""

    def infer(self, prepared: Prepared) -> Raw:
        """Runs the model."""

    def postprocess(
        self, raw: Raw, prepared: Prepared, threshold: float | None = None
    ) -> Instances:
        """Turns the model's answer into instances in picture pixels."""


@dataclass(slots=True)
class Finder:
    """A detector with what follows its objects.

    Attributes:
        detector: finds the objects of a frame.
        tracker: says which are which; None takes each frame for itself.
        covers: whether instances come with what is unsure, for layers that cover objects; it may
            change on the way.
        doubt: down to which share of the threshold that is.
    """

    detector: Detector
    tracker: Tracker | None = None
    covers: bool = False
    doubt: float = unsure.FLOOR
    _scenes: Scenes = field(default_factory=Scenes, init=False)
    _size: tuple[int, int] | None = field(default=None, init=False)
    _resized: int = field(default=0, init=False)

    @property
    def remarks(self) -> Sequence[str]:
        """What happened to those that it follows, a sentence each."""
        if not self._resized or self.tracker is None:
            return ()
        often = "once" if self._resized == 1 else f"{self._resized} times"
        return (
            f"pictures changed their size {often}; who was not where they showed the same, or not "
            "in the same colours, has another number since",
        )

    @property
    def lookahead(self) -> float:
        """How many seconds of what follows it wants to see, where a run can wait for them."""
        wanted = 0.0 if self.tracker is None else self.tracker.lookahead
        return max(wanted, unsure.AHEAD) if self.covers and self.tracker is not None else wanted

    @property
    def _floor(self) -> float:
        return 1.0 if self.tracker is None else self.tracker.floor

    def candidates(self, raw: Raw, prepared: Prepared) -> Instances:
        """What may be in a frame, for `follow`; called as that is, in order."""
        return self.placed(*self.look(raw, prepared))

    def look(self, raw: Raw, prepared: Prepared) -> tuple[Instances, Grey | None]:
        """What may be in a frame, and what tells its scene; in any order, from any thread."""
        covers = self.covers
        found = self.detector.postprocess(raw, prepared, self._least_of(covers=covers))
        if covers:
            # `follow` may come after layers that cover were chosen; these were looked for before.
            found = with_fields(found, unsure=found[:0])
        if self.tracker is None:
            return found, None
        pixels, where = prepared.pixels()[0], prepared.geometry
        (left, top), (width, height) = where.offset, where.content
        small = small_of(pixels[top : top + height, left : left + width])
        if self.tracker.colours:
            found = with_colours(found, pixels, where.scale, where.offset)
        return found, small

    def placed(self, found: Instances, small: Grey | None) -> Instances:
        """What `look` gave with the scene that it belongs to; called in order."""
        return found if small is None else with_fields(found, scene=self._scenes(small))

    def _least_of(self, *, covers: bool) -> float | None:
        """The lowest score of a candidate; None for the detector's own threshold."""
        share = min(self._floor, self.doubt) if covers else self._floor
        return None if share == 1 else share * self.detector.threshold

    def among(self, found: Instances, small: Grey | None) -> Instances:
        """Of what `look` gave down to any lower score that which `candidates` would give."""
        covers = self.covers
        least = self._least_of(covers=covers)
        least = self.detector.threshold if least is None else least
        kept = found.select(found.scores >= least)
        return self.placed(with_fields(kept, unsure=found[:0]) if covers else kept, small)

    def follow(
        self,
        candidates: Instances,
        seconds: float,
        following: Sequence[tuple[float, Instances]] = (),
    ) -> Instances:
        """A frame's instances; called for the inferred frames of a run, in order.

        Args:
            candidates: what may be in it.
            seconds: its presentation time.
            following: the candidates of the next ones, with their times, as far as there are any.
        """
        threshold = self.detector.threshold
        following = [one for one in following if one[1].scene == candidates.scene]
        if not self.covers or candidates.unsure is None:
            return self._track(candidates, seconds, threshold, following)
        least = self._floor * threshold
        known = [(when, one.select(one.scores >= least)) for when, one in following]
        shown = self._track(
            candidates.select(candidates.scores >= least), seconds, threshold, known
        )
        others = unsure.unsure_of(candidates, shown, threshold, following, self.doubt)
        return with_fields(shown, unsure=others)

    def _track(
        self,
        candidates: Instances,
        seconds: float,
        threshold: float,
        following: Sequence[tuple[float, Instances]],
    ) -> Instances:
        if self.tracker is None:
            return with_fields(candidates, unsure=None)
        size = candidates.picture_size
        self._resized += self._size is not None and size != self._size
        self._size = size
        if self.tracker.lookahead:
            shown = self.tracker.update(candidates, seconds, threshold, following)
        else:
            shown = self.tracker.update(candidates, seconds, threshold)
        if not isinstance(shown, Instances):
            raise StreamError(
                f"the tracker {type(self.tracker).__name__} gave {type(shown).__name__}, where "
                "Instances are shown"
            )
        return with_fields(shown, colours=None, scene=0, unsure=None)
