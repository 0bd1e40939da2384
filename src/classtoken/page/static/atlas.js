"use strict";
// The atlas: points on a canvas, moved and chosen by mouse, touch and keyboard. No library, no request.

const data = JSON.parse(document.getElementById("data").textContent);
const count = data.x.length;
const SCALE = 10000;
const MANY = 200; // rows of a list
// Far apart for every eye, the first 12 above all (tools/palette.py).
const COLOURS = ["#5A69F0", "#FF4B0F", "#870078", "#B4B4F0", "#C369B4", "#875A78", "#B40000", "#879669", "#6996FF", "#B41EB4",
  "#4B0FF0", "#F096B4", "#5AD25A", "#4B5A3C", "#7800A5", "#87B478", "#F05AE1", "#00A50F", "#A5695A", "#E100D2"];
const NONE = "#8b949e";

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  const there = children.filter((child) => child !== null && child !== undefined);
  element.append(...(tag === "option" ? there : there.flatMap(breakable)));
  return element;
};
// A long name breaks behind _ / . and -, as a reader would break it, and not in the middle of a word.
const breakable = (child) => typeof child !== "string" || child.length < 14 ? [child]
  : child.split(/(?<=[\p{L}\p{N}][_/.-]+)(?=[\p{L}\p{N}])/u).flatMap((part, at) => at ? [document.createElement("wbr"), part] : [part]);

// -- what points are coloured by --------------------------------------------------------------------------------------

const ways = { cluster: { names: data.clusters.map((cluster) => cluster.name), codes: data.cluster } };
if (data.label) ways.label = data.label;
if (data.group) ways.group = data.group;
const state = {
  way: data.label ? "label" : "cluster", off: new Set(), matches: null, chosen: new Set(), at: -1, hover: -1,
  zoom: 1, left: 0, top: 0, lasso: false, path: null,
};
const colourOf = (code) => (code < 0 ? NONE : COLOURS[code % COLOURS.length]);

// -- the page ---------------------------------------------------------------------------------------------------------

const canvas = make("canvas", { tabindex: 0, role: "application", "aria-label":
  `${count} points. Arrow keys go to the next point in that direction, Enter chooses it, plus and minus zoom, 0 shows all.` });
const tip = make("div", { id: "tip", hidden: true });
const live = make("p", { "aria-live": "polite", id: "live" });
const search = make("input", { type: "search", "aria-label": "Find points by id, text, label or group", placeholder: data.search ? "Find… (Enter: by meaning)" : "Find…" });
const select = make("select", {}, ...Object.keys(ways).map((name) => make("option", { value: name }, name)));
select.value = state.way;
const lassoButton = make("button", { type: "button", "aria-pressed": "false" }, "Lasso");
const allButton = make("button", { type: "button" }, "Show all");
const bar = make("div", { class: "bar" }, search, make("label", {}, "Colour", select), lassoButton, allButton);
const legend = make("ul", { class: "legend" });
const found = make("section", { "aria-label": "Points found or chosen" });
const groups = make("section", { "aria-label": "Clusters" });
const aside = make("aside", { "aria-label": "What is shown", tabindex: 0 }, found, make("h2", {}, "Colours"), legend, groups);
document.getElementById("atlas").append(make("div", { class: "stage" }, bar, canvas, tip), aside);
const context = canvas.getContext("2d");

// -- drawing ----------------------------------------------------------------------------------------------------------

let width = 1, height = 1, side = 1, ratio = 1, waiting = false;
let pixels = null; // what is drawn is written here, pixel by pixel: as quick without a graphics card as with one

const size = () => Math.min(9, Math.max(2.2, 26 / Math.sqrt(count / 40))) * Math.min(3, Math.sqrt(state.zoom)) / 1.4;

const numbersOf = (colour) => {
  const [r, g, b] = colour.startsWith("#") ? [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)) : colour.match(/[\d.]+/g).map(Number);
  return [r, g, b];
};
const INKS = [...COLOURS, NONE].map(numbersOf);
const X = Float64Array.from(data.x, (x) => x / SCALE), Y = Float64Array.from(data.y, (y) => y / SCALE);
const inkOf = (code) => (code < 0 ? COLOURS.length : code % COLOURS.length);

