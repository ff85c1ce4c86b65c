"""Server paths become ours, or nothing; and a mapping is proposed from names that agree."""

import pytest
from hypothesis import assume, given, strategies as st

from companion.paths import is_below
from connectors.mapping import PathMapping, Proposal, propose, to_local

NAS = PathMapping(server="/media", local=b"/mnt/nas")
NAMES = st.text(
    st.characters(exclude_characters="/\\\0:", exclude_categories=["Cs", "Cc"]),
    min_size=1,
    max_size=12,
).filter(lambda name: name not in {".", ".."})


def mapped(server: str, local: bytes) -> PathMapping:
    return PathMapping(server=server, local=local)


def test_what_lies_below_the_prefix_lies_below_ours() -> None:
    assert to_local("/media/Films/A.mkv", [NAS]) == b"/mnt/nas/Films/A.mkv"


def test_the_prefix_itself_is_mapped() -> None:
    assert to_local("/media", [NAS]) == b"/mnt/nas"
    assert to_local("/media/", [NAS]) == b"/mnt/nas"


def test_a_prefix_ends_at_a_slash() -> None:
    assert to_local("/mediathek/A.mkv", [NAS]) is None


def test_the_longest_prefix_decides_whatever_the_order() -> None:
    films = mapped("/media/Films", b"/films")
    for mappings in ([NAS, films], [films, NAS]):
        assert to_local("/media/Films/A.mkv", mappings) == b"/films/A.mkv"
        assert to_local("/media/Shows/A.mkv", mappings) == b"/mnt/nas/Shows/A.mkv"


@pytest.mark.parametrize("server", ["D:\\Media", "D:/Media", "d:\\media\\", "D:\\Media/"])
@pytest.mark.parametrize("path", ["D:\\Media\\Films\\A.mkv", "d:/MEDIA/Films/A.mkv"])
def test_windows_spells_with_both_slashes_and_in_any_case(server: str, path: str) -> None:
    assert to_local(path, [mapped(server, b"/mnt/d")]) == b"/mnt/d/Films/A.mkv"


def test_a_share_of_a_windows_network_is_a_prefix() -> None:
    share = mapped("\\\\NAS\\video", b"/mnt/video")
    assert to_local("\\\\nas\\Video\\A.mkv", [share]) == b"/mnt/video/A.mkv"
    assert to_local("\\\\other\\Video\\A.mkv", [share]) is None
    assert to_local("/nas/Video/A.mkv", [share]) is None


def test_a_backslash_in_a_unix_name_is_a_letter() -> None:
    assert to_local("/media/a\\b.mkv", [NAS]) == b"/mnt/nas/a\\b.mkv"


def test_without_a_mapping_paths_are_the_same() -> None:
    assert to_local("/srv/A.mkv", []) == b"/srv/A.mkv"
    assert to_local("C:\\A.mkv", []) is None


def test_with_a_mapping_nothing_else_is_the_same() -> None:
    assert to_local("/etc/passwd", [NAS]) is None


@pytest.mark.parametrize(
    "path",
    [
        "/media/../etc/passwd",
        "/media/Films/../../etc/passwd",
        "D:\\Media\\..\\secret",
        "media/A.mkv",
        "",
        "file.mp4",
        "http://else.where/A.mkv",
        "/media/A\0.mkv",
        "/media/\ud800.mkv",
        "/media/" + "a" * 5000,
    ],
)
def test_what_leads_away_is_not_mapped(path: str) -> None:
    assert to_local(path, [NAS, mapped("D:\\Media", b"/mnt/d")]) is None


@given(st.text(max_size=60))
def test_whatever_a_server_says_stays_below_our_folder(path: str) -> None:
    for text in (path, "/media/" + path, "D:\\" + path):
        local = to_local(text, [NAS, mapped("D:", b"/mnt/nas/d")])
        assert local is None or local == b"/mnt/nas" or is_below(local, b"/mnt/nas")
        assert local is None or b".." not in local.split(b"/")


