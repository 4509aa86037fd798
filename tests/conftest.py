"""What holds for every test: no error logged, no thread, process or open file left behind."""

from __future__ import annotations

import faulthandler
import gc
import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key
from hypothesis import settings

from stream.system.cpu import available_cores
from stream.wording import addresses

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling
    from xdist.workermanage import WorkerController

    from stream.inference.route import Route

# SVT-AV1 reads this once in a process, also where a test's own clip is the first it encodes.
os.environ.setdefault("SVT_LOG", "1")

# PyTorch's threads wait busily for each other. With a worker of ours on each core they would take
# the processor from one another: the same tests took three times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts `pytest` in the background has it ignore Ctrl-C, and so each process that a
# test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Images of containers keep no compiled modules. Each worker would compile all tests anew, and each
# of a hundred processes that tests start the program: together that is a sixth of the quick suite.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# NumPy's begin when it is loaded, in each process that a test starts, and take a third of that.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

SHARED = Path(__file__).resolve().parents[2] / "shared"

# Properties have few examples, the same everywhere; `thorough` tries many new ones.
settings.register_profile("quick", max_examples=25, deadline=None, derandomize=True)
settings.register_profile("thorough", max_examples=200, deadline=None)
settings.load_profile("quick")

LOADED_BY_COLLECTING = pytest.StashKey[frozenset[str]]()
"""The names of the modules that were there when the tests had been collected."""

TOGETHER = {
    "torch": (
        *("tests/contracts/test_converters.py", "tests/export/", "tests/inference/test_resize.py"),
        *("tests/models/", "tests/test_docs.py", "tests/test_on_a_card.py", "tests/test_roi.py"),
    ),
    "supervision": (
        *("tests/bench/test_bench.py", "tests/bench/test_obvious.py"),
        *("tests/contracts/test_trackers.py", "tests/objects/test_detections.py"),
        *("tests/test_docs_python.py", "tests/tracking/test_identity.py"),
        "tests/tracking/trackers/",
    ),
    "matplotlib": (
        *("tests/cli/test_records.py", "tests/run/test_counting.py", "tests/run/test_plot.py"),
        "tests/test_frame_time.py",
    ),
}
"""Files whose tests load a library that takes a second of processor and more, by the start of their
names; each library has a worker, where it is loaded once."""

WAITING = (
    *("tests/sources/test_network", "tests/serve/test_server.py", "tests/sinks/test_window"),
    *("tests/cli/test_webcam.py", "tests/sinks/test_network", "tests/live/"),
)
"""Files whose tests wait for servers, cameras and windows most of the time, those that take longest
first, as nobody takes from a worker what it has begun."""

HANGS_S = 600.0
"""A test that takes so long ends its worker: a call that never comes back to Python hears no
signal, `timeout` least of all."""

GUARDED_ANEW_S = 60.0
"""How old a guard may be when another test begins, for which it is so much longer."""

GUARDED_AT = pytest.StashKey[float]()
"""When the guard began."""

LONG = ("tests/test_hatch_build.py",)
"""Files that the others begin with: at the end they would run when all else is done."""

# Threads of libraries that live as long as the process, by the start of their names.
LASTING_THREADS = (
    "asyncio_", "fsspecIO", "pytest_timeout", "tqdm_monitor", "ThreadPoolExecutor", "Dummy-"
)  # fmt: skip


@pytest.fixture
def shared_media() -> Path:
    """The folder of real clips beside the checkout."""
    return _shared("media")


@pytest.fixture
def shared_data() -> Path:
    """The folder of training and validation pictures beside the checkout."""
    return _shared("data")


@pytest.fixture
def shared_cases() -> Path:
    """The folder of small inputs that went wrong, beside the checkout."""
    return _shared("cases")


@pytest.fixture
def shared_reference() -> Path:
    """The folder of the original systems' answers beside the checkout."""
    return _shared("reference")


@pytest.fixture(params=["stand-in", pytest.param("cuda", marks=pytest.mark.gpu)])
def chosen(request: pytest.FixtureRequest) -> Route:
    """Where code for a card computes: the CPU in its stead, and a card where there is one."""
    from stream.bench.gpu import stand_in
    from stream.errors import ProviderError
    from stream.inference.providers import route

    if request.param == "stand-in":
        return stand_in()
    try:
        return route("cuda")
    except ProviderError as error:
        pytest.skip(f"no card: {error}")


