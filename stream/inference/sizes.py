"""A model's sessions: for pictures of any size, and for sizes that are known beforehand."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from stream.errors import StreamError
from stream.inference.canvases import Canvases, Size
from stream.inference.contract import INPUT
from stream.inference.nvidia import memory_is_full
from stream.inference.onnx_ends import read_graph
from stream.inference.onnx_runtime import InferenceSession

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

_KEPT = 4
"""Sizes that have a session of their own at once: each needs memory for its weights and maps."""
_OFTEN = 64
"""Inputs of a size that nobody has told of, until it gets a session of its own: two seconds of a
film. The first time of all that costs what one to two hundred inferences save by it, later what
ten do, as what was made is kept; photos of many sizes do not come to it."""
_COUNTED = 256
"""Sizes that are counted at once; what came long ago is forgotten first."""


def free_sides(path: Path) -> tuple[str, str] | None:
    """What a model's file calls the width and height of its input, where both may vary.

    None where one is fixed or has no name, as it could not be fixed then, or both have the same.

    Raises:
        ModelError: the file cannot be read.
    """
    shape = read_graph(path).inputs.get(INPUT, ())
    if len(shape) != 4:
        return None
    height, width = shape[1:3]
    if isinstance(height, int) or isinstance(width, int) or not (height and width):
        return None
    return None if height == width else (width, height)


class Handles:
    """Sessions of one model, by the size of the input; may be used from several threads.

    Where the size is known before a model is opened, all that follows from it is computed once, and
    the provider plans its memory and its kernels for it. Milliseconds of processor time for an
    inference of the default model at 640x384 on a busy Intel Xeon (AMX), medians in turns:

        OpenVINO, float32 (bf16)     39 of any size     27 of this size
        OpenVINO, int8               38                 27
        built-in provider, int8      39                 38

    Attributes:
        first: the one that was opened first.
    """

    def __init__(
        self,
        make: Callable[[Mapping[str, int]], InferenceSession],
        sides: tuple[str, str] | None = None,
        expected: Size | None = None,
        *,
        canvases: Canvases | None = None,
        counts: bool = True,
    ) -> None:
        """Opens the first one.

        Args:
            make: opens a session whose input's sides of those names are fixed so.
            sides: the names of the input's width and height; None where none is to be fixed.
            expected: the size that is known already; None for a session that takes any.
            canvases: the sizes in use, where each gets a session of its own when it comes first.
            counts: whether a size that comes often gets one otherwise; not worth a card's memory.

        Raises:
            ModelError: the model cannot be opened.
            ProviderError: the provider cannot run it.
        """
        self._make = make
        self._sides = sides
        self._canvases = None if sides is None else canvases
        self._counts = counts and sides is not None
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._sized: OrderedDict[Size, InferenceSession | None] = OrderedDict()
        self._came: OrderedDict[Size, int] = OrderedDict()
        self._general: InferenceSession | None = None
        self._expected = expected
        self._most: int | None = None
        self._turn = threading.Condition()
        self._under_way = 0
        self._at_once: int | None = None
        self._alone = False
        self._again = 0
        sized = None if expected is None else self.expect(expected)
        self.first = self._open() if sized is None else sized

    def expect(self, size: Size) -> InferenceSession | None:
        """Opens a session for inputs of this size, unless there is one.

        Who asks for another that is open already does not wait for it.

        Returns:
            That session; None where one that takes any size has to do.
        """
        if self._sides is None:
            return None
        with self._lock:
            if size in self._sized:
                self._sized.move_to_end(size)
                return self._sized[size]
        with self._opening:
            with self._lock:
                if size in self._sized:
                    return self._sized[size]
                self._make_room()
            try:
                made = self._fixed(self._sides, size)
            except StreamError as error:
                # A provider may take a model with free sides and refuse one of its sizes.
                told = "inputs of %dx%d pixels have no session of their own: %s"
                logger.info(told, *size, error)
                if memory_is_full(error):
                    return None
                made = None
            with self._lock:
                self._sized[size] = made
            return made

    def _make_room(self) -> None:
        """Lets go of sessions before another needs memory; the first one is held anyway."""
        others = [one for one in self._sized if one != self._expected]
        if self._canvases is None:
            spare = others[: max(0, len(self._sized) + 1 - _KEPT)]
        else:
            used = self._canvases.in_use
            spare = [one for one in others if one not in used]
        if self._most is not None:
            kept = [one for one in others if one not in spare]
            spare += kept[: max(0, len(self._sized) - len(spare) + 1 - self._most)]
        for one in spare:
            del self._sized[one]

    def take(self, size: Size) -> InferenceSession:
        """The session for inputs of this size; one of its own once it has come often.

        Raises:
            ModelError: none that takes any size can be opened.
            ProviderError: likewise.
        """
        if self._canvases is not None or self._comes_often(size):
            sized = self.expect(size)
        else:
            sized = self._sized.get(size)
        return self._open() if sized is None else sized

    def _comes_often(self, size: Size) -> bool:
        """Counts an input of a size that has no session of its own; true once for each of them.

        A size that was let go of since has had its turn: with more of them than are kept, all
        would be opened over and over.
        """
        if not self._counts or size in self._sized:
            return False
        with self._lock:
            count = self._came[size] = self._came.pop(size, 0) + 1
            if len(self._came) > _COUNTED:
                self._came.popitem(last=False)
            return count == _OFTEN

    def run(self, size: Size, infer: Callable[[InferenceSession], Answer]) -> Answer:
        """What the session for inputs of this size answers.

        Where memory is full it is asked once more when nothing else is under way, and fewer are
        under way at once from then on. Where that was not the cause, sessions for other sizes are
        let go of, and fewer of these are kept: each would have to be planned anew.

        Args:
            size: width and height of the input, in pixels.
            infer: asks the session; may be called up to three times.

        Raises:
            Exception: what `infer` raises, or `take`.
        """
        with self._turn:
            self._turn.wait_for(self._free)
            beside = self._under_way
            self._under_way += 1
        try:
            return infer(self.take(size))
        except Exception as error:
            if not memory_is_full(error):
                raise
            logger.info("memory is full, once more by itself: %s", error)
        finally:
            with self._turn:
                self._under_way -= 1
                beside = max(beside, self._under_way)
                self._turn.notify_all()
        with self._turn:
            self._turn.wait_for(lambda: not self._alone)
            self._alone = True
            self._again += 1
        try:
            with self._turn:
                self._turn.wait_for(lambda: not self._under_way)
                if beside:
                    self._at_once = min(beside, self._at_once or beside)
            if beside:
                try:
                    return infer(self.take(size))
                except Exception as error:
                    if not memory_is_full(error):
                        raise
            self._let_go(size)
            return infer(self.take(size))
        finally:
            with self._turn:
                self._alone = False
                self._turn.notify_all()

    def _free(self) -> bool:
        few = self._at_once is None or self._under_way < self._at_once
        return few and not self._alone

    @property
    def remark(self) -> str:
        """How often memory was full; "" where it never was."""
        with self._turn:
            again = self._again
        told = []
        if again:
            told.append(
                "1 picture was inferred once more, by itself"
                if again == 1
                else f"{again} pictures were inferred once more, by themselves"
            )
        if self._most is not None:
            kept = "1 size of input is" if self._most == 1 else f"{self._most} sizes of input are"
            told.append(f"no more than {kept} kept ready at once")
        if self._at_once is not None:
            few = "1 picture is" if self._at_once == 1 else f"{self._at_once} pictures are"
            told.append(f"no more than {few} under way at once")
        return f"memory was full: {'; '.join(told)}" if told else ""

    def _open(self) -> InferenceSession:
        if self._general is not None:
            return self._general
        with self._opening:
            if self._general is None:
                self._general = self._make({})
            return self._general

    def _fixed(self, sides: tuple[str, str], size: Size) -> InferenceSession:
        fixed = dict(zip(sides, size, strict=True))
        try:
            return self._make(fixed)
        except StreamError as error:
            if not (memory_is_full(error) and self._let_go(size)):
                raise
        return self._make(fixed)

    def _let_go(self, size: Size) -> bool:
        """Lets go of the sessions for all other sizes, and keeps fewer at once from now on."""
        with self._lock:
            others = [one for one in self._sized if one not in (size, self._expected)]
            if others:
                self._most = max(1, len({*self._sized, size}) - 1)
            for one in others:
                del self._sized[one]
            return bool(others)
