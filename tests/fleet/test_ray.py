"""The fleet on Ray: a cluster of several nodes on this machine, of which parts go away."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest

from stream.errors import StreamError
from stream.fleet.entries import State
from stream.fleet.ledger import Ledger
from stream.fleet.work import Task
from tests import tiny_models
from tests.fleet import doing
from tests.fleet.faulty_store import FaultyStore

pytestmark = pytest.mark.slow
ray = pytest.importorskip("ray", reason="a fleet needs the extra [fleet]")

ROOT = Path(__file__).resolve().parents[2]


# Ray's workers run at a niceness of 15, which is long in coming on a busy machine.
_AWAKE = {"RAY_worker_niceness": "0"}


def _clips(folder: Path, count: int, frames: int = 6, keys: int = 250) -> Path:
    """Clips of moving bright squares, each another."""
    folder.mkdir()
    noise = np.random.default_rng(3)
    for number in range(count):
        with av.open(str(folder / f"{number:03}.mp4"), "w") as out:
            video = out.add_stream(
                "libx264", rate=25, options={"preset": "ultrafast", "g": str(keys)}
            )
            video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
            at = noise.integers(0, 40, 2)
            for index in range(frames):
                planes = np.full((96, 96), 128, np.uint8)
                planes[:64] = 30 + number % 60
                planes[at[0] % 30 :][:20, at[1] + index % 30 :][:, :20] = 230
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
        env={**os.environ, "PYTHONPATH": paths, "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0", **_AWAKE},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **more,
    )


def _run(*words: object, code: int = 0) -> str:
    with _stream(*words) as process:
        said = process.communicate(timeout=1500)[0]
    assert process.returncode == code, said
    return said


def _asked(clips: Path, out: Path, model: Path) -> tuple[object, ...]:
    return (
        "fleet", clips, "-o", out, "--model", model, "--provider", "cpu", "--no-timing",
    )  # fmt: skip


def _samples(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tiny_models.bright(tmp_path / "bright.onnx", 200)


def _same_as_one_by_one(clips: Path, out: Path, model: Path, folder: Path, *how: object) -> None:
    """Compares each result with what `stream file` makes."""
    _run(
        "file", clips, "-o", folder, "--model", model, "--provider", "cpu", "--no-timing",
        "--quiet", *how,
    )  # fmt: skip
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


def _patiently(start: Callable[[], Any]) -> Any:
    """Starts a node; Ray gives it half a minute, which is not enough on a busy machine."""
    for left in reversed(range(4)):
        before = {one.pid for one in psutil.Process().children()}
        try:
            return start()
        except Exception as error:
            if not left or "timed out" not in str(error):
                raise
            for process in psutil.Process().children():
                if process.pid not in before:
                    process.kill()
                    process.wait(10)
    return None


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    from ray.cluster_utils import Cluster

    paths = os.pathsep.join(str(ROOT / one) for one in (".", "models", "export"))
    for name, value in {"PYTHONPATH": paths, **_AWAKE}.items():
        monkeypatch.setenv(name, value)
    one = _patiently(lambda: Cluster(initialize_head=True, head_node_args={"num_cpus": 1}))
    try:
        yield one
    finally:
        one.shutdown()


def _workers() -> list[psutil.Process]:
    """The workers of the cluster that this test has started, and of no other."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if " ".join(process.cmdline()).startswith("ray::Worker"):
                found.append(process)
    return found


