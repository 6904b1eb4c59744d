// What an opened card shows of a run.

/** Everything about one run; `row` is its line in the list, `name` its own in the page. */
function card(row, run, name) {
  const story = [
    failures(run),
    samples(run),
    votingDictionary(run),
    advice(run),
    route(run),
    cost(run.cost),
  ];
  return make(
    "div",
    { class: "card" },
    make("aside", null, pictures(run), facts(row, run, name)),
    make("div", { class: "story" }, question(row, run), story),
  );
}

function question(row, run) {
  const choices = run.choices.map(([letter, text]) => make("li", null, `(${letter}) ${text}`));
  return make(
    "div",
    { class: "question" },
    said(row.question),
    choices.length ? make("ul", { class: "choices" }, choices) : null,
    verdict(row, run),
  );
}

function verdict(row, run) {
  const gold = row.gold === null ? null : make("span", null, "gold ", make("b", null, row.gold));
  const answer =
    row.answer === null
      ? make("span", { class: "wrong" }, `no answer: ${run.noAnswer}`)
      : make("span", null, "answer ", make("b", null, row.answer));
  const mark = row.right === null ? null : markOf(row.right);
  const changed =
    row.changed === null ? null : make("span", { class: "quiet" }, `the samples led with ${row.changed}`);
  return make("p", { class: "verdict" }, mark, answer, gold, changed);
}

function markOf(right) {
  return make("span", { class: right ? "mark right" : "mark wrong" }, right ? "✓ right" : "✗ wrong");
}

function pictures(run) {
  const shown = [];
  run.pictures.forEach((source, place) => {
    const several = run.pictures.length > 1 ? ` ${place + 1}` : "";
    shown.push(picture(source, `picture${several}`));
    if (run.heats[place]) shown.push(picture(run.heats[place], `saliency${several}`));
    if (run.maps[place]) shown.push(picture(run.maps[place], `key region${several}`));
    if (run.noised[place]) {
      shown.push(picture(run.noised[place], `as the self-check saw it: ${run.noise[place]}`, "noised"));
    }
  });
  if (shown.length) return shown;
  const count = run.asked === 1 ? "the picture is" : `the ${run.asked} pictures are`;
  return run.asked
    ? [make("p", { class: "quiet" }, `${count} not in this page; give their folder with --images`)]
    : [];
}

function picture(source, caption, kind) {
  const image = make("img", { src: source, alt: caption, class: kind, loading: "lazy" });
  return make("figure", null, image, make("figcaption", null, caption));
}

function facts(row, run, name) {
  const link = make("a", { href: `#${name}` }, row.id);
  const told = [["question", link], ...run.groups, ["base", run.engine], ["expert", run.expert]];
  const items = told.map(([name, value]) =>
    make("div", null, make("dt", null, name), make("dd", null, value)),
  );
  return make("dl", { class: "facts" }, items);
}

function failures(run) {
  if (!run.failures.length) return null;
  const items = run.failures.map(([node, error, message]) =>
    make("li", null, make("b", null, node), ` failed: ${error}: ${message}`),
  );
  return make("ul", { class: "failures" }, items);
}

function samples(run) {
  const rows = run.samples.map((sample, place) =>
    make(
      "li",
      { class: sample.won ? "sample won" : "sample" },
      make("span", { class: "place" }, String(place + 1)),
      completion(sample),
      make("span", { class: "value", title: "share of the samples' votes" }, sample.votes ?? "no vote"),
    ),
  );
  const names = ["", "answer", "", "confidence"];
  const heads = make(
    "li",
    { class: "sample heads", "aria-hidden": "true" },
    make("span"),
    make("span", { class: "of" }, names.map((name) => make("span", { class: name === "confidence" ? "value" : null }, name))),
    make("span", { class: "value" }, "votes"),
  );
  const note = [run.kind.replaceAll("_", " "), run.bars].filter(Boolean).join("; ");
  return block("Samples", note, make("ol", { class: "samples" }, heads, rows));
}

/** A completion: its answer and confidence, its text folded. */
function completion(sample) {
  const answer =
    sample.answer === null
      ? make("span", { class: "name wrong" }, "unreadable")
      : make("span", { class: "name", title: sample.answer }, sample.answer);
  const line = make(
    "summary",
    null,
    answer,
    sample.bar === null ? make("span", { class: "track" }) : bar(sample.bar),
    make("span", { class: "value" }, sample.confidence ?? "none"),
  );
  const cut = sample.cut ? make("p", { class: "quiet" }, "cut off at its longest length") : null;
  return make("details", { class: "completion" }, line, said(sample.text), cut);
}

/** What planner, voter and critic said, and what the base model made of it. */
function advice(run) {
  const parts = [];
  if (run.plan) {
    const order = run.plan.order.join(" → ");
    parts.push(part(`Plan, by the ${run.plan.source}`, make("b", null, order), said(run.plan.reason)));
  }
  if (run.vote.length) {
    const rows = run.vote.map(([name, p, told]) =>
      make("div", { class: "chance" }, make("span", { class: "name", title: name }, name), bar(p, "fill s4"),
        make("span", { class: "value" }, told)),
    );
    parts.push(part(run.vote.length > 1 ? "Voter's probabilities" : "Voter: not asked", rows));
  }
  if (run.critique) parts.push(part(`Critique of ${run.critique.on}`, said(run.critique.text)));
  if (run.reanswer) parts.push(part("Re-answer under the critique", completion(run.reanswer)));
  if (run.check) parts.push(part(`Self-check by ${run.check.method}`, completion(run.check)));
  return parts.length ? make("div", { class: "advice" }, parts) : null;
}

function part(title, ...content) {
  return make("section", null, make("h5", null, title), ...content);
}

function route(run) {
  const edges = run.route.map((edge) => {
    const numbers = edge.numbers.map(([name, value]) =>
      make("span", { class: "number" }, `${name} `, make("b", null, value)),
    );
    return make(
      "li",
      null,
      make("span", { class: "to" }, `→ ${edge.to.join(", ")}`),
      make("span", { class: "reason", title: `rule: ${edge.rule}` }, edge.reason),
      make("span", { class: "counts" }, numbers),
    );
  });
  return block("Route", "why each edge was taken, and what it saw", make("ol", { class: "route" }, edges));
}

/** Totals, and the nodes on a line of time. */
function cost(told) {
  const span = told.span || 1;
  const heads = ["", `0 to ${told.span.toFixed(2)} s`, "seconds", "read", "written", "calls", "tries", "paid"];
  const rows = told.nodes.map((node) => {
    const stay = make("span", { class: node.failed ? "stay failed" : "stay" });
    stay.style.left = `${(100 * node.start) / span}%`;
    stay.style.width = `${(100 * node.length) / span}%`;
    const numbers = [node.seconds, node.read, node.written, node.calls, node.attempts, node.paid];
    return make(
      "tr",
      null,
      make("th", { scope: "row" }, node.title, node.failed ? make("b", { class: "wrong" }, " failed") : null),
      make("td", { class: "time" }, make("span", { class: "track" }, stay)),
      numbers.map((value) => make("td", { class: "value" }, String(value))),
    );
  });
  const note =
    `${told.seconds} s; ${told.read} tokens read, ${told.written} written; ` +
    `${told.expertCalls} expert ${told.expertCalls === 1 ? "call" : "calls"}` +
    (told.paid ? `; ${told.paid}` : "");
  const head = make("tr", null, heads.map((name) => make("th", { scope: "col" }, name)));
  return block(
    "Cost",
    note,
    make("table", { class: "slim cost" }, make("thead", null, head), make("tbody", null, rows)),
  );
}
