"""The beginning of a long text, of which a model keeps no more: what is cut anyway is not tokenized first.

A tokenizer that splits at white space gives the words of a beginning the ids that they have in the whole text, as long
as it ends between words. So a text is cut behind a word, far enough that more tokens come out than are kept; where they
do not, more of it is taken, and a text without white space is taken whole.
"""

from collections.abc import Callable, Sequence

#: Characters that are taken for each token that is kept, and tokens that must be there besides.
CHARACTERS, SPARE = 8, 16
#: How much more is taken where that was not enough.
GROWTH = 4


def beginning(text: str, characters: int) -> str:
    """The text up to white space behind so many characters; the whole of it where there is none, or little more."""
    if len(text) <= 2 * characters:
        return text
    for place in range(characters, len(text)):
        if text[place].isspace():
            return text[:place]
    return text


def ids_kept(
    texts: Sequence[str], tokenize: Callable[[list[str]], list[list[int]]], most: int | None
) -> list[list[int]]:
    """The ids of each text; of long ones at least those that are kept, the first `most`, and the special ones."""
    if most is None:
        return tokenize(list(texts))
    characters = CHARACTERS * most
    short = [beginning(text, characters) for text in texts]
    found = tokenize(short)
    for place, text in enumerate(texts):
        size = characters
        while len(short[place]) < len(text) and len(found[place]) < most + SPARE:
            size *= GROWTH
            short[place] = beginning(text, size)
            found[place] = tokenize([short[place]])[0]
    return found
