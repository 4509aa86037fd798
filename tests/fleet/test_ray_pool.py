"""Ray's workers without Ray: what it prints by itself is no result."""

from __future__ import annotations

import logging
import socket
import sys
import threading
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from stream.errors import OutOfReachError, StreamError
from stream.fleet.pool import Need
from stream.fleet.ray_pool import Head, RayPool
from stream.run.plan import RunPlan
from tests.fleet.doing import a_plan
from tests.sources.serving import free_port


class _Ray(ModuleType):
    """Prints as Ray does: where it begins, and in a thread of its own where a machine is lost."""

    answers = True
    head = "none"

    def __init__(self) -> None:
        super().__init__("ray")
        self.exceptions = SimpleNamespace(RayError=RuntimeError, RayTaskError=KeyError)

    def is_initialized(self) -> bool:
        return False

    def init(self, **_: object) -> None:
        print("it begins")
        if not self.answers:
            raise ConnectionError("nobody is there")

    def nodes(self) -> list[dict[str, object]]:
        return [{"NodeID": "a", "Alive": True, "Resources": {"CPU": 2.0}}]

    def remote(self, **_: object) -> object:
        return lambda worker: worker

    def shutdown(self) -> None:
        return

    def get_runtime_context(self) -> SimpleNamespace:
        return SimpleNamespace(gcs_address=self.head, get_node_id=lambda: "a")

    def lose_a_machine(self) -> None:
        printing = threading.Thread(target=print, args=("(raylet) it is gone\n  [state] 1",))
        printing.start()
        printing.join()


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> _Ray:
    one = _Ray()
    monkeypatch.setitem(sys.modules, "ray", one)
    return one


def test_what_ray_prints_is_not_on_standard_output(
    ray: _Ray, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "stream"):
        pool = RayPool(a_plan("none.onnx"), Need(), "auto")
        ray.lose_a_machine()
        pool.close()
    print("the results")
    assert capsys.readouterr().out == "the results\n"
    said = ["Ray: it begins", "Ray: (raylet) it is gone", "Ray:   [state] 1"]
    assert [one for one in caplog.messages if one.startswith("Ray: ")] == said


def test_standard_output_is_given_back_where_ray_does_not_answer(
    ray: _Ray, capsys: pytest.CaptureFixture[str]
) -> None:
    ray.answers = False
    with pytest.raises(OutOfReachError, match="Ray does not answer at auto: nobody is there"):
        RayPool(a_plan("none.onnx"), Need(), "auto")
    print("the results")
    assert capsys.readouterr().out == "the results\n"


@pytest.mark.parametrize("begin", ["", "ray://"])
def test_where_nobody_listens_that_is_said_at_once(ray: _Ray, begin: str) -> None:
    ray.init = pytest.fail  # type: ignore[assignment,method-assign] - it would wait for minutes
    address = f"{begin}127.0.0.1:{free_port()}"
    with pytest.raises(
        OutOfReachError, match=f"Ray does not answer at {address}: .*refused; check"
    ):
        RayPool(a_plan("none.onnx"), Need(), address)


def test_a_machine_that_listens_is_asked_by_ray(ray: _Ray) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        RayPool(a_plan("none.onnx"), Need(), address).close()


@pytest.mark.parametrize("mode", [None, "token", "disabled"])
def test_a_cluster_that_wants_a_token_is_told_of(
    ray: _Ray, mode: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray says only that it cannot connect, and gives its token where it is told to."""
    ray.answers = False
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if mode is not None:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(OutOfReachError, match="nobody is there") as raised:
            RayPool(a_plan("none.onnx"), Need(), address)
    assert ("set RAY_AUTH_MODE=token here" in str(raised.value)) == (mode != "token")


def test_workers_are_told_of_files_by_names_that_hold_in_their_folder(
    ray: _Ray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[RunPlan] = []

    class Actor:
        prepare = SimpleNamespace(remote=object)

        def __init__(self, plan: RunPlan, cores: int) -> None:
            given.append(plan)

    monkeypatch.setattr(ray, "remote", lambda **_: lambda _: SimpleNamespace(remote=Actor))
    monkeypatch.setattr(ray, "kill", lambda _: None, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.onnx").touch()
    pool = RayPool(a_plan("mine.onnx"), Need(), "auto")
    pool.free(1)
    pool.close()
    assert {one.model.model for one in given} == {str(tmp_path / "mine.onnx")}


def test_a_head_that_is_gone_for_half_of_rays_patience_ends_the_fleet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ray itself would end the program then, before anybody is told what was done."""
    hands = iter((0.0, 100.0, 101.0, 103.0, 129.0, 132.0, 190.0, 195.0))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        head = Head(address, lambda: next(hands))
        head.look()
        assert head.there
    head.look()
    assert head.there, "as it was asked just now"
    for _ in range(2):
        head.look()
        assert not head.there, "and may come back"
    with pytest.raises(StreamError, match=rf"head does not answer any more at {address} \("):
        head.look()
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "600")
    head.look()
    with socket.create_server(("127.0.0.1", int(address.rpartition(":")[2]))):
        head.look()
        assert head.there


def test_a_cluster_without_machines_is_told_from_one_without_room(ray: _Ray) -> None:
    """Its head may answer where Ray has ended on all of them."""
    now = 0.0
    pool = RayPool(a_plan("none.onnx"), Need(patience=60), "auto", clock=lambda: now)
    for alive, said in ((False, "Ray has run on no machine of"), (True, "no machine has had a")):
        ray.nodes = lambda alive=alive: [{"NodeID": "b", "Alive": alive, "Resources": {}}]  # type: ignore[method-assign]
        now += 20.0
        assert pool.free(1) == 0 and pool.note.startswith(said)
    ray.nodes = lambda: []  # type: ignore[method-assign]
    now += 60.0
    assert pool.free(1) == 0
    with pytest.raises(StreamError, match="for 1 minute Ray has run on no machine of the clu"):
        pool.wait(0)
    pool.close()


def test_where_ray_has_ended_on_its_own_machine_the_fleet_does(ray: _Ray) -> None:
    """Elsewhere there is room, but Ray starts nothing there for it."""
    now = 0.0
    pool = RayPool(a_plan("none.onnx"), Need(), "auto", clock=lambda: now)
    about = {"b": True, "a": False}
    ray.nodes = lambda: [  # type: ignore[method-assign]
        {"NodeID": one, "Alive": alive, "Resources": {"CPU": 2.0}} for one, alive in about.items()
    ]
    with pytest.raises(StreamError, match="Ray has ended on the machine that this command runs"):
        pool.free(1)
    pool.close()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        far = f"ray://127.0.0.1:{listening.getsockname()[1]}"
        pool = RayPool(a_plan("none.onnx"), Need(), far, clock=lambda: now)
    assert pool._places() == 2, "its server is on one of the others"
    pool.close()


def test_nothing_is_asked_of_ray_that_waits_for_its_head(
    ray: _Ray, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ray.head = f"127.0.0.1:{listening.getsockname()[1]}"
        pool = RayPool(a_plan("none.onnx"), Need(), ray.head, clock=lambda: now)
    monkeypatch.setattr(ray, "nodes", lambda: pytest.fail("it would wait, and end the program"))
    monkeypatch.setattr(ray, "shutdown", lambda: pytest.fail("it would wait, and end the program"))
    now = 10.0
    assert pool.free(3) == 0
    pool.close()
    print("standard output is given back")
