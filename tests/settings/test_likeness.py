"""What a wrong word was probably meant to be."""

import pytest

from stream.settings.likeness import nearest


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("--confidence", ["--codec", "--threshold"], "--threshold"),
        ("confidence", ["threshold", "classes"], "threshold"),
        ("--max_frames", ["--limit", "--masks"], "--limit"),
        ("--no-window", ["--no-display", "--no-mirror"], "--no-display"),
        ("give_up_after", ["give_up", "fps"], "give_up"),
        ("retry", ["give_up", "fps"], "give_up"),
        ("gpu", ["cpu", "cuda"], "cuda"),
        ("--score-thr", ["--codec", "--threshold"], "--threshold"),
        ("--top_k", ["--split", "--select"], "--select"),
        ("--gpu", ["--provider", "--crf"], "--provider"),
        ("--gpu", ["--gpus", "--provider"], "--gpus"),
        ("--mask", ["--masks", "--mirror"], "--masks"),
        ("--look", ["--label"], ""),
        # Hyphens that all begin with make none like another.
        ("--hlep", ["--line", "--help"], "--help"),
        ("--limit", ["--split", "--line"], ""),
        ("--size", ["--zone", "--every"], ""),
        ("--limit", ["--list", "--seconds"], "--seconds"),
        ("--duration", ["--end", "--seconds"], "--end"),
        ("--duration", ["--seconds"], "--seconds"),
        ("--to", ["--end", "--zone"], "--end"),
        ("--width", ["--device", "--size"], "--size"),
        ("CPU", ["cpu", "cuda"], "cpu"),
        ("--Look", ["--look", "--label"], "--look"),
        ("video", ["demo", "file", "image"], "file"),
        ("camera", ["file", "webcam", "url"], "webcam"),
        ("camera", ["target", "name"], "target"),
    ],
)
def test_what_other_programs_call_it_is_known(word, known, meant):
    assert nearest(word, known) == meant
