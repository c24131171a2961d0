// What dots are coloured by. A colouring is {buckets, colours, key, big}: per architecture the place of its colour
// in `colours` (CSS variables or "#rrggbb"; 255: the dot's own), its key's entries, and which dots are larger.

const PLAIN = 255, STEPS = 48;

/** What dots can be coloured by: groups of [heading, [[key, text, make]]]; `make()` gives the colouring. */
function colouringsOf(axes, agents) {
  const short = DATA.ops.short, cells = [];
  cells.push(["depth", "depth (convolutions in a row)", () => graded(Float32Array.from(SPACE.depth, (d) => (d ? d - 1 : NaN)), {
    title: "convolutions in a row, at most", lacking: "output cut off", whole: true })]);
  short.forEach((op, k) => cells.push([`count:${k}`, `how many ${op}`, () => graded(
    Float32Array.from(SPACE.depth, (_, i) => SPACE.ops.reduce((sum, ops) => sum + (ops[i] === k), 0)), { title: `edges with ${op}`, whole: true })]));
  DATA.edges.forEach((_, edge) => cells.push([`edge:${edge}`, `op on edge ${edgeName(edge)}`, () => ({
    buckets: SPACE.ops[edge], colours: short.map((_, k) => `--op${k}`),
    key: swatches(`op on edge ${edgeName(edge)}`, short.map((op, k) => [`--op${k}`, op])) })]));
  const measures = axes.map(([heading, list]) => [heading, list.map(([key, text, one]) => [`by:${key}`, text,
    (range) => graded(one.values, { title: one.label, low: range?.[0], digits: one.digits })])]);
  return [...(agents ? [["the searches", agents]] : []), ["one colour", [["none", "nothing", () => ({ buckets: null, colours: [], key: [] })]]],
    ["the cell", cells], ...measures];
}

/** What the searches asked for as colourings; `agents` are those shown: {label, visits, chosen}. */
function agentColourings(all, shownOnes) {
  const counts = all.map((agent) => unpack(agent.visits));
  const cells = counts.map((c) => c.reduce((sum, n) => sum + (n > 0), 0));
  return [
    ["agents", "the agent that asked most often", () => {
      const at = all.map((_, k) => k).filter((k) => shownOnes().includes(all[k]));
      at.sort((a, b) => cells[a] - cells[b] || a - b); // of equals the one that asked for fewer cells
      const buckets = new Uint8Array(SIZE).fill(PLAIN);
      for (let i = 0; i < SIZE; i++) {
        let most = 0;
        for (const k of at) {
          const share = counts[k][i] / all[k].chosen.length;
          if (share > most) { most = share; buckets[i] = k; }
        }
      }
      return { buckets, big: true, colours: all.map((a) => colour(a.label)),
        key: swatches("the agent whose searches asked for a cell most often", [["--dot", "asked by none shown"]]) };
    }],
    ["crowd", "how many agents asked", () => {
      const at = all.map((_, k) => k).filter((k) => shownOnes().includes(all[k]));
      const values = Float32Array.from(SPACE.depth, (_, i) => at.reduce((sum, k) => sum + (counts[k][i] > 0), 0) || NaN);
      return { ...graded(values, { title: "agents that asked for a cell", lacking: "asked by none shown", whole: true }), big: true };
    }],
    ...all.map((agent, k) => [`asked:${k}`, `searches of ${DATA.labels[agent.label]}`, () => {
      const values = Float32Array.from(counts[k], (n) => n || NaN);
      return { ...graded(values, { title: `searches of ${DATA.labels[agent.label]} that asked for a cell`,
        lacking: "not asked for", whole: true }), big: true };
    }]),
  ];
}

/** Numbers from low to high on the page's scale of colours; what is below `low` has its first colour. */
function graded(values, { title, low, lacking = "not recorded", digits = 0, whole = false }) {
  let least = Infinity, most = -Infinity, missing = false;
  for (const v of values) {
    if (Number.isNaN(v)) { missing = true; continue; }
    if (v < least) least = v;
    if (v > most) most = v;
  }
  least = low ?? least;
  const few = whole && most - least < 12, steps = few ? Math.max(most - least + 1, 1) : STEPS;
  const place = (v) => Math.floor(few ? v - least : ((v - least) / (most - least || 1)) * (steps - 1) + 0.5);
  const buckets = Uint8Array.from(values, (v) => (Number.isNaN(v) ? PLAIN : clamp(place(v), 0, steps - 1)));
  const colours = gradient(steps), rest = missing ? [["--dot", lacking]] : [];
  const key = most < least ? swatches(title, rest)
    : few ? swatches(title, [...colours.map((c, k) => [c, String(least + k)]), ...rest])
      : [title, element("span", {}, low === undefined ? fixed(least, digits) : `${fixed(least, digits)} and less`), element("b", { class: "ramp",
          style: `background:linear-gradient(90deg,${colours.join()})` }), element("span", {}, fixed(most, digits)), ...swatches("", rest)];
  return { buckets, colours, key };
}

/** So many colours along --s0 .. --s8, the page's scale from low to high. */
function gradient(steps) {
  const stops = Array.from({ length: 9 }, (_, k) => rgb(css(`--s${k}`)));
  return Array.from({ length: steps }, (_, step) => {
    const at = steps > 1 ? (step / (steps - 1)) * 8 : 8, k = Math.min(Math.floor(at), 7);
    const mixed = stops[k].map((v, c) => Math.round(v + (stops[k + 1][c] - v) * (at - k)));
    return `#${mixed.map((v) => v.toString(16).padStart(2, "0")).join("")}`;
  });
}

function rgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/** A colour of a colouring as "#rrggbb". */
const resolved = (paint) => (paint.startsWith("--") ? css(paint) : paint);

function swatches(title, entries) {
  return [title, ...entries.map(([paint, text]) => element("span", {},
    element("i", { style: `background:${paint.startsWith("--") ? `var(${paint})` : paint}` }), text))];
}
