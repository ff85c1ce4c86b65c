"""Playing on Plex: only on one's own apps, at the right millisecond, through the server."""

from collections.abc import AsyncIterator

import pytest

from companion.errors import AuthFailed, MediaMissing, ServerUnavailable
from connectors import plex_tokens
from connectors.base import Playable, Played
from connectors.plex_remote import LONGEST_MS
from tests.fakes.plex_world import Player
from tests.plex_house import CHILD, GUEST, OWNER, House, house

ANNA = plex_tokens.packed(OWNER, "1")
BEN = plex_tokens.packed(GUEST, "902")
MIA = plex_tokens.packed(CHILD, "903")
FILM = Playable(item_id="10001")


@pytest.fixture
async def home() -> AsyncIterator[House]:
    async with house() as opened:
        anna, ben, _mia = opened.world.accounts
        opened.world.add_player(Player(id="tv", name="Living room", account=ben, playing="10000"))
        opened.world.add_player(Player(id="phone", name="Phone", account=anna, playing="211"))
        opened.world.add_player(Player(id="idle", name="Kitchen", product="Plex HTPC"))
        opened.world.add_player(
            Player(id="web", name="Firefox", account=ben, playing="211", advertises=False)
        )
        yield opened


async def names(home: House, token: str) -> dict[str, str]:
    return {each.name: each.item_id for each in await home.plex.players(token)}


async def test_a_guest_is_offered_only_what_they_play_on(home: House) -> None:
    assert await names(home, BEN) == {"Living room": "10000"}
    assert await names(home, MIA) == {}


async def test_the_owner_is_also_offered_apps_that_wait(home: House) -> None:
    assert await names(home, ANNA) == {"Phone": "211", "Kitchen": ""}


async def test_a_token_of_nobody_known_is_offered_nothing(home: House) -> None:
    assert await names(home, GUEST) == {}
    assert home.server.faults.seen == []


async def test_a_player_says_which_app_it_is(home: House) -> None:
    (player,) = await home.plex.players(BEN)
    assert (player.id, player.app) == ("tv", "Plex for Smart TV")


async def test_playing_starts_at_the_millisecond(home: House) -> None:
    assert await home.plex.play(BEN, "tv", FILM, 61_234) is Played.STARTED
    ((command, query),) = home.world.players["tv"].commands
    assert command == "playMedia"
    assert query["offset"] == "61234"
    assert query["key"] == "/library/metadata/10001"
    assert query["machineIdentifier"] == home.world.machine_id
    assert query["containerKey"].startswith("/playQueues/1?")
    assert home.world.players["tv"].playing == "10001"


async def test_the_queue_is_made_as_the_person_who_plays(home: House) -> None:
    await home.plex.play(BEN, "tv", FILM, 0)
    assert home.world.queues == [("ben", "10001")]


async def test_a_second_part_begins_where_the_first_ended(home: House) -> None:
    part = Playable(item_id="10001", part_id="0.1.3000000")
    await home.plex.play(BEN, "tv", part, 5000)
    assert home.world.players["tv"].commands[0][1]["offset"] == "3005000"


async def test_what_is_playing_already_is_sought(home: House) -> None:
    await home.plex.play(BEN, "tv", FILM, 1000)
    assert await home.plex.play(BEN, "tv", FILM, 90_000) is Played.SOUGHT
    commands = home.world.players["tv"].commands
    assert [command for command, _ in commands] == ["playMedia", "seekTo"]
    assert commands[1][1]["offset"] == "90000"
    assert len(home.world.queues) == 1


async def test_commands_are_numbered_upwards_also_after_a_restart_of_ours(home: House) -> None:
    """An app passes over a command whose number is not above the last one."""
    await home.plex.play(BEN, "tv", FILM, 1000)
    again = home.connector()
    home.world.players["tv"].commands[0][1]["commandID"] = "41"
    await again.play(BEN, "tv", FILM, 2000)
    await again.play(BEN, "tv", FILM, 3000)
    await again.close()
    assert len(home.world.players["tv"].commands) == 3


@pytest.mark.parametrize("player", ["phone", "idle", "web", "none", "", "tv/../phone"])
async def test_somebody_elses_app_is_not_there_for_a_guest(home: House, player: str) -> None:
    with pytest.raises(MediaMissing):
        await home.plex.play(BEN, player, FILM, 0)
    assert not any(each.commands for each in home.world.players.values())
    assert home.world.queues == []


