"""The daemon's side of the process border: one clear reason for everything that can go wrong."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from companion import child as module
from companion.child import Child
from companion.children import Children
from companion.config import Config, Features, Models, Scanning
from companion.errors import ModelMissing, ScanFailed
from scanners import models
from scanners.base import Finished, Found, Options, Reply, Scan, StageDone, StageFailed

COMMAND = (sys.executable, "-m", "tests.fakes.scripted_child")


@pytest.fixture
async def children(config: Config) -> AsyncIterator[Children]:
    made = Children(config, command=COMMAND)
    yield made
    await made.close()


def scan(children: Children, name: bytes, *stages: str) -> Scan:
    return Scan(
        id=children.new_id(),
        path=b"/films/" + name,
        stages=stages or ("shots",),
        options=Options(),
    )


async def replies(children: Children, request: Scan, limit_s: float = 60) -> list[Reply]:
    return [reply async for reply in children.scan(request, limit_s=limit_s)]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_scan_gives_every_reply_up_to_the_last(children: Children) -> None:
    found = await replies(children, scan(children, b"good", "shots", "scenes"))
    assert [reply.stage for reply in found if isinstance(reply, StageDone)] == ["shots", "scenes"]
    assert sum(isinstance(reply, Found) for reply in found) == 2
    assert isinstance(found[-1], Finished)


async def test_one_child_serves_many_requests(children: Children) -> None:
    await replies(children, scan(children, b"one"))
    first = children.scanner_pid
    await replies(children, scan(children, b"two"))
    assert first is not None
    assert children.scanner_pid == first


async def test_a_stage_that_fails_is_told_and_the_child_lives_on(children: Children) -> None:
    found = await replies(children, scan(children, b"fails"))
    assert any(isinstance(reply, StageFailed) and reply.permanent for reply in found)
    assert children.scanner_pid is not None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (b"segfault", "the scanner crashed (SIGSEGV)"),
        (b"quit", "ended with status 3: MemoryError: no room for a film of that size"),
        (b"garbage", "gave a wrong answer"),
    ],
)
async def test_a_lost_child_gives_one_reason_and_the_stage(
    children: Children, name: bytes, reason: str
) -> None:
    with pytest.raises(ScanFailed) as caught:
        await replies(children, scan(children, name, "shots"))
    assert reason in caught.value.reason
    assert caught.value.stage == "shots"
    assert not caught.value.permanent
    after = await replies(children, scan(children, b"good"))
    assert isinstance(after[-1], Finished)


async def test_a_child_that_says_nothing_is_stopped(config: Config) -> None:
    children = Children(replace(config, scan=Scanning(stall_s=1)), command=COMMAND)
    with pytest.raises(ScanFailed, match="said nothing for 1 s"):
        await replies(children, scan(children, b"hang"))
    assert children.scanner_pid is None
    await children.close()


async def test_a_request_has_a_time_limit(children: Children) -> None:
    with pytest.raises(ScanFailed, match=r"said nothing|took longer"):
        await replies(children, scan(children, b"hang"), limit_s=0.5)


async def test_cancelling_kills_the_child(children: Children) -> None:
    heard = asyncio.Event()

    async def listen() -> None:
        async for _reply in children.scan(scan(children, b"hang"), limit_s=60):
            heard.set()

    task = asyncio.create_task(listen())
    await heard.wait()
    pid = children.scanner_pid
    assert pid is not None
    task.cancel()
    await asyncio.wait([task])
    assert not alive(pid)


async def test_replies_to_another_request_are_passed_over(children: Children) -> None:
    found = await replies(children, scan(children, b"other"))
    assert all(getattr(reply, "id", -1) > 0 for reply in found)


@pytest.mark.parametrize(
    ("settings", "name"), [(Scanning(recycle_files=1), b"good"), (Scanning(), b"fat")]
)
async def test_a_worn_out_child_is_replaced(
    config: Config, settings: Scanning, name: bytes
) -> None:
    children = Children(replace(config, scan=settings), command=COMMAND)
    await replies(children, scan(children, name))
    first = children.scanner_pid
    await replies(children, scan(children, b"good"))
    assert first is not None
    assert children.scanner_pid != first
    assert not alive(first)
    await children.close()


async def test_an_idle_child_leaves(config: Config) -> None:
    children = Children(replace(config, scan=Scanning(idle_s=0)), command=COMMAND)
    await replies(children, scan(children, b"good"))
    async with asyncio.timeout(20):
        while children.scanner_pid is not None:
            await asyncio.sleep(0)
    await children.close()


async def test_a_child_that_cannot_start_says_why(config: Config) -> None:
    child = Child("scanner", (*COMMAND, "--mute"), config)
    with pytest.raises(ScanFailed, match="this Python has no codecs"):
        await child.start()


async def test_two_scans_take_turns(children: Children) -> None:
    both = await asyncio.gather(
        replies(children, scan(children, b"one")), replies(children, scan(children, b"two"))
    )
    assert all(isinstance(found[-1], Finished) for found in both)


async def test_probe_gives_the_container_or_the_reason(children: Children) -> None:
    assert (await children.probe(b"/films/good")).duration_ms == 1000
    with pytest.raises(ScanFailed, match="this is text") as caught:
        await children.probe(b"/films/text")
    assert caught.value.permanent
    assert caught.value.stage == "probe"


async def test_stills_and_clips_are_made_beside_a_running_scan(
    children: Children, tmp_path: Path
) -> None:
    hanging = asyncio.create_task(replies(children, scan(children, b"hang")))
    await children.still(b"/films/good", 500, tmp_path / "a.jpg")
    await children.clip(b"/films/good", 0, 500, tmp_path / "a.mp4")
    assert not hanging.done()
    hanging.cancel()
    await asyncio.wait([hanging])


async def test_a_still_that_cannot_be_made_says_why(children: Children, tmp_path: Path) -> None:
    with pytest.raises(ScanFailed, match="still: this is text"):
        await children.still(b"/films/text", 0, tmp_path / "a.jpg")
    with pytest.raises(ScanFailed, match="SIGSEGV"):
        await children.clip(b"/films/segfault", 0, 1, tmp_path / "a.mp4")


async def test_texts_become_vectors_when_the_model_is_there(
    children: Children, monkeypatch: pytest.MonkeyPatch
) -> None:
    def present(_folder: Path, _name: str) -> bool:
        return True

    monkeypatch.setattr(models, "present", present)
    encoded = await children.encode(["a", "b"])
    assert len(encoded.vectors) == 2
    assert encoded.dims == 1


async def test_a_missing_model_is_named_with_what_to_do(children: Children) -> None:
    with pytest.raises(ModelMissing, match=r"use-m3.*heimdex models get"):
        await children.encode(["a"])


async def test_closing_kills_every_child(config: Config, tmp_path: Path) -> None:
    children = Children(config, command=COMMAND)

    async def pids(waiting: Sequence[asyncio.Task[object]]) -> int:
        async with asyncio.timeout(30):
            while children.scanner_pid is None:
                await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        return children.scanner_pid

    hanging: asyncio.Task[object] = asyncio.create_task(replies(children, scan(children, b"hang")))
    pid = await pids([hanging])
    await children.close()
    with pytest.raises(ScanFailed):
        await hanging
    assert not alive(pid)


# --- how much it may ask for ---------------------------------------------------------------------


@pytest.fixture
def no_card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Keep this machine's own card out; return where one would be seen."""
    monkeypatch.setattr(module, "CARDS", (tmp_path / "nvidiactl",))
    return tmp_path / "nvidiactl"


