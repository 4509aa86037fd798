"""The driver: hands files to workers, writes down what came of each, and goes on."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count

from stream.fleet.entries import PartEntry, State, Wanted
from stream.fleet.ledger import Ledger
from stream.fleet.litter import tidy
from stream.fleet.outage import Outage
from stream.fleet.parts import PartKey, PartTask, Step, following
from stream.fleet.pool import Lost, Pool
from stream.fleet.progress import Progress
from stream.fleet.repute import Repute
from stream.fleet.task import Done, Task
from stream.fleet.transit import parts_folder, remove_leftovers, remove_parts
from stream.fleet.waiting import Handed, Waiting

_WAIT = 0.5
"""Seconds that workers are waited for at a time, and between two words of progress."""

_STOPPING = "finishing what is on its way; Ctrl-C again leaves at once"

MOST_LOST = 5
"""So often a worker may be lost with a file before that counts as the file's own fault."""


@dataclass(slots=True)
class _Cut:
    """A file that is done in parts.

    Attributes:
        parts: its tasks, as the ledger has them.
        version: of the file that was cut.
        whole: whether it turned out that it is to be done at once.
    """

    parts: dict[PartKey, PartEntry]
    version: str
    whole: bool = False

    @property
    def found(self) -> list[PartEntry]:
        """What was found of each part, in order."""
        return [one for key, one in self.parts.items() if key.step == Step.FIND]


