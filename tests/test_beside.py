"""Subtitles beside a video, by their names."""

import langcodes
import pytest
from hypothesis import given, strategies as st

from connectors.beside import SUBTITLE_EXTENSIONS, SideName, language, side_name

FILM = b"Night Train (1984).mkv"


@pytest.mark.parametrize(
    ("ending", "said"),
    [
        ("srt", SideName()),
        ("SRT", SideName()),
        ("en.srt", SideName(language="en")),
        ("eng.vtt", SideName(language="en")),
        ("English.ass", SideName(language="en")),
        ("ger.srt", SideName(language="de")),
        ("pt-BR.srt", SideName(language="pt-BR")),
        ("pt_br.srt", SideName(language="pt-BR")),
        ("zh-Hans.srt", SideName(language="zh-Hans")),
        ("chs.srt", SideName(language="zh-Hans")),
        ("en.forced.srt", SideName(language="en", forced=True)),
        ("forced.en.srt", SideName(language="en", forced=True)),
        ("foreign.srt", SideName(forced=True)),
        ("en.sdh.srt", SideName(language="en", hearing_impaired=True)),
        ("en.cc.ssa", SideName(language="en", hearing_impaired=True)),
        ("en.hi.srt", SideName(language="en", hearing_impaired=True)),
        ("hi.en.srt", SideName(language="en", hearing_impaired=True)),
        ("hi.srt", SideName(language="hi")),
        ("hi.forced.srt", SideName(language="hi", forced=True)),
        ("hindi.hi.srt", SideName(language="hi", hearing_impaired=True)),
        ("Commentary.en.srt", SideName(language="en")),
        ("en.default.srt", SideName(language="en")),
        ("reinforced.srt", SideName()),
        ("The.srt", SideName()),
        ("de.en.srt", SideName(language="en")),
        (".en.srt", SideName(language="en")),
        ("ko .srt", SideName(language="ko")),
        ("한국어.srt", SideName()),
    ],
)
def test_the_words_between_the_dots(ending: str, said: SideName) -> None:
    assert side_name(FILM, f"Night Train (1984).{ending}".encode()) == said


@pytest.mark.parametrize(
    "name",
    [
        "Night Train (1984)-2.srt",
        "Night Train (1984) 2.en.srt",
        "Night Train.srt",
        "night train (1984).srt",
        "Night Train (1984).en.txt",
        "Night Train (1984).mkv",
        "Night Train (1984).en.sup",
        ".srt",
        "srt",
        "",
    ],
)
def test_another_name_is_another_videos(name: str) -> None:
    assert side_name(FILM, name.encode()) is None


def test_names_need_not_be_utf8() -> None:
    assert side_name(b"S\xe9ance.mkv", b"S\xe9ance.fr.srt") == SideName(language="fr")
    assert side_name(b"S\xe9ance.mkv", b"S\xea ance.fr.srt") is None
    assert side_name(b"S\xe9ance.mkv", b"S\xe9ance.fr\xff.srt") == SideName()


def test_a_video_whose_name_begins_the_same_is_not_meant() -> None:
    assert side_name(b"Lake.mkv", b"Lake 2.srt") is None
    assert side_name(b"Lake.mkv", b"Lake.2.en.srt") == SideName(language="en")


@pytest.mark.parametrize(
    ("word", "tag"),
    [
        ("en", "en"), ("EN", "en"), ("eng", "en"), ("english", "en"), ("German", "de"),
        ("ger", "de"), ("deu", "de"), ("kor", "ko"), ("kr", "ko"), ("jp", "ja"), ("jpn", "ja"),
        ("fre", "fr"), ("iw", "he"), ("es-419", "es-419"), ("en-US", "en-US"), ("nor", "no"),
        ("yue", "yue"), ("fil", "fil"), ("cantonese", "yue"), ("zh-hant-tw", "zh-Hant-TW"),
        ("the", ""), ("new", ""), ("web", ""), ("foo", ""), ("und", ""), ("mul", ""), ("xx", ""),
        ("", ""), ("e", ""), ("engl", ""), ("12", ""), ("x-en", ""), ("en-", ""), ("호", ""),
        ("--", ""),
    ],
)  # fmt: skip
def test_languages_are_codes_or_english_names(word: str, tag: str) -> None:
    assert language(word) == tag


@given(st.text(max_size=12))
def test_any_word_is_a_valid_tag_or_none(word: str) -> None:
    tag = language(word)
    assert tag == "" or langcodes.tag_is_valid(tag)


@given(
    st.binary(min_size=1, max_size=30), st.binary(max_size=30), st.sampled_from(SUBTITLE_EXTENSIONS)
)
def test_a_subtitle_always_begins_as_its_video(stem: bytes, rest: bytes, ending: bytes) -> None:
    found = side_name(stem + b".mkv", rest + ending)
    assert found is None or rest == stem or rest.startswith(stem + b".")
    assert side_name(stem + b".mkv", stem + ending) == SideName()
