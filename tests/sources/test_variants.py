"""Master playlists of HLS, which offer the same at several sizes."""

from __future__ import annotations

import itertools
from pathlib import Path

import av
import pytest
from av.stream import Discard

from stream.sources._variants import chosen
from tests import media

SIZES = [(64, 48), (160, 120), (128, 96)]


def variants(folder: Path, bits: list[int], *, sound: bool = True) -> Path:
    """A master playlist of the sizes, each with so many bits a second as it says."""
    told = ["#EXTM3U"]
    for (width, height), bandwidth in zip(SIZES, bits, strict=True):
        name = f"{width}.m3u8"
        media.make_clip(
            folder / name,
            size=(width, height),
            frames=50,
            audio="aac" if sound else None,
            options={"g": "25", "preset": "ultrafast"},
            muxer={"hls_time": "1"},
        )
        told += [f"#EXT-X-STREAM-INF:BANDWIDTH={bandwidth},RESOLUTION={width}x{height}", name]
    master = folder / "live.m3u8"
    master.write_text("\n".join([*told, ""]))
    return master


@pytest.mark.parametrize("bits", [[1000, 3000, 2000], [1000, 1000, 1000]], ids=["told", "alike"])
def test_the_largest_is_read_with_its_own_sound_and_nothing_of_the_others(tmp_path, bits):
    with av.open(str(variants(tmp_path, bits))) as container:
        video, sounds = chosen(container)
        assert video is not None and len(sounds) == 1
        assert (video.codec_context.width, video.codec_context.height) == (160, 120)
        assert sounds[0].index == video.index + 1
        others = [one for one in container.streams if one not in (video, *sounds)]
        assert [one.discard for one in others] == [Discard.all] * 4
        assert sum(packet.size > 0 for packet in container.demux(video)) == 50


def test_of_variants_without_sound_there_is_none(tmp_path):
    with av.open(str(variants(tmp_path, [1, 2, 3], sound=False))) as container:
        video, sounds = chosen(container)
        assert video is not None and video.codec_context.width == 160 and sounds == ()


@pytest.mark.parametrize("groups", [["a", "a", "a"], ["lo", "hi", "lo"]], ids=["one", "of each"])
def test_sound_with_lists_of_its_own_is_read_once_in_all_its_languages(tmp_path, groups):
    head, *told = variants(tmp_path, [1000, 3000, 2000], sound=False).read_text().splitlines()
    offers = []
    for group, language in itertools.product(sorted(set(groups)), ("en", "fr")):
        name = f"{group}-{language}.m3u8"
        media.make_clip(tmp_path / name, codec=None, audio="aac", audio_seconds=2)
        offers.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{group}",NAME="{language}",URI="{name}",'
            f'LANGUAGE="{language}"'
        )
    for place, group in enumerate(groups):
        told[2 * place] += f',AUDIO="{group}"'
    master = tmp_path / "live.m3u8"
    master.write_text("\n".join([head, *offers, *told, ""]))
    with av.open(str(master)) as container:
        video, sounds = chosen(container)
        assert video is not None and video.codec_context.width == 160
        assert len(container.streams.audio) == len(offers)
        assert sorted(one.metadata["language"] for one in sounds) == ["en", "fr"]
        assert {one.discard for one in sounds} == {Discard.default}


def multiplex(path: Path, programmes: list[tuple[bool, bool]]) -> Path:
    """A transport stream of programmes with a picture, sound or both, as broadcasts send them.

    FFmpeg's muxer writes one at a time; theirs differ in their numbers, and one list names all
    (ISO/IEC 13818-1, 2.4.4.3).
    """
    parts: list[list[bytes]] = []
    table = b""
    for number, (picture, sound) in enumerate(programmes, 1):
        one = media.make_clip(
            path.with_name(f"{number}.ts"),
            codec="libx264" if picture else None,
            audio="aac" if sound else None,
            audio_seconds=2 if sound else None,
            frames=50,
            options={"g": "25", "preset": "ultrafast"} if picture else {},
            muxer={
                "mpegts_start_pid": f"{0x100 * number}",
                "mpegts_pmt_start_pid": f"{0x1000 + number}",
                "mpegts_service_id": f"{number}",
            },
        ).read_bytes()
        packets = [one[at : at + 188] for at in range(0, len(one), 188)]
        parts.append([packet for packet in packets if packet[1:3] not in (b"\x40\0", b"\x40\x11")])
        table += number.to_bytes(2, "big") + (0xE000 | 0x1000 + number).to_bytes(2, "big")
    head = b"\0" + (0xB000 | len(table) + 9).to_bytes(2, "big") + b"\0\1\xc1\0\0"
    crc = 0xFFFFFFFF
    for byte in head + table:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc >> 31 else crc << 1) & 0xFFFFFFFF
    listed = b"\x47\x40\0\x10\0" + head + table + crc.to_bytes(4, "big")
    turns = itertools.chain.from_iterable(itertools.zip_longest(*parts, fillvalue=b""))
    path.write_bytes(listed.ljust(188, b"\xff") + b"".join(turns))
    return path


@pytest.mark.parametrize(
    ("programmes", "heard"),
    [
        ([(True, True), (True, True)], 1),
        ([(False, True), (True, True), (False, True)], 1),
        ([(True, False), (False, True)], 0),
        ([(True, False), (True, True)], 0),
        ([(False, True), (True, False), (True, True)], 0),
    ],
    ids=["two", "radio beside", "silent beside radio", "silent beside another", "silent among"],
)
def test_of_a_multiplex_the_first_picture_is_read_with_the_sound_of_its_programme(
    tmp_path, programmes, heard
):
    with av.open(str(multiplex(tmp_path / "all.ts", programmes))) as container:
        assert len(container.streams) == sum(map(sum, programmes))
        video, sounds = chosen(container)
        number = 1 + next(place for place, (picture, _) in enumerate(programmes) if picture)
        assert video is not None and video.id // 0x100 == number
        assert [one.id // 0x100 for one in sounds] == [number] * heard
        others = [one for one in container.streams if one not in (video, *sounds)]
        assert {one.discard for one in others} == {Discard.all}
        assert sum(packet.size > 0 for packet in container.demux(video)) == 50


def test_any_other_container_is_read_as_it_is(tmp_path):
    clip = media.make_clip(tmp_path / "a.mkv", frames=5, audio="aac")
    with av.open(str(clip)) as container:
        video, sounds = chosen(container)
        assert video is container.streams.video[0] and sounds == container.streams.audio
    silent = media.make_clip(tmp_path / "s.mkv", codec=None, audio="aac", audio_seconds=1)
    with av.open(str(silent)) as container:
        assert chosen(container) == (None, container.streams.audio)
