"""The fleet on Ray: a cluster of several nodes on this machine, of which parts go away."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from stream.fleet.entries import State
from stream.fleet.ledger import Ledger
from tests.fleet.clips import make_clips
from tests.fleet.command import (
    AWAKE,
    ROOT,
    asked,
    done_of,
    expected_of,
    killing,
    model,
    parts_done,
    run,
    same_as_one_by_one,
    stream,
    wait_for,
    wait_until,
    workers,
)
from tests.fleet.halting import HALTS_AFTER
from tests.sources.serving import free_port

__all__ = ["model"]

pytestmark = pytest.mark.slow
if importlib.util.find_spec("ray") is None:
    pytest.skip("a fleet needs the extra [fleet]", allow_module_level=True)


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
    with _cluster(monkeypatch) as one:
        yield one


@contextmanager
def _cluster(monkeypatch: pytest.MonkeyPatch, **more: object) -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    paths = os.pathsep.join(str(ROOT / one) for one in (".", "models", "export"))
    # gRPC's handlers of forks end what Ray's client server starts (grpcio 1.85).
    given = {"PYTHONPATH": paths, "GRPC_ENABLE_FORK_SUPPORT": "0", **AWAKE}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    head = {"num_cpus": 1, **more}
    one = _patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
    try:
        yield one
    finally:
        one.shutdown()


def bad_luck(cluster, tmp_path: Path, model: Path, count: int, address: str | None = None) -> None:
    """Workers killed every few seconds, a node removed and added, the driver killed and resumed."""
    clips, out = make_clips(tmp_path / "clips", count), tmp_path / "out"
    node = _patiently(lambda: cluster.add_node(num_cpus=1))
    given = (
        *asked(clips, out, model),
        "--ray", address or cluster.address, "--report", tmp_path / "report.json",
    )  # fmt: skip
    over = threading.Event()
    killer = killing(lambda: len(list(out.glob("*.mp4"))), over, each=6)
    try:
        with stream(*given) as first:
            wait_for(first, out, count // 3)
            cluster.remove_node(node)
            wait_for(first, out, count // 2)
            first.send_signal(signal.SIGKILL)
            first.wait(30)
        done = done_of(out)
        assert len(done) >= count // 3
        _patiently(lambda: cluster.add_node(num_cpus=1))
        said = run(*given, "--resume")
    finally:
        over.set()
        killer.join()
    ledger = Ledger(out / ".stream-fleet.sqlite", reading=True)
    entries = ledger.entries()
    ledger.close()
    assert [one.state for one in entries] == [State.DONE] * count, said
    # What was done when the driver was killed was not done again.
    assert done.items() <= done_of(out).items()
    assert not list(out.glob(".*partial*"))
    same_as_one_by_one(clips, out, model, tmp_path / "single")


def test_workers_nodes_and_the_driver_are_lost(cluster, tmp_path: Path, model: Path) -> None:
    bad_luck(cluster, tmp_path, model, 30)


@pytest.mark.timeout(900)
@pytest.mark.real_time  # Ray gives what its client starts half a minute
def test_the_same_through_rays_client(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    with _cluster(monkeypatch, ray_client_server_port=port) as cluster:
        # Where it listens is the node's own address, not any of the machine's.
        host = cluster.address.rpartition(":")[0]
        bad_luck(cluster, tmp_path, model, 9, f"ray://{host}:{port}")


def test_a_ray_of_its_own_joins_no_other_cluster(cluster, tmp_path: Path, model: Path) -> None:
    clips, out = make_clips(tmp_path / "clips", 1), tmp_path / "out"
    # Where Ray notes the cluster that was started last, and looks for one when it is told of none.
    note = Path("/tmp/ray/ray_current_cluster")
    before = note.read_text() if note.is_file() else None
    note.write_text(cluster.address)
    try:
        run(
            *asked(clips, out, model), "--ray", "local", "--cores", "2"
        )  # the cluster's node has one
    finally:
        note.unlink() if before is None else note.write_text(before)


def test_a_worker_that_is_stuck_is_ended_and_its_file_done_by_another(
    cluster, tmp_path: Path, model: Path
) -> None:
    (film,) = make_clips(tmp_path / "clips", 1).iterdir()
    words = [cluster.address, str(model), str(film), str(tmp_path / "out.mp4")]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fleet.stuck_worker", *words],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as driver:  # fmt: skip
        assert driver.stdin is not None and driver.stdout is not None
        assert driver.stdout.readline() == "ready\n"
        (stuck,) = workers()
        stuck.suspend()
        driver.stdin.write("go on\n")
        driver.stdin.flush()
        assert "nothing came of it" in driver.stdout.readline()
        stuck.wait(120)
        assert driver.stdout.readline() == "done: None\n"
    assert driver.returncode == 0
    assert (tmp_path / "out.mp4").is_file()


@pytest.mark.parametrize("kinds", [("gcs_server",), ("gcs_server", "raylet")], ids=" ".join)
def test_without_its_head_a_fleet_ends_with_the_table_and_goes_on_in_another_cluster(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, kinds: tuple[str, ...]
) -> None:
    clips, out = make_clips(tmp_path / "clips", 20), tmp_path / "out"
    note = tmp_path / "halted"
    with _cluster(monkeypatch) as cluster, monkeypatch.context() as patience:
        # Ray ends its programs after so many seconds without a head, a fleet after half of them.
        patience.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "60")
        words = (*asked(clips, out, model), "--ray", cluster.address, "--workers", "1")
        # It goes on when all that is to be gone is, however long that takes.
        with stream(note, *words, program="tests.fleet.halting", stdin=subprocess.PIPE) as fleet:
            wait_until(fleet, note.is_file)
            (worker,) = workers()
            worker.suspend()
            killed = {}
            for process in psutil.Process().children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    if process.name() in kinds:
                        killed[process] = process.name()
                        process.kill()
            assert set(killed.values()) == set(kinds)
            assert psutil.wait_procs(killed, 60)[1] == []
            said = fleet.communicate("go on\n", timeout=250)[0]
        with suppress(psutil.NoSuchProcess):
            worker.kill()
    assert fleet.returncode == 1, said
    assert "Traceback" not in said and "missing" in run("fleet", out, "--status")
    assert "the cluster's head does not answer any more at" in said and "│    20 │" in said
    done = done_of(out)
    assert HALTS_AFTER <= len(done) < 20
    with _cluster(monkeypatch) as cluster:
        run(*asked(clips, out, model), "--ray", cluster.address, "--resume")
    after = done_of(out)
    assert len(after) == 20 and done.items() <= after.items()


def test_parts_of_files_are_lost_and_gone_on_with(cluster, tmp_path: Path, model: Path) -> None:
    bad_luck_in_parts(cluster, tmp_path, model, 4)


def bad_luck_in_parts(cluster, tmp_path: Path, model: Path, count: int) -> None:
    """The same of files in four parts each; without loss, as encoders begin at each part."""
    clips, out = make_clips(tmp_path / "clips", count, frames=96, keys=12), tmp_path / "out"
    words = ("--codec", "libx264", "--crf", "0", "--records", "ndjson")
    given = (
        *asked(clips, out, model), *words, "--part-minutes", "0.01",
        "--ray", cluster.address, "--report", tmp_path / "report.json",
    )  # fmt: skip
    node = _patiently(lambda: cluster.add_node(num_cpus=1))
    over = threading.Event()
    killer = killing(lambda: parts_done(out), over, each=8)
    try:
        with stream(*given) as first:
            wait_until(first, lambda: parts_done(out) >= 2 * count)
            cluster.remove_node(node)
            wait_until(first, lambda: parts_done(out) >= 5 * count)
            first.send_signal(signal.SIGKILL)
            first.wait(30)
        assert "missing" in run("fleet", out, "--status")
        _patiently(lambda: cluster.add_node(num_cpus=1))
        run(*given, "--resume")
    finally:
        over.set()
        killer.join()
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["files"]["done"] == count and len(report["parts"]) == count
    assert all(one["parts"] == 4 and one["done"] == one["tasks"] for one in report["parts"])
    left = [path.name for path in out.iterdir() if path.name[0] == "."]
    assert all(name.startswith(".stream-fleet.sqlite") for name in left), left
    same_as_one_by_one(clips, out, model, tmp_path / "single", *words[:-2])
    expected = expected_of(clips, tmp_path / "one", model)
    for name, (_, records) in expected.items():
        assert (out / f"{name}.ndjson").read_bytes() == records
