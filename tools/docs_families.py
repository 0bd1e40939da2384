"""docs/families.md: every family that is read natively, out of the table that loads it."""

from collections.abc import Mapping
from typing import Any

from generated import DOCS, finish, notice, table, wrapped

from classtoken.encoder.families.row import AuthorsReadout, Family, PoolerRow
from classtoken.encoder.families.table import DIALECTS, FAMILIES, PAIRS
from classtoken.readout.classifier import in_words
from classtoken.readout.own import FORMULAS, meaning, needs_weights

PAGE = DOCS / "families.md"
BY_TOKENIZER = "1 class + n word piece + 1 end, by its tokenizer"
INTRODUCTION = """
# Families

Encoders that are read natively: one transformer encoder, a row of data per family. Each is proved against the library
that it comes from on a tiny checkpoint that this library wrote, with no weight at its initial value, within 1e-5
relative in fp32: padded and packed, padded left and right, fused and traced (`tests/encoder/test_parity.py`).
What stands in no row comes in through `foreign`: any encoder of transformers that gives token states, run by
transformers' own code, with the internal values that it cannot give declared as gaps. `classtoken inspect MODEL` says
all of this, and more, about one checkpoint.

**`pooler_output` has many meanings.** The same name stands for {meanings} different formulas in the rows below, and for
some checkpoints for random numbers: where its weights are missing, transformers draws them anew at every load.
"""


def text() -> str:
    """The whole page."""
    families = sorted(FAMILIES, key=lambda family: family.modality == "image")
    singles = [_row(family) for family in families]
    head = ["family", "reads", "tokens", "the authors' vector", "`pooler_output` in transformers"]
    kinds = {_pooler(family).kind for family in FAMILIES} & FORMULAS.keys()
    parts = [notice("docs_families.py"), INTRODUCTION.format(meanings=len(kinds)).lstrip(), table(head, singles), ""]
    parts.append(
        "**Two sides that meet in one space**: "
        + "; ".join(f"`{name}` ({image.name} and {words.name})" for name, (image, words) in PAIRS.items())
        + '. Say which side with `modality="text"` or `modality="image"`; the contract then is the projected vector at '
        "unit length, and the two sides' vectors are compared by their dot product.\n"
    )
    parts += [_section(family) for family in families]
    parts.append("## Layouts of other libraries\n")
    parts.append(
        "The same encoders under the names that timm and open_clip write. Held by golden files made with them.\n"
    )
    dialects = [
        [f"**{f.name}**", f.modality, "<br>".join(f.used_by), f.paper, "<br>".join(map(str, f.notes))] for f in DIALECTS
    ]
    parts.append(table(["row", "reads", "for example", "paper", "mind"], dialects))
    return wrapped("\n".join(parts)) + "\n"


def _row(family: Family) -> list[str]:
    readout = _readout(family)
    anchor = family.name.replace(" ", "-")
    chosen = f"`{readout.spec}`{', projected' if family.projection else ''}{', unit length' * readout.unit_length}"
    return [f"[{family.name}](#{anchor})", family.modality, _tokens(family), chosen, _pooled(family)]


def _section(family: Family) -> str:
    readout, rows = _readout(family), []
    rows.append(["`model_type`", ", ".join(f"`{name}`" for name in family.types)])
    rows.append(["tokens", _tokens(family)])
    rows.append(["the authors' vector", f"`{readout.spec}`: {readout.reason} ({readout.source})"])
    if readout.alternatives:
        rows.append(["for other uses", "; ".join(f"{use}: {spec}" for use, spec in readout.alternatives.items())])
    rows.append(["`pooler_output` in transformers", _pooled(family)])
    where = "after the final norm" if family.hidden_state == "final" else "BEFORE the final norm"
    rows.append(["`last_hidden_state` in transformers", where])
    heads = [head for head in (family.head, *family.other_heads) if head is not None]
    if heads:
        rows.append(
            [
                "classifier, where there is one",
                "; or ".join(in_words(head, head.pooling(_config(family))) for head in heads),
            ]
        )
    rows.append(["for example", ", ".join(family.used_by)])
    rows.append(["paper", family.paper])
    if family.notes:
        rows.append(["mind", "<br>".join(map(str, family.notes))])
    return f"## {family.name}\n\n{table(['', ''], rows)}\n"


def _config(family: Family) -> Mapping[str, Any]:
    return family.published


def _readout(family: Family) -> AuthorsReadout:
    return family.authors_readout(_config(family))


def _pooler(family: Family) -> PoolerRow:
    return family.pooler_row(_config(family))


def _tokens(family: Family) -> str:
    if family.modality == "text":
        return family.tokens or BY_TOKENIZER
    return str(family.shape(_config(family)).layout)


def _pooled(family: Family) -> str:
    row = _pooler(family)
    if row.kind == "none":
        return "there is none"
    often = "; its weights are often missing" if needs_weights(row) and row.optional else ""
    return meaning(row) + often


if __name__ == "__main__":
    finish(PAGE, text())