// A round point as pixels: where each lies from the middle, and, of 256, how much of what was there stays.
const disc = (radius, wide, strength) => {
  const found = [], reach = Math.ceil(radius);
  for (let y = -reach; y <= reach; y++)
    for (let x = -reach; x <= reach; x++) {
      const covered = Math.min(1, radius + 0.5 - Math.hypot(x, y));
      if (covered > 0) found.push([x, y, Math.round(256 * (1 - covered * strength))]);
    }
  return { across: Int32Array.from(found, (at) => at[0]), down: Int32Array.from(found, (at) => at[1]),
    offset: Int32Array.from(found, (at) => at[1] * wide + at[0]), stays: Int32Array.from(found, (at) => at[2]), reach,
    inks: new Array(INKS.length).fill(null) };
};
// What each pixel of a point gets of an ink: red and blue in one number, green in another, so that two are blended at once.
const inked = (point, ink) => point.inks[ink] ??= {
  redBlue: Int32Array.from(point.stays, (stays) => (256 - stays) * (INKS[ink][0] | (INKS[ink][2] << 16))),
  green: Int32Array.from(point.stays, (stays) => (256 - stays) * (INKS[ink][1] << 8)) };

const across = (i) => state.left + X[i] * side * state.zoom;
const down = (i) => state.top + Y[i] * side * state.zoom;
const shown = (i) => !state.off.has(ways[state.way].codes[i]);
const faint = (i) => (state.matches !== null && !state.matches.has(i)) || (state.chosen.size > 0 && !state.chosen.has(i));

let paper = null, ink = null; // the page's colours, as they are in this scheme
const colours = () => { paper = numbersOf(getComputedStyle(canvas).backgroundColor); ink = getComputedStyle(document.body).color; };

const points = (words, wide, high, radius, strength, wanted) => {
  const point = disc(radius, wide, strength), { offset, stays, reach } = point, parts = offset.length;
  const codes = ways[state.way].codes, left = state.left * ratio, top = state.top * ratio, scale = side * state.zoom * ratio;
  const some = state.off.size > 0 || wanted !== null;
  for (let i = 0; i < count; i++) {
    const x = Math.round(left + X[i] * scale), y = Math.round(top + Y[i] * scale);
    if (x < -reach || y < -reach || x >= wide + reach || y >= high + reach) continue;
    if (some && (!shown(i) || (wanted !== null && faint(i) !== wanted))) continue;
    const { redBlue, green } = inked(point, inkOf(codes[i])), middle = y * wide + x;
    const whole = x >= reach && y >= reach && x < wide - reach && y < high - reach;
    for (let k = 0; k < parts; k++) {
      if (!whole) {
        const px = x + point.across[k], py = y + point.down[k];
        if (px < 0 || py < 0 || px >= wide || py >= high) continue;
      }
      const at = middle + offset[k], there = words[at], stay = stays[k];
      words[at] = 0xff000000 | (((Math.imul(there & 0xff00ff, stay) + redBlue[k]) >>> 8) & 0xff00ff)
        | (((Math.imul(there & 0xff00, stay) + green[k]) >>> 8) & 0xff00);
    }
  }
};

// The groups' names where their points are, the largest group first; one that would lie on another is left out.
const MOST_NAMES = 40;
const middles = () => {
  const rows = new Map(), { codes } = ways[state.way];
  for (let i = 0; i < count; i++) if (codes[i] >= 0) (rows.get(codes[i]) ?? rows.set(codes[i], []).get(codes[i])).push(i);
  const median = (some, of) => of[[...some].sort((a, b) => of[a] - of[b])[some.length >> 1]];
  return [...rows].sort((a, b) => b[1].length - a[1].length)
    .map(([code, some]) => ({ code, x: median(some, X), y: median(some, Y) }));
};
let middle = { way: null, places: [] };
const names = () => {
  if (middle.way !== state.way) middle = { way: state.way, places: middles() };
  const taken = [];
  context.font = "600 12px system-ui, sans-serif";
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  for (const { code, x, y } of middle.places.slice(0, MOST_NAMES)) {
    if (state.off.has(code)) continue;
    const whole = String(ways[state.way].names[code]), most = width < 600 ? 24 : 44;
    const said = whole.length > most ? `${whole.slice(0, most - 1)}…` : whole;
    const wide = context.measureText(said).width / 2 + 4;
    const at = Math.min(Math.max(state.left + x * side * state.zoom, wide), Math.max(wide, width - wide));
    const down = state.top + y * side * state.zoom;
    if (down < 8 || down > height - 8 || at - wide > width || state.left + x * side * state.zoom < -wide) continue;
    const box = [at - wide, down - 9, at + wide, down + 9];
    if (taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) continue;
    taken.push(box);
    context.lineWidth = 4;
    context.strokeStyle = `rgb(${paper.join(",")})`;
    context.strokeText(said, at, down);
    context.fillStyle = ink;
    context.fillText(said, at, down);
  }
};