@given(st.lists(NAMES, min_size=1, max_size=5), st.lists(NAMES, min_size=1, max_size=3))
def test_both_ways_of_slashes_lead_to_the_same_file(parts: list[str], root: list[str]) -> None:
    local = b"/" + "/".join(root).encode()
    forward = to_local("E:/" + "/".join(parts), [mapped("E:\\", local)])
    backward = to_local("E:\\" + "\\".join(parts), [mapped("e:/", local)])
    assert forward == backward == local + b"/" + "/".join(parts).encode()


def test_one_prefix_that_explains_everything_is_proposed() -> None:
    samples = ["/media/Films/A/A.mkv", "/media/Films/B/B.mkv", "/media/Shows/C/S01/e1.mkv"]
    here = [b"/mnt/nas/Films/A/A.mkv", b"/mnt/nas/Films/B/B.mkv", b"/mnt/nas/Shows/C/S01/e1.mkv"]
    assert propose(samples, here) == (Proposal(mapping=NAS, found=3),)


def test_two_disks_need_two_prefixes() -> None:
    samples = ["/data/films/A.mkv", "/data/films/B.mkv", "/data/shows/C.mkv"]
    here = [b"/disk1/A.mkv", b"/disk1/B.mkv", b"/disk2/C.mkv"]
    assert propose(samples, here) == (
        Proposal(mapping=mapped("/data/films", b"/disk1"), found=2),
        Proposal(mapping=mapped("/data/shows", b"/disk2"), found=1),
    )


def test_a_name_that_lies_in_many_places_does_not_mislead() -> None:
    samples = [f"/tv/Show {show}/S01/01.mkv" for show in "ABC"]
    here = [f"/mnt/tv/Show {show}/S01/01.mkv".encode() for show in "ABC"]
    here += [b"/backup/Show A/S01/01.mkv", b"/backup/01.mkv"]
    assert propose(samples, here) == (Proposal(mapping=mapped("/", b"/mnt"), found=3),)


def test_the_same_paths_on_both_sides_are_said_to_be_the_same() -> None:
    assert propose(["/srv/A.mkv"], [b"/srv/A.mkv"]) == (
        Proposal(mapping=mapped("/", b"/"), found=1),
    )


def test_a_windows_server_is_mapped_by_its_drive() -> None:
    samples = ["D:\\Films\\A.mkv", "D:\\Films\\B.mkv"]
    (whole,) = propose(samples, [b"/mnt/d/Films/A.mkv", b"/mnt/d/Films/B.mkv"])
    assert whole == Proposal(mapping=mapped("D:\\", b"/mnt/d"), found=2)
    (below,) = propose(samples, [b"/mnt/d/films/A.mkv", b"/mnt/d/films/B.mkv"])
    assert below == Proposal(mapping=mapped("D:\\Films", b"/mnt/d/films"), found=2)


def test_nothing_in_common_proposes_nothing() -> None:
    assert propose(["/media/A.mkv", "nonsense", "/"], [b"/mnt/B.mkv"]) == ()
    assert propose([], [b"/mnt/B.mkv"]) == ()
    assert propose(["/media/A.mkv"], []) == ()


@given(
    st.lists(NAMES, min_size=1, max_size=2),
    st.lists(NAMES, min_size=1, max_size=2),
    st.lists(st.lists(NAMES, min_size=1, max_size=3), min_size=1, max_size=6),
)
def test_a_proposal_leads_every_sample_to_a_file_that_is_there(
    server: list[str], local: list[str], files: list[list[str]]
) -> None:
    samples = ["/" + "/".join([*server, *file]) for file in files]
    here = [("/" + "/".join([*local, *file])).encode() for file in files]
    proposals = propose(samples, here)
    assert sum(proposal.found for proposal in proposals) == len(set(samples))
    for sample in samples:
        assert any(to_local(sample, [each.mapping]) in here for each in proposals)


@given(st.lists(NAMES, min_size=1, max_size=3), st.lists(NAMES, min_size=1, max_size=3))
def test_one_unique_file_is_led_exactly_there(server: list[str], local: list[str]) -> None:
    assume(server[-1] != local[-1])
    here = ("/" + "/".join([*local, "Only (1984).mkv"])).encode()
    sample = "/" + "/".join([*server, "Only (1984).mkv"])
    (proposal,) = propose([sample], [here])
    assert proposal.mapping == mapped("/" + "/".join(server), ("/" + "/".join(local)).encode())
