"""What a video is, read from its name and the folders above it, by the rules that Jellyfin and Plex
share.

    Night Train (1984)/Night Train (1984) - 1080p.mkv     a movie, here one of its versions
    The Lake/Season 01/The Lake - S01E02 - Ice.mkv        an episode; 1x02 and dates, too
    2019-08-03 At the lake.mp4                            a home video

Everything here is a pure function of text. Where the servers guess (a bare `102` as season 1,
episode 2), we do not: a home video that is taken for an episode is worse than the other way round.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from companion.model import ItemKind, LibraryKind

VIDEO_EXTENSIONS = frozenset(
    {
        ".3g2", ".3gp", ".amv", ".asf", ".avi", ".bivx", ".divx", ".dv", ".dvr-ms", ".f4v", ".flv",
        ".m2t", ".m2ts", ".m2v", ".m4v", ".mk3d", ".mkv", ".mov", ".mp4", ".mpe", ".mpeg", ".mpg",
        ".mts", ".mxf", ".nsv", ".nuv", ".ogm", ".ogv", ".qt", ".rm", ".rmvb", ".tp", ".ts", ".viv",
        ".vob", ".webm", ".wmv", ".wtv", ".xvid",
    }
)  # fmt: skip

FOLDERS_KEPT = 1024  # answers about folder names kept at hand: each is asked for many files

_YEAR = r"(?:19|20)\d\d"
_YEAR_IN_BRACKETS = re.compile(rf"[(\[]({_YEAR})(?:\s*[-–]\s*(?:{_YEAR})?)?[)\]]")
# What a release adds to a title. Only with one of these does a bare year count as one: "Blade
# Runner 2049" and "Wonder Woman 1984" are titles.
_RELEASE = (
    r"(?:\d{3,4}[pi]|4k|uhd|blu-?ray|bd-?rip|br-?rip|bd-?remux|remux|web-?rip|web-?dl|hd-?tv|pdtv"
    r"|dvd-?rip|dvd-?scr|dvd[59]?|hdr(?:10)?|[xh]\.?26[45]|hevc|avc|av1|xvid|divx|10-?bit|proper"
    r"|repack|internal|aac|ac3|e-?ac-?3|dts|ddp?[257][ .]1|truehd|atmos|multi|dubbed|subbed)"
)
_RELEASE_FROM = re.compile(rf"[ ._\-(\[]+{_RELEASE}(?![a-z0-9]).*$", re.IGNORECASE | re.DOTALL)
_YEAR_OF_RELEASE = re.compile(
    rf"^(.+)[ ._\-]({_YEAR})(?=[ ._\-(\[]+{_RELEASE}(?![a-z0-9]))", re.IGNORECASE
)
_TAG = re.compile(r"\s*(?:\{[^{}]*\}|\[[^\[\]]*\])")

_DATE = re.compile(rf"(?<!\d)({_YEAR})([-._ ]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)")
_YEAR_ALONE = re.compile(rf"(?<![\d])({_YEAR})(?![\d])")

_SEASON_WORD = (
    r"season|series|staffel|saison|temporada|stagione|seizoen|säsong|sæson|sesong|kausi|sezon"
    r"|сезон|시즌|シーズン"
)
_SEASON = re.compile(
    rf"(?:^|[ ._-])(?:{_SEASON_WORD})[ ._-]*(\d{{1,4}})(?=$|[ ._\-(\[])"
    rf"|^(\d{{1,3}})[. ]*(?:{_SEASON_WORD}|季)$|^第(\d{{1,3}})季"
    # "S1" alone, or "S01" behind a title: a folder "Galaxy S21" holds no season
    rf"|^s(\d{{1,4}})$|[ ._-]s(0\d|\d\d(?=[ ._]{_RELEASE}))(?=$|[ ._\-(\[])",
    re.IGNORECASE,
)
_SPECIALS = frozenset({"specials", "special", "extras and specials"})

_MORE = r"(?:[ ._-]*e(?P<last>\d{1,4})|-(?P<last2>\d{1,3})(?![\dpi]))*"
_EPISODE = re.compile(
    rf"(?<![a-z0-9])s(?P<season>\d{{1,4}})[ ._\-\[\]]*e(?P<episode>\d{{1,4}}){_MORE}(?!\d)",
    re.IGNORECASE,
)
_EPISODE_WORDS = re.compile(
    r"(?<![a-z0-9])season[ ._]*(?P<season>\d{1,4})[ ,._-]*episode[ ._]*(?P<episode>\d{1,4})(?!\d)",
    re.IGNORECASE,
)
_EPISODE_X = re.compile(
    r"(?<![a-z0-9])(?P<season>\d{1,2})x(?P<episode>\d{2,3})"
    r"(?:-(?:\d{1,2}x)?(?P<last>\d{2,3})(?![\dpi]))?(?![a-z0-9])",
    re.IGNORECASE,
)
# Only below a season folder, or in a library of shows:
_EPISODE_ALONE = (
    re.compile(
        r"(?:^|[ ._-])(?:episode|ep|e|folge|épisode|에피소드|第)[ ._]*(?P<episode>\d{1,4})"
        r"(?:-e?(?P<last>\d{1,4}))?(?![\dp])",
        re.IGNORECASE,
    ),
    re.compile(r"^(?P<episode>\d{1,3})(?:-(?P<last>\d{1,3}))?(?=$|[ ._-])"),
    re.compile(r" - (?P<episode>\d{1,4})(?:-(?P<last>\d{1,4}))?(?=$|[ .])"),
    re.compile(r"(?<!\d)(?P<episode>\d{1,4})(?:화|회|話)"),
)

_PART = re.compile(
    r"^(?P<stem>.*?)(?:(?<=[\])}])|[ _.\-]+)[(\[]?(?P<word>cd|dvd|part|pt|dis[ck])[ _.\-]*"
    r"(?P<number>\d{1,2}|[a-d])[)\]]?$",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What a name says. year: of the film, or of the recording of a home video."""

    kind: ItemKind
    title: str
    show_title: str = ""
    season: int | None = None
    episode: int | None = None
    year: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One part of a film that lies in several files: "Lake-cd2" is number 2 of "Lake", by "cd"."""

    stem: str
    word: str
    number: int


def is_video(name: str) -> bool:
    """True if the name ends as a video's does."""
    return extension(name) in VIDEO_EXTENSIONS


