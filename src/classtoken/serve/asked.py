"""The body of a request for embeddings, read strictly: OpenAI's fields and a few more."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from classtoken.serve.bodies import RequestError
from classtoken.serve.served import ServedItem

KNOWN = ("input", "model", "encoding_format", "dimensions", "user", "input_type", "prompt_name", "truncate")
PARTS = ("text", "image", "image_url")
"""how an input that is an object holds what is to be embedded"""
LARGEST_ID = 2**31


@dataclass(frozen=True)
class EmbeddingRequest:
    """What is asked for: `model` by its name (None: the only one), inputs in order, how the vectors are written, cut to
    how many numbers; the prompt by the role of the texts or by name; whether texts may be cut."""

    model: str | None
    items: tuple[ServedItem, ...]
    encoding: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    role: str | None = None
    prompt: str | None = None
    truncate: bool = True


def read_request(raw: bytes, *, most_items: int) -> EmbeddingRequest:
    """Raises `RequestError` 400 that names the field."""
    body = read_body(raw, "input")
    only_known(body, KNOWN)
    encoding = "float" if body.get("encoding_format") is None else body["encoding_format"]
    if encoding not in ("float", "base64"):
        raise RequestError(400, "encoding_format may be float or base64", about="encoding_format")
    dimensions = body.get("dimensions")
    if dimensions is not None and (type(dimensions) is not int or dimensions < 1):
        raise RequestError(400, "dimensions must be a whole number of 1 or more", about="dimensions")
    if not isinstance(body.get("truncate"), bool | None):
        raise RequestError(400, "truncate must be true or false", about="truncate")
    return EmbeddingRequest(
        short_text(body, "model"),
        _items(body.get("input"), most_items),
        cast(Literal["float", "base64"], encoding),
        dimensions,
        short_text(body, "input_type"),
        short_text(body, "prompt_name"),
        body.get("truncate") is not False,
    )


def read_body(raw: bytes, field: str) -> dict[str, Any]:
    """A JSON object, which should have this field. NaN and Infinity, which Python's reader takes, are no JSON."""
    try:
        body = json.loads(raw, parse_constant=_no_json)
    except (ValueError, RecursionError):
        raise RequestError(400, "the body is not JSON") from None
    if not isinstance(body, dict):
        raise RequestError(400, f"the body must be a JSON object with '{field}'")
    return body


def _no_json(name: str) -> float:
    raise ValueError(name)


def only_known(body: Mapping[str, Any], known: Sequence[str], about: str | None = None) -> None:
    """Refuse fields that are not known, so that a misspelt one is not ignored; errors call them `about`, or by their
    own names."""
    unknown = [name for name in body if name not in known]
    if unknown:
        there = "" if about is None else f"{about}: "
        raise RequestError(
            400,
            f"{there}'{unknown[0][:60]}' is not known; known are {', '.join(known)}",
            about=about or unknown[0][:60],
        )


def short_text(body: Mapping[str, Any], name: str, most: int = 500) -> str | None:
    """A field that is a text of at most so many signs, or not there."""
    value = body.get(name)
    if value is not None and (not isinstance(value, str) or len(value) > most):
        raise RequestError(400, f"{name} must be a short text", about=name)
    return value


def _items(given: Any, most: int) -> tuple[ServedItem, ...]:
    """One input or a list of them: texts, ids of tokens, images as data URLs."""
    if given is None:
        raise RequestError(400, "'input' is missing", about="input")
    one = isinstance(given, str | dict) or (isinstance(given, list) and bool(given) and _is_id(given[0]))
    listed = [given] if one else given
    if not isinstance(listed, list) or not listed:
        raise RequestError(400, "'input' must be a text, a list of texts, or ids of tokens", about="input")
    if len(listed) > most:
        raise RequestError(400, f"{len(listed)} inputs; at most {most} are taken in one request", about="input")
    return tuple(served_item(value, f"input[{place}]") for place, value in enumerate(listed))


def served_item(value: Any, about: str) -> ServedItem:
    """One input; errors call it `about`."""
    if isinstance(value, list):
        if not value or not all(map(_is_id, value)):
            raise RequestError(400, f"{about} must be ids of tokens, whole numbers from 0", about=about)
        return ServedItem("ids", value)
    if isinstance(value, dict):
        value = _part(value, about)
    if not isinstance(value, str):
        raise RequestError(400, f"{about} must be a text, ids of tokens, or an image as a data URL", about=about)
    if value[:11].lower() == "data:image/":
        return ServedItem("image", _picture(value, about))
    return ServedItem("text", value)


def _part(value: Mapping[str, Any], about: str) -> Any:
    """`{"text": ...}`, `{"image": ...}`, `{"type": "image_url", "image_url": {"url": ...}}`: one of them."""
    only_known(value, (*PARTS, "type"), about)
    given = [name for name in PARTS if value.get(name) is not None]
    if len(given) > 1:
        raise RequestError(
            400, f"{about} has {' and '.join(given)}; each input has a vector of its own: give them as two", about=about
        )
    if given in ([], ["text"]):
        return value.get("text")
    address = value[given[0]]
    if isinstance(address, dict):
        only_known(address, ("url", "detail"), about)
        address = address.get("url")
    if not isinstance(address, str) or address[:11].lower() != "data:image/":
        raise RequestError(
            400,
            f"{about} must hold its image as a data URL (data:image/png;base64,...); no address is fetched",
            about=about,
        )
    return address


def _picture(url: str, about: str) -> bytes:
    head, _, data = url.partition(",")
    if not head.lower().endswith(";base64"):
        raise RequestError(400, f"{about} must be data:image/...;base64,...", about=about)
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise RequestError(400, f"{about} is not base64", about=about) from None


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 <= value < LARGEST_ID
