import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from stream import doctor
from stream.inference.card import Card
from stream.inference.providers import route


@pytest.fixture(scope="module")
def findings() -> list[dict[str, str]]:
    return doctor.examine()


def test_every_topic_is_examined(findings: list[dict[str, str]]) -> None:
    topics = [finding["topic"] for finding in findings]
    order = ["program", "processor", "providers", "models", "cameras", "codecs", "display"]
    assert list(dict.fromkeys(topics)) == order
    assert all(
        set(finding) == {"topic", "name", "state", "detail", "advice"} for finding in findings
    )
    assert not any("cannot be examined" in finding["detail"] for finding in findings)
    json.dumps(findings)


def test_providers_are_really_tried(findings: list[dict[str, str]]) -> None:
    state = {f["name"]: f for f in findings if f["topic"] == "providers"}
    assert set(state) == {"TensorRT", "CUDA", "OpenVINO", "CoreML", "WebGPU", "CPU", "auto"}
    assert state["CPU"]["state"] == "works"
    assert "ms" in state["CPU"]["detail"]
    for finding in state.values():
        assert finding["detail"]
        assert "\n" not in finding["detail"]


def test_what_is_missing_comes_with_advice(findings: list[dict[str, str]]) -> None:
    for finding in findings:
        if finding["topic"] in ("providers", "cameras") and finding["state"] == "missing":
            assert finding["advice"], finding


def test_cameras_are_those_that_are_listed_each_with_what_is_wrong_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not what else has a device's name: a node without a driver was called one that works."""
    from stream.sources import camera
    from stream.sources.modes import Camera

    listed = [
        Camera("/dev/video0", "Front"),
        Camera("/dev/video2", "Back", problem="not permitted"),
        Camera("/dev/video4", "Side", problem="in use by another program"),
        Camera("/dev/video6", "video6", problem="its driver is not there"),
    ]
    monkeypatch.setattr(camera, "find_cameras", lambda: listed)
    found = list(doctor._cameras())
    assert [one.state for one in found] == ["works", "missing", "missing", "missing"]
    assert [one.detail for one in found[1:]] == [f"{one.name}: {one.problem}" for one in listed[1:]]
    assert [bool(one.advice) for one in found] == [False, True, True, True]
    monkeypatch.setattr(camera, "find_cameras", lambda: [])
    (none,) = doctor._cameras()
    assert (none.state, none.detail) == ("missing", "none found")


def test_where_models_are_kept_ready_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if sys.platform in ("win32", "darwin"):
        pytest.skip("XDG's folders")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "stream-segmentation"
    for kind, size in (("graphs", 2_000_000), ("openvino", 5_000_000), ("page", 9_000_000)):
        (folder / kind).mkdir(parents=True)
        (folder / kind / "kept").write_bytes(bytes(size))
    told = doctor._kept()
    assert (told.state, told.detail) == (
        "note",
        f"2 files, 7 MB in {folder}, for quicker starts; may be removed",
    )
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    told = doctor._kept()
    assert told.state == "missing" and str(tmp_path / "file") in told.detail
    assert told.advice.startswith("make it writable")


def test_a_card_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU stands in for the card; only its name is made up."""
    found = Card("NVIDIA H100 80GB HBM3", 79.2, "580.159.04", "13.0")
    monkeypatch.setattr("stream.inference.card.card", lambda: found)
    there = replace(route("cpu"), label="CUDA")
    monkeypatch.setattr("stream.inference.providers.route", lambda name: there)
    cuda = next(one for one in doctor._providers() if one.name == "CUDA")
    assert cuda.detail.startswith(
        "runs as CUDA on NVIDIA H100 80GB HBM3 of 79 GiB, driver 580.159.04 (opened and tried in "
    )


def test_hardware_encoders_that_do_not_open_say_what_is_lacking(
    findings: list[dict[str, str]],
) -> None:
    for finding in findings:
        if finding["name"].endswith(("_nvenc", "_qsv")):
            assert "Generic error" not in finding["detail"], finding
            assert finding["state"] in ("works", "note")


def test_nothing_else_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    doctor.examine()
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""


def test_one_failing_topic_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail():
        raise OSError("the codecs are on strike\nmore")

    monkeypatch.setattr(doctor, "_codecs", fail)
    findings = doctor.examine()
    (failed,) = [finding for finding in findings if finding["topic"] == "codecs"]
    assert failed["detail"] == "cannot be examined: OSError: the codecs are on strike"
    assert any(finding["topic"] == "display" for finding in findings)


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
    found = list(doctor._display())
    assert found[-1].state == "missing"
    assert found[-1].advice


def test_a_display_over_the_network_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("DISPLAY", "192.0.2.1:10.0")
    if sys.platform == "linux":
        assert list(doctor._display())[-1].detail == "192.0.2.1:10.0, over the network"


@pytest.mark.skipif(sys.platform != "linux", reason="X11 is Linux's")
@pytest.mark.parametrize("gui", ["QT5", "GTK"])
def test_a_library_that_keeps_windows_from_staying_black_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, gui: str
) -> None:
    monkeypatch.setattr(doctor, "_opencv_gui", lambda build: gui)
    for there in (None, "libX11-xcb.so.1"):
        monkeypatch.setattr(doctor, "find_library", lambda name, there=there: there)
        asked = [one.advice for one in doctor._display() if one.name == "libX11-xcb"]
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
    assert doctor._opencv_gui(build) == gui


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_print(findings: list[dict[str, str]], encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True)
    doctor.print_findings(Console(file=stream, width=40), findings)
    text = stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    for finding in findings:
        if finding["detail"].isascii():
            assert finding["detail"] in text, "cut off"
