"""A page taken apart, for the tests of pages."""

import re
from html.parser import HTMLParser
from typing import Any

from aiohttp.test_utils import TestClient

Client = TestClient[Any, Any]

PART = {"HX-Request": "true"}


class Page(HTMLParser):
    """A page taken apart: what is linked, and what a strict policy would refuse."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.refused: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.tags.append((tag, said))
        bad = [name for name in said if name == "style" or name.startswith("on")]
        if bad or (tag == "script" and "src" not in said) or tag == "style":
            self.refused.append(f"<{tag} {said}>")

    def all(self, tag: str, name: str) -> list[str]:
        return [said[name] or "" for found, said in self.tags if found == tag and name in said]

    def addresses(self) -> list[str]:
        names = ("href", "src", "action", "poster", "hx-get", "hx-post", "data-live", "data-copy")
        return [
            value
            for _, said in self.tags
            for name in names
            if (value := said.get(name)) and not value.startswith("#")
        ]


async def read(client: Client, path: str, status: int = 200, **said: str) -> Page:
    answer = await client.get(path, headers=said)
    assert answer.status == status, await answer.text()
    return Page(await answer.text())


async def text_of(client: Client, path: str, **said: str) -> str:
    return await (await client.get(path, headers=said)).text()


def plain(html: str) -> str:
    """Return a page's words."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())
