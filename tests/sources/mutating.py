"""Damaged files, made from whole ones by a seed, put through source and sink in a process.

    python -m tests.sources.mutating FOLDER FIRST COUNT LARGEST

takes the files of FOLDER that have at most LARGEST bytes and prints a line of JSON when a seed
begins and when it ends. A seed names the damage: the same file, the same bytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Queue

import numpy as np
import psutil

ROOT = Path(__file__).resolve().parents[2]
HANGS_AFTER = 40.0
"""Seconds of processor that one damaged file may take; also seconds in which a process that is not
hung uses some, however busy the machine."""

_OUTPUTS = (".mp4", ".mkv", ".mov")
# Most faults show within a few pictures, and pictures are what a seed costs.
_FRAMES, _MANY_FRAMES, _EVERY = 12, 40, 4


@dataclass(frozen=True)
class Result:
    """What became of one damaged file.

    Attributes:
        seed: what made it.
        outcome: done, refused, fault, died or hung.
        detail: the file, and the sentence or the traceback.
    """

    seed: int
    outcome: str
    detail: str


def mutate(data: bytes, random: np.random.Generator) -> bytes:
    """Damages a file as discs, networks and programs do, in one to three ways."""
    for _ in range(int(random.integers(1, 4))):
        way = random.choice(["cut", "flips", "hole", "repeat", "head", "number", "swap", "lost"])
        size = len(data)
        if size < 64:
            return data
        at = int(random.integers(0, size))
        length = int(min(size - at, 2 ** random.uniform(0, 14)))
        made = bytearray(data)
        if way == "cut":
            made = made[: max(16, at)]
        elif way == "flips":
            for place in random.integers(0, size, int(2 ** random.uniform(0, 8))):
                made[place] ^= 1 << int(random.integers(8))
        elif way == "hole":
            made[at : at + length] = bytes(length)
        elif way == "repeat":
            made[at:at] = made[at : at + length]
        elif way == "head":
            for place in random.integers(0, min(size, 4096), int(random.integers(1, 9))):
                made[place] = int(random.integers(256))
        elif way == "number":
            odd = (0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, int(random.integers(2**32)))
            value = int(odd[int(random.integers(len(odd)))])
            order = "big" if random.integers(2) else "little"
            # Most numbers that mean something lie in the head or at the end.
            where = int(random.choice([random.integers(min(size, 8192)), at, size - 1 - at // 8]))
            made[where : where + 4] = value.to_bytes(4, order)[: size - where]
        elif way == "swap":
            other = int(random.integers(0, size - length + 1))
            made[at : at + length], made[other : other + length] = (
                made[other : other + length],
                made[at : at + length],
            )
        elif way == "lost":
            del made[at : at + length]
        data = bytes(made)
    return data


def damaged(seed: int, files: list[Path], folder: Path) -> tuple[Path, np.random.Generator]:
    """The damaged file that a seed stands for, and what further chances come from."""
    random = np.random.default_rng(seed)
    whole = files[int(random.integers(len(files)))]
    path = folder / f"in{whole.suffix}"
    path.write_bytes(mutate(whole.read_bytes(), random))
    return path, random


def attempt(seed: int, files: list[Path], folder: Path) -> tuple[str, str]:
    """Puts one damaged file through source and sink; what came of it."""
    from stream.errors import StreamError
    from tests.sinks.running import run

    path, random = damaged(seed, files, folder)
    output = folder / f"out{_OUTPUTS[int(random.integers(len(_OUTPUTS)))]}"
    cut = {"limit": _FRAMES if seed % _EVERY else _MANY_FRAMES}
    if random.integers(4) == 0:
        cut["start"] = 0.5
    try:
        done = run(path, output, cut=cut, preset="ultrafast", overwrite=True, threads=1)
    except StreamError as error:
        sentence = str(error)
        return ("fault" if "\n" in sentence else "refused"), sentence
    except Exception:  # noqa: BLE001 - to be told to who started this
        return "fault", traceback.format_exc()
    return "done", f"{len(done.times)} pictures"


def main(folder: str, first: str, count: str, largest: str) -> None:
    """Attempts the seeds from `first` on."""
    import logging

    logging.disable(logging.CRITICAL)
    files = sorted(
        path
        for path in Path(folder).iterdir()
        if path.suffix not in {"", ".md"} and path.stat().st_size <= int(largest)
    )
    with tempfile.TemporaryDirectory() as place:
        for seed in range(int(first), int(first) + int(count)):
            print(json.dumps([seed]), flush=True)
            print(json.dumps([seed, *attempt(seed, files, Path(place))]), flush=True)


def results(folder: Path, first: int, count: int, largest: int) -> Iterator[Result]:
    """What becomes of each seed, in processes that are begun anew where one dies or hangs."""
    seed = first
    while seed < first + count:
        command = [sys.executable, "-m", "tests.sources.mutating", str(folder), str(seed)]
        with subprocess.Popen(
            [*command, str(first + count - seed), str(largest)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            lines: Queue[str | None] = Queue()
            errors: Queue[str | None] = Queue()
            readers = [
                threading.Thread(target=_read, args=(process.stdout, lines)),
                threading.Thread(target=_read, args=(process.stderr, errors)),
            ]
            for reader in readers:
                reader.start()
            ended = ""
            began = used = 0.0
            while not ended:
                try:
                    line = lines.get(timeout=HANGS_AFTER)
                except Empty:
                    now = _processor(process.pid)
                    idle = now - used < 0.01 and not _waits_for_processor(process.pid)
                    if idle or now - began > HANGS_AFTER:
                        process.kill()
                        ended = "hung"
                    used = now
                    continue
                if line is None:
                    ended = "died"
                    continue
                told = json.loads(line)
                seed = told[0]
                began = used = _processor(process.pid)
                if len(told) > 1:
                    yield Result(*told)
                    seed += 1
            for reader in readers:
                reader.join()
            process.wait()
        if seed < first + count:
            yield Result(seed, ended, f"{process.returncode}: {_all_of(errors)[-2000:]}")
            seed += 1


def _processor(process: int) -> float:
    """Seconds of processor that a process has used; 0 where it is gone."""
    try:
        times = psutil.Process(process).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system


def _waits_for_processor(process: int) -> bool:
    """Whether a thread of it could go on if the machine were less busy."""
    for thread in Path(f"/proc/{process}/task").glob("*/stat"):
        try:
            state = thread.read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state in "RD":
            return True
    return False


def _read(stream, lines: Queue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _all_of(lines: Queue[str | None]) -> str:
    return "".join(iter(lines.get, None))


if __name__ == "__main__":
    main(*sys.argv[1:])
