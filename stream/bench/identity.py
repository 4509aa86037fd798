"""Who is who over time: how many identities there are, what is not shown, who is taken for whom."""

from __future__ import annotations

import importlib
import importlib.util
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stream import sources, tracking
from stream.bench import crossings
from stream.bench.figures import Figure
from stream.bench.material import labelled_pictures
from stream.errors import UsageError
from stream.frame import Frame
from stream.inference.preprocess import Picture
from stream.inference.segmenter import Segmenter
from stream.instances import Instances
from stream.settings.options import CutOptions, InputOptions
from stream.tracking.appearance import with_colours
from stream.tracking.association import mask_cover
from stream.tracking.base import Tracker
from stream.tracking.trackers._library import LibraryTracker

_MOST = 240
"""Frames of a clip."""

_WITHIN = 0.6
"""What is covered to this share by what is shown is no object that is missing."""

_ROUNDING = 1e-3
"""Seconds by which timestamps may be off."""

_SCENES = (100, 101, 102, 103)
"""Of the made clips."""

RATES = (30, 10, 3)
"""Inferences a second, of the made clips."""

Film = Sequence[tuple[float, Instances]]
"""What may be in each frame of a clip, with its time in seconds."""

_Ids = NDArray[np.int64]
_Box = tuple[float, ...]


class Way(NamedTuple):
    """A kind of tracker, by name, and whether it is told what follows, as in files."""

    name: str
    kind: type[Tracker]
    file: bool = False

    def __str__(self) -> str:
        if not self.kind.lookahead:
            return self.name
        return f"{self.name}, {'file' if self.file else 'live'}"

    @property
    def library(self) -> bool:
        """Whether it is one of the library `trackers`."""
        return issubclass(self.kind, LibraryTracker)


def ways() -> list[Way]:
    """Ours, and those of the library `trackers` where it is installed."""
    kinds = [Way(name, tracking.KIND.get(name)) for name in tracking.KIND.names()]
    there = [way for way in kinds if not way.library or _library()]
    told = [way._replace(file=True) for way in there if way.kind.lookahead]
    return sorted(told + there, key=lambda way: way.library)


@cache
def _floor() -> float:
    """Down to which share of the threshold some tracker wants to see candidates, as in a run."""
    return min(way.kind.floor for way in ways())


def _library() -> bool:
    return importlib.util.find_spec("trackers") is not None


def measure(
    model: str, provider: str, pictures: Path | None, clips: Sequence[Path]
) -> Iterator[Figure]:
    """Identities and hidden objects of clips; HOTA, IDF1 and switches where the truth is known.

    Args:
        model: which finds the objects.
        provider: where it runs.
        pictures: a set as `stream train` takes it, of whose people clips are made.
        clips: video files.

    Raises:
        UsageError: there is nothing to measure on, or no such set.
    """
    if pictures is None and not clips:
        raise UsageError("identity is measured on pictures or clips: name --pictures or --clips")
    segmenter = Segmenter.load(model, provider, throughput=True)
    for clip in clips:
        yield from of_clip(clip.name, film_of(segmenter, clip), segmenter.threshold)
    if pictures is not None:
        yield from _of_scenes(segmenter, crossings.Material(labelled_pictures(pictures)))


def candidates(segmenter: Segmenter, picture: Picture) -> Instances:
    """What may be in a picture, with its colours, as trackers are given it."""
    prepared = segmenter.preprocess(picture)
    found = segmenter.postprocess(
        segmenter.infer(prepared), prepared, _floor() * segmenter.threshold
    )
    where = prepared.geometry
    return with_colours(found, prepared.pixels()[0], where.scale, where.offset)


def film_of(segmenter: Segmenter, clip: Path) -> Film:
    """What may be in each of a clip's first frames."""
    cut = InputOptions(cut=CutOptions(limit=_MOST))
    with sources.open(str(clip), cut) as source:
        return [
            (frame.pts_seconds, candidates(segmenter, frame.image))
            for frame in source
            if isinstance(frame, Frame)
        ]


def follow(way: Way, film: Film, threshold: float) -> Iterator[tuple[Instances, Instances]]:
    """For each frame what the tracker was given, and what it shows of it."""
    tracker = way.kind()
    kept = [(when, one.select(one.scores >= tracker.floor * threshold)) for when, one in film]
    for index, (when, given) in enumerate(kept):
        if not (way.file and tracker.lookahead):
            yield given, tracker.update(given, when, threshold)
            continue
        following: list[tuple[float, Instances]] = []
        for one in kept[index + 1 :]:
            following.append(one)
            if one[0] - when >= tracker.lookahead - _ROUNDING:
                break
        yield given, tracker.update(given, when, threshold, following)


class Hidden(NamedTuple):
    """Objects that reach the threshold and are not shown.

    Attributes:
        all: how many there are.
        apart: how many of them what is shown does not cover.
    """

    all: int
    apart: int


def hidden(given: Instances, shown: Instances, threshold: float) -> Hidden:
    """How many objects of a frame are not shown."""
    places = {tuple(box): place for place, box in enumerate(given.boxes.tolist())}
    known = [places[tuple(box)] for box in shown.boxes.tolist()]
    lost = sorted(set(np.flatnonzero(given.scores >= threshold).tolist()) - set(known))
    masks, boxes = given.masks.copy(), given.paste_boxes.copy()
    masks[known], boxes[known] = shown.masks, shown.paste_boxes  # a tracker may have added to them
    seen = replace(given, masks=masks, mask_boxes=boxes)
    apart = sum(all(mask_cover(seen, one, other)[0] <= _WITHIN for other in known) for one in lost)
    return Hidden(len(lost), apart)


