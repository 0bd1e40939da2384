"""A trained classifier applied to one input: the answer, and no folder."""

from pathlib import Path
from typing import Any

from classtoken.embedder import Embedder, classifying_sides, load, with_prompt
from classtoken.embedder.zero_shot import worded
from classtoken.errors import OptionError
from classtoken.files import user_path
from classtoken.inputs import check_item, listed, names_file, names_picture, rest_in_words, said_a_text
from classtoken.learning.temperature import fitted_temperature
from classtoken.options import PredictOptions
from classtoken.options.base import refuse_given
from classtoken.results.predict import LabelProbability, PredictedItem
from classtoken.source.drawn import PREFIX
from classtoken.source.opening import holds_records

#: Options that say something about a folder of labels.
OF_FOLDERS = ("limit", "part_rows", "overwrite")


def predict_item(model: str | Path | Embedder, item: Any, options: PredictOptions) -> PredictedItem:
    """Label one input: see `classtoken.predict`."""
    refuse_given(options, OF_FOLDERS, "only with `out`, a folder for the labels of many records")
    if options.calibrate is None:
        refuse_given(options, ["source_options"], "only with `calibrate` or `out`, a file or folder of records")
    item = _only(item, options.modality)
    embedder = load(
        model, precision=options.precision, device=options.device, revision=options.revision, accept=options.accept
    )
    embedder = worded(embedder, options)
    sides = classifying_sides(embedder, options.modality)
    side = options.modality or (sides[0] if len(sides) == 1 or _pictured(item) == (sides[0] == "image") else sides[1])
    check_item(item, side, embedder.name, options.modality)
    classifier = embedder.classifying(side).reading.classifier
    assert classifier is not None
    embedder, prompt = with_prompt(embedder, side, options.prompt, options.prompt_text)
    if options.calibrate is not None:
        classifier.temperature = fitted_temperature(
            embedder, side, options.calibrate, options.source_options, prompt=prompt
        )
    tokens = embedder.tokens([item], modality=side, prompt=prompt)
    rows, typical = embedder.answers_of(tokens, modality=side, prompt=prompt)
    found = rows[0]
    order = found.argsort()[::-1]
    all_labels = tuple(LabelProbability(embedder.labels[place], float(found[place])) for place in order)
    given = tuple(each.label for each in all_labels if each.probability > 0.5)
    return PredictedItem(
        item=str(item) if isinstance(item, str | Path) else "",
        model=embedder.name,
        prediction=given if classifier.multilabel else (all_labels[0].label,),
        probabilities=all_labels,
        multilabel=classifier.multilabel,
        typical=None if typical is None else float(typical[0]),
        every=options.every,
        notes=rest_in_words(embedder.tower(side).prepare, tokens.cut),
    )


def _only(item: Any, asked: str | None) -> Any:
    """The one input; what may hold many is refused before anything is loaded."""
    several = [item] if isinstance(item, str | Path) else listed(item)
    if not several:
        raise OptionError("there is no input; give a text or a picture, or a source and `out`.")
    if len(several) != 1:
        raise OptionError(f"{len(several)} inputs: `out` is missing, the folder that their labels go into.")
    (only,) = several
    if isinstance(only, str | Path) and not (said_a_text(only, asked) or names_picture(only)) and _of_many(str(only)):
        raise OptionError(
            f"'{only}' may hold many records: `out` is missing, the folder that their labels go into. Without it one "
            "picture or one text is labelled. If this is a text, say so: `modality` text."
        )
    return only


def _of_many(name: str) -> bool:
    """Whether a name is that of a source: a folder, a file of records, a URL, drawn pictures."""
    if names_file(name) and user_path(name).is_file() and not holds_records(Path(name)):
        return False  # one input, whatever its name ends in: its first bytes say what it is
    return names_file(name) or ((name.startswith(PREFIX) or "://" in name) and not any(map(str.isspace, name)))


def _pictured(item: Any) -> bool:
    return not isinstance(item, str) or names_picture(item)
