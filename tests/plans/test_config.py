import errno
import tomllib
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.errors import SinkError, UsageError
from stream.plans.config import load, loads
from stream.plans.saved_config import dump, save
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.settings.fleet_options import FleetOptions
from stream.settings.groups import leaves
from stream.settings.options import (
    CameraOptions,
    CutOptions,
    InputOptions,
    LiveOptions,
    ModelOptions,
    NetworkOptions,
    OutputOptions,
    PictureOptions,
    RunOptions,
    TrackingOptions,
)
from stream.wording.names import name_of

BOOTH = """\
# A booth with two cameras.
[model]
classes = ["person", "dog"]
every = 3
mask-threshold = 0.4

[run]
report = "{name}.json"

[[source]]
target = "rtsp://me:hunter2@door/stream"
name = "door"
transport = "udp"

[[source]]
target = "takes/b.mp4"
start = "1:30"
[[source.output]]
to = "b.mkv"
codec = "ffv1"

[[output]]
to = "{name}.mp4"
look = "binary"
crf = 18
"""


def test_a_file_becomes_a_plan_for_each_source(tmp_path):
    (tmp_path / "booth.toml").write_text(BOOTH)
    model = ModelOptions(classes=("person", "dog"), every=3, mask_threshold=0.4)
    masks = PictureOptions(look="binary")
    assert load(tmp_path / "booth.toml") == [
        RunPlan(
            SourcePlan(
                "rtsp://me:hunter2@door/stream",
                InputOptions(network=NetworkOptions(transport="udp")),
                "door",
            ),
            (OutputPlan("door.mp4", masks, OutputOptions(crf=18)),),
            model,
            run=RunOptions(report=Path("door.json")),
        ),
        RunPlan(
            SourcePlan("takes/b.mp4", InputOptions(cut=CutOptions(start=90.0))),
            (
                OutputPlan("b.mp4", masks, OutputOptions(crf=18)),
                OutputPlan("b.mkv", options=OutputOptions(codec="ffv1")),
            ),
            model,
            run=RunOptions(report=Path("b.json")),
        ),
    ]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("[model]", "[modle]", "line 2: there is no table 'modle'; did you mean [model]?"),
        ("every = 3", "evry = 3", "line 4: there is no 'evry' in model; did you mean every?"),
        ("every = 3", "every = 0", "line 4: every: it is a number from 1 on, or auto, not '0'"),
        ("every = 3", "crf = 3", "line 4: there is no 'crf' in model; it belongs to [[output]]"),
        ("every = 3", "every = ", "line 4: this is no TOML: invalid value"),
        ("every = 3", "every = auto",
         'line 4: this is no TOML: invalid value; a text stands in quotes: every = "…"'),
        ("every = 3", "every = True",
         "line 4: this is no TOML: invalid value; true and false are written so"),
        ("every = 3", 'look = "C:\\Users\\me"',
         'line 4: this is no TOML: invalid hex value; a backslash within "…" needs another before '
         "it, or '…' around: look = '…'"),
        ("every = 3", "every: 3",
         "line 4: this is no TOML: expected '=' after a key in a key/value pair; a key and its "
         "value are joined by ="),
        ("[[output]]", "[[outputs]]",
         "line 22: there is no table 'outputs'; did you mean [[output]]?"),
        ('target = "takes/b.mp4"', 'path = "b.mp4"',
         "line 16: there is no 'path' in source; did you mean target?"),
        ('to = "{name}.mp4"', 'file = "x.mp4"',
         "line 23: there is no 'file' in output; did you mean to?"),
        ("every = 3", "mask_threshold = 0.3", "line 5: mask_threshold is there twice"),
        ("every = 3", "threshold = [\n 0.3,\n]", "line 4: threshold: it is one value"),
        ("transport = ", "transprot = ", "line 13: there is no 'transprot' in source; did you"),
        ('"udp"', '"ftp"', "line 13: transport is one of tcp, udp"),
        ('start = "1:30"', "start = 9\nend = 8", "line 15: end 8 must be later than start 9"),
        ("crf = 18", "crf = 99", "line 25: crf is 0 to 63, not 99"),
        ('to = "{name}.mp4"', 'to = "x.mp4"', "line 23: two results would be written to x.mp4"),
        ('to = "{name}.mp4"', "to = 3", "line 23: to is a text in quotes, not 3"),
        ('to = "{name}.mp4"', "", "line 22: this output has no `to`"),
        ('target = "takes/b.mp4"', r'target = "a\u0000"', "line 16: target is no name"),
        ('target = "takes/b.mp4"', 'target = ""', "line 16: target is empty"),
        ('target = "takes/b.mp4"', "target = []", "line 16: target is an empty list"),
        ('target = "takes/b.mp4"', "", "line 15: this source has no target"),
        ("[model]", 'look = "blur"\n[model]',
         "line 2: look is in no table; it belongs to [[output]]"),
        ("crf = 18", "masks = 'm'",
         "line 25: there is no 'masks' in output; masks are an [[output]] of their own: to ="),
        ('start = "1:30"', "records = 'a.csv'",
         "line 17: there is no 'records' in source; records are an [[output]] of their own: to ="),
        ("[run]", "[run]\nsave_config = 'x'", "line 8: save_config is for the command line alone"),
        ("[model]", "target = 'a'\n[model]", "line 2: target is in no table; it belongs to [[so"),
        ('target = "takes/b.mp4"', "to = 'b.mp4'", "line 16: there is no 'to' in source; it bel"),
        ("crf = 18", "target = 'x'", "line 25: there is no 'target' in output; it belongs to [["),
        ("every = 3", "every 3",
         "line 4: this is no TOML: expected '=' after a key in a key/value pair; a key and its "
         "value are joined by ="),
        ("every = 3", 'look = "blur',
         "line 4: this is no TOML: illegal character '\\n'; a text ends with \" in the line in"),
        ("every = 3", "every = \u201cauto\u201d",
         'line 4: this is no TOML: invalid value; quotes are straight ones, not \u201c: every = "'),
        ('target = "takes/b.mp4"', 'target = "$HOME/b.mp4"', "line 16: $HOME would be a name like"),
        ('target = "takes/b.mp4"', 'target = ["%HOME%/b.mp4"]', "line 16: %HOME% would be a name"),
        ('target = "takes/b.mp4"', 'target = "rtsp://me:${OF_NOBODY}@door/"', "line 16: ${OF_NOBO"),
        ('to = "{name}.mp4"', 'to = "$HOME/{name}.mp4"', "line 23: $HOME would be a name like"),
        ("[run]", "[counts]\nplot = '$HOME/p.png'\n[run]", "line 8: $HOME would be a name like"),
        ("# A booth", "source = 3\n", "line 1: source is a table: write [[source]]"),
        ("# A booth", "counts = 3\n", "line 1: counts is a table: write [counts] above"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(before, after, words, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    text = BOOTH.replace(before, after, 1)
    if before == "# A booth":  # of the whole file
        text = after
    with pytest.raises(UsageError) as caught:
        loads(text, "booth.toml")
    sentence = str(caught.value)
    assert sentence.startswith(f"booth.toml, {words}"), sentence
    assert "hunter2" not in sentence and "\n" not in sentence


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe", "x.toml is in UTF-16; save it as UTF-8"),
        ("[run]\r\n".encode("utf-16"), "x.toml is in UTF-16; save it as UTF-8"),
        ("[run]\n# ä".encode("latin-1"), "x.toml, line 2: this is no text in UTF-8"),
        (b"\0\0\0\x18ftypisom\xff", "x.toml is no text; name a configuration file in TOML"),
        (b"", "has no [[source]]"),
        (b"x = " + b"[" * 100_000, "x.toml"),
        (b"x = " + b"9" * 10_000, "x.toml"),
    ],
)
def test_what_is_no_configuration_gets_a_sentence(tmp_path, content, words):
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        load(path)
    assert words in str(caught.value) and len(str(caught.value)) < 500
    with pytest.raises(UsageError, match=r"missing\.toml cannot be read: No such file or dir\w+$"):
        load(tmp_path / "missing.toml")
    with pytest.raises(UsageError, match="cannot be read: embedded null"):
        load(tmp_path / "x\0.toml")


