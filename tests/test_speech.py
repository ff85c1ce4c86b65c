"""Speech recognition: which track, with which model, on which clock; and real speech."""

import os
import re
import wave
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from av.stream import Disposition
from hypothesis import given, strategies as st
from numpy.typing import NDArray

from scanners import engines, models, sound, storyboard
from scanners.base import AudioStream, Finding, Line, MediaInfo, Options, Scan, StageError
from scanners.media import probe
from scanners.render import recording
from scanners.sound import RATE, Window
from scanners.speech import Speech, heard_track
from scanners.transcript import Piece, Said, Told
from scanners.whisper import Joined, trimmed
from tests.films import Recipe, Sound, make_film
from tests.models_fixture import Need

CLIPS = storyboard.read().clips
LIBRIVOX = [name for name in CLIPS if name.startswith("sense")]


class Heard:
    """What a stage reported."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.until: list[int] = []
        self.told: list[tuple[int, int]] = []

    def found(self, findings: Iterable[Finding], *, until_ms: int) -> None:
        self.lines += [one for one in findings if isinstance(one, Line)]
        self.until.append(until_ms)

    def progress(self, done_ms: int, total_ms: int) -> None:
        self.told.append((done_ms, total_ms))


def write_wav(path: Path, samples: NDArray[np.int16]) -> Path:
    with wave.open(str(path), "wb") as output:
        output.setnchannels(1)
        output.setsampwidth(2)
        output.setframerate(RATE)
        output.writeframes(samples.astype(np.int16).tobytes())
    return path


def pause(seconds: float) -> NDArray[np.int16]:
    return np.zeros(round(seconds * RATE), np.int16)


def run(stage: Speech, film: Path) -> tuple[str, Heard]:
    heard = Heard()
    options = Options()
    scan = Scan(id=1, path=os.fsencode(film), stages=("speech",), options=options)
    return stage.run(scan, heard), heard


# --- which track ---------------------------------------------------------------------------------


def media(*tracks: tuple[str, bool, bool]) -> MediaInfo:
    """Return a film with audio tracks of (language, default, secondary), numbered from 1."""
    return MediaInfo(
        container="matroska",
        duration_ms=1000,
        audio=tuple(
            AudioStream(
                index=number,
                codec="aac",
                channels=2,
                language=language,
                default=default,
                secondary=secondary,
            )
            for number, (language, default, secondary) in enumerate(tracks, 1)
        ),
    )


@pytest.mark.parametrize(
    ("tracks", "asked", "index"),
    [
        ([("en", False, False), ("ko", True, False)], "", 2),
        ([("en", True, False), ("ko", False, False)], "ko", 2),
        ([("en", True, False), ("kor", False, False)], "ko-KR", 1),
        ([("en", True, False), ("ko", False, True)], "ko", 1),
        ([("en", True, True), ("", False, False)], "", 2),
        ([("en", True, True)], "", 1),
    ],
)
def test_the_track_to_listen_to(
    tracks: list[tuple[str, bool, bool]], asked: str, index: int
) -> None:
    track = heard_track(media(*tracks), asked)
    assert track is not None
    assert track.index == index


def test_without_a_default_the_original_language_is_heard(tmp_path: Path) -> None:
    tracks = (
        Sound(language="ger", default=False),
        Sound(language="kor", default=False, disposition=Disposition.original.value),
    )
    film = make_film(tmp_path / "a.mkv", Recipe(shots=(1.0,), sound=tracks))
    track = heard_track(probe(os.fsencode(film.path)), "")
    assert track is not None
    assert (track.language, track.original) == ("ko", True)


def test_there_may_be_nothing_to_listen_to() -> None:
    assert heard_track(media(), "en") is None


# --- the stage, with an engine that does as it is told -------------------------------------------


class Parrot:
    """Says a word a second for every window, in the language that it is told is likely."""

    def __init__(self, models_folder: Path, name: str, options: Options) -> None:
        self.likely: list[str] = []
        self.pieces: list[Piece] | None = None
        made.append(self)

    def listen(self, window: Window, likely: str, progress: Callable[[int], None]) -> Told:
        self.likely.append(likely)
        progress(window.start_ms + 1)
        words = tuple(
            Said(ms, ms + 400, f" word{ms}.")
            for ms in range(window.start_ms, window.end_ms - 400, 1000)
        )
        doubtful = Piece(words, 0.99, -1.2, 1.0, -20.0)
        return Told("de", [Piece(words, 0.0, -0.1, 1.0, -20.0), doubtful])


made: list[Parrot] = []


@pytest.fixture
def parrot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Speech:
    made.clear()
    monkeypatch.setitem(engines.ENGINES, "parrot", f"{__name__}:Parrot")
    file = models.ModelFile("a", 1, sha256(b"a").hexdigest())
    row = models.Model(role="speech", engine="parrot", files=(file,), sources=(), licence="CC0")
    monkeypatch.setitem(models.MODELS, "polly", row)
    (tmp_path / "models" / "polly").mkdir(parents=True)
    (tmp_path / "models" / "polly" / "a").write_bytes(b"a")
    options = Options(models=os.fsencode(tmp_path / "models"), roles={"speech": "polly"})
    return Speech(options)


def test_lines_and_progress_are_reported_window_by_window(
    parrot: Speech, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound, "WINDOW_S", 4)
    monkeypatch.setattr(sound, "SEARCH_S", 1)
    note, heard = run(parrot, write_wav(tmp_path / "a.wav", pause(10)))
    assert len(heard.until) >= 3
    assert heard.until == sorted(heard.until)
    assert heard.until[-1] == 10_000
    assert note == f"{len(heard.lines)} lines in de, {len(heard.until)} doubtful left out"
    assert heard.told[-1] == (10_000, 10_000)
    starts = [line.start_ms for line in heard.lines]
    assert starts == sorted(starts)
    assert len(made) == 1  # the model is loaded once
    assert parrot.model == "polly@ca9781"


def test_what_was_spoken_so_far_is_the_likely_language(
    parrot: Speech, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sound, "WINDOW_S", 4)
    monkeypatch.setattr(sound, "SEARCH_S", 1)
    film = make_film(tmp_path / "a.mkv", Recipe(shots=(9.0,), sound=(Sound(language="fre"),)))
    run(parrot, film.path)
    assert made[0].likely[0] == "fr"
    assert set(made[0].likely[1:]) == {"de"}


def test_a_film_without_sound_needs_no_model(tmp_path: Path) -> None:
    film = make_film(tmp_path / "a.mkv", Recipe(shots=(1.0,), sound=()))
    stage = Speech(Options(models=os.fsencode(tmp_path / "no models")))
    assert run(stage, film.path)[0] == "no sound"


def test_a_missing_model_is_named_and_may_come_later(tmp_path: Path) -> None:
    stage = Speech(Options(models=os.fsencode(tmp_path)))
    with pytest.raises(StageError, match="heimdex models get whisper-base") as caught:
        run(stage, write_wav(tmp_path / "a.wav", pause(1)))
    assert not caught.value.permanent


# --- times ---------------------------------------------------------------------------------------

spans = st.lists(st.integers(1, 5 * RATE), min_size=2, max_size=12).map(
    lambda steps: [
        (sum(steps[: 2 * n + 1]), sum(steps[: 2 * n + 2])) for n in range(len(steps) // 2)
    ]
)


@given(spans, st.lists(st.floats(0, 1), min_size=2, max_size=2), st.integers(0, 10_000_000))
def test_joined_times_come_back_to_the_piece_they_were_in(
    pieces: list[tuple[int, int]], shares: list[float], start_ms: int
) -> None:
    window = Window(start_ms, np.arange(pieces[-1][1], dtype=np.float32))
    joined = Joined(window, pieces)
    assert len(joined.samples) == sum(last - first for first, last in pieces)
    start_s, end_s = (share * len(joined.samples) / RATE for share in sorted(shares))
    start, end = joined.place(start_s, end_s)
    assert start_ms <= start <= end <= window.end_ms
    first, last = ((ms - start_ms) * RATE // 1000 for ms in (start, end))
    slack = RATE // 500  # two roundings to ms
    assert any(a - slack <= first and last <= b + slack for a, b in pieces)


def test_a_word_over_a_seam_belongs_to_the_later_piece() -> None:
    window = Window(0, np.zeros(20 * RATE, np.float32))
    joined = Joined(window, [(0, 2 * RATE), (10 * RATE, 12 * RATE)])
    assert joined.place(0.5, 1.0) == (500, 1000)
    assert joined.place(1.5, 2.5) == (10_000, 10_500)
    assert joined.place(2.2, 2.4) == (10_200, 10_400)
    assert joined.place(3.9, 4.5) == (11_900, 12_000)


def test_a_word_that_lasts_too_long_starts_later() -> None:
    assert trimmed(0, 5000, " ask") == 5000 - 600
    assert trimmed(4800, 5000, " ask") == 4800


# --- real speech ---------------------------------------------------------------------------------


def plain_words(text: str) -> list[str]:
    spoken = re.sub(r"\bmr\b\.?", "mister", text.lower())
    return re.findall(r"[a-z]+", spoken.replace("-", " "))


def errors(said: list[str], heard: list[str]) -> int:
    """Return the word errors: the edit distance of two lists of words."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, 1):
        before, row[0] = row[0], number
        for place, other in enumerate(heard, 1):
            before, row[place] = (
                row[place],
                min(row[place] + 1, row[place - 1] + 1, before + (word != other)),
            )
    return row[-1]


