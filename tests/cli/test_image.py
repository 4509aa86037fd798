import json
import shutil

import cv2
import numpy as np
import pytest

from tests import photos


def test_a_photo_becomes_a_picture_with_its_objects(stream, bright, tmp_path):
    rgb = photos.astronaut()
    cv2.imwrite(str(tmp_path / "photo.png"), rgb[..., ::-1])
    result = stream("image", "photo.png", "-o", "out.png", "--model", bright, "--threshold", 0.1)
    assert result.code == 0, result.err
    out = cv2.imread(str(tmp_path / "out.png"))[..., ::-1]
    assert out.shape == rgb.shape
    assert (np.abs(out.astype(int) - rgb).max(2) > 20).mean() > 0.05


def test_a_folder_and_a_glob_of_photos(stream, nothing, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, picture in {"a.png": photos.coffee(), "b.png": photos.cat()}.items():
        cv2.imwrite(str(folder / name), picture[..., ::-1])
    (folder / "c.png").write_text("not a picture")
    result = stream("image", "photos", "-o", "done", "--model", nothing)
    assert result.code == 1, "one of them is no picture"
    assert "c.png" in result.err + result.out
    assert result.err.endswith("stream: 1 of 3 pictures could not be read\n")
    assert sorted(path.name for path in (tmp_path / "done").iterdir()) == ["a.png", "b.png"]
    quiet = stream("image", "photos", "-o", "done", "--model", nothing, "--overwrite", "-q")
    assert quiet.code == 1
    first, second = quiet.err.splitlines()
    assert first == "stream: 1 of 3 pictures could not be read"
    assert "c.png is not a picture that can be read" in second
    result = stream("image", "photos/a*.png", "-o", "glob", "--model", nothing)
    assert result.code == 0, result.err
    assert (tmp_path / "glob" / "a.png").exists()


@pytest.mark.parametrize("beside", [[], ["--look", "cutout", "--crop"], ["--masks", "done"]])
def test_results_of_a_folder_lie_in_theirs_as_its_photos_do(stream, bright, tmp_path, beside):
    for name in ("a.png", "x/a.png", "x/y/a.png"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / "in" / name), photos.astronaut()[..., ::-1])
    to = beside if "--masks" in beside else ["-o", "done/", *beside]
    asked = ("image", "in", "--recursive", *to, "--model", bright, "--threshold", 0.1)
    result = stream(*asked, "--select", "1")
    assert result.code == 0, result.err
    done = tmp_path / "done"
    folders = {one.parent.relative_to(done).as_posix() for one in done.glob("**/*.png")}
    assert folders == {".", "x", "x/y"}
    if beside:
        return
    (done / "x" / "a.png").unlink()
    before = (done / "a.png").read_bytes()
    assert stream(*asked, "--skip-existing").code == 0
    assert (done / "x" / "a.png").exists() and (done / "a.png").read_bytes() == before
    plan = tmp_path / "plan.toml"
    assert stream(*asked, "--overwrite", "--save-config", plan).code == 0
    shutil.rmtree(done)
    assert stream("run", plan).code == 0
    assert len(list(done.glob("**/a.png"))) == 3


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["missing.jpg", "-o", "out.png"], "missing.jpg"),
        (["photo.png", "-o", "photo.png"], "photo.png"),
        (["photo.png", "-o", "out.json"], "no picture that can be written"),
        (["photo.png", "photo.png", "-o", "out.json"], "end it with a slash"),
        (["photo.png", "photo.png"], "2 pictures need a folder"),
        (["http://host/photo.png"], "stream url ADDRESS"),
        (["photo.png", "-o", "nowhere/out.png"], "nowhere"),
    ],
)
def test_bad_input_gets_one_sentence(stream, nothing, tmp_path, arguments, word):
    cv2.imwrite(str(tmp_path / "photo.png"), photos.coffee())
    before = (tmp_path / "photo.png").read_bytes()
    result = stream("image", *arguments, "--model", nothing)
    assert result.code in (1, 2)
    assert word in result.err
    assert "Traceback" not in result.err
    assert (tmp_path / "photo.png").read_bytes() == before
    assert not (tmp_path / "out.json").exists()


