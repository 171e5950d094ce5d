// What the live components of training share: elements, controls, and a chart of losses.
(() => {
  if (window.minidsParts) return;

  const SVG = new Set(["svg", "g", "line", "rect", "circle", "ellipse", "polyline", "text", "clipPath"]);
  const dataColor = (hex) => `var(--c${hex}, #${hex})`;

  function make(name, attributes = {}, text = "") {
    const made = SVG.has(name) ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  }

  function button(into, text, title, act) {
    const made = make("button", { type: "button", title, "aria-label": title }, text);
    made.onclick = act;
    into.append(made);
    return made;
  }

  // A slider over the given values, with its name before it and its value after it; act(value) on each change.
  function slider(into, name, values, start, act, show = (value) => String(value)) {
    const label = make("label", {}, name);
    const input = make("input", { type: "range", min: 0, max: values.length - 1, "aria-label": name });
    const shown = make("b");
    const set = (value) => {
      input.value = values.indexOf(value);
      shown.textContent = show(value);
      input.setAttribute("aria-valuetext", show(value));
    };
    input.oninput = () => { set(values[+input.value]); act(values[+input.value]); };
    label.append(input, shown);
    into.append(label);
    set(start);
    return input;
  }

  const power = (exponent) => "10" + (exponent < 0 ? "⁻" : "") + [...String(Math.abs(exponent))].map((d) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]).join("");

  function number(x) {  // three digits
    if (!Number.isFinite(x)) return "∞";
    if (x === 0 || (x >= 1e-3 && x < 1e5)) return String(+x.toPrecision(3));
    const exponent = Math.floor(Math.log10(x));
    return `${(x / 10 ** exponent).toFixed(1)}·${power(exponent)}`;
  }

  // A chart of losses over steps, logarithmic: lines [{losses, color, label, faint}] and a level to compare with.
  function lossChart(svg, lines, { width = 320, height = 210, least = 1e-3, most = 1e3, steps = 50, level = null } = {}) {
    const left = 40, right = 58, top = 24, bottom = 34;
    const longest = Math.max(steps, ...lines.map(({ losses }) => losses.length - 1));
    const x = (step) => left + step / longest * (width - left - right);
    const [low, high] = [Math.log10(least), Math.log10(most)];
    const y = (loss) => {  // beyond the axis, a line runs along its edge
      const share = (Math.log10(Math.max(loss, 1e-300)) - low) / (high - low);
      return height - bottom - Math.max(0, Math.min(1, share)) * (height - top - bottom);
    };
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const shapes = [];
    const every = Math.ceil((high - low) / 5);
    for (let exponent = Math.ceil(low); exponent <= high; exponent += every) {
      const at = y(10 ** exponent), tick = Math.abs(exponent) < 4 ? number(10 ** exponent) : power(exponent);
      shapes.push(make("line", { class: "grid", x1: left, x2: width - right, y1: at, y2: at }));
      shapes.push(make("text", { x: left - 5, y: at, "text-anchor": "end" }, tick));
    }
    for (const step of [0, longest]) {
      shapes.push(make("text", { x: x(step), y: height - bottom + 14, "text-anchor": "middle" }, String(step)));
    }
    shapes.push(make("text", { x: x(longest / 2), y: height - bottom + 28, "text-anchor": "middle" }, "steps"));
    shapes.push(make("text", { x: left - 5, y: 7, "text-anchor": "end" }, "loss"));
    if (level) {
      shapes.push(make("line", { class: "level", x1: left, x2: width - right, y1: y(level.loss), y2: y(level.loss) }));
      shapes.push(make("text", { class: "small", x: width - right, y: y(level.loss) - 8, "text-anchor": "end" }, level.label));
    }
    const ends = [];
    for (const { losses, color, label, faint } of lines) {
      const points = losses.map((loss, step) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`).join(" ");
      const line = make("polyline", { points, fill: "none", "stroke-width": faint ? 1.5 : 2.2 });
      line.style.stroke = color;
      if (faint) line.style.opacity = 0.55;
      shapes.push(line);
      if (losses.length) ends.push({ at: y(losses[losses.length - 1]), x: x(losses.length - 1), color, label });
    }
    ends.sort((a, b) => a.at - b.at);
    ends.forEach((end, i) => { if (i) end.at = Math.max(end.at, ends[i - 1].at + 13); });
    const over = ends.length ? Math.max(0, ends[ends.length - 1].at - (height - bottom)) : 0;
    for (const end of ends) {
      const text = make("text", { class: "halo", x: end.x + 4, y: end.at - over, "text-anchor": "start" }, end.label);
      text.style.fill = end.color;
      shapes.push(text);
    }
    svg.replaceChildren(...shapes);
  }

  const STYLE = `
    :host { display: block; max-width: 46rem; margin: 1.5rem auto; color: inherit; line-height: 1.45; }
    .bar { display: flex; flex-wrap: wrap; gap: .5rem .9rem; align-items: center; margin-bottom: .5rem; }
    .bar > span { display: inline-flex; gap: .4rem; }
    label { display: inline-flex; gap: .4rem; align-items: center; max-width: 100%; }
    label b { min-width: 3.2em; font-variant-numeric: tabular-nums; }
    input, button { font: inherit; color: inherit; background: none; box-sizing: border-box; min-height: 2.25em;
      border: 1px solid color-mix(in srgb, currentColor 55%, transparent); border-radius: .4em; }
    input[type=range] { width: 8em; min-width: 4em; border: 0; accent-color: #4f86bd; }
    button { padding: 0 .6em; min-width: 2.5em; cursor: pointer; }
    button:hover { background: color-mix(in srgb, currentColor 12%, transparent); }
    button:disabled { opacity: .45; cursor: default; }
    :focus-visible { outline: 3px solid currentColor; outline-offset: 2px; }
    .panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(17.5rem, 1fr)); gap: .5rem 1rem; align-items: start; }
    svg { display: block; width: 100%; max-width: 26rem; margin: 0 auto; overflow: visible; user-select: none; -webkit-user-select: none; }
    svg text { fill: currentColor; font-size: 12px; dominant-baseline: central; }
    svg .small { font-size: 11px; }
    .halo { paint-order: stroke; stroke-width: 4px; stroke-linejoin: round;
      stroke: var(--paper, var(--jp-layout-color0, var(--vscode-notebook-editorBackground, Canvas))); }
    .grid { stroke: currentColor; stroke-opacity: .16; }
    .level { stroke: currentColor; stroke-opacity: .6; stroke-dasharray: 5 4; }
    p { margin: .35rem 0; }
    .faint { color: var(--faint, color-mix(in srgb, currentColor 70%, transparent)); font-size: .9em; }
    output { display: block; font-variant-numeric: tabular-nums; }
    output b { font-size: 1.05em; }`;

  window.minidsParts = { make, button, slider, number, lossChart, dataColor, STYLE };
})();
