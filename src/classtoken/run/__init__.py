"""Plan, stage and sink put together: the tasks that have no receipt yet, embedded and written."""

from classtoken.run.local import run
from classtoken.run.stage import Stage, StageBatch, StageSpec
from classtoken.run.tasks import do_task, do_tasks

__all__ = ["Stage", "StageBatch", "StageSpec", "do_task", "do_tasks", "run"]
