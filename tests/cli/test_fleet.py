"""What `stream fleet` is to do with which input, what it must not touch, and what it says."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import pytest

from stream.cli._fleet_reports import check_reports, refuse_taken, write_reports
from stream.cli._fleet_run import _prepare, _say, run_fleet
from stream.cli._fleet_wanted import come_since, refuse_foreign, wanted_of, without_results
from stream.cli._fleet_words import _words, print_table, said_while_it_takes
from stream.errors import OutOfReachError, SinkError, StreamError, UsageError
from stream.fleet.entries import Entry, State, Wanted
from stream.fleet.finding import Input, find
from stream.fleet.ledger import Ledger
from stream.fleet.places import shown
from stream.fleet.progress import Progress
from stream.run.plan import OutputPlan, RunPlan, SourcePlan
from stream.settings.fleet_options import FleetOptions
from stream.settings.groups import build
from stream.settings.option import Value
from stream.settings.options import (
    CountOptions,
    InputOptions,
    ModelOptions,
    PictureOptions,
    RunOptions,
)
from stream.system import extras
from tests import tiny_models
from tests.fleet.clips import make_files
from tests.fleet.doing import a_plan
from tests.sources.serving import free_port

VIDEOS = frozenset([".mp4", ".mkv"])


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    one = Ledger(tmp_path / "ledger.sqlite")
    yield one
    one.close()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.bright(tmp_path_factory.mktemp("model") / "bright.onnx", 200)


def _wanted(model: Path, out: Path, *asked: Path, records: list[str] | None = None) -> list[Wanted]:
    found = find([str(one) for one in asked], VIDEOS)
    return wanted_of(found, str(out), a_plan(model), records or [])


def _done(ledger: Ledger, wanted: list[Wanted]) -> None:
    """All of it, with results that say of which file they are."""
    ledger.want(wanted)
    by_source = {one.wanted.source: one.number for one in ledger.each()}
    for one in wanted:
        ledger.begin(by_source[one.source])
        for target in one.targets:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            Path(target).write_text(one.source)
        ledger.done(by_source[one.source], seconds=1.0, frames=1, node="here")


def test_films_that_only_their_endings_tell_apart_keep_these(tmp_path: Path, model: Path) -> None:
    names = ("a.mkv", "a.mp4", "Clip.mp4", "clip.wmv", "b.wmv", "deep/Clip.mp4")
    make_files(tmp_path, *(f"in/{name}" for name in names))
    found = find([str(tmp_path / "in")], VIDEOS | {".wmv"})
    made = wanted_of(found, "/out", a_plan(model), ["ndjson", ".csv"])
    assert {Path(one.source).name: one.targets for one in made if "deep" not in one.source} == {
        "a.mkv": ("/out/a.mkv", "/out/a.mkv.ndjson", "/out/a.mkv.csv"),
        "a.mp4": ("/out/a.mp4", "/out/a.mp4.ndjson", "/out/a.mp4.csv"),
        "Clip.mp4": ("/out/Clip.mp4", "/out/Clip.mp4.ndjson", "/out/Clip.mp4.csv"),
        "clip.wmv": ("/out/clip.wmv.mp4", "/out/clip.wmv.ndjson", "/out/clip.wmv.csv"),
        "b.wmv": ("/out/b.mp4", "/out/b.ndjson", "/out/b.csv"),
    }
    (deep,) = (one for one in made if "deep" in one.source)
    assert deep.targets == ("/out/deep/Clip.mp4", "/out/deep/Clip.ndjson", "/out/deep/Clip.csv")


def test_a_film_that_comes_later_takes_its_name_from_one_whose_ending_is_another(
    tmp_path: Path, model: Path, ledger: Ledger
) -> None:
    out, films = tmp_path / "out", tmp_path / "in"

    def wanted() -> list[Wanted]:
        return wanted_of(find([str(films)], VIDEOS | {".wmv"}), str(out), a_plan(model), [])

    make_files(films, "a.wmv", "b.mp4")
    _done(ledger, wanted())
    assert (out / "a.mp4").read_text() == str(films / "a.wmv")
    make_files(films, "a.mp4")
    refuse_foreign(ledger, wanted(), overwrite=False)
    ledger.want(wanted())
    waiting = {Path(one.wanted.source).name for one in ledger.each(State.WAITING)}
    assert waiting == {"a.wmv", "a.mp4"}, "and b.mp4 is done"
    _done(ledger, wanted())
    assert (out / "a.mp4").read_text() == str(films / "a.mp4")
    assert (out / "a.wmv.mp4").read_text() == str(films / "a.wmv")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"split": "object"}, "--split and --crop make as many files"),
        ({"crop": True}, "--split and --crop make as many files"),
        ({"plot": Path("plot.png")}, "plot.png cannot be for several inputs"),
        ({"from_records": Path("found.ndjson")}, "found.ndjson cannot be for several inputs"),
        ({"from_records": Path("{name}.ndjson")}, r"a\.ndjson would be for .*a\.mp4 and for .*a"),
    ],
)
def test_what_has_no_place_among_many_results_is_refused(
    tmp_path: Path, model: Path, asked: dict[str, Value], words: str
) -> None:
    make_files(tmp_path, "in/a.mp4", "in/deep/a.mp4")
    plan = RunPlan(
        SourcePlan((str(tmp_path / "in"),), build(InputOptions, asked)),
        (OutputPlan(str(tmp_path / "out"), build(PictureOptions, asked)),),
        ModelOptions(str(model)),
        counts=build(CountOptions, asked),
        fleet=FleetOptions(),
    )
    with pytest.raises(UsageError, match=words):
        run_fleet(plan)
    assert not (tmp_path / "out").exists()


def test_records_of_no_format_are_refused_by_what_was_asked_for(
    tmp_path: Path, model: Path
) -> None:
    make_files(tmp_path, "in/a.mp4")
    for records in ("foo", ".", "-", "ndjson,csv", "deep/a.json", "json/", "{name}.csv"):
        plan = RunPlan(
            SourcePlan((str(tmp_path / "in"),), InputOptions()),
            (OutputPlan(str(tmp_path / "out")),),
            ModelOptions(str(model)),
            fleet=FleetOptions(records=("csv", records)),
        )
        why = "such as --records csv" if "{" in records else "written: .*csv, .*ndjson"
        said = f"^--records {re.escape(repr(records))}: .* {why}"
        with pytest.raises(UsageError, match=said):
            run_fleet(plan)
        assert not (tmp_path / "out").exists()


def _on_ray(folder: Path, model: Path, address: str) -> RunPlan:
    make_files(folder, "in/a.mp4")
    return RunPlan(
        SourcePlan((str(folder / "in"),), InputOptions()),
        (OutputPlan(str(folder / "out")),),
        ModelOptions(str(model), provider="cpu"),
        fleet=FleetOptions(ray=address),
    )


def test_without_ray_nothing_is_looked_for_and_no_table_made(
    tmp_path: Path,
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    there = extras.importlib.util.find_spec
    monkeypatch.setattr(
        extras.importlib.util, "find_spec", lambda name: None if name == "ray" else there(name)
    )
    with pytest.raises(UsageError, match=r"'ray'; install .* '\.\[fleet\]'$"):
        run_fleet(_on_ray(tmp_path, model, "auto"))
    assert not (tmp_path / "out").exists()
    assert capsys.readouterr() == ("", "")


def test_where_ray_is_not_reached_a_log_says_what_was_tried_and_has_no_table(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray", reason="it is what does not answer")
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(OutOfReachError, match=f"Ray does not answer at {address}"):
        run_fleet(_on_ray(tmp_path, model, address))
    assert capsys.readouterr() == ("", "starting Ray and the workers\n")


@pytest.mark.parametrize("records", [["csv", ".csv"], ["mp4"]])
def test_two_results_of_one_name_are_refused(
    tmp_path: Path, model: Path, records: list[str]
) -> None:
    make_files(tmp_path, "in/a.mp4")
    with pytest.raises(UsageError, match=r"a\.(csv|mp4) is named twice"):
        _wanted(model, tmp_path / "out", tmp_path / "in", records=records)


def test_an_object_whose_name_leads_out_of_the_output_is_refused(model: Path) -> None:
    """Storage has names and no folders: in one with .. in it nobody sees where it would lie."""
    found = [Input("s3://bucket/raw/a/../../b.mp4", "a/../../b.mp4", "1")]
    with pytest.raises(UsageError, match=r"raw/a/\.\./\.\./b\.mp4 would lie outside of /out"):
        wanted_of(found, "/out", a_plan(model), [])
    (wanted,) = wanted_of(found, "s3://bucket/out", a_plan(model), [])
    assert wanted.targets == ("s3://bucket/out/a/../../b.mp4",)


def test_a_file_whose_result_would_get_another_name_in_s3_is_refused(model: Path) -> None:
    found = [Input("/films/who?versionId=7.mp4", "who?versionId=7.mp4", "1")]
    with pytest.raises(UsageError, match=r"of /films/who\?versionId=7\.mp4 would get another name"):
        wanted_of(found, "s3://bucket/out", a_plan(model), [])
    (wanted,) = wanted_of(found, "/out", a_plan(model), [])
    assert wanted.targets == ("/out/who?versionId=7.mp4",)


def test_what_never_came_of_another_file_is_nobodys(
    tmp_path: Path, model: Path, ledger: Ledger
) -> None:
    """A film that failed was taken away, and is there once more in another folder."""
    out = tmp_path / "out"
    make_files(tmp_path, "in/a.mp4", "again/a.mp4")
    first = _wanted(model, out, tmp_path / "in")
    ledger.want(first)
    ledger.begin(1)
    ledger.failed(1, "it is damaged", seconds=1.0, node="here", last=True)
    refuse_foreign(ledger, _wanted(model, out, tmp_path / "again"), overwrite=False)
    assert not ledger.entries()


def test_what_other_options_have_made_is_this_fleets_too(
    tmp_path: Path, model: Path, ledger: Ledger
) -> None:
    """Records of another kind, or videos in another container, and back; among the inputs."""
    make_files(tmp_path, "in/a.mp4")
    out = tmp_path / "in" / "out"
    for records in (["ndjson"], ["csv"], ["ndjson"], []):
        wanted = _wanted(model, out, tmp_path / "in" / "a.mp4", records=records)
        refuse_foreign(ledger, wanted, overwrite=False)
        _done(ledger, wanted)
    webm = [replace(wanted[0], targets=(str(out / "a.webm"),))]
    _done(ledger, webm)
    found = find([str(tmp_path / "in")], VIDEOS)
    assert [one.below for one in found] == ["a.mp4", "out/a.mp4"]
    left = without_results(found, str(out), ledger.path)
    assert [one.below for one in left] == ["a.mp4"]
    refuse_foreign(ledger, wanted, overwrite=False)
    # To another file's result it is foreign all the same.
    make_files(tmp_path, "other/a.mp4")
    other = _wanted(model, out, tmp_path / "other")
    with pytest.raises(UsageError, match=r"out/a\.mp4 is what came of .*in/a\.mp4"):
        refuse_foreign(ledger, other, overwrite=False)


def test_what_came_of_another_file_is_not_replaced(
    tmp_path: Path, model: Path, ledger: Ledger
) -> None:
    """Two nights' folders with the same names, one after the other, into the same output."""
    out = tmp_path / "out"
    make_files(tmp_path, "in/day1/a.mp4", "in/day2/a.mp4", "in/day2/b.mp4")
    first = _wanted(model, out, tmp_path / "in" / "day1")
    refuse_foreign(ledger, first, overwrite=False)
    _done(ledger, first)
    refuse_foreign(ledger, first, overwrite=False)  # its own
    second = _wanted(model, out, tmp_path / "in" / "day2")
    with pytest.raises(UsageError, match=r"out/a\.mp4 is what came of .*day1/a\.mp4, and .*day2/a"):
        refuse_foreign(ledger, second, overwrite=False)
    # Where it is replaced on purpose, the ledger does not say any more that it is the other's.
    refuse_foreign(ledger, second, overwrite=True)
    _done(ledger, second)
    sources = [one.wanted.source for one in ledger.each()]
    assert sources == [str(tmp_path / "in" / "day2" / name) for name in ("a.mp4", "b.mp4")]


