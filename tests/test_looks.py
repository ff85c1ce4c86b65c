"""Looks: what is seen at a path, and whether a folder is there or away."""

import os
from pathlib import Path

import pytest

from companion import identity, looks
from companion.looks import EMPTY, FOLDERS_KEPT, Looker
from companion.model import Stat
from companion.store.listing import NOWHERE
from companion.store.roots import Root


def put(folder: Path, *names: str) -> list[bytes]:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return [os.fsencode(folder / name) for name in names]


def side_names(looker: Looker, path: bytes) -> list[bytes]:
    return [os.path.basename(row.path) for row in looker.look([path])[path].side_files]


# --- one path ------------------------------------------------------------------------------------


def test_a_film_is_seen_with_its_size_and_time(tmp_path: Path) -> None:
    (path,) = put(tmp_path, "Lake.mkv")
    look = Looker().look([path])[path]
    assert (look.stat, look.problem, look.side_files) == (identity.stat(path), "", ())
    assert (look.file_id, look.fingerprint) == (None, "")


def test_trouble_with_one_path_is_said_and_spares_the_others(tmp_path: Path) -> None:
    good, empty = put(tmp_path, "Good.mkv", "Empty.mkv")
    (tmp_path / "Empty.mkv").write_bytes(b"")
    (tmp_path / "Folder.mkv").mkdir()
    gone, folder = os.fsencode(tmp_path / "Gone.mkv"), os.fsencode(tmp_path / "Folder.mkv")
    seen = Looker().look([good, empty, gone, folder])
    assert seen[good].problem == ""
    assert seen[empty].problem == EMPTY
    assert "it is not there" in seen[gone].problem
    assert "not a regular file" in seen[folder].problem
    assert seen[gone].stat == seen[folder].stat == NOWHERE


def test_subtitles_are_those_of_this_film_only(tmp_path: Path) -> None:
    names = [
        "Lake.mkv", "Lake.srt", "Lake.en.srt", "Lake.en.forced.ass", "Lake-2.srt", "Lake 2.srt",
        "Lake0.srt", "Lakeside.en.srt", "lake.srt", "Lake.nfo", "Lake", "Lak.srt",
    ]  # fmt: skip
    path, *_others = put(tmp_path, *names)
    assert side_names(Looker(), path) == [b"Lake.en.forced.ass", b"Lake.en.srt", b"Lake.srt"]


def test_a_film_with_a_dot_in_its_name_takes_only_its_own(tmp_path: Path) -> None:
    lake, part = put(tmp_path, "Lake.mkv", "Lake.2.mkv")
    put(tmp_path, "Lake.2.en.srt", "Lake.de.srt")
    looker = Looker()
    assert side_names(looker, part) == [b"Lake.2.en.srt"]
    assert side_names(looker, lake) == [b"Lake.2.en.srt", b"Lake.de.srt"], "as both servers do"


def test_a_subtitle_that_leads_nowhere_is_passed_over(tmp_path: Path) -> None:
    (path,) = put(tmp_path, "Lake.mkv")
    (tmp_path / "Lake.en.srt").symlink_to(tmp_path / "nowhere.srt")
    (tmp_path / "Lake.de.srt").mkdir()
    assert side_names(Looker(), path) == []


def test_a_folder_is_listed_once_for_all_its_films(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = put(tmp_path, *[f"clip {number}.mp4" for number in range(20)])
    listed: list[bytes] = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: listed.append(path) or real(path))
    looker = Looker()
    looker.look(paths[:10])
    looker.look(paths[10:])
    assert listed == [os.fsencode(tmp_path)]


def test_only_a_few_listings_are_kept(tmp_path: Path) -> None:
    looker = Looker()
    looker.look(put(tmp_path, *[f"{number}/a.mkv" for number in range(3 * FOLDERS_KEPT)]))
    assert len(looker._listed) == FOLDERS_KEPT


# --- folders -------------------------------------------------------------------------------------


def known(*paths: bytes) -> list[tuple[bytes, Stat]]:
    return [(path, identity.stat(path)) for path in paths]


def test_a_folder_that_is_there_is_on_its_disk(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)
    assert looks.root(root, None, []) == Root(path=root, device=identity.device(root))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "is its disk mounted?"),
        (lambda path: path.write_text("x"), "is not a folder"),
        (lambda path: path.symlink_to(path), "cannot be read: Too many levels"),
    ],
)
def test_a_folder_that_cannot_be_listed_is_away_and_keeps_its_disk(
    tmp_path: Path, make, words: str
) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "Films"
    make(path)
    raw = os.fsencode(path)
    found = looks.root(raw, Root(path=raw, device=7), [])
    assert words in found.away
    assert str(path) in found.away
    assert found.device == 7


def test_an_empty_folder_is_away_only_if_films_were_known_there(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)
    assert looks.root(root, None, []).away == ""
    was = [(root + b"/Lake.mkv", NOWHERE)]
    assert "is empty" in looks.root(root, Root(path=root, device=7), was).away


def test_another_disk_is_the_same_library_if_a_known_film_is_on_it(tmp_path: Path) -> None:
    """Device numbers change at a reboot; the films do not."""
    root = os.fsencode(tmp_path)
    paths = put(tmp_path, "Lake.mkv", "Sea.mkv")
    was = known(*paths)
    before = Root(path=root, device=identity.device(root) + 1)
    (tmp_path / "Sea.mkv").unlink()
    assert looks.root(root, before, was) == Root(path=root, device=identity.device(root))
    (tmp_path / "Lake.mkv").write_text("something else under its name")
    assert "Another disk" in looks.root(root, before, was).away


def test_a_folder_whose_films_are_all_new_is_believed_on_the_same_disk(tmp_path: Path) -> None:
    root = os.fsencode(tmp_path)
    was = known(*put(tmp_path, "Lake.mkv"))
    (tmp_path / "Lake.mkv").rename(tmp_path / "notes.txt")
    before = Root(path=root, device=identity.device(root))
    assert looks.root(root, before, was).away == ""


def test_reasons_are_words() -> None:
    assert "give the user" in looks.why(PermissionError(13, "Permission denied"))
    assert looks.why(OSError(5, "Input/output error")) == "it cannot be read: Input/output error"
    assert looks.why(OSError("no number")) == "it cannot be read: no number"
    away = looks._away("/m", PermissionError(13, "Permission denied"))
    assert "give the user" in away
