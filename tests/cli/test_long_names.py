"""Names as long as a system takes, and longer, are no fault of the program."""

from __future__ import annotations

LONGEST = "y" * 251


def test_what_is_made_of_the_longest_name_is_cut(stream, clip, bright, tmp_path):
    source = clip.rename(tmp_path / f"{LONGEST}.mp4")
    common = ("file", source, "--model", bright, "--limit", 2)
    assert stream(*common).code == 0
    (made,) = tmp_path.glob("*.stream.mp4")
    assert len(made.name) == 255
    split = stream(*common, "-o", "cut/", "--split", "object", "--look", "binary")
    assert split.code == 0, split.err
    assert [one.name[-13:] for one in (tmp_path / "cut").iterdir()] == [".person-1.mp4"]


def test_a_name_that_is_too_long_is_a_sentence(stream, clip, nothing, tmp_path):
    common = ("file", clip, "--model", nothing, "--limit", 2)
    long = LONGEST * 2
    for option, name in (
        ("-o", f"{long}.mp4"),
        ("-o", f"{long}/"),
        ("--records", f"{long}.csv"),
        ("--masks", long),
        ("--report", f"{long}.json"),
    ):
        result = stream(*common, option, name)
        assert result.code in (1, 2), option
        assert "File name too long" in result.err and "fault" not in result.err, option


def test_one_name_that_is_too_long_does_not_end_a_batch(stream, clip, nothing, tmp_path):
    (tmp_path / f"{LONGEST}.mp4").write_bytes(clip.read_bytes())
    result = stream(
        "file", f"{LONGEST}.mp4", clip, "--model", nothing, "--records", "{name}.ndjson"
    )
    assert result.code == 1 and "1 of 2 written" in result.err
    assert f"{LONGEST}.ndjson cannot be used: File name too long" in result.err
    assert (tmp_path / "in.ndjson").is_file()