def of_clip(name: str, film: Film, threshold: float) -> Iterator[Figure]:
    """Identities and hidden objects of one clip, for each tracker.

    Args:
        name: of the clip.
        film: what may be in it.
        threshold: what new objects must reach, 0..1.
    """
    sure = sum(int((found.scores >= threshold).sum()) for _, found in film)
    told: list[tuple[Way, dict[str, set[int]], Hidden]] = []
    for way in ways():
        identities: dict[str, set[int]] = defaultdict(set)
        everything, apart = 0, 0
        for given, shown in follow(way, film, threshold):
            for label, number in zip(shown.names, _ids(shown).tolist(), strict=True):
                identities[label].add(number)
            here = hidden(given, shown, threshold)
            everything, apart = everything + here.all, apart + here.apart
        told.append((way, identities, Hidden(everything, apart)))
    theirs = [lost.apart for way, _, lost in told if way.library]
    for way, identities, lost in told:
        by_class = sorted(identities.items(), key=lambda one: -len(one[1]))
        yield Figure(
            f"{name}, {way}",
            len(set().union(*identities.values())),
            "identities",
            detail=", ".join(f"{len(numbers)} {label}" for label, numbers in by_class)
            + f"; {len(film)} frames",
        )
        yield Figure(
            f"{name}, {way}",
            lost.apart,
            "hidden",
            at_most=min(theirs) if theirs and way.file else None,
            detail=f"of {sure} above {threshold:g}; {lost.all} with what lies within what is shown",
        )


def _of_scenes(segmenter: Segmenter, material: crossings.Material) -> Iterator[Figure]:
    films: list[Film] = []
    truths: list[list[dict[int, crossings.Box]]] = []
    for seed in _SCENES:
        frames = list(crossings.scene(material, seed))
        films.append([(when, people(candidates(segmenter, rgb))) for when, rgb, _ in frames])
        truths.append([boxes for _, _, boxes in frames])
    for rate in RATES:
        step = crossings.RATE // rate
        for way in ways():
            shown = [
                [one for _, one in follow(way, film[::step], segmenter.threshold)] for film in films
            ]
            name = f"{rate} inferences a second, {way}"
            if not _library():
                yield Figure(name, None, "HOTA", detail="install the extra [trackers]")
                continue
            score = scored([truth[::step] for truth in truths], shown)
            yield Figure(
                name,
                score.hota,
                "HOTA",
                detail=f"HOTA {score.hota:.3f}, IDF1 {score.idf1:.3f}, {score.switches} switches, "
                f"{score.identities} identities of {score.people} people; {len(films)} made clips",
            )


def people(found: Instances) -> Instances:
    """Those of them that are people."""
    return found.select(np.array([name == "person" for name in found.names], np.bool_))


class Score(NamedTuple):
    """How well people were followed, as the library `trackers` counts it.

    Attributes:
        hota: higher order tracking accuracy, 0..1.
        idf1: F1 of identities, 0..1.
        switches: how often one person was taken for another.
        identities: how many there were.
        people: how many there are.
    """

    hota: float
    idf1: float
    switches: int
    identities: int
    people: int


def scored(
    truths: Sequence[Sequence[Mapping[int, _Box]]], shown: Sequence[Sequence[Instances]]
) -> Score:
    """How well people were followed over several clips.

    Args:
        truths: for each clip and frame the box of each person.
        shown: for each clip and frame what a tracker showed.
    """
    evaluation: Any = importlib.import_module("trackers.eval")
    true_ids: list[_Ids] = []
    given_ids: list[_Ids] = []
    overlaps: list[NDArray[np.float64]] = []
    first_true, first_given = 0, 0
    for truth, answers in zip(truths, shown, strict=True):
        most_true, most_given = 0, 0
        for boxes, answer in zip(truth, answers, strict=True):
            true = np.array(list(boxes), np.int64)
            given = _ids(answer)
            places = np.array(list(boxes.values()), np.float64).reshape(-1, 4)
            overlaps.append(
                np.asarray(evaluation.box_iou(places, answer.boxes.astype(np.float64)))
                if len(true) and len(given)
                else np.zeros((len(true), len(given)))
            )
            true_ids.append(true + first_true)
            given_ids.append(given + first_given)
            most_true = max([most_true, *(true + 1).tolist()])
            most_given = max([most_given, *(given + 1).tolist()])
        first_true += most_true
        first_given += most_given
    true_ids, people = _numbered(true_ids)
    given_ids, identities = _numbered(given_ids)
    return Score(
        float(evaluation.compute_hota_metrics(true_ids, given_ids, overlaps)["HOTA"]),
        float(evaluation.compute_identity_metrics(true_ids, given_ids, overlaps)["IDF1"]),
        int(evaluation.compute_clear_metrics(true_ids, given_ids, overlaps)["IDSW"]),
        identities,
        people,
    )


def _ids(shown: Instances) -> _Ids:
    return np.zeros(0, np.int64) if shown.track_ids is None else shown.track_ids


def _numbered(ids: Iterable[_Ids]) -> tuple[list[_Ids], int]:
    """The same with numbers from 0 on and none left out, and how many there are."""
    each = list(ids)
    used = np.unique(np.concatenate([np.zeros(0, np.int64), *each]))
    return [np.searchsorted(used, one).astype(np.int64) for one in each], len(used)
