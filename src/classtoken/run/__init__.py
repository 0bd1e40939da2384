"""Plan, stage and sink put together: the tasks that have no receipt yet, embedded and written."""

from classtoken.run.local import Progress, run
from classtoken.run.stage import Batch, EmbedStage, Stage

__all__ = ["Batch", "EmbedStage", "Progress", "Stage", "run"]
