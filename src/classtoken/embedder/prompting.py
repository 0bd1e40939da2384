"""A prompt by name and a prompt in words, told apart."""

from classtoken.embedder.embedder import Embedder
from classtoken.errors import OptionError
from classtoken.tokens.text import TextPreprocessor


def prompt_of(embedder: Embedder, modality: str | None, name: str | None, words: str | None) -> str | None:
    """What a preprocessor is given as its prompt: one of the model's by `name`, or `words`; None for the model's own.

    Raises `OptionError` for both at once, for pictures, for a name that the model has no prompt of, and for words that
    are the name of one.
    """
    if name is None and words is None:
        return None
    if name is not None and words is not None:
        raise OptionError("`prompt` is one of the model's prompts by name and `prompt_text` one in words; give one.")
    prepare = embedder.tower(modality).prepare
    if not isinstance(prepare, TextPreprocessor):
        raise OptionError("a prompt stands before a text, and pictures are read here; leave it out.")
    known = prepare.recipe.prompts
    listed = f"its prompts are {', '.join(map(repr, known))}" if known else "it has none"
    if name is not None and name not in known:
        raise OptionError(f"'{embedder.name}' has no prompt called '{name}'; {listed}. Words go into `prompt_text`.")
    if words in known:
        raise OptionError(f"'{words}' is the name of a prompt of '{embedder.name}'; give it as `prompt`.")
    return words if name is None else name
