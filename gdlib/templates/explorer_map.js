// The map of texts on a plain canvas: a click opens a text, dragging chooses a rectangle, Ctrl and the wheel zoom, a
// double click shows all again. No WebGL, which remote desktops and old browsers lack; nothing here is made into HTML.
const PAD = 12, NEAR = 9;

// Lay a square of a colour over the pixels, as a pen would; a pen takes a quarter of a second for 100,000 of them.
function lay({ data, width, height }, left, top, side, colour, alpha) {
  if (left < 0 || top < 0 || left + side > width || top + side > height) return;
  for (let y = top; y < top + side; y++) {
    for (let at = 4 * (y * width + left), end = at + 4 * side; at < end; at += 4) {
      const below = data[at + 3] / 255 * (1 - alpha), whole = alpha + below;
      for (let k = 0; k < 3; k++) data[at + k] = (alpha * colour[k] + below * data[at + k]) / whole;
      data[at + 3] = 255 * whole;
    }
  }
}

function render({ model, el }) {
  const canvas = Object.assign(document.createElement("canvas"), { role: "img", ariaLabel: "Map of the texts; the list shows the same texts" });
  const pen = canvas.getContext("2d");
  el.append(canvas);
  let view = [0, 0, 1, 1], drag = null, asked = 0, width = 1, height = 1, places, kinds, codes, shown;
  const place = (x, y) => [PAD + (x - view[0]) / (view[2] - view[0]) * width, PAD + (view[3] - y) / (view[3] - view[1]) * height];
  const back = (x, y) => [view[0] + (x - PAD) / width * (view[2] - view[0]), view[3] - (y - PAD) / height * (view[3] - view[1])];
  const dot = (i) => place(places[2 * i], places[2 * i + 1]);
  const box = ([x0, y0, x1, y1]) => [...back(Math.min(x0, x1), Math.max(y0, y1)), ...back(Math.max(x0, x1), Math.min(y0, y1))];

  function load() {
    const [floats, ...bytes] = ["places", "kinds", "codes", "shown"].map((name) => model.get(name));
    // Copied, since floats have to begin at a multiple of four bytes.
    places = new Float32Array(floats.buffer.slice(floats.byteOffset, floats.byteOffset + floats.byteLength));
    [kinds, codes, shown] = bytes.map((one) => new Uint8Array(one.buffer, one.byteOffset, one.byteLength));
    later();
  }

  function later() {  // what changes together is drawn once
    cancelAnimationFrame(asked);
    asked = requestAnimationFrame(draw);
  }

  function draw() {
    const scale = window.devicePixelRatio || 1, count = kinds.length, current = model.get("current");
    const palette = model.get("palette"), size = count > 20000 ? 2 : count > 3000 ? 4 : 5;
    [canvas.width, canvas.height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.max(1, side * scale));
    [width, height] = [canvas.clientWidth - 2 * PAD, canvas.clientHeight - 2 * PAD];
    // First what the filters leave out; of the rest the real texts, small and pale, then the generated, then the labelled.
    const image = pen.createImageData(canvas.width, canvas.height);
    const colours = ["#999999", ...palette].map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
    for (const [kind, alpha, across] of [[-1, 0.25, size - 2], [2, 0.45, size - 1], [0, 0.9, size]]) {
      const side = Math.round(Math.max(1, across) * scale);
      for (let i = 0; i < count; i++) {
        if (shown[i] ? kinds[i] !== kind : kind >= 0) continue;
        const [left, top] = dot(i).map((at) => Math.round(at * scale - side / 2));
        lay(image, left, top, side, colours[kind < 0 ? 0 : codes[i] + 1], alpha);
      }
    }
    pen.putImageData(image, 0, 0);
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.strokeStyle = getComputedStyle(el).getPropertyValue("--jp-ui-font-color1") || "#222";
    for (let i = 0; i < count; i++) {
      if (!shown[i] || kinds[i] !== 1) continue;
      const [x, y] = dot(i), square = [x - size / 2 - 1, y - size / 2 - 1, size + 2, size + 2];
      pen.fillStyle = palette[codes[i]];
      pen.fillRect(...square);
      pen.strokeRect(...square);
    }
    if (current >= 0) {
      const [x, y] = dot(current);
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(x, y, 8, 0, 7);
      for (const [a, b] of [[0, -1], [0, 1], [-1, 0], [1, 0]]) { pen.moveTo(x + 8 * a, y + 8 * b); pen.lineTo(x + 15 * a, y + 15 * b); }
      pen.stroke();
    }
    const brush = drag ? box(drag) : model.get("value");
    if (brush.length) {
      const [left, top] = place(brush[0], brush[3]), [right, bottom] = place(brush[2], brush[1]);
      pen.lineWidth = 1;
      pen.setLineDash([5, 3]);
      pen.strokeRect(left, top, right - left, bottom - top);
    }
  }

  function nearest(x, y) {
    let best = -1, least = NEAR;
    for (let i = 0; i < shown.length; i++) {
      const [left, top] = dot(i), far = Math.hypot(left - x, top - y);
      if (shown[i] && far <= least) [best, least] = [i, far];
    }
    return best;
  }

  const on = (what, how) => canvas.addEventListener(what, (event) => { if (how(event) !== false) later(); }, { passive: false });
  on("pointerdown", (event) => {
    if (event.button !== 0) return false;
    canvas.setPointerCapture(event.pointerId);
    drag = [event.offsetX, event.offsetY, event.offsetX, event.offsetY];
  });
  on("pointermove", (event) => {
    if (!drag) return false;
    drag = [drag[0], drag[1], event.offsetX, event.offsetY];
  });
  on("pointerup", () => {
    if (!drag) return false;
    const [x0, y0, x1, y1] = drag, brush = box(drag), row = nearest(x1, y1);
    drag = null;
    if (Math.hypot(x1 - x0, y1 - y0) > 5) {
      model.set("value", brush);
      model.save_changes();
    } else if (row >= 0) model.send({ open: row });
  });
  on("wheel", (event) => {
    if (!event.ctrlKey) return false;  // the page scrolls as ever
    event.preventDefault();
    const factor = Math.exp(event.deltaY / 300), at = back(event.offsetX, event.offsetY);
    view = view.map((edge, k) => at[k % 2] + (edge - at[k % 2]) * factor);
  });
  on("dblclick", () => { view = [0, 0, 1, 1]; });

  const sized = new ResizeObserver(later);
  for (const name of ["places", "codes", "shown"]) model.on(`change:${name}`, load);
  for (const name of ["current", "value"]) model.on(`change:${name}`, later);
  load();
  sized.observe(canvas);
  return () => { sized.disconnect(); cancelAnimationFrame(asked); };
}
export default { render };
