"""Subtitle text as it is found in the wild: charsets, formats, mark-up, times."""

import string

import pytest
from hypothesis import given, strategies as st

from scanners import cues
from scanners.base import StageError
from scanners.cues import Cue, decode_text, mend, parse, plain_rows

SRT = "1\n00:00:01,000 --> 00:00:02,500\nHello there.\n\n2\n00:00:03,000 --> 00:00:04,000\nBye.\n"
FILMS = {
    "cp949": ("안녕하세요, 반갑습니다.", "할머니가 정원에서 노래를 부르셨어요."),
    "cp932": ("こんにちは、元気ですか。", "おばあちゃんは庭で歌っていた。"),
    "euc_jp": ("こんにちは、元気ですか。", "おばあちゃんは庭で歌っていた。"),
    "gb18030": ("你好，很高兴见到你。", "奶奶在花园里唱歌。"),
    "big5": ("你好，很高興見到你。", "奶奶在花園裡唱歌。"),
    "cp1251": ("Здравствуйте, рад вас видеть.", "Бабушка пела в саду."),
    "cp1252": ("Où étais-tu hier soir ?", "Großmutter hat im Garten gesungen."),
    "cp1250": ("Dzień dobry, miło cię widzieć.", "Babcia śpiewała w ogrodzie."),
    "cp1253": ("Καλημέρα σας, χάρηκα.", "Η γιαγιά τραγουδούσε στον κήπο."),
    "cp1256": ("مرحبا، سررت بلقائك.", "كانت الجدة تغني في الحديقة."),
}
LANGUAGES = {
    "cp949": "ko",
    "cp932": "ja",
    "euc_jp": "ja",
    "gb18030": "zh-Hans",
    "big5": "zh-Hant",
    "cp1251": "ru",
    "cp1252": "fr",
    "cp1250": "pl",
    "cp1253": "el",
    "cp1256": "ar",
}


def srt_of(*texts: str) -> str:
    return "".join(
        f"{number}\n00:00:{number:02},000 --> 00:00:{number:02},900\n{text}\n\n"
        for number, text in enumerate(texts, 1)
    )


def texts_of(text: str) -> list[str]:
    return [line.text for line in mend(parse(text))]


# --- characters ----------------------------------------------------------------------------------


@pytest.mark.parametrize("charset", FILMS)
@pytest.mark.parametrize("named", [True, False], ids=["language named", "no language"])
def test_the_charset_is_found(charset: str, named: bool) -> None:
    text = srt_of(*FILMS[charset] * 3)
    assert decode_text(text.encode(charset), LANGUAGES[charset] if named else "") == text


def test_a_wrong_language_in_the_name_does_not_spoil_the_text() -> None:
    text = srt_of(*FILMS["cp949"] * 3)
    assert decode_text(text.encode("utf-8"), "ru") == text


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
def test_unicode_in_all_its_forms_is_read(charset: str) -> None:
    data = srt_of("Ünïcödé, 안녕 👋").encode(charset)
    assert texts_of(decode_text(data)) == ["Ünïcödé, 안녕 👋"]


def test_utf_16_without_a_mark_is_seen_by_its_zeros() -> None:
    assert decode_text(SRT.encode("utf-16-be")) == SRT
    assert decode_text(SRT.encode("utf-16-le")) == SRT


def test_a_broken_byte_costs_one_character() -> None:
    data = SRT.encode().replace(b"Hello", b"H\xffllo")
    assert "llo there." in decode_text(data)
    assert decode_text(b"\xef\xbb\xbf" + data).count("�") == 1


@given(st.binary(max_size=3000), st.sampled_from(["", "ja", "ko", "zh-Hans", "xx"]))
def test_any_bytes_give_some_text(data: bytes, language: str) -> None:
    assert isinstance(decode_text(data, language), str)


# --- formats -------------------------------------------------------------------------------------


