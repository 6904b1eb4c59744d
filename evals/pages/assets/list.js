// The list of a file's runs: a line for each, a card behind it, filters above.

const FILTERS = [
  ["all", "All", () => true],
  ["wrong", "Wrong", (row) => row.right === false],
  ["failed", "Failed roles", (row) => row.failed.length > 0],
  ["changed", "Winner changed", (row) => row.changed !== null],
];

/** Fill a section with its runs. */
function showRuns(section) {
  const name = section.dataset.runs;
  const rows = read(`${name}-rows`);
  const start = sharedPath(rows.map((row) => row.id));
  const lines = rows.map((row, place) => line(row, row.id.slice(start), `${name}-${place}`));
  const texts = rows.map(searchable);
  const longest = Math.max(...rows.map((row) => row.id.length - start));
  section.style.setProperty("--id", `${Math.min(7, 0.5 * longest + 0.7)}rem`);
  section.classList.toggle("ungraded", rows.every((row) => row.gold === null && row.right === null));
  const status = make("p", { class: "status", role: "status" });
  const search = make("input", {
    type: "search",
    placeholder: "Search questions, answers, groups",
    "aria-label": "Search",
  });
  let filter = FILTERS[0][2];

  function apply() {
    const wanted = search.value.trim().toLowerCase();
    let count = 0;
    rows.forEach((row, place) => {
      const shown = filter(row) && texts[place].includes(wanted);
      lines[place].hidden = !shown;
      count += shown;
    });
    status.textContent =
      count === rows.length ? "" : count ? `${count} of ${rows.length} shown` : "Nothing matches.";
  }

  const buttons = FILTERS.map(([key, title, test]) => {
    const count = rows.filter(test).length;
    const button = make(
      "button",
      { type: "button", "data-filter": key, "aria-pressed": String(test === filter), disabled: !count },
      title,
      make("small", null, String(count)),
    );
    button.addEventListener("click", () => {
      filter = test;
      buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
      apply();
    });
    return button;
  });
  search.addEventListener("input", apply);
  const group = make("div", { class: "filters", role: "group", "aria-label": "Filter" }, buttons);
  section
    .querySelector(".list")
    .append(make("div", { class: "controls" }, group, search, status), heads(), ...lines);
}

function heads() {
  const names = { id: "", mark: "", text: "question", answer: "answer", gold: "gold", share: "share of votes" };
  const cells = Object.entries(names).map(([kind, name]) => make("span", { class: kind }, name));
  return make("div", { class: "entry heads" }, cells);
}

/** A line of the list; its card is made when it is opened for the first time. */
function line(row, id, name) {
  const mark = row.right === null ? "mark" : row.right ? "mark right" : "mark wrong";
  const sign = row.right === null ? "" : row.right ? "✓" : "✗";
  const tags = [
    row.failed.length ? make("span", { class: "tag failed" }, `${row.failed.join(", ")} failed`) : null,
    row.changed === null ? null : make("span", { class: "tag" }, "winner changed"),
  ];
  const label = row.right === null ? null : row.right ? "right" : "wrong";
  const summary = make(
    "summary",
    { class: "entry" },
    make("span", { class: "id", title: row.id }, id),
    make("span", { class: mark, title: label, "aria-label": label }, sign),
    make("span", { class: "text" }, make("span", { class: "name" }, row.question), tags),
    make("span", { class: "answer" }, row.answer ?? "no answer"),
    make("span", { class: "gold" }, row.gold ?? ""),
    make("span", { class: "share" }, row.share === null ? null : [bar(row.share), percent(row.share)]),
  );
  const details = make("details", { class: "run", id: name }, summary);
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(card(row, read(name), name));
  });
  return details;
}

/** How many characters the ids have in common up to their last shared slash. */
function sharedPath(ids) {
  const first = ids[0] ?? "";
  let end = first.lastIndexOf("/") + 1;
  while (end && !ids.every((id) => id.startsWith(first.slice(0, end)))) {
    end = first.lastIndexOf("/", end - 2) + 1;
  }
  return end;
}

function percent(share) {
  return make("span", { class: "value" }, `${Math.round(100 * share)} %`);
}

function searchable(row) {
  const parts = [row.id, row.question, ...row.choices, ...row.groups, row.answer, row.gold];
  return parts.filter(Boolean).join("\n").toLowerCase();
}