def _shared(name: str) -> Path:
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"the folder shared/{name} is not beside this checkout")
    return folder


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What runs by the machine's own clock may be unlucky on a busy one: it has three tries.

    With `-p no:rerunfailures` it has one, which shows what the others hide.
    """
    if not config.pluginmanager.hasplugin("rerunfailures"):
        return
    for item in items:
        if item.get_closest_marker("real_time") is not None:
            item.add_marker(pytest.mark.flaky(reruns=2))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    """Has a worker end that hangs, unless its test may take longer.

    As pytest's own guard does, whose thread for each test took a tenth of what a small one takes,
    and milliseconds of waiting for it to begin where all processors have work.
    """
    if _may_take_longer(item):
        _end_hanging(item.config, None)
    elif time.monotonic() - item.config.stash.get(GUARDED_AT, -math.inf) > GUARDED_ANEW_S:
        _end_hanging(item.config, HANGS_S + GUARDED_ANEW_S)


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """After a failure pytest lifts the guard, and cleaning up must end too."""
    if isinstance(node, pytest.Item) and not _may_take_longer(node):
        _end_hanging(node.config, HANGS_S + GUARDED_ANEW_S)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Nothing is waited for any more."""
    if GUARDED_AT in config.stash:
        _end_hanging(config, None)


def _end_hanging(config: pytest.Config, seconds: float | None) -> None:
    """Ends this process in so many seconds, saying where each thread was, or never."""
    if seconds is None:
        faulthandler.cancel_dump_traceback_later()
        config.stash[GUARDED_AT] = -math.inf
        return
    faulthandler.dump_traceback_later(
        seconds, file=config.stash[fault_handler_stderr_fd_key], exit=True
    )
    config.stash[GUARDED_AT] = time.monotonic()


