"""The commands by name: where each is, and what the list of commands says of it.

Nothing of a command is imported before it is called.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache

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
        examples: command lines that its help shows.
    """

    help: str
    module: str
    name: str
    examples: tuple[str, ...] = ()


EXAMPLES = (
    "stream demo",
    "stream webcam",
    "stream file in.mp4 -o out.mp4",
    "stream url rtsp://user:secret@camera/stream",
)
"""What the list of commands shows."""


PLACES = {
    "demo": Place(
        "Segment the bundled clip and say where the time went.", "stream.cli.demo", "demo"
    ),
    "file": Place(
        "Segment video files.",
        "stream.cli.file",
        "file",
        (
            "stream file in.mp4 -o out.mp4",
            "stream file takes/ -o masked/ --classes person --look blur",
            "stream file in.mp4 -o out.webm --look cutout",
            "stream file in.mp4 --records found.ndjson",
        ),
    ),
    "image": Place(
        "Segment pictures: a photo, a folder or a glob.",
        "stream.cli.image",
        "image",
        (
            "stream image photo.jpg -o out.png",
            "stream image 'photos/*.jpg' -o cut/ --look cutout --crop",
        ),
    ),
    "webcam": Place(
        "Segment a camera live, in a window.",
        "stream.cli.webcam",
        "webcam",
        (
            "stream webcam --list",
            "stream webcam 1 --size 1280x720 --fps 30 -o take.mp4",
            "stream webcam pattern --display browser",
        ),
    ),
    "url": Place(
        "Segment a network camera or stream live.",
        "stream.cli.url",
        "url",
        (
            "stream url rtsp://user:secret@camera/stream",
            "stream url rtsp://a rtsp://b -o '{name}.mp4'",
            "stream url https://host/live.m3u8 -o take.mkv --no-display",
        ),
    ),
    "serve": Place(
        "Show sources, and visitors' cameras, on a page in the browser.",
        "stream.cli.serve",
        "serve",
        (
            "stream serve",
            "stream serve rtsp://door/stream clip.mp4",
            "stream serve camera --host 0.0.0.0",
        ),
    ),
    "fleet": Place(
        "Segment thousands of files, on this machine or many.",
        "stream.cli.fleet",
        "fleet",
        (
            "stream fleet footage/ -o masked/ --look blur",
            "stream fleet list.txt -o masked/ --resume",
            "stream fleet masked/ --status",
        ),
    ),
    "run": Place(
        "Do what a configuration file says.",
        "stream.cli.run",
        "run",
        ("stream webcam 1 -o take.mp4 --save-config booth.toml", "stream run booth.toml"),
    ),
    "models": Place(
        "List the models, or say what one is.",
        "stream.cli.models",
        "models",
        ("stream models default", "stream models mine.onnx"),
    ),
    "doctor": Place("Say what works here, and what to install.", "stream.cli.doctor", "doctor"),
    "bench": Place(
        "Measure how fast it is here.",
        "stream.cli.bench",
        "bench",
        ("stream bench --part speed", "stream bench --model mine.onnx --json figures.json"),
    ),
    "train": Place(
        "Train a model on pictures of your own.",
        "stream_models.training.command",
        "train_command",
        (
            "stream train --data pictures/ --out mine/",
            "stream file in.mp4 -o out.mp4 --model mine/model.int8.onnx",
        ),
    ),
    "train-refiner": Place(
        "Train what draws masks' edges to where objects end.",
        "stream_models.training.refiner.command",
        "train_refiner_command",
        (
            "stream train-refiner --data pictures/ --out edges/",
            "stream file in.mp4 -o out.mp4 --look grey --refiner edges/refiner.onnx",
        ),
    ),
    "export": Place(
        "Turn a trained Mask R-CNN into one .onnx file, and check it.",
        "stream_export.command",
        "app",
        (
            "stream export torchvision --weights mine.pth -o mine.onnx",
            "stream export verify mine.onnx --images pictures/",
            "stream export quantize mine.onnx --images pictures/ -o int8.onnx",
        ),
    ),
}


@cache
def load(name: str) -> Runnable:
    """The command of that name, ready to be called by Typer's own machinery; made once."""
    place = PLACES[name]
    found = getattr(importlib.import_module(place.module), place.name)
    if isinstance(found, typer.Typer):
        return _group(found, name, place)
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command(name, cls=Command, epilog="\n".join(place.examples))(found)
    return get_command(app)


def _group(app: typer.Typer, name: str, place: Place) -> Runnable:
    """An application of another package, with help and errors like ours."""
    app.rich_markup_mode = None
    app.info.cls = Group
    app.info.name = name
    app.info.epilog = "\n".join(place.examples)
    for one in app.registered_commands:
        one.cls = Command
    return get_command(app)
