// Mean ranks with their critical difference: the best on the left, bars over those not told apart.

const BELOW = 20; // pixels from one name to the next
const NARROW = 500;
const LETTER = 7.4; // pixels of a letter, rather too many than too few

function ranksChart(host, { ranks }) {
  const plot = element("div", { class: "chart" });
  host.append(plot);
  const all = ranks.labels.map((label, i) => ({ label, mean: ranks.mean[i] }));
  const longest = Math.max(...all.map((one) => DATA.labels[one.label].length));
  const rows = barRows(ranks, Object.fromEntries(all.map((one) => [one.label, one.mean])));
  return () => {
    const width = roomOf(host), narrow = width < NARROW; // then all names stand at the left
    const half = narrow ? all.length : Math.ceil(all.length / 2);
    const side = Math.min(width * (narrow ? 0.5 : 0.36), LETTER * (longest + 6) + TAG.width + 16), names = 66 + rows.length * 9;
    const svg = element("svg", { class: "agents", viewBox: `0 0 ${width} ${names + half * BELOW}`, role: "img",
      "aria-label": `Mean ranks, the best first: ${all.map((one) => `${DATA.labels[one.label]} ${one.mean.toFixed(2)}`).join(", ")}. ` +
        `Differences below ${ranks.critical.toFixed(2)} do not tell agents apart.` });
    const px = scale(1, all.length, side, narrow ? width - 16 : width - side);
    for (const [i, one] of all.entries()) svg.append(rankOf(one, i, { px, half, count: all.length, side, width, names }));
    rankAxis(svg, px, all.length);
    criticalDifference(svg, px, ranks.critical, all.length, side < 26 * LETTER ? "CD" : "critical difference");
    rows.forEach((row, i) => svg.append(...row.map(([from, to]) =>
      element("line", { class: "bar", x1: px(from) - 4, x2: px(to) + 4, y1: 55 + i * 9, y2: 55 + i * 9 }))));
    plot.replaceChildren(svg);
    emphasise();
  };
}

/** The groups' bars from rank to rank, in as few rows as they need without touching. */
function barRows({ groups, labels }, mean) {
  const rows = [], gap = (labels.length - 1) / 20;
  for (const group of groups) {
    const means = group.map((label) => mean[label]), bar = [Math.min(...means), Math.max(...means)];
    const row = rows.find((other) => other.at(-1)[1] + gap < bar[0]);
    if (row) row.push(bar); else rows.push([bar]);
  }
  return rows;
}

function rankAxis(svg, px, count) {
  svg.append(element("line", { class: "ink", x1: px(1), x2: px(count), y1: 46, y2: 46 }));
  const step = Math.ceil((count * 22) / Math.max(px(count) - px(1), 1));
  for (let rank = 1; rank <= count; rank++) {
    svg.append(element("line", { class: "ink", x1: px(rank), x2: px(rank), y1: 41, y2: 46 }));
    if ((rank - 1) % step === 0) svg.append(svgText(px(rank), 37, `${rank}`, "middle"));
  }
}

/** How far mean ranks must lie apart, to the axis' scale. */
function criticalDifference(svg, px, difference, count, name) {
  const end = px(Math.min(1 + difference, count));
  svg.append(element("path", { class: "ink", fill: "none", d: `M${px(1)} 8V16M${px(1)} 12H${end}M${end} 8V16` }),
    svgText(px(1) - 8, 16, `${name} ${difference.toFixed(2)}`, "end", { class: "title" }));
}

/** A name at its side, with a line to its place on the axis. */
function rankOf({ label, mean }, i, { px, half, count, side, width, names }) {
  const left = i < half, y = names + (left ? i : count - 1 - i) * BELOW;
  const edge = left ? side - 6 : width - side + 6, at = left ? edge - TAG.width / 2 : edge + TAG.width / 2;
  const place = ` ${mean.toFixed(2)}`, room = Math.floor((side - TAG.width - 16) / LETTER) - place.length;
  const name = shortened(DATA.labels[label], room) + place;
  const group = element("g", { class: "agent", "data-agent": label },
    element("path", { class: "stem", stroke: paint(label), fill: "none", d: `M${px(mean).toFixed(1)} 46V${y}H${edge}` }),
    element("circle", { cx: px(mean), cy: 46, r: 3.2, fill: paint(label) }),
    agentTag(label, at, y),
    svgText(left ? at - TAG.width / 2 - 5 : at + TAG.width / 2 + 5, y + 4, name, left ? "end" : "start", { class: "title" }));
  actsFor(group, label);
  pointed(group, (event) => showTip(`${chipText(label)} ${escape(DATA.labels[label])}: mean rank <b>${mean.toFixed(2)}</b>`, event.pageX, event.pageY), hideTip);
  return group;
}