def test_secrets_are_written_but_never_said(tmp_path):
    plan = RunPlan(SourcePlan("rtsp://me:hunter2@door/stream"), (OutputPlan("window"),))
    assert 'target = "rtsp://me:hunter2@door/stream"' in dump(plan)
    wrong = dump(plan).replace("target = ", "target = [3, ").replace('stream"', 'stream"]')
    with pytest.raises(UsageError) as caught:
        loads(wrong)
    assert "hunter2" not in str(caught.value)


def test_only_what_differs_is_written():
    assert dump(RunPlan(SourcePlan("in.mp4"), (OutputPlan("out.mp4"),))) == (
        '[[source]]\ntarget = "in.mp4"\n\n[[output]]\nto = "out.mp4"\n'
    )


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), None])
def test_nothing_is_left_of_a_file_that_cannot_be_written(tmp_path, monkeypatch, failure):
    plan = RunPlan(SourcePlan("a.mp4" if failure else "\udcff.mp4"))

    def full(*given):
        raise failure

    if failure:
        monkeypatch.setattr("stream.disk.files.os.write", full)
    with pytest.raises(
        SinkError, match="No space left" if failure else "cannot be written in UTF-8"
    ):
        save(tmp_path / "c.toml", plan)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_kept(tmp_path):
    path = tmp_path / "x.toml"
    plan = RunPlan(SourcePlan("in.mp4"))
    save(path, plan)
    assert load(path) == [plan]
    with pytest.raises(UsageError, match="exists already"):
        save(path, plan)


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("takes/in.mp4", "in"),
        (("p/a.jpg", "p/b.jpg"), "a"),
        ("rtsp://me:secret@door:554/live?key=1", "door-554-live"),
        ("https://example.com/takes/one.mp4?token=x", "example.com-takes-one"),
        ("https://example.com/live/index.m3u8", "example.com-live-index"),
        ("rtsp://door.example.com", "door.example.com"),
        ("srt://10.0.0.7:9000", "10.0.0.7-9000"),
        ("rtsp://door/v1.2", "door-v1.2"),
        ("0", "camera-0"),
        ("/", "source"),
    ],
)
def test_sources_have_names_without_secrets(target, name):
    assert name_of(target) == name


