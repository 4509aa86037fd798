"""The words in a film: its tags, its chapters, its streams' languages and titles; what is lost."""

from __future__ import annotations

import functools
import operator
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

import av
from av.container import OutputContainer
from av.stream import Disposition, Stream

from stream.frame import Chapter
from stream.sinks._containers import ContainerKind
from stream.sinks._trial import tiny_film

_CHAPTER_TICK = Fraction(1, 1_000_000)
# Set by the muxer itself, or untrue of the new file.
_NOT_KEPT = {
    "alpha_mode",
    "encoder",
    "duration",
    "vendor_id",
    "handler_name",
    "number_of_bytes",
    "_statistics",
}
_NOT_THE_FILMS = {
    "major_brand",
    "minor_version",
    "compatible_brands",
    "encoder",
    "duration",
    "software",
    # What MXF says of the program that wrote it and of itself.
    "application_platform", "company_name", "generation_uid", "material_package_umid",
    "modification_date", "operational_pattern_ul", "product_name", "product_uid", "product_version",
    "product_version_num", "toolkit_version_num", "uid",
    # What senders and servers of RTMP, and playlists, say of a stream.
    "|rtmpsampleaccess", "server", "displaywidth", "displayheight", "width", "height", "fps",
    "framerate", "profile", "level", "videodatarate", "audiodatarate", "videocodecid",
    "audiocodecid", "audiosamplerate", "audiosamplesize", "audiochannels", "stereo", "filesize",
    "2.1", "3.1", "4.0", "4.1", "5.1", "7.1", "variant_bitrate",
}  # fmt: skip
# What users read, search and choose by. The rest of a stream's tags is machines' talk.
_SAID = (
    "language",
    "title",
    "timecode",
    "stereo_mode",
    "comment",
    "description",
    "replaygain_track_gain",
    "replaygain_album_gain",
)
# What a trial film is given; a timecode must fit its rate, and how Matroska lays two eyes' pictures
# is one of a list.
_TRIED = {"timecode": "01:00:00:00", "stereo_mode": "left_right"}
# What FFmpeg's muxer of WebM refuses a whole film for.
_NO_EYES_OF_WEBM = {"anaglyph_green_magenta", "block_lr", "block_rl"}
_WORDS = "Words"
# What a video is and not what it is for, and what is untrue of one that is encoded anew.
_KINDS_OF_VIDEO = (
    Disposition.attached_pic
    | Disposition.still_image
    | Disposition.timed_thumbnails
    | Disposition.multilayer
)
# What players choose tracks by, and the words for it.
_ROLES = {
    role: "chosen by default" if role is Disposition.default else role.name.replace("_", " ")
    for role in Disposition
    if role.name and role not in _KINDS_OF_VIDEO
}
_NO_LANGUAGE = {"", "und"}
# What a broadcast's programme is called.
_OF_BROADCASTS = {"title", "service_name", "service_provider"}
# A byte says how long each of these is, and another its alphabet; in QuickTime two say it of any.
_MOST_BYTES = {"mpegts": 254, "mov": 65_535}
_MOST_NAMED = 4
_MOST_LETTERS = 60
# Twenty languages have two codes of three letters each, one of which is from their English name:
# ISO 639-2, bibliographic and terminological. QuickTime's own list has some of each.
_TWO_CODES = {
    "alb": "sqi", "arm": "hye", "baq": "eus", "bur": "mya", "chi": "zho", "cze": "ces",
    "dut": "nld", "fre": "fra", "geo": "kat", "ger": "deu", "gre": "ell", "ice": "isl",
    "mac": "mkd", "mao": "mri", "may": "msa", "per": "fas", "rum": "ron", "slo": "slk",
    "tib": "bod", "wel": "cym",
}  # fmt: skip
_OTHER_CODE = _TWO_CODES | {terminological: other for other, terminological in _TWO_CODES.items()}
_NO_ROLE = Disposition(0)
_HOLD_ALL = {"matroska", "webm"}
_ONE_CHAPTER = (Chapter(Fraction(0), Fraction(1, 10), {"title": "One"}),)
# What these formats are called by people who do not write muxers.
_CALLED = {"yuv4mpegpipe": "Y4M"}


def called(kind: ContainerKind) -> str:
    """What a kind of file is called in a sentence."""
    return kind.said or _CALLED.get(kind.format, kind.format)


