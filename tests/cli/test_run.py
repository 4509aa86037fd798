"""Configuration files: written for a command, and run."""

import json
import shutil
import signal
import subprocess
import sys
import time

import av
import pytest

from stream.plans.config import load
from tests.cli.conftest import environment
from tests.sources.serving import Server, free_port


def frames(path):
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def frames_of(path):
    """As `frames`, of a file that may still be written or not be there."""
    try:
        return frames(path)
    except (av.FFmpegError, OSError):
        return 0


def test_what_was_typed_is_written_down_and_run(stream, clip, nothing, tmp_path):
    typed = ("file", clip, "-o", "out.mkv", "--model", nothing, "--codec", "ffv1", "--limit", 5)
    saved = stream(*typed, "--no-timing", "--save-config", "b.toml")
    assert saved.code == 0 and "stream run b.toml" in saved.err
    assert not (tmp_path / "out.mkv").exists(), "nothing is run"
    assert stream(*typed, "--save-config", "b.toml").code == 2, "a file that is there is kept"
    result = stream("run", "b.toml", "--report", "r.json")
    assert result.code == 0, result.err
    assert frames(tmp_path / "out.mkv") == 5
    again = stream("run", "b.toml")
    assert again.code == 2 and "add --overwrite" in again.err, "which there is, as it is advised"
    assert stream("run", "b.toml", "--overwrite").code == 0
    assert json.loads((tmp_path / "r.json").read_text())["runs"][0]["frames_out"] == 5


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ('look = "fill+blurr"', "line 10: there is no layer 'blurr'; did you mean blur?"),
        ('look = "overlay"\nlabel = "nam"', "line 11: labels say any of name"),
        ('palette = ["00FF00",\n"red"]', "line 10: a colour is RRGGBB"),
        ('[tracking]\ntracker = "bytrack"', "line 11: there is no tracker 'bytrack'"),
        ('[counts]\nplot = "plot.jpg"', "line 11: plot writes a picture"),
        ('look = "replace"\nbackground = "no.mp4"', "line 11: the background 'no.mp4' is"),
        ('codec = "libx266"', "line 10: there is no encoder 'libx266'"),
    ],
)
def test_what_is_found_only_when_it_is_used_has_its_line(
    stream, clip, bright, tmp_path, wrong, words
):
    known = f"""# A film.
[model]
model = "{bright}"
[[source]]
target = "{clip}"
limit = 2
[[output]]
overwrite = true
to = "out.mkv"
{wrong}
"""
    (tmp_path / "b.toml").write_text(known)
    result = stream("run", "b.toml")
    assert result.code == 2 and f"stream: b.toml, {words}" in result.err, result.err
    (tmp_path / "b.toml").write_text(known.replace(wrong, "").replace(str(bright), "no.onnx"))
    assert "b.toml, line 3: there is no model file 'no.onnx'" in stream("run", "b.toml").err


def test_of_several_films_each_mistake_has_its_line(stream, clip, bright, tmp_path):
    films = (f'target = "{clip}"', f'target = "{clip}"\nhwaccel = "none"', 'target = "no.mp4"')
    outputs = ('to = "1.mkv"', 'to = "2.mkv"\nlook = "blurr"', 'to = "3.mkv"')
    pairs = zip(films, outputs, strict=True)
    tables = [f"[[source]]\n{film}\n[[source.output]]\n{output}\n" for film, output in pairs]
    (tmp_path / "b.toml").write_text(f'[model]\nmodel = "{bright}"\n{"".join(tables)}')
    result = stream("run", "b.toml")
    assert result.code == 1
    assert "2 of 3: b.toml, line 12: there is no layer 'blurr'" in result.err
    assert "3 of 3: b.toml, line 14: no.mp4 does not exist" in result.err
    assert (tmp_path / "1.mkv").exists()


@pytest.mark.parametrize(
    "typed",
    [
        ("webcam", "pattern", "--no-display", "--seconds", "2", "-o", "x.mp4", "-o", "y.mkv"),
        ("webcam", "--device", "in.mp4", "--as-camera", "--fps", "12.5", "--size", "64x48"),
        ("url", "rtsp://me:hunter2@door/x", "--transport", "udp", "--give-up", "9", "--every", "2"),
        ("file", "in.mp4", "-o", "a.mp4", "-o", "b.mkv", "--look", "binary", "--end", "0:01"),
        ("demo", "--tracker", "none", "-o", "d.mp4", "--palette", "ff0000,00ff00"),
    ],
    ids=" ".join,
)
def test_any_command_can_be_written_down(stream, clip, tmp_path, typed):
    result = stream(*typed, "--save-config", "b.toml")
    assert result.code == 0, result.err
    assert "hunter2" not in result.err + result.out
    (plan,) = load(tmp_path / "b.toml")
    asked = [typed[at + 1] for at, word in enumerate(typed) if word == "-o"]
    assert [one.target for one in plan.outputs if one.target != "window"] == asked
    assert plan.run.save_config is None


def test_several_sources_go_one_after_another(stream, clip, nothing, tmp_path):
    (tmp_path / "b.toml").write_text(
        f'model.model = "{nothing}"\n'
        '[[source]]\ntarget = "in.mp4"\nname = "a"\nlimit = 3\n'
        '[[source]]\ntarget = "in.mp4"\nname = "b"\nlimit = 4\n'
        '[[output]]\nto = "{name}.mp4"\n[run]\nreport = "{name}.json"\n'
    )
    result = stream("run", "b.toml")
    assert result.code == 0, result.err
    assert (frames(tmp_path / "a.mp4"), frames(tmp_path / "b.mp4")) == (3, 4)
    assert "2 of 2 written" in result.err
    reports = [json.loads((tmp_path / f"{name}.json").read_text())["runs"] for name in "ab"]
    assert [[run["frames_out"] for run in runs] for runs in reports] == [[3], [4]]
    again = stream("run", "b.toml", "--source", "2")
    assert again.code == 2 and "b.mp4 exists already" in again.err
    assert stream("run", "b.toml", "--source", "3").code == 2