def value_of(leaf):
    """Values that an option can have."""
    option, kind = leaf.option, leaf.kind
    if option.choices:
        return st.sampled_from(option.choices)
    if leaf.name == "select":
        known = st.sampled_from(["all", "largest", "1", "12", "id3,id7"])
        return st.one_of(known, st.integers(1, 10**6).map(str))
    if leaf.name == "every":
        return st.one_of(st.just("auto"), st.integers(1, 10**9))
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(int(option.low or 0), int(option.high or 10**12))
    if kind is float:
        high = 1e12 if option.high is None else option.high
        return st.floats(option.low or 0.0, high, allow_nan=False).map(lambda one: one + 0.0)
    if get_origin(kind) is tuple:
        if leaf.name == "size":
            return st.tuples(st.integers(10, 9999), st.integers(10, 9999))
        return st.lists(texts.filter(str.strip), min_size=1, max_size=3).map(tuple)
    return texts.map(Path) if kind is Path else texts


# A file called ~ is written as ./~, since it would be the home folder.
texts = st.text(min_size=1, max_size=12).filter(
    lambda text: not set("\0${").intersection(text) and not text.startswith("~")
)


def group(kind, leave_out=()):
    """Instances of a group of options."""
    hints = get_type_hints(kind)
    values = {}
    for field in fields(kind):
        if field.name in leave_out:
            continue
        if is_dataclass(hints[field.name]):
            values[field.name] = group(hints[field.name])
        else:
            values[field.name] = st.one_of(
                st.just(field.default), value_of(leaves(kind)[field.name])
            )
    if kind is CutOptions:
        values["start"] = st.one_of(st.none(), st.floats(0, 100))
        values["end"] = st.one_of(st.none(), st.floats(101, 1e6))
    if kind is TrackingOptions:
        followed = st.builds(kind, tracker=values["tracker"])
        return st.one_of(followed, st.just(TrackingOptions(steady=False)))
    return st.builds(kind, **values)


