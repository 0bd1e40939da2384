"""Files up to 300 lines, functions up to 60. What is longer has its reason here.

The signature and the manual page of a command (`cli/`) do not count: they list its options with their help.
"""

import ast
from pathlib import Path

FILE, FUNCTION = 300, 60

#: `path` or `path:function`, from `src/classtoken` -> why it may be longer. An entry that is not needed fails.
LONGER: dict[str, str] = {}


def too_long(root: Path) -> dict[str, int]:
    """Everything above the ceilings, with its number of lines."""
    package = root / "src" / "classtoken"
    found: dict[str, int] = {}
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        text = path.read_text(encoding="utf-8")
        lines = len(text.splitlines())
        if lines > FILE:
            found[name] = lines
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[1].lineno if name.startswith("cli/") and len(node.body) > 1 else node.lineno
                length = (node.end_lineno or first) - first + 1
                if length > FUNCTION:
                    found[f"{name}:{node.name}"] = length
    return found


def test_nothing_is_longer_without_a_reason(root: Path) -> None:
    found = too_long(root)
    assert {name: lines for name, lines in found.items() if name not in LONGER} == {}


def test_no_reason_is_left_over(root: Path) -> None:
    assert set(LONGER) <= set(too_long(root))
    assert all(len(reason) > 20 for reason in LONGER.values())