const paint = () => {
  waiting = false;
  if (paper === null) colours();
  const radius = size(), words = new Uint32Array(pixels.data.buffer), [r, g, b] = paper;
  words.fill((255 << 24) | (b << 16) | (g << 8) | r);
  if (state.matches !== null || state.chosen.size > 0) {
    points(words, pixels.width, pixels.height, radius * ratio, 0.14, true);
    points(words, pixels.width, pixels.height, radius * ratio, 0.85, false);
  } else points(words, pixels.width, pixels.height, radius * ratio, 0.85, null);
  context.putImageData(pixels, 0, 0);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  names();
  for (const i of new Set([state.at, state.hover])) {
    if (i < 0) continue;
    context.strokeStyle = ink;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(across(i), down(i), radius + 3, 0, 7);
    context.stroke();
  }
  if (state.path !== null) {
    context.strokeStyle = ink;
    context.setLineDash([5, 4]);
    context.beginPath();
    for (const [x, y] of state.path) context.lineTo(x, y);
    context.closePath();
    context.stroke();
    context.setLineDash([]);
  }
};
const draw = () => {
  if (!waiting) {
    waiting = true;
    requestAnimationFrame(paint);
  }
};

const fit = () => {
  const box = canvas.getBoundingClientRect();
  ratio = window.devicePixelRatio || 1;
  width = box.width;
  height = box.height;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  pixels = context.createImageData(canvas.width, canvas.height);
};
const showAll = () => {
  const pad = 24, highest = Math.max(...data.y, 1) / SCALE, widest = Math.max(...data.x, 1) / SCALE;
  side = Math.min((width - 2 * pad) / widest, (height - 2 * pad) / highest);
  state.zoom = 1;
  state.left = (width - side * widest) / 2;
  state.top = (height - side * highest) / 2;
  draw();
};
const zoomAt = (factor, x, y) => {
  const next = Math.min(200, Math.max(0.5, state.zoom * factor)), scale = next / state.zoom;
  state.left = x - (x - state.left) * scale;
  state.top = y - (y - state.top) * scale;
  state.zoom = next;
  draw();
};
const centre = (i) => {
  state.left += width / 2 - across(i);
  state.top += height / 2 - down(i);
};

// -- points -----------------------------------------------------------------------------------------------------------

const nearest = (x, y, most) => {
  let best = -1, least = most * most;
  for (let i = 0; i < count; i++) {
    if (!shown(i)) continue;
    const dx = across(i) - x, dy = down(i) - y, far = dx * dx + dy * dy;
    if (far < least) { least = far; best = i; }
  }
  return best;
};
const beside = (i) => ["label", "group", "cluster"].filter((name) => ways[name] && ways[name].codes[i] >= 0)
  .map((name) => [name, ways[name].names[ways[name].codes[i]]])
  .map(([name, said]) => (said.startsWith(`${name} `) ? said : `${name}: ${said}`)).join(" · ");
const body = (i) => [
  data.picture[i] ? make("img", { class: "thumb", src: data.picture[i], alt: "", loading: "lazy" }) : null,
  make("span", {}, data.text[i] || data.id[i], make("small", {}, [data.text[i] ? data.id[i] : "", beside(i)].filter(Boolean).join(" · "))),
];
const describe = (i) => {
  tip.hidden = i < 0;
  if (i < 0) return;
  tip.replaceChildren(...body(i).filter(Boolean));
  const x = Math.min(Math.max(across(i) + 14, 4), Math.max(4, width - tip.offsetWidth - 6));
  const y = down(i) + 14 + tip.offsetHeight > height ? down(i) - tip.offsetHeight - 10 : down(i) + 14;
  tip.style.left = `${x}px`;
  tip.style.top = `${y + canvas.offsetTop}px`;
};
const go = (i, { move = true } = {}) => {
  state.at = i;
  if (move && (across(i) < 0 || across(i) > width || down(i) < 0 || down(i) > height)) centre(i);
  describe(i);
  live.textContent = `${data.text[i] || data.id[i]}. ${beside(i)}`;
  draw();
};
const next = (dx, dy) => {
  if (state.at < 0) { const first = nearest(width / 2, height / 2, Infinity); if (first >= 0) go(first); return; }
  let best = -1, least = Infinity;
  for (let i = 0; i < count; i++) {
    if (i === state.at || !shown(i) || faint(i)) continue;
    const x = across(i) - across(state.at), y = down(i) - down(state.at), along = x * dx + y * dy, off = Math.abs(x * dy - y * dx);
    if (along <= 0.01 || off > along * 1.2) continue;
    const far = along + 2 * off;
    if (far < least) { least = far; best = i; }
  }
  if (best >= 0) go(best);
};

