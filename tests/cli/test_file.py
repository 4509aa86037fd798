import json
import os
import shutil
import signal
import subprocess
import sys
import time

import av
import numpy as np
import pytest

from tests import tiny_models
from tests.cli.conftest import environment


def pictures(path, format="yuv420p"):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format=format) for frame in container.decode(video=0)]


def sound(path):
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def test_objects_are_found_and_painted_and_the_rest_is_kept(program, clip, bright, tmp_path):
    report = tmp_path / "report.json"
    result = program(
        "file", clip, "-o", "out.mp4", "--model", bright, "--report", report, "--crf", 10
    )
    assert result.code == 0, result.err
    for word in (
        "decode",
        "infer",
        "composite",
        "encode",
        "waiting in queues",
        "p95",
        "24 out",
        "CPU",
    ):
        assert word in result.out
    out = tmp_path / "out.mp4"
    before, after = pictures(clip, "rgb24"), pictures(out, "rgb24")
    assert len(after) == 24
    assert sound(out) == sound(clip)
    for index in (2, 20):
        square = after[index][100:160, 60 + 6 * index : 100 + 6 * index].reshape(-1, 3)
        assert np.ptp(square.mean(0)) > 30, "the white square has taken on a colour"
        far = np.s_[200:, 280:]
        assert np.abs(after[index][far].astype(int) - before[index][far]).max() < 12
    written = json.loads(report.read_text())
    run = written["runs"][0]
    assert (run["frames_in"], run["frames_out"], run["dropped"], run["corrupt"]) == (24, 24, 0, 0)
    assert run["stages"]["infer"]["frames"] == 24
    assert run["stages"]["end to end"]["p95_ms"] >= run["stages"]["infer"]["p50_ms"]
    assert {queue["name"] for queue in run["queues"]} == {"decoded", "painting", "to out.mp4"}
    assert written["machine"]["cores"] == os.cpu_count()


