"""Every sum that is drawn adds up, as it is drawn: on every step, before anything is opened, of every model."""

import pytest
from tests.page.conftest import Open
from tests.page.test_browser import STEPS

from classtoken.page.document import Walkthrough

pytestmark = pytest.mark.browser

# The terms that stand there, the others as one term; what rounding to the digits shown can amount to is allowed.
DRAWN = r"""
() => {
  const panel = document.querySelector('.arithmetic');
  if (!panel || !['sum', 'mean', 'dot', 'softmax'].includes(panel.dataset.op)) return null;
  const number = (t) => Number(t.trim()
    .replaceAll('−', '-')
    .replace(/ · 10⁻(.+)/, (_, power) => `e-${[...power].map((digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'.indexOf(digit)).join('')}`));
  const parse = (e) => number(e.textContent);
  const slack = (x) => (Math.abs(x) < 5e-5 && x !== 0 ? 0.06 * Math.abs(x) : 5.1e-5);
  const terms = panel.querySelector('.terms');
  const x = [...terms.querySelectorAll('button[data-address]')].map(parse);
  const rest = [...terms.querySelectorAll('[data-rest]')].map(parse);
  const total = parse(panel.querySelector('[data-value]'));
  const left = rest[0] ?? 0;
  const counted = terms.querySelectorAll('.term').length - (rest.length ? 1 : 0);
  const text = terms.textContent;
  let again, error = slack(total) + slack(left);
  if (panel.dataset.op === 'sum') {
    again = x.reduce((a, b) => a + b, 0);
    error += x.reduce((a, b) => a + slack(b), 0);
  }
  if (panel.dataset.op === 'mean') {
    again = x.reduce((a, b) => a + b, 0) / x.length;
    error += x.reduce((a, b) => a + slack(b), 0) / x.length;
  }
  if (panel.dataset.op === 'softmax') {
    const all = x.slice(1).reduce((a, b) => a + Math.exp(b), 0) + left;
    again = Math.exp(x[0]) / all;
    error += 4e-4 * again + again * slack(left) / all;
  }
  if (panel.dataset.op === 'dot') {
    const times = / times \(/.test(text) ? number(text.trim().split(' times (')[0]) : 1;
    let sum = left;
    for (let i = 0; i + 1 < x.length; i += 2) {
      sum += x[i] * x[i + 1];
      error += times * (Math.abs(x[i]) * slack(x[i + 1]) + Math.abs(x[i + 1]) * slack(x[i]));
    }
    again = sum * times + (x.length % 2 ? x.at(-1) : 0);
    error += Math.abs(sum) * 5.1e-5 + slack(x.at(-1) ?? 0);
  }
  return { of: panel.dataset.of, op: panel.dataset.op, again, total, error, counted, rest: rest.length };
}
"""

# Columns of a table whose head begins with a sign add up: "state", "+ head 1 adds", "= after attention", ...
TABLES = r"""
() => [...document.querySelectorAll('.middle table')].flatMap((table) => {
  const heads = [...table.querySelectorAll('thead th')].map((e) => e.textContent.trim());
  if (!heads.some((head) => head.startsWith('='))) return [];
  return [...table.querySelectorAll('tbody tr')].flatMap((row) => {
    const cells = [...row.querySelectorAll('td')].map((e) => Number(e.textContent.replaceAll('−', '-')));
    let sum = 0, terms = 0;
    return heads.slice(1).flatMap((head, i) => {
      if (!head.startsWith('=')) { sum += cells[i]; terms += 1; return []; }
      const off = Math.abs(sum - cells[i]) > 6e-5 * (terms + 1) ? [[head, sum, cells[i]]] : [];
      sum = cells[i]; terms = 1;
      return off;
    });
  });
})
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["toy", "photo", "text", "multi", "sentiment", "registers", "distilled", "query", "last", "mean"]
)
def test_it_adds_up(open_page: Open, request: pytest.FixtureRequest, name: str) -> None:
    page = open_page(name, reduced_motion="reduce")
    documents: dict[str, Walkthrough] = request.getfixturevalue("documents")
    post = name in documents and documents[name].model.norm == "post"
    depth = page.evaluate("JSON.parse(document.getElementById('walkthrough').textContent).model.depth")
    checked = set()
    for step in STEPS:
        for layer in sorted({0, depth - 1}) if 4 <= step <= 7 else [0]:
            for head in ("", "&head=0") if 4 <= step <= 6 else [""]:
                page.evaluate(f"location.hash = '#step={step}&layer={layer}{head}'")
                page.wait_for_timeout(60)
                found = page.evaluate(DRAWN)
                if found is not None:
                    assert abs(found["again"] - found["total"]) <= found["error"], found
                    checked.add(found["op"])
                if step == 6 and not post:  # between the sums of a post-norm layer stands a norm
                    page.locator(".middle details.table summary").first.click()
                    assert page.evaluate(TABLES) == []
                    page.locator(".middle details.table summary").first.click()
    assert {"sum", "softmax"} <= checked or name == "text"
