"""What proves a card in a quarter of an hour names what is there, and is rehearsed on the CPU."""

import json
import os
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

from stream.bench.gpu import STAND_IN
from tests import tiny_models
from tests.scripts import DOCS, script

ROOT = DOCS.parent


@pytest.fixture
def on_a_card():
    with script("on_a_card") as module:
        yield module


def test_every_test_for_a_card_is_in_a_file_that_is_run(on_a_card):
    # `chosen` is a card in one of its two forms, and marked so where it stands.
    for_a_card = r"^@pytest\.mark\.gpu|marks=pytest\.mark\.gpu|\bchosen: Route\b"
    marked = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("test_*.py")
        if re.search(for_a_card, path.read_text(), re.M)
    }
    assert marked == set(on_a_card.TESTS)


def test_what_comes_of_a_step_is_told(on_a_card, tmp_path):
    def became(code, **how):
        step = on_a_card.Step("one", "shows", (sys.executable, "-c", code), **how)
        told = on_a_card.run(step, tmp_path)
        assert (tmp_path / "one.txt").read_text().startswith(f"$ {sys.executable} -c ")
        return told[0], told[2]

    assert became("print('a'); print('b')") == ("shown", "b")
    assert became("print('no card: none')", never="no card") == ("FAILED", "no card: none")
    assert became("print('CPU works')", always="CUDA works") == ("FAILED", "CPU works")
    assert became("raise SystemExit('why')") == ("FAILED", "why")
    assert became("raise SystemExit('why')", may_fail=True) == ("not here", "why")
    assert became("import time; time.sleep(600)", seconds=1)[0] == "took longer than 1 s"


def test_reports_of_several_sources_are_told_together(on_a_card, tmp_path):
    for name, fps in (("live-2-pattern", 29.0), ("live-2-pattern-2", 30.0), ("live-24-x", 1.0)):
        run = {"frames_out": 9, "fps": fps, "provider": "CUDA", "first_frame_seconds": None}
        report = {"runs": [{**run, "stages": {}, "remarks": [f"of {name}"]}]}
        (tmp_path / f"{name}.json").write_text(json.dumps(report))
    told = on_a_card._reported(tmp_path, "live-2")
    assert sorted(told.split("; ")[::2]) == [f"9 frames, {n}.0 a second on CUDA" for n in (29, 30)]
    assert sorted(told.split("; ")[1::2]) == ["of live-2-pattern", "of live-2-pattern-2"]
    assert on_a_card._reported(tmp_path, "film") == ""


def test_answers_are_held_against_those_of_the_cpu(tmp_path):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for index in range(2):
        mask = np.zeros((48, 64), np.uint8)
        mask[10 : 30 + index, 12:40] = 1
        cv2.imwrite(str(tmp_path / "masks" / f"{index}.png"), mask)
        cv2.imwrite(str(tmp_path / "images" / f"{index}.png"), np.stack([mask * 255] * 3, 2))
    model = tiny_models.bright(tmp_path / "bright.onnx", 100, layer=True)
    out = tmp_path / "answers.json"
    with script("card_answers") as module:
        given = [tmp_path, out, "--model", model, "--rehearse"]
        assert module.main(list(map(str, given))) == 0
    told = json.loads(out.read_text())
    assert told.pop("pictures") == 2
    assert list(told) == ["CPU, float32", "card, float32", "card, float16"]
    for name, came in told.items():
        assert came["AP"]["all"]["AP"] == pytest.approx(1.0)
        assert ("card's place" in came["ran"]) == name.startswith("card")
        if name.startswith("card"):
            alike = came["against the CPU"]
            assert (alike["matched"], alike["missing"], alike["extra"]) == (2, 0, 0)
            assert alike["box"] <= 0.5 and alike["score"] <= 0.001 and alike["mask"] == 1.0


@pytest.mark.slow
def test_it_is_rehearsed_with_the_cpu_in_a_cards_place(tmp_path):
    model = tiny_models.bright(tmp_path / "bright.onnx", 100)
    done = subprocess.run(
        [
            *(sys.executable, DOCS / "on_a_card.py", tmp_path / "out", "--rehearse"),
            *("--only", "doctor,live,photos,bench-model,encoding"),
            *("--model", model),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "models")))},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = (tmp_path / "out" / "summary.md").read_text()
    assert told.startswith("# A rehearsal") and STAND_IN in told and "onnxruntime" in told
    assert told.count("| shown |") == 4
    photos = json.loads((tmp_path / "out" / "photos.json").read_text())
    assert photos["runs"][0]["frames_out"] == 10
