"""Names: what a video is, by the rules that Jellyfin and Plex share."""

import pytest
from hypothesis import given, strategies as st

from companion.model import ItemKind, LibraryKind
from connectors.naming import (
    Named,
    Piece,
    date_year,
    describe,
    extension,
    is_movie_folder,
    is_version,
    is_video,
    piece,
    season_of,
    tidy,
    title_and_year,
)

MIXED = LibraryKind.MIXED


def named(path: str, kind: LibraryKind = MIXED, *, alone: bool = False) -> Named:
    """What is read from "folder/folder/stem"."""
    *folders, stem = path.split("/")
    return describe(folders, stem, kind, alone=alone)


# --- episodes ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "show", "season", "episode", "title"),
    [
        ("The Lake/Season 01/The Lake - S01E02 - Ice", "The Lake", 1, 2, "Ice"),
        ("The Lake/Season 1/The Lake S01E02", "The Lake", 1, 2, ""),
        ("The Lake/Season 01/S01E02", "The Lake", 1, 2, ""),
        ("The Lake/Season 01/s01.e02.ice", "The Lake", 1, 2, "ice"),
        ("The Lake/Season 01/S01 - E02 Ice", "The Lake", 1, 2, "Ice"),
        ("The Lake/The Lake - 1x02 - Ice", "The Lake", 1, 2, "Ice"),
        ("The Lake/The.Lake.S01E02.Ice.and.Snow.1080p.WEB-DL.x264-GRP", "The Lake", 1, 2,
         "Ice and Snow"),
        ("The.Lake.S10E101.720p.HDTV", "The Lake", 10, 101, ""),
        ("Downloads/The.Lake.S01E02.720p", "The Lake", 1, 2, ""),
        ("Downloads/The.Lake.2019.S01E02.1080p", "The Lake 2019", 1, 2, ""),
        ("Doctor Who (2005)/Season 1/Doctor Who - S01E01 - Rose", "Doctor Who (2005)", 1, 1,
         "Rose"),
        ("Doctor Who (2005)/Doctor Who S01E01 Rose", "Doctor Who (2005)", 1, 1, "Rose"),
        ("The Lake/Season 01/The Lake - S01E02 - Ice [1080p] {edition-x}", "The Lake", 1, 2,
         "Ice"),
        ("The Lake/Specials/The Lake - S00E03 - Making of", "The Lake", 0, 3, "Making of"),
        ("The Lake/Season 0/The Lake S00E03", "The Lake", 0, 3, ""),
        ("The Lake/Season 1 Episode 3 Ice", "The Lake", 1, 3, "Ice"),
        ("The Lake [tvdbid-12]/Season 01/S01E02", "The Lake", 1, 2, ""),
        ("The Lake/Season 01/The.Lake.S01E02.GRP/gibberish-s01e02", "The Lake", 1, 2, ""),
        ("호수/시즌 1/호수 - S01E02 - 얼음", "호수", 1, 2, "얼음"),
    ],
)  # fmt: skip
def test_numbered_episodes(path: str, show: str, season: int, episode: int, title: str) -> None:
    assert named(path) == Named(
        kind=ItemKind.EPISODE, title=title, show_title=show, season=season, episode=episode
    )


@pytest.mark.parametrize(
    ("stem", "title"),
    [
        ("The Lake S01E01E02", "(E01–E02)"),
        ("The Lake S01E01-E02 - Ice", "Ice (E01–E02)"),
        ("The Lake S01E01-02 - Ice", "Ice (E01–E02)"),
        ("The Lake S01E01E02E03", "(E01–E03)"),
        ("The Lake 1x01-1x02", "(E01–E02)"),
        ("The Lake 1x01-02 Ice", "Ice (E01–E02)"),
        ("The Lake S01E01-1080p", ""),
        ("The Lake S01E01-720p", ""),
    ],
)
def test_an_episode_of_several_numbers_is_the_first_and_says_the_rest(
    stem: str, title: str
) -> None:
    found = named(f"The Lake/Season 01/{stem}")
    assert (found.season, found.episode, found.title) == (1, 1, title)


