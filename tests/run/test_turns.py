"""Who may infer now, where several live sources share the model."""

from __future__ import annotations

import random
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.run.turns import Turns
from tests.run.parts import Hands, until


def test_one_at_a_time():
    turns = Turns(now=Hands())
    first, second = turns.join(), turns.join()
    assert first.take()
    assert not first.take() and not second.take()
    first.give_back(0.1)
    assert second.take()
    assert not first.take()


def test_several_at_once_where_the_machine_can():
    turns = Turns(2, now=Hands())
    first, second, third = turns.join(), turns.join(), turns.join()
    assert first.take() and second.take() and not third.take()


def test_who_is_inferred_for_long_counts_all_the_while():
    hands = Hands()
    turns = Turns(now=hands)
    first, second = turns.join(), turns.join()
    assert first.take() and not second.take()
    hands.at += 3.0
    assert not second.take()
    assert first.sources == second.sources == 2
    first.give_back(3.0)
    hands.at += 1.0
    assert first.sources == 1


def test_who_waits_longer_than_a_rest_begins_when_it_is_over():
    turns = Turns()
    first, second = turns.join(), turns.join()
    assert first.take()
    turns.rest = 0.02
    first.give_back(0.1, "model")
    assert second.take(60.0), "though nobody tells it"
    second.give_back(0.1, "model")
    turns.rest = 60.0
    assert not first.take(0.02)


def test_companions_of_one_model_begin_side_by_side():
    turns = Turns(now=Hands())
    first, second, third, alone = (turns.join() for _ in range(4))
    assert first.take(at_once=2) and second.take(at_once=2)
    assert not third.take(at_once=2), "it takes two together"
    assert not alone.take(), "another model's goes when nothing else is under way"
    first.give_back(0.05, "model")
    assert not alone.take()
    second.give_back(0.05, "model")
    assert alone.take()
    assert not first.take() and turns.members == 4


def test_nobody_begins_in_a_rest_though_others_are_under_way():
    hands = Hands()
    turns = Turns(now=hands)
    first, second, third = (turns.join() for _ in range(3))
    turns.rest = 0.5
    hands.at += 1.0
    assert first.take(at_once=3) and second.take(at_once=3)
    first.give_back(0.1, "model")
    assert not third.take(at_once=3)
    hands.at += 0.6
    assert third.take(at_once=3)


def together(sources, seed, seconds=20.0):
    """Seconds of inference that sources of one model get that go together, and one of another's.

    Two pictures together take 0.06 s, four 0.1 s, one alone 0.04 s; the other model takes 0.1 s.
    """
    chance = random.Random(seed)
    hands = Hands(0.0)
    turns = Turns(now=hands)
    members = [turns.join() for _ in range(sources + 1)]
    other = sources
    due = [chance.random() / 30 for _ in members]
    had = [0.0] * len(members)
    waiting: list[int] = []
    running: tuple[float, float, list[int]] | None = None

    def begin():
        if waiting[0] == other:
            went, took = [waiting[0]], 0.1
        else:
            alike = [place for place in waiting if place != other]
            count = max(count for count in (1, 2, 4) if count <= len(alike))
            went, took = alike[:count], {1: 0.04, 2: 0.06, 4: 0.1}[count]
        waiting[:] = [place for place in waiting if place not in went]
        return hands.at + took, took / len(went), went

    while hands.at < seconds:
        at, place = min((at, place) for place, at in enumerate(due))
        if running is not None and running[0] <= at:
            hands.at, share, went = running
            for done in went:
                had[done] += share
                members[done].give_back(share, "other" if done == other else "model")
            running = begin() if waiting else None
            continue
        hands.at = at
        due[place] = at + chance.uniform(0.8, 1.2) / 30
        busy = place in waiting or (running is not None and place in running[2])
        if not busy and members[place].take(at_once=1 if place == other else 8):
            waiting.append(place)
            running = running or begin()
    return had


@given(st.integers(2, 9), st.integers(0, 999))
def test_who_goes_together_and_who_goes_alone_have_the_same_seconds(sources, seed):
    had = together(sources, seed)
    assert min(had) >= 0.6 * sum(had) / len(had)
    assert sum(had) >= 20.0 * 0.6


def shares(takes, seed, seconds=20.0):
    """Seconds of inference that sources of 30 fps get, each of whose inferences takes so long."""
    chance = random.Random(seed)
    hands = Hands(0.0)
    turns = Turns(now=hands)
    members = [turns.join() for _ in takes]
    due = [chance.random() / 30 for _ in takes]
    had = [0.0] * len(takes)
    busy: tuple[float, int] | None = None
    while hands.at < seconds:
        at, place = min((at, place) for place, at in enumerate(due))
        if busy is not None and busy[0] <= at:
            hands.at, done = busy
            had[done] += takes[done]
            members[done].give_back(takes[done], f"model {takes[done]}")
            busy = None
            continue
        hands.at = at
        due[place] = at + chance.uniform(0.8, 1.2) / 30
        mine = busy is not None and busy[1] == place
        if not mine and members[place].take():
            busy = at + takes[place], place
    return had


