"""Opening films: what is taken, what is refused and why, and what is said of what is inside."""

import errno
import os
import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition
from hypothesis import given, strategies as st

from companion.errors import ModelMissing
from companion.timecode import ms_from_pts
from scanners.base import AudioStream, MediaInfo, StageError
from scanners.decode import Reader
from scanners.media import (
    Clock,
    bcp47,
    describe,
    hdr_transfer,
    main_audio,
    open_media,
    picture_stream,
    probe,
    shown_size,
)
from scanners.refusals import read_error, unexpected, what_is
from tests.films import (
    Sound,
    Words,
    kept_film,
    make_film,
    make_sound_only,
    strip_container,
    truncate,
)

SHORT = (1.0, 1.0)


def why(path: Path | bytes) -> str:
    """Return the reason for which a file is refused."""
    with pytest.raises(StageError) as caught:
        probe(os.fsencode(path))
    return caught.value.reason


# --- what is inside ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "container", "audio"),
    [("a.mp4", "mov", "aac"), ("a.mkv", "matroska", "aac"), ("a.ts", "mpegts", "mp2")],
)
def test_a_film_is_described(name: str, container: str, audio: str) -> None:
    film = kept_film(name, shots=SHORT)
    media = probe(os.fsencode(film.path))
    assert media.container.startswith(container)
    assert abs(media.duration_ms - 2000) < 100
    assert media.video is not None
    assert (media.video.width, media.video.height, media.video.fps) == (160, 90, 25.0)
    assert (media.video.codec, media.video.pixel_format) == ("h264", "yuv420p")
    assert not media.video.hdr
    assert not media.video.interlaced
    assert [(one.codec, one.language, one.channels) for one in media.audio] == [(audio, "en", 1)]


def test_the_clock_starts_with_the_container() -> None:
    media = probe(os.fsencode(kept_film("late.ts", shots=SHORT, offset_ms=10_000).path))
    assert 9_900 <= media.start_ms <= 10_000
    assert abs(media.duration_ms - 2000) < 100


def test_matroska_that_starts_late_is_not_longer_for_it() -> None:
    media = probe(os.fsencode(kept_film("late.mkv", shots=SHORT, offset_ms=10_000).path))
    assert media.start_ms == 10_000
    assert abs(media.duration_ms - 2000) < 100


@pytest.mark.parametrize(
    ("rotation", "size"),
    [(0, (160, 90)), (90, (90, 160)), (180, (160, 90)), (270, (90, 160))],
)
def test_sizes_are_upright(rotation: int, size: tuple[int, int]) -> None:
    film = kept_film("turned.mp4", shots=(0.2,), rotation=rotation, sound=())
    video = probe(os.fsencode(film.path)).video
    assert video is not None
    assert (video.width, video.height) == size
    assert video.rotation == rotation


def test_sizes_are_in_square_pixels() -> None:
    film = kept_film("wide.mkv", shots=(0.2,), pixel_aspect=Fraction(4, 3), sound=())
    video = probe(os.fsencode(film.path)).video
    assert video is not None
    assert (video.width, video.height) == (213, 90)


@pytest.mark.parametrize("transfer", ["pq", "hlg"])
def test_hdr_is_noticed(transfer: str) -> None:
    film = kept_film(
        "hdr.mkv", shots=(0.2,), transfer=transfer, pixel_format="yuv420p10le", sound=()
    )
    video = probe(os.fsencode(film.path)).video
    assert video is not None
    assert video.hdr
    assert video.pixel_format == "yuv420p10le"


def test_interlacing_is_noticed() -> None:
    film = kept_film("fields.mkv", shots=(0.4,), size=(160, 96), interlaced=True, sound=())
    video = probe(os.fsencode(film.path)).video
    assert video is not None
    assert video.interlaced


def test_sound_without_picture_is_described_without_one(tmp_path: Path) -> None:
    media = probe(os.fsencode(make_sound_only(tmp_path / "song.m4a")))
    assert media.video is None
    assert len(media.audio) == 1


def test_a_film_without_sound_has_no_audio() -> None:
    assert probe(os.fsencode(kept_film("silent.mkv", shots=SHORT, sound=()).path)).audio == ()


def test_cover_art_is_not_the_picture(tmp_path: Path) -> None:
    film = make_film(tmp_path / "cover.mkv", shots=(0.2,), size=(32, 32), cover=True)
    media = probe(os.fsencode(film.path))
    assert media.video is not None
    assert media.video.codec == "h264"  # though the cover is four times as large


