"""Proves what `stream` does on an NVIDIA card, in order, in a quarter of an hour.

    python docs/on_a_card.py RESULTS [--model mine.onnx] [--data FOLDER] [--rehearse]

RESULTS becomes a folder: what each step printed, the figures as JSON, and `summary.md`, which
names the card. A step that fails, or takes too long, is told and the next one begins. With `--data`
accuracy on a labelled set is among what is shown. With `--rehearse` the CPU stands in for the card
wherever that is possible: that it runs counts then, not how fast. Besides `stream` (or `PYTHONPATH`
with the checkout) and a card's libraries, it needs pytest, hypothesis, onnx and scikit-image.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from stream.assets import demo_picture
from stream.bench.material import make_clip

ROOT = Path(__file__).resolve().parents[1]
TESTS = (
    "tests/inference/test_on_device.py",
    "tests/inference/test_batches.py",
    "tests/bench/test_bench.py",
    "tests/sources/test_hardware.py",
    "tests/run/test_companions.py",
)
"""All that hold tests with the marker `gpu`: collecting the others would want everything else."""
SHAPES = (
    *((640, 480), (480, 640), (640, 360), (360, 640), (500, 500)),
    *((640, 427), (427, 640), (600, 450), (512, 384), (333, 500)),
)
"""Of photos, width and height in pixels."""
_RULES = "│┃┏┡└┌├+|-"
"""How lines of tables begin."""
PROGRAM = (sys.executable, "-m", "stream")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to be shown.

    Attributes:
        name: of its files.
        shows: what it shows, in words.
        command: that is run in the checkout.
        seconds: that it may take.
        may_fail: whether a card may lack what it needs.
        never: what must not be among what it prints, as a pattern.
        always: what must be.
    """

    name: str
    shows: str
    command: Sequence[str]
    seconds: int = 120
    may_fail: bool = False
    never: str = ""
    always: str = ""


def steps(
    folder: Path, model: str | None, data: str | None = None, *, rehearse: bool
) -> Iterator[Step]:
    """What is to be shown, the first things first."""
    provider = "cpu" if rehearse else "cuda"
    chosen, anywhere = ("--provider", provider), ("--provider", "cpu" if rehearse else "auto")
    film, out = str(folder / "film.mp4"), str(folder / "painted.mp4")
    file = (*PROGRAM, "file", film, "-o", out, "--overwrite", *chosen, "--report")
    tests = (
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rs",
        "-o",
        "addopts=",
        "-p",
        "no:cacheprovider",
    )
    bench = (*PROGRAM, "bench", "--part")

    def figures(name: str) -> tuple[str, str]:
        return "--json", str(folder / f"{name}.json")

    works = "CPU: runs as" if rehearse else "CUDA: runs as CUDA on"
    yield Step("doctor", "what is here", (*PROGRAM, "doctor"), always=works)
    yield Step(
        "tests",
        "sessions are created there and answer as the CPU does",
        (*tests, "-m", "gpu", *TESTS)
        if not rehearse
        else (*tests, "-m", "not gpu and not slow", *TESTS[:2]),
        never="" if rehearse else r"no card|no tests ran",
    )
    yield Step(
        "bench",
        "milliseconds by precision and provider, and what is not on the card",
        (*bench, "gpu", *anywhere, *figures("bench")),
        420,  # TensorRT builds its engine
    )
    yield Step(
        "nodes", "which nodes ran elsewhere", (*bench, "nodes", *chosen, *figures("nodes")), 60
    )
    yield Step("film", "a film, end to end", (*file, str(folder / "film.json")))
    yield Step(
        "live",
        "a live run's latency",
        (
            *(*PROGRAM, "webcam", "--as-camera", "--device", film, "--display", "none", *chosen),
            *("--seconds", "5" if rehearse else "20", "--report", str(folder / "live.json")),
        ),
        60,
    )
    yield Step(
        "photos",
        "photos of ten shapes, for each of which a card plans anew",
        (
            *(*PROGRAM, "image", str(folder / "photos"), "-o", str(folder / "painted")),
            *("--overwrite", *chosen, "--report", str(folder / "photos.json")),
        ),
    )
    for count in (2, 4):
        yield Step(
            f"live-{count}",
            f"{count} live sources with one model, and what the card chose for them",
            (
                *(*PROGRAM, "webcam", *("pattern",) * count, "--display", "none", *chosen),
                *("--seconds", "5" if rehearse else "15"),
                *("--report", str(folder / f"live-{count}-{{name}}.json")),
            ),
            60,
        )
    yield Step(
        "views",
        "a film with four views of each picture",
        (*file, str(folder / "views.json"), "--views", "4"),
    )
    if data is not None:
        short = ("--rehearse", "--pictures", "6") if rehearse else ()
        yield Step(
            "answers",
            "accuracy and answers in each precision against the CPU's",
            (
                *(sys.executable, "docs/card_answers.py", data),
                *(str(folder / "answers.json"), *short),
            ),
            240,
        )
    if model is not None:
        yield Step(
            "bench-model",
            "the same of a model of one's own",
            (*bench, "gpu", *anywhere, "--model", model, *figures("bench-model")),
            180,
        )
        yield Step(
            "peers-model",
            "that model against its origin on the same card",
            (*bench, "peers", *chosen, "--model", model, *figures("peers-model")),
            180,
            may_fail=True,
        )
    yield Step(
        "decoding",
        "films decoded on the card, or a word why not",
        (*file, str(folder / "decoding.json"), "--hwaccel", "auto" if rehearse else "cuda"),
        60,
    )
    yield Step(
        "encoding",
        "films encoded on the card, or a word why not",
        (*file, str(folder / "encoding.json"), "--codec", "h264_nvenc"),
        60,
        may_fail=True,
    )