@pytest.mark.parametrize(
    ("path", "kind", "show", "title", "season"),
    [
        ("Late Show/Season 2019/Late Show - 2019-05-03 - Guest", MIXED, "Late Show",
         "2019-05-03 Guest", 2019),
        ("Late Show/Late.Show.2019.05.03.Guest.Name.720p", MIXED, "Late Show",
         "2019-05-03 Guest Name", 2019),
        ("Late Show/Late Show 20190503", MIXED, "Late Show", "2019-05-03", 2019),
        ("Late Show/2019-05-03", LibraryKind.SHOWS, "Late Show", "2019-05-03", 2019),
        ("Late Show/Season 04/2019-05-03 - Guest", MIXED, "Late Show", "2019-05-03 Guest", 4),
    ],
)  # fmt: skip
def test_dated_episodes(path: str, kind: LibraryKind, show: str, title: str, season: int) -> None:
    assert named(path, kind) == Named(
        kind=ItemKind.EPISODE, title=title, show_title=show, season=season, year=2019
    )


@pytest.mark.parametrize(
    ("path", "season", "episode", "title"),
    [
        ("The Lake/Season 01/02 - Ice", 1, 2, "Ice"),
        ("The Lake/Season 01/02", 1, 2, ""),
        ("The Lake/Season 01/E02", 1, 2, ""),
        ("The Lake/Season 01/Episode 2", 1, 2, ""),
        ("The Lake/Season 01/The Lake - 02 - Ice", 1, 2, "Ice"),
        ("The Lake/Staffel 2/Folge 3", 2, 3, ""),
        ("호수/시즌 1/호수 2화", 1, 2, ""),
    ],
)
def test_bare_numbers_are_episodes_below_a_season_folder(
    path: str, season: int, episode: int, title: str
) -> None:
    found = named(path)
    assert (found.kind, found.season, found.episode, found.title) == (
        ItemKind.EPISODE, season, episode, title,
    )  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "Holiday/02 - At the lake",
        "Holiday/Episode 2",
        "Holiday/102",
        "Holiday/Wedding 102",
        "Holiday/2019-05-03 At the lake",
        "Galaxy S21/clip",
        "Holiday/4x100m relay",
        "Holiday/1920x1080 test",
        "Holiday/MOVS3E4",
        "Holiday/class2e3",
    ],
)
def test_a_mixed_library_does_not_guess_episodes(path: str) -> None:
    assert named(path).kind is ItemKind.HOME_VIDEO


def test_in_a_library_of_shows_everything_is_an_episode_of_its_top_folder() -> None:
    assert named("The Lake/Bonus disc/Outtakes", LibraryKind.SHOWS) == Named(
        kind=ItemKind.EPISODE, title="Outtakes", show_title="The Lake"
    )
    assert named("The Lake/02 - Ice", LibraryKind.SHOWS).season == 1


def test_a_video_without_any_folder_still_has_a_show() -> None:
    found = named("Pilot", LibraryKind.SHOWS)
    assert (found.kind, found.show_title) == (ItemKind.EPISODE, "Pilot")


@pytest.mark.parametrize(
    ("folder", "season"),
    [
        ("Season 1", 1), ("Season 01", 1), ("season_2", 2), ("Season 2019", 2019),
        ("Season 1 (2008)", 1), ("The Lake Season 3", 3), ("The Lake S03", 3), ("S1", 1),
        ("S12", 12), ("The.Lake.S12.1080p.BluRay", 12), ("Specials", 0), ("Season 0", 0),
        ("Staffel 4", 4), ("Saison 2", 2), ("Temporada 3", 3), ("Stagione 1", 1),
        ("Seizoen 2", 2), ("Сезон 1", 1), ("시즌 2", 2), ("2. Staffel", 2), ("第2季", 2),
        ("Series 3", 3),
        ("Galaxy S21", None), ("Season", None), ("Seasons 1", None), ("Lake", None), ("1", None),
        ("Preseason 4", None), ("Four Seasons", None),
    ],
)  # fmt: skip
def test_season_folders(folder: str, season: int | None) -> None:
    assert season_of(folder) == season


# --- movies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "title", "year"),
    [
        ("Night Train (1984)/Night Train (1984)", "Night Train", 1984),
        ("Night Train (1984)/Night Train (1984) - 1080p", "Night Train", 1984),
        ("Night Train (1984)/Night Train - Director's Cut", "Night Train", 1984),
        ("Night Train (1984) {tmdb-1}/Night Train (1984)", "Night Train", 1984),
        ("Night Train [1984]/Night Train [1984]", "Night Train", 1984),
        ("Night Train (1984)", "Night Train", 1984),
        ("Night.Train.1984.1080p.BluRay.x264-GRP", "Night Train", 1984),
        ("Night Train 1984 DVDRip", "Night Train", 1984),
        ("Wonder.Woman.1984.2020.2160p.WEB-DL", "Wonder Woman 1984", 2020),
        ("2001 A Space Odyssey (1968)", "2001 A Space Odyssey", 1968),
        ("2012 (2009)/2012 (2009)", "2012", 2009),
        ("밤기차 (1984)/밤기차 (1984)", "밤기차", 1984),
    ],
)
def test_movies_have_a_year(path: str, title: str, year: int) -> None:
    assert named(path) == Named(kind=ItemKind.MOVIE, title=title, year=year)


