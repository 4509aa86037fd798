"""A worker's steps one after the other, without Ray: what a driver asks for, in one process."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from stream.fleet.parts import PartKey, PartTask, Step
from stream.fleet.task import Done, Task
from stream.fleet.transit import parts_folder
from stream.fleet.work import Worker
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.settings.options import (
    InputOptions,
    ModelOptions,
    OutputOptions,
    PictureOptions,
    RunOptions,
    TrackingOptions,
)


def a_plan(model: Path | str, *, records: bool = True, **more: Any) -> RunPlan:
    """What is done with each file: without loss, so that the painted pictures can be compared."""
    masks = more.pop("records_masks", "rle")
    codec = more.pop("codec", "libx264")
    files = OutputOptions(codec=codec, crf=0 if codec == "libx264" else None, records_masks=masks)
    picture = PictureOptions(**{"timing": False, **more})
    outputs = (OutputPlan("", picture, files),) * (2 if records else 1)
    return RunPlan(
        SourcePlan("", InputOptions()),
        outputs,
        ModelOptions(str(model), provider="auto" if model == "default" else "cpu"),
        TrackingOptions(),
        run=RunOptions(quiet=True),
    )


def a_worker(plan: RunPlan) -> Worker:
    """A worker that is ready."""
    worker = Worker(plan, 1)
    assert worker.prepare()[1] is None
    return worker


class Doing:
    """One file in parts, as a driver does it.

    Attributes:
        steps: what was done, in order.
        cut: what came of cutting it.
    """

    def __init__(self, worker: Worker, source: Path, targets: tuple[str, ...]) -> None:
        self.worker, self.source, self.targets = worker, source, targets
        self.folder = parts_folder(targets[0], 1, "f", "o")
        self.steps: list[Step] = []
        self.cut = Done(1, "", 0.0)
        self.frames: list[int] = []
        self.remarks: list[str] = []

    def do(self, step: Step, place: int = 0) -> Done:
        """Does a step."""
        done = self.tried(step, place)
        assert done.error is None, done
        self.steps.append(step)
        self.remarks += [done.remark] if done.remark else []
        return done

    def tried(self, step: Step, place: int = 0) -> Done:
        """Tries a step, which may fail."""
        key, version = PartKey(step, place), self.cut.version
        part = PartTask(key, self.cut.begins, tuple(self.frames), self.folder, version)
        return self.worker.do(Task(1, str(self.source), self.targets, part=part))

    def begin(self, seconds: float) -> bool:
        """Cuts it, or does it at once; returns whether it was cut."""
        self.cut = self.worker.do(Task(1, str(self.source), self.targets, seconds))
        assert self.cut.error is None, self.cut
        return bool(self.cut.begins)

    def find(self) -> None:
        """Looks through all parts, in an order that no driver has."""
        places = range(len(self.cut.begins))
        found = {place: self.do(Step.FIND, place).frames for place in reversed(places)}
        self.frames = [found[place] for place in places]

    def finish(self) -> Done:
        """Does the rest."""
        done = self.do(Step.FOLLOW)
        if not done.whole:
            for place in reversed(range(len(self.cut.begins))):
                done = self.do(Step.PAINT, place)
                if done.whole:
                    break
            else:
                done = self.do(Step.JOIN)
        return self.do(Step.WHOLE) if done.whole else done


def targets_in(folder: Path, ending: str) -> tuple[str, str]:
    """A video and its records in a folder."""
    folder.mkdir(exist_ok=True)
    return str(folder / f"clip{ending}"), str(folder / "clip.ndjson")


Everything = dict[str, Any]


def everything_in(path: Path) -> Everything:
    """Pictures, all times, and the packets of all other streams of a file."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        kinds = [stream.type for stream in container.streams]
        tags = [dict(stream.metadata) for stream in container.streams]
        lengths = [(one.start_time, one.duration, one.time_base) for one in container.streams]
        chapters = [(one["start"], one["end"], one["metadata"]) for one in container.chapters()]
        packets: list[tuple[Any, ...]] = []
        for packet in container.demux():
            if packet.size:
                data = b"" if packet.stream is video else bytes(packet)
                times = (packet.pts, packet.dts, packet.duration)
                packets.append((packet.stream_index, *times, data))
    with av.open(str(path)) as container:
        pictures = [
            (Fraction(frame.pts * frame.time_base), frame.to_ndarray().tobytes())
            for frame in container.decode(video=0)
        ]
    return {
        "kinds": kinds, "tags": tags, "lengths": lengths, "chapters": chapters,
        "packets": sorted(packets), "pictures": pictures,
    }  # fmt: skip


def differences(one: Everything, other: Everything) -> list[str]:
    """Of what two files hold that which is not the same."""
    return [name for name in one if one[name] != other[name]]
