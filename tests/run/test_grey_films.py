"""Films without colours, and what has colours painted on them."""

import json
from fractions import Fraction

import av
import numpy as np
import pytest

import stream
from stream.pictures.pixels import plane_view

BOX = (40, 30, 100, 90)
TIMES = (0, 40, 120, 130, 400)


@pytest.fixture
def film(tmp_path):
    """Gradients, at times of their own, and what is found in each."""
    out = tmp_path / "grey.mkv"
    with av.open(out, "w") as container:
        track = container.add_stream("ffv1", rate=25, time_base=Fraction(1, 1000))
        track.width, track.height, track.pix_fmt = 160, 120, "gray"
        rows = np.arange(160 * 120, dtype=np.uint32).reshape(120, 160)
        for index, time in enumerate(TIMES):
            samples = ((rows // 7 + 40 * index) % 256).astype(np.uint8)
            picture = av.VideoFrame.from_ndarray(samples, format="gray")
            picture.pts, picture.time_base = time, Fraction(1, 1000)
            container.mux(track.encode(picture))
        container.mux(track.encode(None))
    found = [{"class": "person", "score": 0.9, "box": BOX, "track": 1}]
    lines = [{"stream": 1, "size": [120, 160], "classes": ["person"]}]
    lines += [{"time": time / 1000, "objects": found} for time in TIMES]
    records = tmp_path / "found.ndjson"
    records.write_text("\n".join(map(json.dumps, lines)))
    return out, records


def pictures(path):
    with av.open(path) as container:
        return list(container.decode(video=0))


@pytest.mark.parametrize(
    ("look", "form", "coloured"),
    [
        ("fill+contour", "yuv420p", True),
        ("blur", "gray", False),
    ],
)
def test_luma_and_times_stay_and_what_is_painted_has_its_colour(
    film, tmp_path, look, form, coloured
):
    source, records = film
    out = tmp_path / "out.mkv"
    how = {"look": look, "timing": False, "palette": ["E6283C"], "codec": "ffv1"}
    outcome = stream.process(source, out, from_records=records, **how)
    assert any("the film is grey" in one for one in outcome.remarks) == coloured
    before, after = pictures(source), pictures(out)
    assert [one.time for one in after] == [one.time for one in before]
    for grey, painted in zip(before, after, strict=True):
        assert painted.format.name == form
        old, new = plane_view(grey.planes[0]), plane_view(painted.planes[0])
        if coloured:
            outside = np.ones(old.shape, bool)
            outside[BOX[1] - 4 : BOX[3] + 4, BOX[0] - 4 : BOX[2] + 4] = False
            assert np.array_equal(old[outside], new[outside])
            red, _, blue = painted.to_ndarray(format="rgb24")[60, 70].tolist()
            assert red > blue + 40
            assert (plane_view(painted.planes[1])[:10] == 128).all()
        else:
            assert np.array_equal(old[34:86, 44:96], new[34:86, 44:96])
