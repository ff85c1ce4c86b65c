"""Which subtitle is the words of a film, and what the stage reports of it."""

import itertools
import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from scanners import subtitles
from scanners.base import (
    Finding,
    Line,
    MediaInfo,
    Options,
    Scan,
    SideFile,
    StageError,
    SubtitleStream,
)
from scanners.subtitles import Candidate, Subtitles, candidates, choose, thin
from tests.films import Recipe, Sound, Words, damage, make_film

CUES = ((500, 1500, "Hello there."), (2000, 2800, "Bye."))
SRT = "1\n00:00:00,400 --> 00:00:01,000\nBeside the film.\n"


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


def run(
    film: Path, *side: SideFile, languages: tuple[str, ...] = (), heard: Heard | None = None
) -> tuple[str, Heard]:
    heard = heard or Heard()
    options = Options(languages=languages)
    scan = Scan(
        id=1, path=os.fsencode(film), stages=("subtitles",), options=options, side_files=side
    )
    return Subtitles(options).run(scan, heard), heard


def beside(film: Path, ending: str, text: str | bytes = SRT, **facts: object) -> SideFile:
    path = film.with_name(f"{film.stem}.{ending}")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return SideFile(path=os.fsencode(path), **facts)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def plain_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "Lake.mkv"
    return make_film(path, Recipe(shots=(3.0,), sound=())).path


def film_with(path: Path, *words: Words, **changes: object) -> Path:
    return make_film(path, Recipe(shots=(3.0,), sound=(), subtitles=words), **changes).path


# --- choosing ------------------------------------------------------------------------------------


def named(*found: Candidate, wanted: tuple[str, ...] = (), heard: str = "") -> list[str]:
    return [one.label for one in choose(found, wanted, heard).best_first]


def one(label: str, language: str = "", **facts: object) -> Candidate:
    return Candidate(label=label, language=language, **facts)  # type: ignore[arg-type]


SIDE = SideFile(path=b"x.srt")


def test_the_first_wanted_language_wins_over_place_and_default() -> None:
    found = (one("german file", "de", side=SIDE), one("korean", "ko"), one("english", "en"))
    assert named(*found, wanted=("ko", "en")) == ["korean", "english"]


def test_a_language_that_is_not_wanted_is_never_taken() -> None:
    choice = choose([one("french", "fr"), one("german", "de")], ("ko",))
    assert choice.best_first == ()
    assert choice.reason == "subtitles only in de, fr; wanted ko"


def test_a_track_of_no_stated_language_comes_after_the_wanted_ones() -> None:
    assert named(one("nameless"), one("english", "en"), wanted=("ko", "en")) == [
        "english",
        "nameless",
    ]


def test_a_variant_of_a_wanted_language_is_taken_and_the_exact_one_first() -> None:
    found = (one("portugal", "pt-PT"), one("brazil", "pt-BR"), one("plain", "pt"))
    assert named(*found, wanted=("pt-BR",)) == ["brazil", "portugal", "plain"]


def test_in_one_language_a_file_beside_comes_first_then_plain_then_the_default() -> None:
    found = (
        one("captions", "en", hearing_impaired=True, default=True),
        one("plain", "en"),
        one("plain default", "en", default=True),
        one("file", "en", side=SIDE),
    )
    assert named(*found, wanted=("en",)) == ["file", "plain default", "plain", "captions"]


def test_without_wishes_the_language_that_is_heard_comes_first() -> None:
    found = (one("english", "en", default=True), one("korean", "ko"), one("nameless"))
    assert named(*found, heard="ko") == ["korean", "nameless", "english"]
    assert named(*found)[0] == "english"