def test_without_an_output_the_photo_lies_beside_its_original(stream, nothing, tmp_path):
    cv2.imwrite(str(tmp_path / "photo.png"), photos.coffee()[..., ::-1])
    result = stream("image", "photo.png", "--model", nothing)
    assert result.code == 0, result.err
    assert cv2.imread(str(tmp_path / "photo.stream.png")).shape == photos.coffee().shape
    result = stream("image", "photo.png", "-o", "new.png/", "--model", nothing, "--skip-existing")
    assert result.code == 0 and (tmp_path / "new.png" / "photo.png").exists()
    again = stream("image", "photo.png", "-o", "new.png/", "--model", nothing, "--skip-existing")
    assert again.code == 0 and "is there already" in again.err


def test_a_cutout_of_a_jpeg_has_transparency_and_is_a_png(stream, bright, tmp_path):
    cv2.imwrite(str(tmp_path / "photo.jpg"), photos.astronaut()[..., ::-1])
    asked = ("--look", "cutout", "--model", bright, "--threshold", 0.1)
    result = stream("image", "photo.jpg", *asked)
    assert result.code == 0, result.err
    out = cv2.imread(str(tmp_path / "photo.stream.png"), cv2.IMREAD_UNCHANGED)
    assert out.shape == (512, 512, 4) and out[..., 3].min() == 0 and out[..., 3].max() == 255
    refused = stream("image", "photo.jpg", "-o", "out.jpg", *asked)
    assert refused.code in (1, 2) and "out.jpg holds no transparency" in refused.err
    assert refused.err.count("\n") == 1


def test_masks_are_written_beside_or_alone(stream, bright, tmp_path):
    cv2.imwrite(str(tmp_path / "photo.jpg"), photos.astronaut()[..., ::-1])
    asked = ("--model", bright, "--threshold", 0.1)
    result = stream("image", "photo.jpg", "--masks", "masks", *asked)
    assert result.code == 0, result.err
    assert not (tmp_path / "photo.stream.jpg").exists()
    values = cv2.imread(str(tmp_path / "masks" / "photo.png"), cv2.IMREAD_UNCHANGED)
    assert values.shape == (512, 512) and np.unique(values).tolist() == [0, 255]
    for ending in ("webp", "tif"):
        cv2.imwrite(str(tmp_path / f"{ending}.{ending}"), photos.astronaut()[..., ::-1])
        result = stream("image", f"{ending}.{ending}", "--masks", "masks", *asked)
        assert result.code == 0, result.err
        assert (tmp_path / "masks" / f"{ending}.png").exists()
    result = stream(
        *("image", "photo.jpg", "-o", "out.jpg", "--masks", "ids", "--identities", *asked)
    )
    assert result.code == 0, result.err
    values = cv2.imread(str(tmp_path / "ids" / "photo.png"), cv2.IMREAD_UNCHANGED)
    assert values.dtype == np.uint16 and 1 in np.unique(values)
    assert (tmp_path / "out.jpg").exists()
    refused = stream("image", "photo.jpg", "--masks", "photo.jpg", *asked)
    assert refused.code in (1, 2) and "--masks is a folder" in refused.err


def test_crops_lie_beside_each_other(stream, bright, tmp_path):
    cv2.imwrite(str(tmp_path / "photo.jpg"), photos.astronaut()[..., ::-1])
    result = stream(
        *("image", "photo.jpg", "-o", "out.png", "--look", "cutout", "--crop"),
        *("--model", bright, "--threshold", 0.1, "--select", "2"),
    )
    assert result.code == 0, result.err
    made = list(tmp_path.glob("out.*.png"))
    assert made and all(cv2.imread(str(one), cv2.IMREAD_UNCHANGED).shape[2] == 4 for one in made)


