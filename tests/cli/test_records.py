"""Records on the command line: formats, pipes, several inputs."""

import json
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from tests.cli.conftest import environment


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_records_go_to_several_formats_and_need_no_video(stream, clip, bright, tmp_path):
    wanted = ("found.ndjson", "found.csv", "found.json", "found.txt")
    result = stream(
        *("file", clip, "--model", bright, "--quiet"),
        *(part for name in wanted for part in ("--records", name)),
    )
    assert result.code == 0, result.err
    assert not list(tmp_path.glob("*.stream.mp4"))
    head, *rest = lines((tmp_path / "found.ndjson").read_text())
    assert head["stream"] == 1
    assert [line["frame"] for line in rest if "frame" in line] == list(range(24))
    assert len((tmp_path / "found.txt").read_text().splitlines()) == 24
    again = stream("file", clip, "--model", bright, "--records", "found.csv")
    assert again.code == 2
    assert "found.csv exists already" in again.err


@pytest.mark.parametrize("command", ["file", "webcam", "image"])
def test_an_unknown_ending_is_refused_before_any_work(stream, clip, command, tmp_path):
    given = {"file": [clip], "webcam": ["pattern", "--no-display"], "image": ["a.png"]}[command]
    (tmp_path / "a.png").write_bytes(b"")
    result = stream(command, *given, "--records", "found.xml")
    assert result.code == 2
    assert "records cannot be written to found.xml: its ending says the format" in result.err
    assert ".ndjson, .parquet, .txt, and - for lines of JSON" in result.err


def test_several_inputs_have_records_of_their_own(stream, clip, nothing, tmp_path):
    (tmp_path / "other.mp4").write_bytes(clip.read_bytes())
    common = ("file", clip, "other.mp4", "--model", nothing, "--limit", 2, "--quiet")
    refused = stream(*common, "--records", "found.ndjson")
    assert refused.code == 2
    assert "put {name} into it" in refused.err
    result = stream(*common, "--records", "{name}.ndjson")
    assert result.code == 0, result.err
    for name in ("in", "other"):
        assert lines((tmp_path / f"{name}.ndjson").read_text())[0]["source"] == f"{name}.mp4"


def test_pictures_are_named_in_the_records(stream, bright, tmp_path):
    import cv2

    for name in ("a", "b"):
        picture = np.full((48, 64, 3), 90, np.uint8)
        picture[10:30, 10:40] = 255
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture)
    result = stream("image", "a.png", "b.png", "--model", bright, "--records", "f.ndjson")
    assert result.code == 0, result.err
    found = [line for line in lines((tmp_path / "f.ndjson").read_text()) if "frame" in line]
    assert [line["file"] for line in found] == ["a.png", "b.png"]
    assert sorted(one.name for one in tmp_path.glob("*.png")) == ["a.png", "b.png"]


def test_a_configuration_names_records_as_outputs(stream, clip, bright, tmp_path):
    asked = ("file", clip, "--model", bright, "--limit", 3)
    saved = stream(
        *asked, "--records", "f.ndjson", "--records-masks", "none", "--save-config", "r.toml"
    )
    assert saved.code == 0, saved.err
    assert stream("run", "r.toml", "--quiet").code == 0
    found = lines((tmp_path / "f.ndjson").read_text())
    assert "mask" not in found[1]["objects"][0]


def test_standard_output_has_lines_and_nothing_else(program, clip, bright):
    result = program("file", clip, "--model", bright, "--records", "-")
    assert result.code == 0, result.err
    found = lines(result.out)
    assert len([line for line in found if "frame" in line]) == 24
    assert "24 out" in result.err


