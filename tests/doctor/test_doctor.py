"""What an examination of this machine says."""

import json

import pytest

from stream import doctor
from stream.doctor import codecs


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

    monkeypatch.setattr(codecs, "codecs", fail)
    findings = doctor.examine()
    (failed,) = [finding for finding in findings if finding["topic"] == "codecs"]
    assert failed["detail"] == "cannot be examined: OSError: the codecs are on strike"
    assert any(finding["topic"] == "display" for finding in findings)