@st.composite
def plans(draw):
    model, tracking = draw(group(ModelOptions)), draw(group(TrackingOptions))
    live, run = draw(group(LiveOptions)), draw(group(RunOptions, ("save_config",)))
    targets = draw(st.lists(texts, min_size=0, max_size=4, unique=True))
    found = []
    for _ in range(draw(st.integers(1, 3))):
        target = draw(st.one_of(texts, st.lists(texts, min_size=1, max_size=3).map(tuple)))
        outputs = tuple(
            OutputPlan(targets.pop(), draw(group(PictureOptions)), draw(group(OutputOptions)))
            for _ in range(draw(st.integers(0, len(targets))))
        )
        source = SourcePlan(target, draw(group(InputOptions)))
        found.append(RunPlan(source, outputs, model, tracking, live, run))
    if all(one.source.options.replay.from_records is not None for one in found):
        looked = {"model": ModelOptions(), "tracking": TrackingOptions()}  # nothing is looked at
        found = [replace(one, **looked) for one in found]
    return found


@given(plans())
def test_what_is_written_is_read_again_as_it_was(found):
    text = dump(found)
    tomllib.loads(text)
    assert loads(text) == found


def test_a_tilde_is_the_home_folder_wherever_a_file_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (plan,) = loads(
        """
        run.report = "~/r.json"
        counts.plot = "~/p.png"
        serve.certificate = "~/c.pem"
        fleet = {below = "~", ledger = "~/l", page = "./~/page.html"}
        source = {target = ["~/in.mp4", "b~/c.mp4", "~nobody-of-this-name/d.mp4"], from = "~/f.txt"}
        output = {to = "~/{name}.mp4", background = "~/b.png", label = "~/name"}
        """.replace("from =", "from_records =")
    )
    home = str(tmp_path)
    assert plan.source.target == (f"{home}/in.mp4", "b~/c.mp4", "~nobody-of-this-name/d.mp4")
    assert plan.source.options.replay.from_records == tmp_path / "f.txt"
    (output,) = plan.outputs
    assert (output.target, output.picture.background) == (f"{home}/in.mp4", f"{home}/b.png")
    assert output.picture.label == "~/name", "which names no file"
    assert (plan.run.report, plan.counts.plot) == (tmp_path / "r.json", tmp_path / "p.png")
    assert plan.serve.certificate == tmp_path / "c.pem"
    assert (plan.fleet.below, plan.fleet.ledger) == (home, tmp_path / "l")
    assert plan.fleet.page == Path("~/page.html"), "a folder of that name, as in a shell"


def test_a_name_with_a_dollar_is_a_name_where_it_cannot_be_a_variable(monkeypatch, tmp_path):
    monkeypatch.setenv("CAMERA", "door")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "${title}.mp4").touch()
    for target in ("${title}.mp4", "./$CAMERA.mp4", "pa$$.mp4", "rtsp://me:a$b%25@door/", "5$.mp4"):
        (plan,) = loads(f"source = {{target = '{target}'}}")
        assert plan.source.target == target
    # What was typed so is read again as that file's name.
    (again,) = loads(dump(RunPlan(SourcePlan("in.mp4"), (OutputPlan("$CAMERA.mp4"),))))
    assert Path(again.outputs[0].target) == Path("$CAMERA.mp4")


