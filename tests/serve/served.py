"""A page that is really served, in a thread of its own, with a model that marks what is bright."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from stream.inference.segmenter import Segmenter
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.serve.server import Server
from stream.serve.serving import serve
from stream.settings.options import (
    CameraOptions,
    InputOptions,
    ModelOptions,
    PictureOptions,
)
from stream.settings.serve_options import ServeOptions
from tests import tiny_models
from tests.run.parts import until

PATTERN = "pattern"
SMALL = InputOptions(camera=CameraOptions(size=(160, 120), fps=30))
TOKEN = "a token for the tests only"


@dataclass
class Served:
    """A page that is served.

    Attributes:
        server: to look into.
        said: what people were told.
    """

    server: Server
    said: list[str]

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def house(self):
        return self.server.house

    @property
    def room(self):
        return self.house.rooms["0"]


def bright(folder: Path) -> Segmenter:
    return Segmenter.load(tiny_models.bright(folder / "bright.onnx"), provider="cpu", threads=1)


def plan_of(
    target: object = PATTERN,
    options: ServeOptions | None = None,
    model: str = "default",
    picture: PictureOptions | None = None,
    source: InputOptions = SMALL,
) -> RunPlan:
    return RunPlan(
        SourcePlan(target, source),
        (OutputPlan("browser", picture or PictureOptions()),),
        ModelOptions(model=model),
        serve=options or ServeOptions(port=0),
    )


@contextmanager
def served(
    plans: list[RunPlan], segmenter: Segmenter, idle: float | None = None
) -> Iterator[Served]:
    """Serves plans until the block ends; what goes wrong in the server's thread is raised here."""
    said: list[str] = []
    ready = threading.Event()
    found: list[Server] = []
    raised: list[BaseException] = []

    def on_ready(server: Server) -> None:
        if idle is not None:
            server.idle = idle
        found.append(server)
        ready.set()

    def work() -> None:
        try:
            serve(
                plans,
                console=Console(file=io.StringIO()),
                say=said.append,
                segmenter=segmenter,
                on_ready=on_ready,
            )
        except BaseException as error:  # noqa: BLE001 - raised where the test is
            raised.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=work, name="test-serve", daemon=True)
    thread.start()
    try:
        assert ready.wait(120)
        if found:
            rooms = found[0].house.rooms.values()
            until(lambda: all(room.run is not None or room.problem for room in rooms))
            yield Served(found[0], said)
    finally:
        for server in found:
            for room in server.house.rooms.values():
                room.stop()
        thread.join(120)
        assert not thread.is_alive()
    if raised:
        raise raised[0]