// -- lists ------------------------------------------------------------------------------------------------------------

const item = (i) => make("li", {}, make("button", { type: "button", onclick: () => { centre(i); go(i); } }, ...body(i).filter(Boolean)));
const items = (rows) => make("ul", { class: "items" }, ...rows.slice(0, MANY).map(item));

const listed = () => {
  const rows = state.chosen.size ? [...state.chosen] : state.matches === null ? [] : [...state.matches];
  if (!rows.length && state.matches === null) { found.replaceChildren(live); return; }
  const ids = rows.map((i) => data.id[i]).join("\n");
  const copy = make("button", { type: "button", onclick: async () => {
    const area = make("textarea", { "aria-label": "Ids" });
    area.value = ids;
    found.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    copy.textContent = `Copied ${rows.length} ids`;
  } }, "Copy ids");
  const clear = make("button", { type: "button", onclick: () => {
    state.chosen = new Set(); state.matches = null; search.value = ""; listed(); draw(); search.focus();
  } }, "Clear");
  found.replaceChildren(
    make("h2", {}, state.chosen.size ? `${rows.length} chosen` : `${rows.length} found`),
    make("div", { class: "bar" }, rows.length ? copy : null, clear),
    items(rows), rows.length > MANY ? make("p", {}, `and ${rows.length - MANY} more`) : "", live);
};
const legends = () => {
  const way = ways[state.way], sizes = new Map();
  for (const code of way.codes) sizes.set(code, (sizes.get(code) || 0) + 1);
  const codes = [...sizes.keys()].sort((a, b) => sizes.get(b) - sizes.get(a));
  legend.replaceChildren(...codes.map((code) => {
    const button = make("button", { type: "button", "aria-pressed": String(!state.off.has(code)), onclick: () => {
      state.off.has(code) ? state.off.delete(code) : state.off.add(code);
      button.setAttribute("aria-pressed", String(!state.off.has(code)));
      draw();
    } }, make("span", { class: "dot" }), `${code < 0 ? "none" : way.names[code]} (${sizes.get(code)})`);
    button.firstChild.style.background = colourOf(code);
    return make("li", {}, button);
  }));
};
groups.replaceChildren(make("h2", {}, "Clusters"), make("p", {}, "Rows that lie together, with typical and odd members."),
  ...data.clusters.map((cluster, number) => {
    const inner = make("div", {});
    const details = make("details", { ontoggle: () => {
      if (!details.open || inner.childElementCount) return;
      const every = make("button", { type: "button", onclick: () => {
        state.chosen = new Set(data.cluster.flatMap((code, i) => (code === number ? [i] : []))); listed(); draw();
      } }, "Choose all");
      inner.append(every, make("div", { class: "two" },
        make("div", {}, make("p", {}, "typical"), items(cluster.typical)), make("div", {}, make("p", {}, "odd"), items(cluster.odd))));
    } }, make("summary", {}, `${cluster.name} (${data.cluster.filter((code) => code === number).length})`), inner);
    return details;
  }));

// -- what people do ---------------------------------------------------------------------------------------------------

search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  state.chosen = new Set();
  state.matches = words.length === 0 ? null : new Set();
  for (let i = 0; words.length && i < count; i++) {
    const text = `${data.id[i]} ${data.text[i]} ${beside(i)}`.toLowerCase();
    if (words.every((word) => text.includes(word))) state.matches.add(i);
  }
  listed();
  draw();
});
// By meaning: the server embeds what was typed and compares it with every row; those on this page are shown, the best first.
const byMeaning = async () => {
  const query = search.value.trim();
  if (!query) return;
  live.textContent = "Searching…";
  try {
    const answer = await fetch(data.search, { method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ query, k: Math.min(50, count) }) });
    const said = await answer.json();
    if (!answer.ok) throw new Error(said.error?.message ?? answer.status);
    if (search.value.trim() !== query) return; // something else is asked for by now
    placeOf ??= new Map(data.id.map((id, i) => [id, i]));
    const rows = said.hits.map((hit) => placeOf.get(hit.id)).filter((i) => i !== undefined);
    state.chosen = new Set();
    state.matches = new Set(rows);
    listed();
    const away = said.hits.length - rows.length;
    live.textContent = `The ${rows.length} most like “${query}”, the best first.${away ? ` ${away} more are not on this page.` : ""}`;
    draw();
  } catch (error) {
    live.textContent = `The search did not work: ${error.message}`;
  }
};
let placeOf = null;
if (data.search) search.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); byMeaning(); } });
select.addEventListener("change", () => { state.way = select.value; state.off = new Set(); legends(); draw(); });
allButton.addEventListener("click", showAll);
lassoButton.addEventListener("click", () => {
  state.lasso = !state.lasso;
  lassoButton.setAttribute("aria-pressed", String(state.lasso));
  canvas.classList.toggle("lasso", state.lasso);
});

