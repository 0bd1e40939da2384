"""The last section of a page of `explain`: the command that shows how the same vectors are made."""

from html import escape

from classtoken.files import in_shell
from classtoken.report.html import Section


def step_by_step(given: tuple[str, ...] | None) -> Section:
    """Of inputs as they were given, the model behind them; nothing where there is no walkthrough."""
    if given is None:
        return Section("", "", "")
    *items, model = map(in_shell, given)
    command = f"classtoken walkthrough {' '.join(items)} --model {model} --out page.html"
    what = "this input becomes one vector" if len(items) == 1 else "each of the two becomes one vector"
    says = f"The walkthrough shows how {what}, layer by layer, with these numbers:"
    return Section("Step by step", says, f"<pre>{escape(command)}</pre>")
