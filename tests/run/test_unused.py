"""Options that change nothing are said: mostly a look was forgotten."""

import numpy as np
import pytest

import stream
from stream import sources
from stream.compositing import LAYERS, Painter, Style
from stream.errors import UsageError
from stream.run.plan import OutputPlan, RunPlan, SourcePlan, beside_masks, masks_plan
from stream.run.setup import execute
from stream.run.unused import OBEYED_BY, refuse_unpainted, unheeded, unused
from stream.settings.groups import build, leaves
from stream.settings.options import (
    CameraOptions,
    CountOptions,
    DecodingOptions,
    InputOptions,
    LiveOptions,
    ModelOptions,
    NetworkOptions,
    OutputOptions,
    PictureOptions,
)
from stream.tally import LineTally, Tally
from tests import tiny_models
from tests.compositing.pictures import astronaut, frame, people, same, samples
from tests.media import make_clip


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


OTHERS = {
    "opacity": 0.9,
    "contour_width": 9.0,
    "label": "name",
    "label_size": 3.0,
    "colours": "class",
    "palette": ("FF0000", "00FF00"),
    "feather": 40.0,
    "background": "00FF00",
    "blur_strength": 9.0,
    "darkness": 0.1,
    "cover": "blur",
    "pixel_size": 25.0,
}
"""Other values than the usual, with which one picture comes to look differently."""


def test_those_that_are_said_to_obey_are_those_that_do():
    tally = Tally((LineTally("door", ((8.0, 8.0), (90.0, 70.0))),))

    def painted(layer, **style):
        painter = Painter(layer, Style(**style))
        for index in range(2):  # of one way two places are needed
            picture = astronaut(112, 80)
            boxes = [(6 + 9 * index, 8, 56, 72), (70, 24, 120, 64)]
            one = frame(picture, people(picture, *boxes, tracks=[7, 9]))
            one.tally = tally
            painter.paint(one)
        return samples(one.image)

    ours = [one for one in LAYERS.names() if one != "timing"]
    usual = {layer: painted(layer) for layer in ours}
    for name, value in OTHERS.items():
        for layer in ours:
            obeyed = not same(usual[layer], painted(layer, **{name: value}))
            assert obeyed == (layer in OBEYED_BY[name]), (name, layer)
            vain = said(layer, **{name: value})
            assert [f"--{name.replace('_', '-')} changed nothing"] * (not obeyed) == [
                one.partition(",")[0] for one in vain
            ]


def test_edges_are_said_to_be_refined_where_they_are():
    assert said("hide", refine=True)[0].startswith("--refine changed nothing, as it is for")
    assert said("trails", steady_edges=True)[0].startswith("--steady-edges changed nothing")
    assert said("blur", refine=True) == said("overlay", refine=True) == []
    assert said("overlay", refine=False, steady_edges=False) == [], "as nobody would have done it"
    (sentence,) = said("overlay", refiner="filter")
    assert sentence.startswith("--refiner changed nothing, as it is for the looks blur, grey, ")
    assert said("blur", refiner="filter") == said("overlay", refine=True, refiner="filter") == []
    (sentence,) = said("blur", refine=False, refiner="filter")
    assert sentence == "--refiner changed nothing, as --no-refine leaves edges as they are"


def test_one_who_says_where_objects_are_counted_says_what_counts_them():
    outputs = [OutputPlan("out.mp4")]
    (sentence,) = unused(outputs, photos=False, counts=CountOptions(count_at="bottom"))
    assert sentence.startswith("--count-at changed nothing, as it is for lines and zones")
    for counted in ({"line": ("1,1,9,9",)}, {"zone": ("1,1,9,9,1,9",)}):
        counts = CountOptions(count_at="bottom", **counted)
        assert unused(outputs, photos=False, counts=counts) == []


def test_a_look_that_nothing_shows_is_refused_before_any_work():
    def outputs(picture, *targets, masks=True):
        beside = beside_masks(picture) if masks else picture
        more = [masks_plan("masks", picture, OutputOptions())] if masks else []
        return [*(OutputPlan(one, beside) for one in targets), *more]

    for asked in ({"look": "blur"}, {"look": "instances"}, {"crop": True}):
        picture = PictureOptions(**asked)
        for masks in (True, False):
            with pytest.raises(UsageError, match=r"nothing asked for shows that.*-o out\.mp4"):
                refuse_unpainted(picture, outputs(picture, "found.csv", masks=masks))
            refuse_unpainted(picture, outputs(picture, "found.csv", "out.mp4", masks=masks))
            refuse_unpainted(picture, outputs(picture, "window", masks=masks))
    with pytest.raises(UsageError, match=r"--split is about pictures"):
        picture = PictureOptions(split="object")
        refuse_unpainted(picture, outputs(picture, "found.csv", masks=False))
    for asked in ({"split": "object"}, {"look": "binary"}, {"opacity": 0.2}):
        picture = PictureOptions(**asked)
        refuse_unpainted(picture, outputs(picture, "found.csv"))
    picture = PictureOptions(look="instances", identities=True)
    refuse_unpainted(picture, outputs(picture))


