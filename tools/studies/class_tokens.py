"""Do several class tokens specialise? Measured on scenes that the package draws; writes docs/studies/class-tokens.md.

    python tools/studies/compare.py tokens-single tokens-several        # each token as a candidate
    python tools/studies/class_tokens.py                                # what each token knows of each label

`builtin:scenes-multi` was trained with a class token for each animal. Judged on scenes of one kind of animal, where a
label excludes the others, and on scenes that may show several.
"""

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from compare import OUT, STUDIES, Study
from compare_page import table

from classtoken.embedder import load
from classtoken.files import write_text
from classtoken.measure.specialisation import read_out, specialisation
from classtoken.plain import encode, to_json
from classtoken.results.compare import read_result

PAGE = OUT.parent / "class-tokens.md"
FOUND = PAGE.with_suffix(".json")
TITLES = {
    "tokens-single": ("Scenes with one kind of animal", "classification"),
    "tokens-several": ("Scenes that may show several animals", "multilabel"),
}
INTRODUCTION = """
# Do several class tokens specialise?

`builtin:scenes-multi` has three class tokens, and was trained so that the bird's logit is read from token 0 alone, the
cat's from token 1 and the dog's from token 2. Does each then know its own animal, or do all know everything?

Two ways of asking, both on fresh scenes. **As vectors**: each token alone, their mean (`cls`), all three side by side
and the mean of the patches, judged by [compare](../compare.md) as in [the other studies](compare.md), in groups that
cannot be told apart. **As a pattern**: a linear probe reads every label from every token; tokens are specialists if
some are better at some labels than the token's and the label's averages explain (the *interaction*), more than where
the tokens are exchanged at random within every scene. A token that is better at everything is no specialist.

Written by `python tools/studies/class_tokens.py`. It holds for this model on these scenes. What literature says of
tokens that are all trained for all labels: they stay alike (cosine 0.999 in DeiT).
"""


def main() -> None:
    """Measure what is not there, write the page."""
    found: dict[str, Any] = json.loads(FOUND.read_text(encoding="utf-8")) if FOUND.is_file() else {}
    for name in TITLES:
        if name not in found:
            found[name] = measured(STUDIES[name]())
            write_text(FOUND, to_json(found, indent=1) + "\n")
    parts = [INTRODUCTION.strip(), *(section(name, found[name]) for name in TITLES)]
    PAGE.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def measured(study: Study) -> dict[str, Any]:
    """What each token's vector says of each label, against tokens exchanged within every scene."""
    with tempfile.TemporaryDirectory() as temporary:
        with study.source(Path(temporary)).open(newline="") as file:
            rows = list(csv.DictReader(file))
        embedder = load(study.model)
        states = np.stack([embedder.embed([row["image"] for row in rows], pooling=f"cls({n})") for n in range(3)], 1)
    labels = sorted({label for row in rows for label in row["label"].split("|")})
    truth = np.array([[label in row["label"].split("|") for label in labels] for row in rows])
    return {"scenes": len(rows), "labels": labels, **encode(specialisation(read_out(states, truth), truth))}


def section(name: str, found: dict[str, Any]) -> str:
    """One kind of scenes."""
    title, task = TITLES[name]
    result = read_result(OUT / f"{name}-{task}.json")
    lines = [f"| token | {' | '.join(found['labels'])} |", "|---" * (1 + len(found["labels"])) + "|"]
    lines += [f"| {n} | {' | '.join(f'{value:.3f}' for value in row)} |" for n, row in enumerate(found["precision"])]
    best = ", ".join(
        f"{label} by token {token}" for label, token in zip(found["labels"], found["best_token"], strict=True)
    )
    kind = "They are specialists" if found["p"] <= 0.05 else "Specialists are not shown"
    said = (
        f"{kind}: the interaction of token and label is {found['observed']:.4f}, that of exchanged tokens "
        f"{found['by_chance']:.4f}, 95 % of those below {found['chance_high']:.4f} (p = {found['p']:.3f}). Best read: "
        f"{best}. Average precision of a linear probe on one token alone ({found['scenes']} scenes, out of fold):"
    )
    return "\n\n".join(
        [f"## {title}", said, "\n".join(lines), "As vectors:", table(result), f"{result.advice} {result.sure}"]
    )


if __name__ == "__main__":
    main()