def test_what_others_have_written_is_replaced_only_on_purpose(
    tmp_path: Path, model: Path, ledger: Ledger
) -> None:
    make_files(tmp_path, "in/a.mp4", "out/a.mp4")
    wanted = _wanted(model, tmp_path / "out", tmp_path / "in")
    with pytest.raises(UsageError, match="1 result exists already that this fleet has not written"):
        refuse_foreign(ledger, wanted, overwrite=False)
    refuse_foreign(ledger, wanted, overwrite=True)


def test_films_that_come_or_change_meanwhile_are_counted(
    tmp_path: Path, model: Path, ledger: Ledger
) -> None:
    """A camera goes on writing into the folder; results among the inputs are none."""
    make_files(tmp_path, "in/a.mp4", "in/b.mp4", "other/z.mp4")
    folder, out = tmp_path / "in", tmp_path / "in" / "out"
    _done(ledger, _wanted(model, out, folder))
    asked = [str(folder), str(tmp_path / "in" / "*.mp4"), str(folder / "a.mp4"), "s3://bucket/in"]
    assert come_since(ledger, asked, str(out), None) == 0
    make_files(tmp_path, "in/c.mp4", "in/day2/d.mp4", "in/notes.txt")
    (folder / "b.mp4").write_bytes(b"longer than before")
    assert come_since(ledger, asked, str(out), None) == 3
    (tmp_path / "other" / "z.mp4").unlink()
    assert come_since(ledger, [str(tmp_path / "other")], str(out), None) == 0