def _killing(results: Callable[[], int], until: threading.Event, each: int) -> threading.Thread:
    """Kills a worker each time that so many further results are there, however long that takes."""

    def run() -> None:
        killed_at = 0
        while not until.wait(0.05):
            if results() >= killed_at + each:
                killed_at += each
                with suppress(psutil.NoSuchProcess, IndexError):
                    random.choice(_workers()).kill()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def bad_luck(cluster, tmp_path: Path, model: Path, count: int) -> None:
    """Workers killed every few seconds, a node removed and added, the driver killed and resumed."""
    clips, out = _clips(tmp_path / "clips", count), tmp_path / "out"
    node = _patiently(lambda: cluster.add_node(num_cpus=1))
    asked = (
        *_asked(clips, out, model),
        "--ray", cluster.address, "--report", tmp_path / "report.json",
    )  # fmt: skip
    over = threading.Event()
    killer = _killing(lambda: len(list(out.glob("*.mp4"))), over, each=6)
    try:
        with _stream(*asked) as first:
            _wait_for(out, count // 3)
            cluster.remove_node(node)
            _wait_for(out, count // 2)
            first.send_signal(signal.SIGKILL)
            first.wait(30)
        _patiently(lambda: cluster.add_node(num_cpus=1))
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
    _wait_until(lambda: len(list(out.glob("*.mp4"))) >= results)


def _wait_until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 900
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_workers_nodes_and_the_driver_are_lost(cluster, tmp_path: Path, model: Path) -> None:
    bad_luck(cluster, tmp_path, model, 30)


def test_without_an_address_no_other_cluster_is_joined(
    cluster, tmp_path: Path, model: Path
) -> None:
    clips, out = _clips(tmp_path / "clips", 1), tmp_path / "out"
    # Where Ray notes the cluster that was started last, and looks for one when it is told of none.
    note = Path("/tmp/ray/ray_current_cluster")
    before = note.read_text() if note.is_file() else None
    note.write_text(cluster.address)
    try:
        _run(*_asked(clips, out, model), "--cores", "2")  # the cluster's node has one
    finally:
        note.unlink() if before is None else note.write_text(before)


def test_a_worker_that_is_stuck_is_ended_and_its_file_done_by_another(
    cluster, tmp_path: Path, model: Path
) -> None:
    clips, out = _clips(tmp_path / "clips", 20), tmp_path / "out"
    asked = (*_asked(clips, out, model), "--ray", cluster.address, "--patience", "0.2")
    with _stream(*asked) as fleet:
        _wait_for(out, 3)
        stuck = next(iter(_workers()))
        stuck.suspend()
        said = fleet.communicate(timeout=400)[0]
    assert fleet.returncode == 0, said
    assert not stuck.is_running()
    ledger = Ledger(out / ".stream-fleet.sqlite", reading=True)
    entries = ledger.entries()
    ledger.close()
    assert [one.state for one in entries] == [State.DONE] * 20
    assert sum(one.lost for one in entries) == 1


def test_a_cluster_that_is_gone_ends_the_fleet_with_a_word(
    cluster, tmp_path: Path, model: Path
) -> None:
    clips, out = _clips(tmp_path / "clips", 60), tmp_path / "out"
    asked = (*_asked(clips, out, model), "--ray", cluster.address, "--patience", "0.2")
    with _stream(*asked) as fleet:
        _wait_for(out, 3)
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if process.name() in ("gcs_server", "raylet"):
                    process.kill()
        said = fleet.communicate(timeout=250)[0]
    assert fleet.returncode, said
    assert "Traceback" not in said
    done = len(list(out.glob("*.mp4")))
    assert 3 <= done < 60
    assert "missing" in _run("fleet", out, "--status")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FaultyStore]:
    moto = pytest.importorskip("moto.server", reason="moto is the object store")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    faulty = FaultyStore(*server.get_host_and_port(), lambda method, path, count: "")
    given = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_ENDPOINT_URL": faulty.address,
        "AWS_DEFAULT_REGION": "us-east-1",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    try:
        yield faulty
    finally:
        faulty.close()
        server.stop()


def _bucket(clips: Path) -> Any:
    import s3fs

    files = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
    files.mkdir("bucket")
    for path in clips.iterdir():
        files.put_file(str(path), f"bucket/raw/deep/{path.name}")
    return files


_IN_STORE = ("fleet", "s3://bucket/raw/**/*.mp4", "-o", "s3://bucket/masked", "--provider", "cpu",
             "--no-timing", "--codec", "libx264", "--crf", "0", "--records", "ndjson")  # fmt: skip


def test_an_object_store_that_fails_waits_and_breaks_off(
    store: FaultyStore, tmp_path: Path, model: Path
) -> None:
    """One request in six fails in one of five ways; every try of one file's upload does."""
    clips = _clips(tmp_path / "clips", 3, frames=32, keys=16)
    files = _bucket(clips)
    files.pipe("bucket/raw/bad.mp4", b"nothing of the kind" * 100)
    kinds = ["500", "slow", "reset", "503", "half"]

    def fault(method: str, path: str, count: int) -> str:
        if method in ("PUT", "POST") and path.partition("?")[0].endswith("masked/deep/002.mp4"):
            return "500"
        return kinds[count // 6 % 5] if count % 6 == 5 else ""

    store.fault = fault
    report = tmp_path / "report.json"
    asked = (
        *_IN_STORE, "--model", model, "--retries", "1", "--report", report,
        "--part-minutes", "0.01",
    )  # fmt: skip
    said = _run(*asked, code=1)
    store.fault = lambda method, path, count: ""
    assert report.is_file(), said
    assert set(store.faults) == set(kinds), store.faults
    failed = {one["input"]: one for one in json.loads(report.read_text())["failed"]}
    assert {"s3://bucket/raw/bad.mp4", "s3://bucket/raw/deep/002.mp4"} <= set(failed), said
    assert failed["s3://bucket/raw/bad.mp4"]["tries"] == 2
    assert "cannot be written" in failed["s3://bucket/raw/deep/002.mp4"]["error"]
    assert all(one in said for one in failed) and "testing" not in said
    # What failed for good is missing, and of nothing there is half.
    expected = _expected(clips, tmp_path / "one", model)
    missing = {one.rpartition("/")[2].removesuffix(".mp4") for one in failed}
    _same_in_store(files, {name: one for name, one in expected.items() if name not in missing})
    said = _run(*asked, "--resume", code=1)
    _same_in_store(files, expected)
    assert "bad.mp4" in said and not [name for name in files.find("bucket") if "/." in name]


def _expected(clips: Path, folder: Path, model: Path) -> dict[str, tuple[list[bytes], bytes]]:
    """The pictures and the records of each clip done at once, by its name."""
    worker = doing.a_worker(doing.a_plan(model))
    found = {}
    folder.mkdir()
    for path in clips.iterdir():
        targets = (str(folder / path.name), str(folder / f"{path.stem}.ndjson"))
        assert worker.do(Task(1, str(path), targets)).error is None
        found[path.stem] = (_samples(Path(targets[0])), Path(targets[1]).read_bytes())
    return found


def _same_in_store(files: Any, expected: dict[str, tuple[list[bytes], bytes]]) -> None:
    """Each video that is there is whole, with its records; and those are there that should be."""
    there = [name for name in files.find("bucket/masked") if name.endswith(".mp4")]
    assert sorted(Path(name).stem for name in there if "/." not in name) == sorted(expected)
    for name, (pictures, records) in expected.items():
        with files.open(f"bucket/masked/deep/{name}.mp4") as file, av.open(file) as container:
            found = [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]
        assert found == pictures
        assert files.cat(f"bucket/masked/deep/{name}.ndjson") == records


def test_parts_of_files_are_lost_and_gone_on_with(cluster, tmp_path: Path, model: Path) -> None:
    bad_luck_in_parts(cluster, tmp_path, model, 4)


def bad_luck_in_parts(cluster, tmp_path: Path, model: Path, count: int) -> None:
    """The same of files in four parts each; without loss, as encoders begin at each part."""
    clips, out = _clips(tmp_path / "clips", count, frames=96, keys=12), tmp_path / "out"
    words = ("--codec", "libx264", "--crf", "0", "--records", "ndjson")
    asked = (
        *_asked(clips, out, model), *words, "--part-minutes", "0.01",
        "--ray", cluster.address, "--report", tmp_path / "report.json",
    )  # fmt: skip
    node = _patiently(lambda: cluster.add_node(num_cpus=1))
    over = threading.Event()
    killer = _killing(lambda: _parts_done(out), over, each=8)
    try:
        with _stream(*asked) as first:
            _wait_until(lambda: _parts_done(out) >= 2 * count)
            cluster.remove_node(node)
            _wait_until(lambda: _parts_done(out) >= 5 * count)
            first.send_signal(signal.SIGKILL)
            first.wait(30)
        assert "missing" in _run("fleet", out, "--status")
        _patiently(lambda: cluster.add_node(num_cpus=1))
        _run(*asked, "--resume")
    finally:
        over.set()
        killer.join()
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["files"]["done"] == count and len(report["parts"]) == count
    assert all(one["parts"] == 4 and one["done"] == one["tasks"] for one in report["parts"])
    left = [path.name for path in out.iterdir() if path.name[0] == "."]
    assert all(name.startswith(".stream-fleet.sqlite") for name in left), left
    _same_as_one_by_one(clips, out, model, tmp_path / "single", *words[:-2])
    expected = _expected(clips, tmp_path / "one", model)
    for name, (_, records) in expected.items():
        assert (out / f"{name}.ndjson").read_bytes() == records


def _parts_done(out: Path) -> int:
    """How many tasks of parts the ledger knows to be done."""
    path = out / ".stream-fleet.sqlite"
    if not path.is_file():
        return 0
    try:
        ledger = Ledger(path, reading=True)
    except StreamError:
        return 0  # it is being made
    try:
        tasks = [one for of in ledger.parts().values() for one in of]
        return sum(one.state == State.DONE for one in tasks)
    except sqlite3.Error:
        return 0
    finally:
        ledger.close()
