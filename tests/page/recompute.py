"""A script that walks through the arithmetic panel by clicking its numbers, and does each sum again.

It knows the page only by what a reader sees: the kind of arithmetic, numbers as text, buttons that lead further back.
Of `most` numbers, or of all. The tolerance of every result is what rounding its terms to the digits shown can amount
to.
"""

WALK = r"""
async (most) => {
  most ??= Infinity;
  const panel = () => document.querySelector('.arithmetic');
  const parse = (t) => Number(t.trim().replaceAll('−', '-')
    .replace(/ · 10⁻(.+)/, (_, power) => `e-${[...power].map((digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'.indexOf(digit)).join('')}`));
  const settle = () => new Promise((done) => queueMicrotask(() => queueMicrotask(done)));
  const seen = new Set(), wrong = [], kinds = {}, why = new Set();
  const slack = (x) => (Math.abs(x) < 5e-5 && x !== 0 ? 0.06 * Math.abs(x) : 5.1e-5);
  const gelu = (x) => {  // its own erf: a long Taylor series, unlike the page's
    let z = x / Math.SQRT2, term = z, total = z;
    for (let n = 1; n < 400; n++) { term *= -z * z / n; total += term / (2 * n + 1); }
    return Math.abs(x) > 5.5 ? Math.max(0, x) : 0.5 * x * (1 + 2 / Math.sqrt(Math.PI) * total);
  };
  function again(op, terms) {
    const numbers = [...terms.querySelectorAll('button[data-address]')].map((b) => parse(b.textContent));
    const others = [...terms.querySelectorAll('span.num')].map((e) => parse(e.textContent));
    if (op === 'sum') return [numbers.reduce((a, b) => a + b, 0), numbers.reduce((a, b) => a + slack(b), 0)];
    if (op === 'mean') {
      const divided = Number(terms.textContent.match(/\) \/ (\d+)/)[1]);
      if (divided !== numbers.length) return [NaN, 0];
      return [numbers.reduce((a, b) => a + b, 0) / divided, numbers.reduce((a, b) => a + slack(b), 0) / divided];
    }
    if (op === 'dot') {
      const text = terms.textContent.trim();
      const times = / times \(/.test(text) ? parse(text.split(' times (')[0]) : 1;
      const pairs = Math.floor(numbers.length / 2);
      let total = 0, error = 0;
      for (let i = 0; i < pairs; i++) {
        const [a, b] = [numbers[2 * i], numbers[2 * i + 1]];
        total += a * b;
        error += Math.abs(a) * slack(b) + Math.abs(b) * slack(a) + slack(a) * slack(b);
      }
      const plus = numbers.length % 2 ? numbers.at(-1) : 0;
      return [total * times + plus, error * times + Math.abs(total) * 5.1e-5 + slack(plus)];
    }
    if (op === 'softmax') {
      const [chosen, ...among] = numbers;
      const all = among.reduce((a, b) => a + Math.exp(b), 0);
      return [Math.exp(chosen) / all, 2.2e-4 * Math.exp(chosen) / all];
    }
    if (op === 'norm' && terms.textContent.includes('x\u00b2')) {
      const [x, weight, ...among] = numbers;
      const size = Math.sqrt(among.reduce((a, b) => a + b * b, 0) / among.length + others[0]);
      const far = 1 + Math.abs(x) / size;
      return [x / size * weight, 1.5e-4 * Math.abs(weight) / size * far + 5.1e-5 * far];
    }
    if (op === 'norm') {
      const [x, weight, bias, ...among] = numbers, [mean, variance, eps] = others;
      const m = among.reduce((a, b) => a + b, 0) / among.length;
      const v = among.reduce((a, b) => a + (b - m) ** 2, 0) / among.length;
      if (Math.abs(m - mean) > 2e-4 || Math.abs(v - variance) > 2e-3 * Math.max(1, v)) return [NaN, 0];
      const size = Math.sqrt(v + eps);
      const far = 1 + Math.abs(x - m) / size;
      return [(x - m) / size * weight + bias, 1.5e-4 * Math.abs(weight) / size * far + 5.1e-5 * far];
    }
    if (op === 'gelu') return [gelu(numbers[0]), 1.2 * slack(numbers[0])];
    return [null, 0];
  }
  const stack = [];
  async function visit() {
    const p = panel(), address = p.dataset.of, op = p.dataset.op;
    seen.add(address);
    kinds[op] = (kinds[op] ?? 0) + 1;
    p.querySelector('[data-all]')?.click();
    await settle();
    const terms = p.querySelector('.terms');
    const shown = parse(p.querySelector('[data-value]').textContent);
    if (op === 'given') why.add(terms.textContent.trim());
    const [value, error] = again(op, terms);
    const right = value === null || Math.abs(value - shown) <= error + slack(shown);
    if (!right) wrong.push([address, op, shown, value, error]);
    return [...new Set([...terms.querySelectorAll('button[data-address]')].map((b) => b.dataset.address))];
  }
  // Depth first, by clicking forwards and back as a reader would; leaves are visited through the same buttons.
  async function walk() {
    for (const next of await visit()) {
      if (seen.has(next) || seen.size >= most) continue;
      panel().querySelector('[data-all]')?.click();
      await settle();
      panel().querySelector(`button[data-address="${next}"]`).click();
      await settle();
      if (panel().dataset.of !== next) { wrong.push(['not reached', next, panel().dataset.of]); return; }
      await walk();
      [...panel().querySelectorAll('.head button')][0].click();
      await settle();
    }
  }
  await walk();
  return { count: seen.size, wrong: wrong.slice(0, 5), kinds: Object.keys(kinds), why: [...why].sort().reverse() };
}
"""
