// <minids-descent>: gradient descent, momentum and Nesterov's variant in a long narrow valley. Sliders for the
// rate, the momentum and the limit of the gradient's norm; the start can be dragged. `values` has the numbers.
(() => {
  if (customElements.get("minids-descent")) return;
  const { make, button, slider, number, lossChart, dataColor, STYLE } = window.minidsParts;

  const CURVATURES = [0.4, 20], ANGLE = Math.PI / 9, MAX_STEPS = 200;  // along the valley and across it
  const [COS, SIN] = [Math.cos(ANGLE), Math.sin(ANGLE)];
  const RATES = [0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.09, 0.1, 0.11, 0.15, 0.2, 0.3];
  const MOMENTA = [0, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99];
  const LIMITS = [1, 2, 5, 10, 20, 50, 100, Infinity];
  const START = [-7, -4];
  const METHODS = {
    descent: ["gradient descent", dataColor("c8452d"), "descent"],
    momentum: ["momentum", dataColor("e07b00"), "momentum"],
    nesterov: ["Nesterov", dataColor("1f77b4"), "Nesterov"],
  };
  const VIEW = { x: 10, y: 6.5, width: 320, height: 208 };  // -x … x and -y … y in units of the valley

  // ---- the loss ½ (λ₁ u² + λ₂ w²), where u, w are the coordinates along the valley and across it ----

  const along = ([x, y]) => [COS * x + SIN * y, COS * y - SIN * x];
  const lossAt = (point) => along(point).reduce((sum, c, i) => sum + CURVATURES[i] * c * c / 2, 0);
  const gradientAt = (point) => {
    const [u, w] = along(point).map((c, i) => CURVATURES[i] * c);
    return [COS * u - SIN * w, SIN * u + COS * w];
  };

  function clipByNorm(gradient, limit) {
    const norm = Math.hypot(...gradient);
    return norm > limit ? gradient.map((g) => g / norm * limit) : gradient;
  }

  // The points θ after 0 … steps steps; shorter if they become infinite.
  function pathOf(method, start, steps, { rate, momentum, limit }) {
    const mu = method === "descent" ? 0 : momentum, path = [start];
    let theta = start, v = [0, 0];
    for (let step = 0; step < steps; step++) {
      const at = method === "nesterov" ? theta.map((value, i) => value + mu * v[i]) : theta;
      const gradient = clipByNorm(gradientAt(at), limit);
      v = v.map((value, i) => mu * value - rate * gradient[i]);
      theta = theta.map((value, i) => value + v[i]);
      if (!Number.isFinite(lossAt(theta))) break;
      path.push(theta);
    }
    return path;
  }

  customElements.define("minids-descent", class extends HTMLElement {
    connectedCallback() {
      if (this.shadowRoot) return;
      this.attachShadow({ mode: "open" });
      this.settings = { rate: 0.02, momentum: 0.9, limit: Infinity };
      this.start = START;
      this.steps = 40;
      this.off = new Set();
      this.makeElements();
      this.update();
    }

    disconnectedCallback() { this.play(false); }

    makeElements() {
      const buttons = make("span"), first = make("div", { class: "bar" }), second = make("div", { class: "bar" });
      this.playButton = button(buttons, "▶ play", "play: step after step", () => this.play(!this.timer));
      this.stepButton = button(buttons, "step", "one step more", () => { this.play(false); this.go(this.steps + 1); });
      button(buttons, "restart", "back to the start", () => { this.play(false); this.go(0); });
      first.append(buttons);
      const set = (name) => (value) => { this.settings[name] = value; this.update(); };
      const settings = this.settings;
      slider(second, "rate ε", RATES, settings.rate, set("rate"));
      slider(second, "momentum μ", MOMENTA, settings.momentum, set("momentum"));
      slider(second, "gradient limit", LIMITS, settings.limit, set("limit"), (limit) => limit === Infinity ? "none" : String(limit));
      this.results = make("div");
      this.rows = {};
      for (const [method, [name, color]] of Object.entries(METHODS)) {
        const toggle = make("button", { type: "button", "aria-pressed": "true", title: `show or hide ${name}` }, name);
        toggle.style.borderColor = toggle.style.color = color;
        toggle.onclick = () => {
          if (!this.off.delete(method)) this.off.add(method);
          toggle.setAttribute("aria-pressed", String(!this.off.has(method)));
          this.update();
        };
        const row = make("div", { class: "row" }), text = make("output");
        row.append(toggle, text);
        this.results.append(row);
        this.rows[method] = text;
      }
      this.valley = make("svg", { role: "group", "aria-label": "the valley with the paths", viewBox: `0 0 ${VIEW.width} ${VIEW.height}` });
      this.chart = make("svg", { role: "img", "aria-label": "the losses at each step" });
      const panels = make("div", { class: "panels" });
      panels.append(this.valley, this.chart);
      const help = "The large point is the start: drag it, or move it with the arrow keys. From line to line the loss is 4 times as large.";
      const style = `${STYLE}
        .row { display: flex; gap: .6rem; align-items: center; margin: .25rem 0; flex-wrap: wrap; }
        .row button { min-width: 10em; text-align: left; border-width: 2px; }
        .row button[aria-pressed=false] { opacity: .5; text-decoration: line-through; }
        .start { cursor: grab; touch-action: none; fill: currentColor; }`;
      this.drawValley();
      this.shadowRoot.append(make("style", {}, style), first, second, panels, make("p", { class: "faint" }, help), this.results);
    }

    drawValley() {
      const { x, y, width, height } = VIEW, scale = width / (2 * x);
      this.place = ([a, b]) => [(a + x) * scale, (y - b) * scale];
      const clip = make("clipPath", { id: "view" });
      clip.append(make("rect", { width, height }));
      const inside = make("g", { "clip-path": "url(#view)" });
      for (let level = 400; level > 0.05; level /= 4) {
        inside.append(make("ellipse", { rx: Math.sqrt(2 * level / CURVATURES[0]) * scale, ry: Math.sqrt(2 * level / CURVATURES[1]) * scale,
          transform: `translate(${width / 2} ${height / 2}) rotate(${-ANGLE * 180 / Math.PI})`, fill: "none", class: "grid" }));
      }
      this.lines = {};
      this.ends = {};
      for (const [method, [, color]] of Object.entries(METHODS)) {
        this.lines[method] = make("polyline", { fill: "none", "stroke-width": 1.6, "stroke-linejoin": "round" });
        this.lines[method].style.stroke = color;
        this.ends[method] = make("circle", { r: 5 });
        this.ends[method].style.fill = color;
        inside.append(this.lines[method], this.ends[method]);
      }
      this.startPoint = make("circle", { r: 7, class: "start", tabindex: 0, role: "slider", "aria-label": "the start",
        "aria-valuemin": -x, "aria-valuemax": x });
      this.startPoint.onpointerdown = (event) => { this.startPoint.setPointerCapture(event.pointerId); event.preventDefault(); this.startPoint.focus(); };
      this.startPoint.onpointermove = (event) => {
        if (!this.startPoint.hasPointerCapture(event.pointerId)) return;
        const box = this.valley.getBoundingClientRect();
        this.moveStart([(event.clientX - box.left) / box.width * 2 * x - x, y - (event.clientY - box.top) / box.height * 2 * y]);
      };
      this.startPoint.onkeydown = (event) => {
        const moves = { ArrowLeft: [-0.5, 0], ArrowRight: [0.5, 0], ArrowUp: [0, 0.5], ArrowDown: [0, -0.5] };
        const move = moves[event.key];
        if (!move) return;
        event.preventDefault();
        this.moveStart(this.start.map((value, i) => value + move[i]));
      };
      this.valley.append(clip, make("rect", { width, height, fill: "none", stroke: "currentColor", "stroke-opacity": 0.4 }),
        inside, this.startPoint);
    }

    moveStart([a, b]) {
      this.start = [Math.max(-VIEW.x, Math.min(VIEW.x, a)), Math.max(-VIEW.y, Math.min(VIEW.y, b))];
      this.update();
    }

    go(steps) {
      this.steps = Math.min(steps, MAX_STEPS);
      this.update();
    }

    play(on) {
      clearInterval(this.timer);
      if (on && this.steps >= MAX_STEPS) this.go(0);
      this.timer = on ? setInterval(() => {
        this.go(this.steps + 1);
        if (this.steps >= MAX_STEPS) this.play(false);
      }, 50) : null;
      this.playButton.textContent = on ? "❚❚ pause" : "▶ play";
      this.playButton.setAttribute("aria-label", on ? "pause" : "play: step after step");
    }

    get values() {
      const paths = {}, losses = {};
      for (const method of Object.keys(METHODS)) {
        paths[method] = pathOf(method, this.start, this.steps, this.settings);
        losses[method] = paths[method].map(lossAt);
      }
      return { ...this.settings, steps: this.steps, start: this.start, paths, losses, playing: Boolean(this.timer) };
    }

    update() {
      const { paths, losses } = this.values;
      const lines = [];
      for (const [method, [, color, label]] of Object.entries(METHODS)) {
        const path = paths[method], loss = losses[method], shown = !this.off.has(method);
        // far outside the view only the direction matters
        const points = path.map((point) => this.place(point.map((c) => Math.max(-1e4, Math.min(1e4, c)))));
        this.lines[method].setAttribute("points", shown ? points.map((point) => point.map((c) => c.toFixed(1)).join()).join(" ") : "");
        const [x, y] = points[points.length - 1];
        this.ends[method].setAttribute("cx", x);
        this.ends[method].setAttribute("cy", y);
        this.ends[method].style.display = shown ? "" : "none";
        if (shown) lines.push({ losses: loss, color, label });
        const last = loss[loss.length - 1], finite = loss.length > this.steps;
        this.rows[method].textContent = `step ${this.steps}: loss ${finite ? number(last) : "∞"}` +
          (!finite || last > loss[0] ? ", larger than at the start" + (finite && last < 1e4 * loss[0] ? "" : ": it diverges") : "");
      }
      const [x, y] = this.place(this.start);
      this.startPoint.setAttribute("cx", x);
      this.startPoint.setAttribute("cy", y);
      this.startPoint.setAttribute("aria-valuenow", this.start[0].toFixed(1));
      this.startPoint.setAttribute("aria-valuetext", this.start.map((c) => c.toFixed(1)).join(", "));
      this.stepButton.disabled = this.steps >= MAX_STEPS;
      lossChart(this.chart, lines, { least: 1e-4, most: 1e4, steps: 50 });
    }
  });
})();
