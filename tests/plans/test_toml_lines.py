import tomllib

from stream.plans.toml_lines import line_of, place_in


def test_lines_are_found_in_any_layout():
    text = 'a = 1\n\n[x]\nb = """\nc = 3\n"""\nd = [\n 1,\n 2]\n[[y]]\nk=1\n[[y]]\nk.z=2\n'
    places = {("x",): 3, ("x", "b"): 4, ("x", "d"): 7, ("y", 0, "k"): 11, ("y", 1, "k", "z"): 13}
    assert {place: line_of(text, place) for place in places} == places


def test_the_value_that_a_sentence_is_about_is_found():
    document = tomllib.loads(
        """
        model.classes = ["person", "dgo"]
        [[source]]
        target = "blur.mp4"
        [[output]]
        to = "out.mp4"
        look = "fill+blur"
        [[output]]
        to = "b.mp4"
        look = "fill+greyy"
        """
    )
    for sentence, place in (
        ("there is no layer 'greyy'; did you mean grey?", ("output", 1, "look")),
        ("the model has no class 'dgo'; it has person, dog", ("model", "classes", 1)),
        ("out.mp4 exists already, as b.mp4 does", ("output", 0, "to")),
        ("/films/out.mp4 cannot be read", None),
        ("nothing of it is said", None),
    ):
        assert place_in(document, sentence) == place, sentence
