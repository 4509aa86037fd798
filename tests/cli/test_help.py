import json
import re
import subprocess
import sys

import pytest

from stream.cli._commands import PLACES, load
from tests.cli.conftest import environment

EXPORTS = sorted(load("export").commands)
COMMANDS = [
    *((name,) for name in PLACES if name != "export"),
    *(("export", name) for name in EXPORTS),
]


def options_in(page):
    """The options of a rendered help page: names and all that is said of each, in one line."""
    found = []
    for line in page.splitlines():
        if re.match(r"  -", line):
            found.append(line.strip())
        elif line.startswith("   ") and found:
            found[-1] += f" {line.strip()}"
        elif line and not line.startswith("   "):
            found.append("")  # a heading, or an argument: what follows is not the option's
    return [one for one in found if one.startswith("-")]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_says_of_each_option_what_holds_without_it(stream, command):
    page = stream(*command, "--help")
    assert page.code == 0, page.err
    options = options_in(page.out)
    assert len(options) >= 2
    for line in options:
        if "--help" not in line:
            assert re.search(r"\[[^]]*(default: \S|required)[^]]*\]", line), line
            assert line.count("default:") <= 1, line
    assert "[export]" in page.out or command != ("bench",), "brackets are not taken for markup"


def test_help_loads_nothing_heavy():
    code = (
        "import sys, typer\n"
        "typers_own = set(sys.modules)\n"
        "from stream.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'av', 'cv2', 'numpy', 'onnxruntime', 'rich', 'torch', 'stream_export'}\n"
        "sys.exit(' '.join(heavy & (set(sys.modules) - typers_own)) or 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("in.mp4", "stream file in.mp4"),
        ("photo.JPG", "stream image photo.JPG"),
        ("rtsp://host/x", "stream url rtsp://host/x"),
        ("rtsp://me:hunter2@host/x", "stream url rtsp://***@host/x"),
        ("0", "stream webcam 0"),
        ("booth.toml", "stream run booth.toml"),
        ("modles", "did you mean models?"),
        ("xyz", "there are demo, file"),
    ],
)
def test_a_word_that_is_no_command_gets_the_right_one(stream, words, meant):
    result = stream(words)
    assert result.code == 2
    assert meant in result.err
    assert "hunter2" not in result.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["file"], "INPUT… is missing"),
        (["file", "in.mp4", "--modle", "x"], "there is no option --modle; did you mean --model?"),
        (["file", "in.mp4", "--model"], "--model needs a value"),
        (["file", "in.mp4", "--quiet=yes"], "--quiet takes no value"),
        (["file", "in.mp4", "--limit", "0"], "--limit is at least 1, not '0'"),
        (["file", "in.mp4", "--limit", "many"], "--limit: it is a whole number, not 'many'"),
        (["file", "in.mp4", "--crf", "nan"], "--crf: it is a number, not 'nan'"),
        (["file", "in.mp4", "--start", "1:99"], "--start: it is seconds, M:SS or H:MM:SS"),
        (["file", "in.mp4", "--colours", "clas"], "not 'clas'; did you mean class?"),
        (["file", "in.mp4", "--model", ""], "--model: it is empty"),
        (["run", "a.toml", "y"], "There is an argument too many"),
        (["bench", "--part", "sped"], "--part is one of pipeline"),
        (["train", "--out", "x"], "--data is missing"),
        (["train", "--data", "x", "--out", "y", "--batch", "many"], "--batch: "),
        (["export", "nosuch"], "no such command 'nosuch'"),
    ],
    ids=" ".join,
)
def test_what_is_typed_wrongly_is_said_in_one_sentence(stream, arguments, words):
    result = stream(*arguments)
    assert result.code == 2
    assert words in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert "pydantic" not in result.err and "╭" not in result.err


def test_every_command_has_help(stream):
    listing = stream("--help")
    assert listing.code == 0
    for command in ("demo", "file", "image", "models", "doctor", "bench"):
        assert command in listing.out
        assert stream(command, "--help").code == 0
    options = stream("file", "--help").out
    for option in (
        *("--model", "--provider", "--threshold", "--mask-threshold", "--classes", "--look"),
        *("--timing", "--no-timing", "--report", "--codec", "--crf", "--preset", "--start"),
        *("--end", "--limit", "--overwrite", "--quiet", "--verbose"),
    ):
        assert option in options, option


def test_models_lists_the_default(stream):
    result = stream("models")
    assert result.code == 0, result.err
    assert "default" in result.out


def test_doctor_says_what_works_here(stream):
    result = stream("doctor")
    assert result.code == 0, result.err
    for word in ("ONNX Runtime", "PyAV", "CPU", "CUDA", "OpenVINO", "libx264"):
        assert word.lower() in result.out.lower(), word
    findings = json.loads(stream("doctor", "--json").out)
    assert findings


def test_an_unknown_command_is_a_misuse(stream):
    result = stream("segmnet")
    assert result.code == 2
    assert "Traceback" not in result.err


def test_the_demo_runs_twice_whatever_the_model(stream, nothing, tmp_path):
    for name in ("stream-demo.mp4", "stream-demo-2.mp4"):
        result = stream("demo", "--model", nothing, "--preset", "ultrafast")
        assert result.code == 0, result.err
        assert "with waiting in queues" in result.out
        assert (tmp_path / name).stat().st_size > 100_000


@pytest.mark.slow
def test_the_demo_runs_twice_without_asking(program, tmp_path):
    for name in ("stream-demo.mp4", "stream-demo-2.mp4"):
        result = program("demo")
        assert result.code == 0, result.err
        assert "with waiting in queues" in result.out
        assert (tmp_path / name).stat().st_size > 100_000