def test_a_song_with_a_cover_has_no_picture(tmp_path: Path) -> None:
    _, jpeg = cv2.imencode(".jpg", np.full((64, 64, 3), 90, np.uint8))
    path = tmp_path / "song.mkv"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=16_000)
        output.add_attachment("cover.jpg", "image/jpeg", jpeg.tobytes())
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.float32), "fltp", "mono")
        frame.sample_rate = 16_000
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    assert probe(os.fsencode(path)).video is None


def test_the_length_of_a_bare_stream_is_counted(tmp_path: Path) -> None:
    bare = strip_container(kept_film("a.mp4", shots=SHORT).path, tmp_path / "bare.h264")
    assert probe(os.fsencode(bare)).duration_ms == 2000


def test_the_length_of_a_recording_without_header_is_measured(tmp_path: Path) -> None:
    film = kept_film("a.mp4", shots=SHORT)
    path = tmp_path / "live.mkv"
    with (
        av.open(str(film.path)) as source,
        av.open(str(path), "w", options={"live": "1"}) as target,
    ):
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)
    with open_media(os.fsencode(path)) as container:
        assert describe(container).duration_ms == 0
    assert abs(probe(os.fsencode(path)).duration_ms - 2000) <= 40


# --- tracks --------------------------------------------------------------------------------------


def test_languages_and_titles_of_tracks_are_told() -> None:
    film = kept_film(
        "tracks.mkv",
        shots=SHORT,
        sound=(Sound(language="ger", title="Stereo"), Sound(language="kor", default=False)),
        subtitles=(
            Words(language="fre"),
            Words(language="chi", forced=True),
            Words(language="eng", title="English (SDH)", codec="ass"),
            Words(language="und", hearing_impaired=True, default=True),
        ),
    )
    media = probe(os.fsencode(film.path))
    assert [(one.language, one.title, one.default) for one in media.audio] == [
        ("de", "Stereo", True),
        ("ko", "", False),
    ]
    assert [(one.language, one.forced, one.hearing_impaired) for one in media.subtitles] == [
        ("fr", False, False),
        ("zh", True, False),
        ("en", False, True),
        ("", False, True),
    ]
    assert [one.codec for one in media.subtitles] == ["subrip", "subrip", "ass", "subrip"]
    assert all(one.text for one in media.subtitles)
    assert [one.default for one in media.subtitles] == [False, False, False, True]


@pytest.mark.parametrize(
    "track",
    [
        Sound(title="Director's Commentary"),
        Sound(title="Audiokommentar"),
        Sound(title="Audio Description (AD)"),
        Sound(title="코멘터리"),
        Sound(disposition=int(Disposition.comment)),
        Sound(disposition=int(Disposition.visual_impaired)),
    ],
)
def test_commentary_and_description_are_secondary(track: Sound) -> None:
    film = kept_film("talk.mkv", shots=(0.4,), sound=(track, Sound(default=False)))
    media = probe(os.fsencode(film.path))
    assert [one.secondary for one in media.audio] == [True, False]
    listened = main_audio(media)
    assert listened is not None
    assert listened.index == media.audio[1].index


def test_commentary_is_listened_to_if_there_is_nothing_else() -> None:
    only = AudioStream(index=3, codec="aac", channels=2, secondary=True)
    media = MediaInfo(container="x", duration_ms=1, audio=(only,))
    assert main_audio(media) == only
    assert main_audio(MediaInfo(container="x", duration_ms=1)) is None


def test_the_default_track_is_listened_to() -> None:
    film = kept_film("two.mkv", shots=(0.4,), sound=(Sound(default=False), Sound(default=True)))
    media = probe(os.fsencode(film.path))
    assert main_audio(media) == media.audio[1]


def test_names_that_muxers_write_are_no_titles() -> None:
    media = probe(os.fsencode(kept_film("a.mp4", shots=SHORT).path))
    assert media.audio[0].title == ""


