"""What holds for the suite itself."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key

from tests import conftest
from tests.conftest import (
    GUARDED_ANEW_S,
    HANGS_S,
    LOADED_BY_COLLECTING,
    LONG,
    TOGETHER,
    WAITING,
    pytest_xdist_make_scheduler,
)

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "torchvision", "stream_models.network", "stream_export.blocks", "openvino",
         "ray", "supervision", "h5py", "scipy", "skimage.io"}  # fmt: skip


def test_collecting_loads_nothing_heavy(pytestconfig: pytest.Config) -> None:
    """Whoever runs the tests of one room does not wait for another's libraries."""
    loaded = pytestconfig.stash[LOADED_BY_COLLECTING]
    assert "tests.test_suite" in loaded
    assert not HEAVY & loaded


class _Node:
    """A worker that is sent tests and runs none."""

    shutting_down = False

    def __init__(self, tests: list[str]) -> None:
        self.tests, self.waiting = tests, list[str]()
        self.begun: list[str] = []
        self.gateway = SimpleNamespace(id="one")

    def send_runtest_some(self, places: list[int]) -> None:
        these = [self.tests[place] for place in places]
        self.waiting += these
        self.begun.append(these[0].partition("::")[0])

    def shutdown(self) -> None:
        self.shutting_down = True


@pytest.mark.parametrize(("cores", "workers", "waiting"), [(2, 4, 2), (2, 3, 1), (8, 4, 1)])
def test_some_workers_begin_with_what_waits_and_the_others_do_not(
    monkeypatch: pytest.MonkeyPatch, cores: int, workers: int, waiting: int
) -> None:
    remote = pytest.importorskip("xdist.remote")
    monkeypatch.setattr(conftest, "available_cores", lambda: cores)
    compute = [f"tests/a/test_{number}.py" for number in range(16)]
    wait = [f"{name.removesuffix('.py')}.py" for name in WAITING[: 2 * waiting]]
    with_pytorch = ["tests/export/test_1.py", "tests/models/test_2.py"]
    # What takes longest begins, wherever it lies.
    files = [*compute[:8], *with_pytorch, *reversed(wait), *compute[8:], *LONG]
    tests = [f"{file}::test_{number}" for file in files for number in range(4)]
    told = {"dist": "loadfile", "tx": [f"{workers}*popen"]}
    config = SimpleNamespace(
        getvalue=told.__getitem__, option=SimpleNamespace(loadscopereorder=False)
    )
    schedule = pytest_xdist_make_scheduler(
        cast("Any", config), remote.Producer("none", enabled=False)
    )
    assert schedule is not None
    nodes = [_Node(tests) for _ in range(workers)]
    for node in nodes:
        schedule.add_node(cast("Any", node))
        schedule.add_node_collection(cast("Any", node), tests)
    schedule.schedule()
    done = []
    while any(node.waiting for node in nodes):
        for node in nodes:
            if node.waiting:
                done.append(node.waiting.pop(0))
                schedule.mark_test_complete(cast("Any", node), tests.index(done[-1]))
    assert sorted(done) == sorted(tests)
    first, others = nodes[:waiting], nodes[waiting:]
    assert [node.begun[0] for node in first] == wait[:waiting]
    assert {file for node in first for file in node.begun[:2]} == set(wait)
    assert not set(wait) & {file for node in others for file in node.begun}
    assert sum("tests/export/test_1.py" in node.begun for node in nodes) == 1
    begun = [file for node in others for file in node.begun[:2]]
    assert {*LONG, compute[0]} < set(begun)
    assert not {*LONG} & {file for node in first for file in node.begun}


def test_each_test_is_guarded_for_as_long_as_it_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guard that is young enough serves the next test too, and one that takes longer has none."""
    now, told = [1000.0], list[float | None]()
    guards = SimpleNamespace(
        dump_traceback_later=lambda seconds, file, exit: told.append(seconds if exit else -1),
        cancel_dump_traceback_later=lambda: told.append(None),
    )
    monkeypatch.setattr(conftest, "faulthandler", guards)
    monkeypatch.setattr(conftest, "time", SimpleNamespace(monotonic=lambda: now[0]))
    stash = pytest.Stash()
    stash[fault_handler_stderr_fd_key] = 2
    config = SimpleNamespace(stash=stash)

    def begins(*limit: float) -> list[float | None]:
        marker = SimpleNamespace(args=limit) if limit else None
        told.clear()
        item = SimpleNamespace(config=config, get_closest_marker=lambda name: marker)
        conftest.pytest_runtest_protocol(cast(Any, item))
        return list(told)

    whole = HANGS_S + GUARDED_ANEW_S
    assert begins() == [whole] and begins() == []
    now[0] += GUARDED_ANEW_S  # as long as it may take is left, and no less
    assert begins() == [] and begins(HANGS_S - 1) == []
    now[0] += 1
    assert begins() == [whole]
    assert begins(HANGS_S) == [None] and begins(0) == [None]
    assert begins() == [whole] and begins() == []
    told.clear()
    conftest.pytest_unconfigure(cast(Any, config))
    assert told == [None]


def test_files_that_have_their_own_place_are_there() -> None:
    root = Path(__file__).parents[1]
    for name in (*WAITING, *LONG, *sum(TOGETHER.values(), ())):
        assert list(root.glob(f"{name}*")), f"{name} is no longer there"


def test_the_oldest_releases_that_are_tried_are_those_that_are_allowed():
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    allowed, tried = "\n".join(table["dependencies"]), (ROOT / ".ci" / "oldest.txt").read_text()
    lowest = dict(re.findall(r"^([\w-]+)>=([\d.]+)", allowed, re.MULTILINE))
    pins = dict(re.findall(r"^([\w-]+)==([\d.]+)", tried, re.MULTILINE))
    assert {"av", "numpy", "onnxruntime-gpu", "rich", "typer"} <= set(pins) <= set(lowest)
    for name, release in pins.items():
        assert f"{release}.0".startswith(f"{lowest[name]}."), name
