"""Conditions mean what SQL means by them, and what is no condition is said to be none."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from classtoken.errors import OptionError
from classtoken.nearest.where import parse

TABLE = pa.table(
    {
        "price": [1, 20, None, 7, 30],
        "label": ["shirt", "hat", "shirt", None, "it's"],
        "odd name": [1.5, -2.0, 0.0, 1e3, None],
        "sold": [True, False, None, True, False],
    }
)


@pytest.mark.parametrize(
    "text",
    [
        "price < 20 and label = 'shirt'",
        "price < 20 AND NOT label = 'shirt'",
        "price >= 7 or label == 'shirt' and price <> 1",
        "(price >= 7 or label = 'shirt') and price != 1",
        "label in ('hat', 'shirt')",
        "label not in ('hat')",
        "price between 2 and 20",
        "price not between 2 and 20",
        "label like 's%t' or label like 'h_t'",
        "label is null",
        "label is not null and price is not null",
        "label = 'it''s'",
        '"odd name" <= -2e0 or "odd name" > 1.25',
        "sold = true",
        "not (sold = true or price = 20)",
        "not not price = 1",
        "price > 1.5",
    ],
)
def test_as_duckdb_reads_it(text: str) -> None:
    there = TABLE.append_column("row", pa.array(range(len(TABLE))))
    wanted = duckdb.from_arrow(there).filter(text.replace("==", "=")).project("row").fetchall()
    found = np.flatnonzero(parse(text, TABLE.column_names).holds(TABLE))
    assert found.tolist() == sorted(row for (row,) in wanted)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it ends where the name of a column should be"),
        ("price", "it ends where =, !="),
        ("price <", "it ends where a number"),
        ("price < 20 price", "'price' stands where 'and', 'or' or the end"),
        ("cost < 20", "no column 'cost'; there are price, label"),
        ("price < '20'", "holds int64, which cannot be compared with '20'"),
        ("label > 3", "holds string"),
        ("price like 'a'", "holds int64"),
        ("label = shirt", "'shirt' stands where a number"),
        ("price < 20; drop table x", "cannot be read at '; drop"),
        ("__import__('os')", "no column '__import__'"),
        ("(price < 20", "it ends where ')'"),
        ("price not 3", "in, between or like"),
        ("label in ()", "where a number"),
        ("label = 'open", "cannot be read"),
        ("(" * 500 + "price = 1" + ")" * 500, "more than 100 parentheses"),
        ("not " * 500 + "price = 1", "more than 100"),
    ],
)
def test_what_is_no_condition_is_said(text: str, said: str) -> None:
    with pytest.raises(OptionError, match=r"`where`.*") as raised:
        parse(text, TABLE.column_names).holds(TABLE)
    assert said in str(raised.value)
