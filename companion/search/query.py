"""What people type, as a typed tree: words, "exact quotes", -words and -"quotes" to leave out.

Typing goes on while we search, so hardly anything is an error: a quote that is not closed yet runs
to the end, an unknown `field:` is plain words.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from companion.errors import QueryError

MAX_CHARACTERS = 1_000
MAX_TERMS = 32

# Every mark that may open a quote, and those that may close it then.
_QUOTES = {
    '"': '"＂“”',
    "＂": '"＂',
    "“": '”“"',
    "”": '”"',  # Swedish and Finnish open with it
    "„": '“”"',
    "«": "»",
    "»": "«»",  # German and Danish books, Finnish
    "「": "」",
    "『": "』",
    "〝": "〞〟",
    "《": "》",
}
_ONLY_AT_START = '"＂”»'  # elsewhere these are inches or the end of something
_MINUS = "-−－"


class Mode(StrEnum):
    """Which indexes are asked."""

    BOTH = "both"
    WORDS = "words"
    MEANING = "meaning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word as it was typed. [start, end) are the characters of the query it comes from."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """Words in quotes: they must follow each other just so. text is without the marks."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Without:
    """What must not be there."""

    term: Word | Exact
    start: int
    end: int


Term = Word | Exact | Without


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    text: str
    terms: tuple[Term, ...]

    @property
    def words(self) -> tuple[Word, ...]:
        return tuple(term for term in self.terms if isinstance(term, Word))

    @property
    def exacts(self) -> tuple[Exact, ...]:
        return tuple(term for term in self.terms if isinstance(term, Exact))

    @property
    def without(self) -> tuple[Word | Exact, ...]:
        return tuple(term.term for term in self.terms if isinstance(term, Without))

    @property
    def wanted(self) -> str:
        """What is looked for, as one text for a model of meaning; "" if there is no letter in it.

        Half characters, which cannot be sent to another process, are left out.
        """
        text = " ".join(term.text for term in self.terms if not isinstance(term, Without))
        whole = text.encode(errors="ignore").decode()
        return whole if any(character.isalnum() for character in whole) else ""


def parse(text: str, *, alone: bool = True) -> Query:
    """Return the tree of a query; no terms if there is nothing to look for.

    alone: no picture goes with it. Raises QueryError if it is too long or only says what to leave
    out, and is alone.
    """
    if len(text) > MAX_CHARACTERS:
        raise QueryError(
            f"the search text is longer than {MAX_CHARACTERS} characters: shorten it",
            MAX_CHARACTERS,
        )
    terms = tuple(_terms(text))
    if len(terms) > MAX_TERMS:
        raise QueryError(
            f"the search text has more than {MAX_TERMS} words: leave some out",
            terms[MAX_TERMS].start,
        )
    if alone and terms and all(isinstance(term, Without) for term in terms):
        raise QueryError("a minus leaves things out: say what to look for as well", terms[0].start)
    return Query(text=text, terms=terms)


def _terms(text: str) -> Iterator[Term]:
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        start = position
        minus = text[position] in _MINUS and _begins(text, position + 1)
        term, position = _term(text, position + minus)
        if term.text:
            yield Without(term=term, start=start, end=position) if minus else term


def _begins(text: str, position: int) -> bool:
    """True if something that can be left out begins here."""
    return position < len(text) and not text[position].isspace() and text[position] not in _MINUS


def _term(text: str, start: int) -> tuple[Word | Exact, int]:
    """Read one term and say where it ends. Its text may be empty: `""`."""
    if text[start] in _QUOTES:
        closing = _QUOTES[text[start]]
        end = start + 1
        while end < len(text) and text[end] not in closing:
            end += 1
        after = min(end + 1, len(text))
        return Exact(text=text[start + 1 : end].strip(), start=start, end=after), after
    end = start + 1
    while end < len(text) and not _ends_word(text[end]):
        end += 1
    return Word(text=text[start:end], start=start, end=end), end


def _ends_word(character: str) -> bool:
    return character.isspace() or (character in _QUOTES and character not in _ONLY_AT_START)
