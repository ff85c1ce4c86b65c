"""A household with a Jellyfin server: films that lie on the disk, and people who may see them.

The server is in a container: it calls the folder of the films /media.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.base import Setup
from connectors.jellyfin import Jellyfin
from connectors.mapping import PathMapping
from tests.fakes.jellyfin import jellyfin
from tests.fakes.jellyfin_server import FakeJellyfin
from tests.fakes.jellyfin_world import Item, Library, Person, User, World, an_id
from tests.jellyfin_schema import check_answers, check_requests

LONG_AGO = 1_600_000_000  # Unix seconds
INSTALLATION = "0123456789abcdef0123456789abcdef"


@dataclass(slots=True)
class House:
    """boss is the administrator, kid sees only films up to PG, guest only the library Films."""

    fake: FakeJellyfin
    folder: Path
    boss: User
    kid: User
    guest: User
    films: Library
    shows: Library
    private: Library

    @property
    def world(self) -> World:
        return self.fake.world

    def here(self, path: str) -> Path:
        """Return where a server path lies here."""
        return self.folder / path.removeprefix("/media/")

    def lay(self, *paths: str) -> None:
        """Put a file, long finished, where each of these server paths lies."""
        for path in paths:
            self.here(path).parent.mkdir(parents=True, exist_ok=True)
            self.here(path).write_bytes(b"film")
            os.utime(self.here(path), (LONG_AGO, LONG_AGO))

    def film(self, library: Library, name: str, **more: Any) -> Item:
        """Add an item whose files are there."""
        item = self.world.film(library, name, **more)
        self.lay(*item.versions, *item.parts)
        return item

    def connector(self, token: str | None = None, **more: Any) -> Jellyfin:
        """Return a connector that is signed in as the boss unless told otherwise."""
        setup = {
            "name": "home",
            "url": self.fake.url,
            "installation": INSTALLATION,
            "token": self.token(self.boss) if token is None else token,
            "mappings": (PathMapping(server="/media", local=os.fsencode(self.folder)),),
        }
        return Jellyfin(Setup(**(setup | more)))

    def token(self, user: User) -> str:
        return self.world.token(user)

    def asked(self, path: str) -> int:
        """Return how many requests there were for a path."""
        return sum(it.path == path for it in self.fake.exchanges)


@asynccontextmanager
async def open_house(folder: Path, *, valid: bool = True, **more: Any) -> AsyncIterator[House]:
    """Open a house; at the end, everything that was asked and answered is held against the
    official schema. valid: the answers are meant to be."""
    world = World()
    films = world.library("Films", "movies")
    house = House(
        fake=FakeJellyfin((), world),
        folder=folder,
        boss=world.user("boss", admin=True),
        kid=world.user("kid", max_rating=8),
        guest=world.user("guest", all_folders=False, folders={films.id}),
        films=films,
        shows=world.library("Shows", "tvshows"),
        private=world.library("Private", "homevideos"),
    )
    world.library("Music", "music")
    folder.mkdir(exist_ok=True)
    for library in (house.films, house.shows, house.private):
        house.here(library.locations[0]).mkdir(exist_ok=True)
    async with jellyfin(world, **more) as fake:
        house.fake = fake
        yield house
        check_requests(fake.exchanges)
        if valid:
            check_answers(fake.exchanges)


def furnish(house: House) -> dict[str, Item]:
    """Put a film of each sort into the house."""
    anna = Person(name="Anna Berg", role="Captain")
    made = [
        house.film(
            house.films,
            "Night Train",
            year=1984,
            rating="PG-13",
            score=7.5,
            genres=["Thriller"],
            tags=["trains"],
            providers={"Imdb": "tt0087777", "Tmdb": "11"},
            people=[anna, Person(name="Ben Lund", type="Director", portrait=False)],
        ),
        house.film(house.films, "Family Film", rating="G"),
        house.film(
            house.shows, "Pilot", type="Episode", series="Harbour", season=1, episode=2, rating="PG"
        ),
        house.film(house.private, "Birthday", type="Video"),
        house.film(
            house.films,
            "Two Cuts",
            versions=["/media/Films/Two Cuts/a.mkv", "/media/Films/Two Cuts/b.mkv"],
            rating="R",
        ),
        house.film(
            house.films,
            "Long",
            versions=["/media/Films/Long/cd1.mkv"],
            parts=["/media/Films/Long/cd2.mkv"],
            tags=["secret"],
        ),
    ]
    return {item.name: item for item in made}


def unknown_id(*what: object) -> str:
    return an_id("nothing", *what)
