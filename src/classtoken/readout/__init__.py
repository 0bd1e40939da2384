"""States -> the vector that is read out, and its logits."""

from classtoken.readout.classifier import Classifier
from classtoken.readout.own import OwnPooler
from classtoken.readout.readout import Readout

__all__ = ["Classifier", "OwnPooler", "Readout"]
