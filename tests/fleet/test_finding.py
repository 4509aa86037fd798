"""Which files a fleet finds where it is asked for them."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from stream.errors import SourceError, UsageError
from stream.fleet import places
from stream.fleet.finding import find
from stream.fleet.transit import at_hand
from stream.system import extras
from tests.fleet.clips import make_files

VIDEOS = frozenset([".mp4", ".mkv"])


def test_a_folder_with_what_is_below_it(tmp_path: Path) -> None:
    make_files(tmp_path, "a.mp4", "sub/deep/B.MKV", "sub/notes.doc", ".hidden.mp4", "._a.mp4")
    found = find([str(tmp_path)], VIDEOS)
    assert [one.below for one in found] == ["a.mp4", "sub/deep/B.MKV"]
    assert [Path(one.source).read_bytes() for one in found] == [b"a.mp4", b"sub/deep/B.MKV"]


def test_what_lies_in_hidden_folders_is_counted_and_left_out(tmp_path: Path) -> None:
    """A disk's trash, and a system's small previews."""
    root = tmp_path / ".archive"
    make_files(root, "a.mp4", ".Trash-1/files/b.mp4", "sub/.small/a.mp4", "sub/.small/note.txt")
    trash = ".Trash-1/files/b.mp4"
    for asked in (root, f"{root}/**/*.mp4"):
        said: list[str] = []
        assert [one.below for one in find([str(asked)], VIDEOS, said.append)] == ["a.mp4"]
        here = "2 videos in hidden folders (.Trash-1, .small); name such a folder to have them"
        assert said == [f"left out of {asked}: {here}"]
    for one, below in ((root / ".Trash-1", "files/b.mp4"), (f"{root}/.T*/**/*.mp4", trash)):
        assert [found.below for found in find([str(one)], VIDEOS, pytest.fail)] == [below]


def test_what_else_lies_there_is_said_once_with_its_kinds(tmp_path: Path) -> None:
    make_files(tmp_path, "a.mp4", "b.jpg", "sub/c.JPG", "sub/d.gif", "e.txt", "f", "g.doc", ".h.x")
    (tmp_path / "gone.mp4").symlink_to("nothing.mp4")
    (tmp_path / "folder").symlink_to("sub")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "s.mp4"))
    said: list[str] = []
    assert len(find([str(tmp_path)], VIDEOS, said.append)) == 1
    assert said == [
        f"left out of {tmp_path}: 6 other files (2 .jpg, 1 .txt, 1 without an ending, …)",
        f"left out of {tmp_path}: 2 links that lead to no file (folder, gone.mp4)",
        f"left out of {tmp_path}: 1 pipe, socket or device (s.mp4)",
    ]
    said.clear()
    find([f"{tmp_path}/*.mp4"], VIDEOS, said.append)
    assert said[0] == f"left out of {tmp_path}/*.mp4: 1 link that leads to no file (gone.mp4)"


def test_patterns_files_and_lists_and_each_file_once(tmp_path: Path) -> None:
    make_files(tmp_path, "x/a.mp4", "x/y/b.mp4", "c.mkv")
    asked = tmp_path / "list.txt"
    asked.write_text(f"# ours\n{tmp_path}/x/**/*.mp4\n\n{tmp_path}/c.mkv\n{tmp_path}/x/a.mp4\n")
    found = find([str(asked)], VIDEOS)
    assert sorted(one.below for one in found) == ["a.mp4", "c.mkv", "y/b.mp4"]


@pytest.mark.parametrize("asked", ["", "/**/*.*"])
def test_results_of_stream_file_beside_its_inputs_are_no_inputs(tmp_path: Path, asked: str) -> None:
    make_files(tmp_path, "a.mkv", "a.stream.mp4", "sub/b.mp4", "sub/b.stream.mp4", "c.stream.mp4")
    said: list[str] = []
    found = find([f"{tmp_path}{asked}"], VIDEOS, said.append)
    # What came of nothing that is named is somebody's film of that name.
    assert sorted(one.below for one in found) == ["a.mkv", "c.stream.mp4", "sub/b.mp4"]
    assert said == ["left out: 2 results of an earlier run (a.stream.mp4, b.stream.mp4)"]


def test_a_tilde_in_a_list_is_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    make_files(tmp_path, "x/a.mp4", "c.mkv")
    (tmp_path / "list.txt").write_text("~/x/*.mp4\n~/c.mkv\n")
    found = find([str(tmp_path / "list.txt")], VIDEOS)
    assert [one.source for one in found] == [f"{tmp_path}/x/a.mp4", f"{tmp_path}/c.mkv"]


def test_a_file_that_changes_has_another_fingerprint(tmp_path: Path) -> None:
    make_files(tmp_path, "a.mp4")
    (before,) = find([str(tmp_path / "a.mp4")], VIDEOS)
    (tmp_path / "a.mp4").write_bytes(b"longer than before")
    (after,) = find([str(tmp_path / "a.mp4")], VIDEOS)
    assert before.source == after.source and before.fingerprint != after.fingerprint


def test_object_storage(memory: fsspec.AbstractFileSystem, tmp_path: Path) -> None:
    for name in ("raw/a.mp4", "raw/sub/b.mp4", "raw/c.txt"):
        memory.pipe(f"/bucket/{name}", name.encode())
    for asked in ("memory://bucket/raw", "memory://bucket/raw/**/*.mp4"):
        found = find([asked], VIDEOS)
        assert {one.below for one in found} == {"a.mp4", "sub/b.mp4"}
        for one in found:
            with at_hand(one.source, tmp_path) as path:
                assert path.read_bytes() == f"raw/{one.below}".encode()
        assert not list(tmp_path.iterdir())


def test_what_marks_a_folder_in_storage_is_no_other_file(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Consoles of storage make an empty object of a folder's name for each folder."""
    names = ["raw/", "raw/day/", "raw/day.mp4/", "raw/day/a.mp4"]
    there = {name: {"name": name, "type": "file", "size": 0} for name in names}
    memory.pipe("/raw/day/a.mp4", b"film")
    monkeypatch.setattr(type(memory), "find", lambda *_, **__: there)
    said: list[str] = []
    (found,) = find(["memory://raw"], VIDEOS, said.append)
    assert found.below.endswith("day/a.mp4") and not said