def test_of_storage_another_machines_ledger_is_named(
    tmp_path: Path, model: Path, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is in that machine's cache, and this one's knows of none of the results."""
    make_files(tmp_path, "in/a.mp4")
    output = "memory://results-of-others"
    fsspec.filesystem("memory").pipe("/results-of-others/a.mp4", b"whole")
    wanted = _wanted(model, output, tmp_path / "in")
    with pytest.raises(UsageError, match=r"1 result exists already .* machine, with --ledger$"):
        refuse_foreign(ledger, wanted, overwrite=False)
    new, options = tmp_path / "new.sqlite", FleetOptions()
    _prepare(output, new, options, quiet=False)
    assert f"is written down in {new}, on this machine alone" in capsys.readouterr().err
    _prepare(output, new, FleetOptions(ledger=new), quiet=False)
    _prepare(output, ledger.path, options, quiet=False)
    _prepare(str(tmp_path / "out"), new, options, quiet=False)
    assert capsys.readouterr().err == "" and (tmp_path / "out").is_dir()


@pytest.mark.parametrize("through", ["out", "link"])
def test_no_input_is_replaced_by_what_comes_of_another(
    tmp_path: Path, model: Path, ledger: Ledger, through: str
) -> None:
    """An output folder among the inputs, with a film in it that is an input too."""
    make_files(tmp_path, "in/a.mp4", "in/out/a.mp4")
    (tmp_path / "in" / "link").symlink_to("out")
    wanted = _wanted(model, tmp_path / "in" / through, tmp_path / "in")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="is an input, and would" if overwrite else "exist"):
            refuse_foreign(ledger, wanted, overwrite=overwrite)


def test_a_film_is_not_replaced_by_its_own_result(tmp_path: Path, model: Path) -> None:
    make_files(tmp_path, "in/a.mp4")
    with pytest.raises(UsageError, match="would be replaced by its own result"):
        _wanted(model, tmp_path / "in", tmp_path / "in")


def test_results_among_the_inputs_are_no_inputs(
    tmp_path: Path, model: Path, ledger: Ledger
) -> None:
    make_files(tmp_path, "in/a.mp4")
    out = tmp_path / "in" / "out"
    _done(ledger, _wanted(model, out, tmp_path / "in"))
    found = find([str(tmp_path / "in")], VIDEOS)
    assert [one.below for one in found] == ["a.mp4", "out/a.mp4"]
    left = without_results(found, str(out), ledger.path)
    assert [one.below for one in left] == ["a.mp4"]
    with pytest.raises(UsageError, match="all videos there are results of this fleet"):
        without_results(found[1:], str(out), ledger.path)


def test_what_takes_long_is_said_again_and_again(capsys: pytest.CaptureFixture[str]) -> None:
    class Over(threading.Event):
        """Ends of itself after the third word, and not before."""

        def __init__(self) -> None:
            super().__init__()
            self.pauses: list[float | None] = []
            self.said = threading.Event()

        def wait(self, timeout: float | None = None) -> bool:
            self.pauses.append(timeout)
            if len(self.pauses) > 3:
                self.said.set()
                return super().wait()
            return False

    over = Over()
    with said_while_it_takes("looking for films in s3://bucket", quiet=False, over=over):
        assert over.said.wait(60)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("looking for films in s3://bucket (") for line in lines)
    first, second, third = over.pauses[:3]
    assert first and second and first < second == third


def test_a_line_of_progress_names_a_few_machines_of_many() -> None:
    progress = Progress(total=9, done=3, seconds=10.0, frames=600)
    assert "workers are starting" in _words(progress)
    progress.workers = {"one": 1, "two": 3}
    progress.node_frames = Counter({"one": 200, "two": 400})
    assert "60.0 frames a second" in _words(progress)
    assert "(one: 1 worker, 20.0 frames a second; two: 3 workers, 40.0 frames a" in _words(progress)
    progress.workers = {f"{name:04}": 4 for name in range(1000)}
    progress.node_frames = Counter(dict.fromkeys(progress.workers, 1))
    said = _words(progress)
    assert len(said) < 400 and "996 more machines: 3984 workers, 99.6 frames a second" in said


def _entry(number: int, state: State, **more) -> Entry:
    wanted = Wanted(f"/in/{number}.mp4", (f"/out/{number}.mp4",), "1", "o")
    return Entry(number=number, wanted=wanted, state=state, **more)


def test_a_failed_object_is_named_once_although_secrets_are_left_out_of_its_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = "s3://bucket/who? me.mp4"
    wanted = Wanted(source, ("s3://bucket/out/who? me.mp4",), "1", "o")
    error = f"{shown(source)} cannot be fetched: it is gone"
    print_table([Entry(number=1, wanted=wanted, state=State.FAILED, error=error)], {})
    assert capsys.readouterr().err.count("s3://bucket/who?") == 1


def test_the_table_says_machines_the_time_left_and_remarks_by_kind(
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = [
        _entry(
            number, State.DONE, frames=50, seconds=5.0, node=f"node{number % 2}",
            begun=10.0 * number, ended=10.0 * number + 5,
            remark="no sound was kept" if number == 7 else f"{number}.mp4 is cut short after 9",
        )
        for number in range(8)
    ]  # fmt: skip
    print_table([*done, _entry(8, State.WAITING), _entry(9, State.RUNNING)], {}, left=True)
    said = capsys.readouterr()
    rows = [" ".join(line.replace("\u2502", " ").split()) for line in said.out.splitlines()]
    assert "10 8 0 2 400 10.0 0:00:10" in rows
    assert "node0 4 200 10.0" in rows and "node1 4 200 10.0" in rows
    assert "7 files, such as /in/0.mp4: 0.mp4 is cut short after 9" in said.err
    assert "/in/7.mp4: no sound was kept" in said.err


@pytest.mark.parametrize("option", ["report", "page"])
def test_what_is_no_report_is_not_replaced_and_told_before_the_work(
    tmp_path: Path, option: str
) -> None:
    """A film of the archive, say, or the ledger itself; its folder may not be there, either."""
    film = tmp_path / "film.mp4"
    film.write_bytes(b"a film")
    for path, why in (
        (film, "exists and is no (report|page) of"),
        (tmp_path, "is a folder"),
        (tmp_path / "none" / "x", "the folder .*none does not exist"),
    ):
        asked = FleetOptions(page=path if option == "page" else None)
        run = RunOptions(report=path if option == "report" else None)
        with pytest.raises(StreamError, match=why):
            check_reports(asked, run)
        with pytest.raises(SinkError, match="cannot write the"):
            write_reports([], {}, asked, run)
    assert film.read_bytes() == b"a film"


def test_reports_replace_older_ones_and_no_results(tmp_path: Path) -> None:
    asked = FleetOptions(page=tmp_path / "page.html")
    run = RunOptions(report=tmp_path / "a.json")
    for _ in range(2):
        check_reports(asked, run)
        write_reports([_entry(1, State.DONE)], {}, asked, run)
    wanted = [Wanted("a.mp4", (str(tmp_path / "a.mp4"), str(tmp_path / "a.json")), "1", "2")]
    with pytest.raises(UsageError, match=r"a\.json is what comes of a\.mp4.* for --report"):
        refuse_taken(asked, run, wanted)
    refuse_taken(asked, RunOptions(), wanted)


def test_a_page_that_cannot_be_written_is_a_sentence_behind_the_table(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.want([Wanted("a.mp4", ("out/a.mp4",), "1", "2")])
    asked = FleetOptions(page=tmp_path / "none" / "page.html")
    with pytest.raises(SinkError, match=r"cannot write the page .*: No such file or directory"):
        _say(ledger, [1], asked, RunOptions())
    assert "missing" in capsys.readouterr().out
