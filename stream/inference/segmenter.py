"""The segmenter: a picture in, its instances out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from av.video.frame import VideoFrame

from stream.attributes import OnlyNamed
from stream.errors import ModelError, UsageError
from stream.inference.catalogue import DEFAULT, find
from stream.inference.contract import INPUT, Metadata, Resize, outputs_to_read
from stream.inference.failures import BROKEN, Sizes, why
from stream.inference.on_device import infer
from stream.inference.postprocess import Raw, class_indices, to_instances
from stream.inference.preprocess import Picture, Prepared, Preprocessor
from stream.inference.providers import check_name
from stream.inference.route import ProviderName
from stream.inference.session import Session, open_session
from stream.inference.share import Share
from stream.inference.upright import quarter_turns, turned_back, upright
from stream.inference.views import Seen, at_size, first_view, joined, mirrored
from stream.inference.views import views as views_of
from stream.inference.watch import Watch
from stream.instances import UNSURE, Instances
from stream.pictures.rgb import check_size
from stream.system.one_process import stays
from stream.wording.words import counted

if TYPE_CHECKING:
    from stream.inference.gatherer import Gatherer


class Segmenter(OnlyNamed):
    """Finds the objects of one picture.

    Calling it does everything; a pipeline calls the three stages `preprocess`, `infer` and
    `postprocess`, each from a thread of its own if it likes.

        segmenter = Segmenter.load("default", provider="auto")
        found = segmenter(rgb)  # uint8 [H, W, 3] -> Instances in picture pixels

    Attributes:
        name: the model's name in the catalogue, or its path.
        threshold: lowest score that is kept, 0..1; may be changed at any time.
        mask_threshold: a soft mask above this is the object, 0..1; may be changed at any time.
    """

    name: str
    threshold = Share("threshold")
    mask_threshold = Share("mask threshold")

    def __init__(
        self,
        name: str,
        session: Session,
        *,
        threshold: float | None = None,
        mask_threshold: float | None = None,
        classes: Sequence[str] | str | None = None,
        views: int = 1,
        input_size: int | None = None,
    ) -> None:
        """Use `Segmenter.load`."""
        metadata = session.metadata
        self.name = name
        self.threshold = metadata.score_threshold if threshold is None else threshold
        self.mask_threshold = metadata.mask_threshold if mask_threshold is None else mask_threshold
        self._session = session
        self._classes = None if classes is None else class_indices(classes, metadata.names)
        self._watch = Watch(name, metadata.precision)
        self._preprocessors = dict[Resize, Preprocessor]()
        self._resize = self._at(input_size)
        self.views = views
        self._outputs = outputs_to_read([output.name for output in session.handle.get_outputs()])

    @classmethod
    def load(
        cls,
        model: str | Path = DEFAULT,
        provider: ProviderName | str = "auto",
        *,
        threshold: float | None = None,
        mask_threshold: float | None = None,
        classes: Sequence[str] | str | None = None,
        threads: int | None = None,
        throughput: bool = False,
        picture_size: tuple[int, int] | None = None,
        yields: bool = False,
        views: int = 1,
        input_size: int | None = None,
    ) -> Segmenter:
        """Opens a model.

        Args:
            model: a name of the catalogue (`stream models` lists it) or the path of an .onnx file
                that keeps the model contract.
            provider: where to compute; only `auto` chooses, and says so in `remarks`.
            threshold: lowest score that is kept, 0..1; None for the model's own.
            mask_threshold: a soft mask above this is the object, 0..1; None for the model's own.
            classes: names of the classes to keep, as a list or with commas; None for all.
            threads: for computing on the CPU; None for what suits the machine.
            throughput: share the threads out to several pictures at once (`workers`):
                more of them a second, each later. For what is in no hurry; on a GPU up to four
                are under way.
            picture_size: width and height of the pictures that will come; see `expect`.
            yields: on a CPU under Linux, let all other threads of the machine go first, as where
                several pictures are shown meanwhile; an answer takes longer where they are busy.
            views: how often each picture is looked at: larger, smaller and mirrored, smaller
                still, larger and mirrored, smaller, as it is. What is found is joined: better masks
                and fewer mistakes; 2 or 3 take three times as long, 4 five times, 6 seven times.
            input_size: the shorter side of what the model sees, in pixels; None for its own.
                Larger finds what is small or far, and takes longer.

        Raises:
            ModelError: there is no such model, or the file cannot be used.
            ProviderError: the provider asked for cannot be used here.
            UsageError: an unknown provider or class, a threshold out of range, no size of a
                picture, or more views or another input size than the model can have.
        """
        if threads is not None and (not isinstance(threads, int | np.integer) or threads < 1):
            raise UsageError(f"the number of threads must be at least 1, not {threads!r}")
        if picture_size is not None:
            picture_size = check_size(picture_size)
        session = open_session(
            find(model),
            check_name(provider),
            threads,
            throughput=throughput,
            picture=picture_size,
            yields=yields,
            sees=partial(first_view, count=views, side=input_size),
        )
        made = cls(
            str(model),
            session,
            threshold=threshold,
            mask_threshold=mask_threshold,
            classes=classes,
            views=views,
            input_size=input_size,
        )
        if picture_size is not None and views > 1:
            made.expect(*picture_size)
        return made

    def __repr__(self) -> str:
        classes = counted(len(self.names), "class", "classes")
        return f"Segmenter({self.name!r}, {self.provider}, {classes})"

    @property
    def metadata(self) -> Metadata:
        """What the model says of itself."""
        return self._session.metadata

    @property
    def names(self) -> tuple[str, ...]:
        """The model's class names; labels index into them."""
        return self._session.metadata.names

    @property
    def path(self) -> Path:
        """The model's file."""
        return self._session.path

    @property
    def provider(self) -> str:
        """Where it computes, in words, such as "CPU (int8)"."""
        return f"{self._session.route.label} ({self.metadata.precision})"

    @property
    def precision(self) -> str:
        """`float32`, `float16` or `int8`."""
        return self.metadata.precision

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The only classes that are kept; None for all. May be set at any time, by names.

        Raises:
            UsageError: an unknown class, when set.
        """
        kept = self._classes
        return None if kept is None else tuple(self.names[index] for index in sorted(kept))

    @classes.setter
    def classes(self, wanted: Sequence[str] | None) -> None:
        self._classes = None if wanted is None else class_indices(wanted, self.names)

    @property
    def views(self) -> int:
        """How often each picture is looked at; may be changed between pictures."""
        return len(self._views)

    @views.setter
    def views(self, count: int) -> None:
        self._views = views_of(count, self._resize, any_size=self._any_size)
        canvases, device = self._session.canvases, self._session.device_input
        places = {
            resize: None if canvases is None else partial(canvases.place, resize)
            for resize, _ in self._views
        }
        self._preprocessors = {
            resize: self._preprocessors.get(resize) or Preprocessor(resize, device, place)
            for resize, place in places.items()
        }

    @property
    def input_size(self) -> int | None:
        """The shorter side of what the model sees, in pixels; None where pictures say it.

        May be changed between pictures, None for the model's own; it becomes the nearest that the
        model can have.

        Raises:
            UsageError: out of range, or the model has one size, when set.
        """
        return self._resize.shorter_side or None

    @input_size.setter
    def input_size(self, side: int | None) -> None:
        self._resize = self._at(side)
        self.views = self.views

    def _at(self, side: int | None) -> Resize:
        return at_size(side, self.metadata.resize, any_size=self._any_size)

    @property
    def _any_size(self) -> bool:
        return self._session.input_size == (None, None)

    @property
    def _sizes(self) -> Sizes:
        if not self._any_size:
            return "one"
        return "own" if self.metadata.resize.mode in ("native", "shortest_edge") else "chosen"

    def sharing(self) -> Segmenter:
        """The same loaded model, with thresholds, classes, views and input size of its own."""
        return copy(self)

    def __copy__(self) -> Segmenter:
        made = object.__new__(type(self))
        vars(made).update(vars(self))
        return made

    def __reduce__(self) -> NoReturn:
        stays("a Segmenter", "load one in each, and hand pictures and Instances over")

    @property
    def workers(self) -> int:
        """From how many threads at once `infer` is called best."""
        return self._session.workers

    @property
    def spares_cores(self) -> bool:
        """Whether `infer` computes elsewhere than on the processor's cores."""
        return self._session.route.shared is None

    @property
    def gatherer(self) -> Gatherer | None:
        """Takes pictures of several sources together, once `expect_several` has found it worth it.

        All that share the loaded model have the same. None where the provider never gains by it,
        and where there are several views of each picture already.
        """
        return self._session.gatherer if self.views == 1 else None

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences on how it computes: what `auto` chose and why, what runs elsewhere."""
        device, canvases = self._session.device_input, self._session.canvases
        later = (
            *(() if device is None else device.remarks),
            "" if canvases is None else canvases.remark,
            self._session.handles.remark,
            "" if self.gatherer is None else self.gatherer.batches.remark,
        )
        return (*self._session.remarks, *filter(None, later))

    def __call__(self, picture: Picture) -> Instances:
        """Finds the objects of a picture, and what may be there besides (`Instances.unsure`).

        Args:
            picture: uint8 [H, W, 3] in RGB, or a decoded `av.VideoFrame` of any format. One that
                says that it is to be turned (`rotation`) is looked at upright; what is found is in
                its pixels as they are stored.

        Raises:
            ValueError: the array has another type or shape.
            ModelError: the model fails on it or breaks the contract.
        """
        if isinstance(picture, VideoFrame) and (turns := quarter_turns(picture)):
            return turned_back(self(upright(picture, turns)), turns)
        prepared = self.preprocess(picture)
        found = self.postprocess(self.infer(prepared), prepared, UNSURE * self.threshold)
        sure = found.scores >= self.threshold
        return replace(found.select(sure), unsure=found.select(~sure))

    def preprocess(self, picture: Picture) -> Prepared:
        """Makes the model's input; see `__call__` for the picture and the errors."""
        made = {resize: make(picture) for resize, make in self._preprocessors.items()}
        if self._session.canvases is not None:
            self._session.canvases.count({resize: one.geometry for resize, one in made.items()})
        first, *others = (
            mirrored(made[resize]) if exchanged else made[resize]
            for resize, exchanged in self._views
        )
        return replace(first, others=tuple(others)) if others else first

    def infer(self, prepared: Prepared) -> Raw:
        """Runs the model; boxes are in pixels of its input, arrays are the caller's own.

        Raises:
            ModelError: the model fails; the message names the provider, the layer and the cause.
        """
        try:
            seen = [Seen(self._answer(one), one) for one in (prepared, *prepared.others)]
            if not prepared.others:
                return seen[0].raw
            return joined(seen, self._resize.geometry(*prepared.geometry.picture))
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            told = why(error, self._session.route, prepared.geometry.picture, self._sizes)
            raise ModelError(f"the model {self.name!r} failed on {self.provider}{told}") from error

    def _answer(self, prepared: Prepared) -> Raw:
        return self._session.handles.run(
            prepared.geometry.size,
            lambda handle: Raw(*infer(handle, self._outputs, {INPUT: prepared.tensor})),
        )

    def postprocess(
        self, raw: Raw, prepared: Prepared, threshold: float | None = None
    ) -> Instances:
        """Turns the model's answer into instances in picture pixels.

        Args:
            raw: the model's answer.
            prepared: what it was asked.
            threshold: lowest score that is kept, 0..1; None for the segmenter's own.

        Raises:
            ModelError: the answer breaks the contract.
        """
        self._watch.see(raw)
        try:
            return to_instances(
                raw,
                prepared.geometry,
                self.names,
                threshold=self.threshold if threshold is None else threshold,
                mask_threshold=self.mask_threshold,
                classes=self._classes,
            )
        except ModelError as error:
            raise ModelError(f"the model {self.name!r} is of no use: {error}; {BROKEN}") from error

    def expect(self, width: int, height: int) -> None:
        """Prepares for pictures of this size, in pixels, which are found in less time from then on.

        Those of other sizes are taken as before. It takes as long as opening the model; for less
        than a hundred pictures it is not worth that. On CUDA each size of input takes a second
        when it comes first: beyond the first six of each scale of view, pictures of sizes that were
        not expected get wider margins instead, and `remarks` says so.
        """
        for resize in self._preprocessors:
            self._session.expect(resize, resize.geometry(width, height).size)

    def expect_several(self, width: int, height: int) -> None:
        """Prepares for pictures of this size, in pixels, that come from several sources.

        On CUDA it is tried, once, whether several at once are quicker than one by one, which takes
        seconds; `remarks` says what came of it. Elsewhere this does nothing.
        """
        if self.gatherer is not None:
            size = self._resize.geometry(width, height).size
            self.gatherer.batches.prepare(size)

    def warm_up(self, width: int, height: int) -> float:
        """Runs the model once on a grey picture of this size, so that the first one is not slow.

        It is prepared for that size; see `expect`.

        Returns:
            Seconds that it took.

        Raises:
            ModelError: the model fails.
        """
        start = time.perf_counter()
        self.expect(width, height)
        self(np.full((height, width, 3), 128, np.uint8))
        return time.perf_counter() - start