@given(st.lists(st.sampled_from([0.06, 0.1, 0.3]), min_size=2, max_size=5), st.integers(0, 999))
def test_each_has_the_same_seconds_however_long_one_takes(takes, seed):
    had = shares(takes, seed)
    assert min(had) >= 0.7 * sum(had) / len(had)
    assert sum(had) >= 20.0 * 0.6, "and little is lost to waiting"


def test_a_source_pays_what_its_model_usually_takes_not_what_it_took_by_chance():
    turns = Turns(now=Hands())
    lucky, unlucky = turns.join(), turns.join()
    for _ in range(50):
        for turn, seconds in ((lucky, 0.1), (unlucky, 0.3)):
            assert turn.take()
            turn.give_back(seconds, "the same")
    assert unlucky.mark == pytest.approx(lucky.mark, rel=0.15)


def test_who_was_away_claims_nothing_for_that_time():
    hands = Hands()
    turns = Turns(now=hands)
    here, away = turns.join(), turns.join()
    for turn in (here, away):
        assert turn.take()
        turn.give_back(0.1)
    for _ in range(100):
        hands.at += 0.1
        assert here.take(), "an idle source is waited for"
        here.give_back(0.1)
    served = [0, 0]
    for _ in range(20):
        for place, turn in enumerate((away, here)):
            if turn.take():
                served[place] += 1
                hands.at += 0.1
                turn.give_back(0.1)
    assert abs(served[0] - served[1]) <= 2


def test_a_source_that_asked_and_went_is_not_waited_for():
    hands = Hands()
    turns = Turns(now=hands)
    owed, other = turns.join(), turns.join()
    assert other.take()
    assert not owed.take()
    other.give_back(1.0)
    assert other.take(), "one inference ahead is no injustice"
    other.give_back(1.0)
    assert not other.take(), "the other is owed two"
    hands.at += 1.0
    assert other.take(), "but it has not asked for a second"


def test_leaving_frees_the_place():
    turns = Turns(now=Hands())
    owed, other = turns.join(), turns.join()
    for _ in range(2):
        assert other.take()
        assert not owed.take()
        other.give_back(1.0)
    owed.leave()
    assert other.take()


def test_nobody_begins_while_the_displays_catch_up():
    hands = Hands()
    turns = Turns(now=hands)
    first, second = turns.join(), turns.join()
    first.rest = 0.5
    hands.at += 1.0
    assert first.take()
    first.give_back(0.1)
    assert second.rest == 0.5, "the rest is for all"
    assert not second.take()
    hands.at += 0.6
    assert second.take()


def test_a_rest_that_was_too_short_once_is_shortened_later_the_next_time():
    hands = Hands()
    turns = Turns(now=hands)
    first, second = turns.join(), turns.join()
    for held in (20, 40, 80, 160, 160):
        first.lengthen(0.3, 0.5)
        assert second.rest == pytest.approx(0.3)
        first.lengthen(0.3, 0.5)
        assert second.rest == pytest.approx(0.5), "and no longer"
        hands.at += held - 0.1
        second.shorten(0.1)
        assert second.rest == pytest.approx(0.5), "the first has lost frames not long ago"
        hands.at += 0.1
        for _ in range(6):
            second.shorten(0.1)
        assert first.rest == 0


def test_patience_is_rewarded_as_soon_as_the_place_is_free():
    turns = Turns()
    first, second = turns.join(), turns.join()
    assert first.take()
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(second.take(60.0)))
    thread.start()
    until(lambda: bool(turns._waiting))
    first.give_back(0.1)
    thread.join(60)
    assert answers == [True]
    assert not first.take(0.01), "and it ends"


def test_a_turn_s_usual_seconds_follow_what_it_takes():
    turn = Turns(now=Hands()).join()
    for _ in range(30):
        assert turn.take()
        turn.give_back(0.2)
    assert turn.usual == pytest.approx(0.2)


def test_it_is_calm_again_a_second_after_the_last_source_has_opened():
    hands = Hands()
    turns = Turns(now=hands)
    first = turns.join()
    assert first.calm
    with turns.opening():
        with turns.opening():
            hands.at += 5.0
        assert not first.calm
    with pytest.raises(OSError, match="it is not there"), turns.opening():
        raise OSError("it is not there")
    hands.at += 0.9
    assert not first.calm
    hands.at += 0.2
    assert first.calm


def test_sources_that_will_come_count_before_they_have_joined():
    assert not Turns().several and Turns(coming=2).several
    turns = Turns(coming=1)
    for several in (False, True):
        turns.join()
        assert turns.several is several
