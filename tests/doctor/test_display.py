"""What is said of windows and screens."""

import sys

import pytest

from stream.doctor import display


@pytest.mark.skipif(sys.platform != "linux", reason="Wayland and X11")
@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"DISPLAY": ":987"},
        {"WAYLAND_DISPLAY": "wayland-987", "XDG_RUNTIME_DIR": "/nowhere"},
        {"DISPLAY": "nonsense"},
    ],
)
def test_no_display_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = list(display.display())
    assert found[-1].state == "missing"
    assert found[-1].advice


def test_a_display_over_the_network_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", "192.0.2.1:10.0")
    if sys.platform == "linux":
        assert list(display.display())[-1].detail == "192.0.2.1:10.0, over the network"


@pytest.mark.skipif(sys.platform != "linux", reason="X11 is Linux's")
@pytest.mark.parametrize("gui", ["QT5", "GTK"])
def test_a_library_that_keeps_windows_from_staying_black_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, gui: str
) -> None:
    monkeypatch.setattr(display, "opencv_gui", lambda build: gui)
    for there in (None, "libX11-xcb.so.1"):
        monkeypatch.setattr(display, "find_library", lambda name, there=there: there)
        asked = [one.advice for one in display.display() if one.name == "libX11-xcb"]
        wanted = ["apt-get install libx11-xcb1"] if gui == "QT5" and there is None else []
        assert asked == wanted


@pytest.mark.parametrize(
    ("build", "gui"),
    [
        ("  GUI:                           QT5\n    QT:   YES (ver 5.15)\n", "QT5"),
        ("  GUI:                           NONE\n    GTK+:   NO\n", ""),
        ("  GUI: \n    Cocoa:   YES\n", "Cocoa"),
        ("  GUI: \n    Win32 UI:   YES\n", "Win32 UI"),
        ("  GUI: \n    GTK+:   NO\n", ""),
        ("nothing of the kind", ""),
    ],
)
def test_opencv_windows(build: str, gui: str) -> None:
    assert display.opencv_gui(build) == gui
