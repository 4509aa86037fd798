"""The command line: options from the groups of `stream.options`, one module for each command.

A command's module is imported when the command is called, so that `stream --help` loads neither
OpenCV nor PyAV nor ONNX Runtime. `_commands` lists them.
"""

from stream.cli._main import main

__all__ = ["main"]
