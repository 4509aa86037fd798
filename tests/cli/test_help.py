import gc
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from stream import cli
from stream.cli import _runs
from stream.cli._commands import PLACES, load
from stream.settings.options import CutOptions, InputOptions
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


LOADED = """
import sys, typer
typers_own = set(sys.modules)
from stream.cli import main
try:
    main({arguments!r})
except SystemExit as ended:
    assert not ended.code, ended.code
sys.exit(" ".join(sorted(set({heavy!r}) & (set(sys.modules) - typers_own))) or 0)
"""

NOT_FOR_HELP = {"av", "cv2", "numpy", "onnxruntime", "tempfile", "unicodedata"}
"""What only a run needs."""

NOT_FOR_A_FILE = {
    # What other commands, other outputs, a terminal or a report need.
    *("asyncio", "ctypes.util", "matplotlib", "multiprocessing", "psutil", "rich", "ssl"),
    *("stream_export", "stream_models", "torch", "urllib.request"),
    # What looks through all that is installed, and what reads options that are texts.
    *("email", "importlib.metadata", "pydantic", "socket"),
    # Modules of ours for live sources, photos, records and windows.
    *("stream.records", "stream.run.beside_display", "stream.run.keys"),
    *("stream.run.look_ahead", "stream.run.replay", "stream.run.split", "stream.sinks.window"),
    *("stream.sources.arrays", "stream.sources.camera", "stream.sources.images"),
    *("stream.sources.network", "stream.sinks.network", "stream.serve"),
}


def loaded_of(heavy, *arguments):
    code = LOADED.format(arguments=list(map(str, arguments)), heavy=heavy)
    return subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False
    )


def test_help_loads_nothing_heavy():
    done = loaded_of(NOT_FOR_HELP | NOT_FOR_A_FILE, "--help")
    assert done.returncode == 0, done.stderr


