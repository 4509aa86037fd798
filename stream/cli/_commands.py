"""The commands by name: where each is, and what the list of commands says of it.

Nothing of a command is imported before it is called.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import typer
from typer.main import get_command

from stream.cli._help import Command, Group
from stream.cli._machinery import Runnable


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command is.

    Attributes:
        help: one line for the list of commands.
        module: what is imported.
        name: the function in it, or the Typer application.
    """

    help: str
    module: str
    name: str


PLACES = {
    "demo": Place(
        "Segment the bundled clip and say where the time went.", "stream.cli.demo", "demo"
    ),
    "file": Place("Segment video files.", "stream.cli.file", "file"),
    "image": Place("Segment pictures: a photo, a folder or a glob.", "stream.cli.image", "image"),
    "webcam": Place("Segment a camera live, in a window.", "stream.cli.webcam", "webcam"),
    "url": Place("Segment a network camera or stream live.", "stream.cli.url", "url"),
    "serve": Place(
        "Show sources, and visitors' cameras, on a page in the browser.",
        "stream.cli.serve",
        "serve",
    ),
    "fleet": Place(
        "Segment thousands of files, on this machine or many.", "stream.cli.fleet", "fleet"
    ),
    "run": Place("Do what a configuration file says.", "stream.cli.run", "run"),
    "models": Place("List the models, or say what one is.", "stream.cli.models", "models"),
    "doctor": Place("Say what works here, and what to install.", "stream.cli.doctor", "doctor"),
    "bench": Place("Measure how fast it is here.", "stream.cli.bench", "bench"),
    "train": Place(
        "Train a model on pictures of your own.", "stream_models.training.command", "train_command"
    ),
    "train-refiner": Place(
        "Train what draws masks' edges to where objects end.",
        "stream_models.training.refiner.command",
        "train_refiner_command",
    ),
    "export": Place(
        "Turn a trained Mask R-CNN into one .onnx file, and check it.",
        "stream_export.command",
        "app",
    ),
}


def load(name: str) -> Runnable:
    """The command of that name, ready to be called by Typer's own machinery."""
    place = PLACES[name]
    found = getattr(importlib.import_module(place.module), place.name)
    if isinstance(found, typer.Typer):
        return _group(found, name)
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command(name, cls=Command)(found)
    return get_command(app)


def _group(app: typer.Typer, name: str) -> Runnable:
    """An application of another package, with help and errors like ours."""
    app.rich_markup_mode = None
    app.info.cls = Group
    app.info.name = name
    for one in app.registered_commands:
        one.cls = Command
    return get_command(app)
