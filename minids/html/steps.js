// <minids-steps>: its figures one at a time, by buttons, slider and arrow keys. It opens on the last one, which
// shows the most, or on that of data-step, counted from 0. Without it all of them show.
if (!customElements.get("minids-steps")) {
  customElements.define("minids-steps", class extends HTMLElement {
    connectedCallback() {
      // While a page loads, our children may be missing yet.
      if (document.readyState !== "loading") this.start();
      else document.addEventListener("DOMContentLoaded", () => this.start(), { once: true });
    }
    start() {
      if (this.bar) return;
      this.figures = [...this.querySelectorAll("figure")];
      const last = this.figures.length - 1;
      this.bar = document.createElement("div");
      this.bar.className = "bar";
      const button = (sign, name, step) => {
        const made = document.createElement("button");
        made.type = "button";
        made.textContent = sign;
        made.setAttribute("aria-label", name);
        made.title = name;
        made.onclick = () => this.show(step());
        this.bar.append(made);
      };
      button("Start", "first step", () => 0);
      button("‹", "previous step", () => this.step - 1);
      button("›", "next step", () => this.step + 1);
      button("»", "last step", () => last);
      this.slider = document.createElement("input");
      Object.assign(this.slider, { type: "range", min: 1, max: last + 1, value: last + 1 });
      this.slider.setAttribute("aria-label", "step");
      this.slider.oninput = () => this.show(this.slider.value - 1);
      this.count = document.createElement("output");
      this.bar.append(this.slider, this.count);
      this.caption = document.createElement("p");  // the caption, read aloud when it changes
      this.caption.className = "current-caption";
      this.caption.setAttribute("aria-live", "polite");
      this.append(this.caption);
      this.prepend(this.bar);
      this.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: this.step - 1, ArrowRight: this.step + 1, Home: 0, End: last }[event.key];
        if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        event.stopPropagation();  // the notebook around us has its own use for arrows
        this.show(step);
      });
      this.show(Number(this.dataset.step ?? last));
    }
    show(step) {
      const last = this.figures.length - 1;
      this.step = Math.max(0, Math.min(last, step));
      this.figures.forEach((figure, i) => { figure.hidden = i !== this.step; });
      this.slider.value = this.step + 1;
      this.count.textContent = `${this.step + 1} / ${last + 1}`;
      const caption = this.figures[this.step].querySelector("figcaption");
      this.caption.textContent = caption ? caption.textContent : "";
    }
  });
}
// <minids-packed>: HTML for which a notebook must be trusted. Elsewhere the picture after it is shown.
if (!customElements.get("minids-packed")) {
  customElements.define("minids-packed", class extends HTMLElement {
    connectedCallback() {
      if (document.readyState !== "loading") this.start();
      else document.addEventListener("DOMContentLoaded", () => this.start(), { once: true });
    }
    start() {
      const packed = this.querySelector('script[type="text/html"]');
      if (packed) this.innerHTML = packed.textContent;
    }
  });
}