def test_what_was_typed_in_quotes_is_written_as_what_it_was(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    plan = RunPlan(
        SourcePlan("~/in.mp4"), (OutputPlan("~"),), run=RunOptions(report=Path("~/r.json"))
    )
    (again,) = loads(dump(plan))
    assert [Path(again.source.target), Path(again.outputs[0].target)] == [
        Path("~/in.mp4"),
        Path("~"),
    ]
    assert again.run.report == Path("~/r.json")


@given(st.text(st.characters(codec="utf-8")), st.integers(0, len(BOOTH)), st.integers(0, 20))
def test_damaged_files_are_read_or_refused_in_a_sentence(text, place, cut):
    damaged = BOOTH[:place] + text + BOOTH[place + cut :]
    try:
        loads(damaged, "booth.toml")
    except UsageError as error:
        assert "hunter2" not in str(error) and str(error).startswith("booth.toml")


def test_camera_options_are_a_source_s():
    (plan,) = loads('[[source]]\ntarget = "camera"\nsize = [1280, 720]\nfps = 30\n')
    assert plan.source.options.camera == CameraOptions(size=(1280, 720), fps=30.0)


def test_the_example_of_the_docs_is_understood():
    page = Path(__file__).parents[2] / "docs" / "configuration.md"
    example = page.read_text().partition("```toml\n")[2].partition("```")[0]
    door, hall = loads(example)
    assert [one.target for one in hall.outputs] == ["hall.mp4", "hall-masks.mkv"]
    assert door.run.report == Path("door.json") and hall.source.target == "1"


def test_a_fleet_is_one_with_all_its_options_at_their_defaults_too() -> None:
    plan = RunPlan(
        SourcePlan(("footage/", "list.txt"), InputOptions(cut=CutOptions(limit=9))),
        (OutputPlan("masked/", PictureOptions(look="blur"), OutputOptions(crf=20)),),
        fleet=FleetOptions(),
    )
    assert loads(dump(plan)) == [plan]
    more = FleetOptions(records=("ndjson", "csv"), workers=3, patience=720.0, below="footage")
    plan = replace(plan, fleet=more)
    assert loads(dump(plan)) == [plan]
    assert loads('[[source]]\ntarget = "a.mp4"\n')[0].fleet is None
    for text, why in {
        "[fleet]\nworker = 1\n": "line 1: there is no 'worker' in fleet; did you mean workers",
        "[fleet]\nstatus = true\n": "status is for the command line alone",
        "[fleet]\nretries = -1\n": "retries",
    }.items():
        with pytest.raises(UsageError, match=why.replace("line 1", "line 2")):
            loads(f'{text}[[source]]\ntarget = "a.mp4"\n')


def test_a_sources_name_is_kept_for_what_is_named_later():
    first, second = loads(
        '[[source]]\ntarget = "a/clip.mp4"\nname = "one"\n[[source]]\ntarget = "b/clip.mp4"\n'
        '[[output]]\nto = "{name}.mp4"\n'
    )
    later = Path("{name}.json")
    assert (first.source.place(later), second.source.place(later)) == (
        Path("one.json"),
        Path("clip.json"),
    )
    assert loads(dump([first, second])) == [first, second]


def test_two_reports_of_one_name_are_refused():
    with pytest.raises(UsageError, match="two reports would be written to clip"):
        loads(
            '[[source]]\ntarget = "a/clip.mp4"\n[[source.output]]\nto = "a.mp4"\n'
            '[[source]]\ntarget = "b/clip.mp4"\n[[source.output]]\nto = "b.mp4"\n'
            '[run]\nreport = "{name}.json"\n'
        )


def test_words_in_braces_that_stand_for_nothing_are_refused_with_their_line():
    begins = '[[source]]\ntarget = "a.mp4"\n'
    for text, line in (
        (begins + '[[output]]\nto = "{nam}.mp4"\n', "line 4: to: {nam}"),
        (begins + '[run]\nreport = "{file}.json"\n', "line 4: report: {file}"),
        (begins + 'from_records = "{stem}.csv"\n', "line 3: from_records: {stem}"),
        (begins + '[counts]\nplot = "{x}.png"\n', "line 4: plot: {x}"),
    ):
        with pytest.raises(UsageError) as caught:
            loads(text)
        assert f"{line} stands for nothing" in str(caught.value)
        loads(text.replace("{", "./{", 1))
    plan = replace(RunPlan(SourcePlan("a.mp4")), outputs=(OutputPlan("{nam}.mp4"),))
    (again,) = loads(dump(plan))
    assert again.outputs[0].target == "./{nam}.mp4"


def test_a_model_or_tracker_beside_records_alone_is_refused_with_its_line():
    of_records = '[[source]]\ntarget = "a.mp4"\nfrom_records = "a.ndjson"\n'
    for text, words in (
        ('[model]\nmodel = "default"\n', "line 2: from_records paints without the model"),
        ('[model]\nclasses = ["dog"]\ninput-size = 640\n', "line 3: from_records paints without"),
        ("[tracking]\nsteady = false\n", "line 2: from_records takes the numbers that records"),
    ):
        with pytest.raises(UsageError, match=words):
            loads(text + of_records)
        loads(f'{text}{of_records}[[source]]\ntarget = "b.mp4"\n'), "the other is looked at"
    loads(f'[model]\nclasses = ["dog"]\nthreshold = 0.5\n{of_records}')