def test_how_something_is_covered_is_for_looks_that_cover():
    recording = LiveOptions(cover_wait=False)
    for look, vain in (("overlay", 1), ("hide", 0), ("fill+pixelate", 0)):
        output = [OutputPlan("out.mp4", PictureOptions(look=look))]
        assert len(unused(output, photos=False, recording=recording, live=True)) == vain
        assert unused(output, photos=False, recording=recording) == []


def test_trails_of_photos_are_said_to_show_nothing():
    assert "the look trails shows nothing" in said("fill+trails", "out.png", photos=True)[0]


def test_what_another_output_obeys_is_not_in_vain():
    picture = PictureOptions(identities=True)
    output = OutputPlan("out.mp4", picture)
    assert unused([output, masks_plan("masks", picture, output.options)], photos=False) == []
    assert said("overlay", "window", background="00FF00") == []
    assert said("overlay", "found.ndjson") == said("overlay", opacity=0.9) == []
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
        assert of("rle", *targets) == []
    assert of("none", "f.mp4", "f.txt") == []
    assert of("none", "f.mp4")[0].startswith("--records-masks none changed nothing")


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
    assert of("found.ndjson") == ["--codec and --crf changed nothing, as no video is written"]
    assert of("out.mkv", photos=True) == of("out.mkv", "out/%06d.png") == []
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
    said = 'background changed nothing, as it is for the look replace: look="replace"'
    assert said in report.remarks


CAMERA = "--size and --fps changed nothing, as they are for cameras"
SIZE = "--size changed nothing, as it is for cameras"
NETWORK = "--transport changed nothing, as it is for network sources"
DECODING = "--hwaccel changed nothing, as it is for footage and network sources"


@pytest.mark.parametrize(
    ("target", "sentences"),
    [
        ("film.mp4", [CAMERA, NETWORK]),
        (["a.png", "b.png"], [CAMERA, NETWORK, DECODING]),
        ("film.webp", [CAMERA, NETWORK, DECODING]),
        ("rtsp://door/stream", [CAMERA]),
        (0, [NETWORK, DECODING]),
        ("pattern", [NETWORK, DECODING]),
        ("loop:film.mp4", [SIZE, NETWORK]),
        ([np.zeros((4, 4, 3), np.uint8)], [SIZE, NETWORK, DECODING]),
    ],
    ids=str,
)
def test_what_another_kind_of_source_is_asked_is_said(target, sentences, tmp_path, monkeypatch):
    asked = {"size": (320, 240), "fps": 12.0, "transport": "udp", "hwaccel": "auto"}
    monkeypatch.chdir(tmp_path)
    found = unheeded(SourcePlan(target, build(InputOptions, asked)))
    assert found == sentences
    assert unheeded(SourcePlan(target)) == []


def test_a_file_that_is_played_like_a_camera_is_asked_as_one():
    options = InputOptions(camera=CameraOptions(as_camera=True, device="film.mp4", fps=5.0))
    assert unheeded(SourcePlan("camera", options)) == []


def test_each_kind_of_source_heeds_options_that_there_are():
    known = {
        name for group in (CameraOptions, NetworkOptions, DecodingOptions) for name in leaves(group)
    }
    ours = [kind for kind in sources.KIND if kind.__module__.startswith("stream.sources.")]
    assert len(ours) >= 7
    for kind in ours:
        assert kind.heeds is not None and known.issuperset(kind.heeds), kind
    assert sources.Source.heeds is None  # of another distribution's nobody can tell


def test_a_run_of_a_film_says_what_is_for_cameras(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", frames=3)
    plan = RunPlan(
        SourcePlan(str(clip), InputOptions(camera=CameraOptions(fps=5.0))),
        (OutputPlan(str(tmp_path / "out.mp4")),),
        ModelOptions(str(tiny_models.nothing(tmp_path / "none.onnx")), provider="cpu"),
    )
    report, _ = execute(plan)
    assert "--fps changed nothing, as it is for cameras and numbered pictures" in report.remarks
