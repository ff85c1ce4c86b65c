"""What the templates of one film receive: a moment of it, or all of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import apsw

from companion.findings import MediaInfo
from companion.model import File, Item, LineRow, SceneRow
from companion.playback import CLIP_LENGTHS_S, FIRST_CLIP_MS, clip_bounds, clip_start, direct_type
from companion.store import findings, library
from companion.timecode import clock, seconds_from_ms
from webui import words
from webui.contexts import heading
from webui.links import Links, moment_id
from webui.lookup import Film
from webui.strip import Strip, whole_strip
from webui.words import Piece

SHEET_STILLS = 24  # scenes of a title's contact sheet: rows of 8, 6 or 3 come out even
POSTER_AT = 0.2  # of the film: past the opening titles, before anything is given away


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """source: what `<video>` plays, from second `seek_s` of it; base_ms: the film time of its 0.

    clips: the address of the clip that starts at film time 0, for scripts to make others from.
    """

    file: str
    source: str
    content_type: str
    direct: bool
    seek_s: float
    base_ms: int
    end_ms: int
    at_ms: int
    duration_ms: int
    poster: str
    clips: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    href: str
    ms: int
    end_ms: int
    clock: str
    iso: str
    pieces: tuple[Piece, ...]
    language: str
    now: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Still:
    """A scene as a picture. place: "before", "after" or "" """

    href: str
    still: str
    clock: str
    iso: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentPage:
    """frame: the picture of that second; like: the search for scenes like it, "" without scenes."""

    title: str
    year: int | None
    library: str
    title_href: str
    href: str
    share: str
    frame: str
    like: str
    clock: str
    iso: str
    player: Player
    strip: Strip
    lines: tuple[Line, ...]
    before: Still | None
    after: Still | None
    next_minute: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of a title."""

    label: str
    facts: tuple[str, ...]
    where: str
    play: str
    strip: Strip
    sheet: tuple[Still, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TitlePage:
    title: str
    year: int | None
    library: str
    href: str
    poster: str
    play: str
    facts: tuple[str, ...]
    parts: tuple[Part, ...]
    query: str
    matches: int


# --- a moment ------------------------------------------------------------------------------------


def moment_page(connection: apsw.Connection, film: Film, at_ms: int, links: Links) -> MomentPage:
    """Read what the page of a moment shows: one look at scenes and lines of its file."""
    file = film.file
    scenes = findings.scenes_of_file(connection, file.id)
    lines = findings.lines_of_file(connection, file.id)
    own = moment_id(file, at_ms)
    before, after = _neighbours(scenes, at_ms)
    later = at_ms + 60_000
    return MomentPage(
        title=heading(film.item),
        year=film.item.year,
        library=film.item.library,
        title_href=links.item(film.item.public_id),
        href=links.moment(own),
        share=links.go(own),
        frame=links.frame(own),
        like=links.search(like=own) if scenes else "",
        clock=clock(at_ms),
        iso=words.iso_duration(at_ms),
        player=player(file, at_ms, links),
        strip=whole_strip(file, scenes, lines, links),
        lines=_lines(file, lines, links, at_ms=at_ms),
        before=_still(file, before, links) if before else None,
        after=_still(file, after, links) if after else None,
        next_minute=links.moment(moment_id(file, later)) if later < file.duration_ms else "",
    )


def player(file: File, at_ms: int, links: Links) -> Player:
    """Return what the player needs: the file itself where browsers surely play it, else a clip."""
    content_type = direct_type(file)
    start_ms = 0 if content_type else clip_start(at_ms)
    end_ms = file.duration_ms if content_type else clip_bounds(file, start_ms, FIRST_CLIP_MS)[1]
    return Player(
        file=file.public_id,
        source=(
            links.media(file.public_id)
            if content_type
            else links.clip(moment_id(file, start_ms), seconds=CLIP_LENGTHS_S[0])
        ),
        content_type=content_type or "video/mp4",
        direct=content_type is not None,
        seek_s=seconds_from_ms(at_ms - start_ms),
        base_ms=start_ms,
        end_ms=end_ms,
        at_ms=at_ms,
        duration_ms=file.duration_ms,
        poster=links.still(moment_id(file, at_ms)),
        clips=links.clip(moment_id(file, 0)),
    )


def _neighbours(scenes: Sequence[SceneRow], at_ms: int) -> tuple[SceneRow | None, SceneRow | None]:
    """Return the scene before and the one after the scene that plays at at_ms."""
    here = max(
        (number for number, scene in enumerate(scenes) if scene.start_ms <= at_ms), default=-1
    )
    before = scenes[here - 1] if here > 0 else None
    after = scenes[here + 1] if here + 1 < len(scenes) else None
    return before, after


def _still(file: File, scene: SceneRow, links: Links) -> Still:
    own = moment_id(file, scene.start_ms)
    return Still(
        href=links.moment(own),
        still=links.still(own),
        clock=clock(scene.start_ms),
        iso=words.iso_duration(scene.start_ms),
    )


def _lines(
    file: File, lines: Sequence[LineRow], links: Links, *, at_ms: int = -1, wanted: str = ""
) -> tuple[Line, ...]:
    return tuple(
        Line(
            href=links.moment(moment_id(file, line.start_ms)),
            ms=line.start_ms,
            end_ms=line.end_ms,
            clock=clock(line.start_ms),
            iso=words.iso_duration(line.start_ms),
            pieces=words.pieces(line.text, words.marks_of(line.text, wanted)),
            language=line.language,
            now=line.start_ms <= at_ms < line.end_ms,
        )
        for line in lines
        if wanted.lower() in line.text.lower()
    )


# --- a title -------------------------------------------------------------------------------------


def title_page(connection: apsw.Connection, item: Item, wanted: str, links: Links) -> TitlePage:
    """Read what the page of a title shows. wanted: only the lines that say this."""
    files = library.files_of_item(connection, item.id)
    parts = tuple(
        _part(connection, file, wanted, links, label=f"Part {number}" if len(files) > 1 else "")
        for number, file in enumerate(files, start=1)
    )
    first = files[0] if files else None
    return TitlePage(
        title=heading(item),
        year=item.year,
        library=item.library,
        href=links.item(item.public_id),
        poster=links.still(moment_id(first, poster_ms(first))) if first else "",
        play=links.moment(moment_id(first, 0)) if first else "",
        facts=_facts(first) if first else (),
        parts=parts,
        query=wanted,
        matches=sum(len(part.lines) for part in parts),
    )


def poster_ms(file: File) -> int:
    return int(file.duration_ms * POSTER_AT)


def _part(
    connection: apsw.Connection, file: File, wanted: str, links: Links, *, label: str
) -> Part:
    scenes = findings.scenes_of_file(connection, file.id)
    lines = findings.lines_of_file(connection, file.id)
    shown = min(SHEET_STILLS, len(scenes))
    return Part(
        label=label,
        facts=_facts(file),
        where=words.printable(file.paths[0]) if file.paths else "",
        play=links.moment(moment_id(file, 0)),
        strip=whole_strip(file, scenes, lines, links),
        sheet=tuple(
            _still(file, scenes[number * len(scenes) // shown], links) for number in range(shown)
        ),
        lines=_lines(file, lines, links, wanted=wanted),
    )


def _facts(file: File) -> tuple[str, ...]:
    """Return what the container says of itself, in a few words."""
    media = file.media
    if media is None:
        return ("Not opened yet",)
    said = [words.how_long(media.duration_ms), *_picture(media)]
    spoken = [stream.language for stream in media.audio]
    written = [stream.language for stream in media.subtitles]
    languages = [name for name in dict.fromkeys((*spoken, *written)) if name]
    if languages:
        said.append(" · ".join(languages))
    return tuple(said)


def _picture(media: MediaInfo) -> list[str]:
    video = media.video
    if video is None:
        return ["no picture"]
    return [f"{video.width} × {video.height}", video.codec.upper() + (" HDR" if video.hdr else "")]