@pytest.mark.parametrize("how", [["--crop"], ["--split", "object", "--look", "binary"]])
def test_files_of_objects_never_replace_those_of_another_photo(stream, bright, tmp_path, how):
    other = "other/photo.jpg"
    (tmp_path / "other").mkdir()
    for name in ("photo.jpg", other):
        cv2.imwrite(str(tmp_path / name), photos.astronaut()[..., ::-1])
    result = stream(
        *("image", "photo.jpg", other, "-o", "out/", "--overwrite", *how),
        *("--model", bright, "--threshold", 0.1),
    )
    assert result.code in (1, 2)
    assert f"photo.jpg and {other} would both become" in result.err
    assert "number them, as in -o out/%06d.png" in result.err
    assert not list(tmp_path.glob("out/*"))


def test_photos_that_differ_in_their_ending_alone_have_results_of_their_own(
    stream, bright, tmp_path
):
    for name in ("a.jpg", "a.png", "sub/A.PNG", "sub/a.jpg", "b.jpg"):
        path = tmp_path / "in" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        cv2.imwrite(str(path), cv2.resize(photos.astronaut()[..., ::-1], (160, 160)))
    asked = ("image", "in", "--recursive", "--model", bright, "--threshold", 0.1, "--select", "1")
    names = ["a.jpg.png", "a.png", "b.png", "sub/A.PNG", "sub/a.jpg.png"]

    def found(folder):
        files = (one for one in (tmp_path / folder).rglob("*") if one.is_file())
        return sorted(str(one.relative_to(tmp_path / folder)) for one in files)

    for how in (("--look", "cutout", "-o", "out"), ("--masks", "masks")):
        result = stream(*asked, *how)
        assert result.code == 0, result.err
        assert found(how[-1]) == names
        assert "note: a.jpg.png and 1 more: named so, as there is another picture" in result.out
    # Also where the others are not done again, and where one turns out damaged.
    left = [tmp_path / "out" / name for name in ("a.jpg.png", "sub/A.PNG")]
    for one in left:
        one.unlink()
    result = stream(*asked, "--look", "cutout", "-o", "out", "--skip-existing")
    assert result.code == 0, result.err
    assert "2 pictures" in result.out and found("out") == names
    (tmp_path / "in" / "a.png").write_bytes(b"")
    assert stream(*asked, "--look", "cutout", "-o", "without").code == 1
    assert found("without") == ["a.jpg.png", "b.png", "sub/A.PNG", "sub/a.jpg.png"]
    assert stream(*asked[:2], *asked[3:], "--crop", "-o", "crops/").code == 1
    assert found("crops") == ["a.jpg.person-1.jpg", "b.person-1.jpg"]


def test_a_damaged_picture_is_one_line_and_nothing_of_the_decoders(program, bright, tmp_path):
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    result = program("image", "cut.png", "--model", bright)
    assert result.code == 1
    assert result.err == "stream: cut.png is cut short: it ends within the picture\n"


@pytest.mark.parametrize(
    "command", [("image", "photo.png", "-o", "out.png"), ("fleet", ".", "-o", "x")]
)
def test_a_format_for_standard_output_is_refused_where_nothing_goes_there(stream, command):
    result = stream(*command, "--format", "y4m")
    assert result.code == 2
    assert "--format y4m is about standard output" in result.err


def test_several_photos_may_be_numbered(stream, nothing, tmp_path):
    (tmp_path / "photos").mkdir()
    for name, picture in {"a.png": photos.coffee(), "b.jpg": photos.cat()}.items():
        cv2.imwrite(str(tmp_path / "photos" / name), picture[..., ::-1])
    result = stream("image", "photos", "-o", "out/%03d.png", "--model", nothing)
    assert result.code == 0, result.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["000.png", "001.png"]
    assert (cv2.imread(str(tmp_path / "out" / "000.png"))[..., ::-1] == photos.coffee()).all()
    refused = stream("image", "photos", "-o", "out/%03d.png", "--skip-existing")
    assert refused.code == 2 and "--skip-existing goes by the inputs' names" in refused.err


