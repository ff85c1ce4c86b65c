"""The settings: every mistake at once, each with its key, its place and what was expected."""

import contextlib
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from companion.config import Config, Folder, Models, Scanning, Searching, Syncing, Web, Window
from companion.errors import ConfigError
from companion.model import LibraryKind
from companion.settings import default_data_dir, load, variable
from companion.values import DAY_NAMES, KEYS, Given, Wrong, convert, window

EXAMPLE = Path(__file__).parent.parent / "companion" / "heimdex.example.toml"
WEEKDAYS = frozenset(range(5))


def written(folder: Path, text: str) -> Path:
    (folder / "heimdex.toml").write_text(text, encoding="utf-8")
    return folder


def mistakes(folder: Path, text: str = "", **environ: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(data_dir=written(folder, text), environ=environ)
    return caught.value.mistakes


def test_without_file_and_environment_every_value_is_its_default(tmp_path: Path) -> None:
    assert load(data_dir=tmp_path, environ={}) == Config(data_dir=tmp_path)


def test_the_file_in_the_data_folder_is_read_key_by_key(tmp_path: Path) -> None:
    text = """
        library.folders = [
            "/media/films", { path = "family", name = "Home Videos", kind = "home_videos" }
        ]
        [web]
        host = "0.0.0.0"
        port = 9000
        base_path = "/heimdex"
        trusted_proxies = ["172.16.0.0/12", "::1"]
        frame_ancestors = ["https://tv.example:8443"]
        [scan]
        windows = ["mon-fri 01:00-07:00", "sat,sun 00:00-24:00"]
        languages = ["en", "pt-BR"]
        [sync]
        poll = ["/mnt/nas"]
        [search]
        text_weight = 1
        [models]
        folder = "weights"
        roles = { speech = "whisper-tiny-en" }
        [log]
        level = "debug"
        [backup]
        keep = 3
    """
    config = load(data_dir=written(tmp_path, text), environ={})
    assert config == Config(
        data_dir=tmp_path,
        folders=(
            Folder(path=Path("/media/films")),
            Folder(path=tmp_path / "family", name="Home Videos", kind=LibraryKind.HOME_VIDEOS),
        ),
        web=Web(
            host="0.0.0.0",
            port=9000,
            base_path="/heimdex",
            trusted_proxies=("172.16.0.0/12", "::1"),
            frame_ancestors=("https://tv.example:8443",),
        ),
        scan=Scanning(
            windows=(
                Window(days=WEEKDAYS, start_minute=60, end_minute=420),
                Window(days=frozenset({5, 6}), start_minute=0, end_minute=1440),
            ),
            languages=("en", "pt-BR"),
        ),
        sync=Syncing(poll=(Path("/mnt/nas"),)),
        search=Searching(text_weight=1.0),
        models=Models(folder=tmp_path / "weights", roles={"speech": "whisper-tiny-en"}),
        log_level="DEBUG",
        backups_kept=3,
    )
    assert isinstance(config.search.text_weight, float)


def test_every_mistake_is_reported_at_once_with_its_key_line_value_and_expectation(
    tmp_path: Path,
) -> None:
    found = mistakes(
        tmp_path,
        "[web]\nport = 99999\nhots = 'x'\n\n[scan]\nbeam = 'five'\nwindows = ['mon 7-8']\n",
        HEIMDEX_SEARCH__LIMIT="many",
    )
    assert found == (
        "web.hots (heimdex.toml, line 3): there is no such key; did you mean web.host or web.port?",
        "web.port = 99999 (heimdex.toml, line 2): expected a whole number from 0 to 65535",
        "scan.beam = 'five' (heimdex.toml, line 6): expected a whole number from 1 to 10",
        "scan.windows = ['mon 7-8'] (heimdex.toml, line 7): expected windows such as "
        '"mon-fri 01:00-07:00" or "sat,sun 00:00-24:00"',
        "search.limit = 'many' (HEIMDEX_SEARCH__LIMIT): expected a whole number from 1 to 100000",
    )


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("web.host", '"http://x"', "an address"),
        ("web.host", "1", "a text"),
        ("web.base_path", '"heimdex/"', "without a slash at the end"),
        ("web.allowed_hosts", '["https://x"]', "without scheme and port"),
        ("web.allowed_hosts", '"nas"', "a list"),
        ("web.trusted_proxies", '["proxy"]', "addresses or networks"),
        ("web.frame_ancestors", '["tv.example"]', "origins"),
        ("web.port", "true", "a whole number"),
        ("web.session_days", "0", "from 1 to 3650"),
        ("scan.languages", '["english, please"]', "language codes"),
        ("scan.speech_language", '"Korean!"', "a language code"),
        ("scan.windows", '["01:00-25:00"]', "windows such as"),
        ("scan.windows", '["moon 01:00-02:00"]', "windows such as"),
        ("scan.windows", "[3]", "windows such as"),
        ("scan.subtitles_replace_speech", '"yes"', "true or false"),
        ("search.text_weight", "1.5", "a number from 0 to 1"),
        ("search.text_weight", "nan", "a number from 0 to 1"),
        ("sync.poll", "[7]", "texts"),
        ("models.profile", '""', "the name of a profile"),
        ("models.roles", '{ speech = "" }', "a table of texts"),
        ("models.roles", '["speech"]', "a table of texts"),
        ("models.folder", '"a\\u0000b"', "texts"),
        ("log.level", '"LOUD"', "DEBUG, INFO, WARNING or ERROR"),
        ("library.folders", "[7]", "a path, or"),
        ("library.folders", '[{ name = "x" }]', "a path, or"),
        ("library.folders", '[{ path = "/m", name = 3 }]', "a text as the name"),
        ("library.folders", '[{ path = "/m", kind = "films" }]', "mixed"),
        ("library.folders", '[{ path = "/m", colour = "red" }]', "not colour"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_in_words(
    tmp_path: Path, key: str, value: str, expected: str
) -> None:
    (only,) = mistakes(tmp_path, f"{key} = {value}\n")
    assert only.startswith(f"{key} = ")
    assert "(heimdex.toml, line 1): expected " in only
    assert expected in only


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    folder = written(tmp_path, "[web]\nport = 1\nhost = '127.0.0.2'\nsession_days = 7\n")
    environ = {"HEIMDEX_WEB__PORT": "2", "HEIMDEX_WEB__HOST": "127.0.0.3"}
    config = load(data_dir=folder, environ=environ, changes={"web.port": 3})
    assert (config.web.port, config.web.host, config.web.session_days) == (3, "127.0.0.3", 7)


def test_the_environment_writes_lists_with_commas_or_as_toml(tmp_path: Path) -> None:
    environ = {
        "HEIMDEX_LIBRARY__FOLDERS": '["/a, b", {path = "/c", kind = "shows"}]',
        "HEIMDEX_SCAN__LANGUAGES": "en, de,",
        "HEIMDEX_SCAN__WINDOWS": "01:00-07:00, sat 00:00-24:00",
        "HEIMDEX_SYNC__WATCH": "off",
        "HEIMDEX_MODELS__ROLES": "speech=small, meaning=use",
        "HEIMDEX_SEARCH__TEXT_WEIGHT": "0.25",
    }
    config = load(data_dir=tmp_path, environ=environ)
    assert config.folders == (
        Folder(path=Path("/a, b")),
        Folder(path=Path("/c"), kind=LibraryKind.SHOWS),
    )
    assert config.scan.languages == ("en", "de")
    assert [len(each.days) for each in config.scan.windows] == [7, 1]
    assert config.sync.watch is False
    assert config.models.roles == {"speech": "small", "meaning": "use"}
    assert config.search.text_weight == 0.25


def test_a_relative_folder_starts_at_the_file_and_home_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    (tmp_path / "etc").mkdir()
    file = written(tmp_path / "etc", "library.folders = ['../films', '~/Videos']") / "heimdex.toml"
    config = load(data_dir=tmp_path / "data", file=file, environ={})
    assert [folder.path for folder in config.folders] == [
        tmp_path / "films",
        Path("/home/anna/Videos"),
    ]


def test_a_variable_with_one_underscore_too_few_is_a_mistake_but_foreign_ones_are_not(
    tmp_path: Path,
) -> None:
    (only,) = mistakes(tmp_path, HEIMDEX_WEB_PORT="9", HEIMDEX_SERVICE_HOST="10.0.0.1")
    assert only == (
        "HEIMDEX_WEB_PORT (environment): there is no such key; did you mean HEIMDEX_WEB__PORT?"
    )


def test_an_unknown_variable_names_the_variable_that_was_meant(tmp_path: Path) -> None:
    (only,) = mistakes(tmp_path, HEIMDEX_WEBB__PORT="9")
    assert "did you mean HEIMDEX_WEB__PORT" in only


def test_a_key_in_the_wrong_table_points_to_the_right_one(tmp_path: Path) -> None:
    (only,) = mistakes(tmp_path, "[server]\nbase_path = '/x'\n")
    assert only == "server.base_path (heimdex.toml, line 2): there is no such key; " + (
        "did you mean web.base_path?"
    )


def test_a_key_outside_every_table_is_a_mistake(tmp_path: Path) -> None:
    (only,) = mistakes(tmp_path, "port = 9\n")
    assert only == ("port (heimdex.toml, line 1): there is no such key; did you mean web.port?")


@pytest.mark.parametrize("text", [b"[web\nport = 1", b"\xff\xfe", b"a = " + b"[" * 5000])
def test_a_file_that_is_no_toml_is_one_mistake_that_names_it(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "heimdex.toml").write_bytes(text)
    with pytest.raises(ConfigError) as caught:
        load(data_dir=tmp_path, environ={})
    (only,) = caught.value.mistakes
    assert only.startswith(f"{tmp_path / 'heimdex.toml'}: cannot be read as TOML: ")


def test_a_file_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load(data_dir=tmp_path, file=tmp_path / "other.toml", environ={})
    with pytest.raises(ConfigError, match="does not exist"):
        load(environ={"HEIMDEX_DATA_DIR": str(tmp_path), "HEIMDEX_CONFIG": str(tmp_path / "x")})


def test_a_file_may_start_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "heimdex.toml").write_bytes(b"\xef\xbb\xbf[web]\nport = 7\n")
    assert load(data_dir=tmp_path, environ={}).web.port == 7


def test_a_folder_named_twice_and_one_that_holds_the_data_folder_are_mistakes(
    tmp_path: Path,
) -> None:
    found = mistakes(tmp_path, f"library.folders = ['/m', '/m/', '{tmp_path.parent}']")
    assert found[0] == "library.folders: /m is named twice; leave one out"
    assert "holds the data folder" in found[1]


def test_a_data_folder_in_a_hidden_part_of_a_library_is_no_mistake(tmp_path: Path) -> None:
    data_dir = tmp_path / ".local" / "share" / "heimdex"
    config = load(data_dir=data_dir, environ={}, changes={"library.folders": [str(tmp_path)]})
    assert config.folders == (Folder(path=tmp_path),)


def test_the_data_folder_is_the_argument_then_the_variable_then_the_platform_s(
    tmp_path: Path,
) -> None:
    environ = {"HEIMDEX_DATA_DIR": str(tmp_path / "b"), "XDG_DATA_HOME": str(tmp_path / "c")}
    assert load(data_dir=tmp_path / "a", environ=environ).data_dir == tmp_path / "a"
    assert load(environ=environ).data_dir == tmp_path / "b"
    del environ["HEIMDEX_DATA_DIR"]
    assert load(environ=environ).data_dir == tmp_path / "c" / "heimdex"


@pytest.mark.parametrize(
    ("platform", "environ", "folder"),
    [
        ("linux", {}, ".local/share/heimdex"),
        ("darwin", {}, "Library/Application Support/Heimdex"),
        ("win32", {}, "AppData/Local/Heimdex"),
    ],
)
def test_each_platform_has_its_own_place_for_data(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    platform: str,
    environ: dict[str, str],
    folder: str,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", platform)
    assert default_data_dir(environ) == tmp_path / folder


# --- the documentation ---------------------------------------------------------------------------


def uncommented() -> str:
    return re.sub(r"(?m)^# (?=[a-z_]+ = )", "", EXAMPLE.read_text(encoding="utf-8"))


def test_the_example_names_every_key_once_and_no_other() -> None:
    tables = tomllib.loads(uncommented())
    assert [f"{table}.{name}" for table, entries in tables.items() for name in entries] == list(
        KEYS
    )


def test_every_default_in_the_example_is_the_real_one(tmp_path: Path) -> None:
    assert load(data_dir=written(tmp_path, uncommented()), environ={}) == Config(data_dir=tmp_path)


def test_the_example_as_it_is_changes_nothing(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert load(data_dir=written(tmp_path, text), environ={}) == Config(data_dir=tmp_path)


def test_every_key_of_the_example_is_explained_above_it() -> None:
    before = ""
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if re.match(r"# [a-z_]+ = ", line):
            assert before.startswith("# "), f"nothing explains {line}"
        before = line


# --- properties ----------------------------------------------------------------------------------

TOML_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(key=st.sampled_from(list(KEYS)), value=TOML_VALUES, text=st.booleans())
def test_any_value_is_converted_or_wrong(key: str, value: object, text: bool) -> None:
    raw = str(value) if text else value
    with contextlib.suppress(Wrong):
        value = convert(Given(key=key, value=raw, where="here", base=Path("/base"), text=text))
        assert type(value) in (bool, int, float, str, tuple, dict, type(None), type(Path()))


@given(
    days=st.sets(st.integers(0, 6), min_size=1),
    start=st.integers(0, 1439),
    end=st.integers(0, 1440),
)
def test_a_window_reads_back_as_it_was_written(days: set[int], start: int, end: int) -> None:
    names = ",".join(DAY_NAMES[day] for day in sorted(days))
    text = f"{names} {start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
    assert window(text) == Window(days=frozenset(days), start_minute=start, end_minute=end)


@given(first=st.integers(0, 6), last=st.integers(0, 6))
def test_a_span_of_days_goes_over_the_weekend(first: int, last: int) -> None:
    days = window(f"{DAY_NAMES[first]}-{DAY_NAMES[last]} 01:00-02:00").days
    assert len(days) == (last - first) % 7 + 1
    assert {first, last} <= days


@given(port=st.integers(0, 65_535), days=st.integers(1, 3650))
def test_whole_numbers_mean_the_same_in_file_and_environment(port: int, days: int) -> None:
    nowhere = Path("/nonexistent/heimdex")
    for key, value in (("web.port", port), ("web.session_days", days)):
        by_text = load(data_dir=nowhere, environ={variable(key): str(value)})
        by_value = load(data_dir=nowhere, environ={}, changes={key: value})
        assert by_text == by_value


@given(key=st.sampled_from(list(KEYS)))
def test_a_key_with_one_letter_missing_is_recognised(key: str) -> None:
    name = variable(key)[:-1]
    with pytest.raises(ConfigError, match=variable(key)):
        load(data_dir=Path("/nonexistent"), environ={name: "x"})
