"""Every address that a page points to, below the configured base path."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from companion.model import File

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def moment_id(file: File, ms: int) -> str:
    """Return the public id of a point in a film: the file's own and the ms in base 36."""
    return f"{file.public_id}-{base36(ms)}"


def base36(number: int) -> str:
    """Return a number >= 0 with the digits 0-9a-z."""
    if number < 36:
        return DIGITS[number]
    return base36(number // 36) + DIGITS[number % 36]


@dataclass(frozen=True, slots=True)
class Links:
    """base: the base path without a slash at the end; version: of the static files."""

    base: str
    version: str

    @property
    def home(self) -> str:
        return f"{self.base}/"

    def page(self, name: str, **query: object) -> str:
        """Return the address of a page by its name, such as `status`."""
        return self._with(f"{self.base}/{name}", query)

    def search(self, text: str = "", **beside: object) -> str:
        """beside: `picture`, the token of one, or `like`, a moment."""
        return self._with(self.home, {"q": text, **beside})

    def moment(self, moment: str) -> str:
        return f"{self.base}/moment/{quote(moment, safe='')}"

    def players(self, moment: str) -> str:
        return f"{self.base}/players/{quote(moment, safe='')}"

    def play(self, moment: str) -> str:
        return f"{self.base}/play/{quote(moment, safe='')}"

    def go(self, moment: str) -> str:
        return f"{self.base}/go/{quote(moment, safe='')}"

    def item(self, item: str, **query: object) -> str:
        return self._with(f"{self.base}/item/{quote(item, safe='')}", query)

    def still(self, moment: str) -> str:
        return f"{self.base}/still/{quote(moment, safe='')}.jpg"

    def frame(self, moment: str, *, or_still: bool = False) -> str:
        """The picture at that very time; a still is the best one of the scene. or_still: give that
        where the frame cannot be had."""
        fall_back = "?still=1" if or_still else ""
        return f"{self.base}/frame/{quote(moment, safe='')}.jpg{fall_back}"

    def boxes(self, moment: str) -> str:
        return f"{self.base}/boxes/{quote(moment, safe='')}.json"

    def clip(self, moment: str, *, seconds: int = 0) -> str:
        """seconds: one of the lengths that clips have; 0: the longest."""
        return self._with(f"{self.base}/clip/{quote(moment, safe='')}.mp4", {"s": seconds})

    def media(self, file: str) -> str:
        return f"{self.base}/media/{quote(file, safe='')}"

    def asset(self, name: str) -> str:
        return f"{self.base}/static/{self.version}/{name}"

    def _with(self, path: str, query: dict[str, object]) -> str:
        said = {key: str(value) for key, value in query.items() if value not in {None, "", 0}}
        return f"{path}?{urlencode(said)}" if said else path