@pytest.mark.parametrize("command", ["image", "file", "run"])
def test_a_name_with_the_end_of_a_line_in_it_is_said_in_one_line(stream, command):
    result = stream(command, "no\nsuch\x1b[31m.jpg")
    assert result.code in (1, 2) and result.err.count("\n") == 1, result.err
    assert r"no\nsuch\x1b[31m.jpg" in result.err


@pytest.mark.parametrize("how", [("--masks", "m"), ("-o", "a/b"), ("-o", "a/b/%03d.png")])
def test_what_is_refused_leaves_no_folder(stream, nothing, tmp_path, how):
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "a.jpg"):
        cv2.imwrite(str(tmp_path / "photos" / name), photos.coffee()[:64, :64])
    (tmp_path / "found.json").write_text("precious")
    refused = stream("image", "photos", *how, "--records", "found.json", "--model", nothing)
    assert refused.code in (1, 2), refused.err
    assert sorted(path.name for path in tmp_path.iterdir() if path != nothing) == [
        "found.json",
        "photos",
    ]


def test_each_of_several_photos_is_as_it_is_alone(stream, bright, tmp_path):
    names = []
    for index, (x, y) in enumerate(((20, 15), (30, 18), (0, 0))):
        picture = np.random.default_rng(index).integers(0, 120, (120, 160, 3)).astype(np.uint8)
        if x:
            picture[y : y + 25, x : x + 35] = 255
        names.append(f"{index}.png")
        cv2.imwrite(str(tmp_path / names[-1]), picture)
    looks = (
        "hide",
        "pixelate",
        "blur",
        "spotlight",
        "fill+contour+labels+boxes",
        "hide --select 1",
    )
    for look in looks:
        asked = ("--look", *look.split(), "--model", bright, "--no-timing", "--overwrite", "-q")
        together = stream("image", *names, "-o", "all/", *asked)
        assert together.code == 0, together.err
        for name in names:
            assert stream("image", name, "-o", "one/", *asked).code == 0
            one, other = (cv2.imread(str(tmp_path / where / name)) for where in ("one", "all"))
            assert (one == other).all(), (look, name)


def test_photos_are_looked_at_twice_by_the_bundled_model_unless_asked(stream, bright, tmp_path):
    cv2.imwrite(str(tmp_path / "photo.png"), photos.astronaut()[..., ::-1])
    found = {}
    for name, asked, looks in (
        ("usual", (), 2),
        ("two", ("--views", 2), 2),
        ("one", ("--views", 1), 1),
        ("own", ("--model", bright), 1),
    ):
        told = ("--records", f"{name}.ndjson", "--report", f"{name}.json")
        result = stream("image", "photo.png", *told, *asked)
        assert result.code == 0, result.err
        assert ("2 looks at each picture" in result.err + result.out) is (looks == 2)
        (run,) = json.loads((tmp_path / f"{name}.json").read_text())["runs"]
        assert run["views"] == looks
        head, photo = map(json.loads, (tmp_path / f"{name}.ndjson").read_text().splitlines()[:2])
        assert head["options"]["views"] == looks
        found[name] = photo["objects"]
    assert found["usual"] == found["two"] != found["one"]


def test_several_sources_of_a_file_that_share_the_model_look_as_each_alone(stream, clip, tmp_path):
    cv2.imwrite(str(tmp_path / "photo.png"), photos.astronaut()[..., ::-1])
    (tmp_path / "both.toml").write_text(
        '[run]\nreport = "r.json"\n'
        '[[source]]\ntarget = "photo.png"\n[[source.output]]\nto = "a.png"\n'
        '[[source]]\ntarget = "in.mp4"\nlimit = 2\n[[source.output]]\nto = "b.mp4"\n'
    )
    result = stream("run", "both.toml")
    assert result.code == 0, result.err
    runs = json.loads((tmp_path / "r.json").read_text())["runs"]
    assert [one["views"] for one in runs] == [2, 1]
