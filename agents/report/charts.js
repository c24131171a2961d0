// The report's line charts: SVG with crosshair and tip.

const state = { hidden: new Set(), panel: null };
const COLOURS = 12;
const colour = (label) => `--c${label % COLOURS}`;
const shown = (label) => !state.hidden.has(label);

// ---- line charts ---------------------------------------------------------------------------

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
    const rows = series.map((s) => ({ s, y: valueAt(s, at, px, (v) => clamp(v, yLow, yHigh), py) })).filter((r) => r.y !== null);
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

/** The value of a curve at x where its line is drawn: between its points, or of steps the last one; null outside. */
function valueAt({ x, y, step }, at, px, within, py) {
  const last = x.length - 1;
  if (at < x[0] * (1 - 1e-9) || at > x[last] * (1 + 1e-9)) return null;
  let low = 0, high = last;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (x[middle] <= at * (1 + 1e-9)) low = middle; else high = middle - 1;
  }
  const share = step || low === last ? 0 : (px(at) - px(x[low])) / (px(x[low + 1]) - px(x[low]));
  if (!(share > 1e-6)) return y[low];
  const [from, to] = [y[low], y[low + 1]].map((v) => py(within(v)));
  return py.invert(from + share * (to - from));
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