def film_tags(kind: ContainerKind, tags: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """A whole film's tags that are true of another file of it, and what that has no room for.

    Args:
        kind: the container.
        tags: the film's: title, date, place, ...

    Returns:
        The tags to set, a programme's name as the title where there is none and the container knows
        no programmes; and the names of those that its muxer would refuse.
    """
    true = {name: said for name, said in tags.items() if name.lower() not in _NOT_THE_FILMS}
    long: list[str] = []
    holds = (kind.becomes or kind).format
    if holds not in {"mpegts", *_HOLD_ALL} and "service_name" in true:
        # As a film's title becomes its programme's name in a broadcast.
        true = {"title": true["service_name"], **true}
        if true["title"] == true["service_name"]:
            del true["service_name"]
    most = _MOST_BYTES.get(holds)
    if most is not None:
        asked = _OF_BROADCASTS & set(true) if holds == "mpegts" else set(true)
        long = [name for name in asked if len(true[name].encode()) > most]
    return {name: said for name, said in true.items() if name not in long}, sorted(long)


def kept_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Those of a stream's tags that are true of its copy too: language, title, timecode, ..."""
    return {
        key: value
        for key, value in tags.items()
        if not any(part in key.lower() for part in _NOT_KEPT)
    }


def names_of(
    kind: ContainerKind, medium: str, tags: Mapping[str, str], roles: Disposition = _NO_ROLE
) -> tuple[dict[str, str], dict[str, str]]:
    """A stream's tags as a container holds them, and what it has no place for.

    Args:
        kind: the container.
        medium: "video" or "audio"; subtitles are named as sound is.
        tags: the stream's.
        roles: likewise.

    Returns:
        The tags to set; and of language, title, roles and what else users know of, those that a
        reader will not find again.
    """
    kind = kind.becomes or kind
    kept, lost = kept_tags(tags), {}
    for name in (key for key in tags if key.lower() in _SAID):
        said = tags[name]
        if name.lower() == "language":
            other = _OTHER_CODE.get(said)
            if said in _NO_LANGUAGE or _holds(kind, medium, "language", said):
                continue
            if other is not None and _holds(kind, medium, "language", other):
                kept[name] = other
                continue
        elif kind.format == "webm" and name == "stereo_mode" and said in _NO_EYES_OF_WEBM:
            del kept[name]
        elif not said or _holds(kind, medium, name.lower(), _TRIED.get(name.lower(), _WORDS)):
            continue
        lost[name.lower()] = said
    for role, words in _ROLES.items():
        if role in roles and not _holds_role(kind, medium, role):
            lost["role"] = ", ".join(filter(None, (lost.get("role"), words)))
    return kept, lost


def roles_of(disposition: int) -> Disposition:
    """What a stream is for, as far as that is true of another one of the same content."""
    every = (one for one in _ROLES if one in Disposition(disposition))
    return functools.reduce(operator.or_, every, _NO_ROLE)


def lost_of_streams(
    kind: ContainerKind, lost: Sequence[tuple[str, Mapping[str, str]]]
) -> list[str]:
    """A sentence about what streams lose, none where that is nothing.

    Args:
        kind: the container.
        lost: whose ("stream 1's"), and what, as `names_of` gives it.
    """
    words = [
        f"{whose} {name} ({said if len(said) <= _MOST_LETTERS else f'{said[:_MOST_LETTERS]}…'})"
        for whose, these in lost
        for name, said in these.items()
    ]
    return [_left_out(kind, words)] if words else []


def lost_of_film(
    kind: ContainerKind,
    tags: Mapping[str, str],
    chapters: Sequence[Chapter],
    refused: Sequence[str] = (),
) -> list[str]:
    """A sentence each about tags of the whole film and about chapters that a container loses.

    Args:
        kind: the container.
        tags: the film's, without those that the muxer sets itself.
        chapters: the film's.
        refused: names of further tags that are not set, as `film_tags` gives them.
    """
    kind = kind.becomes or kind
    found = []
    worth = ((name, said) for name, said in sorted(tags.items()) if said.strip())
    lost = [name.lower() for name in (*refused, *_lost(kind, tuple(worth)))]
    if lost:
        named = [f"{len(lost) - _MOST_NAMED + 1} more"] if len(lost) > _MOST_NAMED else []
        named = lost[: _MOST_NAMED - len(named)] + named
        found.append(_left_out(kind, [f"the film's {named[0]}", *named[1:]]))
    if chapters and not _holds_chapters(kind):
        count = "chapter is" if len(chapters) == 1 else f"{len(chapters)} chapters are"
        found.append(f"the film's {count} left out: {called(kind)} holds none")
    return found


def set_chapters(container: OutputContainer, chapters: Iterable[Chapter]) -> None:
    """Names the parts of the output."""
    container.set_chapters(
        [
            {
                "id": place,
                "start": max(0, int(chapter.start / _CHAPTER_TICK)),
                "end": int(chapter.end / _CHAPTER_TICK),
                "time_base": _CHAPTER_TICK,
                "metadata": chapter.metadata,
            }
            for place, chapter in enumerate(chapters, 1)
        ]
    )


def _left_out(kind: ContainerKind, these: Sequence[str]) -> str:
    many = len(these) > 1
    words = " and ".join([", ".join(these[:-1]), these[-1]] if many else these)
    # Tags have names of their own, of which some are plural, as keywords and lyrics are.
    several = many or re.search(r"[^ius]s$", these[-1]) is not None
    are, them = ("are", "them") if several else ("is", "it")
    return f"{words} {are} left out: {called(kind)} has no place for {them}"


def _values(tags: Mapping[str, str]) -> set[str]:
    return {value.strip() for value in tags.values()}


def _known(kind: ContainerKind) -> bool | None:
    """Whether a container holds any words; None where that is found out by trying."""
    if kind.alone or kind.tags is not None:
        return False
    return True if kind.format in _HOLD_ALL else None


def _lost(kind: ContainerKind, tags: tuple[tuple[str, str], ...]) -> list[str]:
    """The names of those tags of a film that a reader does not find again."""
    known = _known(kind)
    if not tags or known is not None:
        return [] if known else [name for name, _ in tags if name.lower() not in (kind.tags or ())]
    again = tiny_film(kind, "video", film=dict(tags))
    if again is None:
        return []
    with av.open(again, "r") as read:
        found = {name.lower(): value.strip() for name, value in read.metadata.items()}
        names = {name for one in read.streams for name in one.metadata if name == "timecode"}
    names |= set(found)
    if kind.format == "mpegts":  # PyAV does not tell what a broadcast is called
        # A film's title is its programme's name, where there is no other.
        names |= _OF_BROADCASTS - ({"title"} if "service_name" in dict(tags) else set())
    # A value under another name is one tag's, not that of all who say the same.
    own = {name.lower() for name, _ in tags}
    renamed = Counter(value for name, value in found.items() if name not in own)
    lost = []
    for name, value in tags:
        if name.lower() in names:
            continue
        if renamed[value.strip()] > 0:
            renamed[value.strip()] -= 1
        else:
            lost.append(name)
    return lost


@functools.cache
def _holds(kind: ContainerKind, medium: str, name: str, value: str) -> bool:
    """Whether a reader finds a stream's tag again, under whatever name."""
    known = _known(kind)
    if known is not None:
        return known
    again = tiny_film(kind, medium, track={name: value})
    if again is None:
        return True
    with av.open(again, "r") as read:
        streams: list[Stream] = [one for one in read.streams if one.type == medium]
        return any(value in _values(one.metadata) for one in streams)


@functools.cache
def _holds_role(kind: ContainerKind, medium: str, role: Disposition) -> bool:
    """Whether a reader finds it again what a stream is for."""
    if kind.alone or kind.tags is not None or not kind.roles:
        return False

    def play(made: OutputContainer) -> None:
        made.streams[0].disposition = role

    # WebM's streams are alike in this, and its video would take longer.
    again = tiny_film(kind, medium, begun=play) or tiny_film(kind, "audio", begun=play)
    if again is None:
        return True
    with av.open(again, "r") as read:
        return any(role in one.disposition for one in read.streams)


@functools.cache
def _holds_chapters(kind: ContainerKind) -> bool:
    known = _known(kind)
    if known is not None:
        return known
    again = tiny_film(kind, "video", begun=lambda made: set_chapters(made, _ONE_CHAPTER))
    if again is None:
        return True
    with av.open(again, "r") as read:
        return bool(read.chapters())
