"use strict";
// The report's charts: lines in SVG with crosshair and tooltip, and the space on a canvas.
// Everything is drawn from the JSON in #data; nothing is fetched.

const DATA = JSON.parse(document.getElementById("data").textContent);
const TIP = document.getElementById("tip");
const state = { hidden: new Set(), panel: null };
const COLOURS = 12;

// ---- helpers -------------------------------------------------------------------------------

const colour = (label) => `--c${label % COLOURS}`;
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const shown = (label) => !state.hidden.has(label);

function element(tag, attributes = {}, ...children) {
  const svg = ["svg", "g", "line", "path", "text", "circle", "rect"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function unpack({ type, base64 }) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return new { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, f4: Float32Array }[type](bytes.buffer);
}

function format(value, digits = 4) {
  if (value === 0) return "0";
  const size = Math.floor(Math.log10(Math.abs(value)));
  return value.toLocaleString("en", { maximumFractionDigits: clamp(digits - 1 - size, 0, 6) });
}

function ticks(low, high, log, want = 6) {
  const found = [];
  if (log) {
    const decades = Math.log10(high / low);
    const steps = decades > 3 ? [1] : decades > 1.2 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 8];
    for (let e = Math.floor(Math.log10(low)); e <= Math.log10(high); e++)
      for (const s of steps) if (s * 10 ** e >= low * 0.999 && s * 10 ** e <= high * 1.001) found.push(s * 10 ** e);
    return found;
  }
  const raw = (high - low) / want, unit = 10 ** Math.floor(Math.log10(raw));
  const step = unit * [1, 2, 2.5, 5, 10].find((s) => s * unit >= raw);
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

function scale(low, high, from, to, log) {
  const f = log ? Math.log : (v) => v;
  const to_pixel = (v) => from + ((f(v) - f(low)) / (f(high) - f(low) || 1)) * (to - from);
  const share = (pixel) => (pixel - from) / (to - from);
  to_pixel.invert = (p) => (log ? low * (high / low) ** share(p) : low + share(p) * (high - low));
  return to_pixel;
}

function showTip(html, pageX, pageY) {
  TIP.innerHTML = html;
  TIP.hidden = false;
  const box = TIP.getBoundingClientRect(), view = document.documentElement;
  const right = pageX + 18 + box.width < view.clientWidth + scrollX;
  TIP.style.left = `${right ? pageX + 18 : Math.max(pageX - 18 - box.width, scrollX + 4)}px`;
  TIP.style.top = `${clamp(pageY - box.height / 2, scrollY + 6, Math.max(scrollY + view.clientHeight - box.height - 6, scrollY + 6))}px`;
}

const hideTip = () => (TIP.hidden = true);

function escape(text) {
  return text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
}

// ---- controls ------------------------------------------------------------------------------

function choice(name, options, settings, redraw) {
  const group = element("span", { class: "choice", role: "group", "aria-label": name });
  for (const [value, text] of options) {
    const button = element("button", { type: "button", "aria-pressed": settings[name] === value }, text);
    button.addEventListener("click", () => {
      settings[name] = value;
      for (const one of group.children) one.setAttribute("aria-pressed", one === button);
      redraw();
    });
    group.append(button);
  }
  return group;
}

function check(name, text, settings, redraw) {
  const box = element("input", { type: "checkbox" });
  box.checked = settings[name];
  box.addEventListener("change", () => { settings[name] = box.checked; redraw(); });
  return element("label", {}, box, text);
}

// ---- line charts ---------------------------------------------------------------------------

const MARGIN = { left: 58, right: 26, top: 10, bottom: 44 };

/** Draw lines with bands. Series: {label, name, x, y, low, high, dash, step}; null is missing. */
function lines(host, series, { xLog, yLog, floor = 0, yMax, xLabel, yLabel, xName, unit = "", height = 380 }) {
  const width = Math.max(host.clientWidth, 320);
  const bottom = height - MARGIN.bottom, right = width - MARGIN.right;
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, height, tabindex: 0, role: "img",
    "aria-label": `${yLabel} against ${xLabel}; use the arrow keys to read values` });
  host.replaceChildren(svg);
  if (!series.length) return svg.append(text(width / 2, height / 2, "no agent is shown", "middle"));
  const xs = series.flatMap((s) => s.x).filter((v) => !xLog || v > 0);
  const ys = series.flatMap((s) => [...s.y, ...s.high.filter((v) => v !== null)]);
  const [xLow, xHigh] = [Math.min(...xs), Math.max(...xs)];
  const yLow = yLog ? floor : 0, yHigh = yMax ?? Math.max(...ys, yLow * 10) * (yLog ? 1.15 : 1.03);
  const px = scale(xLow, xHigh, MARGIN.left, right, xLog), py = scale(yLow, yHigh, bottom, MARGIN.top, yLog);
  const X = (v) => px(xLog ? Math.max(v, xLow) : v).toFixed(1);
  const Y = (v) => py(clamp(v, yLow, yHigh)).toFixed(1);
  axes(svg, px, py, [xLow, xHigh, xLog], [yLow, yHigh, yLog], { width, bottom, right, xLabel, yLabel });
  for (const s of series) {
    const paint = s.label === undefined ? "var(--muted)" : `var(${colour(s.label)})`;
    const steps = s.step ? (i) => (i ? `H${X(s.x[i])}` : "") : () => "";
    const trace = (values) => values.map((v, i) => `${i ? "" : "M"}${s.step && i ? `${steps(i)}V${Y(v)}` : `${i ? "L" : ""}${X(s.x[i])} ${Y(v)}`}`).join("");
    if (s.low[0] !== null && s.low.length) {
      const back = s.low.map((v, i) => [v, i]).reverse();
      const home = back.map(([v, i], k) => (s.step && k ? `V${Y(v)}H${X(s.x[i])}` : `L${X(s.x[i])} ${Y(v)}`)).join("");
      svg.append(element("path", { class: "band", fill: paint, d: `${trace(s.high)}${home}Z` }));
    }
    svg.append(element("path", { class: "line", stroke: paint, d: trace(s.y), "data-name": s.name,
      ...(s.dash ? { "stroke-dasharray": "5 4", "stroke-width": 1.4 } : {}) }));
  }
  const cross = element("g", { visibility: "hidden" });
  svg.append(cross);
  let at = null;
  const read = (value, pageX, pageY) => {
    at = clamp(value, xLow, xHigh);
    const rows = series.map((s) => ({ s, y: valueAt(s, at) })).filter((r) => r.y !== null);
    cross.replaceChildren(element("line", { class: "cross", x1: X(at), x2: X(at), y1: MARGIN.top, y2: bottom }));
    for (const { s, y } of rows)
      cross.append(element("circle", { cx: X(at), cy: Y(y), r: 4, fill: s.label === undefined ? "var(--muted)" : `var(${colour(s.label)})` }));
    cross.setAttribute("visibility", "visible");
    rows.sort((a, b) => b.y - a.y);
    const body = rows.map(({ s, y }) => `<tr><td><i style="background:var(${s.label === undefined ? "--muted" : colour(s.label)})"></i>${escape(s.name)}</td><td>${format(y, 3)}${unit}</td></tr>`);
    showTip(`<b>${xName(at)}</b><table>${body.join("")}</table>`, pageX, pageY);
  };
  const leave = () => { cross.setAttribute("visibility", "hidden"); hideTip(); };
  svg.addEventListener("pointermove", (event) => {
    const x = ((event.clientX - svg.getBoundingClientRect().left) / svg.clientWidth) * width;
    read(px.invert(x), event.pageX, event.pageY);
  });
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("blur", leave);
  svg.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move) return;
    event.preventDefault();
    const pixel = px(at ?? xLow) + move * (right - MARGIN.left) / 100, box = svg.getBoundingClientRect();
    const place = clamp(pixel, MARGIN.left, right);
    read(px.invert(place), box.left + scrollX + (place / width) * box.width, box.top + scrollY + height / 3);
  });
}

