"""When a connection brought its last picture."""

from stream.sources._last_picture import LastPicture


def test_what_the_end_of_a_connection_pushes_out_is_as_old_as_what_came_before_it():
    last = LastPicture(0.0)
    for tenth in range(1, 11):
        last.came(tenth / 10)
    for late in (6.01, 6.02):
        last.came(late)
    last.ended(6.05)
    assert last.at == 1.0


def test_a_picture_behind_a_pause_is_the_last_one_where_the_connection_goes_on():
    last = LastPicture(0.0)
    for moment in (1.0, 4.0, 4.1, 5.0):
        last.came(moment)
        assert last.at == moment
    last.ended(5.6)
    assert last.at == 5.0