def test_subrip_is_read() -> None:
    assert parse(SRT) == [Cue(1000, 2500, "Hello there."), Cue(3000, 4000, "Bye.")]


@pytest.mark.parametrize(
    "row",
    [
        "00:01:02,500 --> 00:01:04,000",
        "0:01:02.500 --> 0:01:04.0",
        "01:02.500 --> 01:04.000 align:start position:0%",
        "00:01:02,500-->00:01:04,000",
        "00:01:02,500 -> 00:01:04,000",
        "00:01:02:500 --> 00:01:04",
        "00: 01: 02, 500 --> 00: 01: 04, 000",
        "  00:01:02,5 --> 00:01:04,000 X1:1 X2:2",
    ],
)
def test_times_are_read_however_they_are_written(row: str) -> None:
    assert parse(f"1\n{row}\nHello\n") == [Cue(62_500, 64_000, "Hello")]


def test_windows_and_macintosh_line_ends_are_read() -> None:
    assert parse(SRT.replace("\n", "\r\n")) == parse(SRT)
    assert parse(SRT.replace("\n", "\r")) == parse(SRT)


def test_numbers_that_are_said_stay_and_numbers_of_cues_go() -> None:
    text = (
        "1\n00:00:01,000 --> 00:00:02,000\nHow many?\n42\n\n"
        "2\n00:00:03,000 --> 00:00:04,000\n42\n"
        "3\n00:00:05,000 --> 00:00:06,000\nlast\n7\n"
    )
    assert [cue.text for cue in parse(text)] == ["How many?\n42", "42", "last\n7"]


def test_a_blank_row_inside_a_subrip_cue_does_not_end_it() -> None:
    text = (
        "1\n00:00:01,000 --> 00:00:02,000\none\n\ntwo\n\n2\n00:00:03,000 --> 00:00:04,000\nthree\n"
    )
    assert texts_of(text) == ["one two", "three"]


def test_webvtt_is_read_without_its_notes_styles_and_names() -> None:
    text = (
        "WEBVTT - a title\nKind: captions\n\nSTYLE\n::cue { color: red }\n\n"
        "intro\n00:01.000 --> 00:02.000 line:0\n<v Roger>Hello <i>there</i>\n\n"
        "NOTE this is for nobody\nand more of it\n\n"
        "2\n00:03.000 --> 00:04.000\n<c.yellow>Good</c> <00:03.500>bye\n\n"
    )
    assert texts_of(text) == ["Hello there", "Good bye"]


ASS = """[Script Info]
ScriptType: v4.00+

[V4+ Styles]
Style: Default,Arial,BIG,&Hff,broken

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,{\\i1}Hello{\\i0}, my\\Nfriend{a comment}
Comment: 0,0:00:01.00,0:00:02.50,Default,,0,0,0,,not shown
Dialogue: 0,bad,0:00:02.50,Default,,0,0,0,,not a time
Dialogue: 0,0:00:03.00,0:00:04.00,Sign,,0,0,0,,{\\p1}m 0 0 l 100 0 100 100{\\p0}
Dialogue: Marked=0,0:00:05.00,0:00:06.00,Default,,0000,0000,0000,,Old style
"""


def test_substation_alpha_is_read_with_bad_styles_and_rows() -> None:
    lines = mend(parse(ASS), braces_hide=True)
    assert [(line.start_ms, line.end_ms, line.text) for line in lines] == [
        (1000, 2500, "Hello, my friend"),
        (5000, 6000, "Old style"),
    ]


@pytest.mark.parametrize("text", ["", "hello", "\0" * 100, "1\n2\n3\n", "Dialogue: 1,2,3"])
def test_what_is_no_subtitle_is_refused(text: str) -> None:
    with pytest.raises(StageError, match="no subtitle"):
        parse(text)


def test_the_content_counts_and_not_the_name() -> None:
    assert [cue.text for cue in parse(ASS)][2] == "Old style"
    assert texts_of("\ufeff\n\nWEBVTT\n\n00:01.000 --> 00:02.000\nHi\n") == ["Hi"]


