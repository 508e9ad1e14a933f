// The map of texts on a plain canvas: a click opens a text, dragging chooses a rectangle, Ctrl and the wheel zoom, a
// double click shows all again. No WebGL, which remote desktops and old browsers lack; nothing here is made into HTML.
const PAD = 12, NEAR = 9;

function array(model, name, Kind) {
  const view = model.get(name);  // copied, since floats have to begin at a multiple of four bytes
  return new Kind(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

function render({ model, el }) {
  const canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
  const legend = Object.assign(document.createElement("div"), { className: "gdx-legend" });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "Map of the texts; the list shows the same texts");
  el.classList.add("gdx-map");
  el.append(canvas, legend);
  let view = [0, 0, 1, 1], drag = null, asked = 0, places, kinds, codes, order;
  const width = () => canvas.clientWidth - 2 * PAD, height = () => canvas.clientHeight - 2 * PAD;
  const toX = (x) => PAD + (x - view[0]) / (view[2] - view[0]) * width();
  const toY = (y) => PAD + (view[3] - y) / (view[3] - view[1]) * height();
  const fromX = (x) => view[0] + (x - PAD) / width() * (view[2] - view[0]);
  const fromY = (y) => view[3] - (y - PAD) / height() * (view[3] - view[1]);

  function load() {
    places = array(model, "places", Float32Array);
    kinds = array(model, "kinds", Uint8Array);
    colour();
  }

  function colour() {
    codes = array(model, "codes", Uint8Array);
    order = Uint32Array.from(codes.keys()).sort((one, other) => codes[one] - codes[other]);  // a pen changes seldom
    later();
  }

  function later() {  // what changes together is drawn once
    cancelAnimationFrame(asked);
    asked = requestAnimationFrame(draw);
  }

  function draw() {
    const style = getComputedStyle(el), ink = style.getPropertyValue("--jp-ui-font-color1") || "#222";
    const scale = window.devicePixelRatio || 1, count = kinds.length;
    canvas.width = canvas.clientWidth * scale;
    canvas.height = canvas.clientHeight * scale;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    const shown = array(model, "shown", Uint8Array);
    const palette = model.get("palette"), size = count > 20000 ? 2 : count > 3000 ? 4 : 5;
    // First what the filters leave out; of the rest the real texts, small and pale, then the generated, then the labelled.
    pen.strokeStyle = ink;
    pen.lineWidth = 1;
    for (const [kind, alpha, side] of [[-1, 0.25, size - 2], [2, 0.45, size - 1], [0, 0.9, size], [1, 1, size + 2]]) {
      const half = Math.max(1, side) / 2;
      let code = -1;
      pen.globalAlpha = alpha;
      for (const i of order) {
        if (shown[i] ? kinds[i] !== kind : kind >= 0) continue;
        if (codes[i] !== code) { code = codes[i]; pen.fillStyle = kind < 0 ? "#999" : palette[code]; }
        const x = toX(places[2 * i]) - half, y = toY(places[2 * i + 1]) - half;
        pen.fillRect(x, y, 2 * half, 2 * half);
        if (kind === 1) pen.strokeRect(x, y, 2 * half, 2 * half);
      }
    }
    pen.globalAlpha = 1;
    const current = model.get("current");
    if (current >= 0) {
      const x = toX(places[2 * current]), y = toY(places[2 * current + 1]);
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(x, y, 8, 0, 7);
      for (const [a, b] of [[0, -1], [0, 1], [-1, 0], [1, 0]]) { pen.moveTo(x + 8 * a, y + 8 * b); pen.lineTo(x + 15 * a, y + 15 * b); }
      pen.stroke();
    }
    const brush = drag ? box(drag) : model.get("value");
    if (brush.length) {
      pen.lineWidth = 1;
      pen.setLineDash([5, 3]);
      pen.strokeRect(toX(brush[0]), toY(brush[3]), toX(brush[2]) - toX(brush[0]), toY(brush[1]) - toY(brush[3]));
      pen.setLineDash([]);
    }
    legend.replaceChildren(...model.get("names").map((name, code) => {
      const entry = document.createElement("span"), dot = document.createElement("i");
      dot.style.background = palette[code];
      entry.append(dot, name);
      return entry;
    }));
  }

  function box([x0, y0, x1, y1]) {
    const xs = [fromX(x0), fromX(x1)], ys = [fromY(y0), fromY(y1)];
    return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  }

  function nearest(x, y) {
    const shown = array(model, "shown", Uint8Array);
    let best = -1, least = NEAR * NEAR;
    for (let i = 0; i < shown.length; i++) {
      const far = (toX(places[2 * i]) - x) ** 2 + (toY(places[2 * i + 1]) - y) ** 2;
      if (shown[i] && far <= least) [best, least] = [i, far];
    }
    return best;
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    drag = [event.offsetX, event.offsetY, event.offsetX, event.offsetY];
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) return;
    drag = [drag[0], drag[1], event.offsetX, event.offsetY];
    later();
  });
  canvas.addEventListener("pointerup", () => {
    if (!drag) return;
    const [x0, y0, x1, y1] = drag, brush = box(drag);
    drag = null;
    if (Math.hypot(x1 - x0, y1 - y0) > 5) {
      model.set("value", brush);
      model.save_changes();
    } else {
      const row = nearest(x1, y1);
      if (row >= 0) model.send({ open: row });
    }
    draw();
  });
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;  // the page scrolls as ever
    event.preventDefault();
    const factor = Math.exp(event.deltaY / 300), x = fromX(event.offsetX), y = fromY(event.offsetY);
    view = [x + (view[0] - x) * factor, y + (view[1] - y) * factor, x + (view[2] - x) * factor, y + (view[3] - y) * factor];
    draw();
  }, { passive: false });
  canvas.addEventListener("dblclick", () => { view = [0, 0, 1, 1]; draw(); });

  const sized = new ResizeObserver(() => draw());
  model.on("change:places", load);
  model.on("change:codes", colour);
  for (const name of ["shown", "current", "value"]) model.on(`change:${name}`, later);
  load();
  sized.observe(canvas);
  return () => { sized.disconnect(); cancelAnimationFrame(asked); };
}
export default { render };
