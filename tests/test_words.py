"""Words of scenes and titles of items in a real FTS5."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given, strategies as st

from companion.model import OWNER, Viewer
from companion.store import db, folding, library, words
from companion.store.words import Expression
from tests import talk

hostile = st.text(
    alphabet=st.sampled_from(
        "ab호수湖 \"'*()^:-+{}[],.;\\/%_\0\n\u2028“”«»AND OR NOT NEAR é\u0301"
    ),
    max_size=40,
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    connection = db.connect(tmp_path / "words.db")
    db.migrate(connection, None)
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def one_scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[apsw.Connection]:
    """A store with one scene, for properties that index their text in its place."""
    connection = db.connect(tmp_path_factory.mktemp("one") / "words.db")
    db.migrate(connection, None)
    talk.put(connection, "One", ["nothing yet"])
    yield connection
    connection.close()


def found(connection: apsw.Connection, expression: Expression | None) -> list[int]:
    """Return the numbers of the scenes that match, of the one film."""
    if expression is None:
        return []
    rows = words.scenes(connection, expression, None, limit=None)
    numbers = dict(connection.execute("select id, number from scenes"))
    return [numbers[scene_id] for scene_id in rows]


def matches(connection: apsw.Connection, text: str, expression: Expression | None) -> bool:
    """Say whether a scene with this text matches."""
    words.index_scene(connection, 1, text)
    return bool(found(connection, expression))


# --- phrases -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("He fell off the dock.", "off the dock"),
        ("He fell. Off the DOCK!", "fell off the"),
        ("l’été dernier", "L'ete"),
        ("할머니 생신에 갔다", "생신"),
        ("할머니 생신에 갔다", "머니 생"),
        ("할머니 생신에 갔다", "생신에 갔다"),
        ("나는 학교에 간다", "학"),
        ("나는 학교에 간다", "다"),
        ("나는 학교에 간다", "는 학"),
        ("我们去湖边散步。", "湖"),
        ("我们去湖边散步。", "步"),
        ("我们去湖边散步。", "去湖边"),
        ("KTX를 탔어요", "ktx"),
        ("KTX를 탔어요", "ktx를 탔"),
        ("5살 생일", "5살"),
        ("สวัสดีครับ", "ครับ"),
    ],
)
def test_a_quote_is_found(one_scene: apsw.Connection, text: str, quote: str) -> None:
    assert matches(one_scene, text, words.phrase(quote))


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("He fell off the dock.", "off dock"),
        ("He fell off the docks.", "the dock"),
        ("a fallen dock", "all"),
        ("호수 수에", "호수에"),
        ("생일 선물", "일선"),
        ("생일 선물", "생 일"),
        ("할머니 생신에", "니 신"),
        ("KTX를", "tx"),
    ],
)
def test_what_only_looks_alike_is_not_found(
    one_scene: apsw.Connection, text: str, quote: str
) -> None:
    assert not matches(one_scene, text, words.phrase(quote))


@pytest.mark.parametrize("nothing", ["", "   ", '"', "?!…", "😀", "\0"])
def test_a_text_without_words_gives_no_expression(nothing: str) -> None:
    assert words.phrase(nothing) is None


@given(hostile)
def test_no_text_is_a_syntax_error(one_scene: apsw.Connection, text: str) -> None:
    """Whatever is typed only ever finds, or finds nothing."""
    expression = words.phrase(text)
    runs = folding.runs_of(text)
    assert (expression is None) == (not runs)
    words.index_scene(one_scene, 1, text)
    if expression is not None:
        assert found(one_scene, expression) == [0]
        both = words.all_of([expression, words.beginning(text)])
        assert found(one_scene, words.any_of([both, expression])) == [0]
    for run in runs:
        assert found(one_scene, words.term(run)) == [0]


@given(
    st.lists(st.sampled_from(["the", "lake", "호수", "물", "湖边", "a", "KTX를"]), min_size=1),
    st.data(),
)
def test_any_part_of_what_is_said_is_found_as_a_quote(
    one_scene: apsw.Connection, said: list[str], data: st.DataObject
) -> None:
    start = data.draw(st.integers(0, len(said) - 1))
    end = data.draw(st.integers(start + 1, len(said)))
    assert matches(one_scene, " ".join(said), words.phrase(" ".join(said[start:end])))


@given(
    st.text(alphabet="호수에서물가나 ", min_size=1, max_size=12),
    st.text(alphabet="호수에서물가나 ", min_size=1, max_size=4),
)
def test_korean_is_found_exactly_where_its_letters_stand(
    one_scene: apsw.Connection, text: str, quote: str
) -> None:
    """Pairs neither lose nor invent: the index agrees with looking for the letters themselves."""
    text, quote = " ".join(text.split()), " ".join(quote.split())
    expression = words.phrase(quote)
    assert matches(one_scene, text, expression) == bool(expression and quote in text)


# --- terms ---------------------------------------------------------------------------------------


def test_beginning_finds_longer_words_and_only_at_their_start(
    one_scene: apsw.Connection,
) -> None:
    assert matches(one_scene, "two candles", words.beginning("candle"))
    assert not matches(one_scene, "two chandeliers", words.beginning("deli"))
    assert not matches(one_scene, "two candles", words.phrase("candle"))


def test_any_and_all(connection: apsw.Connection) -> None:
    talk.put(connection, "Film", ["a lake", "a boat", "a boat on a lake", "nothing"])
    lake, boat = words.phrase("lake"), words.phrase("boat")
    assert lake is not None
    assert boat is not None
    assert found(connection, words.any_of([lake, boat])) == [0, 1, 2]
    assert found(connection, words.all_of([lake, boat])) == [2]


# --- scenes --------------------------------------------------------------------------------------


def test_a_scene_that_is_indexed_again_forgets_its_old_words(one_scene: apsw.Connection) -> None:
    assert matches(one_scene, "the old words", words.phrase("old"))
    assert not matches(one_scene, "the new ones", words.phrase("old"))
    words.forget_scene(one_scene, 1)
    assert found(one_scene, words.phrase("new")) == []


def test_on_screen_text_is_found_too_but_no_quote_runs_from_one_to_the_other(
    one_scene: apsw.Connection,
) -> None:
    words.index_scene(one_scene, 1, "we are here", "Grand Hotel")
    assert found(one_scene, words.phrase("grand hotel")) == [0]
    assert found(one_scene, words.phrase("here grand")) == []


def test_a_deleted_scene_leaves_no_words_for_the_next_with_its_id(
    connection: apsw.Connection,
) -> None:
    file = talk.put(connection, "Film", ["the secret word"])
    scene_id = connection.execute("select id from scenes").fetchone()
    connection.execute("delete from files where id = ?", (file.id,))
    again = talk.put_file(connection, "Another")
    connection.execute("insert into scenes values (null, ?, 0, 0, 6000, 0, 0)", (again.id,))
    assert connection.execute("select id from scenes").fetchone() == scene_id
    assert found(connection, words.phrase("secret")) == []


def test_deleting_the_row_alone_forgets_the_words(connection: apsw.Connection) -> None:
    talk.put(connection, "Film", ["the secret word", "more"])
    connection.execute("delete from scenes where number = 0")
    rows = connection.execute(
        "select rowid from scene_words where scene_words match 'secret'"
    ).fetchall()
    assert rows == []


def test_scenes_stop_at_the_limit_and_skip_what_is_not_accepted(
    connection: apsw.Connection,
) -> None:
    file = talk.put(connection, "Film", ["lake one", "lake two", "lake three", "lake four"])
    lake = words.phrase("lake")
    assert lake is not None
    first = min(row[0] for row in connection.execute("select id from scenes"))

    def not_the_first(scene_id: int, file_id: int) -> bool:
        assert file_id == file.id
        return scene_id != first

    assert len(words.scenes(connection, lake, None, limit=3)) == 3
    kept = words.scenes(connection, lake, not_the_first, limit=2)
    assert kept == [first + 1, first + 2]


def test_ranked_puts_the_scene_that_says_it_most_first(connection: apsw.Connection) -> None:
    long = "we went to see a lake and then we walked on and on until the evening came"
    talk.put(connection, "Film", [long, "lake, lake, lake!", "no water here"])
    lake = words.phrase("lake")
    assert lake is not None
    numbers = dict(connection.execute("select id, number from scenes"))
    ranked = words.scenes(connection, lake, None, limit=None, ranked=True)
    assert [numbers[scene_id] for scene_id in ranked] == [1, 0]


def test_asking_for_words_reads_the_index_and_scenes_by_id_only(
    connection: apsw.Connection,
) -> None:
    """A word costs what its own scenes cost, not what the library holds."""
    ran: list[tuple[str, Any]] = []

    def trace(_cursor: object, sql: str, values: Any) -> bool:
        ran.append((sql, values))
        return True

    lake = words.phrase("lake")
    assert lake is not None
    connection.exec_trace = trace
    for ranked in (False, True):
        words.scenes(connection, lake, None, limit=5, ranked=ranked)
        words.scenes(connection, lake, lambda *_: True, limit=5, ranked=ranked)
    connection.exec_trace = None
    assert len(ran) == 4
    for sql, values in ran:
        rows = connection.execute(f"explain query plan {sql}", values)
        steps = [str(row[3]) for row in rows]
        assert any("scene_words VIRTUAL TABLE INDEX" in step for step in steps)
        assert not any(step.startswith("SCAN scenes") for step in steps), steps


# --- titles --------------------------------------------------------------------------------------


def titled(connection: apsw.Connection, text: str, viewer: Viewer = OWNER) -> list[str]:
    expression = words.phrase(text)
    assert expression is not None
    return [title for _, title in words.titled(connection, expression, viewer, limit=9)]


def test_an_item_is_found_by_its_show_its_title_and_its_year(connection: apsw.Connection) -> None:
    talk.put_file(connection, "The One at the Lake", show="Friends")
    talk.put_file(connection, "Summer", year=1999)
    assert titled(connection, "friends") == ["Friends The One at the Lake"]
    assert titled(connection, "lake") == ["Friends The One at the Lake"]
    assert titled(connection, "1999") == ["Summer 1999"]
    assert titled(connection, "winter") == []


def test_a_new_title_takes_the_place_of_the_old_one(connection: apsw.Connection) -> None:
    talk.put_file(connection, "Summer")
    item_id = library.items(connection, OWNER, limit=1)[0].id
    connection.execute("update items set title = 'Winter' where id = ?", (item_id,))
    words.index_item(connection, item_id, "Winter")
    assert titled(connection, "winter") == ["Winter"]
    assert titled(connection, "summer") == []


def test_titles_can_all_be_indexed_anew(connection: apsw.Connection) -> None:
    talk.put_file(connection, "여름 호수", year=2001)
    talk.put_file(connection, "Winter")
    connection.execute("delete from item_words where rowid in (select id from items)")
    assert titled(connection, "호수") == []
    assert words.reindex_items(connection) == 2
    assert titled(connection, "호수") == ["여름 호수 2001"]


def test_titles_that_are_gone_or_hidden_are_not_found(connection: apsw.Connection) -> None:
    talk.put_file(connection, "Lake one")
    talk.put_file(connection, "Lake two")
    one, two = sorted(item.id for item in library.items(connection, OWNER, limit=9))
    seeing_one = Viewer(name="guest", owner=False, item_ids=frozenset({one}))
    assert titled(connection, "lake", seeing_one) == ["Lake one"]
    connection.execute("update items set gone_at_ms = 1 where id = ?", (two,))
    assert titled(connection, "lake") == ["Lake one"]
    connection.execute("delete from items where id = ?", (one,))
    assert titled(connection, "lake") == []
    left = connection.execute("select rowid from item_words where item_words match 'lake'")
    assert [row[0] for row in left] == [two]


def test_a_title_text_leaves_out_what_is_empty() -> None:
    assert words.title_text("", "Summer", None) == "Summer"
    assert words.title_text("Friends", "", 1994) == "Friends 1994"