def test_titles_that_are_not_utf_8_are_read(tmp_path: Path) -> None:
    film = make_film(tmp_path / "odd.mkv", shots=(0.2,), sound=(Sound(title="ABCDEFGH"),))
    film.path.write_bytes(film.path.read_bytes().replace(b"ABCDEFGH", b"\xff\xfe\xc3\x28ABCD"))
    assert "ABCD" in probe(os.fsencode(film.path)).audio[0].title


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("ger", "de"),
        ("deu", "de"),
        ("fre", "fr"),
        ("chi", "zh"),
        ("kor", "ko"),
        ("en-US", "en-US"),
        ("pt_BR", "pt-BR"),
        ("zh-Hans", "zh-Hans"),
        ("iw", "he"),
        ("und", ""),
        ("mul", ""),
        ("zxx", ""),
        ("", ""),
        (None, ""),
        ("English!", ""),
        ("e\0n", ""),
        ("x" * 1000, ""),
    ],
)
def test_language_tags_become_bcp_47(tag: str | None, language: str) -> None:
    assert bcp47(tag) == language


@given(st.text(max_size=60))
def test_no_language_tag_breaks_anything(tag: str) -> None:
    assert len(bcp47(tag)) <= 60


# --- what is refused -----------------------------------------------------------------------------


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.touch()
    assert why(path) == "the file is empty"


def test_a_file_that_is_away_may_come_back(tmp_path: Path) -> None:
    with pytest.raises(StageError) as caught:
        probe(os.fsencode(tmp_path / "gone.mkv"))
    assert "No such file" in caught.value.reason
    assert not caught.value.permanent


def test_a_folder_is_no_film(tmp_path: Path) -> None:
    assert why(tmp_path) == "this is not a file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(b"x")
    path.chmod(0)
    assert "permissions" in why(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"Dear diary,\nnothing happened.\n" * 50, "this is text, not a film"),
        ("한국어로 쓴 글입니다. ".encode() * 300, "this is text, not a film"),
        (b"\0" * 5000, "the file is full of zeros: was its copy or download completed?"),
        (b"\x89PNG\r\n\x1a\n" + b"\1" * 100, "this is a still picture, not a film"),
        (
            bytes(range(256)) * 20,
            "this is not a film in a known format, or its beginning is damaged",
        ),
    ],
)
def test_what_is_no_film_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "renamed.mp4"
    path.write_bytes(content)
    assert why(path) == reason


@pytest.mark.parametrize("suffix", ["mp4", "m3u8", "mpd", "txt"])
@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{film}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{film}'\n",
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nm=video 9 RTP/AVP 96\r\n",
        '<?xml version="1.0"?><MPD><BaseURL>{film}</BaseURL></MPD>',
    ],
)
def test_a_playlist_opens_no_other_file(tmp_path: Path, suffix: str, playlist: str) -> None:
    film = kept_film("a.ts", shots=SHORT)
    path = tmp_path / f"list.{suffix}"
    path.write_text(playlist.format(film=film.path))
    assert why(path) == "this is a playlist, not a film"


def test_numbered_pictures_are_not_read_as_a_film(tmp_path: Path) -> None:
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"shot{number}.jpg"), np.zeros((9, 16, 3), np.uint8))
    pattern = tmp_path / "shot%d.jpg"
    pattern.write_bytes((tmp_path / "shot0.jpg").read_bytes())
    assert why(pattern) == "this is a still picture, not a film"


def test_a_half_copied_mp4_says_so(tmp_path: Path) -> None:
    half = truncate(kept_film("a.mp4", shots=SHORT).path, tmp_path / "half.mp4", 0.6)
    assert why(half) == "the film is not complete: its index is missing; is it still copied?"


def test_the_index_is_looked_for_behind_large_boxes(tmp_path: Path) -> None:
    path = tmp_path / "large.mp4"
    boxes = struct.pack(">I4sIQ", 1, b"mdat", 0, 24)[:8] + struct.pack(">Q", 24) + b"\0" * 8
    path.write_bytes(struct.pack(">I4s8s", 16, b"ftyp", b"isom\0\0\0\0") + boxes)
    assert "its index is missing" in why(path)


def test_an_absurd_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.y4m"
    path.write_bytes(b"YUV4MPEG2 W20000 H64 F25:1 Ip A1:1 C420jpeg\nFRAME\n" + b"\x80" * 4096)
    assert why(path) == "the picture claims 20000 x 64 pixels, which no film has"


def test_a_frame_that_is_larger_than_its_film_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.ivf"
    key_frame = b"\x10\x02\x00\x9d\x01\x2a" + struct.pack("<HH", 15_000, 15_000) + b"\0" * 400
    path.write_bytes(
        b"DKIF\0\0 \0VP80"
        + struct.pack("<HHIIII", 320, 240, 25, 1, 1, 0)
        + struct.pack("<IQ", len(key_frame), 0)
        + key_frame
    )
    with pytest.raises(StageError):
        list(Reader(os.fsencode(path)))


