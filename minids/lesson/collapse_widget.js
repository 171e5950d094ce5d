// <minids-collapse path="aa-b">: a path to type or to change frame by frame, and how it collapses to a text.
(() => {
  if (customElements.get("minids-collapse")) return;

  const BLANK = "-", MAX_FRAMES = 40;
  const COLORS = ["1f77b4", "d62728", "2ca02c", "9467bd", "e07b00", "17929e", "8c564b", "c2379a"];
  const STYLE = `
    minids-collapse { display: block; max-width: 46rem; margin: 0 auto; }
    minids-collapse input { font: 1.2em monospace; width: 100%; max-width: 24ch; box-sizing: border-box;
      color: inherit; background: none; border: 1px solid currentColor; border-radius: .3em; padding: .2em .4em; }
    minids-collapse .row { display: grid; gap: 2px; margin: .15rem 0 .6rem; }
    minids-collapse .box { font: bold 1rem monospace; white-space: pre; text-align: center; padding: .25em 0;
      color: inherit; border: 0; border-radius: .25em; min-width: 0; overflow: hidden; position: relative;
      isolation: isolate; background: none; }
    minids-collapse .box::before { content: ""; position: absolute; inset: 0; z-index: -1;
      background: var(--own); opacity: .4; }
    minids-collapse button.box { cursor: pointer; }
    minids-collapse p { margin: 0; }
    minids-collapse strong { font: bold 1.3em monospace; white-space: pre; }`;

  customElements.define("minids-collapse", class extends HTMLElement {
    connectedCallback() {
      if (this.field) return;
      const style = document.createElement("style"), label = document.createElement("label");
      style.textContent = STYLE;
      label.textContent = "A path (- is the blank): ";
      this.field = document.createElement("input");
      Object.assign(this.field, {
        value: this.getAttribute("path"), maxLength: MAX_FRAMES, spellcheck: false, autocapitalize: "off",
      });
      this.field.oninput = () => this.read();
      label.append(this.field);
      this.rows = document.createElement("div");
      this.append(style, label, this.rows);
      this.read();
    }

    read() {  // a path that was typed; its characters are what a click chooses from
      this.path = [...this.field.value];
      this.letters = [...new Set(this.path)].filter((c) => c !== BLANK);
      this.collapse();
    }

    next(t) {  // the next character in frame t
      const choices = [BLANK, ...this.letters];
      this.path[t] = choices[(choices.indexOf(this.path[t]) + 1) % choices.length];
      this.field.value = this.path.join("");
      this.collapse();
      this.rows.querySelectorAll("button")[t].focus();
    }

    collapse() {
      const path = this.path;
      const runs = [];  // of equal characters: where each begins, and how many frames it has
      path.forEach((c, t) => {
        if (t && c === path[t - 1]) runs[runs.length - 1].frames += 1;
        else runs.push({ c, t, frames: 1 });
      });
      const letters = runs.filter(({ c }) => c !== BLANK);
      const color = (c) => {
        const hex = c === BLANK ? "9a9a9a" : COLORS[this.letters.indexOf(c) % 8];
        return `var(--c${hex}, #${hex})`;
      };

      const row = (words, boxes, tag) => {
        const title = document.createElement("p"), grid = document.createElement("div");
        title.textContent = words;
        grid.className = "row";
        grid.style.gridTemplateColumns = `repeat(${Math.max(path.length, 12)}, minmax(0, 2.2rem))`;
        grid.append(...boxes.map(({ c, t, frames }) => {
          const box = document.createElement(tag);
          box.className = "box";
          box.textContent = c === " " ? "␣" : c;
          box.style = `grid-column: ${t + 1} / span ${frames}; --own: ${color(c)}`;
          if (tag === "button") {
            box.ariaLabel = `frame ${t + 1}: ${c === BLANK ? "blank" : c}; next character`;
            box.onclick = () => this.next(t);
          }
          return box;
        }));
        return [title, grid];
      };

      const text = document.createElement("p"), result = document.createElement("strong");
      result.textContent = letters.map(({ c }) => c).join("");
      text.setAttribute("aria-live", "polite");
      text.append(`${path.length} frames, ${letters.length} characters: `, result);
      const frames = path.map((c, t) => ({ c, t, frames: 1 }));
      this.rows.replaceChildren(
        ...row("The output of each frame; click on one to change it.", frames, "button"),
        ...row("1. merge repeats", runs, "span"), ...row("2. remove blanks", letters, "span"), text);
    }
  });
})();
