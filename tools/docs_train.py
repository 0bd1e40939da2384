"""docs/train.md: every field of a recipe out of `learning/recipe.py`, and comparisons out of benchmarks/results."""

import ast
import json
from collections.abc import Iterator
from typing import Any

from generated import DOCS, ROOT, finish, into, table

PAGE = DOCS / "train.md"
RESULTS = ROOT / "benchmarks" / "results"
TABLES = {
    "DataOptions": "[data]",
    "HeadOptions": "[head]",
    "ObjectiveOptions": "[objective]",
    "AugmentOptions": "[augment]",
    "OptimiserOptions": "[optimiser]",
    "LoopOptions": "[loop]",
    "Recipe": "besides the tables",
}
PLAIN = {
    "text_column": "what the column of texts is called",
    "image_column": "what the column of images is called",
    "label_column": "what the column of labels is called",
    "limit": "the first so many records only",
    "std": "of each channel in 0..1, as `mean`",
    "kind": "which",
    "label_smoothing": "part of the target that is spread evenly over all classes",
    "class_weights": "whether every class weighs the same, rare or not",
    "teacher_weight": "part of the loss that is the teacher's",
    "teacher_temperature": "DINO: divides the teacher's scores; small is sharp",
    "teacher_momentum": "DINO: how slowly the teacher follows the student, rising to 1",
    "centre_momentum": "DINO: how slowly the centre of the teacher's scores moves",
    "local_crops": "DINO: small crops of every picture, which the student alone sees",
    "flip": "half of the pictures mirrored left to right",
    "magnitude": "the largest strength of RandAugment's operations",
    "learning_rate": "the highest",
    "weight_decay": "of matrices and kernels only",
    "momentum": "of sgd and muon",
    "betas": "of adamw",
    "schedule": "how the rate falls after the warm-up",
    "epochs": "passes over the records",
    "batch": "records of one step",
    "seed": "of everything that is drawn",
    "precision": "numbers that are computed in",
    "drop_path": "chance that a block's half is left out, rising over the blocks (stochastic depth)",
    "dropout": "part of the numbers that is set to 0",
    "about": "a sentence for the card",
    "checkpoint_seconds": "a checkpoint is written after so many",
}
"""what a field means where the source has no line under it, because its name says it to whoever reads code"""


