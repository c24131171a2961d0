// Line charts: SVG with one line per agent, its number beside it, and values under the pointer.

const EXPECTED = { name: "random search, expected", dash: "2 3", width: 1.6, colour: "var(--muted)" };
const NEAR = 14; // pixels within which a line is the one that is meant
const TAG = { width: 20, height: 15 };
const FEW = 4; // so many bands can be told apart at once

const paint = (label) => `var(${colour(label)})`;
const paintOf = (s) => (s.label === undefined ? s.look.colour : paint(s.label));

/**
 * Draw lines with bands.
 * series: {label, name, x, y, low, high, step}; null is missing; without a label it is no agent's, and has a look
 * and may have dots, [x, y] each. window: [left, right, bottom, top], if not all is shown.
 * marks: "ends" puts the numbers at the lines' right ends, "lines" on the lines themselves.
 * counted: x counts something; values are read where a line has a point, never between.
 */
function lines(host, series, { xLog, yLog, floor = 0, yMax, window, xLabel, yLabel, xName, unit = "", height = 380, marks = "ends", counted = false }) {
  const width = roomOf(host), agents = series.filter((s) => s.label !== undefined);
  const columns = marks === "ends" ? Math.ceil((agents.length * TAG.height) / (height - MARGIN.bottom - MARGIN.top)) : 0;
  const bottom = height - MARGIN.bottom, right = width - (columns ? 20 + columns * (TAG.width + 2) : MARGIN.right);
  const svg = element("svg", { class: "agents", viewBox: `0 0 ${width} ${height}`, tabindex: 0, role: "application",
    "aria-label": `Chart: ${yLabel} against ${xLabel}. Arrow keys left and right, Home and End move along it; up and down pick an agent, Enter chooses it.` });
  host.replaceChildren(svg);
  if (!series.length) return svg.append(svgText(width / 2, height / 2, "no agent is shown", "middle"));
  const xs = series.flatMap((s) => s.x).filter((v) => !xLog || v > 0);
  const ys = series.flatMap((s) => [...s.y, ...s.high.filter((v) => v !== null)]);
  const [xLow, xHigh] = window ?? [Math.min(...xs), Math.max(...xs)];
  const yLow = window?.[2] ?? (yLog ? floor : 0), yHigh = window?.[3] ?? yMax ?? Math.max(...ys, yLow * 10) * (yLog ? 1.15 : 1.03);
  const px = scale(xLow, xHigh, MARGIN.left, right, xLog), py = scale(yLow, yHigh, bottom, MARGIN.top, yLog);
  const X = (v) => px(xLog ? Math.max(v, xLow) : v);
  const Y = (v) => py(clamp(v, yLow, yHigh));
  axes(svg, px, py, [xLow, xHigh, xLog], [yLow, yHigh, yLog], { width, bottom, right, xLabel, yLabel });
  const layer = element("g");
  for (const s of series) layer.append(agentLine(s, X, Y));
  svg.classList.toggle("few", agents.length <= FEW);
  svg.append(layer, ...(marks === "ends" ? endTags(agents, X, Y, right, bottom, columns) : lineTags(agents, X, Y)));
  const stops = counted ? [...new Set(series.flatMap((s) => s.x))].sort((a, b) => a - b) : null;
  readValues(svg, series, { X, Y, px, py, xLow, xHigh, right, bottom, width, xName, unit, stops });
}

/** How many pixels a chart may be wide: those of its place, or of a sheet while printing. */
const roomOf = (host) => state.paper ?? Math.max(host.clientWidth, 240);

/** One line and its band. */
function agentLine(s, X, Y) {
  const at = (i, v) => `${X(s.x[i]).toFixed(1)} ${Y(v).toFixed(1)}`;
  const trace = (values) => values.map((v, i) => {
    if (!i) return `M${at(i, v)}`;
    return s.step ? `H${X(s.x[i]).toFixed(1)}V${Y(v).toFixed(1)}` : `L${at(i, v)}`;
  }).join("");
  const back = (values) => values.map((v, i) => [v, i]).reverse().map(([v, i], k) =>
    (s.step && k ? `V${Y(v).toFixed(1)}H${X(s.x[i]).toFixed(1)}` : `L${at(i, v)}`)).join("");
  const group = element("g", s.label === undefined ? {} : { class: "agent", "data-agent": s.label });
  if (s.low.length && s.low[0] !== null)
    group.append(element("path", { class: "band", fill: paintOf(s), d: `${trace(s.high)}${back(s.low)}Z` }));
  const look = s.label === undefined ? { "stroke-dasharray": s.look.dash, "stroke-width": s.look.width }
    : { "stroke-dasharray": dashes(s.label, 2) };
  group.append(element("path", { class: "line", stroke: paintOf(s), d: trace(s.y), "data-name": s.name, ...look }),
    ...(s.dots ?? []).map(([x, y]) => element("circle", { cx: X(x).toFixed(1), cy: Y(y).toFixed(1), r: 3.2, fill: paintOf(s) })));
  return group;
}

