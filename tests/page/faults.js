// What a reader would see as a fault of the page as it stands now, one sentence each.
() => {
  const found = [];
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) found.push(`scrolls sideways: ${wide} px`);

  // Every visible run of text, as far as what lies around it does not cut it off.
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const says = node.textContent.trim(), element = node.parentElement;
    if (!says || !element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
    if (element.closest('script, style, .hidden, .skip, option')) continue;
    const style = getComputedStyle(element);
    if (Number(style.opacity) === 0 || element.getBoundingClientRect().width <= 1) continue;
    let layer = null; // what floats over the page is compared with itself only
    let box = { left: -1e9, right: 1e9, top: -1e9, bottom: 1e9 };
    let cut = null;
    for (let e = element; e && e !== document.body; e = e.parentElement) {
      const s = getComputedStyle(e);
      if (!layer && /fixed|sticky/.test(s.position)) layer = e;
      if (/auto|scroll|hidden|clip/.test(s.overflowX + s.overflowY) && !(e instanceof SVGElement && e.tagName !== 'svg')) {
        const r = e.getBoundingClientRect();
        box = { left: Math.max(box.left, r.left), right: Math.min(box.right, r.right), top: Math.max(box.top, r.top), bottom: Math.min(box.bottom, r.bottom) };
        if (!cut && /hidden|clip/.test(s.overflowX) && !/auto|scroll/.test(s.overflowX)) cut = e;
      }
    }
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const r of range.getClientRects()) {
      const full = { left: r.left, right: r.right, top: r.top + r.height * 0.22, bottom: r.bottom - r.height * 0.22 };
      const seen = { left: Math.max(full.left, box.left), right: Math.min(full.right, box.right), top: Math.max(full.top, box.top), bottom: Math.min(full.bottom, box.bottom) };
      if (seen.right - seen.left < 1 || seen.bottom - seen.top < 1) continue;
      texts.push({ ...seen, says: says.slice(0, 40), node, layer, element });
    }
    if (cut && cut.scrollWidth > cut.clientWidth + 1 && !cut.closest('[title]') && !element.closest('[title], [data-mark], svg')) {
      const outer = cut.getBoundingClientRect(), last = [...range.getClientRects()].at(-1);
      if (last && last.right > outer.right + 1) found.push(`cut off: "${says.slice(0, 40)}"`);
    }
  }
  texts.sort((a, b) => a.top - b.top);
  for (let i = 0; i < texts.length; i++) {
    const a = texts[i];
    for (let j = i + 1; j < texts.length && texts[j].top < a.bottom; j++) {
      const b = texts[j];
      if (a.node === b.node || a.layer !== b.layer) continue;
      const over = { w: Math.min(a.right, b.right) - Math.max(a.left, b.left), h: Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) };
      if (over.w > 2 && over.h > 1.5) found.push(`printed over each other: "${a.says}" and "${b.says}"`);
    }
  }
  // What is drawn at the edge of a panel that does not scroll, or of a picture, is lost.
  for (const text of document.querySelectorAll('svg text')) {
    if (!text.checkVisibility({ opacityProperty: true })) continue;
    const svg = text.ownerSVGElement, outer = svg.getBoundingClientRect(), r = text.getBoundingClientRect();
    if (!r.width || getComputedStyle(svg).overflow === 'visible') continue;
    if (r.left < outer.left - 1.5 || r.right > outer.right + 1.5 || r.bottom > outer.bottom + 3 || r.top < outer.top - 3) found.push(`beyond its picture: "${text.textContent}"`);
  }
  // What a step is about stands on the stage without scrolling sideways; of choices that scroll, two can be seen.
  for (const stage of document.querySelectorAll('.panel.middle')) if (stage.scrollWidth > stage.clientWidth + 1) found.push(`the stage scrolls sideways: ${stage.scrollWidth - stage.clientWidth} px are out of sight`);
  for (const row of document.querySelectorAll('.heads')) {
    const widest = Math.max(...[...row.querySelectorAll('button')].map((e) => e.getBoundingClientRect().width));
    if (row.scrollWidth > row.clientWidth + 1 && row.clientWidth < 2 * widest) found.push(`no room to choose: ${row.clientWidth} px of "${row.innerText.slice(0, 20)}"`);
  }
  return [...new Set(found)];
}