def test_the_only_video_of_a_movie_folder_is_the_movie_whatever_its_name() -> None:
    assert named("Night Train (1984)/nt-dvd", alone=True).title == "Night Train"
    assert named("Night Train (1984)/nt-dvd").kind is ItemKind.HOME_VIDEO


def test_another_movie_in_a_movie_folder_keeps_its_own_name() -> None:
    found = named("Night Train (1984)/Night Train 2 (1990)")
    assert (found.title, found.year) == ("Night Train 2", 1990)


@pytest.mark.parametrize(
    ("path", "alone", "title"),
    [
        ("Night Train/Night Train", True, "Night Train"),
        ("Night Train/Night Train - 1080p", False, "Night Train"),
        ("Comedy/Some Film", True, "Some Film"),
        ("Some.Film.1080p.WEB-DL", False, "Some Film"),
    ],
)
def test_a_library_of_movies_needs_no_year(path: str, alone: bool, title: str) -> None:
    found = named(path, LibraryKind.MOVIES, alone=alone)
    assert (found.kind, found.title, found.year) == (ItemKind.MOVIE, title, None)


@pytest.mark.parametrize("stem", ["Blade Runner 2049", "Wonder Woman 1984", "1917", "2012"])
def test_a_bare_year_is_a_part_of_the_title(stem: str) -> None:
    assert title_and_year(stem) == (stem, None)


@pytest.mark.parametrize(
    ("folder", "stem", "version"),
    [
        ("Night Train (1984)", "Night Train (1984)", True),
        ("Night Train (1984)", "night train (1984)", True),
        ("Night Train (1984)", "Night Train (1984) - 4K", True),
        ("Night Train (1984)", "Night Train (1984) [4K]", True),
        ("Night Train (1984)", "Night Train (1984).4K", True),
        ("Night Train (1984)", "Night Train", True),
        ("Night Train (1984)", "Night Train 2 (1990)", False),
        ("Night Train (1984)", "Night Trains", False),
        ("Night Train (1984)", "Trailer", False),
        ("Lake", "Lakeside", False),
    ],
)
def test_versions_are_named_as_their_folder(folder: str, stem: str, version: bool) -> None:
    assert is_version(folder, stem) is version


def test_only_a_year_in_brackets_makes_a_movie_folder() -> None:
    assert is_movie_folder("Night Train (1984)")
    assert not is_movie_folder("Night Train 1984")
    assert not is_movie_folder("(1984)")
    assert not is_movie_folder("Holiday 2019-08")


def test_music_videos_are_known_by_their_library() -> None:
    found = named("Band/Band - Song (1984)", LibraryKind.MUSIC_VIDEOS)
    assert (found.kind, found.title, found.year) == (ItemKind.MUSIC_VIDEO, "Band - Song", 1984)


# --- home videos ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "year"),
    [
        ("2019-08-03 At the lake", 2019),
        ("20190803_154501", 2019),
        ("VID_20190803_154501", 2019),
        ("PXL_20190803_154501234", 2019),
        ("Summer 1999/At the lake", 1999),
        ("Summer 1999/2001-02-03 Late", 2001),
        ("Lake 2003/Clips/x", 2003),
        ("IMG_0001", None),
        ("IMG_20191303", None),
        ("Take 123456789", None),
    ],
)
def test_the_year_of_a_home_video_is_in_its_name_or_a_folder(path: str, year: int | None) -> None:
    found = named(path)
    assert (found.kind, found.year) == (ItemKind.HOME_VIDEO, year)
    assert found.title == path.split("/")[-1]


def test_a_library_of_home_videos_sees_nothing_else() -> None:
    for path in ("The Lake/Season 01/S01E02", "Night Train (1984)/Night Train (1984)"):
        assert named(path, LibraryKind.HOME_VIDEOS).kind is ItemKind.HOME_VIDEO


def test_dates_must_be_possible() -> None:
    assert date_year("2019-02-31 x") == 2019  # calendars are not asked
    assert date_year("2019-13-01x") == 2019  # the year alone still counts
    assert date_year("120190803") is None