// ---- numbers beside the lines --------------------------------------------------------------

/** An agent's number, that chooses it. */
function agentTag(label, x, y) {
  const node = element("g", { class: "tag", "data-agent": label },
    element("rect", { x: x - TAG.width / 2, y: y - TAG.height / 2 + 1, width: TAG.width, height: TAG.height - 2, rx: 6, stroke: paint(label) }),
    svgText(x, y + 4, `${number(label)}`, "middle"));
  actsFor(node, label);
  return node;
}

/** Numbers at the right ends of the lines, moved apart, each with a thin line to its own. */
function endTags(agents, X, Y, right, bottom, columns) {
  const last = (s) => s.y.length - 1;
  const found = agents.map((s) => ({ label: s.label, x: X(s.x[last(s)]), want: Y(s.y[last(s)]) })).sort((a, b) => a.want - b.want);
  moveApart(found, TAG.height / columns, MARGIN.top, bottom);
  return found.flatMap(({ label, x, want, y }, i) => {
    const at = right + 18 + TAG.width / 2 + (i % columns) * (TAG.width + 2);
    const lead = element("g", { class: "lead", "data-agent": label },
      element("path", { stroke: paint(label), d: `M${x.toFixed(1)} ${want.toFixed(1)}L${right + 3} ${want.toFixed(1)}L${right + 15} ${y.toFixed(1)}H${at}` }));
    return [lead, agentTag(label, at, y)];
  });
}

/** Give everyone, in the order of their wishes, a place at least `pitch` from the next, within bounds. */
function moveApart(found, pitch, top, bottom) {
  let free = top;
  for (const one of found) { one.y = Math.max(one.want, free); free = one.y + pitch; }
  let limit = bottom;
  for (const one of [...found].reverse()) { one.y = Math.min(one.y, limit); limit = one.y - pitch; }
}

/** Numbers on the lines, each where its line is steep and the other numbers are far away. */
function lineTags(agents, X, Y) {
  const taken = [];
  return agents.map((s) => {
    const places = s.y.map((v, i) => ({ v, x: X(s.x[i]), y: Y((v + (s.y[i - 1] ?? v)) / 2) }))
      .filter(({ v, x }) => v > 4 && v < 96 && x > MARGIN.left + TAG.width);
    const room = ({ x, y }) => Math.min(22, ...taken.map((t) => Math.max(Math.abs(t.x - x) * TAG.height / TAG.width, Math.abs(t.y - y))));
    const clear = (i) => Math.min(12, ...agents.filter((o) => o !== s).map((o) => Math.abs(Y(valueAt(o, s.x[i]) ?? -999) - Y(s.y[i]))));
    let best = null, most = -Infinity;
    for (const place of places) {
      const worth = 3 * room(place) + clear(s.y.indexOf(place.v)) - Math.abs(place.v - 50) / 20;
      if (worth > most) [best, most] = [place, worth];
    }
    best ??= { x: X(s.x[s.x.length - 1]), y: Y(s.y[s.y.length - 1]) };
    taken.push(best);
    return agentTag(s.label, best.x, best.y);
  });
}

// ---- reading values ------------------------------------------------------------------------

