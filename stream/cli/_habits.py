"""What is said to options that other programs have, where none of ours stands in their place."""

from __future__ import annotations

from collections.abc import Sequence

from stream.cli._commands import PLACES
from stream.cli._hints import meant_command, without_secrets
from stream.wording.words import visible

_TAKING = ("file", "image", "webcam", "url", "serve", "fleet")
"""Commands whose inputs are named without an option."""

_INPUT = (
    "i input inputs input-file input-video video-input video video-file video-path source src "
    "image images img image-path path file url camera cam webcam"
)

_WEIGHTS = "weights checkpoint trained-model model ckpt"

_FILMS = ("file", "fleet")
_FILES = ("file", "image", "webcam", "url", "serve", "fleet", "demo")
_ADVICE: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        "an no-audio no-sound mute",
        _FILMS,
        "sound is always kept; ffmpeg -i out.mp4 -an -c copy silent.mp4 leaves it out",
    ),
    (
        "s vf filter:v scale resize width height",
        _FILMS,
        "a film keeps its size; --input-size is the size of what the model sees",
    ),
    ("r frame-rate framerate", _FILMS, "every frame of a film keeps its time"),
    (
        "fp16 half float16 amp",
        _FILES,
        "the model's file says how it computes: stream export half makes one of float16",
    ),
    (
        "int8 quantize",
        _FILES,
        "the model's file says how it computes: stream export quantize makes one of int8",
    ),
    ("show view view-img", ("file",), "-o window shows it while it is made"),
    ("config settings", _TAKING, "a configuration file is run: stream run FILE.toml"),
)
"""Options of others, the commands at which they are typed, and what to do instead."""


def advice(option: str, arguments: Sequence[str], command: str) -> str:
    """What to do in place of an option that is not there; "" where nothing is known of it.

    Args:
        option: as it was typed, with its hyphens, and perhaps a value behind an "=".
        arguments: all that was typed.
        command: the command that was called, such as "file"; "" where none was.
    """
    name, _, value = option.partition("=")
    word = name.lstrip("-").replace("_", "-")
    if not command:
        return _whole_line(word, arguments)
    if word in _INPUT.split() and command in _TAKING:
        if not value and option in arguments:
            value = next(iter(arguments[arguments.index(option) + 1 :]), "")
        named = value if value and not value.startswith("-") else "INPUT"
        meant = meant_command(named) if command in ("file", "image") else ""
        meant = meant or f"stream {command} {named}"
        return f"inputs are named without one: {without_secrets(visible(meant))}"
    if word in _WEIGHTS.split() and command.startswith("export "):
        return f"weights are named without one: stream {command} CHECKPOINT"
    return next(
        (said for words, at, said in _ADVICE if word in words.split() and command in at), ""
    )


def _whole_line(word: str, arguments: Sequence[str]) -> str:
    """The command that was meant where options stand before any; "" where none comes to mind."""
    if word in ("V", "v", "ver"):
        return "did you mean --version?"
    if word in PLACES:
        return f"did you mean stream {word}?"
    for one in arguments:
        named = one.partition("=")[2] if one.startswith("-") else one
        if named and (line := meant_command(named)):
            return without_secrets(f"the command comes first: {line}")
    return ""
