// On every page: the search field, filters over what is already in the page, sections that open.
"use strict";

(() => {
  const html = document.documentElement;
  html.classList.add("scripted");
  const root = html.dataset.root;

  // State of filters lives in the address, as #status=fail&q=...; a fragment without = is an anchor.
  const readState = () => {
    const text = location.hash.slice(1);
    return new URLSearchParams(text.includes("=") ? text : "");
  };
  const writeState = (params) => {
    const text = params.toString();
    if (text || location.hash.includes("=")) history.replaceState(null, "", `#${text || "main"}`);
  };
  const later = (wait, action) => {
    let timer = 0;
    return () => {
      clearTimeout(timer);
      timer = setTimeout(action, wait);
    };
  };
  const count = (n) => n.toLocaleString("en-GB");

  // What a form says: name -> list of chosen values, without empty ones.
  const formState = (form) => {
    const params = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      if (value.trim()) params.append(name, value.trim());
    }
    return params;
  };
  const fillForm = (form, params) => {
    for (const control of form.elements) {
      if (!control.name) continue;
      const values = params.getAll(control.name);
      if (control.type === "checkbox") control.checked = values.includes(control.value);
      else if (control.tagName === "SELECT") {
        const value = values[0] || "";
        if (value && ![...control.options].some((option) => option.value === value)) {
          control.add(new Option(value, value));
        }
        control.value = value;
      } else if (control !== document.activeElement) control.value = values[0] || "";
    }
  };
  const wordsOf = (params) => (params.get("q") || "").toLowerCase().split(/\s+/).filter(Boolean);

  window.auditpack = { root, readState, writeState, later, count, formState, fillForm, wordsOf };

  // The search field of the page's head leads to search.html.
  const find = document.querySelector("[data-find]");
  find.addEventListener("submit", (event) => {
    event.preventDefault();
    const query = find.elements.q.value.trim();
    if (query) location.href = `${root}search.html#${new URLSearchParams({ q: query })}`;
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      (document.querySelector("main [name=q]") || find.elements.q).focus();
    }
  });

  // Filters over rows and sections that are in the page.
  const filterSection = (section) => {
    const form = section.querySelector("form");
    const items = [...section.querySelectorAll("[data-item]")];
    const groups = [...section.querySelectorAll("[data-group]")];
    const texts = new Map(items.map((item) => [item, item.textContent.toLowerCase()]));
    const shown = section.querySelector("[data-count]");
    const reset = section.querySelector("[type=reset]");
    const severities = form.elements.severity;
    if (severities) {
      const order = ["critical", "high", "medium", "low", "informational"];
      const present = new Set(items.map((item) => item.dataset.severity));
      for (const name of order.filter((name) => present.has(name))) severities.add(new Option(name, name));
    }
    const apply = (params) => {
      const statuses = params.getAll("status");
      const severity = params.get("severity");
      const words = wordsOf(params);
      let visible = 0;
      for (const item of items) {
        const fits = (!statuses.length || statuses.includes(item.dataset.status))
          && (!severity || severity === item.dataset.severity)
          && words.every((word) => texts.get(item).includes(word));
        item.hidden = !fits;
        visible += fits;
      }
      for (const group of groups) group.hidden = !group.querySelector("[data-item]:not([hidden])");
      shown.textContent = visible === items.length ? `All ${count(visible)} are shown.`
        : `${count(visible)} of ${count(items.length)} are shown.`;
      reset.hidden = !params.toString();
    };
    const changed = () => {
      const params = formState(form);
      writeState(params);
      apply(params);
    };
    form.addEventListener("input", later(120, changed));
    form.addEventListener("reset", () => setTimeout(changed));
    form.addEventListener("submit", (event) => event.preventDefault());
    const restore = () => {
      if (location.hash && !location.hash.includes("=")) return;
      fillForm(form, readState());
      apply(formState(form));
    };
    addEventListener("hashchange", restore);
    apply(new URLSearchParams());
    restore();

    const toggle = section.querySelector("[data-toggle]");
    if (toggle) {
      toggle.addEventListener("click", () => {
        const open = toggle.textContent === "Open all";
        for (const item of items) if (!item.hidden) item.open = open;
        toggle.textContent = open ? "Close all" : "Open all";
      });
    }
  };
  document.querySelectorAll("[data-filter]").forEach(filterSection);

  // A link to a section that is folded opens it.
  const openTarget = () => {
    const target = location.hash.includes("=") ? null : document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") {
      target.hidden = false;
      target.open = true;
      target.querySelector("summary").focus({ preventScroll: true });
      target.scrollIntoView();
    }
  };
  addEventListener("hashchange", openTarget);
  openTarget();

  // On paper everything is open.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const item of folded) item.open = true;
  });
  addEventListener("afterprint", () => {
    for (const item of folded) item.open = false;
  });
})();