def extension(name: str) -> str:
    """Return the extension in small letters, with its dot."""
    stem, dot, ending = name.rpartition(".")
    return f".{ending.lower()}" if dot and stem else ""


def piece(stem: str) -> Piece | None:
    """Return which part of a film a stem names, if it does. It is one only among its siblings."""
    match = _PART.match(stem)
    if match is None or not match["stem"]:
        return None
    number = match["number"].lower()
    return Piece(
        stem=match["stem"],
        word=match["word"].lower(),
        number=int(number) if number.isdigit() else ord(number) - ord("a") + 1,
    )


@lru_cache(FOLDERS_KEPT)
def season_of(folder: str) -> int | None:
    """Return the season that a folder's name says; 0 for specials."""
    if folder.strip().casefold() in _SPECIALS:
        return 0
    match = _SEASON.search(folder.strip())
    return int(next(group for group in match.groups() if group)) if match else None


@lru_cache(FOLDERS_KEPT)
def title_and_year(text: str) -> tuple[str, int | None]:
    """Return ("Night Train", 1984) of "Night Train (1984) [tags]" or "Night.Train.1984.1080p"."""
    bracket = _YEAR_IN_BRACKETS.search(text, 1)
    if bracket:
        return tidy(text[: bracket.start()]) or tidy(text), int(bracket[1])
    release = _YEAR_OF_RELEASE.match(text)
    if release:
        return tidy(release[1]), int(release[2])
    return tidy(text), None


def tidy(text: str) -> str:
    """Return a title without tags in brackets, without what a release adds, with real spaces.

    Text that is nothing but such things stays as it is.
    """
    bare = _RELEASE_FROM.sub("", _TAG.sub("", text)) or text
    if " " not in bare.strip():
        bare = re.sub(r"[._]+", " ", bare)
    return re.sub(r"\s+", " ", bare).strip(" -–_.,") or text.strip()


def date_year(text: str) -> int | None:
    """Return the year of a date in a name, or a year that stands alone in it."""
    match = _DATE.search(text) or _YEAR_ALONE.search(text)
    return int(match[1]) if match else None


@lru_cache(FOLDERS_KEPT)
def is_movie_folder(folder: str) -> bool:
    """True if a folder is named as one movie is: with its year in brackets."""
    return _YEAR_IN_BRACKETS.search(folder, 1) is not None


def is_version(folder: str, stem: str) -> bool:
    """True if a video is named as the movie of its folder is, or as a version of it.

    "Night Train (1984) - 1080p" is one of "Night Train (1984)", "Night Train 2 (1990)" is not.
    """
    title, _year = title_and_year(folder)
    for base in (_TAG.sub("", folder).strip(), title):
        if base and stem.casefold().startswith(base.casefold()):
            rest = stem[len(base) :].lstrip()
            if not rest or rest[0] in "-–_.[({":
                return True
    return False


