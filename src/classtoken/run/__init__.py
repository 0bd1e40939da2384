"""Plan, stage and sink put together: the tasks that have no receipt yet, embedded and written."""

from classtoken.run.local import run
from classtoken.run.stage import Batch, Stage, Turned

__all__ = ["Batch", "Stage", "Turned", "run"]
