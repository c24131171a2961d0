// The chart of the space: dots are painted once, as pixels; marks above them are SVG, so that a pointer that moves
// paints no dot again. A grid of squares finds the dot next to it.

const NEAR = 18; // pixels: how far the pointer may be from the dot it means; also the side of the grid's squares

function spaceCanvas(host, name) {
  const canvas = element("canvas", { tabindex: 0, role: "application", "aria-roledescription": "chart of dots", "aria-label": name });
  const marks = element("svg", { class: "marks", "aria-hidden": "true" });
  host.append(canvas, marks);
  const chart = { canvas, x: new Float32Array(SIZE), y: new Float32Array(SIZE), visible: new Uint8Array(SIZE) };
  let grid = null, size = { width: 0, height: 0 };

  /** Lay out and paint: axes {measure, low, high, log}, a colouring, rings [{index, colour}]. */
  chart.draw = (xAxis, yAxis, colouring, rings) => {
    const width = Math.max(host.clientWidth, 280), height = width < 520 ? 380 : 460, ratio = devicePixelRatio || 1;
    const bottom = height - MARGIN.bottom;
    size = { width, height };
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
    marks.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const px = scale(xAxis.low, xAxis.high, MARGIN.left + 8, width - MARGIN.right - 8, xAxis.log);
    const py = scale(yAxis.low, yAxis.high, bottom - 8, MARGIN.top + 8, yAxis.log);
    place(chart.x, xAxis, px, 1); place(chart.y, yAxis, py, 2);
    const inside = (v, { low, high }) => v >= low && v <= high;
    for (let i = 0; i < SIZE; i++)
      chart.visible[i] = inside(xAxis.measure.values[i], xAxis) && inside(yAxis.measure.values[i], yAxis) ? 1 : 0;
    grid = squares(chart, width, height);
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    paintAxes(pen, px, py, xAxis, yAxis, { width, bottom });
    pen.drawImage(dots(chart, colouring, canvas, ratio), 0, 0, width, height);
    for (const { index, paint } of rings) if (chart.visible[index]) {
      pen.strokeStyle = css("--card"); pen.lineWidth = 5; ring(pen, chart, index);
      pen.strokeStyle = resolved(paint); pen.lineWidth = 2.4; ring(pen, chart, index);
    }
  };

  /** The dot next to a place on the canvas, in pixels; -1 where none is near. */
  chart.nearest = (x, y) => {
    let best = NEAR ** 2, found = -1;
    const column = Math.floor(x / NEAR), row = Math.floor(y / NEAR);
    for (let r = Math.max(row - 1, 0); r <= Math.min(row + 1, grid.rows - 1); r++)
      for (let c = Math.max(column - 1, 0); c <= Math.min(column + 1, grid.columns - 1); c++)
        for (let k = grid.start[r * grid.columns + c]; k < grid.start[r * grid.columns + c + 1]; k++) {
          const i = grid.items[k], d = (chart.x[i] - x) ** 2 + (chart.y[i] - y) ** 2;
          if (d < best) [best, found] = [d, i];
        }
    return found;
  };

  /** The next dot from one, in the direction of an arrow key: near and not far aside; the same one at the edge. */
  chart.beside = (from, [right, down]) => {
    let best = Infinity, found = from;
    for (let i = 0; i < SIZE; i++) if (chart.visible[i] && i !== from) {
      const dx = chart.x[i] - chart.x[from], dy = chart.y[i] - chart.y[from];
      const ahead = dx * right + dy * down, aside = Math.abs(dx * down) + Math.abs(dy * right);
      if (ahead > 0.5 && aside <= ahead && ahead + 2 * aside < best) [best, found] = [ahead + 2 * aside, i];
    }
    return found;
  };

  /** The dot that stands highest; -1 where there is none. */
  chart.top = () => {
    let found = -1;
    for (let i = 0; i < SIZE; i++) if (chart.visible[i] && (found < 0 || chart.y[i] < chart.y[found])) found = i;
    return found;
  };

  /** Mark dots above the painting: [{index, kind}], kind "hover", "pin" or "neighbour". */
  chart.mark = (list) => {
    const radius = { hover: 9, pin: 8, neighbour: 4.5 };
    marks.replaceChildren(...list.filter(({ index }) => index >= 0 && chart.visible[index]).map(({ index, kind }) =>
      element("circle", { class: kind, cx: chart.x[index].toFixed(1), cy: chart.y[index].toFixed(1), r: radius[kind] })));
  };
  chart.size = () => size;
  return chart;
}

/** Values as pixels; the dots of a measure with few different values are spread over the room between them. */
function place(into, { measure: { values, levels }, low, high }, to_pixel, seed) {
  let gap = 0;
  if (levels?.length > 1) {
    gap = 40;
    for (let k = 1; k < levels.length; k++)
      if (levels[k] >= low && levels[k - 1] <= high) gap = Math.min(gap, Math.abs(to_pixel(levels[k]) - to_pixel(levels[k - 1])));
  }
  for (let i = 0; i < SIZE; i++) {
    const spread = gap && ((Math.imul(i + 1, seed === 1 ? 2654435761 : 2246822519) >>> 0) / 4294967296 - 0.5) * 0.7 * gap;
    into[i] = to_pixel(values[i]) + spread;
  }
}

