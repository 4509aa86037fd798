from stream.wording.words import called, counted, listed, minutes, names_in, visible


def test_one_is_one_and_all_else_are_several():
    assert [counted(number, "frame") for number in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]
    assert counted(1, "class", "classes") == "1 class"
    assert [minutes(one) for one in (60, 30, 1800)] == ["1 minute", "0.5 minutes", "30 minutes"]
    assert counted(3, "result exists", "results exist") == "3 results exist"


def test_numbers_are_listed_as_in_a_sentence():
    said = [listed(numbers, "stream") for numbers in ([1], [1, 2], [1, 2, 4])]
    assert said == ["stream 1", "streams 1 and 2", "streams 1, 2 and 4"]


def test_what_a_terminal_would_obey_is_written_out():
    plain = "ünï 日本.mp4 → out.mp4, it's \\n [x] \udcff"
    assert visible(plain) == plain
    assert visible("a\nb\r\x1b[31mc\x9b\u202e\t") == r"a\nb\r\x1b[31mc\x9b\u202e\t"


def test_a_name_that_would_be_missed_in_a_sentence_stands_in_quotes():
    assert [called(name) for name in ("", "  ", "Würfel", "a\nb", "dog, big")] == [
        "''",
        "'  '",
        "Würfel",
        r"a\nb",
        "'dog, big'",
    ]


def test_names_come_with_commas_between_them_and_in_quotes_where_they_hold_one():
    for text, names in (
        (" person , car,,", ("person", "car")),
        ("'DOG, big',car", ("DOG, big", "car")),
        ('person,"a, b" ', ("person", "a, b")),
        ("'tis, it's", ("'tis", "it's")),
        ("'a' b,'c'", ("'a' b", "c")),
        (" , ", ()),
        (", ".join(map(called, ("cat", "dog, big"))), ("cat", "dog, big")),
    ):
        assert names_in(text) == names