def test_a_file_loads_only_what_a_file_needs(stream, clip, nothing, tmp_path):
    def asked(name):
        given = ("-o", tmp_path / name, "--model", nothing, "--provider", "cpu", "--limit", 2, "-q")
        return "file", clip, *given

    # Once before, since making the model's optimised graph is a matter of the first start.
    assert stream(*asked("first.mp4")).code == 0
    done = loaded_of(NOT_FOR_A_FILE, *asked("out.mp4"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out.mp4").stat().st_size > 1000


def test_what_is_run_often_reads_its_values_without_pydantic():
    """Which Typer loads for any value that is no text: those of our groups are texts to it."""
    rare = {"train", "train-refiner", "export"}
    for name in PLACES.keys() - rare:
        for param in load(name).params:
            about = getattr(param, "type_descriptor", None)  # its earlier releases have none
            assert about is None or about.annotation in {str, bool, list[str]}, (name, param.name)


@pytest.mark.skipif(sys.platform != "linux", reason="counts the system's threads in /proc")
@pytest.mark.parametrize(("asked", "threads"), [({}, 1), ({"OPENBLAS_NUM_THREADS": "2"}, 3)])
def test_no_thread_waits_busily_for_matrices(asked, threads):
    code = (
        "import os, sys\n"
        "from stream.cli import main\n"
        "try:\n    main(['--version'])\nexcept SystemExit:\n    pass\n"
        "import cv2, numpy\n"
        "sys.exit(len(os.listdir('/proc/self/task')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment() | asked, check=False)
    # Each of the two has its own, as many as there are processors at most.
    assert done.returncode == min(threads, 2 * len(os.sched_getaffinity(0)) - 1)


def test_garbage_is_looked_for_as_usual_once_all_is_loaded():
    before, callbacks = gc.get_threshold(), list(gc.callbacks)
    try:
        cli._look_for_garbage_later()
        assert gc.get_threshold()[0] > 100_000
        gc.collect()
        assert gc.get_threshold() == (50_000, 20, 20) and gc.callbacks == callbacks
    finally:
        gc.set_threshold(*before)


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("in.mp4", "stream file in.mp4"),
        ("photo.JPG", "stream image photo.JPG"),
        ("rtsp://host/x", "stream url rtsp://host/x"),
        ("rtsp://me:hunter2@host/x", "stream url rtsp://***@host/x"),
        ("0", "stream webcam 0"),
        ("quantize", "stream export quantize"),
        ("booth.toml", "stream run booth.toml"),
        ("modles", "did you mean models?"),
        ("video", "did you mean file?"),
        ("help", "stream --help"),
        ("version", "stream --version"),
        ("predict", "did you mean file?"),
        ("xyz", "there are demo, file"),
    ],
)
def test_a_word_that_is_no_command_gets_the_right_one(stream, words, meant):
    result = stream(words)
    assert result.code == 2
    assert meant in result.err
    assert "hunter2" not in result.err


TRAIN = ("train", "--data", "x", "--out", "y")


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
        (["url", "rtsp:/a:b@c/d"], "an address has two slashes behind its colon: rtsp://***@c/d"),
        (["run", "a.toml", "y"], "There is an argument too many"),
        (["bench", "--part", "sped"], "--part is one of pipeline"),
        (["train", "--out", "x"], "--data is missing"),
        ([*TRAIN, "--batch", "many"], "--batch: it is a whole number, not 'many'"),
        ([*TRAIN, "--batch=4", "--batch=0"], "--batch is at least 1, not '0'"),
        ([*TRAIN, "--rate", "20%"], "--rate: it is a number, not '20%'; did you mean 0.2?"),
        (
            [*TRAIN, "--learn", "mask"],
            "--learn is one of all, masks, not 'mask'; did you mean masks?",
        ),
        (["export", "half", "--output"], "--output needs a value"),
        (["export", "nosuch"], "there is no command 'export nosuch' ("),
        (["export", "verfy"], "no command 'export verfy'; did you mean export verify?"),
        (["file", "in.mp4", "-look", "x"], "there is no option -look; did you mean --look?"),
        (["file", "in.mp4", "-crf=20"], "there is no option -crf; did you mean --crf?"),
        (["file", "in.mp4", "-x"], "there is no option -x ("),
        (["file", "in.mp4", "-y"], "there is no option -y; did you mean --overwrite?"),
        (["file", "in.mp4", "-c:v", "ffv1"], "there is no option -c:v; did you mean --codec?"),
        (["file", "in.mp4", "-vcodec", "x"], "there is no option -vcodec; did you mean --codec?"),
        (["file", "in.mp4", "-an"], "there is no option -an; sound is always kept; ffmpeg"),
        (["file", "in.mp4", "-q=yes"], "-q takes no value ("),
        (["file", "in.mp4", "-o=x.mp4"], "-o=x.mp4 names a file =x.mp4; say -o x.mp4 or --output"),
        (["file", "in.mp4", "-o="], "--output is empty; is a variable of the shell not set?"),
        (["file", "--source", "0"], "inputs are named without one: stream webcam 0 ("),
        (["file", "-i", "in.mp4"], "inputs are named without one: stream file in.mp4 ("),
        (["url", "-i=rtsp://a:b@c/d"], "without one: stream url rtsp://***@c/d ("),
        (
            ["-i", "in.mp4", "out.mp4"],
            "there is no option -i; the command comes first: stream file",
        ),
        (["--webcam"], "there is no option --webcam; did you mean stream webcam?"),
        (["-V"], "there is no option -V; did you mean --version?"),
        (["image", "a.png", "--fp16"], "stream export half makes one of float16"),
        (["export", "yolact", "--trained_model=x"], "without one: stream export yolact CHECKPOINT"),
        (["file", "in.mp4", "--blur"], "there is no option --blur; did you mean --look blur?"),
        (["file", "in.mp4", "--boxes"], "there is no option --boxes; did you mean --look boxes?"),
        (["file", "a.mp4", "\u2014look", "x"], "there is no file a.mp4"),
        (["file", "\u2014look", "x"], "options begin with two plain hyphens: --look"),
        (["file", "-"], "there is no file -; what comes on standard input is /dev/stdin"),
        (["file", "~/no.mp4"], "a shell does not read ~ in quotes"),
        (["file", "$HOME/no.mp4"], "a shell does not read $ in quotes"),
        (["file", "in.mp4", "--device", "x"], "did you mean --provider?"),
        (["webcam", "--fps", "30fps"], "not '30fps'; did you mean 30?"),
        (["webcam", "--fps", "30000/1001"], "not '30000/1001'; did you mean 29.97002997?"),
        (["file", "--hlep"], "there is no option --hlep; did you mean --help?"),
        (["file", "in.mp4", "--provider", "CPU"], "not 'CPU'; did you mean cpu?"),
        (["demo", "--limit", "3"], "there is no option --limit ("),
        (
            ["webcam", "--limit", "3"],
            "there is no option --limit here, only in stream file; did you mean --seconds?",
        ),
        (["image", "--fps", "3"], "there is no option --fps here, only in stream file and stream"),
        (["image", "--seconds", "3"], "--seconds here, only in stream webcam and stream url ("),
        (["serve", "--host", "300.1.1.1"], "port 8000: there is no such address here; choose"),
    ],
    ids=" ".join,
)
def test_what_is_typed_wrongly_is_said_in_one_sentence(stream, arguments, words):
    result = stream(*arguments)
    assert result.code == 2
    assert words in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert "pydantic" not in result.err and "╭" not in result.err