def _may_take_longer(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("timeout")
    return marker is not None and bool(marker.args) and not 0 < marker.args[0] < HANGS_S


@pytest.hookimpl(optionalhook=True)  # a machine lent with a card has no xdist
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One worker more than there are cores, as tests wait for servers; none for a single file."""
    files = {argument.partition("::")[0] for argument in config.args}
    if len(files) > 1 or not next(iter(files), "").endswith(".py"):
        return available_cores() + 1
    config.option.dist = "no"
    return 0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling | None:
    """Hands each worker whole files, and all that load a large library to the same one.

    Those beyond the cores, one at least, begin with what waits: the others compute meanwhile.
    """
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class ByWhatTheyNeed(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return next((name for name, of in TOGETHER.items() if file.startswith(of)), file)

        def _assign_work_unit(self, node: WorkerController) -> None:
            waits = node in self.nodes[: max(1, len(self.nodes) - available_cores())]
            names = WAITING if waits else [f for f in self.workqueue if not f.startswith(WAITING)]
            wanted = (file for name in names for file in self.workqueue if file.startswith(name))
            long = (file for file in self.workqueue if file.startswith(LONG) and not waits)
            if (file := next(long, None) or next(wanted, None)) is not None:
                self.workqueue.move_to_end(file, last=False)
            super()._assign_work_unit(node)

    return ByWhatTheyNeed(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests are kept to the end: no garbage is looked for among them, then or ever."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()
        # Libraries that tests use make so much that garbage is looked for all the time otherwise.
        gc.set_threshold(10_000, 10, 10)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Notes what collecting has imported: PyTorch takes seconds, in each process of a run."""
    session.config.stash[LOADED_BY_COLLECTING] = frozenset(sys.modules)


@pytest.fixture(autouse=True, scope="session")
def caches_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keeps compiled test models, hundreds of them, out of the user's cache.

    All workers of a run have one, and so many places in it that those do not push the bundled
    model out, whose opening takes a second where nothing was kept of it and a tenth where it was.
    """
    # Matplotlib's is the user's, as looking through all fonts anew takes it two seconds.
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("MPLCONFIGDIR", str(user / "matplotlib"))
    base = tmp_path_factory.getbasetemp()
    caches = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "caches"
    caches.mkdir(exist_ok=True)
    os.environ["XDG_CACHE_HOME"] = str(caches)
    from stream.inference import kept_model

    kept_model._KEPT = 10_000


@pytest.fixture(autouse=True)
def nothing_left_behind(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """Fails a test that logged an ERROR or left a thread, a process or an open file.

    A test that provokes an error on purpose carries the marker `logs_errors`.
    """
    threads = set(threading.enumerate())
    files = _open_files()
    children = {child.pid for child in _children()}
    loggers = [logging.getLogger(name) for name in (None, "libav")]
    levels = [one.level for one in loggers]
    had_pytorch = "torch" in sys.modules
    yield
    # What a command that ran within the test has set: others are to hear what they log.
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)
    # Its passwords, kept out of all that this process logs, are words of what others log.
    addresses._records._secrets = frozenset()
    problems: list[str] = []
    if request.node.get_closest_marker("logs_errors") is None:
        problems += [
            f"logged: {record.getMessage()}"
            for phase in ("setup", "call")
            for record in caplog.get_records(phase)
            if record.levelno >= logging.ERROR
        ]
    if not had_pytorch and "torch" in sys.modules and not _may_load_pytorch(request.node):
        problems.append("loaded PyTorch, whose worker has the files that TOGETHER names")
    problems += _lasting(lambda: _new_threads(threads))
    problems += _lasting(lambda: _new_children(children))
    problems += _lasting(lambda: _new_files(files))
    assert not problems, problems


def _may_load_pytorch(item: pytest.Item) -> bool:
    """Whether a worker of the quick suite that runs a test has PyTorch anyway."""
    slow = any(item.get_closest_marker(name) for name in ("slow", "soak", "training", "reference"))
    return slow or item.nodeid.startswith(TOGETHER["torch"])


def _lasting(find, patience: float = 30.0) -> list[str]:
    """What `find` still finds after the time in which threads and files may wind down."""
    begun = time.monotonic()
    pause = 0.001
    while (found := find()) and (gone := time.monotonic() - begun) < patience:
        # Most are on their way. What hangs in a circle of references goes by looking for garbage,
        # which among all that there is takes as long as twenty tests.
        if gone > 0.02:
            gc.collect(2 if gone > 0.2 else 1)
        time.sleep(pause)
        pause = min(2 * pause, 0.05)
    return found


def _new_threads(before: set[threading.Thread]) -> list[str]:
    return [
        f"left the thread {thread.name}"
        for thread in threading.enumerate()
        if thread not in before
        and thread.is_alive()
        and not thread.name.startswith(LASTING_THREADS)
    ]


def _children() -> list[psutil.Process]:
    """This process's children and theirs."""
    if hasattr(os, "waitid"):
        # Looking through all of the machine takes milliseconds, twice a test.
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return []
    return psutil.Process().children(recursive=True)


def _new_children(before: set[int]) -> list[str]:
    found: list[str] = []
    for child in _children():
        with suppress(psutil.NoSuchProcess):
            # What a fixture's browser starts for itself is its own.
            ours = child.pid not in before and child.ppid() not in before
            if ours and child.status() != psutil.STATUS_ZOMBIE:
                found.append(f"left the process {child.pid} ({child.name()})")
    return found


def _open_files() -> set[str]:
    try:
        # By names, not by paths, which take three times as long: it is asked twice a test.
        numbers = os.listdir("/proc/self/fd")  # noqa: PTH208
    except OSError:
        return set()
    found = set()
    for number in numbers:
        try:
            target = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115
        except OSError:
            continue  # closed meanwhile
        if target.startswith("/") and not target.startswith(("/dev/", "/proc/", "/sys/")):
            found.add(target)
    return found


# Libraries, fonts and data files that a package opens once and keeps.
_KEPT = ("site-packages", ".pyc", ".so", "/usr/", "/memfd", "/anon")


def _new_files(before: set[str]) -> list[str]:
    return [
        f"left open: {path}"
        for path in _open_files() - before
        if not any(part in path for part in _KEPT)
    ]
