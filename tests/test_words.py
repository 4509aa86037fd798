from stream.words import counted, visible


def test_one_is_one_and_all_else_are_several():
    assert [counted(number, "frame") for number in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]
    assert counted(1, "class", "classes") == "1 class"
    assert counted(3, "result exists", "results exist") == "3 results exist"


def test_what_a_terminal_would_obey_is_written_out():
    plain = "ünï 日本.mp4 → out.mp4, it's \\n [x] \udcff"
    assert visible(plain) == plain
    assert visible("a\nb\r\x1b[31mc\x9b\u202e\t") == r"a\nb\r\x1b[31mc\x9b\u202e\t"