/** The value of a curve at x: that of the last point not after it; null outside. */
function valueAt({ x, y }, at) {
  if (at < x[0] * (1 - 1e-9) || at > x[x.length - 1] * (1 + 1e-9)) return null;
  let low = 0, high = x.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (x[middle] <= at * (1 + 1e-9)) low = middle; else high = middle - 1;
  }
  return y[low];
}

function text(x, y, content, anchor, extra = {}) {
  return element("text", { x, y, "text-anchor": anchor, ...extra }, content);
}

function axes(svg, px, py, [xLow, xHigh, xLog], [yLow, yHigh, yLog], { bottom, right, xLabel, yLabel }) {
  for (const v of ticks(yLow, yHigh, yLog)) {
    svg.append(element("line", { class: "grid", x1: MARGIN.left, x2: right, y1: py(v), y2: py(v) }));
    svg.append(text(MARGIN.left - 8, py(v) + 4, format(v), "end"));
  }
  let last = -Infinity;
  for (const v of ticks(xLow, xHigh, xLog, 8)) {
    svg.append(element("line", { class: "grid", x1: px(v), x2: px(v), y1: MARGIN.top, y2: bottom }));
    if (px(v) - last < 36) continue;
    svg.append(text(px(v), bottom + 17, format(v), "middle"));
    last = px(v);
  }
  svg.append(element("line", { class: "axis", x1: MARGIN.left, x2: right, y1: bottom, y2: bottom }));
  svg.append(text((MARGIN.left + right) / 2, bottom + 37, xLabel, "middle", { class: "title" }));
  const middle = (MARGIN.top + bottom) / 2;
  svg.append(text(13, middle, yLabel, "middle", { class: "title", transform: `rotate(-90 13 ${middle})` }));
}