def test_nothing_found_and_a_lossless_codec_keep_every_pixel(stream, clip, nothing, tmp_path):
    result = stream(
        *("file", clip, "-o", "out.mkv", "--model", nothing),
        *("--codec", "ffv1", "--no-timing", "--quiet"),
    )
    assert result.code == 0, result.err
    assert result.out == result.err == ""
    for before, after in zip(pictures(clip), pictures(tmp_path / "out.mkv"), strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_binary_look_is_white_on_black(stream, clip, bright, tmp_path):
    result = stream(
        *("file", clip, "-o", "out.mkv", "--model", bright, "--look", "binary"),
        *("--codec", "ffv1", "--no-timing"),
    )
    assert result.code == 0, result.err
    luma = pictures(tmp_path / "out.mkv")[10][:240]
    assert set(np.unique(luma)) == {16, 235}
    white = np.argwhere(luma == 235)
    assert np.abs(white.min(0) - [80, 100]).max() <= 6
    assert np.abs(white.max(0) - [180, 180]).max() <= 6


def test_a_class_that_is_not_wanted_is_left_out(stream, clip, bright, tmp_path):
    result = stream(
        *("file", clip, "-o", "out.mkv", "--model", bright, "--look", "binary"),
        *("--codec", "ffv1", "--no-timing", "--classes", "car"),
    )
    assert result.code == 0, result.err
    assert set(np.unique(pictures(tmp_path / "out.mkv")[10][:240])) == {16}


def blinking_clip(path):
    """Pictures of 64 x 48, bright, but every third one only half so."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=24, options={"crf": "5"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for index in range(12):
            grey = 110 if index % 3 == 2 else 200
            picture = np.full((48, 64, 3), grey, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
    return path


def white_pictures(path):
    with av.open(str(path)) as container:
        return [
            bool((picture.to_ndarray()[:48, :64] == 235).any())
            for picture in container.decode(video=0)
        ]


def test_footage_does_not_flicker_unless_told_to(stream, tmp_path):
    clip = blinking_clip(tmp_path / "in.mp4")
    model = tiny_models.doubtful(tmp_path / "doubtful.onnx")
    common = ("--model", model, "--look", "binary", "--codec", "ffv1", "--no-timing")
    assert stream("file", clip, "-o", "steady.mkv", *common).code == 0
    assert white_pictures(tmp_path / "steady.mkv") == [True] * 12
    assert stream("file", clip, "-o", "plain.mkv", "--no-steady", *common).code == 0
    assert white_pictures(tmp_path / "plain.mkv") == [True, True, False] * 4


def test_a_part_of_the_input(stream, clip, nothing, tmp_path):
    result = stream(
        *("file", clip, "-o", "part.mp4", "--model", nothing),
        *("--start", 0.25, "--end", 0.75, "--report", "r.json"),
    )
    assert result.code == 0, result.err
    assert len(pictures(tmp_path / "part.mp4")) == 12
    result = stream("file", clip, "-o", "few.mp4", "--model", nothing, "--limit", 5)
    assert result.code == 0, result.err
    assert len(pictures(tmp_path / "few.mp4")) == 5


def test_several_inputs_go_into_a_folder_and_a_bad_one_does_not_stop_the_rest(
    stream, clip, nothing, tmp_path
):
    folder = tmp_path / "takes"
    folder.mkdir()
    for name in ("a.mp4", "c.mp4"):
        (folder / name).write_bytes(clip.read_bytes())
    (folder / "b.mp4").write_text("not a video")
    (folder / "notes.txt").write_text("not even called one")
    result = stream("file", folder, "-o", "done", "--model", nothing, "--report", "r.json")
    assert result.code == 1
    assert "b.mp4" in result.err
    assert "1 of 3 inputs failed" in result.err
    assert "left out of" in result.err and "notes.txt" in result.err
    assert "2 of 3 written" in result.err
    assert "3 of 3: c.mp4" in result.out
    assert sorted(path.name for path in (tmp_path / "done").iterdir()) == ["a.mp4", "c.mp4"]
    runs = json.loads((tmp_path / "r.json").read_text())["runs"]
    assert [(run["frames_out"], run["error"] is None) for run in runs] == [
        (24, True),
        (0, False),
        (24, True),
    ]


def test_a_batch_goes_on_after_what_is_there_and_skips_what_is_finished(
    stream, clip, nothing, tmp_path
):
    folder = tmp_path / "takes"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (folder / name).write_bytes(clip.read_bytes())
    common = ("--model", nothing, "-o", "done/")
    assert stream("file", "takes/a.mp4", *common).code == 0
    assert stream("file", "takes/b.mp4", *common, "--limit", 3).code == 0, "b.mp4 is unfinished"
    before = (tmp_path / "done" / "b.mp4").read_bytes()
    result = stream("file", "takes", *common, "--report", "r.json")
    assert result.code == 1
    assert "1 of 3 written" in result.err and "2 of 3 inputs failed" in result.err
    (tmp_path / "done" / "c.mp4").unlink()
    result = stream("file", "takes", *common, "--skip-existing")
    assert result.code == 1, "what is there but unfinished is neither skipped nor replaced"
    assert "takes/a.mp4: its result is there already" in result.err
    assert "1 of 3 written, 1 there already" in result.err and "b.mp4" in result.err
    assert (tmp_path / "done" / "b.mp4").read_bytes() == before
    result = stream("file", "takes", *common, "--skip-existing", "--overwrite")
    assert result.code == 0, result.err
    assert "1 of 3 written, 2 there already" in result.err
    assert "--overwrite replaces only what is unfinished" in result.err
    assert len(pictures(tmp_path / "done" / "b.mp4")) == 24


def test_one_input_goes_to_several_outputs_at_once(stream, clip, bright, tmp_path):
    result = stream("file", clip, "-o", "a.mp4", "-o", "b.mkv", "--model", bright, "--limit", 8)
    assert result.code == 0, result.err
    assert "1 person, in 8 of 8 frames" in result.out
    assert len(pictures(tmp_path / "a.mp4")) == len(pictures(tmp_path / "b.mkv")) == 8


def test_without_an_output_the_result_lies_beside_the_input(stream, clip, nothing, tmp_path):
    result = stream("file", "in.mp4", "--model", nothing, "--limit", 3)
    assert result.code == 0, result.err
    assert len(pictures(tmp_path / "in.stream.mp4")) == 3
    result = stream("file", tmp_path, "--model", nothing, "--limit", 3)
    assert result.code == 2 and "in.stream.mp4 exists already" in result.err
    assert not (tmp_path / "in.stream.stream.mp4").exists()


def one_sentence(result, code, *words):
    assert result.code == code, result.out + result.err
    assert "Traceback" not in result.err
    lines = [line for line in result.err.strip().splitlines() if line]
    assert lines, "something is said"
    for word in words:
        assert word in result.err, result.err
    return lines


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["missing.mp4", "-o", "out.mp4"], 2, ["missing.mp4"]),
        (["empty", "-o", "out"], 2, ["empty", "no videos"]),
        (["zero.mp4", "-o", "out.mp4"], 1, ["zero.mp4"]),
        (["text.mp4", "-o", "out.mp4"], 1, ["text.mp4"]),
        (["sound.m4a", "-o", "out.mp4"], 1, ["sound.m4a", "video"]),
        (["in.mp4", "-o", "nowhere/out.mp4"], 2, ["nowhere"]),
        (["in.mp4", "-o", "out.xyz"], 2, [".xyz"]),
        (["in.mp4", "-o", "in.mp4", "--overwrite"], 2, ["in.mp4"]),
        (["in.mp4", "-o", "out.mp4", "--codec", "nosuch"], 2, ["nosuch"]),
        (["in.mp4", "-o", "out.webm", "--codec", "libx264"], 2, ["libx264", "webm"]),
        (["in.mp4", "-o", "out.mp4", "--model", "nosuch"], 2, ["nosuch"]),
        (["in.mp4", "-o", "out.mp4", "--model", "text.onnx"], 1, ["text.onnx"]),
        (["in.mp4", "-o", "out.mp4", "--provider", "cuda"], 1, ["CUDA"]),
        (["in.mp4", "-o", "out.mp4", "--provider", "tpu"], 2, ["tpu"]),
        (["in.mp4", "-o", "out.mp4", "--classes", "persn"], 2, ["persn", "person"]),
        (["in.mp4", "-o", "out.mp4", "--threshold", "1.5"], 2, ["--threshold"]),
        (["in.mp4", "-o", "out.mp4", "--start", "2", "--end", "1"], 2, ["--end"]),
        (["in.mp4", "-o", "out.mp4", "--start", "0:02", "--end", "0:00:01"], 2, ["--end"]),
        (["in.mp4", "zero.mp4", "-o", "out.json"], 2, ["out.json", "folder"]),
        (["in.mp4", "zero.mp4", "-o", "a.mp4", "-o", "b.mp4"], 2, ["2 inputs", "2 outputs"]),
        (["https://me:hunter2@host/in.mp4", "-o", "out.mp4"], 2, ["stream url ADDRESS"]),
        (["s3://bucket/in.mp4", "-o", "out.mp4"], 2, ["stream fleet ADDRESS"]),
        (["in.mp4", "-o", "rtmp:///live"], 2, ["names no receiver", "rtmp://host/name"]),
        (["in.mp4", "-o", "gopher://host/live"], 2, ["gopher://host/live", "no kind of output"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_bad_input_gets_one_sentence(stream, clip, bright, tmp_path, arguments, code, words):
    (tmp_path / "empty").mkdir()
    (tmp_path / "zero.mp4").touch()
    (tmp_path / "text.mp4").write_text("this is no video\n" * 100)
    (tmp_path / "text.onnx").write_text("this is no model\n" * 100)
    with av.open(str(tmp_path / "sound.m4a"), "w", format="mp4") as container:
        audio = container.add_stream("aac", rate=44100, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        silence.rate = 44100
        container.mux(audio.encode(silence))
        container.mux(audio.encode(None))
    if "--model" not in arguments:
        arguments = [*arguments, "--model", bright]
    before = {path: path.stat().st_size for path in tmp_path.iterdir() if path.is_file()}
    result = stream("file", *arguments)
    one_sentence(result, code, *words)
    for path, size in before.items():
        assert path.stat().st_size == size, f"{path.name} was there before and is damaged"
    assert not list(tmp_path.glob("out.*")), "nothing half-made is left"


def test_an_existing_output_is_refused_before_any_work(stream, clip, nothing, tmp_path):
    (tmp_path / "out.mp4").write_text("precious")
    result = stream("file", clip, "-o", "out.mp4", "--model", nothing)
    one_sentence(result, 2, "out.mp4", "--overwrite")
    assert (tmp_path / "out.mp4").read_text() == "precious"
    result = stream("file", clip, "-o", "out.mp4", "--model", nothing, "--overwrite")
    assert result.code == 0, result.err
    assert len(pictures(tmp_path / "out.mp4")) == 24


def test_verbose_shows_where_an_error_came_from(stream, clip, tmp_path):
    result = stream("file", clip, "-o", "out.mp4", "--model", "nosuch", "--verbose")
    assert result.code == 2
    assert "Traceback" in result.err


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Twenty seconds of grey."""
    path = tmp_path_factory.mktemp("long") / "long.mkv"
    with av.open(str(path), "w") as target:
        video = target.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 640, 480, "yuv420p"
        grey = av.VideoFrame.from_ndarray(np.full((720, 640), 90, np.uint8), format="yuv420p")
        for index in range(500):
            grey.pts = index
            target.mux(video.encode(grey))
        target.mux(video.encode(None))
    return path


@pytest.fixture
def heard():
    """Programs that are started hear of a closed terminal, also where tests run under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL) if os.name == "posix" else None
    yield
    if before is not None:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize(
    "signals",
    [
        [signal.SIGINT],
        [signal.SIGINT] * 2,
        [signal.SIGTERM],
        [getattr(signal, "SIGHUP", None)],
    ],
)
def test_what_stops_a_run_leaves_a_file_that_plays_and_is_what_the_process_dies_of(
    long, tmp_path, signals
):
    slow = tiny_models.slow(tmp_path / "slow.onnx", 60)
    process = subprocess.Popen(
        [sys.executable, "-m", "stream", "file", long, "-o", "out.mp4", "--model", slow],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 100
    out = tmp_path / "out.mp4"
    while not (out.exists() and out.stat().st_size > 5_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.05)
    printed, said = process.communicate(timeout=100)
    assert process.returncode == -signals[0], said
    assert "Traceback" not in said
    count = len(pictures(out))
    assert 0 < count < 500
    if len(signals) == 1:
        assert f"{count} out" in printed, "drained and finished: every frame that came in is there"


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash")
def test_ctrl_c_ends_the_loop_of_a_shell_too(long, tmp_path):
    slow = tiny_models.slow(tmp_path / "slow.onnx", 60)
    loop = (
        'for one in a b; do echo $one; "$0" -m stream file "$1" -o $one.mp4 --model "$2" -q; done'
    )
    shell = subprocess.Popen(
        ["bash", "-c", loop, sys.executable, long, slow],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 100
    out = tmp_path / "a.mp4"
    while not (out.exists() and out.stat().st_size > 5_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(shell.pid, signal.SIGINT)
    printed, _ = shell.communicate(timeout=100)
    assert printed.split() == ["a"]
    assert 0 < len(pictures(out)) < 500


@pytest.mark.parametrize("name", ["masks.mp4", "masks.mkv"])
def test_binary_masks_are_pure_black_and_white(stream, clip, bright, tmp_path, name):
    result = stream("file", clip, "-o", name, "--look", "binary", "--model", bright)
    assert result.code == 0, result.err
    with av.open(str(tmp_path / name)) as container:
        values = set()
        for frame in container.decode(video=0):
            values |= set(np.unique(frame.to_ndarray(format="gray")).tolist())
    assert values == {0, 255}


def test_a_cutout_is_made_as_webm_unless_a_file_that_holds_it_is_named(
    stream, clip, nothing, tmp_path
):
    asked = ("--look", "cutout", "--model", nothing, "--limit", 3)
    result = stream("file", clip, *asked)
    assert result.code == 0, result.err
    assert clip.with_name(f"{clip.stem}.stream.webm").exists()
    refused = stream("file", clip, "-o", "out.mp4", *asked)
    assert refused.code in (1, 2) and "out.mp4 holds no transparency" in refused.err
    assert not (tmp_path / "out.mp4").exists()


def test_masks_of_a_video_are_numbered_pictures_and_have_no_video_beside(
    stream, clip, nothing, tmp_path
):
    result = stream("file", clip, "--masks", "masks", "--model", nothing, "--limit", 3)
    assert result.code == 0, result.err
    names = sorted(path.name for path in (tmp_path / "masks").iterdir())
    assert names == ["000000.png", "000001.png", "000002.png"]
    assert not clip.with_name(f"{clip.stem}.stream{clip.suffix}").exists()


def test_numbered_pictures_are_an_output_and_one_picture_is_refused(
    stream, clip, nothing, tmp_path
):
    asked = ("--model", nothing, "--limit", 2)
    result = stream("file", clip, "-o", "out/f%03d.webp", *asked)
    assert result.code == 0, result.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["f000.webp", "f001.webp"]
    refused = stream("file", clip, "-o", "one.png", *asked)
    assert refused.code == 2 and "number them, as in out/%06d.png" in refused.err
    assert not (tmp_path / "one.png").exists(), "known before anything was inferred"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (("--select", "biggest"), "--select: it is all, largest, a number from 1 on"),
        (("--split", "both"), "--split is one of none, object, class, not 'both'"),
        (("--look", "replace", "--background", "none.mp4"), "neither a colour such as 00FF00"),
        (("--look", "instances", "--identities", "-o", "out.mp4"), "16-bit values of identities"),
        (("--look", "blur", "--split", "class"), "videos of the looks binary, instances and"),
        (("--crop",), "name a picture or numbered pictures (out/%06d.png)"),
        (("--crop", "-o", "out/"), "name a picture or numbered pictures (out/%06d.png)"),
        (("--crop", "-o", "a/b/"), "--crop makes a picture for each object"),
        (("-o", "out"), "numbered pictures (out/%06d.png) for a picture a frame"),
        (("--masks", "in.mp4"), "--masks is a folder"),
        (("--masks", "mask.png"), "has a picture's ending; name a folder"),
    ],
)
def test_nonsense_about_objects_gets_one_sentence(stream, clip, nothing, tmp_path, asked, words):
    if clip.name != "in.mp4":
        (tmp_path / "in.mp4").write_bytes(b"")
    before = sorted(tmp_path.iterdir())
    result = stream("file", clip, *asked, "--model", nothing)
    assert result.code in (1, 2) and words in result.err, result.err
    assert result.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


def test_what_toml_has_as_a_number_is_so_many_of_the_largest(stream, clip, nothing, tmp_path):
    (tmp_path / "run.toml").write_text(
        f'[model]\nmodel = "{nothing}"\n[[source]]\ntarget = "{clip}"\nlimit = 2\n'
        '[[output]]\nto = "out.mkv"\nlook = "cutout"\nselect = 2\n'
    )
    result = stream("run", "run.toml")
    assert result.code == 0, result.err
    assert (tmp_path / "out.mkv").exists()