@pytest.mark.parametrize("clips", [1, 2])
def test_a_folder_that_was_written_down_is_made_as_the_command_makes_it(
    stream, clip, nothing, tmp_path, clips
):
    (tmp_path / "takes/sub").mkdir(parents=True)
    for name in ("a.mp4", "sub/b.mp4")[:clips]:
        shutil.copy(tmp_path / clip, tmp_path / "takes" / name)
    typed = ("file", "takes", "-o", "out/", "--recursive", "--model", nothing, "--limit", 2)
    assert stream(*typed, "--save-config", "b.toml").code == 0
    assert not (tmp_path / "out").exists(), "nothing is run"
    result = stream("run", "b.toml")
    assert result.code == 0, result.err
    made = sorted(str(one.relative_to(tmp_path)) for one in tmp_path.glob("out/**/*.mp4"))
    assert made == ["out/a.mp4", "out/sub/b.mp4"][:clips]


def test_a_report_named_on_the_command_line_is_each_sources_own(stream, clip, nothing, tmp_path):
    sources = '[[source]]\ntarget = "in.mp4"\n{}limit = 2\n' * 2
    for folder in ("made", "r"):
        (tmp_path / folder).mkdir()
    rest = f'model.model = "{nothing}"\n[[output]]\nto = "made/{{name}}.ndjson"\n'
    (tmp_path / "b.toml").write_text(rest + sources.format('name = "one"\n', 'name = "two"\n'))
    result = stream("run", "b.toml", "--report", "r/{name}.json")
    assert result.code == 0, result.err
    reports = {path.name: json.loads(path.read_text()) for path in (tmp_path / "r").iterdir()}
    assert {
        name: [run["output"] for run in report["runs"]] for name, report in reports.items()
    } == {"one.json": ["made/one.ndjson"], "two.json": ["made/two.ndjson"]}

    each = sources.replace("limit", 'output = [{{to = "made/{}.csv"}}]\nlimit')
    (tmp_path / "b.toml").write_text(f'model.model = "{nothing}"\n' + each.format("", "a", "", "b"))
    twins = stream("run", "b.toml", "--report", "r/{name}.json")
    assert twins.code == 2, twins.err
    assert "two reports would be written to r/in.json" in twins.err
    assert not (tmp_path / "made" / "a.csv").exists(), "nothing is run"


def test_live_sources_run_side_by_side(stream, nothing, tmp_path):
    (tmp_path / "b.toml").write_text(
        f'model.model = "{nothing}"\nlive.display = false\nlive.seconds = 1\n'
        '[[source]]\ntarget = "pattern"\nsize = [160, 120]\nname = "a"\n'
        '[[source]]\ntarget = "pattern"\nsize = [160, 120]\nname = "b"\n'
        '[[output]]\nto = "{name}.mp4"\n'
    )
    shared = stream("run", "b.toml", "--report", "r.json")
    assert shared.code == 2 and '"{name}.json"' in shared.err
    with (tmp_path / "b.toml").open("a") as file:
        file.write('[run]\nreport = "{name}.json"\n')
    result = stream("run", "b.toml", "--quiet")
    assert result.code == 0, result.err
    assert result.out == ""
    for name in ("a", "b"):
        (run,) = json.loads((tmp_path / f"{name}.json").read_text())["runs"]
        assert run["output"] == f"{name}.mp4"
    assert frames(tmp_path / "a.mp4") > 3 and frames(tmp_path / "b.mp4") > 3
    assert stream("run", "b.toml").code == 2, "what is there is kept"


# That `stream url` waits for one is a quick test, in test_several.py.
@pytest.mark.slow
@pytest.mark.real_time
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_an_address_that_comes_later_is_waited_for_while_another_source_goes_on(nothing, tmp_path):
    later, told = Server("http"), tmp_path / "told"
    (tmp_path / "b.toml").write_text(
        f'model.model = "{nothing}"\nlive.display = false\n'
        '[[source]]\ntarget = "pattern"\nsize = [160, 120]\n'
        f'[[source]]\ntarget = "{later.address}"\nname = "later"\n'
        '[[output]]\nto = "{name}.mkv"\n'
    )
    with told.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "stream", "run", "b.toml"],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    files = [tmp_path / "pattern.mkv", tmp_path / "later.mkv"]
    try:
        until(lambda: "it is tried again" in told.read_text())
        later.start()
        until(lambda: min(map(frames_of, files)) >= 3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, told.read_text()
    finally:
        process.kill()
        process.wait()
        later.kill()
    assert min(map(frames_of, files)) >= 3 and told.read_text().count("refused") == 1


def test_addresses_of_which_none_is_there_do_not_wait_for_each_other(program, nothing, tmp_path):
    ports = [free_port(), free_port()]
    (tmp_path / "b.toml").write_text(
        f'model.model = "{nothing}"\nlive.display = false\n'
        + "".join(f'[[source]]\ntarget = "tcp://127.0.0.1:{port}"\n' for port in ports)
    )
    result = program("run", "b.toml")
    assert result.code == 1 and all(f":{port}" in result.err for port in ports)


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_what_is_wrong_with_a_file_is_said(stream, tmp_path):
    (tmp_path / "b.toml").write_text('[[source]]\ntraget = "in.mp4"\n')
    result = stream("run", "b.toml")
    assert result.code == 2
    assert "b.toml, line 2: there is no 'traget' in source; did you mean target?" in result.err
    assert stream("run", "missing.toml").code == 2
