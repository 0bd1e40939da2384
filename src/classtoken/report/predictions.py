"""The page of `predict`: the errors to look at, what is taken for what, every label, and how sure the answers were."""

from collections.abc import Mapping
from html import escape

from classtoken.report.heat_table import heat_table
from classtoken.report.html import Section, folded, page, table
from classtoken.results.base import counted
from classtoken.results.predict import Mistake, PredictResult

MATRIX = 30
"""labels up to which all pairs are drawn"""
PAIRS = 12
LONG = 400
"""signs of a text that are shown"""


def predictions_page(found: PredictResult, pictures: Mapping[str, str], *, said: str = "") -> str:
    """One self-contained HTML file; `pictures` are the mistakes' images as data URIs, by id. said: what there is to be
    known of the answers, at the end of the lead."""
    model, of = f"Model: {found.model}{f', {found.date}' if found.date else ''}.", f" of {found.source}"
    unsure, strangers = _unsure(found, pictures), _strangers(found, pictures)
    if found.accuracy is None:
        lead = f"{counted(found.records, 'record')} without labels of their own were labelled. {model} {said}"
        sections = [unsure, strangers, _given(found)]
        return page(f"Predictions{of if found.source else ''}", lead.rstrip(), [s for s in sections if s.body])
    at = found.interval
    limits = "" if at is None else f" (95 %: {_percent(at.low)} to {_percent(at.high)})"
    wrong = found.judged - round(found.accuracy * found.judged)
    lead = (
        f"{_percent(found.accuracy)} of {counted(found.judged, 'labelled record')} are right{limits}; {wrong} "
        f"{'is' if wrong == 1 else 'are'} wrong. {model} {said}"
    )
    if found.seen_in_training:
        lead += f" Mind: {found.seen_in_training}."
    sections = [_mistakes(found, pictures, wrong), unsure, strangers, _confused(found), _labels(found)]
    sections.append(_certainty(found))
    title = f"Predictions beside the labels{of if found.source else ''}"
    return page(title, lead.rstrip(), [s for s in sections if s.body])


def _unsure(found: PredictResult, pictures: Mapping[str, str]) -> Section:
    cards = "".join(
        f'<div class="card">{_shown(one.shown, pictures.get(one.id))}<div><b>{escape(one.prediction or "nothing")}</b> '
        f"{_percent(one.probability)}</div><small>{escape(one.id)}</small></div>"
        for one in found.least_sure
    )
    without = found.records - found.judged
    some = f"The {len(found.least_sure)} of {without} records" if without > len(found.least_sure) else "The records"
    return Section(
        "The least sure ones",
        f"{some} without a label of their own, those first that the model was least sure of: look at these, and give "
        "them a label by hand where it is wrong.",
        f'<div class="cards">{cards}</div>' if cards else "",
    )


def _given(found: PredictResult) -> Section:
    rows = [(label or "none", str(n), _percent(n / found.records)) for label, n in found.given.items()]
    head = ("label", "records", "of all")
    return Section("What was given how often", "", table(head, rows, numbers=(1, 2)) if rows else "")


def _mistakes(found: PredictResult, pictures: Mapping[str, str], wrong: int) -> Section:
    cards = "".join(_card(mistake, pictures.get(mistake.id)) for mistake in found.mistakes)
    kept = f"The {len(found.mistakes)} of {wrong} errors" if wrong > len(found.mistakes) else "The errors"
    return Section(
        "The errors to look at",
        f"{kept} that the model was surest of, surest first. Where the label in the data is the wrong one, mend the "
        "data; where a kind of record fails, add more of its kind.",
        f'<div class="cards">{cards}</div>' if cards else "<p>There are none.</p>",
    )


def _strangers(found: PredictResult, pictures: Mapping[str, str]) -> Section:
    cards = "".join(
        f'<div class="card">{_shown(one.shown, pictures.get(one.id))}<div>predicted <b>{escape(one.prediction)}</b> '
        f"{_percent(one.probability)}</div><div>typical {one.typical:.3f}</div><small>{escape(one.id)}</small></div>"
        for one in found.least_typical
    )
    return Section(
        "Records that look like none of the labels",
        f"{found.strange.replace('`', '')}. The answer is the nearest label, however far it is: look whether a kind "
        "of record is missing among those learned from. Least typical first.",
        f'<div class="cards">{cards}</div>' if cards else "",
    )


def _shown(text: str, picture: str | None) -> str:
    """The picture of a record, or its text."""
    return f'<img src="{picture}" alt="" loading="lazy">' if picture else f"<p>{escape(_short(text))}</p>"


def _card(mistake: Mistake, picture: str | None) -> str:
    of = "not among the model's labels" if mistake.of_label is None else _percent(mistake.of_label)
    several = "|" in mistake.label + mistake.prediction or not mistake.prediction
    certain = "" if several else f" {_percent(mistake.probability)}"
    own = "" if several else f" ({of})"
    said = f"<div>predicted <b>{escape(mistake.prediction or 'nothing')}</b>{certain}</div>"
    said += f"<div>label <b>{escape(mistake.label or 'none')}</b>{own}</div><small>{escape(mistake.id)}</small>"
    return f'<div class="card">{_shown(mistake.shown, picture)}{said}</div>'


def _confused(found: PredictResult) -> Section:
    pairs = [(c.label, c.prediction, str(c.records)) for c in found.confusions]
    if not pairs:
        return Section("", "")
    body = table(("label", "taken for", "records"), pairs[:PAIRS], numbers=(2,))
    if len(pairs) > PAIRS:
        body += folded(f"all {len(pairs)} pairs", table(("label", "taken for", "records"), pairs, numbers=(2,)))
    if len(found.label_figures) <= MATRIX:
        body += _matrix(found)
    return Section("What is taken for what", "", body)


def _matrix(found: PredictResult) -> str:
    """Every pair of labels: a row's shade is the share of the label's records."""
    figures = {row.label: row for row in found.label_figures}
    cells = {(row.label, row.label): row.right for row in found.label_figures}
    cells |= {(c.label, c.prediction): c.records for c in found.confusions}
    shaded = [
        [(str(n), n / row.records) if (n := cells.get((name, other), 0)) else None for other in figures]
        for name, row in figures.items()
    ]
    said = "<p>All pairs: rows are the labels of the records, columns what they were given.</p>"
    return said + heat_table(list(figures), list(figures), shaded)


def _labels(found: PredictResult) -> Section:
    rows = [
        (row.label, str(row.records), str(row.predicted), *map(_percent, (row.recall, row.precision, row.f1)))
        for row in sorted(found.label_figures, key=lambda row: (row.f1 is None, row.f1))
    ]
    head = ("label", "records", "predicted", "found (recall)", "right (precision)", "F1")
    return Section(
        "Label by label",
        "Worst first. Found: of the records with the label, those that got it. Right: of the records that got it, "
        "those that have it. F1: the harmonic mean of both.",
        table(head, rows, numbers=range(1, len(head))),
        "A label with few records has an uncertain figure: of 10 records, 8 right is between 44 and 97 %.",
    )


def _certainty(found: PredictResult) -> Section:
    rows = [(_percent(at.confidence), str(at.count), _percent(at.accuracy)) for at in found.sureness]
    return Section(
        "How sure, how often right",
        "Answers by the probability that they came with. Where the two columns agree, a probability can be taken at "
        "its word, and the records below a chosen one can be given to a person.",
        table(("probability, mean", "records", "right"), rows, numbers=(0, 1, 2)) if rows else "",
    )


def _short(text: str) -> str:
    return text if len(text) <= LONG else text[: LONG - 4] + " ..."


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"