// ---- the three charts of an environment ----------------------------------------------------

function regretChart(host, setting) {
  const settings = { axis: "queries", centre: "mean", xLog: true, yLog: true };
  const plot = element("div", { class: "chart" });
  const draw = () => {
    const [y, low, high] = settings.centre === "mean" ? ["mean", "low", "high"] : ["median", "q25", "q75"];
    const series = setting.agents.filter((a) => shown(a.label)).map((a) => {
      const c = a[settings.axis];
      return { label: a.label, name: DATA.labels[a.label], x: c.x, y: c[y], low: c[low], high: c[high] };
    });
    if (setting.random && settings.axis === "queries" && settings.centre === "mean")
      series.push({ name: "random search, expected", x: setting.random.x, y: setting.random.mean, low: [], high: [], dash: true });
    lines(plot, series, { ...settings, floor: setting.floor, yLabel: "regret (percentage points)",
      xLabel: settings.axis === "queries" ? "queries" : "simulated GPU hours",
      xName: (v) => (settings.axis === "queries" ? `${Math.floor(v + 1e-6).toLocaleString("en")} queries` : `${format(v, 3)} GPU hours`) });
  };
  host.append(element("div", { class: "controls" },
    choice("axis", [["queries", "Queries"], ["hours", "Simulated GPU time"]], settings, draw),
    choice("centre", [["mean", "Mean and 95 % interval"], ["median", "Median and quartiles"]], settings, draw),
    check("xLog", "log x", settings, draw), check("yLog", "log y", settings, draw)), plot);
  return draw;
}

function profileChart(host, { thresholds, agents, xLabel, unit }) {
  const settings = { xLog: true };
  const plot = element("div", { class: "chart" });
  const draw = () => {
    const series = agents.filter((a) => shown(a.label)).map((a) => ({ label: a.label, name: DATA.labels[a.label],
      x: thresholds, y: a.profile.share, low: a.profile.low, high: a.profile.high, step: true }));
    lines(plot, series, { ...settings, yMax: 102, height: 320, unit: " %", xLabel, yLabel: "searches (%)",
      xName: (v) => `at most ${format(v, 3)} ${unit}` });
  };
  host.append(element("div", { class: "controls" }, check("xLog", "log x", settings, draw)), plot);
  return draw;
}

// ---- the space -----------------------------------------------------------------------------

