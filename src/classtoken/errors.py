"""Everything that classtoken raises on purpose.

* ClasstokenError               exit code 2: the user's input, said in one line
  + ModelError                  a checkpoint that cannot be used as it is
    - UnsupportedModel          no family, and foreign cannot take it either
    - WeightsError              weights missing, left over, truncated or of another shape
    - UnsafeCheckpoint          pickle files, or code of the checkpoint's own
    - HubError                  a hub id, and no network and no copy in the cache
  + ContractError               a vector was asked for that this checkpoint cannot give
    - VectorRefused             its weights are missing (a random pooler, say)
    - EmptyRow                  a pooling was given a row without a token it may read
  + SpecError                   a pooling's name that cannot be read
  + SourceError                 records that cannot be read, found or told apart
    - BadRecord                 one record, to be put into quarantine
    - StoreError                a store (s3:// ...) that denies what is asked, or stays away
  + OptionError                 an option's value is not allowed
  + OutputError                 an output folder that must not be written to
    - ManifestMismatch          it holds vectors made in another way
  + TraceError                  an internal value that this model cannot give
  + MissingExtra                an optional package is not installed
  + ExtensionError              what another package adds cannot be used
  + TrainingError               training cannot go on: NaN loss, one class only
* InternalError                 exit code 1: our own mistake
"""


class ClasstokenError(Exception):
    """Root of the tree: what is wrong, the value, what is allowed, what to do, in one line."""

    exit_code = 2


class ModelError(ClasstokenError):
    """A checkpoint that cannot be used as it is."""


class UnsupportedModel(ModelError):
    """No family row fits, and the model cannot come in as a foreign module either."""


class WeightsError(ModelError):
    """Weights are missing, left over, truncated or of another shape; lists everything at once."""


class UnsafeCheckpoint(ModelError):
    """Loading would run code of the checkpoint's: pickle files, or remote code."""


class HubError(ModelError):
    """A hub id that is neither in the cache nor reachable."""


class ContractError(ClasstokenError):
    """A vector was asked for that this checkpoint cannot give."""


class VectorRefused(ContractError):
    """The vector's weights are missing from the checkpoint: it would be random."""


class EmptyRow(ContractError):
    """A pooling was given a row without a token that it may read."""


class SpecError(ClasstokenError):
    """The name of a pooling or readout cannot be read."""


class SourceError(ClasstokenError):
    """Records cannot be read, found or told apart."""


class BadRecord(SourceError):
    """One record is bad (an unreadable image, an empty text): it goes into quarantine.

    `reason` says why and does not name the record; `name` does. As a text: `name: reason`.
    """

    def __init__(self, reason: str, name: str = ""):
        super().__init__(reason, name)
        self.reason, self.name = reason, name

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}" if self.name else self.reason


class StoreError(SourceError, OSError):
    """A store (`s3://` ...) denies a file, or stays away: nothing is known of what the file holds.

    An `OSError` too, for who reads files wherever they are.
    """


class OptionError(ClasstokenError):
    """An option's value is not allowed."""


class OutputError(ClasstokenError):
    """An output folder that must not be written to."""


class ManifestMismatch(OutputError):
    """The output folder holds vectors made in another way."""


class TraceError(ClasstokenError):
    """An internal value that this model cannot give was asked for."""


class MissingExtra(ClasstokenError):
    """An optional package is not installed."""


class ExtensionError(ClasstokenError):
    """What another installed package adds to this one cannot be used."""


class TrainingError(ClasstokenError):
    """Training cannot begin or go on."""


class InternalError(Exception):
    """Our own mistake; please report it."""

    exit_code = 1