def test_a_large_but_real_picture_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "large.y4m"
    path.write_bytes(b"YUV4MPEG2 W8192 H16 F25:1 Ip A1:1 C420jpeg\nFRAME\n" + b"\x80" * 196_608)
    video = probe(os.fsencode(path)).video
    assert video is not None
    assert video.width == 8192


def test_a_failing_disk_is_not_the_films_fault() -> None:
    assert not read_error(OSError(errno.EIO, "Input/output error")).permanent
    assert not read_error(OSError(errno.ESTALE, "Stale file handle")).permanent
    assert not read_error(MemoryError()).permanent
    assert read_error(ValueError("broken header")).permanent


def test_a_stage_error_is_passed_on_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    error = StageError("no words", permanent=False)
    assert unexpected(error) is error
    assert capsys.readouterr().err == ""


def test_a_model_that_is_missing_can_be_brought(capsys: pytest.CaptureFixture[str]) -> None:
    found = unexpected(ModelMissing("model tiny: a.onnx is missing"))
    assert (found.reason, found.permanent) == ("model tiny: a.onnx is missing", False)
    assert capsys.readouterr().err == ""


def test_an_unforeseen_error_gives_its_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    found = unexpected(KeyError("lost"))
    assert found.reason == "the program failed: KeyError: 'lost'"
    assert not found.permanent
    assert "KeyError" in capsys.readouterr().err


@given(st.binary(max_size=300))
def test_any_beginning_of_a_file_gets_a_name(head: bytes) -> None:
    assert what_is(head)


def test_a_character_cut_in_two_is_still_text() -> None:
    assert what_is(("a" * 4095 + "é").encode()[:4096]) == "this is text, not a film"
    assert what_is(b"\xe9" + b"a" * 100) != "this is text, not a film"


# --- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        b'it\'s "quoted".mkv',
        b"two\nlines.mkv",
        "영화 🎬 émoji.mkv".encode(),
        b"not utf-8 \xff\xfe.mkv",
        b"a:b.mkv",
        b"http:x.mkv",
        b"%d frames %05d.mkv",
        b"-i evil.mkv",
        b"pipe:0.mkv",
    ],
)
def test_odd_names_are_only_names(
    tmp_path: Path, name: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = kept_film("a.mkv", shots=SHORT).path
    os.link(film, os.fsencode(tmp_path) + b"/" + name)
    monkeypatch.chdir(tmp_path)
    for path in (os.fsencode(tmp_path) + b"/" + name, name):
        media = probe(path)
        assert media.video is not None


# --- the clock -----------------------------------------------------------------------------------


bases = st.builds(Fraction, st.integers(1, 1001), st.integers(1, 1_200_000))


@given(st.integers(-(2**40), 2**40), bases, st.integers(-100_000, 100_000))
def test_the_fast_clock_says_what_the_slow_one_says(pts: int, base: Fraction, start: int) -> None:
    assert Clock(base, start).ms(pts) == ms_from_pts(pts, base, start)


@given(st.integers(0, 10**9), bases, st.integers(-100_000, 100_000))
def test_a_time_and_its_stamp_belong_together(ms: int, base: Fraction, start: int) -> None:
    clock = Clock(base, start)
    pts = clock.pts(ms)
    assert pts * base * 1000 <= ms + start < (pts + 1) * base * 1000


@given(st.integers(1, 8192), st.integers(1, 8192), st.sampled_from([0, 90, 180, 270]))
def test_a_quarter_turn_swaps_the_sides(width: int, height: int, rotation: int) -> None:
    shown = shown_size(width, height, None, rotation)
    assert shown == ((height, width) if rotation in {90, 270} else (width, height))


def test_an_absurd_pixel_aspect_is_ignored() -> None:
    assert shown_size(100, 100, Fraction(1000, 1), 0) == (100, 100)
    assert shown_size(720, 576, Fraction(64, 45), 0) == (1024, 576)


def test_only_two_transfers_are_hdr() -> None:
    assert {number: hdr_transfer(number) for number in range(20) if hdr_transfer(number)} == {
        16: "pq",
        18: "hlg",
    }


def test_the_picture_of_a_film_is_its_default_one() -> None:
    with open_media(os.fsencode(kept_film("a.mkv", shots=SHORT).path)) as container:
        assert picture_stream(container).index == 0
