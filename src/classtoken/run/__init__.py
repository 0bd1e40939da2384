"""Plan, stage and sink put together: the tasks that have no receipt yet, embedded and written."""

from classtoken.run.local import run
from classtoken.run.stage import Batch, Placed, Stage, StageSpec, Turned
from classtoken.run.tasks import do_task, do_tasks

__all__ = ["Batch", "Placed", "Stage", "StageSpec", "Turned", "do_task", "do_tasks", "run"]
