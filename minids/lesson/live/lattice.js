// <minids-lattice word="hi" frames="4" probabilities="[[…], …]" quantity="alpha">: the CTC lattice of a word.
// Type a word, drag the probabilities, point at a node: α, β, γ, the paths through it, the loss and its
// gradient follow. `values` has the numbers, as the reference (minids/ops/reference/ctc.py) computes them.
(() => {
  if (customElements.get("minids-lattice")) return;

  const { add, statesOf, before, after, ctc, bestPathThrough, statesThrough, logSoftmax, log } = window.minidsCtc;
  const { make, button, dataColor, STYLE: BASE } = window.minidsParts;
  const BLANK = 0, LOG_0 = -Infinity, MAX_LETTERS = 8, MAX_FRAMES = 12;
  const COLORS = ["1f77b4", "d62728", "2ca02c", "9467bd", "e07b00", "17929e", "8c564b", "c2379a"];
  const color = (k) => k === BLANK ? "currentColor" : dataColor(COLORS[(k - 1) % COLORS.length]);
  const LEGENDS = {
    alpha: "α: the probability of all ways from the start to the node, its own frame included.",
    beta: "β: the probability of all ways from the node to the end, without its own frame.",
    gamma: "γ: the probability that the word's path is in the node; each column adds up to 1.",
  };

  const BARS = "Bars: the output y of the network, to be dragged (or changed with the arrow keys).";
  const LINES = " Lines: γ, the desired output. Blue should increase, red should decrease: the gradient y − γ.";

  // ---- texts ----

  const number = (x) => x === 0 ? "0" : x >= 0.9995 ? `${+x.toFixed(3)}`
    : x >= 0.001 ? x.toFixed(3).replace(/0+$/, "") : x.toExponential(1).replace("-", "−");
  const signed = (x) => (x < 0 ? "−" : "+") + Math.abs(x).toFixed(3);
  const inNode = (x, radius) => {
    if (radius < 11 || x === 0) return "";
    if (radius >= 17) return x >= 0.001 ? number(x) : x.toExponential(0).replace("-", "−");
    return x >= 0.995 ? "1" : x >= 0.005 ? x.toFixed(2).slice(1) : "";
  };
  const count = (n, noun) => `${n.toLocaleString("en-US")} ${noun}${n === 1 ? "" : "s"}`;
  const visible = (symbol) => symbol === " " ? "␣" : symbol;

  const PAPER = "var(--paper, var(--jp-layout-color0, var(--vscode-notebook-editorBackground, Canvas)))";
  const BLUE = dataColor("2b5d8a"), RED = dataColor("c8452d");
  const STYLE = `${BASE}
    .bar { gap: .5rem .6rem; }
    .bar > span { gap: 0; }
    label b { min-width: 1.4em; }
    input[type=text] { width: 7em; padding: 0 .5em; }
    input[type=range] { width: 6.5em; }
    button[aria-pressed=true] { background: color-mix(in srgb, ${BLUE} 30%, transparent); font-weight: 600; }
    span button { border-radius: 0; margin-left: -1px; }
    span button:first-child { border-radius: .4em 0 0 .4em; margin: 0; }
    span button:last-child { border-radius: 0 .4em .4em 0; }
    svg { max-width: none; }
    svg text { text-anchor: middle; font-size: 11px; pointer-events: none; }
    svg .sign { font-size: 17px; font-weight: 700; }
    .cell text { paint-order: stroke; stroke: ${PAPER}; stroke-width: 3px; stroke-linejoin: round; }
    .node { cursor: pointer; outline: none; }
    .node:focus-visible circle:last-of-type { stroke-width: 3.5; }
    .cell { cursor: ns-resize; touch-action: none; outline: none; }
    .cell:focus-visible .box { stroke-width: 2.5; stroke-opacity: 1; }
    .panel { min-height: 8.8em; }
    .panel p { margin: .15rem 0; font-variant-numeric: tabular-nums; }
    output { min-height: 1.45em; }`;

  customElements.define("minids-lattice", class extends HTMLElement {
    connectedCallback() {
      if (!this.shadowRoot) this.start();
      this.observer = new ResizeObserver(() => requestAnimationFrame(() => {
        if (this.isConnected && this.clientWidth !== this.width) this.draw();
      }));
      this.observer.observe(this);
    }

    disconnectedCallback() {
      this.observer.disconnect();
      this.learn(false);
    }

    start() {
      this.attachShadow({ mode: "open" });
      this.quantity = LEGENDS[this.getAttribute("quantity")] ? this.getAttribute("quantity") : "alpha";
      this.pinned = this.hovered = null;  // { t, s }: a node, or { t, k }: a bar
      this.steps = 0;
      this.makeControls();
      this.setWord(this.getAttribute("word") ?? "", Number(this.getAttribute("frames")) || 4);
      const given = JSON.parse(this.getAttribute("probabilities") ?? "null");
      if (given) this.logY = log(given);
      this.draw();
    }

    makeControls() {
      const first = make("div", { class: "bar" }), second = make("div", { class: "bar" });
      const word = make("label", {}, "word"), frames = make("label", {}, "frames");
      this.wordField = make("input", { type: "text", maxlength: MAX_LETTERS, spellcheck: "false",
        autocapitalize: "off", autocomplete: "off", "aria-label": "word" });
      this.wordField.oninput = () => { this.setWord(this.wordField.value, this.frames); this.draw(); };
      this.framesField = make("input", { type: "range", min: 1, max: MAX_FRAMES, "aria-label": "frames" });
      this.framesField.oninput = () => { this.setWord(this.word, +this.framesField.value); this.draw(); };
      this.framesCount = make("b");
      word.append(this.wordField);
      frames.append(this.framesField, this.framesCount);
      const nodes = make("span", { role: "group", "aria-label": "the numbers in the nodes" });
      this.quantityButtons = Object.entries(LEGENDS).map(([name, legend]) => {
        const made = button(nodes, legend[0], legend, () => { this.quantity = name; this.update(); });
        made.dataset.quantity = name;
        return made;
      });
      first.append(word, frames, nodes);
      button(second, "equal", "all probabilities equal", () => this.setY(this.equal()));
      button(second, "random", "random probabilities", () => this.setY(this.random()));
      this.stepButton = button(second, "step", "one step of gradient descent", () => this.step());
      this.learnButton = button(second, "▶ learn", "learn: many steps", () => this.learn(!this.timer));
      this.legend = make("p", { class: "faint" });
      this.result = make("output", { "aria-live": "polite" });
      this.picture = make("div");
      this.panel = make("div", { class: "panel", "aria-live": "polite" });
      this.help = make("p", { class: "faint" });
      const style = make("style", {}, STYLE);
      this.shadowRoot.append(style, first, second, this.result, this.legend, this.picture, this.help, this.panel);
    }

    // ---- the state: word, logY [t][k], what is pointed at ----

    setWord(word, frames) {
      this.learn(false);
      const letters = [...word].filter((c) => c !== "–" && c !== "-").slice(0, MAX_LETTERS);
      this.word = letters.join("");
      this.frames = Math.max(1, Math.min(MAX_FRAMES, Math.round(frames)));
      this.symbols = ["–", ...new Set(letters)];
      this.label = letters.map((letter) => this.symbols.indexOf(letter));
      this.pinned = this.hovered = null;
      this.steps = 0;
      this.logY = this.plausible();
      if (this.wordField.value !== this.word) this.wordField.value = this.word;
      this.framesField.value = this.frames;
      this.framesCount.textContent = this.frames;
    }

    table(entry) {
      return Array.from({ length: this.frames }, (_, t) => logSoftmax(this.symbols.map((_, k) => entry(t, k))));
    }

    equal() { return this.table(() => 0); }

    random() { return this.table(() => 3 * (Math.random() + Math.random() - 1)); }

    plausible() {  // as of a network that has learned a little: each letter is likely near its share of the frames
      const U = this.label.length;
      return this.table((t, k) => k === BLANK ? 0 : add(LOG_0, ...this.label.map((letter, u) =>
        letter === k ? 1.2 - 3 * ((t + 0.5) * U / this.frames - u - 0.5) ** 2 : LOG_0)));
    }

    setY(logY) {
      this.learn(false);
      this.steps = 0;
      this.logY = logY;
      this.update();
    }

    setProbability(t, k, value) {  // the others keep their ratios
      const y = this.logY[t].map(Math.exp), K = y.length;
      if (K === 1) return;
      value = Math.max(0.001, Math.min(0.999, value));
      const rest = 1 - y[k];
      const row = y.map((x, j) => j === k ? value : rest > 0 ? x / rest * (1 - value) : (1 - value) / (K - 1));
      this.setY(this.logY.map((old, i) => i === t ? row.map(Math.log) : old));
    }

    step() {  // gradient descent on the logits, of which log y are valid ones
      const { gradient } = ctc(this.logY, this.label);
      this.logY = this.logY.map((row, t) => logSoftmax(row.map((x, k) => x - gradient[t][k])));
      this.steps += 1;
      this.update();
    }

    learn(on) {
      clearInterval(this.timer);
      this.timer = on ? setInterval(() => {
        this.step();
        if (this.values.loss < 0.01 || this.steps >= 1000) this.learn(false);
      }, 60) : null;
      this.learnButton.textContent = on ? "❚❚ pause" : "▶ learn";
    }

    get values() {
      const ones = this.logY.map((row) => row.map(() => 0));  // log 1: probabilities become counts
      const ways = ctc(ones, this.label);
      return { word: this.word, logY: this.logY, ...ctc(this.logY, this.label), alignments: Math.round(Math.exp(ways.logP)),
        through: ways.alpha.map((row, t) => row.map((a, s) => Math.round(Math.exp(a + ways.beta[t][s])))) };
    }

    // ---- the picture: `draw` makes its elements, `update` sets everything that depends on the probabilities ----

    draw() {
      const focused = this.shadowRoot.activeElement?.dataset?.at;
      this.width = this.clientWidth;
      const T = this.frames, states = statesOf(this.label), S = states.length, K = this.symbols.length;
      const signs = 34, room = Math.max(this.width, 240) - signs - 4, pitch = Math.min(140, room / T);
      const left = signs + (room - T * pitch) / 2;
      const rowHeight = S <= 9 ? 46 : 34, cellHeight = K <= 5 ? 50 : 38;
      const radius = Math.min(20, 0.37 * pitch, 0.44 * rowHeight);
      const barsTop = S * rowHeight + 34, height = barsTop + K * (cellHeight + 6) + 4;
      const x = (t) => left + (t + 0.5) * pitch, y = (s) => (s + 0.5) * rowHeight;
      this.size = { radius, cellHeight, x, y };
      const svg = make("svg", { height, role: "group", "aria-label": `lattice of ${this.word}, ${T} frames` });
      svg.onclick = (event) => { if (event.target === svg) this.point("pinned", null); };
      const layers = ["edges", "path", "nodes", "cells"].map(() => make("g"));
      const [edges, path, nodes, cells] = layers;
      states.forEach((k, s) => {
        const sign = make("text", { class: "sign", x: left - 20, y: y(s) }, visible(this.symbols[k]));
        sign.style.fill = color(k);
        svg.append(sign);
      });
      this.edges = [];
      for (let t = 0; t < T - 1; t++) {
        states.forEach((_, s) => after(states, s).forEach((r) => {
          const line = make("line", { x1: x(t), y1: y(s), x2: x(t + 1), y2: y(r) });
          edges.append(line);
          this.edges.push({ t, s, r, line });
        }));
      }
      this.path = make("polyline", { fill: "none", "stroke-width": 4, "stroke-linejoin": "round" });
      this.path.style.stroke = RED;
      path.append(this.path);
      this.nodes = [];
      for (let t = 0; t < T; t++) {
        svg.append(make("text", { class: "faint", x: x(t), y: S * rowHeight + 14 }, pitch > 44 ? `t = ${t + 1}` : `${t + 1}`));
        states.forEach((_, s) => this.addNode(nodes, t, s));
      }
      this.cells = [];
      this.symbols.forEach((symbol, k) => {
        const top = barsTop + k * (cellHeight + 6);
        const sign = make("text", { class: "sign", x: left - 20, y: top + cellHeight / 2 }, visible(symbol));
        sign.style.fill = color(k);
        svg.append(sign);
        for (let t = 0; t < T; t++) this.addCell(cells, t, k, x(t), top, pitch);
      });
      svg.append(...layers);
      svg.addEventListener("keydown", (event) => this.key(event));
      this.picture.replaceChildren(svg);
      this.update();
      if (focused) this.shadowRoot.querySelector(`[data-at="${focused}"]`)?.focus();
    }

    interactive(element, subject) {  // pointing with the mouse, tapping and focusing
      element.dataset.at = Object.values(subject).join(" ") + ("s" in subject ? " node" : " bar");
      element.setAttribute("tabindex", -1);
      element.onpointerenter = (event) => { if (event.pointerType === "mouse") this.point("hovered", subject); };
      element.onpointerleave = () => this.point("hovered", null);
      element.onfocus = () => this.point("pinned", subject);
    }

    addNode(into, t, s) {
      const { x, y, radius } = this.size;
      const group = make("g", { class: "node", role: "button" });
      const at = { cx: x(t), cy: y(s), r: radius };
      const back = make("circle", at), disc = make("circle", at);
      const hit = make("circle", { ...at, r: Math.max(radius, 14), fill: "transparent" });
      back.style.fill = PAPER;
      disc.style.fill = BLUE;
      const text = make("text", { x: x(t), y: y(s) });
      group.append(back, hit, disc, text);
      this.interactive(group, { t, s });
      group.onclick = () => group.focus();
      into.append(group);
      this.nodes.push({ t, s, group, disc, text });
    }

    addCell(into, t, k, x, top, pitch) {
      const height = this.size.cellHeight, width = Math.min(pitch - 4, 64), left = x - width / 2;
      const group = make("g", { class: "cell", role: "slider", "aria-valuemin": 0, "aria-valuemax": 1,
        "aria-label": `probability of ${k === BLANK ? "the blank" : this.symbols[k]} in frame ${t + 1}` });
      const box = make("rect", { class: "box", x: left, y: top, width, height, rx: 4, fill: "transparent",
        stroke: "currentColor", "stroke-opacity": 0.3 });
      const bar = make("rect", { x: left, width, rx: 2 }), change = make("rect", { x: left, width });
      const line = make("line", { x1: left - 2, x2: left + width + 2, "stroke-width": 2, stroke: "currentColor" });
      const text = make("text", { x });
      bar.style.fill = "currentColor";
      bar.style.opacity = 0.22;
      group.append(bar, change, box, line, text);
      this.interactive(group, { t, k });
      const drag = (event) => {
        const { top: above } = box.getBoundingClientRect();
        this.setProbability(t, k, 1 - (event.clientY - above) / height);
      };
      group.onpointerdown = (event) => {
        if (event.button) return;
        event.preventDefault();
        group.setPointerCapture(event.pointerId);
        group.focus();
        drag(event);
      };
      group.onpointermove = (event) => { if (group.hasPointerCapture(event.pointerId)) drag(event); };
      into.append(group);
      this.cells.push({ t, k, top, width, group, bar, change, line, text });
    }

    point(how, subject) {
      this[how] = subject;
      this.update();
    }

    key(event) {
      const at = this.pinned;
      if (!at || event.altKey || event.ctrlKey || event.metaKey) return;
      const { key } = event, isNode = "s" in at;
      const sideways = { ArrowLeft: -1, ArrowRight: 1 }[key], vertical = { ArrowUp: -1, ArrowDown: 1 }[key];
      const rows = isNode ? statesOf(this.label).length : this.symbols.length;
      const row = isNode ? at.s : at.k, inside = (i, n) => Math.max(0, Math.min(n - 1, i));
      const page = { PageUp: -1, PageDown: 1 }[key] ?? (isNode ? vertical : undefined);
      if (key === "Escape") this.point("pinned", null);
      else if (sideways) this.focusAt(inside(at.t + sideways, this.frames), row, isNode);
      else if (page) this.focusAt(at.t, inside(row + page, rows), isNode);
      else if (vertical) {
        const change = -vertical * (event.shiftKey ? 0.01 : 0.05);
        this.setProbability(at.t, at.k, Math.exp(this.logY[at.t][at.k]) + change);
      } else return;
      event.preventDefault();
      event.stopPropagation();  // the notebook around us has its own use for arrows
    }

    focusAt(t, row, isNode) {
      this.shadowRoot.querySelector(`[data-at="${t} ${row} ${isNode ? "node" : "bar"}"]`).focus();
    }

    update() {
      const values = this.values, { states, alpha, beta, gamma, logP } = values;
      const subject = this.hovered ?? this.pinned, node = subject && "s" in subject ? subject : null;
      const possible = values.alignments > 0;
      const best = node && alpha[node.t][node.s] + beta[node.t][node.s] > LOG_0
        ? bestPathThrough(this.logY, states, node.t, node.s) : null;
      this.quantityButtons.forEach((made) => made.setAttribute("aria-pressed", made.dataset.quantity === this.quantity));
      this.legend.textContent = LEGENDS[this.quantity];
      this.help.textContent = BARS + (this.quantity === "gamma" ? LINES : "");
      this.stepButton.disabled = this.learnButton.disabled = logP === LOG_0;
      this.updateEdges(values, node);
      this.path.setAttribute("points", best ? best.path.map((s, t) => `${this.size.x(t)},${this.size.y(s)}`).join(" ") : "");
      this.updateNodes(values, subject, best);
      this.updateCells(values, subject);
      const loss = logP === LOG_0 ? "∞" : Math.max(0, -logP).toFixed(3);
      const parts = [make("b", {}, `p(${this.word || "the empty text"}) = ${number(Math.exp(logP))}`), `,  loss ${loss},  ` +
        `${count(values.alignments, "alignment")} among ${count(this.symbols.length ** this.frames, "path")}`];
      if (this.steps) parts.push(`, after ${count(this.steps, "step")}`);
      this.result.replaceChildren(...parts);
      const lines = !possible ? this.impossible() : node ? this.describeNode(values, node, best)
        : subject ? this.describeBar(values, subject)
        : ["Point at a node, or tap it: here are its sums, and the most probable path through it is drawn.",
           ...(this.quantity === "gamma" ? ["“step” moves the logits against the gradient, as if each frame learned alone."] : [])];
      if (possible && logP === LOG_0) lines.push("No alignment has a probability above 0, so the gradient is set to 0.");
      this.panel.replaceChildren(...lines.map((line) => make("p", {}, line)));
    }

    updateEdges({ states, alpha, beta, logP }, node) {
      const inside = node && statesThrough(states, node, this.frames);
      for (const { t, s, r, line } of this.edges) {
        const share = logP === LOG_0 ? 0 : Math.exp(alpha[t][s] + this.logY[t + 1][states[r]] + beta[t + 1][r] - logP);
        const through = !node || (inside[t].has(s) && inside[t + 1].has(r));
        line.style.stroke = share > 0 ? BLUE : "currentColor";
        line.style.strokeWidth = 1 + 5 * share;
        line.style.strokeOpacity = (share > 0 ? 0.3 + 0.5 * share : 0.12) * (through ? 1 : 0.35);
      }
    }

    updateNodes({ states, alpha, beta, gamma, through }, subject, best) {
      const tables = { alpha, beta, gamma: gamma.map((row) => row.map(Math.log)) };
      const numbers = tables[this.quantity].map((row) => row.map(Math.exp));
      const tabbable = this.pinned && "s" in this.pinned ? this.pinned : { t: 0, s: Math.min(1, states.length - 1) };
      for (const { t, s, group, disc, text } of this.nodes) {
        const value = numbers[t][s], largest = Math.max(...numbers[t]);
        const chosen = subject && subject.t === t && (subject.s === s || subject.k === states[s]);
        disc.style.fillOpacity = largest > 0 ? (through[t][s] ? 0.5 : 0.2) * value / largest : 0;
        disc.style.stroke = chosen || (best && best.path[t] === s) ? RED : "currentColor";
        disc.style.strokeWidth = chosen ? 3 : 1.2;
        disc.style.strokeOpacity = text.style.opacity = through[t][s] ? 1 : 0.4;
        text.textContent = inNode(value, this.size.radius);
        group.setAttribute("tabindex", tabbable.t === t && tabbable.s === s ? 0 : -1);
        group.setAttribute("aria-pressed", Boolean(chosen));
        group.setAttribute("aria-label", `frame ${t + 1}, state ${s}, ${states[s] === BLANK ? "blank" : this.symbols[states[s]]}: ` +
          `alpha ${number(Math.exp(alpha[t][s]))}, beta ${number(Math.exp(beta[t][s]))}, gamma ${number(gamma[t][s])}`);
      }
    }

    updateCells({ desired, gradient, logP }, subject) {
      const height = this.size.cellHeight, shown = logP > LOG_0 && this.quantity === "gamma";
      const tabbable = this.pinned && "k" in this.pinned ? this.pinned : { t: 0, k: 0 };
      for (const { t, k, top, width, group, bar, change, line, text } of this.cells) {
        const y = Math.exp(this.logY[t][k]), wanted = shown ? desired[t][k] : y;
        const place = (rect, high, low) => {
          rect.setAttribute("y", top + height * (1 - high));
          rect.setAttribute("height", Math.max(0, height * (high - low)));
        };
        place(bar, y, 0);
        place(change, Math.max(y, wanted), Math.min(y, wanted));
        change.style.fill = wanted > y ? BLUE : RED;
        change.style.opacity = 0.7;
        const level = top + height * (1 - wanted);
        line.setAttribute("y1", level);
        line.setAttribute("y2", level);
        line.style.visibility = shown ? "" : "hidden";
        const above = Math.max(y, wanted) < 0.7;
        text.setAttribute("y", top + (above ? 9 : height - 9));
        text.style.stroke = above || y < 0.4 ? "" : "none";  // inside the bar, the halo would make it faint
        text.textContent = width >= 34 ? y.toFixed(2) : width >= 20 ? y.toFixed(2).replace(/^0/, "") : "";
        group.setAttribute("tabindex", tabbable.t === t && tabbable.k === k ? 0 : -1);
        group.setAttribute("aria-valuenow", y.toFixed(3));
        group.setAttribute("aria-valuetext", `${y.toFixed(2)}, gradient ${signed(gradient[t][k])}`);
      }
    }

    // ---- the panel ----

    impossible() {
      const repeats = this.label.filter((k, u) => u && k === this.label[u - 1]).length;
      const needed = this.label.length + repeats;
      return [`“${this.word}” does not fit into ${count(this.frames, "frame")}: it needs at least ${needed}, one for each letter` +
        (repeats ? ` and one for the blank between ${repeats === 1 ? "two equal letters" : "equal letters"}.` : "."),
        "So p = 0, the loss is infinite, and the gradient is set to 0."];
    }

    describeNode({ states, alpha, beta, gamma, logP, through, alignments }, { t, s }, best) {
      const sign = visible(this.symbols[states[s]]), p = (x) => number(Math.exp(x));
      const factor = p(this.logY[t][states[s]]);
      const sources = t ? before(states, s).reverse().map((r) => p(alpha[t - 1][r])).join(" + ") : "";
      const ways = after(states, s);
      const to = !t ? (s < 2 ? `${factor}, the first frame` : "0: a path starts in one of the first two states")
        : `${factor} · (${sources}) = ${p(alpha[t][s])}`;
      const from = t === this.frames - 1 ? (beta[t][s] === 0 ? "1: a path can end here" : "0: no path ends here")
        : `${ways.map((r) => `${p(this.logY[t + 1][states[r]])} · ${p(beta[t + 1][r])}`).join(" + ")} = ${p(beta[t][s])}`;
      const lines = [`Frame ${t + 1}, state ${s} (${sign}): ${count(through[t][s], "alignment")} of ${alignments.toLocaleString("en-US")}`,
        `α = ${to}`, `β = ${from}`];
      if (logP > LOG_0) lines.push(`γ = αβ / p = ${p(alpha[t][s])} · ${p(beta[t][s])} / ${p(logP)} = ${number(gamma[t][s])}`);
      if (best) {
        const outputs = best.path.map((state) => visible(this.symbols[states[state]])).join(" ");
        lines.push(`The most probable path through it: ${outputs}, probability ${p(best.logP)}`);
      }
      return lines;
    }

    describeBar({ states, gamma, desired, gradient, logP }, { t, k }) {
      const sign = visible(this.symbols[k]), y = Math.exp(this.logY[t][k]), slope = gradient[t][k];
      if (logP === LOG_0 || this.quantity !== "gamma") return [`Frame ${t + 1}, ${sign}: the output is y = ${number(y)}`];
      const wish = Math.abs(slope) < 0.0005 ? "is as it should be" : slope < 0 ? "should increase" : "should decrease";
      const terms = gamma[t].filter((g, s) => states[s] === k && g >= 0.0005).map(number);
      return [`Frame ${t + 1}, ${sign}: the output is y = ${number(y)}`,
        `desired: γ = ${terms.length > 1 ? `${terms.join(" + ")} = ` : ""}${number(desired[t][k])}, summed over the states of ${sign}`,
        `gradient: y − γ = ${signed(slope)}, so it ${wish}`];
    }
  });
})();
