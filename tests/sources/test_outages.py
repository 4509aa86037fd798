"""What is counted and shown of a source that goes away."""

from __future__ import annotations

from stream.sources._outages import Outages


def test_an_outage_is_shown_while_it_lasts_counted_when_it_is_over_and_told_for_a_moment():
    outages = Outages()
    outages.returned(0.0)
    assert outages.notes(0.0, 0.0) == () and not outages.under_way
    assert outages.lost(10.0, single=False) == 0.0
    assert [outages.tried() for _ in range(3)] == [0, 1, 2]
    assert outages.lost(14.0, single=False) == 4.0 and outages.under_way
    assert outages.notes(14.0, 5.2) == ("no picture for 5 s, reconnecting (attempt 3)",)
    outages.returned(15.0)
    outages.returned(15.1)
    assert outages.count == 1 and not outages.under_way
    assert outages.notes(19.9, 0.1) == ("reconnected 1 time",)
    assert outages.notes(20.1, 0.1) == ()
    outages.lost(30.0, single=False)
    assert outages.tried() == 0, "each outage is tried again soon"


def test_an_address_of_one_picture_is_gone_only_where_the_next_one_does_not_come():
    outages = Outages()
    for second in range(100):
        outages.lost(second, single=True)
        outages.tried()
        assert outages.notes(second + 0.3, 0.3) == ()
        outages.returned(second + 0.3)
        assert outages.notes(second + 0.3, 0.0) == ()
    assert outages.count == 0
    outages.lost(100.0, single=True)
    outages.tried()
    outages.lost(103.0, single=False)
    assert outages.notes(103.0, 3.0) == ("no picture for 3 s, reconnecting (attempt 1)",)
    outages.returned(104.0)
    assert outages.count == 1 and outages.notes(104.0, 0.0) == ("reconnected 1 time",)
