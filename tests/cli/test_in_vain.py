"""Options of which one would do nothing beside another are refused, before any work."""

import cv2
import numpy as np
import pytest

import stream as library
from stream.errors import UsageError


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("file CLIP --records found.ndjson --look blur", "--look blur is about pictures"),
        ("file CLIP --masks masks --look blur", "--look blur is about pictures"),
        ("file CLIP --records found.csv --split object", "--split is about pictures"),
        ("image PHOTO --records found.json --crop", "--crop is about pictures"),
        ("webcam pattern --no-display --masks masks --look hide", "--look hide is about pictures"),
        ("file CLIP -o a.mp4 --tracker bytetrack --no-steady", "leave out one of them"),
        ("demo --from found.ndjson --tracker steady", "leave out --tracker"),
        ("demo --from found.ndjson --no-steady", "leave out --no-steady"),
        ("demo --from found.ndjson --tracker motion", "leave out --tracker"),
        ("file CLIP --from found.ndjson --steady", "leave out --steady"),
        ("file CLIP --from found.ndjson --model default", "leave out --model"),
        ("image PHOTO --from found.ndjson --provider auto", "leave out --provider"),
        ("file CLIP -o out.jpg", "out.jpg is one picture, but in.mp4 has more"),
        ("webcam pattern --no-display -o out.jpg", "has more; number them, as in out/%06d.png, or"),
        ("file CLIP -o out.png --look instances --split object", "the first alone with --limit 1"),
        ("demo --from found.ndjson -o out.mp4", "there are no records found.ndjson"),
        ("file CLIP --masks masks --skip-existing", "--skip-existing goes by videos"),
        ("image PHOTO --masks masks --skip-existing", "--skip-existing goes by videos"),
        ("webcam pattern --device film.mp4 --no-display", "leave out one of them"),
        ("url rtsp://camera/1 --no-display -o {nam}.mp4", "{nam} stands for nothing in {nam}.mp4"),
        ("file CLIP --records found/{stem}.csv", "{stem} stands for nothing"),
        ("file CLIP --report {file}.json", "--report: {file} stands for nothing"),
        ("image PHOTO -o {name}.png", "{name} stands for nothing"),
        ("serve pattern --key key.pem", "name that with --certificate"),
        ("serve pattern --certificate cert.pem --no-tls", "leave out one of them"),
        ("serve pattern --more-models other --no-controls", "leave out one of them"),
    ],
)
def test_it_is_refused(stream, clip, tmp_path, options, words):
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), np.zeros((48, 64, 3), np.uint8))
    words_of = {"CLIP": str(clip), "PHOTO": str(photo)}
    result = stream(*(words_of.get(one, one) for one in options.split()))
    assert result.code == 2 and words in result.err and "Traceback" not in result.err
    assert not (tmp_path / "masks").exists()


def test_in_python_too(clip, bright, tmp_path):
    with pytest.raises(UsageError, match=r"look blur is about pictures"):
        library.process(clip, masks=tmp_path / "masks", look="blur", model=str(bright))
    with pytest.raises(UsageError, match=r"leave out track"):
        library.process(
            clip, tmp_path / "out.mp4", from_records=tmp_path / "found.ndjson", track="steady"
        )
    with pytest.raises(UsageError, match=r"paints without the model; leave out model$"):
        library.process(
            clip, tmp_path / "out.mp4", from_records=tmp_path / "found.ndjson", model="default"
        )


def test_a_film_s_first_picture_alone_goes_into_one(stream, clip, nothing, tmp_path):
    for more in (("--limit", 1), ("--end", "0.02")):
        out = f"out{more[1]}.jpg"
        result = stream("file", clip, "-o", out, "--model", nothing, *more)
        assert result.code == 0 and (tmp_path / out).exists(), result.err
    assert stream("file", clip, "-o", "many.jpg", "--model", nothing, "--limit", 2).code == 2
    assert not (tmp_path / "many.jpg").exists()


def test_what_is_painted_from_records_names_no_model(stream, clip, bright, tmp_path):
    made = stream("file", clip, "--model", bright, "--records", "found.ndjson")
    assert made.code == 0 and f"model {bright}" in made.out, made.err
    result = stream("file", clip, "--from", "found.ndjson", "-o", "out.mp4")
    assert result.code == 0, result.err
    assert "no model, read from found.ndjson" in result.out and str(bright) not in result.out