class Driver:
    """Does what a ledger says is waiting.

    Args:
        ledger: of the files.
        pool: of workers.
        retries: how often a file, or a part of one, that fails is tried again.
        patience: seconds in which some result must be put in its place, where results are made.
        split: into parts of how many seconds at least long files are cut; None for not at all.
        on_progress: is told how far it is, about twice a second.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        ledger: Ledger,
        pool: Pool,
        *,
        retries: int,
        patience: float = math.inf,
        split: float | None = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._pool = pool
        self._retries = retries
        self._split = split
        self._on_progress = on_progress
        self._clock = clock
        self._known: dict[int, Wanted] = {}
        self._cuts: dict[int, _Cut] = {}
        self._waiting = Waiting(())
        self._running: dict[int, Handed] = {}
        self._stray: dict[int, int] = {}
        """Files that workers are at work on for nothing, by the tasks' serials."""
        self._anew: dict[int, str] = {}
        """Why files have begun anew, by their numbers."""
        self._littered = False
        self._repute = Repute()
        self._outage = Outage(patience, clock)
        self._serials = count()
        self._ended = 0
        self._stopping = threading.Event()
        self._at_once = threading.Event()
        self.interrupted = False

    def stop(self) -> None:
        """Hands out nothing more; what is on its way is finished."""
        self._stopping.set()

    def abort(self) -> None:
        """Leaves at once; what is on its way waits for the next driver."""
        self._stopping.set()
        self._at_once.set()

    @property
    def doubted(self) -> list[str]:
        """A sentence for each machine with which something seems to be wrong."""
        return self._repute.doubted

    def run(self, numbers: Sequence[int]) -> Progress:
        """Does those of the files that wait, and returns how it ended.

        Args:
            numbers: of the files that belong to this run; others of the ledger are left alone.

        Raises:
            StreamError: the ledger cannot be written, or no worker can work.
        """
        progress = Progress(len(numbers))
        waiting = self._ledger.waiting(numbers)
        progress.done = len(numbers) - len(waiting)
        begun = said = self._clock()
        self._wait_for_all(waiting)
        ended: list[Done | Lost] = []
        while self._waiting or self._running:
            # First the ledger: what is on its way without its knowing would be done twice.
            with self._ledger.together():
                for one in ended:
                    self._take(one, progress)
                tasks = self._next_tasks()
            if self._littered:
                # Once the ledger does not count on it any more.
                self._littered = False
                tidy(self._ledger, set(self._stray.values()))
            for task in tasks:
                self._pool.submit(task)
            ended = []
            if self._at_once.is_set() or (self._stopping.is_set() and not self._running):
                break
            if self._running or self._waiting:
                ended = self._pool.wait(_WAIT)
            progress.seconds = self._clock() - begun
            if self._clock() - said >= _WAIT or not self._running:
                said = self._clock()
                self._say(progress)
        self.interrupted = bool(self._waiting or self._running)
        return progress

    def _say(self, progress: Progress) -> None:
        progress.running = len(self._running)
        left = len(self._waiting) + len(self._running)
        stopping = self._stopping.is_set()
        known = self._ended and not stopping
        progress.left = progress.seconds / self._ended * left if known else None
        progress.workers = self._pool.workers()
        progress.note = _STOPPING if stopping else self._pool.note or self._outage.note
        progress.note = progress.note or "; ".join(self.doubted)
        parts = [one for cut in self._cuts.values() for one in cut.parts.values()]
        progress.parts = len(parts)
        progress.parts_done = sum(one.state == State.DONE for one in parts)
        self._on_progress(progress)

    def _wait_for_all(self, numbers: Sequence[int]) -> None:
        """What an earlier driver has left in the middle comes first."""
        parts = self._ledger.parts(numbers)
        self._waiting = Waiting(number for number in numbers if number not in parts)
        for number, entries in parts.items():
            cut = _Cut({one.key: one for one in entries}, self._ledger.version(number))
            self._cuts[number] = cut
            cut.whole = PartKey(Step.WHOLE) in cut.parts or any(
                # That no frame was followed is how the ledger knows of it.
                one.key.step == Step.FOLLOW and one.state == State.DONE and not one.frames
                for one in cut.parts.values()
            )
            waiting = [one.key for one in cut.parts.values() if one.state != State.DONE]
            if PartKey(Step.WHOLE) in waiting:
                waiting = [PartKey(Step.WHOLE)]
            if waiting:
                self._waiting.first((number, key) for key in waiting)
            else:
                # It was killed between a step's end and the next one's beginning.
                self._next_step(number, list(cut.parts)[-1])

    def _next_tasks(self) -> list[Task]:
        """What the free workers are given; the ledger knows of it then."""
        if self._stopping.is_set() or not self._waiting:
            return []
        free = self._pool.free_on(len(self._waiting))
        room = self._outage.room(len(free), len(self._running))
        nodes = set(self._pool.workers())
        tasks: list[Task] = []
        nothing_for: set[str] = set()
        for node in self._repute.best_first(free):
            if node in nothing_for or len(tasks) >= room:
                continue
            one = self._waiting.pop(partial(self._repute.fits, node=node, nodes=nodes))
            if one is None:
                nothing_for.add(node)
            else:
                tasks.append(replace(self._begin(*one), node=node))
        return tasks

    def _wanted(self, number: int) -> Wanted:
        """What is to be done with a file that is begun."""
        if number not in self._known:
            self._known[number] = self._ledger.entry(number).wanted
        return self._known[number]

    def _begin(self, number: int, key: PartKey | None) -> Task:
        wanted = self._wanted(number)
        if key is None or not key.of_each:
            entry = self._ledger.entry(number) if key is None else self._cuts[number].parts[key]
            if entry.begun:
                # What a worker of an earlier driver has left in the middle.
                for target in wanted.targets:
                    remove_leftovers(target, number)
        self._ledger.begin(number, key)
        serial = next(self._serials)
        self._running[serial] = (number, key)
        task = Task(number, wanted.source, wanted.targets, self._split, serial=serial)
        if key is not None:
            found = self._cuts[number].found
            version = self._cuts[number].version
            about = [wanted.fingerprint, wanted.options, *([version] if version else [])]
            folder = parts_folder(wanted.targets[0], number, *about)
            begins, frames = [one.begin for one in found], [one.frames for one in found]
            part = PartTask(key, tuple(begins), tuple(frames), folder, version)
            task = replace(task, split=None, part=part)
        return task

    def _take(self, ended: Done | Lost, progress: Progress) -> None:
        number, key = ended.number, ended.key
        if self._running.pop(ended.serial, None) is None:
            # Its file was given up meanwhile, begun anew, or done in another way.
            self._stray.pop(ended.serial, None)
            if self._ledger.entry(number).state == State.DONE:
                self._useless(number)
            return
        if isinstance(ended, Done) and (key is None or ended.remark):
            # What was said of an earlier try holds no more; what is said of parts adds up.
            said = ended.remark if key is not None else self._with_why_anew(number, ended.remark)
            self._ledger.remark(number, said, further=key is not None)
        if isinstance(ended, Lost):
            self._repute.failed((number, key), ended.node, ended.error)
            self._lost(ended, progress)
            return
        if ended.error is not None:
            self._repute.failed((number, key), ended.node, ended.error)
            if ended.unplaced or ended.unfetched:
                self._outage.failure(ended.error, fetching=ended.unfetched)
            self._failed(ended, progress)
            return
        self._repute.done((number, key), ended.node)
        if not ended.begins:
            self._outage.success()
        if ended.begins:
            self._ledger.cut(number, ended.begins, ended.version)
            self._cuts[number] = _Cut({}, ended.version)
            self._refresh(number)
            self._waiting.first((number, one) for one in self._cuts[number].parts)
        elif key is None:
            self._done(ended, progress, ended.seconds)
        else:
            self._part_done(ended, key, progress)

    def _with_why_anew(self, number: int, remark: str) -> str:
        why = self._anew.get(number)
        return "; ".join(one for one in (why and f"begun anew: {why}", remark) if one)

    def _done(self, ended: Done, progress: Progress, seconds: float) -> None:
        self._ended += 1
        self._ledger.done(ended.number, seconds=seconds, frames=ended.frames, node=ended.node)
        progress.done += 1
        self._known.pop(ended.number, None)
        if ended.key is None:
            progress.did(ended.node, ended.frames)

    def _part_done(self, ended: Done, key: PartKey, progress: Progress) -> None:
        number, cut = ended.number, self._cuts[ended.number]
        if not ended.whole or key.step in (Step.FOLLOW, Step.WHOLE):
            self._ledger.done(
                number, key=key, seconds=ended.seconds, frames=ended.frames, node=ended.node
            )
        cut.whole |= ended.whole
        if key.step == Step.FIND:
            progress.did(ended.node, ended.frames)
        self._refresh(number)
        if key.step in (Step.JOIN, Step.WHOLE) and not ended.whole:
            seconds = sum(one.seconds for one in cut.parts.values())
            self._done(ended, progress, seconds)
            self._leave(number)
            self._useless(number)
            return
        self._ended += 1
        of_step = [one for one in cut.parts.values() if one.key.step == key.step]
        if ended.whole or all(one.state == State.DONE for one in of_step):
            self._next_step(number, key)

    def _next_step(self, number: int, done: PartKey) -> None:
        cut = self._cuts[number]
        keys = following(done, cut.whole, len(cut.found))
        self._leave(number)
        self._cuts[number] = cut
        self._ledger.add_parts(number, keys)
        self._refresh(number)
        self._waiting.first((number, key) for key in keys)

    def _refresh(self, number: int) -> None:
        parts = self._ledger.parts_of(number)
        self._cuts[number].parts = {one.key: one for one in parts}

    def _useless(self, number: int) -> None:
        """What a file's parts have left is of no use any more."""
        self._ledger.useless(number)
        self._littered = True

    def _failed(self, ended: Done, progress: Progress) -> None:
        number, key = ended.number, ended.key
        error, seconds, node = ended.error or "", ended.seconds, ended.node
        if key is not None and ended.lost:
            # What earlier steps wrote is gone, or of another film: the file begins anew, which is
            # one of its tries.
            self._forget(number)
            self._anew[number] = error
            key = None
        entry = self._ledger.entry(number) if key is None else self._part(number, key)
        last = entry.tries >= self._retries
        self._ledger.failed(number, error, seconds=seconds, node=node, last=last, key=key)
        if last:
            self._give_up(number, key, error, progress)
        else:
            # What failed by itself waits for the others.
            self._waiting.last((number, key))

    def _lost(self, ended: Lost, progress: Progress) -> None:
        number, key = ended.number, ended.key
        entry = self._ledger.entry(number) if key is None else self._part(number, key)
        last = entry.lost + 1 >= MOST_LOST
        self._ledger.lost(number, ended.error, last=last, key=key)
        for target in self._wanted(number).targets:
            remove_leftovers(target, number)
        if last:
            self._give_up(number, key, ended.error, progress)
        else:
            # What was lost comes first.
            self._waiting.first([(number, key)])

    def _part(self, number: int, key: PartKey) -> PartEntry:
        self._refresh(number)
        return self._cuts[number].parts[key]

    def _forget(self, number: int) -> None:
        self._ledger.forget_parts(number)
        remove_parts(self._wanted(number).targets[0], number)
        self._leave(number)

    def _leave(self, number: int) -> None:
        """Nothing of a file's parts waits any more; what is on its way does not count."""
        self._cuts.pop(number, None)
        self._waiting.leave(number)
        strays = [serial for serial, one in self._running.items() if one[0] == number]
        for serial in strays:
            self._stray[serial] = self._running.pop(serial)[0]

    def _give_up(self, number: int, key: PartKey | None, error: str, progress: Progress) -> None:
        if key is not None:
            # The other parts stay as they are: the next run need not do them again.
            of = f" of {len(self._cuts[number].found)}" if key.of_each else ""
            text = f"{key}{of}: {error}"
            self._leave(number)
            self._ledger.failed(number, text, seconds=0.0, node="", last=True)
        progress.failed += 1
        self._repute.forget((number, key))
        self._known.pop(number, None)