function spaceChart(host, setting) {
  const space = setting.space, names = Object.keys(space.axes);
  const valid = unpack(space.valid), test = space.test && unpack(space.test);
  const costs = Object.fromEntries(names.map((n) => [n, unpackCost(space.axes[n])]));
  const visits = setting.agents.map((a) => unpack(a.visits)), rank = unpack(space.rank), official = unpack(DATA.official);
  const settings = { cost: names[0], all: false, searched: true };
  const canvas = element("canvas", { role: "img", "aria-label": "Accuracy of all architectures against their cost" });
  const plot = element("div", { class: "chart" }, canvas);
  const sorted = Float64Array.from(valid.filter((v) => v > 0)).sort();
  let at = null, hover = -1;
  const draw = () => {
    const width = Math.max(host.clientWidth - 40, 320), height = 460, ratio = devicePixelRatio || 1;
    canvas.width = width * ratio; canvas.height = height * ratio; canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const { values, label } = costs[settings.cost], bottom = height - MARGIN.bottom;
    const top = sorted[sorted.length - 1], low = settings.all ? sorted[0] : sorted[Math.floor(0.06 * sorted.length)];
    const margin = (top - low) * 0.04, [xLow, xHigh] = range(values);
    const px = scale(xLow, xHigh, MARGIN.left + 8, width - MARGIN.right - 8), py = scale(low - margin, top + margin, bottom, MARGIN.top);
    at = { x: Float32Array.from(values, (v) => px(v)), y: Float32Array.from(valid, (v) => (v >= low - margin && v > 0 ? py(v) : -99)) };
    paintAxes(pen, px, py, [xLow, xHigh], [low - margin, top + margin], { width, bottom, label });
    const dot = (i, r) => { pen.beginPath(); pen.arc(at.x[i], at.y[i], r, 0, 7); };
    pen.fillStyle = css("--dot"); pen.globalAlpha = 0.85;
    for (let i = 0; i < valid.length; i++) if (at.y[i] > 0) pen.fillRect(at.x[i] - 1, at.y[i] - 1, 2, 2);
    pen.globalAlpha = 0.7;
    setting.agents.forEach((agent, k) => {
      if (!shown(agent.label) || !settings.searched) return;
      pen.fillStyle = css(colour(agent.label));
      for (let i = 0; i < valid.length; i++) if (visits[k][i] && at.y[i] > 0) { dot(i, 2.1); pen.fill(); }
    });
    pen.globalAlpha = 1; pen.lineWidth = 2.4;
    for (const agent of setting.agents) if (shown(agent.label)) for (const i of agent.chosen) if (at.y[i] > 0) {
      pen.strokeStyle = css("--card"); pen.lineWidth = 5; dot(i, 6); pen.stroke();
      pen.strokeStyle = css(colour(agent.label)); pen.lineWidth = 2.4; dot(i, 6); pen.stroke();
    }
    if (hover >= 0) { pen.strokeStyle = css("--ink"); pen.lineWidth = 2; dot(hover, 9); pen.stroke(); }
  };
  canvas.addEventListener("pointermove", (event) => {
    const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    let best = 18 ** 2, found = -1;
    for (let i = 0; i < valid.length; i++) {
      const d = (at.x[i] - x) ** 2 + (at.y[i] - y) ** 2;
      if (d < best) [best, found] = [d, i];
    }
    if (found !== hover) { hover = found; draw(); }
    if (found < 0) hideTip(); else showTip(describe(found), event.pageX, event.pageY);
  });
  canvas.addEventListener("pointerleave", () => { hover = -1; draw(); hideTip(); });
  const describe = (i) => {
    const row = (name, value) => `<tr><td>${name}</td><td>${value}</td></tr>`;
    const asked = setting.agents.map((a, k) => [a, visits[k][i]]).filter(([, count]) => count);
    return cell(i) + `<table>${row("validation accuracy", `<b>${(valid[i] / 100).toFixed(2)} %</b>`)}` +
      (test ? row("test accuracy", test[i] ? `${(test[i] / 100).toFixed(2)} %` : "not recorded") : "") +
      row("rank", rank[i].toLocaleString("en")) + names.map((n) => row(escape(costs[n].name), escape(costs[n].text(i)))).join("") +
      row("official index", official[i]) +
      asked.map(([a, count]) => row(`<i style="background:var(${colour(a.label)})"></i>asked by ${escape(DATA.labels[a.label])}`, `${count} of ${a.chosen.length}`)).join("") + "</table>";
  };
  host.append(element("div", { class: "controls" },
    choice("cost", names.map((n) => [n, costs[n].name]), settings, draw),
    check("searched", "searched cells", settings, draw), check("all", "whole accuracy range", settings, draw)), plot);
  return draw;
}

/** A cost as numbers in readable units, a little spread where there are few different ones. */
function unpackCost({ name, label, codes, levels, values, unit, digits }) {
  const exact = values ? unpack(values) : Float64Array.from(unpack(codes), (c) => levels[c]);
  const text = (i) => (Number.isNaN(exact[i]) ? "not recorded" : `${exact[i].toFixed(digits)} ${unit}`);
  if (values) return { name, label, text, values: exact };
  const gap = Math.min(...levels.slice(1).map((v, i) => v - levels[i]));
  const jitter = (i) => (((i * 2654435761) % 4294967296) / 4294967296 - 0.5) * 0.7 * gap;
  return { name, text, values: exact.map((v, i) => v + jitter(i)), label: `${label}; dots spread sideways` };
}

