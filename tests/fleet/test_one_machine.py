"""`stream fleet` without Ray, as users run it: killed, interrupted, gone on with; and storage."""

from __future__ import annotations

import json
import os
import signal
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import psutil
import pytest

from stream.fleet.entries import State
from stream.fleet.ledger import Ledger
from tests import tiny_models
from tests.fleet.clips import make_clips
from tests.fleet.command import (
    asked,
    done_of,
    expected_of,
    killing,
    model,
    run,
    same_as_one_by_one,
    samples,
    stream,
    wait_for,
    workers,
)
from tests.fleet.faulty_store import FaultyStore

__all__ = ["model"]

pytestmark = pytest.mark.slow


def test_one_machine_each_file_once_and_a_second_run_does_nothing(
    tmp_path: Path, model: Path
) -> None:
    clips, out = make_clips(tmp_path / "clips", 6), tmp_path / "out"
    (clips / "bad.mp4").write_bytes(b"nothing of the kind" * 100)
    words = (*asked(clips, out, model), "--retries", "0")
    report, page = tmp_path / "report.json", tmp_path / "page.html"
    said = run(*words, "--report", report, "--page", page, code=1)
    assert "bad.mp4 is not a video that can be read" in said
    assert report.is_file() and "<svg" in page.read_text()
    (clips / "bad.mp4").unlink()
    same_as_one_by_one(clips, out, model, tmp_path / "single")
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.mp4")}
    said = run(*words)
    assert "6 of 6 files are done already" in said
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.mp4")} == before
    assert "6" in run("fleet", out, "--status")
    (out / "003.mp4").unlink()  # what is gone is made again, and nothing else
    run(*words)
    after = {path: path.stat().st_mtime_ns for path in out.glob("*.mp4")}
    assert {path for path in before if after[path] != before[path]} == {out / "003.mp4"}


def test_results_of_others_are_refused(tmp_path: Path, model: Path) -> None:
    clips, out = make_clips(tmp_path / "clips", 2), tmp_path / "out"
    out.mkdir()
    (out / "001.mp4").write_bytes(b"somebody's")
    words = asked(clips, out, model)
    assert "use --overwrite to replace them" in run(*words, code=2)
    assert (out / "001.mp4").read_bytes() == b"somebody's"
    run(*words, "--overwrite")
    assert len(samples(out / "001.mp4")) == 6


def test_a_configuration_file_runs_a_fleet(tmp_path: Path, model: Path) -> None:
    clips, out = make_clips(tmp_path / "clips", 2), tmp_path / "out"
    config = tmp_path / "night.toml"
    words = (*asked(clips, out, model), "--look", "grey", "--records", "ndjson", "--workers", "1")
    assert "stream run" in run(*words, "--save-config", config)
    assert not out.exists()
    run("run", config)
    same_as_one_by_one(clips, out, model, tmp_path / "single", "--look", "grey")
    assert sorted(path.name for path in out.glob("*.ndjson")) == ["000.ndjson", "001.ndjson"]
    # The same that the command line asks for: nothing is left to do.
    assert "2 of 2 files are done already" in run(*words)
    more = config.read_text() + '\n[[source]]\ntarget = "more/"\n'
    config.write_text(more.replace("[[output]]", "[[source.output]]"))
    assert "is of a fleet, which has one [[source]]" in run("run", config, code=2)


def test_a_model_that_cannot_be_loaded_is_said_once(tmp_path: Path) -> None:
    clips = make_clips(tmp_path / "clips", 3)
    said = run("fleet", clips, "-o", tmp_path / "out", "--provider", "cuda", code=1)
    assert said.count("CUDA") >= 1 and "Traceback" not in said


def _killed(words: tuple[object, ...], out: Path, results: int) -> None:
    """Kills a driver once so many results are there; its workers end by themselves."""
    with stream(*words) as driver:
        wait_for(driver, out, results)
        orphans = workers()
        driver.kill()
        driver.wait()
    assert not psutil.wait_procs(orphans, 300)[1]