def test_a_reader_that_has_enough_ends_the_run_quietly(clip, bright, tmp_path):
    command = [sys.executable, "-m", "stream", "file", str(clip), "--model", str(bright)]
    with subprocess.Popen(
        [*command, "--records", "-", "--quiet"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        assert "stream" in json.loads(running.stdout.readline())
        running.stdout.close()
        said = running.stderr.read()
        assert running.wait(60) == 0
    assert said == ""


def test_whole_lines_survive_whatever_happens(bright, tmp_path):
    command = [sys.executable, "-m", "stream", "webcam", "pattern", "--no-display", "--quiet",
               "--size", "160x120", "--model", str(bright)]  # fmt: skip
    path = tmp_path / "live.ndjson"
    with subprocess.Popen(
        [*command, "--records", str(path)], cwd=tmp_path, env=environment()
    ) as running:
        until = time.monotonic() + 100
        while not (path.exists() and path.read_text().count("\n") > 5):
            assert time.monotonic() < until
            time.sleep(0.05)
        running.send_signal(signal.SIGKILL)
        running.wait(60)
    found = lines(path.read_text())
    assert [line["frame"] for line in found[1:]] == sorted({one["frame"] for one in found[1:]})


def test_counts_are_said_and_kept_in_a_configuration(stream, clip, bright, tmp_path):
    asked = ("file", clip, "--model", bright, "--records", "f.ndjson")
    line = ("--line", "gate=50%,0,50%,100%", "--zone", "0,0,50%,0,50%,100%,0,100%")
    result = stream(*asked, *line)
    assert result.code == 0, result.err
    assert "gate: none in, 1 person out" in result.out
    assert "zone 1: 1 person in it, 1 at once" in result.out
    saved = stream(*asked, *line, "--plot", "{name}.png", "--overwrite", "--save-config", "c.toml")
    assert saved.code == 0, saved.err
    assert 'line = ["gate=50%,0,50%,100%"]' in (tmp_path / "c.toml").read_text()
    assert stream("run", "c.toml").code == 0
    assert (tmp_path / "in.png").exists()
    wrong = stream(*asked, "--line", "1,2,3")
    assert wrong.code == 2
    assert "--line is x1,y1,x2,y2" in wrong.err


def test_what_lies_in_subfolders_has_its_records_in_such_too(stream, clip, bright, tmp_path):
    """As their films have: archives call the first film of each day by the same name."""
    for day in ("monday", "tuesday"):
        (tmp_path / "takes" / day).mkdir(parents=True)
        shutil.copy(clip, tmp_path / "takes" / day / "1.mp4")
    given = ("file", "takes", "--recursive", "-o", "out", "--limit", "3")
    written = ("--records", "r/{name}.ndjson", "--records", "{name}/all.csv")
    beside = ("--plot", "p/of-{name}.png", "--report", "q/{name}.json")
    result = stream(*given, *written, "--model", bright, *beside)
    assert result.code == 0, result.err
    for day in ("monday", "tuesday"):
        for path in (f"out/{day}/1.mp4", f"r/{day}/1.ndjson", f"{day}/1/all.csv"):
            assert (tmp_path / path).is_file(), path
        assert (tmp_path / "p" / day / "of-1.png").is_file()
        (told,) = json.loads((tmp_path / "q" / day / "1.json").read_text())["runs"]
        assert told["output"].startswith(f"out/{day}/1.mp4")
    again = stream(*given, "--overwrite", "--from", "r/{name}.ndjson")
    assert again.code == 0 and "2 of 2 written" in again.err, again.err
    assert stream(*given, *written[:2], "--skip-existing").err.count("is there already") == 2
    monday = json.loads((tmp_path / "r/monday/1.ndjson").read_text().splitlines()[0])
    assert monday["source"] == "1.mp4"


def test_no_report_is_called_what_stands_for_a_name(stream, clip, nothing, tmp_path):
    """Whichever command was asked, and whatever its number of inputs."""
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), np.zeros((48, 64, 3), np.uint8))
    model = ("--model", nothing, "--report", "{name}.json")
    for given, made in (
        (("file", clip, "--limit", 1, "-o", "a.mp4", *model), clip.stem),
        (("image", photo, "-o", "a.png", *model), photo.stem),
        (("url", f"loop:{clip}", "--display", "none", "--seconds", 0.1, *model), clip.stem),
    ):
        result = stream(*given)
        assert result.code == 0, result.err
        assert (tmp_path / f"{made}.json").is_file(), given
        (tmp_path / f"{made}.json").unlink()
    result = stream("fleet", clip, "-o", "out", *model)
    assert result.code == 2 and "one report, of all files" in result.err
    assert not list(tmp_path.glob("*{name}*"))