def test_an_object_with_the_name_of_a_pattern_is_that_object(
    memory: fsspec.AbstractFileSystem, tmp_path: Path
) -> None:
    """`take 1.mp4` is what the pattern would find in place of `take [1].mp4`."""
    for name in ("take [1].mp4", "take 1.mp4", "what?.mp4"):
        memory.pipe(f"/bucket/{name}", name.encode())
    asked = tmp_path / "list.txt"
    asked.write_text("memory://bucket/take [1].mp4\nmemory://bucket/what?.mp4\n")
    assert [one.below for one in find([str(asked)], VIDEOS)] == ["take [1].mp4", "what?.mp4"]
    (found,) = find(["memory://bucket/take [0-9].mp4"], VIDEOS)
    assert found.below == "take 1.mp4"


def test_no_object_is_taken_for_the_version_of_another(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3's library reads `who` where `who?versionId=7.mp4` is asked for, without a word."""
    monkeypatch.setattr(places, "_S3", {"memory"})
    for name in ("who.mp4", "who?versionId=7.mp4", "what?version=7.mp4"):
        memory.pipe(f"/bucket/raw/{name}", name.encode())
    listed = tmp_path / "list.txt"
    listed.write_text("memory://bucket/raw/who?versionId=7.mp4\nmemory://bucket/raw/who.mp4\n")
    for asked, below in (
        ("memory://bucket/raw", ["what?version=7.mp4", "who.mp4"]),
        (str(listed), ["who.mp4"]),
    ):
        said: list[str] = []
        assert [one.below for one in find([asked], VIDEOS, said.append)] == below
        assert len(said) == 1 and "memory://bucket/raw/who?versionId=…: S3's library" in said[0]
    with pytest.raises(UsageError, match="the newest object of the name before"):
        find(["memory://bucket/raw/who.mp4?versionId=7"], VIDEOS)


def test_a_list_of_many_objects_is_one_question_for_each_or_for_all(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three for each of ten thousand lines took a quarter of an hour before anything began."""
    monkeypatch.setattr(places, "_BY_BEGINNING", {"memory"})
    kinds = type(memory)
    asked: Counter[str] = Counter()
    for name in ("info", "ls", "exists", "isdir"):
        real = getattr(kinds, name)

        def count(self, path, *more, real=real, name=name, **named):
            asked[f"{name} {path}"] += 1
            return real(self, path, *more, **named)

        monkeypatch.setattr(kinds, name, count)
    names = [f"many/{number}.mp4" for number in range(20)] + ["few/a.mp4", "none/b.mp4"]
    for name in names[:-1]:
        memory.pipe(f"/bucket/{name}", b"film")
    asked.clear()
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(f"memory://bucket/{name}" for name in names))
    found = find([str(listed)], VIDEOS)
    assert [one.source for one in found] == [f"memory://bucket/{name}" for name in names]
    assert found[-1].fingerprint == "None:" != found[0].fingerprint
    # `info` is answered from what `ls` has brought, where it comes over the net.
    assert asked.pop("ls memory://bucket/many") == 1
    assert asked == {f"info /bucket/{name}": 1 for name in names}


def test_a_line_that_may_not_be_asked_for_fails_by_itself(
    memory: fsspec.AbstractFileSystem, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self, path, **named):
        raise PermissionError("Forbidden")

    monkeypatch.setattr(type(memory), "info", refuse)
    listed = tmp_path / "list.txt"
    listed.write_text("memory://bucket/a.mp4\n")
    assert [one.below for one in find([str(listed)], VIDEOS)] == ["a.mp4"]
    with pytest.raises(SourceError, match=r"a\.mp4 cannot be looked into: Forbidden"):
        find(["memory://bucket/a.mp4"], VIDEOS)


def test_films_of_a_web_server(tmp_path: Path) -> None:
    """A file, one with a signature that nobody may see, a pattern, and a page of links."""
    pytest.importorskip("aiohttp", reason="it is what fsspec asks web servers with")
    make_files(tmp_path, "web/a.mp4", "web/sub/b.mp4")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    handler = functools.partial(Quiet, directory=str(tmp_path / "web"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        try:
            root = f"http://127.0.0.1:{server.server_port}"
            asked = {
                f"{root}/a.mp4": ["a.mp4"],
                f"{root}/sub/b.mp4?sig=secret/1.mp4": ["b.mp4"],
                f"{root}/*.mp4": ["a.mp4"],
                f"{root}/": ["a.mp4", "sub/b.mp4"],
            }
            for text, below in asked.items():
                found = find([text], VIDEOS)
                assert [one.below for one in found] == below, text
                for one in found:
                    with at_hand(one.source, tmp_path / "scratch") as path:
                        assert one.below.endswith(path.name)
                        assert path.read_text().endswith(one.below)
        finally:
            server.shutdown()
            serving.join()


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("/nowhere/none.mp4", "there is no file"),
        ("/nowhere/*.mp4", "there are no videos in"),
        ("gopher://host/raw", "cannot be reached"),
    ],
)
def test_what_is_not_there_is_said(asked: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        find([asked], VIDEOS)


def test_a_folder_without_videos(tmp_path: Path) -> None:
    make_files(tmp_path, "notes.doc")
    with pytest.raises(UsageError, match="there are no videos in"):
        find([str(tmp_path)], VIDEOS)


def test_links_to_files_are_taken_and_those_to_nothing_or_to_folders_are_not(
    tmp_path: Path,
) -> None:
    make_files(tmp_path, "x/a.mp4")
    (tmp_path / "x" / "link.mp4").symlink_to("a.mp4")
    (tmp_path / "x" / "nothing.mp4").symlink_to("gone.mp4")
    (tmp_path / "x" / "loop").symlink_to("../x")
    before = find([str(tmp_path / "x")], VIDEOS)
    assert [one.below for one in before] == ["a.mp4", "link.mp4"]
    (tmp_path / "x" / "a.mp4").write_bytes(b"another film")
    after = find([str(tmp_path / "x")], VIDEOS)
    assert all(x.fingerprint != y.fingerprint for x, y in zip(before, after, strict=True))


def test_a_file_with_the_name_of_a_pattern_is_that_file(tmp_path: Path) -> None:
    make_files(tmp_path, "[x]*.mp4", "xy.mp4")
    assert [one.below for one in find([str(tmp_path / "[x]*.mp4")], VIDEOS)] == ["[x]*.mp4"]
    assert [one.below for one in find([str(tmp_path / "[x]?.mp4")], VIDEOS)] == ["xy.mp4"]


def test_a_line_of_a_list_that_names_nothing_keeps_no_other_from_being_done(
    tmp_path: Path, memory: fsspec.AbstractFileSystem
) -> None:
    make_files(tmp_path, "a.mp4", "empty/notes.doc")
    memory.pipe("/bucket/b.mp4", b"b")
    lines = [
        f"{tmp_path}/gone.mp4", f"{tmp_path}/a.mp4", f"{tmp_path}/empty", f"{tmp_path}/*.mkv",
        "memory://bucket/b.mp4", "memory://bucket/gone.mp4",
    ]  # fmt: skip
    asked = tmp_path / "list.txt"
    asked.write_text("\n".join(lines))
    said: list[str] = []
    found = {one.source: one for one in find([str(asked)], VIDEOS, said.append)}
    assert list(found) == [lines[0], lines[1], lines[4], lines[5]]
    assert said == [f"there are no videos in {one}; the line is left out" for one in lines[2:4]]
    # Once it is there it is another file, and is done.
    before = found[lines[0]].fingerprint
    make_files(tmp_path, "gone.mp4")
    after = {one.source: one for one in find([str(asked)], VIDEOS, said.append)}
    assert after[lines[0]].fingerprint != before
    assert after[lines[5]].fingerprint == found[lines[5]].fingerprint


@pytest.mark.parametrize("text", ["", "# nothing\n\n"])
def test_a_list_without_any_video(tmp_path: Path, text: str) -> None:
    asked = tmp_path / "list.txt"
    asked.write_text(text)
    with pytest.raises(UsageError, match=r"no video is named in .*list\.txt"):
        find([str(asked)], VIDEOS)


NAMES = [
    "-dash.mp4", "100% [x] fr\u00fch \u6771\u4eac #1?.mp4", "it's \"so\".mp4", "%s%d.mp4",
    "x\u2028y.mp4",
]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_names_of_all_kinds_in_a_list(tmp_path: Path, encoding: str) -> None:
    make_files(tmp_path, *NAMES)
    asked = tmp_path / "list.txt"
    asked.write_bytes("\r\n".join(f"{tmp_path}/{name}" for name in NAMES).encode(encoding))
    assert [one.below for one in find([str(asked)], VIDEOS)] == NAMES


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' names are text")
def test_a_name_that_is_no_text_in_a_list(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    make_files(tmp_path, name)
    asked = tmp_path / "list.txt"
    asked.write_bytes(os.fsencode(f"{tmp_path}/{name}\n"))
    (found,) = find([str(asked)], VIDEOS)
    assert found.below == name and Path(found.source).is_file()


def test_files_of_a_list_lie_as_they_do_below_a_folder(
    tmp_path: Path, memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_files(tmp_path, "in/day1/a.mp4", "in/day2/a.mp4", "inner/b.mp4")
    asked = [str(tmp_path / "in" / day / "a.mp4") for day in ("day1", "day2")]
    assert [one.below for one in find(asked, VIDEOS)] == ["a.mp4", "a.mp4"]
    monkeypatch.chdir(tmp_path)
    for below in (str(tmp_path / "in"), "in/", "./in", "inner/../in"):
        found = find(asked, VIDEOS, below=below)
        assert [one.below for one in found] == ["day1/a.mp4", "day2/a.mp4"]
    with pytest.raises(UsageError, match=r"inner/b\.mp4 does not lie below .*in$"):
        find(["inner/b.mp4"], VIDEOS, below="in")
    memory.pipe("/bucket/raw/deep/c.mp4", b"c")
    (one,) = find(["memory://bucket/raw/deep/c.mp4"], VIDEOS, below="memory://bucket/raw/")
    assert one.below == "deep/c.mp4"


_FINDS = """
import sys
import threading
from stream.fleet.finding import find
print([one.below for one in find([sys.argv[1]], frozenset([".mp4"]), lambda said: print(said))])
"""


@pytest.mark.parametrize("how", ["", "/**/*.mp4"], ids=["folder", "pattern"])
def test_folders_that_may_not_be_looked_into_are_said(tmp_path: Path, how: str) -> None:
    make_files(tmp_path, "closed/a.mp4", "open/b.mp4", "c.mp4")
    # Nobody may read what nobody may read, unless he may all that the system lets root do.
    may_all = ["dac_override", "dac_read_search"]
    less = ",".join(f"-{one}" for one in may_all)
    as_others = ["setpriv", f"--bounding-set={less}", f"--inh-caps={less}"]
    (tmp_path / "closed").chmod(0)
    try:
        said = subprocess.run(
            [*(as_others if os.geteuid() == 0 else []), sys.executable, "-c", _FINDS,
             f"{tmp_path}{how}"],
            cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True,
        ).stdout.splitlines()  # fmt: skip
    finally:
        (tmp_path / "closed").chmod(0o700)
    closed = f"{tmp_path}/closed cannot be looked into (Permission denied), and is left out"
    assert said == [closed, "['c.mp4', 'open/b.mp4']"]


def test_an_extra_that_is_not_installed_is_named(monkeypatch):
    there = extras.importlib.util.find_spec
    monkeypatch.setattr(
        extras.importlib.util, "find_spec", lambda name: None if name == "fsspec" else there(name)
    )
    with pytest.raises(UsageError, match=r"'fsspec'; install .* '\.\[fleet\]'$"):
        find(["in.mp4"], frozenset({".mp4"}), lambda _: None)
