import re
from pathlib import Path, PurePath

import pytest

from stream.cli._batch import folder_of, match_outputs, photo_beside
from stream.cli._inputs import find_inputs
from stream.errors import SourceError, UsageError
from stream.sources import open as open_source
from stream.sources.folders import PICTURE_ENDINGS, VIDEO_ENDINGS


@pytest.fixture
def takes(tmp_path):
    for name in ("a.mp4", "b.MOV", "c.3gp", "notes.txt", "sub/a.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def matched(inputs, outputs, root, **how):
    """Where each input goes, relative to the folder of them all."""
    outputs = [outputs] if isinstance(outputs, Path | str) else outputs
    found = find_inputs([str(one) for one in inputs], VIDEO_ENDINGS, "videos", **how)
    tasks = match_outputs(found, [str(one) for one in outputs])
    return [
        (
            str(task.source.relative_to(root)),
            *(str(Path(one).relative_to(root)) for one in task.outputs),
        )
        for task in tasks
    ]


def test_each_input_has_outputs_of_its_name(takes):
    names = f"{takes}/out/{{name}}-blurred.mkv"
    assert matched([takes], names, takes, recursive=True) == [
        ("a.mp4", "out/a-blurred.mkv"),
        ("b.MOV", "out/b-blurred.mkv"),
        ("c.3gp", "out/c-blurred.mkv"),
        ("sub/a.mp4", "out/sub/a-blurred.mkv"),
    ]
    (takes / "a.mov").touch()
    assert [one for _, one in matched([takes / "a.mp4", takes / "a.mov"], names, takes)] == [
        "out/a.mp4-blurred.mkv",
        "out/a.mov-blurred.mkv",
    ]
    single = [f"{takes}/{{name}}.webm", f"{takes}/fixed.mkv"]
    assert matched([takes / "b.MOV"], single, takes) == [("b.MOV", "b.webm", "fixed.mkv")]
    with pytest.raises(UsageError, match=r"\{nam\} stands for nothing in .*\{nam\}\.mkv"):
        matched([takes], f"{takes}/{{nam}}.mkv", takes)


def test_a_folder_of_many_is_gone_through_once(tmp_path, monkeypatch):
    # Compared with each other, ten thousand films beside their results took two minutes.
    for number in range(40):
        for ending in (".mp4", ".stream.mp4", ".txt"):
            (tmp_path / f"{number}{ending}").touch()
        (tmp_path / f"folder{number}").mkdir()
    compared, plain = [], PurePath.__eq__

    def counting(one, other):
        compared.append(one)
        return plain(one, other)

    monkeypatch.setattr(PurePath, "__eq__", counting)
    found = find_inputs([str(tmp_path)], VIDEO_ENDINGS, "videos")
    assert len(found.files) == 40
    assert [line.split(": ")[1].split(" (")[0] for line in found.left_out] == [
        "40 subfolders",
        "40 other files",
        "40 results of an earlier run",
    ]
    assert len(compared) < 160, "some are compared with all others"


def test_a_folder_below_that_results_go_into_is_not_gone_through(takes):
    (takes / "sub/out/deep").mkdir(parents=True)
    for name in ("sub/out/a.mp4", "sub/out/deep/b.mp4"):
        (takes / name).touch()

    def found(asked, into, **how):
        found = find_inputs([str(asked)], VIDEO_ENDINGS, "videos", into=[None, str(into)], **how)
        return [str(one.relative_to(takes)) for one, _ in found.files], found.left_out

    mine = ["a.mp4", "b.MOV", "c.3gp", "sub/a.mp4"]
    files, left_out = found(takes, takes / "sub/out", recursive=True)
    assert files == mine
    assert f"left out of {takes}: 1 folder (sub/out), into which results go" in left_out
    # A folder of results is gone through where it is asked for itself, or is no result's folder.
    assert found(takes / "sub/out", takes / "sub/out")[0] == ["sub/out/a.mp4"]
    assert len(found(takes, takes / "elsewhere", recursive=True)[0]) == 6
    files, left_out = found(f"{takes}/**/*.mp4", takes / "sub/out")
    assert files == ["a.mp4", "sub/a.mp4"]
    assert left_out[0].startswith(f"left out of {takes}/**/*.mp4: 2 results of an earlier run")
    with pytest.raises(UsageError, match="are results of earlier runs"):
        found(f"{takes}/sub/*/*.mp4", takes / "sub/out")
    (takes / "link").symlink_to("sub/out")
    assert found(takes, takes / "link", recursive=True)[0] == mine


@pytest.mark.parametrize("how", ["by the shell", "by a pattern"])
def test_results_beside_what_they_came_of_are_not_taken_again(tmp_path, how):
    for name in ("a.wmv", "a.stream.mp4", "a.stream.stream.mp4", "b.mp4", "live.stream.mp4"):
        (tmp_path / name).touch()
    files = sorted(map(str, tmp_path.iterdir())) if how == "by the shell" else [f"{tmp_path}/*.*"]
    found = find_inputs(files, VIDEO_ENDINGS, "videos")
    # What came of nothing that is named is somebody's film of that name.
    assert [one.name for one, _ in found.files] == ["a.wmv", "b.mp4", "live.stream.mp4"]
    assert found.left_out == [
        f"left out: 2 results of an earlier run ({tmp_path}/a.stream.mp4, "
        f"{tmp_path}/a.stream.stream.mp4)"
    ]
    alone = find_inputs([f"{tmp_path}/a.stream.mp4"], VIDEO_ENDINGS, "videos")
    assert len(alone.files) == 1 and not alone.left_out


def test_a_folder_of_nothing_but_results_is_called_so(tmp_path):
    (tmp_path / "a.stream.mp4").touch()
    with pytest.raises(UsageError, match="has no videos in it, only results of earlier runs"):
        find_inputs([str(tmp_path)], VIDEO_ENDINGS, "videos")


@pytest.fixture
def closed(takes, monkeypatch):
    """A folder that may not be looked into, to root neither."""

    def refusing(name):
        plain = getattr(Path, name)

        def refused(path, *args, **kwargs):
            if "closed" in path.parts[:-1] or (name == "iterdir" and path.name == "closed"):
                raise PermissionError(13, "Permission denied", str(path))
            return plain(path, *args, **kwargs)

        monkeypatch.setattr(Path, name, refused)

    (takes / "closed").mkdir()
    for name in ("iterdir", "is_dir", "is_file", "exists", "stat"):
        refusing(name)
    return takes / "closed"


def test_a_folder_that_may_not_be_looked_into_is_named_and_left_out(closed, takes):
    found = find_inputs([str(takes)], VIDEO_ENDINGS, "videos", recursive=True)
    assert len(found.files) == 4
    assert f"the folder {closed} cannot be looked into: Permission denied" in found.left_out[0]
    (takes / "d").mkdir()
    for path, how in ((closed, True), (closed, False)):
        with pytest.raises(SourceError, match="closed cannot be looked into: Permission denied"):
            find_inputs([str(path)], VIDEO_ENDINGS, "videos", recursive=how)
    with pytest.raises(UsageError, match=r"a\.mp4 may not be read; check its permissions"):
        find_inputs([str(closed / "a.mp4")], VIDEO_ENDINGS, "videos")
    with pytest.raises(UsageError, match="has no videos in it"):
        find_inputs([str(takes / "d")], VIDEO_ENDINGS, "videos")
    for name in ("a.mp4", "a.png", "a"):
        with pytest.raises(SourceError, match="may not be read; check its permissions"):
            open_source(str(closed / name))


def test_one_file_goes_to_the_output_itself(takes):
    assert matched([takes / "a.mp4"], takes / "out.mkv", takes) == [("a.mp4", "out.mkv")]


def test_one_file_goes_into_a_folder_that_is_there(takes):
    (takes / "done").mkdir()
    assert matched([takes / "a.mp4"], takes / "done", takes) == [("a.mp4", "done/a.mp4")]


def test_a_folder_s_videos_keep_their_names_where_their_container_is_written(takes):
    assert matched([takes], takes / "done", takes) == [
        ("a.mp4", "done/a.mp4"),
        ("b.MOV", "done/b.MOV"),
        ("c.3gp", "done/c.mp4"),
    ]


def test_videos_that_differ_in_their_ending_alone_have_results_of_their_own(takes):
    for name in ("c.MKV", "sub/c.3gp"):
        (takes / name).touch()
    there = [takes / name for name in ("c.3gp", "c.MKV", "a.mp4")]
    assert matched(there, takes / "done", takes) == [
        ("c.3gp", "done/c.3gp.mp4"),
        ("c.MKV", "done/c.MKV"),
        ("a.mp4", "done/a.mp4"),
    ]
    assert matched(there, [], takes)[0] == ("c.3gp", "c.3gp.stream.mp4")
    found = find_inputs([str(takes)], VIDEO_ENDINGS, "videos", recursive=True)
    names = {str(one.place): one.name for one in match_outputs(found, [f"{takes}/done/"])}
    assert names["c.3gp"] == "c.3gp" and names["c.MKV"] == "c.MKV"
    assert names["a.mp4"] == "a" and names["sub/c.3gp"] == "c"


@pytest.mark.parametrize(
    ("inputs", "output", "words"),
    [
        (["missing.mp4"], "out.mp4", "missing.mp4"),
        (["a.mp4", "b.MOV"], "notes.txt", "need a folder"),
        (["a.mp4", "sub/a.mp4"], "done", "would both become"),
        (["a.mp4", "b.MOV"], "out.json", "end it with a slash"),
        (["a.mp4", "b.MOV"], "xx.mp4", "end it with a slash"),
        (["sub"], "xx.3gp", "end it with a slash"),
        (["a.mp4", "b.MOV"], "out/%05d.png", r"out/\{name\}/%05d.png"),
    ],
)
def test_what_cannot_be_matched_is_refused(takes, inputs, output, words):
    with pytest.raises(UsageError, match=words):
        matched([takes / name for name in inputs], takes / output, takes)


def test_a_folder_without_videos_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no videos in it$"):
        matched([tmp_path], tmp_path / "out", tmp_path)
    (tmp_path / "a.JPG").touch()
    with pytest.raises(UsageError, match="no videos in it; its pictures are for: stream image"):
        matched([tmp_path], tmp_path / "out", tmp_path)
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.mp4").touch()
    with pytest.raises(UsageError, match="no pictures in it; its videos are for: stream file"):
        find_inputs([str(tmp_path / "films")], PICTURE_ENDINGS, "pictures")


def test_numbered_pictures_are_named_as_they_can_be(tmp_path):
    for index in (1, 2, 5):
        (tmp_path / f"img_{index:04d}.png").touch()
    for number in ("%04d", "%4d", "%d"):
        words = re.escape(f"numbered files are named with a *, in quotes: {tmp_path}/img_*.png")
        with pytest.raises(UsageError, match=words):
            find_inputs([f"{tmp_path}/img_{number}.png"], PICTURE_ENDINGS, "pictures")
    with pytest.raises(UsageError, match=r"there is no file .*x_%04d\.png$"):
        find_inputs([f"{tmp_path}/x_%04d.png"], PICTURE_ENDINGS, "pictures")
    with pytest.raises(
        UsageError, match="among the videos here; its pictures are for: stream image"
    ):
        matched([f"{tmp_path}/img_*.png"], tmp_path / "out", tmp_path)
    found = find_inputs([f"{tmp_path}/img_*.png"], PICTURE_ENDINGS, "pictures")
    assert [one.name[4:8] for one, _ in found.files] == ["0001", "0002", "0005"]


def test_numbered_pictures_are_one_film_and_named_after_what_is_no_number(tmp_path):
    folder = tmp_path / "walk"
    for pattern, name in (("%05d.png", "walk"), ("shot.%04d.jpg", "shot"), ("a_%d_b.png", "a__b")):
        found = find_inputs([str(folder / pattern)], VIDEO_ENDINGS, "videos")
        assert [one for one, _ in found.files] == [folder / pattern] and not found.folders
        (task,) = match_outputs(found, [])
        assert task.outputs == (str(folder / f"{name}.stream.mp4"),)
        (task,) = match_outputs(found, ["out/{name}.mp4"])
        assert task.outputs == (f"out/{name}.mp4",)
        (task,) = match_outputs(found, [f"{tmp_path}/"])
        assert task.outputs == (str(tmp_path / f"{name}.mp4"),)


def test_a_slash_at_the_end_means_a_folder(takes):
    assert matched([takes / "a.mp4"], f"{takes}/new.mp4/", takes) == [("a.mp4", "new.mp4/a.mp4")]
    assert folder_of("some.mp4/", 3) == Path("some.mp4")
    assert folder_of("2024.11", 3) == Path("2024.11"), "a date is no file's ending"


def test_without_an_output_the_result_lies_beside_the_input(takes):
    assert matched([takes / "a.mp4", takes / "c.3gp"], [], takes) == [
        ("a.mp4", "a.stream.mp4"),
        ("c.3gp", "c.stream.mp4"),
    ]
    assert photo_beside(Path("x/photo.JPG")) == Path("x/photo.stream.JPG")
    assert photo_beside(Path("x/photo.heic")) == Path("x/photo.stream.png")


def test_one_input_goes_to_several_outputs(takes):
    outputs = [takes / "out.mp4", f"{takes}/sub/"]
    assert matched([takes / "b.MOV"], outputs, takes) == [("b.MOV", "out.mp4", "sub/b.MOV")]
    with pytest.raises(UsageError, match="named twice"):
        matched([takes / "b.MOV"], [takes / "out.mp4", takes / "out.mp4"], takes)
    with pytest.raises(UsageError, match="2 inputs cannot go to 2 outputs"):
        matched([takes / "a.mp4", takes / "b.MOV"], outputs, takes)


def test_subfolders_are_gone_through_where_that_is_asked_for(takes):
    assert matched([takes], takes / "done", takes, recursive=True) == [
        ("a.mp4", "done/a.mp4"),
        ("b.MOV", "done/b.MOV"),
        ("c.3gp", "done/c.mp4"),
        ("sub/a.mp4", "done/sub/a.mp4"),
    ]
    (takes / "other" / "deep").mkdir(parents=True)
    (takes / "other" / "deep" / "x.mp4").touch()
    with pytest.raises(UsageError, match=r"no videos in it; --recursive"):
        matched([takes / "other"], takes / "done", takes)


def test_what_is_left_out_of_a_folder_is_named(takes):
    for name in ("._a.mp4", "a.stream.mp4", ".hidden.mp4"):
        (takes / name).touch()
    found = find_inputs([str(takes)], VIDEO_ENDINGS, "videos")
    assert [path.name for path, _ in found.files] == ["a.mp4", "b.MOV", "c.3gp"]
    said = " ".join(found.left_out)
    assert "1 subfolder (sub); --recursive takes them too" in said
    assert "1 other file (notes.txt)" in said
    assert "1 result of an earlier run (a.stream.mp4)" in said


def test_patterns_are_expanded_where_the_shell_did_not(takes):
    assert matched([f"{takes}/*.*"], takes / "done", takes) == [
        ("a.mp4", "done/a.mp4"),
        ("b.MOV", "done/b.MOV"),
        ("c.3gp", "done/c.mp4"),
    ]
    with pytest.raises(UsageError, match="nothing of the name"):
        matched([f"{takes}/*.avi"], takes / "done", takes)


def test_a_pattern_in_quotes_may_begin_at_home(takes, monkeypatch):
    monkeypatch.setenv("HOME", str(takes))
    assert matched(["~/a.*4"], takes / "done", takes) == [("a.mp4", "done/a.mp4")]


def test_an_output_without_its_option_is_told_from_an_input(takes):
    with pytest.raises(
        UsageError, match=r"no file out\.mp4; where it is to be written, say -o out"
    ):
        find_inputs([f"{takes}/a.mp4", "out.mp4"], VIDEO_ENDINGS, "videos")
    for inputs in (["out.mp4"], ["out.mp4", f"{takes}/a.mp4"], [f"{takes}/a.mp4", "out"]):
        with pytest.raises(UsageError) as told:
            find_inputs(inputs, VIDEO_ENDINGS, "videos")
        assert "-o" not in str(told.value)


@pytest.mark.parametrize(
    "address", ["https://host/x.mp4", "rtsp://u:secret@host/x", "rtmp:/host/x"]
)
def test_an_address_is_not_taken_for_a_file(address):
    with pytest.raises(UsageError, match="stream url ADDRESS"):
        find_inputs([address], VIDEO_ENDINGS, "videos")


def test_one_output_by_two_ways_is_named_twice(takes):
    (takes / "out").mkdir()
    (takes / "link").symlink_to(takes / "out")
    for other in ("out/../out/x.mp4", "link/x.mp4", "./out//x.mp4"):
        with pytest.raises(UsageError, match="is named twice"):
            matched([takes / "a.mp4"], [takes / "out/x.mp4", f"{takes}/{other}"], takes)


def test_the_head_of_a_playlist_is_no_film(tmp_path):
    """It holds no picture, and a run over a folder with a playlist in it failed at it."""
    for name in ("film.mp4", "film-20261128T144946-head.mp4", "my-head.mp4"):
        (tmp_path / name).touch()
    found = find_inputs([str(tmp_path)], frozenset({".mp4"}), "videos")
    assert [path.name for path, _ in found.files] == ["film.mp4", "my-head.mp4"]
    assert "1 result of an earlier run (film-20261128T144946-head.mp4)" in found.left_out[0]
    found = find_inputs([f"{tmp_path}/*.mp4"], frozenset({".mp4"}), "videos")
    assert [path.name for path, _ in found.files] == ["film.mp4", "my-head.mp4"]


def test_a_folder_where_a_result_would_be_its_input_is_named_with_the_result(takes, monkeypatch):
    monkeypatch.chdir(takes)
    for given, output, words in (
        ("a.mp4", ".", r"in -o \. the result of a.mp4 would be \./a.mp4, .* -o for a.stream.mp4"),
        ("a.mp4", "../" + takes.name, rf"would be \.\./{takes.name}/a.mp4, the input itself"),
        (".", ".", r"would be \./a.mp4, the input itself"),
        ("sub", "sub/", r"in -o sub/ the result of sub.a.mp4 would be sub/a.mp4"),
    ):
        with pytest.raises(UsageError, match=words):
            matched([given], output, takes)
    assert matched(["c.3gp"], "./", Path()) == [("c.3gp", "c.mp4")], "which is another file"
