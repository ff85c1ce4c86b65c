"""The description of the API for programs, made from the very structs that are sent."""

from dataclasses import dataclass, replace
from typing import Any

import msgspec

import companion
from webui import records

FILE = "file"  # a kind of field


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    name: str
    about: str
    kind: str = "string"
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call. answer: the struct of its body, None for a free object. form: fields that are sent
    as multipart/form-data."""

    method: str
    path: str
    about: str
    answer: type[msgspec.Struct] | None
    query: tuple[Parameter, ...] = ()
    body: type[msgspec.Struct] | None = None
    form: tuple[Parameter, ...] = ()
    status: int = 200
    failures: tuple[int, ...] = (401,)


_WORDS = Parameter(name="q", about="what to look for")
_QUERY = replace(_WORDS, required=True)
_MODE = Parameter(name="mode", about="both, words or meaning")
_LIMIT = Parameter(name="limit", about="at most so many results", kind="integer")
_WEIGHTS = tuple(
    Parameter(name=name, about="weight from 0 to 1", kind="number")
    for name in ("text_weight", "vision_weight", "person_boost")
)

CALLS = (
    Call(
        method="get",
        path="/api/1/search",
        about="Search by words, meaning and what is seen, or for scenes like one",
        answer=records.Results,
        query=(
            _WORDS,
            Parameter(name="like", about="a moment: find scenes that look like the one it is in"),
            _MODE,
            _LIMIT,
        ),
        failures=(400, 401, 404, 501),
    ),
    Call(
        method="post",
        path="/api/1/search/image",
        about="Search by a picture, alone or with words",
        answer=records.Results,
        form=(
            Parameter(
                name="image", about="JPEG, PNG, WebP, GIF, BMP or TIFF", kind=FILE, required=True
            ),
            _WORDS,
            _MODE,
            _LIMIT,
            *_WEIGHTS,
        ),
        failures=(400, 401, 403, 413, 415, 501, 502, 503),
    ),
    Call(
        method="get",
        path="/api/1/search/semantic",
        about="Search by meaning alone",
        answer=records.Results,
        query=(_QUERY, _LIMIT, *_WEIGHTS),
        failures=(400, 401, 501, 503),
    ),
    Call(
        method="get",
        path="/api/1/items/{item}",
        about="One title",
        answer=records.ItemRecord,
        failures=(401, 404),
    ),
    Call(
        method="get",
        path="/api/1/files/{file}/scenes",
        about="The scene record of one file",
        answer=None,
        failures=(401, 404),
    ),
    Call(method="get", path="/api/1/status", about="What is indexed", answer=records.Status),
    Call(
        method="post",
        path="/api/1/scan",
        about="Scan now, whatever the windows say",
        answer=records.Requested,
        body=records.Wanted,
        status=202,
        failures=(400, 401, 403, 404),
    ),
    Call(
        method="post",
        path="/api/1/sync",
        about="Look through every library for new, moved and removed files",
        answer=records.Status,
        body=records.Look,
        failures=(400, 401, 403, 404),
    ),
    Call(
        method="post",
        path="/api/1/retry",
        about="Try a file again that was set aside",
        answer=records.Requested,
        body=records.Retry,
        status=202,
        failures=(400, 401, 403, 404),
    ),
    Call(
        method="get",
        path="/api/1/health",
        about="alive, ready or degraded",
        answer=records.Health,
        failures=(503,),
    ),
    Call(
        method="get", path="/api/1/openapi.json", about="This description", answer=None, failures=()
    ),
)


def document(base: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document. base: the base path below which the API lies."""
    structs = [
        records.ErrorRecord,
        *(call.answer for call in CALLS if call.answer),
        *(call.body for call in CALLS if call.body),
    ]
    (_, schemas) = msgspec.json.schema_components(
        structs, ref_template="#/components/schemas/{name}"
    )
    paths: dict[str, dict[str, Any]] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method] = _operation(call)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Heimdex Companion", "version": companion.__version__},
        "servers": [{"url": base or "/"}],
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(call: Call) -> dict[str, Any]:
    found: dict[str, Any] = {
        "summary": call.about,
        "operationId": f"{call.method}_{call.path.removeprefix('/api/1/')}".translate(
            str.maketrans("/{}.", "____")
        ),
        "parameters": [*_in_path(call.path), *(_in_query(one) for one in call.query)],
        "responses": {
            str(call.status): {"description": call.about, "content": _content(call.answer)},
            **{
                str(code): {
                    "description": "what went wrong, in words",
                    "content": _content(
                        records.Health if call.answer is records.Health else records.ErrorRecord
                    ),
                }
                for code in call.failures
            },
        },
    }
    if call.form:
        schema = {
            "type": "object",
            "properties": {
                one.name: {"description": one.about, **_type(one.kind)} for one in call.form
            },
            "required": [one.name for one in call.form if one.required],
        }
        content = {"multipart/form-data": {"schema": schema}}
        found["requestBody"] = {"required": True, "content": content}
    if call.body:
        found["requestBody"] = {"required": True, "content": _content(call.body)}
    return found


def _in_path(path: str) -> list[dict[str, Any]]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
    ]


def _in_query(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.about,
        "required": parameter.required,
        "schema": _type(parameter.kind),
    }


def _type(kind: str) -> dict[str, str]:
    return {"type": "string", "format": "binary"} if kind == FILE else {"type": kind}


def _content(struct: type[msgspec.Struct] | None) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    if struct:
        schema = {"$ref": f"#/components/schemas/{struct.__name__}"}
    return {"application/json": {"schema": schema}}
