from stream.toml_lines import line_of


def test_lines_are_found_in_any_layout():
    text = 'a = 1\n\n[x]\nb = """\nc = 3\n"""\nd = [\n 1,\n 2]\n[[y]]\nk=1\n[[y]]\nk.z=2\n'
    places = {("x",): 3, ("x", "b"): 4, ("x", "d"): 7, ("y", 0, "k"): 11, ("y", 1, "k", "z"): 13}
    assert {place: line_of(text, place) for place in places} == places