def describe(folders: Sequence[str], stem: str, kind: LibraryKind, *, alone: bool) -> Named:
    """Return what a video is.

    folders: the names between the library's folder and the video, outermost first. stem: its name
    without extension and part. alone: no other video lies in its folder.
    """
    if kind in (LibraryKind.SHOWS, LibraryKind.MIXED):
        episode = _episode(folders, stem, kind)
        if episode is not None:
            return episode
    if kind is LibraryKind.MUSIC_VIDEOS:
        title, year = title_and_year(stem)
        return Named(kind=ItemKind.MUSIC_VIDEO, title=title, year=year)
    if kind in (LibraryKind.MOVIES, LibraryKind.MIXED):
        movie = _movie(folders, stem, alone=alone, sure=kind is LibraryKind.MOVIES)
        if movie is not None:
            return movie
    year = date_year(stem)
    for folder in reversed(folders):
        year = year or date_year(folder)
    return Named(kind=ItemKind.HOME_VIDEO, title=stem.strip() or stem, year=year)


def _movie(folders: Sequence[str], stem: str, *, alone: bool, sure: bool) -> Named | None:
    folder = folders[-1] if folders else ""
    title, year = title_and_year(stem)
    of_folder = is_version(folder, stem) if folder else False
    if (is_movie_folder(folder) and (alone or of_folder)) or (sure and of_folder):
        above, year_above = title_and_year(folder)
        return Named(kind=ItemKind.MOVIE, title=above, year=year_above or year)
    if year is None and not sure:
        return None
    return Named(kind=ItemKind.MOVIE, title=title, year=year)


def _episode(folders: Sequence[str], stem: str, kind: LibraryKind) -> Named | None:
    at, season = _season_folder(folders)
    above = folders[at - 1] if at else ""  # the folder that holds the seasons
    sure = season is not None or kind is LibraryKind.SHOWS
    for pattern in (_EPISODE, _EPISODE_WORDS, _EPISODE_X):
        if match := pattern.search(stem):
            number = int(match["season"])
            return _named_episode(match, _show(folders, above, stem[: match.start()], kind), number)
    if match := _DATE.search(stem):
        before = tidy(stem[: match.start()])
        show = _show(folders, above, before, kind)
        if sure or (before and folders and _same_title(before, folders[-1])):
            title = tidy(stem[match.end() :]) if stem[match.end() :].strip(" -._") else ""
            date = f"{match[1]}-{match[3]}-{match[4]}"
            return Named(
                kind=ItemKind.EPISODE,
                title=f"{date} {title}".strip(),
                show_title=show,
                season=season if season is not None else int(match[1]),
                year=int(match[1]),
            )
    if sure:
        for pattern in _EPISODE_ALONE:
            if match := pattern.search(stem):
                show = _show(folders, above, stem[: match.start()], kind)
                return _named_episode(match, show, 1 if season is None else season)
        return Named(
            kind=ItemKind.EPISODE,
            title=tidy(stem),
            show_title=_show(folders, above, "", kind) or tidy(stem),
            season=season,
        )
    return None


def _named_episode(match: re.Match[str], show: str, season: int) -> Named:
    groups = match.groupdict()
    last = groups.get("last") or groups.get("last2")
    first = int(groups["episode"])
    rest = match.string[match.end() :]
    title = tidy(rest) if rest.strip(" -._[]()") and not _RELEASE_FROM.match(rest) else ""
    if last and int(last) > first:
        title = f"{title} (E{first:02}–E{int(last):02})".strip()
    return Named(kind=ItemKind.EPISODE, title=title, show_title=show, season=season, episode=first)


def _season_folder(folders: Sequence[str]) -> tuple[int, int | None]:
    """Return (its index, its season) of the innermost season folder, or (0, None)."""
    for at in range(len(folders) - 1, -1, -1):
        season = season_of(folders[at])
        if season is not None:
            return at, season
    return 0, None


def _show(folders: Sequence[str], above: str, before: str, kind: LibraryKind) -> str:
    """Return the title of the show: the folder above the seasons, else what precedes the number,
    else the folder it lies in. A year in brackets stays: it tells shows of one name apart."""
    outermost = kind is LibraryKind.SHOWS  # there, the top folders are the shows
    folder = above or (folders[0 if outermost else -1] if folders else "")
    if not above and folder and season_of(folder) is not None:
        folder = ""
    named = tidy(before) if before.strip(" -._[]()") else ""
    if above or (folder and (outermost or not named)):
        return _with_year(folder)
    if named and folder and _same_title(named, folder):
        return _with_year(folder)
    return _with_year(before) if named else ""


def _with_year(text: str) -> str:
    title, year = title_and_year(text)
    return f"{title} ({year})" if year else title


def _same_title(a: str, b: str) -> bool:
    """True if two names are of the same show, whatever their years, dots and case."""
    return _bare(a) == _bare(b) != ""


def _bare(text: str) -> str:
    title, _year = title_and_year(text)
    return re.sub(r"[\W_]+", "", title.casefold())
