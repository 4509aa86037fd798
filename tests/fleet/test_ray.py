"""The fleet on Ray: a cluster of several nodes on this machine, of which parts go away."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import psutil
import pytest

from stream.fleet.ledger import Ledger, State
from tests import tiny_models

pytestmark = pytest.mark.slow
ray = pytest.importorskip("ray", reason="a fleet needs the extra [fleet]")

ROOT = Path(__file__).resolve().parents[2]


def _clips(folder: Path, count: int, frames: int = 6) -> Path:
    """Clips of moving bright squares, each another."""
    folder.mkdir()
    noise = np.random.default_rng(3)
    for number in range(count):
        with av.open(str(folder / f"{number:03}.mp4"), "w") as out:
            video = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
            video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
            at = noise.integers(0, 40, 2)
            for index in range(frames):
                planes = np.full((96, 96), 128, np.uint8)
                planes[:64] = 30 + number % 60
                planes[at[0] % 30 :][:20, at[1] + index :][:, :20] = 230
                frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                out.mux(video.encode(frame))
            out.mux(video.encode(None))
    return folder


def _stream(*words: object, **more) -> subprocess.Popen[str]:
    paths = os.pathsep.join(str(ROOT / one) for one in (".", "models", "export"))
    return subprocess.Popen(
        [sys.executable, "-m", "stream", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": paths, "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **more,
    )


def _run(*words: object, code: int = 0) -> str:
    with _stream(*words) as process:
        said = process.communicate(timeout=500)[0]
    assert process.returncode == code, said
    return said


def _asked(clips: Path, out: Path, model: Path) -> tuple[object, ...]:
    return (
        "fleet", clips, "-o", out, "--model", model, "--provider", "cpu", "--no-timing",
        "--codec", "mpeg4",
    )  # fmt: skip


def _samples(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_models.bright(tmp_path / "bright.onnx", 200)


def _same_as_one_by_one(clips: Path, out: Path, model: Path, folder: Path) -> None:
    """Compares each result with what `stream file` makes.

    In MPEG-4: of x264's results from the same pictures one in twelve differs in a few samples.
    """
    _run(
        "file",
        clips,
        "-o",
        folder,
        "--model",
        model,
        "--provider",
        "cpu",
        "--no-timing",
        "--codec",
        "mpeg4",
        "--quiet",
    )
    expected = sorted(path.name for path in clips.glob("*.mp4"))
    assert sorted(path.name for path in out.glob("*.mp4")) == expected
    for name in expected:
        assert _samples(out / name) == _samples(folder / name), name


def test_one_machine_each_file_once_and_a_second_run_does_nothing(
    tmp_path: Path, model: Path
) -> None:
    clips, out = _clips(tmp_path / "clips", 6), tmp_path / "out"
    (clips / "bad.mp4").write_bytes(b"nothing of the kind" * 100)
    asked = (*_asked(clips, out, model), "--retries", "0")
    report, page = tmp_path / "report.json", tmp_path / "page.html"
    said = _run(*asked, "--report", report, "--page", page, code=1)
    assert "bad.mp4 is not a video that can be read" in said
    assert report.is_file() and "<svg" in page.read_text()
    (clips / "bad.mp4").unlink()
    _same_as_one_by_one(clips, out, model, tmp_path / "single")
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.mp4")}
    said = _run(*asked)
    assert "6 of 6 files are done already" in said
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.mp4")} == before
    assert "6" in _run("fleet", out, "--status")
    (out / "003.mp4").unlink()  # what is gone is made again, and nothing else
    _run(*asked)
    after = {path: path.stat().st_mtime_ns for path in out.glob("*.mp4")}
    assert {path for path in before if after[path] != before[path]} == {out / "003.mp4"}


def test_results_of_others_are_refused(tmp_path: Path, model: Path) -> None:
    clips, out = _clips(tmp_path / "clips", 2), tmp_path / "out"
    out.mkdir()
    (out / "001.mp4").write_bytes(b"somebody's")
    asked = _asked(clips, out, model)
    assert "use --overwrite to replace them" in _run(*asked, code=2)
    assert (out / "001.mp4").read_bytes() == b"somebody's"
    _run(*asked, "--overwrite")
    assert len(_samples(out / "001.mp4")) == 6


def test_a_model_that_cannot_be_loaded_is_said_once(tmp_path: Path) -> None:
    clips = _clips(tmp_path / "clips", 3)
    said = _run("fleet", clips, "-o", tmp_path / "out", "--provider", "cuda", code=1)
    assert said.count("CUDA") >= 1 and "Traceback" not in said


@pytest.fixture
def cluster() -> Iterator[object]:
    from ray.cluster_utils import Cluster

    paths = os.pathsep.join(str(ROOT / one) for one in (".", "models", "export"))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = paths
    one = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        yield one
    finally:
        one.shutdown()
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _workers() -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        if words.startswith("ray::Worker"):
            found.append(process)
    return found


def _killing(out: Path, until: threading.Event, each: int) -> threading.Thread:
    """Kills a worker each time that so many further results are there, however long that takes."""

    def run() -> None:
        killed_at = 0
        while not until.wait(0.05):
            if len(list(out.glob("*.mp4"))) >= killed_at + each:
                killed_at += each
                with suppress(psutil.NoSuchProcess, IndexError):
                    random.choice(_workers()).kill()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def bad_luck(cluster, tmp_path: Path, model: Path, count: int) -> None:
    """Workers killed every few seconds, a node removed and added, the driver killed and resumed."""
    clips, out = _clips(tmp_path / "clips", count), tmp_path / "out"
    node = cluster.add_node(num_cpus=1)
    asked = (
        *_asked(clips, out, model),
        "--ray", cluster.address, "--report", tmp_path / "report.json",
    )  # fmt: skip
    over = threading.Event()
    killer = _killing(out, over, each=6)
    try:
        with _stream(*asked) as first:
            _wait_for(out, count // 3)
            cluster.remove_node(node)
            _wait_for(out, count // 2)
            first.send_signal(signal.SIGKILL)
            first.wait(30)
        cluster.add_node(num_cpus=1)
        said = _run(*asked, "--resume")
    finally:
        over.set()
        killer.join()
    ledger = Ledger(out / ".stream-fleet.sqlite", reading=True)
    entries = ledger.entries()
    ledger.close()
    assert [one.state for one in entries] == [State.DONE] * count, said
    assert not list(out.glob(".*partial*"))
    _same_as_one_by_one(clips, out, model, tmp_path / "single")


def _wait_for(out: Path, results: int) -> None:
    deadline = time.monotonic() + 300
    while len(list(out.glob("*.mp4"))) < results:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_workers_nodes_and_the_driver_are_lost(cluster, tmp_path: Path, model: Path) -> None:
    bad_luck(cluster, tmp_path, model, 30)


def test_an_object_store_with_injected_errors(tmp_path: Path, model: Path) -> None:
    moto = pytest.importorskip("moto.server", reason="moto is the object store")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        given = {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_ENDPOINT_URL": address,
            "AWS_DEFAULT_REGION": "us-east-1",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
        with pytest.MonkeyPatch.context() as patch:
            for name, value in given.items():
                patch.setenv(name, value)
            import s3fs

            files = s3fs.S3FileSystem(skip_instance_cache=True)
            files.mkdir("bucket")
            clips = _clips(tmp_path / "clips", 4)
            for path in clips.iterdir():
                files.put_file(str(path), f"bucket/raw/deep/{path.name}")
            files.pipe("bucket/raw/bad.mp4", b"nothing of the kind" * 100)
            asked = (
                "fleet", "s3://bucket/raw/**/*.mp4", "-o", "s3://bucket/masked",
                "--model", model, "--provider", "cpu", "--no-timing", "--codec", "mpeg4",
                "--retries", "1",
                "--records", "ndjson",
            )  # fmt: skip
            said = _run(*asked, code=1)
            assert "s3://bucket/raw/bad.mp4" in said and "testing" not in said
            files.invalidate_cache()
            found = sorted(
                name.removeprefix("bucket/masked/") for name in files.find("bucket/masked")
            )
            expected = [
                f"deep/{place:03}.{ending}" for place in range(4) for ending in ("mp4", "ndjson")
            ]
            assert found == expected
            files.get_file("bucket/masked/deep/002.mp4", str(tmp_path / "got.mp4"))
            _run("file", clips / "002.mp4", "-o", tmp_path / "one.mp4", "--model", model,
                 "--provider", "cpu", "--no-timing", "--codec", "mpeg4")  # fmt: skip
            assert _samples(tmp_path / "got.mp4") == _samples(tmp_path / "one.mp4")
    finally:
        server.stop()
