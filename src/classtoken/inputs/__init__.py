"""Records and items -> what an encoder reads, or the reason why not: the one room where inputs are prepared.

    rejected: dict[int, Rejected] = {}
    for batch in batches(prepare, enumerate(records), rejected.__setitem__):
        batch.places, batch.tokens            # which records, and their tokens
    rejected[7].reason                        # what is wrong with record 7

`rejecting` decides what counts as the record's own fault, and nothing else outside `tokens` catches a `BadRecord`.
"""

from classtoken.inputs.batches import PreparedBatch, batches, item_batches, one_batch, rows
from classtoken.inputs.items import listed
from classtoken.inputs.modality import check_item, choose_modality, names_file, names_picture, said_a_text
from classtoken.inputs.preprocessor import Preprocessor
from classtoken.inputs.rejecting import computed, each, rejected
from classtoken.inputs.thumbnail import thumbnail
from classtoken.inputs.unread import rest_in_words, unread_in_words
from classtoken.inputs.view import InputView, PreparedInput, prepare_one, view_of

__all__ = [
    "InputView",
    "PreparedBatch",
    "PreparedInput",
    "Preprocessor",
    "batches",
    "check_item",
    "choose_modality",
    "computed",
    "each",
    "item_batches",
    "listed",
    "names_file",
    "names_picture",
    "one_batch",
    "prepare_one",
    "rejected",
    "rest_in_words",
    "rows",
    "said_a_text",
    "thumbnail",
    "unread_in_words",
    "view_of",
]
