"""Masks beside or in place of a film, of several inputs each in a folder of its own."""


def test_masks_of_several_inputs_lie_as_their_inputs_do(stream, clip, nothing, tmp_path):
    for place in ("one/a.mp4", "two/a.mp4", "%06d.mp4", "b.png.mp4"):
        path = tmp_path / "takes" / place
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(clip.read_bytes())
    asked = ("file", "takes", "--recursive", "--masks", "m", "--model", nothing, "--limit", 2)
    result = stream(*asked)
    assert result.code == 0, result.err
    files = (one for one in tmp_path.glob("m/**/*.png") if one.is_file())
    found = sorted(str(one.relative_to(tmp_path / "m")) for one in files)
    folders = ("%06d", "b.png", "one/a", "two/a")
    assert found == [f"{folder}/00000{n}.png" for folder in folders for n in (0, 1)]


def test_masks_of_two_inputs_never_go_into_one_folder(stream, clip, nothing, tmp_path):
    for name in ("a.mp4", "x/a.mp4", "b.mp4", "b.MOV"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(clip.read_bytes())
    asked = ("--masks", "m", "--model", nothing, "--overwrite", "--limit", 1)
    for more in ((), ("-o", "out/")):
        result = stream("file", "a.mp4", "x/a.mp4", *asked, *more)
        assert result.code == 2 and "a.mp4 and x/a.mp4 would both become" in result.err
    assert not (tmp_path / "m").exists() and not (tmp_path / "out").exists()
    result = stream("file", "b.mp4", "b.MOV", *asked)
    assert result.code == 0, result.err
    assert sorted(one.name for one in (tmp_path / "m").iterdir()) == ["b.MOV", "b.mp4"]