def test_a_child_is_told_its_limits(config: Config, no_card: Path) -> None:
    scan = Scanning(memory_mb=3000, threads=2, idle_s=5)
    assert module.environment(replace(config, scan=scan)) == {
        "HEIMDEX_CHILD_MEMORY_MB": "3000",
        "HEIMDEX_CHILD_THREADS": "2",
        "HEIMDEX_CHILD_IDLE_S": "5",
    }


@pytest.mark.parametrize(
    "models",
    [
        Models(profile="standard"),
        Models(roles={"picture": "siglip2-base"}),
        Models(roles={"meaning": "bge-m3"}),
    ],
)
def test_what_brings_torch_has_no_limit_of_addresses(
    config: Config, no_card: Path, models: Models
) -> None:
    assert module.address_space_mb(replace(config, models=models)) == 0


def test_nor_has_a_machine_with_a_card_unless_it_is_not_used(
    config: Config, no_card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = Models(roles={"picture": "siglip-onnx:/nowhere", "onscreen": "pp-ocr-own:/nowhere"})
    assert module.address_space_mb(replace(config, models=given)) == 8192
    no_card.touch()
    assert module.address_space_mb(config) == 0
    monkeypatch.setenv("HEIMDEX_CHILD_DEVICE", "cpu")
    assert module.address_space_mb(config) == 8192


async def test_without_search_by_meaning_the_children_know_no_model_of_texts(
    config: Config,
) -> None:
    quiet = Children(replace(config, features=Features(semantic_search=False)), command=COMMAND)
    assert "meaning" not in quiet.roles()
    assert "meaning" not in quiet.options().roles
    with pytest.raises(ModelMissing, match=r"features\.semantic_search is off"):
        await quiet.encode(["a boat"])
    await quiet.close()
