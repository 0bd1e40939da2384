"""What a walkthrough holds, as frozen dataclasses with numpy arrays: the one definition of the page's data.

`web/src/data.ts` is written from these classes (tools/page_types.py). An array says its axes:
`Annotated[Array, "N H L"]`, in the letters of tensors.py (L tokens, D hidden size, H heads, K head size, N layers,
C classes) and A, the answers shown; any other letter is a size that only its own class knows. Layers count from 0.
`web/DATA.md` says the arithmetic that must hold between the fields.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from classtoken.page.blocks import plain
from classtoken.page.card import ModelCard, ToyWeights
from classtoken.page.evidence import CalibrationChart, LayerBand, MeasuredClaim
from classtoken.page.example import Example

FORMAT: Literal["classtoken-walkthrough"] = "classtoken-walkthrough"
VERSION: Literal[4] = 4


@dataclass(frozen=True)
class FamilyRow:
    """Who uses what, from the families table."""

    family: str
    class_token: str
    registers: str
    readout: str
    note: str
    used_by: str = ""
    """a checkpoint of it"""


@dataclass(frozen=True)
class Walkthrough:
    """A whole walkthrough."""

    made_by: str
    model: ModelCard
    examples: tuple[Example, ...]
    bands: tuple[LayerBand, ...] = ()
    claims: tuple[MeasuredClaim, ...] = ()
    calibration: CalibrationChart | None = None
    families: tuple[FamilyRow, ...] = ()
    toy: ToyWeights | None = None
    format: Literal["classtoken-walkthrough"] = FORMAT
    version: Literal[4] = VERSION

    def to_json(self) -> str:
        """The document as JSON, safe to stand inside a script element: every `<` is written as \\u003c."""
        return dumps(plain(self))


LONG = 1000
"""letters of a text from which on it is not written twice"""


def folded(value: Any) -> dict[str, Any]:
    """A document as `plain` gives it, smaller: long texts that stand in it more than once, as pictures or the positions
    of every input, stand in `repeated`, and `{"repeated": 0}` in their places."""
    times = Counter(text for text in _texts(value) if len(text) >= LONG)
    places = {text: place for place, text in enumerate(text for text, n in times.items() if n > 1)}
    return {**_folded(value, places), **({"repeated": list(places)} if places else {})}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def _folded(value: Any, places: dict[str, int]) -> Any:
    if isinstance(value, str):
        return {"repeated": places[value]} if value in places else value
    if isinstance(value, dict):
        return {key: _folded(each, places) for key, each in value.items()}
    return [_folded(each, places) for each in value] if isinstance(value, list) else value


def dumps(value: Any) -> str:
    """JSON without a literal `<`, U+2028 or U+2029 in it, so that no text can end the script it stands in."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
