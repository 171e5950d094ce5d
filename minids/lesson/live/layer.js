// <minids-layer inputs="[[…], …]" targets="[[…], …]">: gradient descent on one layer, live. The layer
// h = min(max(W x + b, 0), 20) predicts the next frame of a sound from the present one. `values` has the numbers.
(() => {
  if (customElements.get("minids-layer")) return;
  const { make, button, slider, number, lossChart, dataColor, STYLE } = window.minidsParts;

  const CLIP = 20, START_BIAS = 5, MAX_STEPS = 2000, STEPS_AT_ONCE = 2;
  const RATES = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 2, 5];
  const BLUE = dataColor("2b5d8a"), RED = dataColor("c8452d");

  // ---- the layer: x [t][j], y [t][i], W [i][j], b [i] ----

  const forward = (x, W, b) => x.map((row) => W.map((weights, i) =>
    Math.min(Math.max(weights.reduce((sum, w, j) => sum + w * row[j], b[i]), 0), CLIP)));

  const lossOf = (h, y) => h.reduce((sum, row, t) =>
    row.reduce((s, value, i) => s + (value - y[t][i]) ** 2, sum), 0) / (2 * h.length);

  function backward(x, y, h) {
    const dW = h[0].map(() => x[0].map(() => 0)), db = h[0].map(() => 0);
    h.forEach((row, t) => row.forEach((value, i) => {
      if (value <= 0 || value >= CLIP) return;  // g is flat: no gradient passes
      const dz = (value - y[t][i]) / h.length;
      db[i] += dz;
      x[t].forEach((input, j) => { dW[i][j] += dz * input; });
    }));
    return { dW, db };
  }

  customElements.define("minids-layer", class extends HTMLElement {
    connectedCallback() {
      if (this.shadowRoot) return;
      this.attachShadow({ mode: "open" });
      this.x = JSON.parse(this.getAttribute("inputs"));
      this.y = JSON.parse(this.getAttribute("targets"));
      this.rate = 0.05;
      this.runs = [];
      const nothing = this.y.slice(1).map((row, t) => row.map((value, i) => (value - this.y[t][i]) ** 2));
      this.unchanged = nothing.flat().reduce((sum, value) => sum + value, 0) / (2 * this.y.length);
      this.makeElements();
      this.restart();
    }

    disconnectedCallback() { this.play(false); }

    makeElements() {
      const buttons = make("span"), bar = make("div", { class: "bar" });
      this.playButton = button(buttons, "▶ play", "play: many steps of gradient descent", () => this.play(!this.timer));
      this.stepButton = button(buttons, "step", "one step of gradient descent", () => { this.play(false); this.train(1); });
      button(buttons, "restart", "start again from the first weights; the curve stays", () => this.restart());
      bar.append(buttons);
      slider(bar, "learning rate ε", RATES, this.rate, (rate) => { this.rate = rate; this.relabel(); });
      this.result = make("output");
      this.warning = make("p", { class: "faint", "aria-live": "polite" });
      this.warning.style.minHeight = "2.9em";
      const chart = (label) => make("svg", { role: "img", "aria-label": label });
      this.chart = chart("the loss at each step");
      this.frames = chart("the target above the prediction, frame by frame");
      this.weights = chart("the weights W and b");
      const panels = make("div", { class: "panels" }), left = make("div"), right = make("div");
      left.append(this.chart);
      right.append(this.frames);
      this.legend = make("p", { class: "faint" });
      panels.append(left, right, this.weights, this.legend);
      this.drawFrames();
      this.drawWeights();
      this.shadowRoot.append(make("style", {}, STYLE), bar, this.result, this.warning, panels);
    }

    restart() {
      this.play(false);
      this.W = this.y[0].map(() => this.x[0].map(() => 0));
      this.b = this.y[0].map(() => START_BIAS);
      this.h = forward(this.x, this.W, this.b);
      this.runs = this.runs.filter(({ losses }) => losses.length > 1).slice(-3);
      this.runs.push({ losses: [lossOf(this.h, this.y)], rates: [this.rate] });
      this.update();
    }

    relabel() {
      const run = this.run;
      if (run.losses.length === 1) run.rates = [this.rate];
      else if (run.rates[run.rates.length - 1] !== this.rate) run.rates.push(this.rate);
      this.update();
    }

    get run() { return this.runs[this.runs.length - 1]; }

    get step() { return this.run.losses.length - 1; }

    train(steps) {
      for (let i = 0; i < steps; i++) {
        const { dW, db } = backward(this.x, this.y, this.h);
        this.W = this.W.map((row, i) => row.map((w, j) => w - this.rate * dW[i][j]));
        this.b = this.b.map((b, i) => b - this.rate * db[i]);
        this.h = forward(this.x, this.W, this.b);
        this.run.losses.push(lossOf(this.h, this.y));
      }
      this.update();
    }

    play(on) {
      clearInterval(this.timer);
      this.timer = on ? setInterval(() => {
        this.train(STEPS_AT_ONCE);
        if (this.step >= MAX_STEPS) this.play(false);
      }, 40) : null;
      this.playButton.textContent = on ? "❚❚ pause" : "▶ play";
      this.playButton.setAttribute("aria-label", on ? "pause" : "play: many steps of gradient descent");
    }

    get values() {
      const { dW, db } = backward(this.x, this.y, this.h);
      return { step: this.step, rate: this.rate, W: this.W, b: this.b, h: this.h, dW, db,
        losses: this.run.losses, unchanged: this.unchanged, playing: Boolean(this.timer) };
    }

    // ---- the pictures ----

    drawFrames() {
      const T = this.y.length, F = this.y[0].length, width = 320, rows = 84, left = 4;
      const cell = (width - left) / T, height = rows / F;
      this.frames.setAttribute("viewBox", `0 0 ${width} ${2 * rows + 54}`);
      this.cells = [];
      ["target: the next frame", "prediction of the layer"].forEach((title, k) => {
        const top = k * (rows + 26) + 20;
        this.frames.append(make("text", { x: left, y: top - 10 }, title));
        this.frames.append(make("rect", { x: left, y: top, width: width - left, height: rows, fill: "none",
          stroke: "currentColor", "stroke-opacity": 0.4 }));
        this.y.forEach((row, t) => row.forEach((value, i) => {
          const rect = make("rect", { x: left + t * cell, y: top + (F - 1 - i) * height, width: cell + 0.2,
            height: height + 0.2, fill: "currentColor", "fill-opacity": Math.min(value / 16, 1).toFixed(3) });
          if (k === 1) this.cells.push([rect, t, i]);
          this.frames.append(rect);
        }));
      });
    }

    drawWeights() {
      const F = this.y[0].length, D = this.x[0].length, cell = 16, left = 84, top = 20;
      this.weights.setAttribute("viewBox", `0 0 320 ${top + F * cell + 22}`);
      this.squares = [];
      const add = (x, y, of, read) => {
        const square = make("rect", { x, y, width: cell - 1, height: cell - 1, "stroke-opacity": 0.2, stroke: "currentColor" });
        this.squares.push([square, of, read]);
        this.weights.append(square);
      };
      const text = (x, y, anchor, words) => this.weights.append(make("text", { x, y, "text-anchor": anchor }, words));
      for (let i = 0; i < F; i++) {
        for (let j = 0; j < D; j++) add(left + j * cell, top + (F - 1 - i) * cell, "W", () => this.W[i][j]);
        add(left + (D + 1) * cell, top + (F - 1 - i) * cell, "b", () => this.b[i] - START_BIAS);
      }
      text(left + D * cell / 2, 8, "middle", "W");
      text(left + (D + 1.5) * cell, 8, "middle", `b − ${START_BIAS}`);
      text(left + D * cell / 2, top + F * cell + 11, "middle", "from band (low … high)");
      text(left - 6, top + F * cell - 8, "end", "to band low");
      text(left - 6, top + 8, "end", "high");
    }

    update() {
      const { losses } = this.run, loss = losses[losses.length - 1];
      const clipped = this.h.flat().filter((value) => value <= 0 || value >= CLIP).length / this.h.flat().length;
      const lines = this.runs.map(({ losses, rates }, i) => ({ losses, faint: i < this.runs.length - 1,
        label: `ε ${rates.join(", ")}`.slice(0, 12), color: i < this.runs.length - 1 ? "currentColor" : BLUE }));
      lossChart(this.chart, lines, { least: 1, most: 1000, steps: 100,
        level: { loss: this.unchanged, label: "“nothing changes”" } });
      this.result.innerHTML = `step <b>${this.step}</b>, loss <b>${number(loss)}</b>` +
        ` (prediction that nothing changes: ${number(this.unchanged)})`;
      this.warning.textContent = clipped === 1
        ? "All predictions are clipped at 0 or 20, so all gradients are 0: nothing can be learned any more. Restart with a smaller rate."
        : loss > losses[0] ? "The loss is larger than at the start: the learning rate is too large."
        : clipped > 0 ? `${(100 * clipped).toFixed(clipped < 0.1 ? 1 : 0)} % of the predictions are clipped at 0 or 20: no gradient passes there.` : "";
      for (const [rect, t, i] of this.cells) rect.setAttribute("fill-opacity", Math.min(this.h[t][i] / 16, 1).toFixed(3));
      const largest = { W: Math.max(...this.W.flat().map(Math.abs), 0.01), b: Math.max(...this.b.map((b) => Math.abs(b - START_BIAS)), 0.01) };
      for (const [square, of, read] of this.squares) {
        square.style.fill = read() < 0 ? BLUE : RED;
        square.setAttribute("fill-opacity", (Math.abs(read()) / largest[of]).toFixed(3));
      }
      this.legend.textContent = "Each square of W is a weight, from a band of this frame to a band of the next; the last one is the energy." +
        (this.step ? ` Red is positive, blue negative; full color is ±${number(largest.W)} in W and ±${number(largest.b)} in b − ${START_BIAS}.` : "");
    }
  });
})();
