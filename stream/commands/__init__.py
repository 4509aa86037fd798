"""The commands, a module for each group of them; `stream.cli` puts them together."""

# OpenCV must be loaded before PyAV, which the commands load, or its windows hang on Linux: see
# `opencv_came_first` in stream/sinks/window.py.
import cv2 as _cv2  # noqa: F401
