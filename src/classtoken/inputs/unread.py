"""What is said of texts that are longer than their model takes: every verb that reads texts says it in these words."""

from collections.abc import Sequence

from classtoken.inputs.preprocessor import Preprocessor
from classtoken.results.base import counted
from classtoken.tokens.text import TextPreprocessor


def unread_in_words(prepare: Preprocessor, texts: int) -> tuple[str, ...]:
    """A note on so many texts that were longer than the model takes; none where there was none."""
    if not texts:
        return ()
    are, its = ("is", "its") if texts == 1 else ("are", "their")
    return (f"{counted(texts, 'text')} {are} longer than {_takes(prepare)}; the rest of {its} words was not read",)


def rest_in_words(prepare: Preprocessor, tokens: Sequence[int]) -> tuple[str, ...]:
    """The same, of the tokens of each text that were left out; of a single text it says how many those are at least
    (no more of a text is tokenized than its beginning, where its end is what goes)."""
    if len(tokens) == 1 and tokens[0]:
        were = "was" if tokens[0] == 1 else "were"
        number = f"at least {counted(tokens[0], 'token')}"
        return (f"the text is longer than {_takes(prepare)}; {number} of it {were} not read",)
    return unread_in_words(prepare, sum(map(bool, tokens)))


def _takes(prepare: Preprocessor) -> str:
    most = prepare.recipe.max_length if isinstance(prepare, TextPreprocessor) else None
    return "the model takes" if most is None else f"the {most} tokens that the model takes"
