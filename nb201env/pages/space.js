// The space as a chart to explore: any measure against any other, coloured by what one likes; a cell that is pinned
// shows all that is known of it.

const RANGES = [["most", "without the lowest 6 %", 0.06], ["all", "all", 0], ["half", "the best half", 0.5], ["tenth", "the best tenth", 0.9]];
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Put the chart into `host`; gives the function that draws it again. `setting`: {space: {tables, costs}, agents?}. */
function spaceChart(host, setting) {
  const axes = axesOf(setting.space), measures = new Map(axes.flatMap(([, list]) => list).map(([key, , one]) => [key, one]));
  const agents = setting.agents ?? [], keys = [...measures.keys()];
  const accuracy = keys.find((key) => measures.get(key).rank) ?? keys[0];
  const settings = { x: keys.find((key) => !measures.get(key).rank && key !== accuracy) ?? "order", y: accuracy,
    colour: !agents.length ? "depth" : agents.length > 5 ? "crowd" : "agents", // so many agents' colours are confetti
    range: "most", xLog: false, yLog: false };
  const colourings = colouringsOf(axes, agents.length ? agentColourings(agents, () => agents.filter((a) => shown(a.label))) : null);
  const makers = new Map(colourings.flatMap(([, list]) => list).map(([key, , make]) => [key, make]));
  const chart = { pinned: -1, hover: -1, pointed: -1 };
  const plot = element("div", { class: "chart" }), key = element("div", { class: "key" });
  const canvas = spaceCanvas(plot, "All architectures as dots; arrow keys go from dot to dot, Enter pins one");
  const view = { ...setting.space, agents: agents.map((a) => ({ name: DATA.labels[a.label], counts: unpack(a.visits), searches: a.chosen.length, label: a.label })),
    judge: () => (measures.get(settings.y).rank ? measures.get(settings.y) : measures.get(accuracy)), pin: (index) => pin(index), point: (index) => { chart.pointed = index; mark(); } };
  const panel = spacePanel(view);

  const axis = (name) => {
    const one = measures.get(settings[name]), { sorted } = one, log = settings[`${name}Log`] && sorted[0] > 0;
    const [, , share] = RANGES.find(([value]) => value === settings.range);
    let low = sorted.length ? sorted[one.rank ? Math.floor(share * (sorted.length - 1)) : 0] : 0, high = sorted.length ? sorted[sorted.length - 1] : 1;
    if (low === high) [low, high] = [low - 0.5, high + 0.5];
    return { measure: one, low, high, log: log && low > 0 };
  };
  const draw = () => {
    const [x, y] = [axis("x"), axis("y")], by = settings.colour.replace(/^by:/, "");
    const limits = measures.get(by)?.rank ? [lowest(measures.get(by), settings.range)] : undefined;
    const colouring = makers.get(settings.colour)(limits);
    const rings = agents.filter((a) => shown(a.label)).flatMap((a) => a.chosen.map((index) => ({ index, paint: colour(a.label) })));
    canvas.draw(x, y, colouring, rings);
    key.replaceChildren(...colouring.key);
    key.hidden = !colouring.key.length;
    for (const name of ["x", "y"]) logs[name].querySelector("input").disabled = !(measures.get(settings[name]).sorted[0] > 0);
    mark();
  };
  const mark = () => {
    const { pinned, hover, pointed } = chart;
    canvas.mark([...(pinned < 0 ? [] : neighbours(pinned).map(({ index }) => ({ index, kind: "neighbour" }))),
      { index: pinned, kind: "pin" }, { index: hover, kind: "hover" }, { index: pointed, kind: "hover" }]);
  };
  const pin = (index) => {
    chart.pinned = index; chart.pointed = -1;
    const inside = index < 0 || canvas.visible[index];
    if (!inside) { settings.range = ranges.querySelector("select").value = "all"; draw(); }
    panel.show(index);
    panel.say(index < 0 ? "no cell is pinned" : `pinned: ${sentence(index)}`);
    mark();
  };
  const sentence = (index) => `cell ${SPACE.official[index]}, ${cellInWords(index)}; ${view.judge().name} ${view.judge().text(index)}`;
  const show = (index, pageX, pageY) => {
    if (index !== chart.hover) { chart.hover = index; mark(); }
    if (index < 0) hideTip(); else showTip(describe(index, view, [settings.x, settings.y].map((name) => measures.get(name))), pageX, pageY);
  };
  listen(canvas, { chart, show, pin, sentence, say: panel.say });
  const redraw = () => { draw(); if (chart.pinned >= 0) panel.show(chart.pinned); };
  const logs = { x: check("xLog", "log x", settings, draw), y: check("yLog", "log y", settings, draw) };
  const ranges = select("Accuracies", "range", [["", RANGES.map(([value, text]) => [value, text])]], settings, draw);
  host.append(element("div", { class: "controls axes" }, select("Across", "x", axes, settings, redraw), select("Upwards", "y", axes, settings, redraw),
    select("Colour", "colour", colourings, settings, draw), ranges, logs.x, logs.y),
    element("div", { class: "space" }, element("div", { class: "drawn" }, plot, key), element("div", { class: "side" }, searchForm(pin), panel.node), panel.near));
  panel.show(-1);
  return draw;
}

