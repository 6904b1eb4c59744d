"use strict";
// Everything that a model wrote reaches the page through `make` as text, never as markup.

/** An element; attributes that are null or false are left out, strings become text. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** The data of a block of the page. */
function read(name) {
  return JSON.parse(document.getElementById(`data-${name}`).textContent);
}

/** A bar that fills a share of its track; styles are set by script since the page allows no others. */
function bar(share, kind) {
  const fill = make("span", { class: kind ?? "fill" });
  fill.style.width = `${100 * share}%`;
  return make("span", { class: "track" }, fill);
}

/** A heading with what belongs under it. */
function block(title, note, ...content) {
  const head = make("h4", null, title, note ? make("small", null, note) : null);
  return make("section", { class: "block" }, head, ...content);
}

/** Text as a model wrote it. */
function said(text) {
  return make("div", { class: "said" }, text);
}
