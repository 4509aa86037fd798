"""Programs that use the package pass a type checker, also a strict one."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.cli.conftest import environment
from tests.test_docs_python import BLOCK, PAGE

PROGRAM = """
from pathlib import Path

import numpy as np
import numpy.typing as npt

import stream


def busiest(path: Path) -> tuple[int, float]:
    best = (0, 0.0)
    with stream.open(path, classes=["person"], threshold=0.4, every="auto") as video:
        width: int = video.info.width
        print(width, video.info.rate, video.segmenter.names)
        for frame in video:
            found: stream.Instances = frame.instances
            if len(found) > best[0]:
                best = (len(found), frame.pts_seconds)
            for one in found:
                name: str = one.name
                box: npt.NDArray[np.float32] = one.box
                print(name, box, one.score, one.track_id, found[0].area, found[:2].names)
            picture: npt.NDArray[np.uint8] = frame.rgb()
            shown: npt.NDArray[np.uint8] = stream.draw(picture, found, look="blur", feather=2.0)
            print(shown.shape)
    return best


def keep(frame: stream.Frame) -> None:
    frame.instances = frame.instances[frame.instances.scores > 0.5]


report = stream.process("in.mp4", ["a.mp4", "b.mkv"], on_frame=keep, crf=20, records="a.csv")
print(report.frames_out, busiest(Path("in.mp4")))
segmenter = stream.Segmenter.load("default", threshold=0.6)
masks: npt.NDArray[np.bool_] = segmenter(np.zeros((48, 64, 3), np.uint8)).full_masks()
with stream.VideoWriter("out.mp4", rate=25, overwrite=True) as writer:
    writer.write(np.zeros((48, 64, 3), np.uint8))
try:
    stream.open([np.zeros((48, 64, 3), np.uint8)], fps=25)
except stream.StreamError as error:
    print(error)
"""

RELAXED = "# mypy: allow-untyped-defs, allow-untyped-calls, allow-incomplete-defs"

WRONG = """
import stream

stream.open("in.mp4", thresold=0.4)
stream.process("in.mp4", "out.mp4", crf="high")
stream.Segmentr
"""


@pytest.mark.slow
def test_programs_pass_a_type_checker_and_wrong_ones_do_not(tmp_path):
    examples = [code for _, code in BLOCK.findall(PAGE.read_text()) if code]
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "wrong.py").write_text(WRONG)
    for number, code in enumerate(examples):
        (tmp_path / f"example_{number}.py").write_text(f"{RELAXED}\n{code}")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--config-file=", "--follow-imports=silent"),
            "--strict",
            *("--cache-dir", str(tmp_path / "cache"), "--no-error-summary"),
            *("--disable-error-code=var-annotated", *map(str, sorted(tmp_path.glob("*.py")))),
        ],
        env={**environment(), "MYPYPATH": environment()["PYTHONPATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    said = done.stdout.splitlines()
    assert [line for line in said if "wrong.py" not in line] == []
    assert re.search(r'wrong.py:4: .*"thresold"', done.stdout), done.stdout
    assert "wrong.py:5" in done.stdout
    assert "wrong.py:6" in done.stdout, "a name that there is not"
