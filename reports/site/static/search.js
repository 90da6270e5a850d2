// search.html: one field over checks, requirements, controls and resources.
"use strict";

(() => {
  const app = window.auditpack;
  const MOST = 25;
  const { make, status, severity, quiet, named, tally } = app.parts;

  // A hit is ranked by where its words are: at the beginning of the title, in the title, elsewhere.
  const rank = (title, words) => {
    const text = title.toLowerCase();
    if (text.startsWith(words[0])) return 0;
    return words.every((word) => text.includes(word)) ? 1 : 2;
  };
  const pick = (entries, words) => entries
    .filter((entry) => words.every((word) => entry.hay.includes(word)))
    .map((entry) => [rank(entry.title, words), entry])
    .sort((a, b) => a[0] - b[0])
    .map(([, entry]) => entry);

  const entriesOf = (index) => ({
    Checks: Object.entries(index.checks).map(([id, [title, level, control, href, counts]]) => ({
      title, hay: `${id} ${title} ${control}`.toLowerCase(),
      show: () => [severity(level), " ", make("a", { href }, title), " ", make("code", { class: "quiet" }, id), " ", tally(counts)],
    })),
    Requirements: index.requirements.map(([framework, id, title, state, href]) => ({
      title: id, hay: `${framework} ${id} ${title}`.toLowerCase(),
      show: () => [status(state), " ", make("a", { href }, `${framework} ${id}`), " ", quiet(title)],
    })),
    Controls: index.controls.map(([id, title, objective, href]) => ({
      title, hay: `${id} ${title} ${objective}`.toLowerCase(),
      show: () => [make("a", { href }, title), " ", quiet(id)],
    })),
  });

  addEventListener("DOMContentLoaded", async () => {
    const form = document.querySelector("[data-search]");
    const results = document.querySelector("[data-results]");
    const said = form.querySelector("[data-count]");
    const index = app.getIndex();
    if (!index) return;
    const numbers = form.dataset.search ? form.dataset.search.split(",") : [];
    const groups = entriesOf(index);
    const resources = (await app.load("resources", numbers)).map((row) => ({
      title: row.name || row.id, hay: app.haystack("resources", row),
      show: () => [...named(row), tally(row.counts)],
    }));
    groups.Resources = resources;

    const draw = () => {
      const words = app.wordsOf(app.formState(form));
      results.replaceChildren();
      results.className = "results";
      if (!words.length) {
        said.textContent = "Type a word: the name of a bucket, an id of a requirement, a service.";
        return;
      }
      let total = 0;
      for (const [name, entries] of Object.entries(groups)) {
        const found = pick(entries, words);
        total += found.length;
        if (!found.length) continue;
        const more = found.length > MOST ? `, the first ${MOST} of ${app.count(found.length)}` : ` (${app.count(found.length)})`;
        results.append(make("h2", {}, name, quiet(more)), make("ul", { class: "plain-list" }, ...found.slice(0, MOST).map((entry) => make("li", {}, ...entry.show()))));
      }
      const query = new URLSearchParams({ q: words.join(" ") });
      results.append(make("p", {}, make("a", { href: `findings.html#${query}` }, "Look in the findings for the same words")));
      said.textContent = total ? `${app.count(total)} found.` : "Nothing is called that.";
    };
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", app.later(120, () => { app.writeState(app.formState(form)); draw(); }));
    const restore = () => { app.fillForm(form, app.readState()); draw(); };
    addEventListener("hashchange", restore);
    restore();
    form.elements.q.focus();
    document.documentElement.dataset.ready = "search";
  });
})();
