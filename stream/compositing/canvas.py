"""One frame that is being painted, with all that its layers share."""

from __future__ import annotations

from collections.abc import Iterator

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from stream.compositing.edges import Care, Edges
from stream.compositing.mask_memory import Memory
from stream.compositing.masks import paste, paste_nearly
from stream.compositing.mattes import Edge, Matte, union
from stream.compositing.palette import Colour, colour_of
from stream.compositing.pasted import Block, Pasted
from stream.compositing.planes import Planes, encoding_of, writable_planes
from stream.compositing.soft import Soft, lay, whole
from stream.compositing.specks import Piece, small_pieces, without_specks
from stream.compositing.stacking import Stack
from stream.compositing.style import Style
from stream.instances import Instances
from stream.kernels import Kernels, compiled
from stream.pictures.on_black import on_black
from stream.pictures.pixels import layout, paintable
from stream.roi import Window
from stream.tally import Tally


class Canvas:
    """One frame that is being painted.

    Attributes:
        instances: what is painted, best first.
        style: how.
        figures: lines of the timing panel; a tab stands between a name and its value.
        notes: lines that a source wants shown.
        occupied: parts of the picture in which no label should lie.
        margin: by how many pixels the windows of masks reach beyond them.
        threshold: above what a soft mask is the object.
        memory: for what is made on the way.
        size: height and width in pixels.
        steps: rows and columns of luma per sample of each plane.
        encoding: how colours are written in the picture.
        seconds: the frame's presentation time.
        tally: what was counted at lines and zones up to the frame.
        alpha: how opaque each pixel is, uint8 of the picture's size, where the source or a layer
            says so; not to be written to.
    """

    def __init__(
        self,
        picture: av.VideoFrame,
        instances: Instances,
        style: Style,
        memory: Memory,
        *,
        margin: int = 0,
        figures: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
        seconds: float = 0.0,
        tally: Tally | None = None,
        edges: Edges | None = None,
        alpha: NDArray[np.uint8] | None = None,
        exact: bool = False,
    ) -> None:
        """Nothing is copied or pasted yet.

        Args:
            picture: of the size that the instances were found in; planar YUV or grey, 8 to 16 bits.
            instances: what is painted.
            style: how it is painted.
            memory: for masks.
            margin: pixels around each mask that the layers want.
            figures: lines of the timing panel.
            notes: lines that a source wants shown.
            seconds: the frame's presentation time.
            tally: what was counted up to it.
            edges: what knows the frames before; None where there are none.
            alpha: how opaque the picture's pixels are; None where all are wholly opaque.
            exact: whether a layer needs masks pasted exactly, so that they are for all.

        Raises:
            ValueError: the picture has another format.
        """
        self.picture = picture
        layout(self._format)
        self.instances = instances
        self.style = style
        self.figures = figures
        self.notes = notes
        self.seconds = seconds
        self.tally = tally
        self.occupied: list[Window] = []
        self.alpha = alpha
        self._exact = exact
        asked = style.mask_threshold
        self.threshold = instances.mask_threshold if asked is None else asked
        self.memory = memory
        self.margin = margin
        self._masks, self._boxes = instances.masks, instances.paste_boxes
        self._pasted: dict[tuple[int, bool], Pasted | None] = {}
        self._block: Block | None = None
        self._specks: list[list[Piece]] | None = None
        self._stack: Stack | None = None
        self._mattes: dict[Edge, Matte] = {}
        self._edges = Edges() if edges is None else edges
        self._asked = self._care(True)
        self._softs: dict[Care, list[Soft | None]] = {}
        self._together: dict[Care, list[Soft]] = {}
        self._crests: dict[int, tuple[float, float] | None] | None = None
        memory.reset()

    @property
    def picture(self) -> av.VideoFrame:
        """The picture as it is now; setting it puts another in its place, of any format."""
        return self._picture

    @picture.setter
    def picture(self, picture: av.VideoFrame) -> None:
        self._picture = picture
        self._planes: Planes | None = None
        # Asked for with every mask; PyAV makes new objects at each question.
        self.size = picture.height, picture.width
        self._format = picture.format.name
        if paintable(self._format):
            self.steps = layout(self._format)[1]
            self.encoding = encoding_of(picture)

    @property
    def planes(self) -> Planes:
        """The picture's samples, to be painted on; it is copied first where others still need it.

        Raises:
            ValueError: the picture is not planar little-endian YUV or grey of 8 to 16 bits.
        """
        if self._planes is None:
            self._planes = writable_planes(self._picture, self.encoding)
        return self._planes

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of luma that share one chroma sample."""
        return self.steps[-1]

    def pasted(self, index: int, *, exactly: bool = True) -> Pasted | None:
        """Where an instance is; None where no pixel of the picture is its.

        Pasted at the first call and kept for the other layers. To be used before another is asked
        for: where a frame's masks are very many and large, they share memory.

        Args:
            index: of the instance.
            exactly: whether each pixel is to be what `Instances.full_masks` says; else some on the
                edge may not, which costs less than half.
        """
        exactly = exactly or self._exact
        for key in ((index, True), (index, False))[: 1 if exactly else 2]:
            if key in self._pasted:
                return self._pasted[key]
        pasted = self._paste(index, exactly=exactly)
        if self.memory.kept:
            self._pasted[index, exactly] = pasted
        if self._crests is not None:
            self._crests[index] = None if pasted is None else pasted.crest
        return pasted

    def _paste(self, index: int, *, exactly: bool) -> Pasted | None:
        grid, take = self.steps[-1], self.memory.take
        found: tuple[Window, NDArray[np.uint8]] | None
        if self._asked.any:
            soft = self._with(self._asked)[index]
            found = None if soft is None else whole(soft, self.size, take, grid, self.margin)
            return None if found is None else Pasted(*found)
        block, kernels = self.block, compiled()
        if block is not None:
            return block.pasted(index)
        if kernels is not None:
            one = self._pasted_by(kernels, slice(index, index + 1), alone=True)
            return one.pasted(0)
        mask, box = self._masks[index], self._boxes[index]
        size, threshold, margin = self.size, self.threshold, self.margin
        if exactly:
            found = paste(mask, box, size, threshold, take, grid=grid, margin=margin)
            return None if found is None else Pasted(*found)
        scratch = self.memory.scratch
        nearly = paste_nearly(
            mask, box, size, threshold, take, grid=grid, margin=margin, scratch=scratch
        )
        return None if nearly is None else Pasted(*nearly)

    @property
    def block(self) -> Block | None:
        """All instances, pasted at once; None where they are to be asked for one by one."""
        if self._block is None:
            kernels = None if self._asked.any else compiled()
            if kernels is None:
                return None
            self._block = self._pasted_by(kernels, slice(None))
        return self._block if self._block.fits else None

    def _pasted_by(self, kernels: Kernels, which: slice, *, alone: bool = False) -> Block:
        masks, boxes = self._masks[which], self._boxes[which]
        at = (self.size, self.threshold, self.grid, self.margin)
        return Block(kernels, masks, boxes, *at, self.memory, alone=alone)

    def prepare(self) -> None:
        """Looks at the picture before anything is painted on it, where masks are to be refined."""
        if self._asked.any:
            self._with(self._asked)

    def matte(self, edge: Edge) -> Matte:
        """How far each pixel belongs to any object; made once for the layers that want the same.

        To be called in a layer's `plan` first: edges are refined by the picture as it came.
        """
        if edge not in self._mattes:
            alpha = self.memory.plane(f"matte {len(self._mattes)}", self.size)
            care = self._care(False)
            if care.any:
                self._mattes[edge] = lay(alpha, self._all(care), edge)
            else:
                self._mattes[edge] = union(alpha, self._masks, self._boxes, self.threshold, edge)
            if self.alpha is not None:
                # What the source says is clear is no object's either.
                cv2.multiply(alpha, self.alpha, alpha, 1 / 255)
        return self._mattes[edge]

    def _care(self, asked: bool) -> Care:
        """What is done for edges: only what was asked for, or what was not forbidden."""
        style = self.style
        refine, steady = style.refine, style.steady_edges
        if asked:
            return Care(refine is True, steady is True, style.refiner)
        return Care(refine is not False, steady is not False, style.refiner)

    def _with(self, care: Care) -> list[Soft | None]:
        if care not in self._softs:
            self._softs[care] = self._edges.softs(
                self._seen(), self.instances, self.threshold, self.seconds, care
            )
        return self._softs[care]

    def _all(self, care: Care) -> list[Soft]:
        """All objects, each on its own only where that is asked for as well."""
        if care == self._asked:
            return [one for one in self._with(care) if one is not None]
        if care not in self._together:
            self._together[care] = self._edges.together(
                self._seen(), self.instances, self.threshold, self.seconds, care
            )
        return self._together[care]

    def _seen(self) -> av.VideoFrame:
        """The picture as it is seen: below what is clear may lie edges of anything."""
        return on_black(self._picture, self.alpha)

    def want_crests(self) -> None:
        """To be called before layers paint by one that will ask for `crest`."""
        self._crests = {} if self._crests is None else self._crests

    def crest(self, index: int) -> tuple[float, float] | None:
        """The point on top of an instance, x and y; None where no pixel of the picture is its.

        Found when its mask is pasted, so that it need not be pasted once more.
        """
        block = self.block
        if block is not None:
            return block.crest(index)
        self.want_crests()
        crests = self._crests or {}
        if index not in crests:
            pasted = self.pasted(index)
            return None if pasted is None else pasted.crest
        return crests[index]

    def tidied(self, index: int) -> Pasted | None:
        """Nearly `pasted`, without specks and holes of less than a thousandth of the object."""
        pasted = self.pasted(index, exactly=False)
        if pasted is None:
            return None
        if self._specks is None:
            self._specks = small_pieces(self._masks, self.threshold)
        pieces, cells = self._specks[index], (self._masks.shape[1], self._masks.shape[2])
        inside = without_specks(pasted.inside, pasted.window, pieces, cells, self._boxes[index])
        return pasted if inside is pasted.inside else Pasted(pasted.window, inside)

    @property
    def stack(self) -> Stack:
        """Which of the instances are in front."""
        if self._stack is None:
            self._stack = Stack(self.instances, self.threshold)
        return self._stack

    def seen(self, index: int, *, tidy: bool = False) -> Pasted | None:
        """Nearly `pasted`, without what is in front of it; None where no pixel is its.

        Args:
            index: of the instance.
            tidy: whether it is to be as `tidied`.
        """
        stack = self.stack
        if stack.may_hide(index) and not stack.ready:
            stack.lay(self.memory.plane("ranks", self.size), self._fronts())
        found = self.tidied(index) if tidy else self.pasted(index, exactly=False)
        if found is None or not stack.may_hide(index):
            return found
        return Pasted(found.window, stack.seen(index, found.inside, found.window))

    def _fronts(self) -> Iterator[tuple[int, NDArray[np.uint8], Window]]:
        for index in self.stack.fronts:
            pasted = self.pasted(index, exactly=False)
            if pasted is not None:
                yield index, pasted.inside, pasted.window

    def identity(self, index: int) -> int:
        """The number that an instance's colour goes by, from 1 on."""
        if self.style.colours == "class":
            return int(self.instances.labels[index]) + 1
        if self.style.colours == "object" or self.instances.track_ids is None:
            return index + 1
        return int(self.instances.track_ids[index])

    def colour(self, index: int) -> Colour:
        """The colour of an instance, the same for the same track, rank or class."""
        return colour_of(self.identity(index), self.style.palette_colours)
