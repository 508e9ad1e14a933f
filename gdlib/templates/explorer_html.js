// HTML from the kernel, in which every value is escaped; a click (or Enter) on what has data-act sends that to the kernel.
// Dragging over bars of a histogram sends the range from the first to the last of them.
function render({ model, el }) {
  let from = null, to = null;
  const draw = () => {  // what has the keyboard keeps it
    const held = el.contains(document.activeElement) && document.activeElement.dataset.act;
    el.innerHTML = model.get("value");
    if (held) [...el.querySelectorAll("[role=button]")].find((one) => one.dataset.act === held)?.focus({ preventScroll: true });
  };
  const act = (event) => {
    const at = event.target.closest("[data-act]");
    if (!at || (event.type === "keydown" && event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    model.send(JSON.parse(at.dataset.act));
  };
  const over = (event) => {  // which may be beside the histogram, or beyond its ends
    if (!from) return [];
    const bars = [...from.parentElement.children];
    to = bars.find((bar) => event.clientX < bar.getBoundingClientRect().right) ?? bars.at(-1);
    const [first, last] = [from, to].map((bar) => bars.indexOf(bar)).sort((one, other) => one - other);
    bars.forEach((bar, at) => bar.classList.toggle("chosen", first <= at && at <= last));
    return bars.slice(first, last + 1);
  };
  const drop = (event) => {
    const ranges = over(event).map((bar) => Object.entries(JSON.parse(bar.dataset.act).filters)[0]);
    if (from !== to) model.send({ filters: { [ranges[0][0]]: [ranges[0][1][0], ranges.at(-1)[1][1]] } });
    from = to = null;
  };
  const start = (event) => { from = to = event.target.closest(".bin[data-act]"); };
  const heard = [[el, "click", act], [el, "keydown", act], [el, "pointerdown", start], [window, "pointermove", over], [window, "pointerup", drop]];
  heard.forEach(([where, what, how]) => where.addEventListener(what, how));
  model.on("change:value", draw);
  draw();
  return () => heard.forEach(([where, what, how]) => where.removeEventListener(what, how));
}
export default { render };
