// The space: all architectures on a canvas.

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
