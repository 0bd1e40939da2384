"""Python's CSV parser without its limit on the length of a field, which it keeps for the whole process.

`csv.field_size_limit` is a setting of the module `_csv`: raising it would raise it for everybody. So the module is
loaded a second time, under nobody's name, and its copy of the setting is raised.
"""

import importlib.util
from types import ModuleType


def _own_parser() -> ModuleType:
    spec = importlib.util.find_spec("_csv")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.field_size_limit(2**31 - 1)
    return module


_PARSER = _own_parser()
#: As `csv.reader` and `csv.Error`.
reader, Error = _PARSER.reader, _PARSER.Error
