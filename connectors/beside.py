"""The subtitle files beside a video, by their names: `Name.srt`, `Name.en.forced.ass`.

A subtitle belongs to a video if its stem is the video's, or goes on with a dot. Between the dots
stand a language (a code, or its English name), the flags `forced` and `foreign`, and `hi`, `sdh` or
`cc` for the hard of hearing, as Jellyfin and Plex read them. `hi` is also the code of Hindi: it is
taken for Hindi only if no other language is named.
"""

from dataclasses import dataclass

import langcodes

SUBTITLE_EXTENSIONS = (b".srt", b".vtt", b".ass", b".ssa")  # what the stage `subtitles` can read

_FORCED = frozenset({"forced", "foreign"})
_HEARING_IMPAIRED = frozenset({"sdh", "cc"})
# Codes of three letters that have none of two but are met in libraries. Any other would make
# languages of words: "the", "new" and "web" are codes, too.
_THREE_LETTERS = frozenset({"ast", "ceb", "cmn", "fil", "gsw", "haw", "hmn", "nan", "wuu", "yue"})
_ALIASES = {
    "chs": "zh-Hans", "cht": "zh-Hant", "zhs": "zh-Hans", "zht": "zh-Hant", "cn": "zh",
    "cz": "cs", "dk": "da", "gr": "el", "jp": "ja", "kr": "ko", "pob": "pt-BR", "ptbr": "pt-BR",
    "ua": "uk",
}  # fmt: skip
_NAMES = {
    "arabic": "ar", "basque": "eu", "bengali": "bn", "bosnian": "bs", "bulgarian": "bg",
    "cantonese": "yue", "catalan": "ca", "chinese": "zh", "croatian": "hr", "czech": "cs",
    "danish": "da", "dutch": "nl", "english": "en", "estonian": "et", "filipino": "fil",
    "finnish": "fi", "french": "fr", "galician": "gl", "georgian": "ka", "german": "de",
    "greek": "el", "hebrew": "he", "hindi": "hi", "hungarian": "hu", "icelandic": "is",
    "indonesian": "id", "irish": "ga", "italian": "it", "japanese": "ja", "korean": "ko",
    "latin": "la", "latvian": "lv", "lithuanian": "lt", "macedonian": "mk", "malay": "ms",
    "mandarin": "zh", "norwegian": "no", "persian": "fa", "polish": "pl", "portuguese": "pt",
    "romanian": "ro", "russian": "ru", "serbian": "sr", "slovak": "sk", "slovenian": "sl",
    "spanish": "es", "swahili": "sw", "swedish": "sv", "tagalog": "tl", "tamil": "ta",
    "telugu": "te", "thai": "th", "turkish": "tr", "ukrainian": "uk", "urdu": "ur",
    "vietnamese": "vi", "welsh": "cy",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SideName:
    """What the name of a subtitle file says. language: BCP 47, empty if it says none."""

    language: str = ""
    forced: bool = False
    hearing_impaired: bool = False


def side_name(video: bytes, candidate: bytes) -> SideName | None:
    """Return what a subtitle's name says of a video beside it, None if it is not its subtitle.

    Both are names without their folder.
    """
    stem = video.rpartition(b".")[0] or video
    ending = next((end for end in SUBTITLE_EXTENSIONS if candidate.lower().endswith(end)), None)
    if ending is None:
        return None
    name = candidate[: -len(ending)]
    if name == stem:
        return SideName()
    if not name.startswith(stem + b"."):
        return None
    words = name[len(stem) + 1 :].decode("utf-8", "replace").split(".")
    return _read(words)


def language(word: str) -> str:
    """Return the BCP 47 tag of a language code or an English language name, "" if it is neither."""
    plain = word.strip().lower()
    if plain in _NAMES or plain in _ALIASES:
        return _NAMES.get(plain) or _ALIASES[plain]
    primary = plain.replace("_", "-").split("-")[0]
    if not 2 <= len(primary) <= 3 or not primary.isalpha() or not primary.isascii():
        return ""
    try:
        tag = langcodes.standardize_tag(plain)
        valid = langcodes.tag_is_valid(tag)
    except ValueError:
        return ""
    short = len(tag.split("-")[0]) == 2 or primary in _THREE_LETTERS
    return tag if valid and short and tag != "und" else ""


def _read(words: list[str]) -> SideName:
    """Read the words from the end, where servers look first."""
    found, forced, hearing_impaired, hindi = "", False, False, False
    for word in reversed([word.strip().lower() for word in words]):
        if word in _FORCED:
            forced = True
        elif word in _HEARING_IMPAIRED:
            hearing_impaired = True
        elif word == "hi":
            hindi = True
        elif not found:
            found = language(word)
    if hindi and found:
        return SideName(language=found, forced=forced, hearing_impaired=True)
    return SideName(
        language="hi" if hindi else found, forced=forced, hearing_impaired=hearing_impaired
    )
