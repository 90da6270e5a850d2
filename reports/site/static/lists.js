// Lists over data files: findings, gaps, resources, segments. A hundred rows are in the page at a
// time, so fifty thousand are as quick as fifty. Text goes in as text, never as markup.
"use strict";

(() => {
  const app = window.auditpack;
  const PER_PAGE = 100;
  const LABELS = { pass: "Pass", fail: "Fail", not_evidenced: "Not evidenced", not_applicable: "Not applicable", excepted: "Excepted", satisfied: "Satisfied", not_satisfied: "Not satisfied" };
  const TONES = { pass: "good", fail: "bad", not_evidenced: "open", not_applicable: "none", excepted: "held", satisfied: "good", not_satisfied: "bad" };
  const HIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]/g;
  const collator = new Intl.Collator("en", { numeric: true });

  // Building elements

  const visible = (text) => String(text).replace(HIDDEN, (c) => `⟨U+${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
  const make = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) if (value !== "") element.setAttribute(name, value);
    for (const child of children) if (child !== "" && child != null) element.append(typeof child === "object" ? child : visible(child));
    return element;
  };
  const icon = (name) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
    svg.setAttribute("class", "icon");
    svg.setAttribute("aria-hidden", "true");
    use.setAttribute("href", `#i-${name}`);
    svg.append(use);
    return svg;
  };
  const status = (name) => make("span", { class: `status ${TONES[name]}` }, icon(TONES[name]), LABELS[name]);
  const severity = (name) => make("span", { class: `severity ${name}` },
    make("span", { class: "pips", "aria-hidden": "true" }, make("i"), make("i"), make("i"), make("i")),
    name[0].toUpperCase() + name.slice(1));
  const quiet = (text) => make("span", { class: "quiet" }, text);
  const words = (text) => { const said = text.replaceAll("_", " "); return said[0].toUpperCase() + said.slice(1); };
  const place = (row) => {
    const name = index.accounts[row.account];
    return make("span", { class: "place" }, make("span", {}, name || row.account), " ", name ? quiet(row.account) : "", " ", quiet(row.region));
  };
  const pageName = (stem, number) => (number === 1 ? `${stem}.html` : `${stem}-p${number}.html`);
  const resourceHref = (row) => {
    if (row.page > 0) return `${app.root}resources/${pageName(index.resourceStems[row.type], row.page)}#${row.anchor}`;
    if (row.page < 0) return `${app.root}gaps.html#${new URLSearchParams({ type: row.type, account: row.account, region: row.region })}`;
    return "";
  };
  const named = (row) => {
    const href = resourceHref(row);
    const shown = row.name || row.id;
    return [href ? make("a", { class: "name", href }, shown) : make("span", { class: "name" }, shown), make("span", { class: "id" }, row.id)];
  };
  const captures = (row) => {
    const [total, ...cells] = row.captures;
    if (!total) return [quiet("none")];
    const box = make("span", { class: "refs" });
    for (let i = 0; i < cells.length; i += 3) {
      const [unit, line, page] = [row.texts[cells[i]], cells[i + 1], cells[i + 2]];
      const href = page ? `${app.root}captures/${pageName(index.captureStems[unit], page)}#c${line}`
        : `${app.root}captures.html#${new URLSearchParams({ unit, line })}`;
      box.append(make("a", { class: "ref", href, title: `${visible(unit)}#${line}` }, `${unit.split("/").pop()}#${line}`), " ");
    }
    const more = total - cells.length / 3;
    if (more > 0) box.append(quiet(`and ${app.count(more)} more`));
    return [box];
  };
  const tally = (counts) => {
    const box = make("span", { class: "tally" });
    counts.forEach((n, i) => {
      const name = index.statuses[i];
      if (n) box.append(make("span", { class: TONES[name] }, icon(TONES[name]), make("b", {}, app.count(n)), make("span", { class: "hidden" }, ` ${LABELS[name].toLowerCase()}`)));
    });
    return box.childNodes.length ? box : quiet("no findings");
  };
  const worst = (row) => { const at = row.counts.findIndex((n) => n > 0); return at < 0 ? 99 : at; };

  // What a list of each kind filters by, searches in, sorts by and shows

  const byPlace = (row) => `${row.account} ${row.region}`;
  const KINDS = {
    findings: {
      fields: { status: (r) => index.statuses[r.status], severity: (r) => index.severities[r.severity], account: (r) => r.account, region: (r) => r.region, type: (r) => r.type, check: (r) => r.check, owner: (r) => r.owner },
      text: (r) => `${r.name} ${r.id} ${r.reason} ${r.check} ${index.checks[r.check][0]} ${r.owner} ${r.account} ${index.accounts[r.account] || ""} ${r.region}`,
      first: (a, b) => a.status - b.status || a.severity - b.severity,
      sort: { status: (r) => r.status, severity: (r) => r.severity, check: (r) => index.checks[r.check][0], resource: (r) => r.name || r.id, place: byPlace },
      cells: {
        status: (r) => [status(index.statuses[r.status])],
        severity: (r) => [severity(index.severities[r.severity])],
        check: (r) => [make("a", { class: "name", href: app.root + index.checks[r.check][3] }, index.checks[r.check][0]), make("span", { class: "id" }, r.check)],
        resource: named,
        place: (r) => [place(r)],
        reason: (r) => [r.reason],
        captures,
      },
    },
    gaps: {
      fields: { reason: (r) => r.reason, type: (r) => r.type, account: (r) => r.account, region: (r) => r.region },
      text: (r) => `${r.operation} ${r.type} ${r.id} ${r.facet} ${r.detail} ${r.account} ${r.region}`,
      sort: { reason: (r) => r.reason, call: (r) => `${r.type} ${r.operation}`, missing: (r) => r.id, place: byPlace },
      cells: {
        reason: (r) => [make("span", { class: "status open" }, icon("open"), words(r.reason))],
        call: (r) => [make("span", { class: "name" }, r.operation), make("span", { class: "id" }, r.type)],
        missing: (r) => {
          if (!r.id) return ["the whole listing"];
          return [r.facet ? `${r.facet} of ` : "", r.page ? make("a", { href: resourceHref(r) }, r.id) : r.id];
        },
        place: (r) => [place(r)],
        detail: (r) => [r.detail],
        captures,
      },
      none: "No gap matches. A type that was never asked for leaves no gap: its findings say that it was not collected.",
    },
    resources: {
      fields: { status: (r) => index.statuses[worst(r)] || "", type: (r) => r.type, account: (r) => r.account, region: (r) => r.region },
      text: (r) => `${r.name} ${r.id} ${r.type} ${r.account} ${r.region}`,
      first: (a, b) => worst(a) - worst(b),
      sort: { worst, resource: (r) => r.name || r.id, type: (r) => r.type, place: byPlace },
      cells: {
        worst: (r) => [worst(r) === 99 ? quiet("no findings") : status(index.statuses[worst(r)])],
        resource: named,
        type: (r) => [index.types[r.type] || "", make("span", { class: "id" }, r.type)],
        place: (r) => [place(r)],
        tally: (r) => [tally(r.counts)],
      },
    },
    units: {
      fields: { listed: (r) => r.listed, type: (r) => r.type, account: (r) => r.account, region: (r) => r.region, unit: (r) => `${r.provider}/${r.account}/${r.region}/${r.type}` },
      text: (r) => `${r.provider}/${r.account}/${r.region}/${r.type} ${r.listed} ${r.detail}`,
      sort: { listed: (r) => r.listed, type: (r) => r.type, place: byPlace, resources: (r) => r.resources, records: (r) => r.records },
      cells: {
        listed: (r) => (["ok", "absent"].includes(r.listed) ? [make("span", { class: "status good" }, icon("good"), "Observed")]
          : [make("span", { class: "status open" }, icon("open"), words(r.listed)), make("span", { class: "id" }, r.detail)]),
        type: (r) => [make("code", {}, r.type)],
        place: (r) => [place(r)],
        resources: (r) => [app.count(r.resources)],
        records: (r) => [app.count(r.records)],
        shown: (r) => {
          const [shown, pages] = r.pages;
          if (!shown) return [quiet("none")];
          const box = make("span", { class: "pages" }, `${app.count(shown)} on page `);
          const stem = index.captureStems[`${r.provider}/${r.account}/${r.region}/${r.type}`];
          for (let n = 1; n <= Math.min(pages, 30); n += 1) box.append(make("a", { href: `captures/${pageName(stem, n)}` }, n), " ");
          if (pages > 30) box.append(quiet(`and ${pages - 30} more`));
          return [box];
        },
        file: (r) => [make("code", {}, r.file), make("span", { class: "id" }, r.sha256)],
      },
    },
  };

  // Data: every file calls auditpack.add(kind, number, value)

  let index = null;
  const arrived = new Map();
  app.add = (kind, number, value) => {
    if (kind === "index") index = value;
    else arrived.set(`${kind}-${number}`, value);
  };
  const script = (name) => new Promise((resolve, reject) => {
    const element = document.createElement("script");
    element.src = `${app.root}data/${name}.js`;
    element.onload = () => { element.remove(); resolve(); };
    element.onerror = () => reject(new Error(`data/${name}.js could not be read`));
    document.head.append(element);
  });
  const decode = ({ columns, texts, rows }) => {
    const plan = columns.map((column) => column.split(":"));
    return rows.map((values) => {
      const row = { texts };
      plan.forEach(([name, kind], i) => { row[name] = kind === "n" ? values[i] : texts[values[i]]; });
      return row;
    });
  };
  app.load = async (kind, numbers) => {
    await Promise.all(numbers.map((n) => script(`${kind}-${n}`)));
    return numbers.flatMap((n) => {
      const rows = decode(arrived.get(`${kind}-${n}`));
      arrived.delete(`${kind}-${n}`);
      return rows;
    });
  };
  app.parts = { make, status, severity, quiet, named, tally, place };
  app.getIndex = () => index;
  app.KINDS = KINDS;
  app.haystack = (kind, row) => (row.hay ??= KINDS[kind].text(row).toLowerCase());

  // A list

  const compareBy = (value) => (a, b) => {
    const [x, y] = [value(a), value(b)];
    return typeof x === "number" ? x - y : collator.compare(x, y);
  };
  const startList = async (box) => {
    const kindName = box.dataset.list;
    const kind = KINDS[kindName];
    const form = box.querySelector("form");
    const body = box.querySelector("tbody");
    const heads = [...box.querySelectorAll("th[data-column]")];
    const said = box.querySelector("[data-count]");
    const reset = box.querySelector("[type=reset]");
    const pager = box.querySelector("[data-pager]");
    const numbers = box.dataset.chunks ? box.dataset.chunks.split(",") : [];
    said.textContent = "Reading the list…";
    let rows;
    try {
      rows = await app.load(kindName, numbers);
    } catch (error) {
      said.textContent = `The list is not complete here: ${error.message}. Was the whole folder copied?`;
      return;
    }
    if (box.dataset.onlyCheck) rows = rows.filter((row) => row.check === box.dataset.onlyCheck);
    if (kind.first) rows.sort(kind.first);
    let page = 1;
    let found = rows;
    let sorted = "";

    for (const select of form.querySelectorAll("select")) {
      const value = kind.fields[select.name];
      const values = [...new Set(rows.map(value))].filter(Boolean);
      if (select.name === "severity") values.sort((a, b) => index.severities.indexOf(a) - index.severities.indexOf(b));
      else values.sort(collator.compare);
      const label = { account: (v) => (index.accounts[v] ? `${index.accounts[v]} (${v})` : v), check: (v) => index.checks[v][0], listed: words, reason: words, severity: words }[select.name] || String;
      for (const v of values) select.add(new Option(visible(label(v)), v));
      select.closest("label").hidden = values.length < 2;
    }
    for (const head of heads.filter((th) => "sortable" in th.dataset)) {
      const button = make("button", { type: "button" }, head.textContent);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const column = head.dataset.column;
        sorted = sorted === column ? `-${column}` : sorted === `-${column}` ? "" : column;
        page = 1;
        update(true);
      });
    }

    const draw = () => {
      const start = (page - 1) * PER_PAGE;
      const shown = found.slice(start, start + PER_PAGE);
      body.replaceChildren(...shown.map((row) => make("tr", {}, ...heads.map((head) =>
        make("td", { "data-label": head.textContent }, ...kind.cells[head.dataset.column](row))))));
      const pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
      pager.hidden = pages === 1;
      pager.querySelector("[data-at]").textContent = `Page ${app.count(page)} of ${app.count(pages)}`;
      pager.querySelector("[data-go=previous]").disabled = page <= 1;
      pager.querySelector("[data-go=next]").disabled = page >= pages;
      const range = shown.length ? `${app.count(start + 1)} to ${app.count(start + shown.length)} of ` : "";
      const whole = found.length === rows.length ? "" : `, out of ${app.count(rows.length)}`;
      said.textContent = found.length ? `Showing ${range}${app.count(found.length)}${whole}.` : kind.none || "Nothing matches.";
    };
    const select = (params) => {
      const tests = Object.entries(kind.fields)
        .map(([name, value]) => [value, new Set(params.getAll(name))])
        .filter(([, wanted]) => wanted.size);
      const wordsWanted = app.wordsOf(params);
      found = rows.filter((row) => tests.every(([value, wanted]) => wanted.has(value(row)))
        && wordsWanted.every((word) => app.haystack(kindName, row).includes(word)));
      const column = sorted.replace("-", "");
      if (kind.sort[column]) {
        const compare = compareBy(kind.sort[column]);
        found.sort(sorted.startsWith("-") ? (a, b) => compare(b, a) : compare);
      }
      for (const head of heads) {
        if (head.dataset.column === column) head.setAttribute("aria-sort", sorted.startsWith("-") ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      }
    };
    // Parameters that are not of the form (a segment, a check that the page is about) are kept.
    const kept = (params) => {
      for (const name of ["unit", "line", "owner"]) {
        const value = app.readState().get(name);
        if (value && !form.elements[name]) params.set(name, value);
      }
      return params;
    };
    const update = (write, params = kept(app.formState(form))) => {
      reset.hidden = !params.toString();
      select(params);
      page = Math.min(page, Math.max(1, Math.ceil(found.length / PER_PAGE)));
      if (sorted) params.set("sort", sorted);
      if (page > 1) params.set("page", page);
      if (write) app.writeState(params);
      draw();
    };
    const restore = (event) => {
      if (event && location.hash && !location.hash.includes("=")) return;
      const params = app.readState();
      app.fillForm(form, params);
      page = Math.max(1, Number.parseInt(params.get("page"), 10) || 1);
      sorted = params.get("sort") || "";
      update(false);
      showCommand(params);
    };
    form.addEventListener("input", app.later(150, () => { page = 1; update(true); }));
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(() => {
      page = 1;
      sorted = "";
      history.replaceState(null, "", "#main");
      update(false, app.formState(form));
    }));
    pager.addEventListener("click", (event) => {
      const go = event.target.dataset.go;
      if (!go) return;
      page += go === "next" ? 1 : -1;
      update(true);
      box.querySelector(".table-box").scrollIntoView();
    });
    addEventListener("hashchange", restore);
    restore();
    document.documentElement.dataset.ready = kindName;
  };

  // captures.html#unit=...&line=... says how to find a record that the site does not show.
  const showCommand = (params) => {
    const box = document.querySelector("[data-command] code");
    const [unit, line] = [params.get("unit"), params.get("line")];
    if (!box || !unit) return;
    box.dataset.form ??= box.textContent;
    const plain = /^[\w./@+-]+$/.test(unit) ? unit : `'${unit.replaceAll("'", "'\\''")}'`;
    box.textContent = visible(box.dataset.form.replace("REFERENCE", () => plain).replace("LINE", /^\d+$/.test(line) ? line : "LINE"));
    box.closest("pre").classList.add("is-target");
  };

  addEventListener("DOMContentLoaded", () => {
    if (index) document.querySelectorAll("[data-list]").forEach(startList);
    else document.querySelectorAll("[data-count]").forEach((box) => { box.textContent = "data/index.js could not be read. Was the whole folder copied?"; });
  });
})();