def bad_luck(
    tmp_path: Path, model: Path, count: int, *how: str, each: int, deaths: Sequence[float]
) -> None:
    """Workers are killed all the time, and the driver where so much of the work is done.

    Args:
        tmp_path: for films and results.
        model: that is used.
        count: films.
        how: they are done.
        each: so many results lie between two killed workers.
        deaths: of the driver, as shares of the films that are done then.
    """
    clips = make_clips(tmp_path / "clips", count, frames=96 if how else 6, keys=12)
    out = tmp_path / "out"
    lossless = ("--codec", "libx264", "--crf", "0")
    words = (*asked(clips, out, model), *lossless, "--report", tmp_path / "report.json", *how)
    over = threading.Event()
    killer = killing(lambda: len(list(out.glob("*.mp4"))), over, each=each)
    done: dict[str, tuple[int, int]] = {}
    try:
        for number, share in enumerate(deaths):
            _killed((*words, "--resume") if number else words, out, int(count * share))
            # What was done when the driver was killed before was not done again.
            assert done.items() <= done_of(out).items()
            done = done_of(out)
        said = run(*words, "--resume")
    finally:
        over.set()
        killer.join()
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["files"]["done"] == count, said
    assert done and done.items() <= done_of(out).items()
    left = [path.name for path in out.iterdir() if path.name[0] == "."]
    assert all(name.startswith(".stream-fleet.sqlite") for name in left), left
    same_as_one_by_one(clips, out, model, tmp_path / "single", *lossless)