def fields() -> Iterator[tuple[str, str, str, str]]:
    """Table, name, default and meaning of every field, in the order of the source."""
    tree = ast.parse((ROOT / "src/classtoken/learning/recipe.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or node.name not in TABLES:
            continue
        for line, after in zip(node.body, [*node.body[1:], None], strict=True):
            if not isinstance(line, ast.AnnAssign) or not isinstance(line.target, ast.Name):
                continue
            name, kind = line.target.id, ast.unparse(line.annotation)
            if kind.endswith("Options") or name == "model":
                continue
            value = "" if line.value is None else ast.unparse(line.value)
            said = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
            meaning = " ".join(str(said).split()) or PLAIN[name]
            if kind.startswith("Literal["):
                choices = ", ".join(str(choice).strip(" '") for choice in kind[8:-1].split(","))
                meaning = (
                    f"{choices}{': ' if meaning and meaning != 'which' else ''}{'' if meaning == 'which' else meaning}"
                )
            yield TABLES[node.name], name, {"None": "", "field(default_factory=dict)": ""}.get(value, value), meaning


def recipes() -> str:
    """One table of fields."""
    rows, last = [], ""
    for where, name, default, meaning in fields():
        rows.append([where if where != last else "", f"`{name}`", f"`{default}`" if default else "", meaning])
        last = where
    return table(["table", "field", "if left out", "what it is"], rows)


def compared() -> str:
    """What benchmarks/ measured."""
    parts = []
    for name, write in (("clothing", clothing), ("learning", learning), ("unlabelled", unlabelled)):
        path = RESULTS / f"{name}.json"
        if path.is_file():
            parts.append(write(json.loads(path.read_text(encoding="utf-8"))))
    return "\n\n".join(parts)


def clothing(found: dict[str, Any]) -> str:
    """Heads, poolings and fine-tuning beside scikit-learn."""
    ways, rows = found["ways"], []
    for name, way in sorted(ways.items(), key=lambda item: -item[1]["accuracy"][0]):
        against = way.get("against", {}).get("scikit-learn/cls")
        calibration = way.get("calibration", ["", ""])
        rows.append(
            [
                name,
                interval(way["accuracy"]),
                f"{signed(against['difference'])}, p {against['p']:.2g}" if against else "",
                f"{calibration[0]} / {calibration[1]}" if "calibration" in way else "",
                f"{way['seconds']:.0f}",
            ]
        )
    own = [
        f"`{name}` {signed(way['against'][peer]['difference'])} (p {way['against'][peer]['p']:.2g})"
        for name, way in ways.items()
        if name.startswith("linear/") and (peer := f"scikit-learn/{name.partition('/')[2]}") in way.get("against", {})
    ]
    return "\n\n".join(
        [
            "### Product photographs: which way is best?",
            f"DeiT-Tiny on 10 kinds of clothing: {found['learned']} photographs to learn from and to choose on, "
            f"{found['tested']} looked at once (`benchmarks/training/clothing.py`; {where(found)}). Intervals are "
            "Wilson's; differences to scikit-learn's best logistic regression on the class token are paired. ECE: "
            "before and after the temperature, on the held-out part of what was learned from. Seconds are those of a "
            "machine that other work shared.",
            table(["way", "accuracy", "ahead of `scikit-learn/cls`", "ECE", "seconds"], rows),
            f"Ours against scikit-learn's on the same vectors: {'; '.join(own)}.",
        ]
    )


def learning(found: dict[str, Any]) -> str:
    """A student with and without its teacher."""
    rows = []
    for name, way in found["ways"].items():
        ahead = f"{signed(way['difference'])}, p {way['p']:.2g}" if "p" in way else ""
        rows.append([name, interval(way["accuracy"]), ahead, str(way.get("steps", ""))])
    return "\n\n".join(
        [
            "### Scenes: what is a teacher worth?",
            "A student of 63,000 parameters has the labels of 359 scenes; `builtin:scenes` labels 2,400 more for it "
            f"(`benchmarks/training/learning.py`; {where(found)}). Equal numbers of steps of equal size. All three "
            "labels of a scene right, on 1,000 fresh scenes:",
            table(["the student learns from", "accuracy", "ahead of labels alone", "steps"], rows),
        ]
    )


def unlabelled(found: dict[str, Any]) -> str:
    """DINO's class token beside first weights and pixels."""
    rows = [
        [
            row["reader"],
            row["description"],
            interval(row["accuracy"]),
            f"{signed(row['dino_ahead'])}, p {row['p']:.2g}" if "p" in row else "",
        ]
        for row in found["rows"]
    ]
    return "\n\n".join(
        [
            "### Faces without labels: what does DINO learn?",
            f"3,000 tiny faces, {found['seconds'] / 60:.0f} minutes (`benchmarks/training/unlabelled.py`; "
            f"{where(found)}). What a classifier makes of each description, on {found['tested']} fresh faces:",
            table(["classifier", "on", "accuracy", "DINO is ahead by"], rows),
            "With few labels, and with a straight line, the class token that was learned without any is far ahead of "
            "the pixels; with 3,000 labelled faces to look up, the pixels' nearest neighbours are the better ones.",
        ]
    )


def interval(values: list[float]) -> str:
    """An estimate in percent with its interval."""
    return f"{100 * values[0]:.1f} % [{100 * values[1]:.1f}, {100 * values[2]:.1f}]"


def signed(values: list[float]) -> str:
    """A difference in points with its interval."""
    return f"{100 * values[0]:+.1f} [{100 * values[1]:+.1f}, {100 * values[2]:+.1f}]"


def where(found: dict[str, Any]) -> str:
    """The machine."""
    machine = found["machine"]
    return f"{machine['processor']}, {machine['threads']} of {machine['cores']} cores, torch {machine['torch']}"


def text() -> str:
    """The page with both parts as code and results are now."""
    page = into(PAGE.read_text(encoding="utf-8"), "docs_train.py recipes", recipes())
    return into(page, "docs_train.py compared", compared())


if __name__ == "__main__":
    finish(PAGE, text())
