// <minids-player>: a sound with its waveform, spectrogram and letters under one moving playhead; one of its
// versions at a time. Click, drag or use the arrow keys to seek. Without it, the browser's players show.
if (!customElements.get("minids-player")) {
  const make = (tag, properties = {}, attributes = {}) => {
    const element = Object.assign(document.createElement(tag), properties);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };
  let count = 0;

  customElements.define("minids-player", class extends HTMLElement {
    connectedCallback() {
      // While a page loads, our children may be missing yet.
      if (document.readyState !== "loading") this.start();
      else document.addEventListener("DOMContentLoaded", () => this.start(), { once: true });
    }

    start() {
      if (this.versions) return;
      this.versions = [...this.querySelectorAll("figure")].map((figure) => ({
        figure,
        name: figure.dataset.name,
        seconds: Number(figure.dataset.seconds),
        runs: JSON.parse(figure.dataset.runs),
        audio: figure.querySelector("audio") || this.querySelector("audio"),  // that of the first version
        tracks: figure.querySelector(".tracks"),
      }));
      this.classList.add("ready");
      this.seek = make("div", { className: "seek", tabIndex: 0 },
        { role: "slider", "aria-label": "position in the sound", "aria-valuemin": 0 });
      this.playhead = make("div", { className: "playhead" });
      this.seek.append(this.playhead);
      this.button = make("button", { type: "button", onclick: () => this.toggle() });
      this.readout = make("div", { className: "readout" });  // the seek bar has it for screen readers
      const controls = make("div", { className: "controls" });
      controls.append(this.button, this.readout);
      const first = Number(this.dataset.version);
      if (this.versions.length > 1) this.prepend(this.selector(first));
      this.append(controls);

      const seekTo = (event) => {
        const box = this.seek.getBoundingClientRect();
        this.seekTo((event.clientX - box.left) / box.width * this.version.seconds);
      };
      // A finger seeks when it taps or moves sideways; one that moves up or down scrolls the page.
      this.seek.onpointerdown = (event) => {
        if (event.button) return;
        const { clientX, clientY, pointerType } = event;
        let seeking = pointerType !== "touch";
        this.seek.setPointerCapture(event.pointerId);
        if (seeking) seekTo(event);
        this.seek.onpointermove = (moved) => {
          const dx = Math.abs(moved.clientX - clientX), dy = Math.abs(moved.clientY - clientY);
          seeking ||= dx > 6 && dx > dy;
          if (seeking) seekTo(moved);
        };
        this.seek.onpointerup = (end) => {
          if (seeking || Math.hypot(end.clientX - clientX, end.clientY - clientY) < 6) seekTo(end);
          this.seek.onpointermove = this.seek.onpointerup = null;
        };
      };
      this.seek.onpointercancel = () => { this.seek.onpointermove = this.seek.onpointerup = null; };
      this.seek.onkeydown = (event) => {
        const now = this.time;
        const to = { ArrowLeft: now - .02, ArrowRight: now + .02, ArrowDown: now - .1, ArrowUp: now + .1,
          PageDown: now - .5, PageUp: now + .5, Home: 0, End: this.version.seconds }[event.key];
        if (event.altKey || event.ctrlKey || event.metaKey) return;
        if (event.key === " " || event.key === "Enter") this.toggle();
        else if (to !== undefined) this.seekTo(to);
        else return;
        event.preventDefault();
        event.stopPropagation();  // the notebook around us has its own use for keys
      };
      for (const version of this.versions) {
        version.audio.preload = "auto";
        version.audio.onended = () => { this.time = 0; this.draw(); };
        version.audio.onerror = () => { this.readout.textContent = "This browser cannot play the sound."; };
        version.audio.onplay = version.audio.onpause = () => this.draw();
      }
      this.time = 0;
      this.select(first);
      new ResizeObserver(() => this.place()).observe(this);
    }

    // Buttons for up to four versions, a slider for more.
    selector(first) {
      const fieldset = make("fieldset"), by = this.dataset.by, last = this.versions.length - 1;
      fieldset.append(make("span", { textContent: `${by}: ` }));
      if (last > 3) {
        const slider = make("input", { type: "range", min: 0, max: last, value: first }, { "aria-label": by });
        const name = make("output");
        const choose = () => {
          this.select(Number(slider.value));
          name.textContent = this.version.name;
          slider.setAttribute("aria-valuetext", this.version.name);
        };
        slider.oninput = choose;
        slider.onkeydown = (event) => event.stopPropagation();
        this.chosen = () => { name.textContent = this.version.name; };
        fieldset.append(slider, name);
      } else {
        const group = `minids-player-${count++}`;
        this.versions.forEach((version, i) => {
          const label = make("label");
          const radio = make("input", { type: "radio", name: group, checked: i === first, onchange: () => this.select(i) });
          radio.onkeydown = (event) => event.stopPropagation();
          label.append(radio, version.name);
          fieldset.append(label);
        });
        fieldset.setAttribute("aria-label", by);
      }
      return fieldset;
    }

    // Show a version at the time of the last one, and go on playing.
    select(i) {
      const before = this.version, playing = before && !before.audio.paused;
      if (before) before.audio.pause();
      this.version = this.versions[i];
      for (const { figure } of this.versions) figure.hidden = figure !== this.version.figure;
      this.version.tracks.append(this.seek);
      this.seek.setAttribute("aria-valuemax", this.version.seconds);
      this.chosen?.();
      this.seekTo(this.time);
      this.place();
      if (playing) this.play();
    }

    toggle() {
      if (this.version.audio.paused) this.play();
      else this.version.audio.pause();
    }

    play() {
      for (const other of document.querySelectorAll("minids-player")) if (other !== this) other.version?.audio.pause();
      this.version.audio.currentTime = this.time;
      this.version.audio.play().catch(() => {});  // interrupted by a pause
      const follow = () => {
        const { audio } = this.version;
        if (audio.paused) return;
        this.time = audio.currentTime;
        this.draw();
        this.frame = requestAnimationFrame(follow);
      };
      cancelAnimationFrame(this.frame);  // of the version before
      this.frame = requestAnimationFrame(follow);
    }

    seekTo(time) {
      this.time = Math.max(0, Math.min(this.version.seconds, time));
      this.version.audio.currentTime = this.time;
      this.draw();
    }

    draw() {
      const { seconds, runs, audio } = this.version, time = Math.min(this.time, seconds);
      this.playhead.style.left = `${100 * time / seconds}%`;
      const paused = audio.paused;
      if (this.button.dataset.paused !== String(paused)) {
        this.button.dataset.paused = paused;
        this.button.textContent = paused ? "▶ Play" : "❚❚ Pause";
        this.button.setAttribute("aria-label", paused ? "play" : "pause");
      }
      // A run is [symbol or "" for the blank, start, end, the probabilities of its frames in percent].
      const run = runs.find(([, start, end]) => start <= time && time < end);
      let now = "";
      if (run) {
        const [symbol, start, end, percents] = run;
        const percent = percents[Math.min(percents.length - 1, Math.floor((time - start) / (end - start) * percents.length))];
        now = ` · ${symbol ? `“${symbol}”` : "blank"} ${percent} %`;
      }
      const said = runs.filter(([symbol, start]) => symbol && start <= time).map(([symbol]) => symbol);
      const text = said.join(said.some((symbol) => symbol.length > 1) ? " " : "").replaceAll("␣", " ");
      this.readout.textContent = `${time.toFixed(2)} s${now}`;
      if (text) this.readout.append(" · ", make("strong", { textContent: text }));
      this.seek.setAttribute("aria-valuenow", time.toFixed(2));
      this.seek.setAttribute("aria-valuetext", `${time.toFixed(2)} seconds${now}`);
    }

    // Raise a letter that would touch the one before it, once or twice, and hide it if that does not help.
    place() {
      const ends = [-Infinity, -Infinity, -Infinity];  // of the rows, the lowest first
      for (const letter of this.version.tracks.querySelectorAll("b")) {
        const half = letter.offsetWidth / 2 + 1, middle = letter.offsetLeft;
        const row = ends.findIndex((end) => middle - half >= end);
        letter.style.visibility = row < 0 ? "hidden" : "visible";
        letter.style.top = `${ends.length - 1 - row}rem`;
        if (row >= 0) ends[row] = middle + half;
      }
    }
  });
}
