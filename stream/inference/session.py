"""Opening a model: on the provider that was asked for, or not at all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from stream.errors import ModelError, ProviderError
from stream.inference.assignment import elsewhere
from stream.inference.canvases import Canvases
from stream.inference.catalogue import Entry, open_model
from stream.inference.content import EDITED, content
from stream.inference.contract import (
    INPUT,
    Metadata,
    Resize,
    check_tensors,
    fixed_size,
    outputs_to_read,
)
from stream.inference.converter import converter, obstacle
from stream.inference.kept_compiled import through_compiled
from stream.inference.kept_graph import through_kept
from stream.inference.on_device import DeviceInput
from stream.inference.onnx_runtime import InferenceSession, TensorInfo
from stream.inference.onnx_session import create
from stream.inference.providers import AUTO_ORDER, UnavailableError, route, runtime
from stream.inference.route import LABELS, ProviderName, Route
from stream.inference.sizes import Handles, free_sides
from stream.inference.soundness import check_sound
from stream.inference.two_cores import Cores, cores_of, on_two_cores
from stream.inference.yielding import yielding
from stream.system.cpu import available_cores

if TYPE_CHECKING:
    from stream.inference.gatherer import Gatherer

logger = logging.getLogger(__name__)

_MOST_WORKERS = 4
"""Inferences at once on a CPU at most: each needs memory of its own."""


@dataclass(frozen=True, slots=True)
class Session:
    """A model that is open on a provider.

    Attributes:
        handles: its sessions, by the size of the input.
        route: the provider it runs on.
        path: the model's file.
        metadata: what the model says of itself.
        input_size: (width, height) where the model fixes them, each None where it does not.
        remarks: sentences for people: what `auto` chose and why, what runs elsewhere.
        workers: how many inferences at once it is set up for.
        device_input: makes the model's input where it runs; None where that is done on the CPU.
        canvases: the sizes of input, where new ones cost much; None where any will do.
        gatherer: takes pictures of several sources together; None where the provider never gains
            by that.
    """

    handles: Handles
    route: Route
    path: Path
    metadata: Metadata
    input_size: tuple[int | None, int | None]
    remarks: tuple[str, ...]
    workers: int = 1
    device_input: DeviceInput | None = None
    canvases: Canvases | None = None
    gatherer: Gatherer | None = None

    def expect(self, resize: Resize, size: tuple[int, int]) -> None:
        """Opens a session for inputs of this size, unless there is one.

        Args:
            resize: the policy that makes pictures as large: the model's own, or a view's.
            size: width and height, in pixels.
        """
        if self.canvases is not None:
            self.canvases.keep(resize, size)
        self.handles.expect(size)

    @property
    def handle(self) -> InferenceSession:
        """The session that was opened first."""
        return self.handles.first


@dataclass(frozen=True, slots=True)
class Asked:
    """How a model is to be opened: what `open_session` is told of it, by the same names."""

    threads: int | None = None
    throughput: bool = False
    picture: tuple[int, int] | None = None
    yields: bool = False
    sees: Callable[[Resize], Resize] | None = None

    @property
    def waited_for(self) -> bool:
        """Whether somebody waits for each inference; else cores have others to serve meanwhile."""
        return not self.throughput and not self.yields


def open_session(
    entry: Entry,
    provider: ProviderName = "auto",
    threads: int | None = None,
    *,
    throughput: bool = False,
    picture: tuple[int, int] | None = None,
    yields: bool = False,
    sees: Callable[[Resize], Resize] | None = None,
) -> Session:
    """Opens a model on the provider asked for, or on the first that works for `auto`.

    Args:
        entry: the model and its variants.
        provider: `auto` or the one to use.
        threads: for computing on the CPU; None for a number that suits the machine.
        throughput: share the threads out to several inferences at once.
        picture: width and height of the pictures that will come, where they are known.
        yields: on a CPU, let everything else go first; see `stream.inference.yielding`.
        sees: of the model's own policy, the one by which pictures are resized; None for that one.

    Raises:
        ModelError: the model breaks the contract or cannot be opened anywhere.
        ProviderError: the provider asked for cannot run here, or cannot run this model.
    """
    asked = Asked(threads, throughput, picture, yields, sees)
    if provider != "auto":
        try:
            return open_on(entry, route(provider), asked)
        except ProviderError as error:
            raise ProviderError(f"{LABELS[provider]} cannot be used here: {error}") from error
    passed: dict[str, list[str]] = {}
    for name in AUTO_ORDER[:-1]:
        try:
            return open_on(entry, route(name), asked, passed)
        except ProviderError as error:
            cause = error.cause if isinstance(error, UnavailableError) else str(error)
            passed.setdefault(cause, []).append(LABELS[name])
    return open_on(entry, route(AUTO_ORDER[-1]), asked, passed)


def open_on(
    entry: Entry,
    chosen: Route,
    asked: Asked | None = None,
    passed: Mapping[str, Sequence[str]] | None = None,
) -> Session:
    """Opens a model on one provider.

    Args:
        entry: the model and its variants.
        chosen: the provider.
        asked: how it is to be opened; None for an inference at a time on all cores.
        passed: those that `auto` tried before, by the cause; None where this one was asked for.

    Raises:
        ModelError: the model breaks the contract or cannot be opened there.
        ProviderError: the provider cannot run it.
        UsageError: an input size that it cannot have.
    """
    asked = asked or Asked()
    path = entry.pick(chosen.precisions)
    _, metadata = open_model(path)
    chosen, workers, threads = _set_up(chosen, asked, metadata)
    said = ""
    if chosen.of_model:
        options, said = chosen.of_model(path)
        chosen = replace(chosen, options={**chosen.options, **options})
    # Where `auto` tries, the provider's library may be missing, and nothing is built.
    if said and passed is None:
        logger.warning("%s", said)
    sides = free_sides(path) if chosen.by_size else None
    resize = metadata.resize if asked.sees is None else asked.sees(metadata.resize)
    expected = None if asked.picture is None else resize.geometry(*asked.picture).size
    if expected is None and chosen.plans:
        expected = resize.geometry(4, 3).size
    what = f"the model {str(path)!r}"
    cores = cores_of(threads) if asked.waited_for and chosen.name == "cpu" else None
    make = _maker(chosen, path, metadata, threads, what, spins=asked.waited_for, cores=cores)
    canvases = Canvases() if chosen.plans and sides and resize.mode != "native" else None
    if canvases is not None and asked.picture is not None and expected is not None:
        canvases.keep(resize, expected)
    opens = yielding(make) if asked.yields and chosen.shared else make
    here = chosen.shared is not None
    handles = Handles(opens, sides, expected, canvases=canvases, counts=here)
    handle = handles.first
    if said and passed is not None:
        logger.warning("%s", said)
    try:
        check_tensors(_nodes(handle.get_inputs()), _nodes(handle.get_outputs()))
        shape = next(one.shape for one in handle.get_inputs() if one.name == INPUT)
        size = (None, None) if sides is not None else fixed_size(shape, metadata.resize)
    except ModelError as error:
        raise ModelError(f"{what} cannot be used: {error}") from error
    remarks = elsewhere(handle, chosen)
    device_input = _device_input(chosen, metadata, remarks)
    if passed is not None:
        why = [f"not {' or '.join(names)}: {cause}" for cause, names in passed.items()]
        remarks.insert(0, "; ".join([f"auto chose {chosen.label} ({metadata.precision})", *why]))
    told = tuple(remarks)
    gatherer = _gatherer(chosen, path, threads, what, handles, sides) if chosen.batches else None
    return Session(
        handles, chosen, path, metadata, size, told, workers, device_input, canvases, gatherer
    )


def _set_up(chosen: Route, asked: Asked, metadata: Metadata) -> tuple[Route, int, int]:
    """The provider with its options, how many inferences at once, and each one's threads."""
    total = asked.threads or available_cores()
    at_most = min(total, _MOST_WORKERS) if chosen.shared else chosen.in_flight
    workers = at_most if asked.throughput else 1
    if chosen.shared:
        shared = chosen.shared(total, workers, metadata.precision)
        chosen = replace(chosen, options={**chosen.options, **shared})
    return chosen, workers, max(1, total // workers)


def _maker(
    chosen: Route,
    path: Path,
    metadata: Metadata,
    threads: int,
    what: str,
    *,
    spins: bool,
    cores: Cores | None,
) -> Callable[[Mapping[str, int]], InferenceSession]:
    """What opens a session for inputs of a size, from what was kept of it where there is such."""

    def make(fixed: Mapping[str, int]) -> InferenceSession:
        opened = partial(
            create,
            chosen.for_size(path, fixed),
            threads=threads,
            what=what,
            fixed=fixed,
            spins=spins,
            core=None if cores is None else cores.other,
            beside=path.parent,
        )

        def loaded() -> str | bytes:
            # What is kept was made of a file that was sound.
            check_sound(path)
            return content(chosen, path, metadata)

        if chosen.name == "cpu" and not chosen.plans:
            return through_kept(opened, path, loaded, fixed)
        if chosen.compiles:
            options = map(str, sorted(chosen.options.items()))
            told = [runtime().__version__, chosen.compiles, "beside", EDITED, *options]
            return through_compiled(
                opened, path, loaded, told, fixed, lambda made: not elsewhere(made, chosen)
            )
        return opened(loaded())

    return make if cores is None else on_two_cores(make, cores)


def _device_input(chosen: Route, metadata: Metadata, remarks: list[str]) -> DeviceInput | None:
    """What makes the model's input on the device; None, and a remark, where it cannot."""
    if not chosen.memory:
        return None
    cause = obstacle(metadata.resize)
    try:
        if not cause:
            # TensorRT would build an engine for it, and again for each size; CUDA comes with it.
            there = route("cuda") if chosen.name == "tensorrt" else chosen
            if "use_tf32" in there.options:
                # Ten bits of mantissa would be seen in the colours.
                there = replace(there, options={**there.options, "use_tf32": "0"})
            converters = {
                kind: create(there, converter(kind), 1, "the converter of pictures")
                for kind in ("uint8", "uint16")
            }
            padding = metadata.resize.padding
            made = DeviceInput(runtime(), converters, chosen.memory, padding, chosen.label)
            for told in dict.fromkeys(
                one for handle in converters.values() for one in elsewhere(handle, there)
            ):
                remarks.append(f"preparing pictures: {told}")
            return made
    except (ModelError, ProviderError) as error:
        cause = str(error)
    remarks.append(f"pictures are prepared on the CPU, not on {chosen.label}: {cause}")
    return None


def _gatherer(
    chosen: Route,
    path: Path,
    threads: int,
    what: str,
    handles: Handles,
    sides: tuple[str, str] | None,
) -> Gatherer:
    """What takes pictures of several sources together, each time as a file made for so many."""
    # Only cards gain by it, and whoever has none need not load it at each start.
    from stream.inference.batched import with_batch
    from stream.inference.batches import COUNTS, Batches
    from stream.inference.fixed_regions import with_fixed_regions
    from stream.inference.gatherer import Gatherer
    from stream.inference.onnx_whole import whole_model

    def make(count: int, fixed: Mapping[str, int]) -> InferenceSession:
        model = with_batch(with_fixed_regions(whole_model(path)), count)
        at_once = f"{what}, {count} at once"
        return create(chosen, model, threads, at_once, fixed=fixed, beside=path.parent)

    names = outputs_to_read([output.name for output in handles.first.get_outputs()])
    # What is too many under way for a small card's memory is too many in one run.
    counts = [count for count in COUNTS if count <= chosen.in_flight]
    return Gatherer(Batches(make, handles, names, sides, counts=counts))


def _nodes(values: Sequence[TensorInfo]) -> dict[str, tuple[str, list[int | str | None]]]:
    return {value.name: (value.type, list(value.shape)) for value in values}