def test_a_file_whose_name_begins_with_a_dash_is_said_to_be_read_as_an_option(stream, tmp_path):
    for name in ("-dash.mp4", "--look.mp4"):
        (tmp_path / name).touch()
        result = stream("file", name, "-o", "out.mp4")
        assert result.code == 2
        assert f"{name} is read as an option; ./{name} is the file" in result.err


def test_an_output_that_is_there_was_perhaps_to_be_the_input(stream, tmp_path):
    (tmp_path / "in.mp4").touch()
    said = stream("file", "-o", "in.mp4", "out.mp4").err
    assert "no file out.mp4; in.mp4, which -o names, is there: were the two exchanged?" in said


def test_an_empty_name_is_no_folder(stream, tmp_path):
    """As of a variable that is not set: all films of this folder would be taken."""
    (tmp_path / "in.mp4").touch()
    for words, name in (
        (["file", "", "-o", "out/"], "INPUT…"),
        (["fleet", "in.mp4", "", "-o", "out"], "INPUT…"),
        (["train", "--data", "", "--out", "x"], "--data"),
        (["train", "--data", "x", "--out="], "--out"),
    ):
        assert f"{name} is empty; is a variable of the shell not set?" in stream(*words).err
    assert "name the folder" in stream("fleet", "in.mp4", "-o", "").err
    assert [one.name for one in tmp_path.iterdir()] == ["in.mp4"]


def test_a_file_of_almost_that_name_is_offered(stream, tmp_path):
    for name in ("Holiday.mp4", "take_0041.mp4"):
        (tmp_path / name).touch()
    for typed in ("holiday.mp4", "Holidy.mp4", "Holiday", "Holiday.mp4 "):
        assert f"no file {typed}; did you mean Holiday.mp4?" in stream("file", typed).err
    assert "did you mean" not in stream("file", "take_0042.mp4").err
    said = stream("file", "file:///a%20b/in.mp4").err
    assert "; a file is named by its path: /a b/in.mp4" in said


def test_a_file_that_may_not_be_read_is_said_to_be_that(stream, tmp_path, monkeypatch):
    (tmp_path / "mine.onnx").touch()
    monkeypatch.setattr("os.access", lambda *_: False)
    said = stream("export", "half", "mine.onnx", "-o", "half.onnx").err
    assert "MODEL: mine.onnx may not be read; check its permissions" in said


def test_every_command_has_help(stream):
    listing = stream("--help")
    assert listing.code == 0
    for command in ("demo", "file", "image", "models", "doctor", "bench"):
        assert command in listing.out
        assert stream(command, "--help").code == 0
    options = stream("file", "--help").out
    assert "[at least 1; default: 8]" in stream("train", "--help").out
    assert "--from FILE" in options and "--from FILE" not in stream("url", "--help").out
    for option in (
        *("--model", "--provider", "--threshold", "--mask-threshold", "--classes", "--look"),
        *("--timing", "--no-timing", "--report", "--codec", "--crf", "--preset", "--start"),
        *("--end", "--limit", "--overwrite", "--quiet", "--verbose"),
    ):
        assert option in options, option