def test_captions_for_the_hard_of_hearing_are_good_enough_alone() -> None:
    assert named(one("captions", "en", hearing_impaired=True)) == ["captions"]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        ([], "no subtitles"),
        ([one("a", "de", forced=True)], "only a forced track (de)"),
        ([one("a", forced=True)], "only a forced track"),
        ([one("a", text=False)], "only picture subtitles, which cannot be read as text"),
        ([one("a", text=False), one("b", "en", forced=True)], "only a forced track (en)"),
        ([one("a", spoken=False)], "only a commentary or lyrics track"),
    ],
)
def test_it_says_why_there_is_nothing_to_read(found: list[Candidate], reason: str) -> None:
    choice = choose(found, ("en",))
    assert choice.best_first == ()
    assert choice.reason == reason


tags = st.sampled_from(["", "en", "ko", "de", "pt-BR", "pt"])
any_candidate = st.builds(
    Candidate,
    label=st.just("x"),
    language=tags,
    text=st.booleans(),
    forced=st.booleans(),
    spoken=st.booleans(),
    hearing_impaired=st.booleans(),
    default=st.booleans(),
    side=st.sampled_from([None, SIDE]),
)


@given(st.lists(any_candidate, max_size=8), st.lists(tags.filter(bool), max_size=3), tags)
def test_only_full_text_in_wanted_languages_is_ever_chosen(
    found: list[Candidate], wanted: list[str], heard: str
) -> None:
    choice = choose(found, wanted, heard)
    assert bool(choice.best_first) != bool(choice.reason)
    bases = {tag.split("-")[0] for tag in wanted}
    for chosen in choice.best_first:
        assert chosen.text
        assert chosen.spoken
        assert not chosen.forced
        assert not wanted or not chosen.language or chosen.language.split("-")[0] in bases


@given(st.permutations([one("a", "en"), one("b", "ko"), one("c", "en", default=True)]))
def test_the_order_in_the_file_does_not_change_the_choice(found: list[Candidate]) -> None:
    assert named(*found, wanted=("en",)) == ["c", "a"]


@pytest.mark.parametrize(
    ("name", "forced", "spoken"),
    [
        (b"/films/Lake.en.srt", False, True),
        (b"/films/Lake.en.forced.srt", True, True),
        (b"/films/Lake.forced.en.srt", True, True),
        (b"/films/Forced Landing.en.srt", False, True),
        (b"/films/Lake.en.commentary.srt", False, False),
        (b"/films/Commentary.srt", False, True),
    ],
)
def test_the_name_of_a_file_says_what_it_is(name: bytes, forced: bool, spoken: bool) -> None:
    media = MediaInfo(container="matroska", duration_ms=1000)
    (found,) = candidates(media, [SideFile(path=name, language="eng")])
    assert (found.forced, found.spoken, found.language) == (forced, spoken, "en")


def test_the_title_of_a_track_says_what_it_is() -> None:
    titles = ["English", "English (Forced)", "Signs & Songs", "Director's Commentary"]
    media = MediaInfo(
        container="matroska",
        duration_ms=1000,
        subtitles=tuple(
            SubtitleStream(index=number, codec="subrip", text=True, title=title)
            for number, title in enumerate(titles)
        ),
    )
    found = candidates(media, [])
    assert [(one.forced, one.spoken) for one in found] == [
        (False, True),
        (True, True),
        (True, True),
        (False, False),
    ]


def test_few_lines_in_a_long_film_are_a_forced_track() -> None:
    lines = [Line(number * 1000, number * 1000 + 900, "x") for number in range(40)]
    assert thin(lines, 90 * 60_000)
    assert not thin(lines, 35 * 60_000)
    assert not thin(lines[:3], 60_000)  # a short film may say little
    assert not thin(lines, 0)


# --- the stage -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "codec"), [("mkv", "subrip"), ("mkv", "ass"), ("mp4", "mov_text")]
)
def test_a_track_inside_the_film_is_read(tmp_path: Path, ending: str, codec: str) -> None:
    film = film_with(tmp_path / f"a.{ending}", Words(codec=codec, cues=CUES))
    note, heard = run(film)
    assert [(line.start_ms, line.end_ms, line.text) for line in heard.lines] == list(CUES)
    assert {line.language for line in heard.lines} == {"en"}
    assert note == "track 1 (en), 2 lines"
    assert heard.until == [3000]