const inside = (path, x, y) => {
  let within = false;
  for (let i = 0, j = path.length - 1; i < path.length; j = i++) {
    const [ax, ay] = path[i], [bx, by] = path[j];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) within = !within;
  }
  return within;
};
const fingers = new Map();
let moved = 0;
const place = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, place(event));
  moved = 0;
  if (fingers.size === 1 && (state.lasso || event.shiftKey)) state.path = [place(event)];
  else canvas.classList.add("dragging");
});
canvas.addEventListener("pointermove", (event) => {
  const [x, y] = place(event), before = fingers.get(event.pointerId);
  if (!before) {
    const hover = nearest(x, y, size() + 6);
    if (hover !== state.hover) { state.hover = hover; describe(hover); draw(); }
    return;
  }
  moved += Math.abs(x - before[0]) + Math.abs(y - before[1]);
  if (state.path !== null) { // every corner, those between two frames too
    const between = event.getCoalescedEvents?.() ?? [];
    for (const one of between.length ? between : [event]) state.path.push(place(one));
  }
  else if (fingers.size === 1) { state.left += x - before[0]; state.top += y - before[1]; tip.hidden = true; }
  else {
    const [other] = [...fingers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
    const far = (at) => Math.hypot(at[0] - other[0], at[1] - other[1]) || 1;
    zoomAt(far([x, y]) / far(before), (x + other[0]) / 2, (y + other[1]) / 2);
  }
  fingers.set(event.pointerId, [x, y]);
  draw();
});
const up = (event) => {
  if (!fingers.delete(event.pointerId)) return;
  canvas.classList.remove("dragging");
  if (state.path !== null) {
    const path = [...state.path, place(event)];
    state.path = null;
    const rows = [];
    for (let i = 0; i < count; i++) if (shown(i) && inside(path, across(i), down(i))) rows.push(i);
    state.chosen = new Set(rows);
    listed();
  } else if (moved < 5 && event.type === "pointerup") {
    const [x, y] = place(event), i = nearest(x, y, size() + 8);
    if (i >= 0) go(i, { move: false });
    else { state.at = -1; describe(-1); }
  }
  draw();
};
canvas.addEventListener("pointerup", up);
canvas.addEventListener("pointercancel", up);
canvas.addEventListener("pointerleave", () => { state.hover = -1; describe(state.at); draw(); });
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoomAt(Math.exp(-event.deltaY * 0.0015), ...place(event));
}, { passive: false });
canvas.addEventListener("keydown", (event) => {
  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (arrows[event.key]) next(...arrows[event.key]);
  else if (event.key === "+" || event.key === "=") zoomAt(1.4, width / 2, height / 2);
  else if (event.key === "-") zoomAt(1 / 1.4, width / 2, height / 2);
  else if (event.key === "0") showAll();
  else if (event.key === "Enter" && state.at >= 0) {
    state.chosen.has(state.at) ? state.chosen.delete(state.at) : state.chosen.add(state.at);
    listed();
    draw();
  } else if (event.key === "Escape") { state.chosen = new Set(); state.at = -1; describe(-1); listed(); draw(); }
  else return;
  event.preventDefault();
});

const onPaper = window.matchMedia("print");
// Paper gets the map as it stands, in light colours, at once: no frame comes before it is printed.
const repaint = () => { colours(); paint(); };
new ResizeObserver(() => { if (!onPaper.matches) { fit(); showAll(); } }).observe(canvas);
for (const media of [onPaper, window.matchMedia("(prefers-color-scheme: dark)")]) media.addEventListener("change", repaint);
legends();
listed();
fit();
showAll();
window.atlas = { state, paint, across, down };