HEADING = re.compile(r"[A-Z][a-z ]+").fullmatch


@pytest.mark.parametrize("columns", ["80", "60"])
def test_help_is_whole_and_plain_at_any_width(stream, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    for words in [(), ("export",), *COMMANDS]:
        page = stream(*words, "--help").out
        assert "\x1b" not in page and " VALUE" not in page
        head, _, rest = page.partition("\n\n")
        usage = " ".join(head.split()).removeprefix(" ".join(["Usage: stream", *words]))
        argument = r"(?:[A-Z|]+…?|FILE\.toml)"
        assert re.fullmatch(
            rf" \[OPTIONS\]( {argument}| \[({argument})\]| COMMAND \[ARGS\]\.\.\.)?",
            usage,
        ), usage
        text, _, examples = rest.partition("Examples:\n")
        assert "..." not in text, "a summary is cut short"
        headings = re.findall(r"^(\S[^:\n]*):$", text, re.MULTILINE)
        assert len(set(headings)) == len(headings) and all(map(HEADING, headings)), headings
        for line in text.splitlines():
            # A name that is wider than the page has a line to itself.
            alone = re.fullmatch(r"  -[^ ]+(, --[^ ]+| / --[^ ]+)?( [^ ]+)?", line)
            assert len(line) <= int(columns) - 2 or alone, line
            # Names of options and files are copied from the two columns.
            assert not re.match(r"  [ -].*\w-$", line), f"{line!r} ends within a word"
        for line in examples.splitlines():
            assert line.startswith("  stream "), line


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("stream fi", ["file"]),
        ("stream file --reco", ["--records", "--records-masks"]),
        ("stream file --provider c", ["coreml", "cpu", "cuda"]),
        ("stream webcam --look fill+con", ["fill+contour"]),
        ("stream image --look ov", ["overlay"]),
        ("stream run a.toml --no", []),
        ("stream url --tracker mo", ["motion"]),
        ("stream bench --model d", ["default"]),
    ],
)
def test_a_shell_completes_commands_options_and_their_values(stream, monkeypatch, typed, offered):
    for name, value in completing(typed).items():
        monkeypatch.setenv(name, value)
    assert sorted(stream().out.split()) == offered


def test_what_a_shell_shows_beside_its_offers_is_one_line(stream, monkeypatch):
    """Fish takes each line for an offer, and Typer wraps longer ones at 80 characters."""
    for typed, first in {
        "stream ": "demo\tSegment the bundled clip and say where the time went.",
        "stream file --": "--output\tThe video to write; its ending chooses the container; or",
        "stream webcam --virtual-c": "--virtual-camera\tAlso be a camera to video calls and other",
        "stream export ": "torchvision\tExport a Mask R-CNN of torchvision",
    }.items():
        monkeypatch.setenv("_STREAM_COMPLETE", "complete_fish")
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", typed)
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        lines = [one for one in stream().out.splitlines() if one]
        assert any(one.startswith(first) for one in lines), lines
        word = typed.rpartition(" ")[2]
        for line in lines:
            assert re.fullmatch(rf"{word}[\w-]*\t\S.{{0,59}}", line), line