def test_times_are_those_of_the_film_when_the_container_starts_late(tmp_path: Path) -> None:
    film = film_with(tmp_path / "late.mkv", Words(cues=CUES), offset_ms=5000)
    _, heard = run(film)
    assert [line.start_ms for line in heard.lines] == [500, 2000]


def test_mark_up_of_a_track_is_taken_off(tmp_path: Path) -> None:
    text = "<i>Hello</i> {\\an8}there,\nyou"
    film = film_with(tmp_path / "a.mkv", Words(cues=((500, 1500, text),)))
    assert [line.text for line in run(film)[1].lines] == ["Hello there, you"]
    text = "{\\i1}Hello{\\i0}, you{a comment}"
    film = film_with(tmp_path / "b.mkv", Words(codec="ass", cues=((500, 1500, text),)))
    assert [line.text for line in run(film)[1].lines] == ["Hello, you"]


def test_a_file_beside_the_film_comes_before_a_track_of_its_language(tmp_path: Path) -> None:
    film = film_with(tmp_path / "Lake.mkv", Words(cues=CUES))
    note, heard = run(film, beside(film, "en.srt", language="en"))
    assert [line.text for line in heard.lines] == ["Beside the film."]
    assert note == "the file Lake.en.srt (en), 1 line"


def test_a_track_in_a_wanted_language_comes_before_a_file_in_another(tmp_path: Path) -> None:
    film = film_with(tmp_path / "Lake.mkv", Words(language="kor", cues=((500, 900, "안녕"),)))
    side = beside(film, "en.srt", language="en")
    assert [line.text for line in run(film, side, languages=("ko",))[1].lines] == ["안녕"]
    note, heard = run(film, side, languages=("fr",))
    assert (note, heard.lines) == ("subtitles only in en, ko; wanted fr", [])


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        ("vtt", "WEBVTT\n\n00:00.400 --> 00:01.000\nBeside the film.\n"),
        ("ass", "Dialogue: 0,0:00:00.40,0:00:01.00,Default,,0,0,0,,{\\b1}Beside{x} the film.\n"),
        ("ssa", "Dialogue: Marked=0,0:00:00.40,0:00:01.00,D,,0,0,0,,Beside the film.\n"),
        ("srt", SRT.encode("utf-16")),
    ],
)
def test_every_kind_of_file_is_read(plain_film: Path, ending: str, text: str | bytes) -> None:
    _, heard = run(plain_film, beside(plain_film, ending, text))
    assert [(line.start_ms, line.end_ms, line.text) for line in heard.lines] == [
        (400, 1000, "Beside the film.")
    ]


def test_the_language_of_a_file_helps_with_its_characters(plain_film: Path) -> None:
    text = SRT.replace("Beside the film.", "안녕하세요.").encode("cp949")
    _, heard = run(plain_film, beside(plain_film, "ko.srt", text, language="kor"))
    assert [(line.text, line.language) for line in heard.lines] == [("안녕하세요.", "ko")]


def test_a_forced_track_alone_is_not_read(tmp_path: Path) -> None:
    film = film_with(tmp_path / "a.mkv", Words(forced=True, cues=CUES))
    note, heard = run(film)
    assert note == "only a forced track (en)"
    assert heard.lines == []


def test_a_track_with_few_lines_in_a_long_film_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = film_with(tmp_path / "a.mkv", Words(cues=CUES), Words(cues=CUES))
    monkeypatch.setattr(subtitles, "LONG_FILM_MS", 2_000)
    monkeypatch.setattr(subtitles, "FEW_A_MINUTE", 1_000)
    note, heard = run(film)
    assert heard.lines == []
    assert note.count("only 2 lines in 0:03, so it was taken for a forced track") == 2


def test_a_film_without_subtitles_gives_a_note(plain_film: Path) -> None:
    note, heard = run(plain_film)
    assert (note, heard.lines) == ("no subtitles", [])