const lowest = ({ sorted }, range) => sorted[Math.floor(RANGES.find(([value]) => value === range)[2] * (sorted.length - 1))];

/** Pointer, touch and keys on the chart. */
function listen({ canvas, nearest, beside, top, x, y }, { chart, show, pin, sentence, say }) {
  const under = (event) => {
    const box = canvas.getBoundingClientRect();
    return nearest(event.clientX - box.left, event.clientY - box.top);
  };
  canvas.addEventListener("pointermove", (event) => { if (event.pointerType !== "touch") show(under(event), event.pageX, event.pageY); });
  canvas.addEventListener("pointerleave", (event) => { if (event.pointerType !== "touch") show(-1); });
  canvas.addEventListener("click", (event) => { const index = under(event); show(index, event.pageX, event.pageY); pin(index); });
  canvas.addEventListener("blur", () => show(-1));
  const go = (index) => {
    const box = canvas.getBoundingClientRect();
    if (index < 0) return;
    show(index, box.left + scrollX + x[index], box.top + scrollY + y[index]);
    say(sentence(index));
  };
  canvas.addEventListener("keydown", (event) => {
    const at = chart.hover >= 0 ? chart.hover : chart.pinned;
    if (ARROWS[event.key]) go(at < 0 ? top() : beside(at, ARROWS[event.key]));
    else if (event.key === "Home") go(top());
    else if (event.key === "Enter" && chart.hover >= 0) pin(chart.hover);
    else if (event.key === "Escape") { show(-1); pin(-1); }
    else return;
    event.preventDefault();
  });
}

/** A select of groups [heading, [[value, text, ...]]] with a label. */
function select(label, name, groups, settings, changed) {
  const options = (list) => list.map(([value, text]) => element("option", { value, ...(settings[name] === value ? { selected: "" } : {}) }, text));
  const id = `${name}-${++select.count}`;
  const box = element("select", { id }, ...groups.flatMap(([heading, list]) => (heading ? [element("optgroup", { label: heading }, ...options(list))] : options(list))));
  box.addEventListener("change", () => { settings[name] = box.value; changed(); });
  return element("span", { class: "field", "data-name": name }, element("label", { for: id }, label), box);
}
select.count = 0;

/** What the tip says of a cell: accuracies, costs, who asked for it. */
function describe(index, { tables, costs, agents }, axes) {
  const row = (name, value) => `<tr><td>${escape(name)}</td><td>${escape(String(value))}</td></tr>`;
  const [first] = tables, own = SPACE.tables[first].accuracies, prices = costs.includes(first) ? SPACE.tables[first].costs : [];
  const rows = own.map((one) => row(one.name, one.text(index)) + (one === own[0] && one.rank[index] ? row("rank", one.rank[index].toLocaleString("en")) : ""));
  rows.push(...axes.filter((one) => one !== ORDER && one.table !== first).map((one) => row(`${one.name}, ${SPACE.tables[one.table].name}`, one.text(index))));
  rows.push(...prices.map((one) => row(one.name, one.text(index))), row("official index", SPACE.official[index]));
  for (const { name, counts, searches, label } of agents) if (counts[index])
    rows.push(`<tr><td><i style="background:var(${colour(label)})"></i>asked by ${escape(name)}</td><td>${counts[index]} of ${searches}</td></tr>`);
  return `${cell(index)}<table>${rows.join("")}</table>`;
}