@pytest.mark.parametrize("how", [(), ("--part-minutes", "0.01")], ids=["files", "parts"])
def test_workers_and_the_driver_are_killed(
    tmp_path: Path, model: Path, how: tuple[str, ...]
) -> None:
    count, each = (6, 2) if how else (24, 5)
    bad_luck(tmp_path, model, count, *how, each=each, deaths=[1 / 3])


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c(tmp_path: Path, times: int) -> None:
    """The terminal sends it to all that runs there; workers finish, or are ended by the driver."""
    clips, out = make_clips(tmp_path / "clips", 30), tmp_path / "out"
    words = asked(clips, out, tiny_models.slow(tmp_path / "slow.onnx", 100))
    with stream(*words, start_new_session=True) as driver:
        wait_for(driver, out, 2)
        started = workers()
        for _ in range(times):
            os.killpg(driver.pid, signal.SIGINT)
        said = driver.communicate(timeout=300)[0]
    assert not psutil.wait_procs(started, 300)[1]
    with closing(Ledger(out / ".stream-fleet.sqlite", reading=True)) as ledger:
        states = [one.state for one in ledger.entries()]
    missing = sum(state != State.DONE for state in states)
    # However late it came: it says what is missing, and nothing failed or is half there.
    assert driver.returncode == (-signal.SIGINT if missing else 0), said
    assert State.FAILED not in states and "Traceback" not in said
    if missing and times == 1:
        assert "interrupted; the same command goes on with what is missing" in said
    if times == 1:
        assert State.RUNNING not in states
        assert not [path for path in out.iterdir() if "partial" in path.name]
    run(*words, "--resume")
    assert len(list(out.glob("*.mp4"))) == 30
    assert not [path for path in out.iterdir() if "partial" in path.name]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FaultyStore]:
    moto = pytest.importorskip("moto.server", reason="moto is the object store")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    # What another test has left there is in this process.
    urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b"").close()
    faulty = FaultyStore(host, port, lambda method, path, count: "")
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
    clips = make_clips(tmp_path / "clips", 3, frames=32, keys=16)
    files = _bucket(clips)
    files.pipe("bucket/raw/bad.mp4", b"nothing of the kind" * 100)
    kinds = ["500", "slow", "reset", "503", "half"]

    def fault(method: str, path: str, count: int) -> str:
        if method in ("PUT", "POST") and path.partition("?")[0].endswith("masked/deep/002.mp4"):
            return "500"
        return kinds[count // 6 % 5] if count % 6 == 5 else ""

    store.fault = fault
    report = tmp_path / "report.json"
    words = (
        *_IN_STORE, "--model", model, "--retries", "1", "--report", report,
        "--part-minutes", "0.01",
    )  # fmt: skip
    said = run(*words, code=1)
    store.fault = lambda method, path, count: ""
    assert report.is_file(), said
    assert set(store.faults) == set(kinds), store.faults
    failed = {one["input"]: one for one in json.loads(report.read_text())["failed"]}
    assert {"s3://bucket/raw/bad.mp4", "s3://bucket/raw/deep/002.mp4"} <= set(failed), said
    assert failed["s3://bucket/raw/bad.mp4"]["tries"] == 2
    assert "cannot be written" in failed["s3://bucket/raw/deep/002.mp4"]["error"]
    assert all(one in said for one in failed) and "testing" not in said
    # What failed for good is missing, and of nothing there is half.
    expected = expected_of(clips, tmp_path / "one", model)
    missing = {one.rpartition("/")[2].removesuffix(".mp4") for one in failed}
    _same_in_store(files, {name: one for name, one in expected.items() if name not in missing})
    said = run(*words, "--resume", code=1)
    _same_in_store(files, expected)
    assert "bad.mp4" in said and not [name for name in files.find("bucket") if "/." in name]


def test_credentials_that_run_out_do_not_fail_the_archive(
    store: FaultyStore, tmp_path: Path, model: Path
) -> None:
    clips = make_clips(tmp_path / "clips", 14, frames=2)
    files = _bucket(clips)
    got: set[str] = set()

    def fault(method: str, path: str, count: int) -> str:
        # Asking about a film, S3 says nothing but 400.
        if method not in ("GET", "HEAD") or not path.partition("?")[0].endswith(".mp4"):
            return ""
        if "/raw/deep/" not in path:
            return ""
        got.add(path)
        return "expired" if len(got) > 2 else ""

    store.fault = fault
    words = (*_IN_STORE, "--model", model, "--retries", "3")
    # Workers have as long to begin.
    said = " ".join(run(*words, "--patience", "0.3", code=1).split())
    assert "no film could be fetched for 0.3 minutes, the last" in said
    store.fault = lambda method, path, count: ""
    said = run(*words, "--resume")
    assert len([name for name in files.find("bucket/masked") if name.endswith(".mp4")]) == 14


def test_a_film_that_is_replaced_while_it_is_fetched(
    store: FaultyStore, tmp_path: Path, model: Path
) -> None:
    """A connection breaks off, and what comes behind is another film's: it is fetched anew."""
    (old,) = make_clips(tmp_path / "old", 1, frames=12).iterdir()
    clips = make_clips(tmp_path / "clips", 1, frames=8)
    files = _bucket(tmp_path / "old")
    begun: list[str] = []

    def fault(method: str, path: str, count: int) -> str:
        if method != "GET" or not path.partition("?")[0].endswith(f"/raw/deep/{old.name}"):
            return ""
        begun.append(path)
        if len(begun) == 1:
            return "half"
        if len(begun) == 2:
            files.put_file(str(clips / old.name), f"bucket/raw/deep/{old.name}")
        return ""

    store.fault = fault
    words = (*_IN_STORE, "--model", model)
    said = run(*words, "--retries", "0", code=1)
    assert "was replaced while it was fetched" in " ".join(said.split())
    run(*words, "--resume")
    _same_in_store(files, expected_of(clips, tmp_path / "one", model))


def _same_in_store(files: Any, expected: dict[str, tuple[list[bytes], bytes]]) -> None:
    """Each video that is there is whole, with its records; and those are there that should be."""
    there = [name for name in files.find("bucket/masked") if name.endswith(".mp4")]
    assert sorted(Path(name).stem for name in there if "/." not in name) == sorted(expected)
    for name, (pictures, records) in expected.items():
        with files.open(f"bucket/masked/deep/{name}.mp4") as file, av.open(file) as container:
            found = [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]
        assert found == pictures
        assert files.cat(f"bucket/masked/deep/{name}.ndjson") == records