def test_a_file_that_is_no_subtitle_gives_way_to_the_next(tmp_path: Path) -> None:
    film = film_with(tmp_path / "Lake.mkv", Words(cues=CUES))
    bad = beside(film, "en.srt", b"\x00\x01 nothing", language="en")
    note, heard = run(film, bad)
    assert [line.text for line in heard.lines] == ["Hello there.", "Bye."]
    assert note == (
        "track 1 (en), 2 lines; the file Lake.en.srt: it is no subtitle in a known format"
    )


def test_a_file_that_is_gone_a_folder_or_a_pipe_is_passed_over(tmp_path: Path) -> None:
    film = film_with(tmp_path / "Lake.mkv", Words(cues=CUES))
    (tmp_path / "Lake.de.srt").mkdir()
    os.mkfifo(tmp_path / "Lake.fr.srt")
    sides = [SideFile(path=os.fsencode(tmp_path / f"Lake.{tag}.srt")) for tag in ("de", "fr", "x")]
    note, heard = run(film, *sides)
    assert len(heard.lines) == 2
    assert note.count("it is not a file") == 2
    assert "No such file" in note


def test_a_name_of_the_file_that_is_no_text_can_be_shown(tmp_path: Path, plain_film: Path) -> None:
    path = os.fsencode(tmp_path) + b"/Lake \xff\x1b.en.srt"
    with open(path, "wb") as file:  # noqa: PTH123  # bytes, which Path does not take
        file.write(SRT.encode())
    note, _ = run(plain_film, SideFile(path=path))
    assert note == "the file Lake �.en.srt, 1 line"


def test_a_film_that_is_no_film_is_refused(tmp_path: Path) -> None:
    film = tmp_path / "a.mkv"
    film.write_bytes(b"not a film" * 100)
    with pytest.raises(StageError) as caught:
        run(film, beside(film, "en.srt"))
    assert caught.value.permanent


def test_a_damaged_film_gives_the_lines_that_can_be_read(tmp_path: Path) -> None:
    cues = tuple((second * 1000, second * 1000 + 800, f"line {second}") for second in range(10))
    film = make_film(
        tmp_path / "a.mkv",
        Recipe(shots=(10.0,), sound=(Sound(),), subtitles=(Words(cues=cues),)),
    ).path
    broken = damage(film, tmp_path / "b.mkv", 0.6, 0.7)
    _, heard = run(broken)
    said = [line.text for line in heard.lines]
    assert said[0] == "line 0"
    assert set(said) <= {text for _, _, text in cues}


def test_many_lines_are_reported_in_batches_and_the_last_ends_with_the_film(
    plain_film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subtitles, "BATCH", 2)
    rows = "".join(
        f"00:00:0{number},100 --> 00:00:0{number},500\nn{number}\n\n" for number in range(3)
    )
    _, heard = run(plain_film, beside(plain_film, "srt", rows))
    assert [line.text for line in heard.lines] == ["n0", "n1", "n2"]
    assert heard.until == [1100, 3000]


def test_progress_is_told_while_the_film_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count(0, 2.0)
    monkeypatch.setattr("scanners.subtitles.time.monotonic", lambda: next(ticks))
    film = film_with(tmp_path / "a.mkv", Words(cues=CUES))
    _, heard = run(film)
    done = [one for one, _ in heard.told]
    assert done
    assert done == sorted(done)
    assert all(total == 3000 and 0 <= at <= total for at, total in heard.told)


def test_a_track_of_endless_text_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subtitles, "MAX_BYTES", 25)
    cues = tuple((number * 100, number * 100 + 90, f"line number {number}") for number in range(9))
    film = film_with(tmp_path / "a.mkv", Words(cues=cues))
    assert len(run(film)[1].lines) == 2


def test_the_main_sound_decides_when_no_language_is_wanted(tmp_path: Path) -> None:
    film = make_film(
        tmp_path / "a.mkv",
        Recipe(
            shots=(3.0,),
            sound=(Sound(language="ger"),),
            subtitles=(Words(language="eng", default=True), Words(language="ger")),
        ),
    ).path
    assert run(film)[0].startswith("track 3 (de)")