/** Dots by squares of NEAR pixels: those of square s are items[start[s]] .. items[start[s + 1] - 1]. */
function squares({ x, y, visible }, width, height) {
  const columns = Math.ceil(width / NEAR) + 1, rows = Math.ceil(height / NEAR) + 1;
  const square = (i) => clamp(Math.floor(y[i] / NEAR), 0, rows - 1) * columns + clamp(Math.floor(x[i] / NEAR), 0, columns - 1);
  const start = new Uint32Array(columns * rows + 1), items = new Uint16Array(SIZE);
  for (let i = 0; i < SIZE; i++) if (visible[i]) start[square(i) + 1]++;
  for (let s = 0; s < columns * rows; s++) start[s + 1] += start[s];
  const next = start.slice();
  for (let i = 0; i < SIZE; i++) if (visible[i]) items[next[square(i)]++] = i;
  return { columns, rows, start, items };
}

/** A picture of all dots, written pixel by pixel: thousands of small shapes would take a drawing library longer. */
function dots({ x, y, visible }, { buckets, colours, big }, { width, height }, ratio) {
  const layer = element("canvas", { width, height }), pen = layer.getContext("2d");
  const picture = pen.createImageData(width, height), pixels = new Uint32Array(picture.data.buffer);
  const number = (hex) => { const [r, g, b] = rgb(hex); return new Uint32Array(new Uint8Array([r, g, b, 255]).buffer)[0]; };
  const own = number(css("--dot")), paints = colours.map((paint) => number(resolved(paint)));
  const small = stamp(1.1 * ratio), large = stamp((big ? 2.05 : 1.5) * ratio);
  const put = (i, paint, shape) => {
    const left = Math.round(x[i] * ratio), top = Math.round(y[i] * ratio);
    for (let k = 0; k < shape.length; k += 2) {
      const column = left + shape[k], line = top + shape[k + 1];
      if (column >= 0 && column < width && line >= 0 && line < height) pixels[line * width + column] = paint;
    }
  };
  // In the official order, which is a shuffled one: so no op's dots lie above all others'.
  for (let row = 0; row < SIZE; row++) {
    const i = SPACE.row[row];
    if (visible[i] && (!buckets || buckets[i] === PLAIN)) put(i, own, small);
  }
  for (let row = 0; buckets && row < SIZE; row++) {
    const i = SPACE.row[row];
    if (visible[i] && buckets[i] !== PLAIN) put(i, paints[buckets[i]], large);
  }
  pen.putImageData(picture, 0, 0);
  return layer;
}

/** The pixels of a disc around 0, 0: x, y, x, y, … */
function stamp(radius) {
  const found = [], most = Math.ceil(radius);
  for (let dy = -most; dy < most; dy++)
    for (let dx = -most; dx < most; dx++) if ((dx + 0.5) ** 2 + (dy + 0.5) ** 2 <= radius ** 2 + 0.1) found.push(dx, dy);
  return Int8Array.from(found.length ? found : [0, 0]);
}

function ring(pen, { x, y }, index) {
  pen.beginPath(); pen.arc(x[index], y[index], 6, 0, 7); pen.stroke();
}

function paintAxes(pen, px, py, xAxis, yAxis, { width, bottom }) {
  const font = getComputedStyle(document.body).fontFamily, right = width - MARGIN.right;
  const rule = (x0, y0, x1, y1) => { pen.beginPath(); pen.moveTo(x0, y0); pen.lineTo(x1, y1); pen.stroke(); };
  pen.font = `12px ${font}`; pen.strokeStyle = css("--grid"); pen.lineWidth = 1; pen.fillStyle = css("--muted");
  pen.textAlign = "right";
  for (const v of spaced(ticks(yAxis.low, yAxis.high, yAxis.log), py, 14)) {
    rule(MARGIN.left, py(v), right, py(v));
    pen.fillText(format(v), MARGIN.left - 8, py(v) + 4, MARGIN.left - 26);
  }
  pen.textAlign = "center";
  for (const v of spaced(ticks(xAxis.low, xAxis.high, xAxis.log, width < 520 ? 4 : 8), px, 44)) {
    rule(px(v), MARGIN.top, px(v), bottom);
    pen.fillText(format(v), px(v), bottom + 17);
  }
  pen.fillStyle = css("--ink");
  const spread = ({ measure }) => (measure.levels?.length > 1 ? "; dots spread" : "");
  pen.fillText(`${xAxis.measure.label}${spread(xAxis) && `${spread(xAxis)} sideways`}`, (MARGIN.left + width) / 2, bottom + 37, right - MARGIN.left);
  pen.save(); pen.translate(13, bottom / 2); pen.rotate(-Math.PI / 2);
  pen.fillText(`${yAxis.measure.label}${spread(yAxis) && `${spread(yAxis)} up and down`}`, 0, 0, bottom);
  pen.restore();
}

/** Ticks that stand at least so many pixels apart. */
function spaced(values, to_pixel, room) {
  let last = -Infinity;
  return values.filter((v) => Math.abs(to_pixel(v) - last) >= room && (last = to_pixel(v), true));
}
