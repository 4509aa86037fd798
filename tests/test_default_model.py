"""The model that ships, on a real person."""

import numpy as np

from stream import Segmenter
from stream.inference import catalogue
from tests import photos


def test_a_portrait_is_cut_out():
    rgb = photos.astronaut()
    found = Segmenter.load("default", provider="auto")(rgb)
    best = found.select(np.array([0]))
    assert best.names == ["person"]
    assert best.masks.shape[1] == best.masks.shape[2] >= 28
    full = best.full_masks()
    assert full.shape == (1, *rgb.shape[:2])
    assert full[0, 120, 220], "her face"
    assert full[0, 400, 150], "her suit"
    assert not full[0, 60, 380], "the wall behind her"


def test_no_phantom_people():
    segmenter = Segmenter.load("default", classes=["person"])
    for picture in (photos.coffee(), photos.cat(), photos.rocket()):
        assert len(segmenter(picture)) == 0


def test_it_answers_with_what_its_card_gives_intervals_for():
    places = (catalogue.FOLDER / "CARD.md", catalogue.FOLDER.parent / "CARD.md")
    card = next(place for place in places if place.is_file()).read_text()
    table = card.split("| class | int8 | 80% |")[1].split("\n\n")[0]
    rows = [line.split("|")[1:] for line in table.splitlines()[2:]]
    for variant in ("default.onnx", "default.int8.onnx"):
        names = Segmenter.load(catalogue.FOLDER / variant, provider="cpu").names
        assert list(names) == [row[0].strip() for row in rows]
    # The card says why cars stay, which rest on more objects than any class but people.
    floors = {"car": 0.32}
    for name, _, interval, _, objects in ([cell.strip() for cell in row[:5]] for row in rows):
        assert float(interval.split(" to ")[0]) >= floors.get(name, 0.35), name
        assert int(objects) >= 5
