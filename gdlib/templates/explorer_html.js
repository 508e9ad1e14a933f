// HTML from the kernel, in which every value is escaped; a click (or Enter) on what has data-act sends that to the kernel.
function render({ model, el }) {
  const draw = () => { el.innerHTML = model.get("value"); };
  const act = (event) => {
    const at = event.target.closest("[data-act]");
    if (!at || (event.type === "keydown" && event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    model.send(JSON.parse(at.dataset.act));
  };
  el.addEventListener("click", act);
  el.addEventListener("keydown", act);
  model.on("change:value", draw);
  draw();
}
export default { render };