/** Values under the pointer, and by the keys. */
function readValues(svg, series, { X, Y, px, py, xLow, xHigh, right, bottom, width, xName, unit, stops }) {
  const cross = element("g", { visibility: "hidden" });
  svg.append(cross);
  let at = null, order = [];
  const read = (value, pageX, pageY, pick) => {
    at = stops ? stops[closest(stops, value)] : clamp(value, xLow, xHigh);
    const rows = series.map((s) => ({ s, y: valueAt(s, at, X, Y, py) })).filter((r) => r.y !== null);
    hover(pick(rows));
    cross.replaceChildren(element("line", { class: "cross", x1: X(at), x2: X(at), y1: MARGIN.top, y2: bottom }),
      ...rows.map(({ s, y }) => element("circle", { cx: X(at), cy: Y(y), r: standsOut(s.label) ? 5 : 3, fill: paintOf(s) })));
    cross.setAttribute("visibility", "visible");
    rows.sort((a, b) => b.y - a.y);
    order = rows.map(({ s }) => s.label).filter((label) => label !== undefined);
    showTip(`<b>${xName(at)}</b><table>${rows.map(({ s, y }) => tipRow(s, `${format(y, 3)}${unit}`)).join("")}</table>`, pageX, pageY);
  };
  const leave = () => { cross.setAttribute("visibility", "hidden"); hover(null); hideTip(); };
  pointed(svg, (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * width, y = ((event.clientY - box.top) / box.width) * width;
    const tagged = event.target.closest(".tag")?.dataset.agent;
    read(px.invert(x), event.pageX, event.pageY, (rows) => (tagged === undefined ? nearest(rows, y, Y) : +tagged));
  }, leave);
  svg.addEventListener("keydown", (event) => {
    const picked = order.indexOf(state.hovered), count = order.length, step = (right - MARGIN.left) / 100;
    const from = px(at ?? xLow), keep = () => state.hovered;
    const along = (way) => {
      if (!stops) return from + way * step;
      const here = closest(stops, at ?? xLow), there = closest(stops, px.invert(from + way * step));
      return px(stops[clamp(at !== null && here === there ? here + way : there, 0, stops.length - 1)]);
    };
    const goes = { ArrowLeft: [along(-1), keep], ArrowRight: [along(1), keep], Home: [MARGIN.left, keep], End: [right, keep],
      ArrowUp: [from, () => order[picked < 0 ? count - 1 : (picked + count - 1) % count] ?? null],
      ArrowDown: [from, () => order[(picked + 1) % count] ?? null] }[event.key];
    if (event.key === "Enter" && picked >= 0) choose(state.hovered);
    if (!goes) return;
    event.preventDefault();
    const box = svg.getBoundingClientRect(), place = clamp(goes[0], MARGIN.left, right);
    read(px.invert(place), box.left + scrollX + (place / width) * box.width, box.top + scrollY + box.height / 3, goes[1]);
  });
}

/** The place of the number next to a value among numbers that rise. */
function closest(numbers, value) {
  const after = numbers.findIndex((one) => one >= value);
  if (after < 0) return numbers.length - 1;
  return after && value - numbers[after - 1] < numbers[after] - value ? after - 1 : after;
}

/** The label of the line that passes near a height; null if there is none. */
function nearest(rows, y, Y) {
  let found = null, least = NEAR;
  for (const { s, y: value } of rows) {
    const away = Math.abs(Y(value) - y);
    if (s.label !== undefined && away < least) [found, least] = [s.label, away];
  }
  return found;
}

function tipRow(s, value) {
  const mark = s.label === undefined ? "" : chipText(s.label);
  return `<tr${standsOut(s.label) ? ' class="on"' : ""}><td>${mark} ${escape(s.name)}</td><td>${value}</td></tr>`;
}

/** The value of a curve at x, where its line is drawn: between two points or, of steps, at the last one; null outside. */
function valueAt({ x, y, step }, at, X, Y, py) {
  const last = x.length - 1;
  if (at < x[0] * (1 - 1e-9) || at > x[last] * (1 + 1e-9)) return null;
  let low = 0, high = last;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (x[middle] <= at * (1 + 1e-9)) low = middle; else high = middle - 1;
  }
  const share = step || low === last ? 0 : (X(at) - X(x[low])) / (X(x[low + 1]) - X(x[low]));
  return share > 1e-6 ? py.invert(Y(y[low]) + share * (Y(y[low + 1]) - Y(y[low]))) : y[low];
}

function svgText(x, y, content, anchor, extra = {}) {
  return element("text", { x, y, "text-anchor": anchor, ...extra }, content);
}

function axes(svg, px, py, [xLow, xHigh, xLog], [yLow, yHigh, yLog], { bottom, right, xLabel, yLabel }) {
  for (const v of ticks(yLow, yHigh, yLog)) {
    svg.append(element("line", { class: "grid", x1: MARGIN.left, x2: right, y1: py(v), y2: py(v) }));
    svg.append(svgText(MARGIN.left - 8, py(v) + 4, format(v), "end"));
  }
  let last = -Infinity;
  for (const v of ticks(xLow, xHigh, xLog, clamp(Math.round(right / 90), 3, 8))) {
    svg.append(element("line", { class: "grid", x1: px(v), x2: px(v), y1: MARGIN.top, y2: bottom }));
    if (px(v) - last < 36) continue;
    svg.append(svgText(px(v), bottom + 17, format(v), "middle"));
    last = px(v);
  }
  svg.append(element("line", { class: "axis", x1: MARGIN.left, x2: right, y1: bottom, y2: bottom }));
  const tight = xLabel.length * 7 > right - MARGIN.left; // then it may begin before the axis
  svg.append(svgText(tight ? right + MARGIN.right - 4 : (MARGIN.left + right) / 2, bottom + 37, xLabel, tight ? "end" : "middle", { class: "title" }));
  const middle = (MARGIN.top + bottom) / 2;
  svg.append(svgText(13, middle, yLabel, "middle", { class: "title", transform: `rotate(-90 13 ${middle})` }));
}
