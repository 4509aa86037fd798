"""The time of day that cameras give pictures (SMPTE ST 12-1), where a film begins later."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction

_WRITTEN = re.compile(r"(\d{1,2}):(\d\d):(\d\d)([:;.])(\d{2,3})")
_A_DAY = 24 * 60
# Numbers left out of each minute but every tenth, for each 30 of a second: drop-frame timecode
# keeps with the clock although 29.97 pictures a second are counted as 30.
_DROPPED = 2


def later_tags(
    tags: Mapping[str, str], begins: Fraction, starts: Fraction, rate: Fraction | None
) -> dict[str, str]:
    """Tags with the timecode of the first picture at or after a time.

    Args:
        tags: of the film or its video's track, with the timecode of its first picture, if any.
        begins: when that is shown, in seconds.
        starts: from when on pictures are wanted, on the same clock.
        rate: pictures a second; None where nobody knows, and timecodes are left as they are.
    """
    if rate is None or starts <= begins:
        return dict(tags)
    # Times are rounded to ticks.
    passed = math.ceil((starts - begins) * rate - Fraction(1, 100))
    return {
        name: later(said, passed, rate) if name.lower() == "timecode" else said
        for name, said in tags.items()
    }


def later(timecode: str, pictures: int, rate: Fraction) -> str:
    """The timecode so many pictures later; the same where it is none of that rate.

    Args:
        timecode: hours, minutes, seconds and pictures; the last behind a `;` or `.` where numbers
            are dropped.
        pictures: how many.
        rate: of them a second.
    """
    written, nominal = _WRITTEN.fullmatch(timecode.strip()), round(rate)
    if written is None or nominal < 1:
        return timecode
    hours, minutes, seconds, number = (int(written[part]) for part in (1, 2, 3, 5))
    drops = written[4] != ":" and nominal % 30 == 0
    each = nominal // 30 * _DROPPED if drops else 0
    minute = 60 * hours + minutes
    count = (60 * minute + seconds) * nominal + number - each * (minute - minute // 10)
    count = (count + pictures) % ((60 * nominal - each) * _A_DAY + each * _A_DAY // 10)
    tens, rest = divmod(count, 10 * (60 * nominal - each) + each)
    # Nothing is dropped from the first of ten minutes.
    further = max(0, rest - each) // (60 * nominal - each)
    whole = count + each * (9 * tens + further)
    seconds, number = divmod(whole, nominal)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    width = len(written[5])
    return f"{hours:02}:{minutes:02}:{seconds:02}{written[4]}{number:0{width}}"
