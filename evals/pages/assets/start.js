// An address that ends in a run's name opens its card.

function openNamed() {
  const named = document.getElementById(location.hash.slice(1));
  if (named?.matches("details.run")) {
    named.hidden = false;
    named.open = true;
    named.scrollIntoView();
  }
}

document.querySelectorAll("[data-runs]").forEach(showRuns);
addEventListener("hashchange", openNamed);
openNamed();