def test_a_shell_starts_the_program_to_complete():
    done = subprocess.run(
        [sys.executable, "-m", "stream"],
        env={**environment(), **completing("stream webcam --look fill+con")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.split() == ["fill+contour"], done.stderr


def completing(typed):
    """How a shell says what was typed."""
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    return {**words, "_STREAM_COMPLETE": "complete_bash"}


def test_models_lists_the_default(stream):
    result = stream("models")
    assert result.code == 0, result.err
    assert "default" in result.out


def test_models_says_of_a_file_where_it_comes_from_and_of_a_name_which_file_it_is(stream, bright):
    first, classes, *_ = stream("models", bright).out.splitlines()
    assert first == f"{bright}: made for tests"
    assert "class" in classes
    first, *_ = stream("models", "default").out.splitlines()
    assert first.endswith(".onnx")


def test_doctor_says_what_works_here(stream):
    result = stream("doctor")
    assert result.code == 0, result.err
    for word in ("ONNX Runtime", "PyAV", "CPU", "CUDA", "OpenVINO", "libx264"):
        assert word.lower() in result.out.lower(), word
    findings = json.loads(stream("doctor", "--json").out)
    assert findings


def test_what_is_not_there_is_a_misuse_and_what_is_of_no_use_a_failure(stream, clip, tmp_path):
    """For all commands: by 2 schedulers tell that it is of no use to try again."""
    for name in ("text.mp4", "text.jpg", "text.onnx"):
        (tmp_path / name).write_text("this is none\n" * 100)
    film, photo = ("file", clip), ("image", "text.jpg")
    for code, words in [
        (2, ("file", "no.mp4")),
        (1, ("file", "text.mp4")),
        (2, (*film, "-o", "no/a.mp4")),
        (1, (*film, "-o", "text.jpg/a/")),
        (2, (*film, "-o", "a.mp4", "--model", "no.onnx")),
        (1, (*film, "-o", "a.mp4", "--model", "text.onnx")),
        (2, ("image", "no.jpg")),
        (1, photo),
        (2, (*photo, "-o", "no/a.png")),
        (2, ("fleet", "no.mp4", "-o", "out")),
        (1, ("fleet", "text.mp4", "-o", "text.jpg/out")),
        (2, ("run", "no.toml")),
        (2, ("serve", "no.mp4")),
        (1, ("serve", "text.mp4")),
        (2, ("models", "no.onnx")),
        (1, ("models", "text.onnx")),
        (2, ("bench", "--part", "cost", "--clips", "no.mp4")),
        (1, ("bench", "--part", "cost", "--clips", "text.mp4")),
        (2, ("export", "inspect", "no.onnx")),
        (1, ("export", "inspect", "text.onnx")),
    ]:
        result = stream(*words)
        assert (result.code, "Traceback" in result.err) == (code, False), (words, result.err)


def test_an_unknown_command_is_a_misuse(stream):
    result = stream("segmnet")
    assert result.code == 2
    assert "Traceback" not in result.err


def test_the_demo_runs_twice_whatever_the_model(stream, nothing, tmp_path, monkeypatch):
    whole = _runs.go_through

    def beginning(plans, *more, **further):
        # The rest of it is a matter of the slow suite.
        cut = replace(plans[0].source, options=InputOptions(cut=CutOptions(limit=30)))
        return whole([replace(plans[0], source=cut)], *more, **further)

    monkeypatch.setattr(_runs, "go_through", beginning)
    for name in ("stream-demo.mp4", "stream-demo-2.mp4"):
        result = stream("demo", "--model", nothing, "--preset", "ultrafast")
        assert result.code == 0, result.err
        assert "with waiting in queues" in result.out
        assert (tmp_path / name).stat().st_size > 50_000


@pytest.mark.slow
def test_the_demo_runs_twice_without_asking(program, tmp_path):
    for name in ("stream-demo.mp4", "stream-demo-2.mp4"):
        result = program("demo")
        assert result.code == 0, result.err
        assert "with waiting in queues" in result.out
        assert (tmp_path / name).stat().st_size > 100_000


def test_names_that_the_encoding_lacks_are_printed_all_the_same(monkeypatch):
    """As where Windows' output goes to a file, and in the locale C without UTF-8."""
    for encoding, errors, printed in (
        ("cp1252", "strict", "\\u2192 5 × 3"),
        ("ascii", "surrogateescape", "\\u2192 5 \\xd7 3"),
        ("utf-8", "surrogateescape", "→ 5 × 3"),
    ):
        out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=errors)
        monkeypatch.setattr(sys, "stdout", out)
        cli._print_anything()
        print("→ 5 × 3", flush=True)
        assert out.buffer.getvalue().decode(encoding).strip() == printed
    print(b"caf\xe9".decode(errors="surrogateescape"), flush=True)
    assert out.buffer.getvalue().endswith(b"caf\xe9\n")
