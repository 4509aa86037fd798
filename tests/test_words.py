from stream.words import counted


def test_one_is_one_and_all_else_are_several():
    assert [counted(number, "frame") for number in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]
    assert counted(1, "class", "classes") == "1 class"
    assert counted(3, "result exists", "results exist") == "3 results exist"