shown_text = st.text(alphabet=string.ascii_letters + "äé안ね,.!? ", min_size=1, max_size=40).map(
    lambda text: " ".join(("x" + text).split())
)
times = st.integers(min_value=0, max_value=9_000_000)


def stamp(ms: int) -> str:
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02},{ms % 1000:03}"


@given(st.lists(st.tuples(times, times, shown_text), min_size=1, max_size=20))
def test_what_is_written_as_subrip_is_read_again(rows: list[tuple[int, int, str]]) -> None:
    text = "".join(
        f"{number}\n{stamp(start)} --> {stamp(end)}\n{said}\n\n"
        for number, (start, end, said) in enumerate(rows, 1)
    )
    assert parse(text) == [Cue(*row) for row in rows]


piece = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ["\n", "-->", "00:00:01,000 --> 00:00:02,000\n", "{\\p1}", "<i>", "&#", "Dialogue: 0,"]
    ),
    st.sampled_from(["WEBVTT\n", "9" * 5000, "{" * 500, "&#x", "\\N", "0:00:01.00,", "\ud800"]),
)


@given(st.lists(piece, max_size=25).map("".join))
def test_hostile_text_raises_nothing_but_stage_error(text: str) -> None:
    try:
        found = parse(text)
    except StageError:
        return
    for line in mend(found):
        assert line.text


@pytest.mark.parametrize(
    "row",
    [
        "{" * 200_000,
        "<a" * 100_000,
        "\\p1" * 60_000,
        "{\\p1" * 50_000,
        "&#" + "9" * 100_000 + ";",
        " " * 200_000 + "x",
        "\u0301" * 100_000,
    ],
)
def test_a_giant_row_is_cut_and_not_chewed(row: str) -> None:
    lines = mend(parse(f"1\n00:00:01,000 --> 00:00:02,000\n{row}\n"))
    assert all(len(line.text) <= cues.MAX_CHARACTERS for line in lines)


def test_there_are_never_more_lines_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cues, "MAX_LINES", 10)
    assert len(mend(parse(srt_of(*(f"line {number}" for number in range(50)))))) == 10


# --- mark-up -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("<i>Hello</i>", "Hello"),
        ('<font color="#ff0000">Red</font>', "Red"),
        ("{\\an8}Up there", "Up there"),
        ("{Y:i}Leaning", "Leaning"),
        ("{laughs} Yes", "{laughs} Yes"),
        ("♪ La la ♪", "♪ La la ♪"),
        ("a &lt;b&gt; &amp; c&nbsp;d", "a <b> & c d"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("I <3 you", "I <3 you"),
        ("left\u200eright\u202e\x07 \x1b[31mred", "leftright [31mred"),
        ("e\u0301te\u0301", "été"),
        ("نمی\u200cدانم", "نمی\u200cدانم"),
        ("&#99999999999;ok", ";ok"),
        ("a\\hb", "a b"),
    ],
)
def test_mark_up_and_unseen_characters_are_taken_off(marked: str, plain: str) -> None:
    assert plain_rows(marked) == (plain,)


def test_rows_are_kept_apart_until_they_are_joined() -> None:
    assert plain_rows("- Hello.\\N- Bye.<br/>\n\n  \nEnd") == ("- Hello.", "- Bye.", "End")


@given(st.text(max_size=300))
def test_plain_text_has_no_control_characters_and_no_double_spaces(text: str) -> None:
    for row in plain_rows(text):
        assert row == row.strip()
        assert "  " not in row
        assert not any(ord(sign) < 32 or 0x7F <= ord(sign) < 0xA0 for sign in row)


# --- time ----------------------------------------------------------------------------------------


def times_of(*given_cues: Cue, duration_ms: int = 0) -> list[tuple[int, int, str]]:
    lines = mend(given_cues, duration_ms=duration_ms)
    return [(line.start_ms, line.end_ms, line.text) for line in lines]


