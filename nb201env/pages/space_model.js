// The space as numbers: measures of tables by architecture, cells as texts, what may be an axis or a colour.

const SIZE = 15625;
const SPACE = {
  official: unpack(DATA.official), depth: unpack(DATA.depth), members: unpack(DATA.members),
  tables: DATA.tables.map((table) => ({ name: table.name,
    accuracies: table.accuracies.map((one) => measure(one, true)), costs: table.costs.map((one) => measure(one, false)) })),
};
SPACE.row = new Uint16Array(SIZE);
SPACE.official.forEach((row, index) => { SPACE.row[row] = index; });

/** A measure as `{values, text, ...}`; NaN where it is not recorded. Accuracies have ranks, 1 the best. */
function measure(packed, ranked) {
  const places = packed.places && unpack(packed.places), levels = packed.levels && unpack(packed.levels);
  const values = levels ? Float32Array.from(places, (p) => (p < levels.length ? levels[p] : NaN)) : unpack(packed.values);
  const unit = packed.unit && ` ${packed.unit}`;
  const text = (i) => (Number.isNaN(values[i]) ? "not recorded" : `${fixed(values[i], packed.digits)}${unit}`);
  const sorted = Float32Array.from(values.filter((v) => !Number.isNaN(v))).sort();
  return { ...packed, values, text, sorted, levels: levels && levels.length <= 250 ? levels : null,
    rank: ranked ? ranks(places, levels.length) : null };
}

function fixed(value, digits) {
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Each architecture's place: one more than how many have a higher level; 0 for none. */
function ranks(places, levels) {
  const count = new Uint32Array(levels + 1);
  for (const p of places) count[p]++;
  const above = new Uint32Array(levels + 1);
  for (let p = levels - 2; p >= 0; p--) above[p] = above[p + 1] + count[p + 1];
  return Uint16Array.from(places, (p) => (p < levels ? above[p] + 1 : 0));
}

const ORDER = { key: "order", name: "official index", label: "official index", unit: "", digits: 0, values: SPACE.official,
  sorted: Float32Array.from(SPACE.official).sort(), text: (i) => String(SPACE.official[i]), levels: null, rank: null };

/** What can be an axis: groups of [heading, [[key, text, measure]]]; one table's measures go without its name. */
function axesOf({ tables, costs }) {
  const found = [];
  for (const number of tables) {
    const { name, accuracies, costs: prices } = SPACE.tables[number], of = tables.length > 1 ? `, ${name}` : "";
    const mine = [...accuracies, ...(costs.includes(number) ? prices : [])].map((one) =>
      [`${number}:${one.key}`, one.name + of, { ...one, label: one.label + of, table: number }]);
    if (mine.length) found.push([name, mine]);
  }
  found.push(["the space", [["order", ORDER.name, ORDER]]]);
  return found;
}

// ---- cells ---------------------------------------------------------------------------------

const POWERS = [3125, 625, 125, 25, 5, 1];
SPACE.ops = POWERS.map((power) => Uint8Array.from(SPACE.depth, (_, index) => Math.floor(index / power) % 5)); // by edge
const opsOf = (index) => SPACE.ops.map((ops) => ops[index]);
const indexOf = (ops) => ops.reduce((index, op) => index * 5 + op, 0);

function officialString(ops) {
  const n = ops.map((op) => DATA.ops.names[op]);
  return `|${n[0]}~0|+|${n[1]}~0|${n[2]}~1|+|${n[3]}~0|${n[4]}~1|${n[5]}~2|`;
}

/** The 24 cells with one other op: {index, edge, from, to}, edge by edge. */
function neighbours(index) {
  return opsOf(index).flatMap((from, edge) => [0, 1, 2, 3, 4].filter((to) => to !== from)
    .map((to) => ({ index: index + (to - from) * POWERS[edge], edge, from, to })));
}

const edgeName = (edge) => `${nodeName(DATA.edges[edge][0])}→${nodeName(DATA.edges[edge][1])}`;
const nodeName = (node) => ["in", "1", "2", "out"][node];
const depthText = (depth) => (depth ? `${depth - 1}` : "cut off");

/** The cell's picture, put together as nb201env.drawing.svg does it. */
function cell(index) {
  const ops = opsOf(index), { head, edges, labels, tail } = DATA.cell;
  return head + ops.map((op, e) => edges[e][op]).join("") + ops.map((op, e) => labels[e][op]).join("") + tail;
}