function range(values) {
  let low = Infinity, high = -Infinity;
  for (const v of values) { if (v < low) low = v; if (v > high) high = v; }
  return [low, high];
}

function paintAxes(pen, px, py, [xLow, xHigh], [yLow, yHigh], { width, bottom, label }) {
  const font = getComputedStyle(document.body).fontFamily;
  pen.font = `12px ${font}`; pen.fillStyle = css("--muted"); pen.strokeStyle = css("--grid"); pen.lineWidth = 1;
  const rule = (x0, y0, x1, y1) => { pen.beginPath(); pen.moveTo(x0, y0); pen.lineTo(x1, y1); pen.stroke(); };
  for (const v of ticks(yLow, yHigh, false)) {
    rule(MARGIN.left, py(v), width - MARGIN.right, py(v));
    pen.textAlign = "right"; pen.fillText(format(v / 100), MARGIN.left - 8, py(v) + 4);
  }
  for (const v of ticks(xLow, xHigh, false, 8)) {
    rule(px(v), MARGIN.top, px(v), bottom);
    pen.textAlign = "center"; pen.fillText(format(v), px(v), bottom + 17);
  }
  pen.fillStyle = css("--ink");
  pen.fillText(label, (MARGIN.left + width) / 2, bottom + 37);
  pen.save(); pen.translate(13, bottom / 2); pen.rotate(-Math.PI / 2);
  pen.fillText("mean validation accuracy (%)", 0, 0); pen.restore();
}

/** The cell's picture, put together as nb201env.drawing.svg does it. */
function cell(index) {
  const ops = [];
  for (let rest = index, edge = 5; edge >= 0; edge--, rest = Math.floor(rest / 5)) ops[edge] = rest % 5;
  const { head, edges, labels, tail } = DATA.cell;
  return head + ops.map((op, e) => edges[e][op]).join("") + ops.map((op, e) => labels[e][op]).join("") + tail;
}

// ---- the page ------------------------------------------------------------------------------

const CHARTS = { regret: regretChart, profile: profileChart, space: spaceChart };
const drawers = new Map();

function show(name) {
  state.panel = name;
  for (const tab of document.querySelectorAll("[role=tab]")) {
    tab.setAttribute("aria-selected", tab.dataset.panel === name);
    tab.tabIndex = tab.dataset.panel === name ? 0 : -1;
  }
  for (const panel of document.querySelectorAll("[role=tabpanel]")) panel.hidden = panel.id !== name;
  if (!drawers.has(name))
    drawers.set(name, [...document.querySelectorAll(`#${name} [data-chart]`)].map(
      (host) => CHARTS[host.dataset.chart](host, DATA.panels[name])));
  legend(DATA.panels[name].agents.map((a) => a.label));
  redraw();
}

function redraw() {
  hideTip();
  for (const draw of drawers.get(state.panel) ?? []) draw();
}

function legend(labels) {
  const update = () => {
    for (const button of buttons) button.setAttribute("aria-pressed", shown(+button.dataset.label));
    redraw();
  };
  const buttons = labels.map((label) => {
    const button = element("button", { type: "button", "data-label": label, style: `--c: var(${colour(label)})`,
      "aria-pressed": shown(label), title: "Click: show or hide. Double click: show this one alone, or all." }, DATA.labels[label]);
    button.addEventListener("click", () => { state.hidden.delete(label) || state.hidden.add(label); update(); });
    button.addEventListener("dblclick", () => {
      const alone = labels.every((other) => shown(other) === (other === label));
      state.hidden = new Set(alone ? [] : labels.filter((other) => other !== label));
      update();
    });
    return button;
  });
  document.getElementById("legend").replaceChildren(...buttons);
}

function theme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  redraw();
}

const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", (event) => theme(event.matches));
document.getElementById("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme !== "dark"));
const tabs = [...document.querySelectorAll("[role=tab]")];
tabs.forEach((tab, i) => {
  tab.addEventListener("click", () => show(tab.dataset.panel));
  tab.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (move) { const next = tabs[(i + move + tabs.length) % tabs.length]; next.focus(); next.click(); }
  });
});
addEventListener("resize", redraw);
theme(dark.matches);
show(tabs[0].dataset.panel);