def test_lines_are_ordered_and_never_reach_into_the_next() -> None:
    found = times_of(Cue(5000, 9000, "b"), Cue(1000, 6000, "a"), Cue(8000, 8500, "c"))
    assert found == [(1000, 5000, "a"), (5000, 8000, "b"), (8000, 8500, "c")]


def test_two_lines_at_the_same_moment_keep_their_length() -> None:
    assert times_of(Cue(1000, 3000, "up"), Cue(1000, 2000, "down"), Cue(4000, 5000, "on")) == [
        (1000, 2000, "down"),
        (1000, 3000, "up"),
        (4000, 5000, "on"),
    ]


def test_an_end_before_its_start_becomes_a_reading_time() -> None:
    assert times_of(Cue(5000, 4000, "short")) == [(5000, 6000, "short")]
    assert times_of(Cue(5000, 5000, "x" * 50)) == [(5000, 8000, "x" * 50)]
    assert times_of(Cue(5000, 0, "short"), Cue(5400, 6000, "next"))[0] == (5000, 5400, "short")


def test_what_starts_before_the_film_is_cut_to_it_and_what_is_outside_goes() -> None:
    found = times_of(
        Cue(-2000, -1000, "before"),
        Cue(-500, 700, "across"),
        Cue(9000, 12_000, "end"),
        Cue(10_000, 11_000, "after"),
        duration_ms=10_000,
    )
    assert found == [(0, 700, "across"), (9000, 10_000, "end")]


def test_the_same_text_shown_again_at_once_is_one_line() -> None:
    found = times_of(
        Cue(1000, 1040, "karaoke"),
        Cue(1040, 1080, "karaoke"),
        Cue(1080, 2000, "karaoke"),
        Cue(9000, 9500, "karaoke"),
    )
    assert found == [(1000, 2000, "karaoke"), (9000, 9500, "karaoke")]


def test_layers_of_the_same_text_are_one_line() -> None:
    found = times_of(Cue(1000, 2000, "sign"), Cue(1000, 2000, "talk"), Cue(1000, 2000, "sign"))
    assert sorted(text for _, _, text in found) == ["sign", "talk"]


def test_captions_that_roll_up_are_said_once() -> None:
    found = times_of(
        Cue(0, 2000, " \nhello there"),
        Cue(2000, 2010, "hello there\n "),
        Cue(2010, 4000, "hello there\nhow are you"),
        Cue(4000, 4010, "how are you\n "),
        Cue(4010, 6000, "how are you\nI am well"),
    )
    assert [text for _, _, text in found] == ["hello there", "how are you", "I am well"]


@pytest.mark.parametrize("text", ["", " ", "♪♪", "...", "-", "{\\an8}", "<i></i>", "…?!"])
def test_a_line_without_a_letter_says_nothing(text: str) -> None:
    assert times_of(Cue(0, 1000, text)) == []


any_time = st.integers(min_value=-5_000, max_value=60_000)
any_cue = st.builds(Cue, any_time, any_time, st.sampled_from(["a", "b", "a\nb", "♪", "", "c d"]))


@given(st.lists(any_cue, max_size=40), st.sampled_from([0, 1, 1000, 30_000]))
def test_mended_lines_always_fit_the_film(given_cues: list[Cue], duration_ms: int) -> None:
    lines = mend(given_cues, language="ko", duration_ms=duration_ms)
    assert [line.start_ms for line in lines] == sorted(line.start_ms for line in lines)
    for line in lines:
        assert 0 <= line.start_ms < line.end_ms
        assert line.text.strip()
        assert line.language == "ko"
        if duration_ms:
            assert line.end_ms <= duration_ms
    starts = sorted({line.start_ms for line in lines})
    for line in lines:
        later = [start for start in starts if start > line.start_ms]
        assert not later or line.end_ms <= later[0]
