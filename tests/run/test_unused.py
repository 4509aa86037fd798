"""Options that change nothing are said: mostly a look was forgotten."""

import numpy as np
import pytest

import stream
from stream.options import LiveOptions, ModelOptions, OutputOptions, PictureOptions
from stream.run.plan import OutputPlan, masks_plan
from stream.run.unused import unused
from tests import tiny_models


def said(look, target="out.mkv", *more, photos=False, **options):
    output = OutputPlan(target, PictureOptions(look=look, **options))
    return unused([output, *more], photos=photos)


@pytest.mark.parametrize(
    ("options", "looks"),
    [
        ({"background": "00FF00"}, ["replace"]),
        ({"blur_strength": 9.0}, ["blur"]),
        ({"darkness": 0.1}, ["dim", "spotlight"]),
        ({"cover": "blur"}, ["hide"]),
        ({"pixel_size": 9.0}, ["pixelate"]),
        ({"cover_memory": 2.0}, ["hide", "pixelate"]),
        ({"trail": 9.0}, ["trails"]),
        ({"identities": True}, ["instances"]),
    ],
)
def test_each_is_for_its_own_looks(options, looks):
    (sentence,) = said("overlay", **options)
    (name,) = options
    assert sentence.startswith(f"--{name.replace('_', '-')} changed nothing")
    assert all(f"the look {look}" in sentence for look in looks)
    assert said("overlay") == []
    for look in looks:
        assert said(look, **options) == []


def test_what_another_output_obeys_is_not_in_vain():
    picture = PictureOptions(identities=True)
    output = OutputPlan("out.mp4", picture)
    assert unused([output, masks_plan("masks", picture, output.options)], photos=False) == []
    assert said("overlay", "window", background="00FF00") == []
    assert said("overlay", "found.ndjson", background="00FF00") == []
    assert len(said("overlay", "out.png", photos=True, background="00FF00")) == 1


def test_forms_of_masks_are_for_records_that_hold_them():
    def of(form, *targets):
        options = OutputOptions(records_masks=form)
        return unused([OutputPlan(one, options=options) for one in targets], photos=False)

    assert of("soft", "f.csv", "f.ndjson", "out.mp4") == of("soft", "-") == []
    assert of("polygon", "f.json") == of("polygon", "f.parquet") == of("polygon", "f.jsonl") == []
    for form, *targets in (("soft", "f.csv", "f.json", "f.parquet"), ("polygon", "f.txt", "f.mp4")):
        (sentence,) = of(form, *targets)
        assert sentence.startswith(f"--records-masks {form} changed nothing, as such masks are in ")
        assert of("rle", *targets) == of("none", *targets) == []


def test_what_is_between_frames_is_nothing_to_photos():
    (sentence,) = said("hide", "out.png", photos=True, cover_memory=3.0)
    assert sentence == "--cover-memory changed nothing, as nobody moves from photo to photo"
    assert said("hide", "out.png", cover_memory=3.0) == said("hide", "out.png", photos=True) == []


def test_encoders_options_are_for_videos_and_intervals_for_what_moves():
    files = OutputOptions(codec="ffv1", crf=3.0)

    def of(*targets, photos=False, every=None):
        outputs = [OutputPlan(one, options=files) for one in targets]
        return unused(outputs, photos=photos, model=ModelOptions(every=every))

    (sentence,) = of("out.png", photos=True)
    assert sentence.startswith("--codec and --crf changed nothing")
    assert of("out/%06d.png", "found.ndjson") == [sentence]
    assert of("out.mkv", photos=True) == of("out.mkv", "out/%06d.png") == of("found.ndjson") == []
    assert of("out.mkv", photos=True, every=3) == [
        "--every changed nothing, as each photo is looked at for itself"
    ]


def test_parts_are_of_files_of_video_and_records_of_what_is_live(tmp_path):
    recording = LiveOptions(part_minutes=60)

    def of(*targets, live=True, recording=recording, **how):
        outputs = [OutputPlan(one, PictureOptions(**how)) for one in targets]
        return unused(outputs, photos=False, recording=recording, live=live)

    take = str(tmp_path / "take.mkv")
    for cannot in (
        ["rtmp://server/app/key"],
        ["-"],
        [f"{tmp_path}/%06d.png"],
        ["take.webp"],
        ["take.m3u8"],
        [],
    ):
        (sentence,) = of(*cannot)
        assert sentence.startswith("--part-minutes changed nothing"), cannot
        assert sentence.endswith("-o take.mp4")
        assert of(*cannot, take) == of(*cannot, str(tmp_path / "a.ndjson")) == [], cannot
        assert of(*cannot, "window") == of(*cannot, "browser") == [], "it can record"
        assert of(*cannot, recording=LiveOptions()) == []
    assert len(of(take, split="instance")) == 1
    assert "only what is live" in of(take, live=False)[0]


def test_the_report_says_it(tmp_path):
    model = str(tiny_models.bright(tmp_path / "bright.onnx"))
    with stream.VideoWriter(tmp_path / "in.mkv", codec="ffv1") as writer:
        writer.write(np.zeros((48, 64, 3), np.uint8))
    report = stream.process(
        tmp_path / "in.mkv", tmp_path / "out.mkv", model=model, background="00FF00"
    )
    said = "--background changed nothing, as it is for the look replace: --look replace"
    assert said in report.remarks
