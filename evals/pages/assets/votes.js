// The voting dictionary, filled step by step.

const SOURCE_COLOUR = { sample: "s0", voter: "s4", critic: "s2", self_check: "s3" };

/** Bars of the candidates, buttons to walk, and the ballots of the step that is shown. */
function votingDictionary(run) {
  if (!run.steps.length) {
    return block("Voting dictionary", null, make("p", { class: "quiet" }, "No ballot was cast."));
  }
  const last = run.steps.length - 1;
  const most = Math.max(...run.steps[last].totals.map(([votes]) => votes)) || 1;
  const bars = run.candidates.map((name, place) => candidateBar(run, name, place, most));
  const ballots = make("div", { class: "ballots", "aria-live": "polite" });
  const back = make("button", { type: "button", class: "back" }, "Back");
  const next = make("button", { type: "button", class: "next" }, "Next");
  const stations = run.steps.map((step, place) => {
    const key = make("span", { class: `dot ${SOURCE_COLOUR[step.source]}` });
    const station = make("button", { type: "button", class: "station" }, key, step.title);
    station.addEventListener("click", () => show(place));
    return station;
  });
  let shown = last;

  function show(place) {
    shown = Math.min(last, Math.max(0, place));
    const step = run.steps[shown];
    bars.forEach((row) => row.show(shown));
    stations.forEach((station, at) => {
      station.classList.toggle("passed", at <= shown);
      station.setAttribute("aria-current", at === shown ? "step" : "false");
    });
    back.disabled = shown === 0;
    next.disabled = shown === last;
    ballots.replaceChildren(stepTitle(run, shown), ballotTable(run, step));
  }
  back.addEventListener("click", () => show(shown - 1));
  next.addEventListener("click", () => show(shown + 1));
  show(last);

  const walk = make("div", { class: "walk" }, back, next, make("div", { class: "stations" }, stations));
  const dictionary = make("div", { class: "dictionary" }, bars.map((row) => row.element));
  return block("Voting dictionary", "each step adds its ballots", walk, dictionary, ballots);
}

/** A candidate's stacked bar: a piece for each ballot, grown when its step has come. */
function candidateBar(run, name, place, most) {
  const pieces = run.steps.flatMap((step, at) =>
    step.ballots
      .filter(([candidate]) => candidate === place)
      .map(([, weight, told, reason]) => {
        const piece = make("span", {
          class: `piece ${SOURCE_COLOUR[step.source]}`,
          title: `${step.title}: ${told}, ${reason}`,
        });
        return { piece, at, width: `${(100 * weight) / most}%` };
      }),
  );
  const total = make("output", { class: "votes" });
  const label = make("span", { class: "name", title: name }, name);
  const track = make("span", { class: "stack" }, pieces.map(({ piece }) => piece));
  const element = make("div", { class: "candidate" }, label, track, total);

  function show(step) {
    for (const { piece, at, width } of pieces) {
      piece.style.width = at <= step ? width : "0";
    }
    const { totals, leader } = run.steps[step];
    const [votes, told] = totals[place];
    total.textContent = told;
    total.dataset.votes = votes;
    element.classList.toggle("leads", leader === place);
  }
  return { element, show };
}

function stepTitle(run, place) {
  const { title, leader } = run.steps[place];
  const before = place ? run.steps[place - 1].leader : null;
  const change =
    place && leader !== before ? `: the lead passes from ${run.candidates[before]} to ` : ": ";
  const lead = place && leader !== before ? run.candidates[leader] : `${run.candidates[leader]} leads`;
  const count = make("small", null, ` step ${place + 1} of ${run.steps.length}`);
  return make("p", { class: "step" }, make("b", null, title), change, lead, count);
}

function ballotTable(run, step) {
  const rows = step.ballots.map(([candidate, , told, reason]) =>
    make(
      "tr",
      null,
      make("td", { class: "name" }, run.candidates[candidate]),
      make("td", { class: "value" }, `+${told}`),
      make("td", { class: "reason" }, reason),
    ),
  );
  return make("table", { class: "slim" }, make("tbody", null, rows));
}
