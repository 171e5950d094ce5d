// How far the reader is, kept in this browser: {done: {"5.1": true}, read: {"05_align.html": 0.6}, last: {…}}.
(() => {
  const KEY = "minids-lessons";
  let progress = { done: {}, read: {} };
  try {
    Object.assign(progress, JSON.parse(localStorage.getItem(KEY)));
  } catch { /* no storage, or damaged: start without progress */ }
  const save = () => {
    try { localStorage.setItem(KEY, JSON.stringify(progress)); } catch { /* a browser that keeps nothing */ }
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
        if (box.checked) progress.done[exercise] = true;
        else delete progress.done[exercise];
        save();
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
    let scheduled = false;
    const locate = () => {
      scheduled = false;
      const height = document.documentElement.scrollHeight - innerHeight;
      const read = height > 0 ? Math.min(1, scrollY / height) : 1;
      line.style.width = `${100 * read}%`;
      const section = sections.filter((h2) => h2.getBoundingClientRect().top < innerHeight / 3).pop();
      here.textContent = section ? section.textContent : "";
      progress.read[page] = Math.max(progress.read[page] || 0, Math.round(100 * read) / 100);
      progress.last = { page, heading, id: section ? section.id : "", section: section ? section.textContent : "" };
      save();
    };
    addEventListener("scroll", () => {
      if (!scheduled) requestAnimationFrame(locate);
      scheduled = true;
    }, { passive: true });
    addEventListener("pageshow", show);
    show();
    locate();
  }

  function index() {
    const cards = all(".lessons a[data-page]");
    const count = (card) => card.dataset.exercises.split(" ").filter((number) => progress.done[number]).length;
    let done = 0, total = 0;
    for (const card of cards) {
      const exercises = card.dataset.exercises.split(" ").filter(Boolean).length, right = count(card);
      const read = progress.read[card.dataset.page], state = card.querySelector(".state");
      done += right;
      total += exercises;
      state.hidden = read === undefined && !right;
      state.textContent = right === exercises && exercises ? "✓ done"
        : right ? `${right} of ${exercises} exercises done` : `${Math.round(100 * (read || 0))} % read`;
    }
    const { last } = progress, start = document.getElementById("start");
    if (last && cards.some((card) => card.dataset.page === last.page)) {
      start.href = last.page + (last.id ? `#${last.id}` : "");
      start.querySelector("strong").textContent = "Continue";
      start.querySelector("span").textContent = last.heading + (last.section ? ` · ${last.section}` : "");
      const text = document.getElementById("progress");
      text.textContent = `${done} of ${total} exercises done`;
      text.hidden = false;
    }
    const forget = document.getElementById("forget");
    forget.hidden = !last && !done;
    forget.onclick = () => {
      if (!confirm("Forget which lessons you have read and which exercises you have done?")) return;
      try { localStorage.removeItem(KEY); } catch { /* nothing is kept */ }
      location.reload();
    };
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  }
})();