async def test_the_owner_does_not_play_on_a_guests_app(home: House) -> None:
    with pytest.raises(MediaMissing):
        await home.plex.play(ANNA, "tv", FILM, 0)
    assert home.world.players["tv"].commands == []


async def test_an_app_that_changed_hands_since_it_was_offered_is_not_played_on(home: House) -> None:
    await home.plex.players(BEN)
    home.world.players["tv"].account = home.world.accounts[0]
    with pytest.raises(MediaMissing, match="somebody else"):
        await home.plex.play(BEN, "tv", FILM, 0)


async def test_what_a_person_may_not_see_is_not_played(home: House) -> None:
    with pytest.raises(MediaMissing):
        await home.plex.play(BEN, "tv", Playable(item_id="301"), 0)
    assert home.world.players["tv"].commands == []


@pytest.mark.parametrize("item", ["", "1/../301", "301&offset=1", "1?x"])
async def test_an_id_that_is_none_is_not_played(home: House, item: str) -> None:
    with pytest.raises(MediaMissing):
        await home.plex.play(BEN, "tv", Playable(item_id=item), 0)
    assert home.server.faults.seen == []


@pytest.mark.parametrize(("at_ms", "sent"), [(-5000, "0"), (10**15, str(LONGEST_MS))])
async def test_times_are_kept_within_reason(home: House, at_ms: int, sent: str) -> None:
    await home.plex.play(BEN, "tv", FILM, at_ms)
    assert home.world.players["tv"].commands[0][1]["offset"] == sent


async def test_an_app_that_does_not_take_the_command_says_so_by_name(home: House) -> None:
    home.world.players["tv"].answers = 404
    with pytest.raises(MediaMissing, match="Living room"):
        await home.plex.play(BEN, "tv", FILM, 0)


async def test_a_server_that_fails_in_between_is_to_be_tried_later(home: House) -> None:
    home.server.faults.on("/player", status=500)
    with pytest.raises(ServerUnavailable):
        await home.plex.play(BEN, "tv", FILM, 0)


async def test_no_token_goes_along_to_an_app(home: House) -> None:
    await home.plex.play(BEN, "tv", FILM, 0)
    ((_, query),) = home.world.players["tv"].commands
    assert not [value for value in query.values() if "token" in value]
    assert "token" not in query


async def test_addresses_of_apps_are_never_called(home: House) -> None:
    """They come from the server: a hostile one could send us anywhere in the house."""
    await home.plex.play(BEN, "tv", FILM, 0)
    await home.plex.play(BEN, "tv", FILM, 9)
    hosts = {each.headers["Host"] for each in home.server.faults.seen}
    assert hosts == {home.server.url.removeprefix("http://")}


async def test_the_app_is_told_the_address_that_people_use(home: House) -> None:
    plex = home.connector(public_url="https://films.example:8443/plex")
    await plex.play(BEN, "tv", FILM, 0)
    ((_, query),) = home.world.players["tv"].commands
    assert (query["protocol"], query["address"], query["port"]) == (
        "https",
        "films.example",
        "8443",
    )
    await plex.close()


async def test_streams_are_counted_whoever_watches(home: House) -> None:
    assert await home.plex.streams() == 3


async def test_without_the_owners_token_there_is_nothing_to_play_on(home: House) -> None:
    plex = home.connector(token=GUEST)
    with pytest.raises((AuthFailed, ServerUnavailable)):
        await plex.players(BEN)
    await plex.close()


@pytest.mark.parametrize(
    "body",
    [
        b"<MediaContainer size='1'><Video ratingKey='1'/></MediaContainer>",
        b"<MediaContainer size='1'><Video><User/><Player/></Video></MediaContainer>",
        b"<MediaContainer size='1'><Video><User id='902'/>"
        b"<Player machineIdentifier='../x' title='x'/></Video></MediaContainer>",
        b"<MediaContainer size='1'><Video><User id=''/>"
        b"<Player machineIdentifier='tv'/></Video></MediaContainer>",
    ],
)
async def test_sessions_that_make_no_sense_are_nobodys(home: House, body: bytes) -> None:
    home.server.faults.on("/status/sessions", body=body)
    assert await names(home, BEN) == {}