def run(step: Step, folder: Path) -> tuple[str, float, str]:
    """What became of a step, seconds, and its report in short, or the last line it printed."""
    start = time.monotonic()
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    paths = [str(ROOT / part) for part in (".", "models", "export")]
    environment["PYTHONPATH"] = os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")])
    try:
        done = subprocess.run(
            step.command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=step.seconds,
            check=False,
        )
        code, printed = done.returncode, done.stdout
    except subprocess.TimeoutExpired as error:
        held = error.stdout or b""
        code, printed = None, held.decode() if isinstance(held, bytes) else held
    took = time.monotonic() - start
    (folder / f"{step.name}.txt").write_text(f"$ {' '.join(step.command)}\n{printed}")
    # Of a table the figures are written down by themselves.
    lines = [one.strip() for one in printed.splitlines() if one.strip() and one[0] not in _RULES]
    last = _reported(folder, step.name) or (lines[-1] if lines else "")
    if step.always:
        last = next((one for one in lines if re.search(step.always, one)), last)
    if code is None:
        return f"took longer than {step.seconds} s", took, last
    refuted = step.never and re.search(step.never, printed)
    if code == 0 and not refuted and re.search(step.always, printed):
        return "shown", took, last
    return ("not here" if step.may_fail else "FAILED"), took, last


def _reported(folder: Path, name: str) -> str:
    """What a step's reports say in short, one a source; "" where there are none."""
    alone = folder / f"{name}.json"
    files = [alone] if alone.is_file() else sorted(folder.glob(f"{name}-*.json"))
    told = []
    for one in (run for file in files for run in json.loads(file.read_text()).get("runs", ())):
        first = one["first_frame_seconds"]
        told.append(f"{one['frames_out']} frames, {one['fps']:.1f} a second on {one['provider']}")
        told += [] if first is None else [f"the first after {first:.2f} s"]
        for stage in ("infer", "capture to display"):
            if times := one["stages"].get(stage):
                told.append(f"{stage} p50 {times['p50_ms']:.1f}, p95 {times['p95_ms']:.1f} ms")
        told += one["remarks"]
    return "; ".join(told)


def summary(folder: Path, told: Sequence[tuple[Step, str, float, str]], *, rehearse: bool) -> str:
    """The card, the releases and what became of each step, as Markdown."""
    lines = ["# A rehearsal: the CPU in a card's place" if rehearse else "# On a card", ""]
    for name in ("bench", "bench-model"):
        file = folder / f"{name}.json"
        if not file.is_file():
            continue
        held = json.loads(file.read_text())
        for one in held["figures"]:
            if one["name"] == "card":
                memory = "" if one["value"] is None else f", {one['value']} GiB"
                here = f"{held['machine']['processor']}, {held['machine']['cores']} cores"
                lines += [f"{one['detail']}{memory}; {here}", ""]
        lines += [", ".join(f"{name} {one}" for name, one in held["packages"].items()), ""]
        lines += ["| figure | value | how |", "|---|---|---|"]
        for one in held["figures"]:
            value = "" if one["value"] is None else f"{one['value']:.2f} {one['unit']}"
            lines.append(f"| {one['name'].strip()} | {value} | {one['detail']} |")
        lines.append("")
    lines += ["| step | shows | what came | seconds | in short |", "|---|---|---|---|---|"]
    for step, became, seconds, last in told:
        said = last.replace("|", "/")
        lines.append(f"| {step.name} | {step.shows} | {became} | {seconds:.0f} | {said} |")
    return "\n".join(lines) + "\n"


def material(folder: Path) -> None:
    """A film of 1280x720 and photos of ten shapes, of the bundled clip."""
    make_clip(folder / "film.mp4", 1280, 720, 250)
    (folder / "photos").mkdir(exist_ok=True)
    picture = np.ascontiguousarray(demo_picture()[..., ::-1])
    for width, height in SHAPES:
        photo = cv2.resize(picture, (width, height))
        cv2.imwrite(str(folder / "photos" / f"{width}x{height}.png"), photo)


def main() -> int:
    """Does all steps; 0 where each was shown or may be missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--model", help="an exported model of one's own, such as a ResNet-50's")
    parser.add_argument("--data", help="a labelled set to judge answers by, as for `stream train`")
    parser.add_argument("--rehearse", action="store_true", help="with the CPU in a card's place")
    parser.add_argument("--only", help="names of steps, separated by commas")
    given = parser.parse_args()
    folder = given.results.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    material(folder)
    model = None if given.model is None else str(Path(given.model).resolve())
    data = None if given.data is None else str(Path(given.data).resolve())
    chosen = list(steps(folder, model, data, rehearse=given.rehearse))
    if given.only:
        chosen = [one for one in chosen if one.name in given.only.split(",")]
    told: list[tuple[Step, str, float, str]] = []
    for step in chosen:
        print(f"{step.name}: {step.shows} ...", flush=True)  # noqa: T201 - it is what it is for
        told.append((step, *run(step, folder)))
        print(f"  {told[-1][1]}, {told[-1][2]:.0f} s: {told[-1][3]}", flush=True)  # noqa: T201
        # Kept after each: the machine may be taken away.
        (folder / "summary.md").write_text(summary(folder, told, rehearse=given.rehearse))
    return int(any(became not in ("shown", "not here") for _, became, _, _ in told))


if __name__ == "__main__":
    raise SystemExit(main())
