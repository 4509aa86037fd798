import json


def test_every_command_has_help(stream):
    listing = stream("--help")
    assert listing.code == 0
    for command in ("demo", "file", "image", "models", "doctor", "bench"):
        assert command in listing.out
        assert stream(command, "--help").code == 0
    options = stream("file", "--help").out
    for option in (
        *("--model", "--provider", "--threshold", "--mask-threshold", "--classes", "--look"),
        *("--timing", "--no-timing", "--report", "--codec", "--crf", "--preset", "--start"),
        *("--end", "--limit", "--overwrite", "--quiet", "--verbose"),
    ):
        assert option in options, option


def test_models_lists_the_default(stream):
    result = stream("models")
    assert result.code == 0, result.err
    assert "default" in result.out


def test_doctor_says_what_works_here(stream):
    result = stream("doctor")
    assert result.code == 0, result.err
    for word in ("ONNX Runtime", "PyAV", "CPU", "CUDA", "OpenVINO", "libx264"):
        assert word.lower() in result.out.lower(), word
    findings = json.loads(stream("doctor", "--json").out)
    assert findings


def test_an_unknown_command_is_a_misuse(stream):
    result = stream("segmnet")
    assert result.code == 2
    assert "Traceback" not in result.err


def test_the_demo_runs_twice_without_asking(stream, tmp_path):
    for name in ("stream-demo.mp4", "stream-demo-2.mp4"):
        result = stream("demo")
        assert result.code == 0, result.err
        assert "end to end" in result.out
        assert (tmp_path / name).stat().st_size > 100_000