@pytest.fixture(scope="module")
def tiny(need_model: Need) -> Speech:
    folder = need_model("whisper-tiny.en")
    roles = {"speech": "whisper-tiny.en"}
    return Speech(Options(models=os.fsencode(folder), roles=roles, threads=1))


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, int]]]:
    """The five LibriVox sentences with pauses of two seconds, and where each of them is, in ms."""
    parts, places, at = [pause(3)], [], 3 * RATE
    for name in LIBRIVOX:
        samples = recording(name)
        places.append((at * 1000 // RATE, (at + len(samples)) * 1000 // RATE))
        parts += [samples, pause(2)]
        at += len(samples) + 2 * RATE
    path = tmp_path_factory.mktemp("speech") / "sentences.wav"
    return write_wav(path, np.concatenate(parts)), places


def test_real_speech_is_understood_and_has_its_times(
    tiny: Speech, sentences: tuple[Path, list[tuple[int, int]]]
) -> None:
    path, places = sentences
    note, heard = run(tiny, path)
    said = plain_words(" ".join(CLIPS[name].said for name in LIBRIVOX))
    understood = plain_words(" ".join(line.text for line in heard.lines))
    assert errors(said, understood) <= 0.1 * len(said)
    assert "in en" in note
    for start, end in places:
        inside = [line for line in heard.lines if start - 700 < line.start_ms < end]
        assert inside, "nothing was heard where a sentence is"
        assert abs(inside[0].start_ms - start) < 700
        assert abs(inside[-1].end_ms - end) < 1200
    for line in heard.lines:
        assert line.words
        assert line.words[0].start_ms == line.start_ms
        assert [word.start_ms for word in line.words] == sorted(w.start_ms for w in line.words)


def test_silence_noise_and_a_tone_are_no_speech(tiny: Speech, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 600, 5 * RATE)
    hum = 8000 * np.sin(np.arange(5 * RATE) * 2 * np.pi * 100 / RATE)
    note, heard = run(
        tiny, write_wav(tmp_path / "a.wav", np.concatenate([pause(5), noise, hum, pause(5)]))
    )
    assert note == "nobody speaks"
    assert heard.lines == []
    assert heard.until == [20_000]


def test_base_understands_kennedy_and_finds_the_language(need_model: Need, tmp_path: Path) -> None:
    stage = Speech(Options(models=os.fsencode(need_model("whisper-base")), threads=1))
    note, heard = run(stage, write_wav(tmp_path / "a.wav", recording("jfk")))
    understood = plain_words(" ".join(line.text for line in heard.lines))
    assert errors(plain_words(CLIPS["jfk"].said), understood) <= 1
    assert {line.language for line in heard.lines} == {"en"}
    assert stage.model == "whisper-base@d01c30"
    assert note.endswith("in en")
