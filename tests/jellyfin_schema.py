"""Jellyfin's official schema, as PyPI's jellyfin-sdk has it: which requests exist, and what answers
look like. The fake and the connector are both held against it.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.fakes.jellyfin_server import Exchange

API = "jellyfin.generated.api_10_11"
OUTSIDE = {"/socket"}  # the one path that the official API does not list
BLOCK = re.compile(r"\n    def _(\w+)_serialize\(.*?resource_path='([^']+)'", re.DOTALL)
BIGGEST = 1_000_000  # bytes of an answer that is looked at: others of its kind are smaller


@dataclass(frozen=True, slots=True)
class Operation:
    method: str
    path: str
    parameters: frozenset[str]
    answer: str  # the name of a model, List[model], bool, bytearray, or ""


@cache
def operations() -> tuple[Operation, ...]:
    found = []
    package = find_spec("jellyfin")
    assert package
    assert package.origin
    for file in (Path(package.origin).parent / "generated/api_10_11/api").glob("*_api.py"):
        text = file.read_text()
        found += [_operation(text, match) for match in BLOCK.finditer(text)]
    return tuple(found)


def _operation(text: str, match: re.Match[str]) -> Operation:
    path = match.group(2)
    method = re.search(r"method='(\w+)'", text[text.rindex("(", 0, match.end() - len(path)) :])
    assert method
    head = text[: match.start()].rpartition("_response_types_map")[2]
    answer = re.search(r"'200': \"([^\"]+)\"", head)
    parameters = re.findall(r"_query_params\.append\(\('(\w+)'", match.group())
    return Operation(method.group(1), path, frozenset(parameters), answer[1] if answer else "")


def operation(method: str, path: str) -> Operation | None:
    """Return what the official API calls this request; a fixed path goes before one with names."""
    parts = path.strip("/").split("/")
    fitting = [
        it
        for it in operations()
        if it.method == method and _fits(it.path.strip("/").split("/"), parts)
    ]
    return min(fitting, key=lambda it: it.path.count("{"), default=None)


def _fits(wanted: list[str], parts: list[str]) -> bool:
    return len(wanted) == len(parts) and all(
        want.startswith("{") or want == part for want, part in zip(wanted, parts, strict=True)
    )


def check_requests(exchanges: Iterable[Exchange]) -> None:
    """Assert that all requests are of the official API: path, method, and names of parameters."""
    for it in exchanges:
        if it.path in OUTSIDE:
            continue
        known = operation(it.method, it.path)
        assert known, f"{it.method} {it.path} is not in the API"
        unknown = set(it.query) - known.parameters
        assert not unknown, f"{it.method} {it.path} knows no {sorted(unknown)}"


def check_answers(exchanges: Iterable[Exchange]) -> None:
    """Assert that all successful answers are what the official models say."""
    for it in exchanges:
        known = operation(it.method, it.path)
        if it.status == 200 and known and len(it.body) < BIGGEST:
            check_answer(known.answer, it.body)


def check_answer(kind: str, body: bytes) -> None:
    if kind == "bytearray":
        assert body
        return
    value = json.loads(body)
    if kind == "bool":
        assert isinstance(value, bool)
    elif kind.startswith("List["):
        for each in value:
            _validate(kind[5:-1], each)
    else:
        _validate(kind, value)


def _validate(kind: str, value: Any) -> None:
    model: Any = getattr(import_module(f"{API}.models.{_snake(kind)}"), kind)
    made = model.from_dict(value)
    unknown = set(value) - {field.alias for field in model.model_fields.values()}
    assert not unknown, f"{kind} has no {sorted(unknown)}"
    assert made is not None


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def check_message(body: dict[str, Any]) -> None:
    """Assert that a message of the socket is what the official models say."""
    _validate(f"{body['MessageType']}Message", body)