# --- parts, extensions, titles -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stem", "part"),
    [
        ("Night Train-cd1", ("Night Train", "cd", 1)),
        ("Night Train (1984) part2", ("Night Train (1984)", "part", 2)),
        ("Night Train (1984)part2", ("Night Train (1984)", "part", 2)),
        ("Night Train.pt.3", ("Night Train", "pt", 3)),
        ("Night Train disc 1", ("Night Train", "disc", 1)),
        ("Night Train Disk2", ("Night Train", "disk", 2)),
        ("Night Train - dvd1", ("Night Train", "dvd", 1)),
        ("Night Train (cd b)", ("Night Train", "cd", 2)),
        ("Night Train", None),
        ("Departed 1", None),
        ("cd1", None),
        ("Night Traincd1", None),
        ("Night Train part 1 of 2", None),
        ("Night Train cd 1984", None),
    ],
)
def test_parts_of_a_film(stem: str, part: tuple[str, str, int] | None) -> None:
    expected = None if part is None else Piece(stem=part[0], word=part[1], number=part[2])
    assert piece(stem) == expected


@pytest.mark.parametrize(
    "name", ["a.mkv", "a.MP4", "a.b.m2ts", "a.Ts", ".mkv.mkv", "호수.webm", "a.dvr-ms"]
)
def test_videos_are_known_by_their_extension(name: str) -> None:
    assert is_video(name)


@pytest.mark.parametrize("name", ["a.srt", "mkv", ".mkv", "a.mkv.part", "a.mkv~", "a", "", "a.iso"])
def test_other_files_are_not_videos(name: str) -> None:
    assert not is_video(name)


def test_the_extension_is_in_small_letters_with_its_dot() -> None:
    assert extension("a.b.MKV") == ".mkv"
    assert extension("a") == extension(".mkv") == extension("") == ""


@pytest.mark.parametrize(
    ("text", "title"),
    [
        (" - The Lake - ", "The Lake"),
        ("The.Lake", "The Lake"),
        ("The_Lake", "The Lake"),
        ("The Lake [1080p]", "The Lake"),
        ("[Group] The Lake", "The Lake"),
        ("The Lake 1080p x264", "The Lake"),
        ("Mr. Lake", "Mr. Lake"),
        ("[1984]", "[1984]"),
        ("1080p", "1080p"),
        ("A  B", "A B"),
        ("Web of Lies", "Web of Lies"),
    ],
)
def test_titles_are_tidied(text: str, title: str) -> None:
    assert tidy(text) == title


NAME = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), max_size=60)
FOLDERS = st.lists(NAME, max_size=4)


@given(FOLDERS, NAME, st.sampled_from(LibraryKind), st.booleans())
def test_any_name_is_something(
    folders: list[str], stem: str, kind: LibraryKind, alone: bool
) -> None:
    found = describe(folders, stem, kind, alone=alone)
    assert found.kind in ItemKind
    assert (found.show_title != "" or found.season is not None) <= (found.kind is ItemKind.EPISODE)
    for number in (found.season, found.episode):
        assert number is None or 0 <= number < 10_000
    assert found.year is None or 1900 <= found.year < 2100


@given(
    st.from_regex(r"[A-Z][a-z]{2,8}( [A-Z][a-z]{2,8}){0,2}", fullmatch=True),
    st.integers(1, 99),
    st.integers(1, 999),
)
def test_what_is_written_by_the_rules_is_read_back(show: str, season: int, episode: int) -> None:
    path = f"{show}/Season {season:02}/{show} - S{season:02}E{episode:02}"
    found = named(path)
    assert (found.show_title, found.season, found.episode) == (show, season, episode)
    found = named(f"{show}/{show} - {season}x{episode:02}")
    assert (found.show_title, found.season, found.episode) == (show, season, episode)


@given(st.from_regex(r"[A-Z][a-z]{2,8}( [A-Z][a-z]{2,8}){0,2}", fullmatch=True))
def test_a_film_named_by_the_rules_is_read_back(title: str) -> None:
    assert named(f"{title} (1984)/{title} (1984) - 1080p") == Named(
        kind=ItemKind.MOVIE, title=title, year=1984
    )


@pytest.mark.parametrize("evil", ["s1e" * 80, "(" * 250, "1984 " * 50, "-" * 250, "S" + "1" * 250])
def test_a_hostile_name_is_read_in_no_time(evil: str) -> None:
    """The test's own time limit is the judge: a regular expression that explodes never ends."""
    describe([evil], evil, MIXED, alone=False)
    piece(evil)
