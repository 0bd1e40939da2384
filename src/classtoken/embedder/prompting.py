"""A prompt by name and a prompt in words, told apart."""

from collections.abc import Collection, Mapping

from classtoken.errors import OptionError
from classtoken.inputs import Preprocessor
from classtoken.tokens.text import TextPreprocessor

#: What a query's and a document's prompt are called by those who publish models, in the order in which they are tried.
ROLES: Mapping[str, tuple[str, ...]] = {
    "query": ("query", "search_query", "question", "web_search_query"),
    "document": ("document", "search_document", "passage", "corpus", "text"),
}


class PromptWords(str):
    """A prompt that was given in words, or stands written down: no name is meant, so none is looked for."""

    __slots__ = ()


def prompt_for_role(prompts: Collection[str], role: str) -> str | None:
    """The name of the prompt that a model has for queries or for documents; None where it has none.

    Raises `OptionError` for another role.
    """
    named = role.removeprefix("search_")
    if named not in ROLES:
        raise OptionError(f"the role of a text is '{role}'; it may be query or document.")
    return next((known for known in ROLES[named] if known in prompts), None)


def told_prompt(
    prepare: Preprocessor, model: str, name: str | None, words: str | None, names: Collection[str]
) -> str | None:
    """What a preprocessor is given as its prompt: one of the model's by `name`, or `words`; None for the model's own.
    `names` are those that the model takes, with those of its routes (`Embedder.prompts`).

    Raises `OptionError` for both at once, for pictures, for a name that the model has no prompt of, and for words that
    are the name of one.
    """
    if name is None and words is None:
        return None
    if name is not None and words is not None:
        raise OptionError("`prompt` is one of the model's prompts by name and `prompt_text` one in words; give one.")
    if not isinstance(prepare, TextPreprocessor):
        raise OptionError("a prompt stands before a text, and pictures are read here; leave it out.")
    known = prepare.recipe.prompts
    listed = f"its prompts are {', '.join(map(repr, names))}" if names else "it has none"
    if name is not None and name not in known:
        raise OptionError(f"'{model}' has no prompt called '{name}'; {listed}. Words go into `prompt_text`.")
    if words in names:
        raise OptionError(f"'{words}' is the name of a prompt of '{model}'; give it as `prompt`.")
    return PromptWords(words) if name is None else name
