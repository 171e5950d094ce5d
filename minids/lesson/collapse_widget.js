// <minids-collapse path="aa-b">: an input field for a path, and the text that it collapses to.
if (!customElements.get("minids-collapse")) {
  customElements.define("minids-collapse", class extends HTMLElement {
    connectedCallback() {
      if (this.field) return;
      this.style = "display: block; max-width: 46rem; margin: 0 auto";
      const label = document.createElement("label");
      label.textContent = "A path (- is the blank): ";
      this.field = document.createElement("input");
      Object.assign(this.field, { value: this.getAttribute("path"), maxLength: 40, spellcheck: false, autocapitalize: "off" });
      this.field.style = "font: 1.2em monospace; width: 24ch; max-width: 90%; color: inherit; background: none;" +
        "border: 1px solid currentColor; border-radius: .3em; padding: .2em .4em";
      this.field.oninput = () => this.collapse();
      label.append(this.field);
      this.rows = document.createElement("div");
      this.rows.setAttribute("aria-live", "polite");
      this.append(label, this.rows);
      this.collapse();
    }

    collapse() {
      const path = [...this.field.value];
      const merged = path.filter((c, i) => c !== path[i - 1]);
      const text = merged.filter(c => c !== "-");
      const rows = [["merge repeats", merged], ["remove blanks", text]];
      this.rows.replaceChildren(...rows.map(([move, characters]) => {
        const row = document.createElement("p");
        const end = document.createElement("strong");
        end.style = "font: 1.2em monospace; white-space: pre";
        end.textContent = characters.join("");
        row.append(`${move}: `, end);
        return row;
      }));
    }
  });
}
