// How far the reader is, kept in this browser: {done: {"5.1": true}, read: {"05_align.html": 0.6}, last: {…}}.
(() => {
  const KEY = "minids-lessons";
  const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value);
  // As it is now: another tab may have changed it. Anything else than progress is no progress.
  const load = () => {
    let kept = null;
    try { kept = JSON.parse(localStorage.getItem(KEY)); } catch { /* no storage, or damaged */ }
    const { done, read, last } = isObject(kept) ? kept : {};
    return {
      done: isObject(done) ? done : {},
      read: isObject(read) ? read : {},
      last: isObject(last) && typeof last.page === "string" ? last : undefined,
    };
  };
  let progress = load();
  const change = (edit) => {
    const stored = load();
    edit(stored);
    progress = stored;
    try { localStorage.setItem(KEY, JSON.stringify(stored)); } catch { /* a browser that keeps nothing */ }
  };
  const all = (selector) => [...document.querySelectorAll(selector)];

  const bar = document.querySelector("header.bar[data-lesson]");
  if (bar) lesson();
  if (document.getElementById("start")) index();

  function lesson() {
    const { page, heading } = bar.dataset;
    const show = () => {
      for (const card of all(".exercise")) {
        const number = card.dataset.exercise, done = Boolean(progress.done[number]);
        card.classList.toggle("is-done", done);
        card.querySelector(".done input").checked = done;
        const dot = document.querySelector(`[data-dot="${number}"]`);
        dot?.classList.toggle("is-done", done);
        dot?.setAttribute("aria-label", `Exercise ${number}, ${done ? "done" : "not done"}`);
      }
    };
    for (const box of all(".exercise .done input")) {
      box.onchange = () => {
        const { exercise } = box.closest(".exercise").dataset;
        change(({ done }) => {
          if (box.checked) done[exercise] = true;
          else delete done[exercise];
        });
        show();
      };
    }
    const contents = bar.querySelector(".contents");
    contents.onclick = (event) => { if (event.target.closest("a")) contents.open = false; };
    contents.onkeydown = (event) => {
      if (event.key !== "Escape" || !contents.open) return;
      contents.open = false;
      contents.querySelector("summary").focus();
    };
    const line = bar.querySelector(".read div"), here = bar.querySelector(".here"), sections = all("main > h2[id]");
    let scheduled = false, reached = 0, last, waiting;
    const locate = () => {
      scheduled = false;
      const height = document.documentElement.scrollHeight - innerHeight;
      const read = height > 0 ? Math.min(1, scrollY / height) : 1;
      line.style.width = `${100 * read}%`;
      const section = sections.filter((h2) => h2.getBoundingClientRect().top < innerHeight / 3).pop();
      here.textContent = section ? section.textContent : "";
      reached = Math.max(reached, Math.round(100 * read) / 100);
      last = { page, heading, id: section ? section.id : "", section: section ? section.textContent : "" };
      clearTimeout(waiting);
      waiting = setTimeout(keep, 300);
    };
    const keep = () => change((stored) => {
      stored.read[page] = Math.max(Number(stored.read[page]) || 0, reached);
      stored.last = last;
    });
    addEventListener("scroll", () => {
      if (!scheduled) requestAnimationFrame(locate);
      scheduled = true;
    }, { passive: true });
    addEventListener("pagehide", keep);
    addEventListener("storage", () => {
      progress = load();
      show();
    });
    addEventListener("pageshow", show);
    show();
    locate();
    keep();
  }

  function index() {
    const cards = all(".lessons a[data-page]"), start = document.getElementById("start");
    const show = () => {
      let done = 0, total = 0;
      for (const card of cards) {
        const exercises = card.dataset.exercises.split(" ").filter(Boolean);
        const right = exercises.filter((number) => progress.done[number]).length;
        const read = progress.read[card.dataset.page], state = card.querySelector(".state");
        done += right;
        total += exercises.length;
        state.hidden = read === undefined && !right;
        state.textContent = right === exercises.length && right ? "✓ done"
          : right ? `${right} of ${exercises.length} exercises done` : `${Math.round(100 * (Number(read) || 0))} % read`;
      }
      const { last } = progress;
      forget.hidden = !last && !done;
      if (!last || !cards.some((card) => card.dataset.page === last.page)) return;
      start.href = last.page + (last.id ? `#${last.id}` : "");
      start.querySelector("strong").textContent = "Continue";
      start.querySelector("span").textContent = last.heading + (last.section ? ` · ${last.section}` : "");
      const text = document.getElementById("progress");
      text.textContent = `${done} of ${total} exercises done`;
      text.hidden = false;
    };
    const forget = document.getElementById("forget");
    forget.onclick = () => {
      if (!confirm("Forget which lessons you have read and which exercises you have done?")) return;
      try { localStorage.removeItem(KEY); } catch { /* nothing is kept */ }
      location.reload();
    };
    const reload = () => {
      progress = load();
      show();
    };
    addEventListener("storage", reload);
    addEventListener("pageshow", reload);
    show();
  }
})();
