"use strict";

const PAGE = { cards: 48, table: 200, unreadable: 100 };
const CARD_SCORES = 8;
// Okabe and Ito's palette: colour-blind people can tell these apart. Every colour has its label beside it as well.
const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442"];
const UNKNOWN_COLOUR = "#3b3b3b";

const byId = (id) => document.getElementById(id);
const read = (id) => JSON.parse(byId(id).textContent);

const { classes, unknown } = read("setup");
const everything = read("rows").map((fields, index) => ({ index, name: fields[0], fields }));
const unreadable = everything.filter(({ fields }) => fields.length === 2);
const images = everything.filter(({ fields }) => fields.length > 2).map(({ index, name, fields }) => {
  const [, label, confidence, scores, regions] = fields;
  return { index, name, label, confidence, scores, regions };
});
const pictures = new Map(read("pictures").map(([index, ...picture]) => [index, picture]));
for (const id of ["rows", "pictures"]) byId(id).remove(); // their text would stay in memory

const labels = [...new Set([...classes, unknown, ...images.map((image) => image.label)])];
const rankOfLabel = new Map(labels.map((label, rank) => [label, rank]));
const colours = new Map(classes.map((label, rank) => [label, COLOURS[rank % COLOURS.length]]));
const colourOf = (label) => (label === unknown ? UNKNOWN_COLOUR : colours.get(label) ?? UNKNOWN_COLOUR);

const state = { classes: new Set(), sort: "confidence", descending: false, view: "cards", page: 0, open: null };
let chosen = images;

// --- Small helpers. Text from the files only ever becomes a text node or an attribute, never markup.

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function drawing(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

function styled(node, properties) {
  for (const [name, value] of Object.entries(properties)) node.style.setProperty(name, value);
  return node;
}

const count = (number) => number.toLocaleString("en");
const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;
const folderEnd = (name) => 1 + Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\"));
// Control characters could show a name as what it is not ("gpj.exe" reversed).
const visible = (name) => name.replace(/[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, "\ufffd");
const fileName = (name) => make("bdi", {},
  make("span", { class: "folder" }, visible(name.slice(0, folderEnd(name)))), visible(name.slice(folderEnd(name))));
const swatch = (label) => styled(make("i", { class: "swatch" }), { "--colour": colourOf(label) });
const tag = (label) => make("span", { class: "tag", title: label }, swatch(label), make("span", {}, label));
const bar = (share, label) => styled(make("span", { class: "bar" }), { "--share": share, "--colour": colourOf(label) });

// --- Choosing and sorting

let ranksOfNames = null;
function rankOfName(image) {
  if (!ranksOfNames) {
    const { compare } = new Intl.Collator("en", { numeric: true });
    const sorted = [...images].sort((a, b) => compare(a.name, b.name));
    ranksOfNames = new Map(sorted.map(({ index }, rank) => [index, rank]));
  }
  return ranksOfNames.get(image.index);
}

const KEYS = {
  confidence: (image) => image.confidence,
  name: rankOfName,
  label: (image) => rankOfLabel.get(image.label),
  regions: (image) => image.regions.length,
};

function limit(id, otherwise) {
  const value = byId(id).valueAsNumber;
  return Number.isNaN(value) ? otherwise : value / 100;
}

function choose() {
  const text = byId("text").value.trim().toLowerCase();
  const least = limit("least", 0);
  const most = limit("most", 1);
  const key = KEYS[state.sort];
  const sign = state.descending ? -1 : 1;
  chosen = images
    .filter((image) => image.confidence >= least && image.confidence <= most)
    .filter((image) => !state.classes.size || state.classes.has(image.label))
    .filter((image) => !text || image.name.toLowerCase().includes(text))
    .sort((a, b) => sign * (key(a) - key(b)) || a.index - b.index);
  state.page = 0;
  render();
}

function filtersInWords() {
  const text = byId("text").value.trim();
  const words = [];
  if (state.classes.size) words.push(`class ${[...state.classes].join(" or ")}`);
  if (text) words.push(`name contains “${text}”`);
  if (byId("least").value) words.push(`confidence from ${byId("least").value} %`);
  if (byId("most").value) words.push(`confidence to ${byId("most").value} %`);
  return words.length ? ` · ${words.join(", ")}` : "";
}

// --- A picture with its layers

function layers(image) {
  const picture = pictures.get(image.index);
  if (!picture) return make("span", { class: "no-picture" }, "no picture kept");
  const [width, height, grey, heat] = picture;
  const stack = styled(make("span", { class: "stack" }), { "--ratio": width / height });
  stack.append(make("img", { src: `data:image/jpeg;base64,${grey}`, alt: "" }));
  if (heat) stack.append(make("img", { class: "heat", src: `data:image/png;base64,${heat}`, alt: "" }));
  const regions = drawing("svg", { class: "regions", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none" });
  for (const [label, x, y, w, h] of image.regions) {
    // A dark rectangle below the coloured one, so that the line shows on bright and on dark steel.
    const box = { x, y, width: w, height: h };
    regions.append(drawing("rect", { ...box, class: "casing" }), drawing("rect", { ...box, stroke: colourOf(label) }));
  }
  stack.append(regions);
  return stack;
}

function scoreBars(image, most = Infinity) {
  const order = classes.map((label, rank) => ({ label, score: image.scores[rank] }));
  if (order.length > most) order.sort((a, b) => b.score - a.score).length = most;
  return make("ul", { class: "scores" }, ...order.map(({ label, score }) =>
    make("li", label === image.label ? { class: "top" } : {},
      make("span", { class: "class", title: label }, label), bar(score, label), make("b", {}, (100 * score).toFixed(1)))));
}

// --- Cards, table, pages

function card(image) {
  const spoken = `${image.name}: ${image.label}, ${percent(image.confidence)}. Open large view`;
  return make("article", { class: "card" },
    make("button", { type: "button", class: "frame", "data-index": image.index, "aria-label": spoken }, layers(image)),
    make("h3", { title: image.name }, fileName(image.name)),
    make("p", { class: "verdict" }, tag(image.label), make("b", {}, percent(image.confidence))),
    scoreBars(image, CARD_SCORES));
}

function nextBest(image) {
  const ranks = classes.map((_, rank) => rank).filter((rank) => classes[rank] !== image.label);
  const best = ranks.reduce((a, b) => (image.scores[b] > image.scores[a] ? b : a), ranks[0]);
  return best === undefined ? "" : `${classes[best]} ${percent(image.scores[best])}`;
}

function tableRow(image) {
  const open = make("button", { type: "button", class: "link", "data-index": image.index }, fileName(image.name));
  return make("tr", {},
    make("td", { class: "thumb" }, pictures.has(image.index) ? layers(image) : ""),
    make("td", { class: "name" }, open),
    make("td", {}, tag(image.label)),
    make("td", { class: "number" }, percent(image.confidence)),
    make("td", { class: "level" }, bar(image.confidence, image.label)),
    make("td", { class: "next" }, nextBest(image)),
    make("td", { class: "number" }, count(image.regions.length)));
}

function heading(text, key, attributes = {}) {
  const cell = make("th", { scope: "col", ...attributes }, make("button", { type: "button", "data-sort": key }, text));
  if (state.sort === key) cell.setAttribute("aria-sort", state.descending ? "descending" : "ascending");
  return cell;
}

function table(rows) {
  const head = make("tr", {},
    make("th", { scope: "col", class: "thumb" }, make("span", { class: "spoken" }, "Picture")),
    heading("File", "name"), heading("Class", "label"), heading("Confidence", "confidence", { class: "number" }),
    make("td", { class: "level" }), make("th", { scope: "col", class: "next" }, "Next class"), heading("Regions", "regions", { class: "number" }));
  return make("div", { class: "scroll" },
    make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows.map(tableRow))));
}

function fillPager(element, page, size, total, go) {
  const last = Math.max(0, Math.ceil(total / size) - 1);
  const step = (text, spoken, target) => {
    const button = make("button", { type: "button", "aria-label": spoken }, text);
    button.disabled = target < 0 || target > last || target === page;
    button.addEventListener("click", () => go(target));
    return button;
  };
  element.hidden = last === 0;
  element.replaceChildren(
    step("«", "First page", 0), step("‹", "Previous page", page - 1),
    make("span", {}, `Page ${count(page + 1)} of ${count(last + 1)}`),
    step("›", "Next page", page + 1), step("»", "Last page", last));
}

function render() {
  const size = PAGE[state.view];
  const first = state.page * size;
  const rows = chosen.slice(first, first + size);
  const range = rows.length ? `${count(first + 1)}–${count(first + rows.length)} of ${count(chosen.length)}` : "No";
  byId("shown").textContent = `${range} images${filtersInWords()}`;
  byId("results").className = state.view;
  byId("results").replaceChildren(...(state.view === "cards" ? rows.map(card) : [table(rows)]));
  for (const id of ["pager", "pager-below"]) fillPager(byId(id), state.page, size, chosen.length, turnTo);
  byId("sort").value = state.sort;
  byId("direction").textContent = state.descending ? "Descending" : "Ascending";
  for (const button of document.querySelectorAll("[data-view]"))
    button.setAttribute("aria-pressed", String(button.dataset.view === state.view));
}

function turnTo(page) {
  state.page = page;
  render();
  byId("results").parentElement.scrollIntoView();
}

function renderUnreadable(page) {
  const size = PAGE.unreadable;
  const rows = unreadable.slice(page * size, (page + 1) * size);
  byId("unreadable").hidden = !unreadable.length;
  byId("unreadable-shown").textContent = `${count(unreadable.length)} ${unreadable.length === 1 ? "file" : "files"}`;
  byId("unreadable-rows").replaceChildren(...rows.map(({ name, fields: [, reason] }) =>
    make("tr", {}, make("td", { class: "name" }, fileName(name)),
      make("td", { class: "reason" }, reason.startsWith(`${name}: `) ? reason.slice(name.length + 2) : reason))));
  fillPager(byId("unreadable-pager"), page, size, unreadable.length, renderUnreadable);
}

function renderClasses() {
  const counts = new Map(labels.map((label) => [label, 0]));
  for (const { label } of images) counts.set(label, counts.get(label) + 1);
  const most = Math.max(1, ...counts.values());
  byId("classes").replaceChildren(...[...counts].map(([label, number]) => {
    const pressed = String(state.classes.has(label));
    const button = make("button", { type: "button", "data-class": label, "aria-pressed": pressed },
      tag(label), make("b", {}, count(number)), bar(number / most, label),
      make("span", { class: "share" }, images.length ? percent(number / images.length) : ""));
    return make("li", {}, button);
  }));
}

// --- Large view

function regionTable(regions) {
  if (!regions.length) return make("p", { class: "muted" }, "No regions.");
  const head = ["Class", "x", "y", "Width", "Height", "Score"].map((text) => make("th", { scope: "col" }, text));
  const rows = regions.map(([label, x, y, width, height, score]) => make("tr", {},
    make("td", {}, tag(label)), ...[x, y, width, height, percent(score)].map((text) => make("td", {}, String(text)))));
  return make("table", { class: "region-table" }, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows));
}

function openLarge(position) {
  const image = chosen[position];
  if (!image) return;
  state.open = position;
  const [width, height] = pictures.get(image.index) ?? [];
  byId("large-position").textContent = `${count(position + 1)} of ${count(chosen.length)}`;
  byId("large-body").replaceChildren(
    make("div", { class: "canvas" }, layers(image)),
    make("div", {},
      make("h2", { id: "large-name" }, fileName(image.name)),
      make("p", { class: "verdict" }, tag(image.label), make("b", {}, percent(image.confidence))),
      make("h3", {}, "Scores, %"), scoreBars(image),
      make("h3", {}, width ? `Regions, pixels of ${width} × ${height}` : "Regions, pixels"), regionTable(image.regions)));
  byId("previous").disabled = position === 0;
  byId("next").disabled = position === chosen.length - 1;
  if (!byId("large").open) byId("large").showModal();
}

function returnToList() {
  const image = chosen[state.open];
  state.page = Math.floor(state.open / PAGE[state.view]);
  state.open = null;
  render();
  document.querySelector(`#results [data-index="${image.index}"]`)?.focus();
}

function keyInLarge(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) openLarge(state.open + step);
  else if (event.key.toLowerCase() === "h") byId("heat").click();
  else return;
  event.preventDefault();
}

// --- Controls

function sortBy(key) {
  state.descending = state.sort === key && !state.descending;
  state.sort = key;
  choose();
}

byId("classes").addEventListener("click", (event) => {
  const label = event.target.closest("[data-class]")?.dataset.class;
  if (label === undefined) return;
  if (!state.classes.delete(label)) state.classes.add(label);
  event.target.closest("[data-class]").setAttribute("aria-pressed", String(state.classes.has(label)));
  choose();
});
byId("results").addEventListener("click", (event) => {
  const { sort } = event.target.closest("[data-sort]")?.dataset ?? {};
  const row = event.target.closest("[data-index], tbody tr, .card");
  if (sort) sortBy(sort);
  else if (row) {
    const { index } = (row.matches("[data-index]") ? row : row.querySelector("[data-index]")).dataset;
    openLarge(chosen.findIndex((image) => image.index === Number(index)));
  }
});
for (const id of ["text", "least", "most"]) byId(id).addEventListener("input", choose);
byId("clear").addEventListener("click", () => {
  for (const id of ["text", "least", "most"]) byId(id).value = "";
  state.classes.clear();
  renderClasses();
  choose();
});
byId("sort").addEventListener("change", (event) => {
  state.sort = event.target.value;
  choose();
});
byId("direction").addEventListener("click", () => {
  state.descending = !state.descending;
  choose();
});
for (const button of document.querySelectorAll("[data-view]"))
  button.addEventListener("click", () => {
    state.page = Math.floor((state.page * PAGE[state.view]) / PAGE[button.dataset.view]);
    state.view = button.dataset.view;
    render();
  });
for (const id of ["heat", "regions"])
  byId(id).addEventListener("change", (event) => document.body.classList.toggle(`no-${id}`, !event.target.checked));
byId("heat").addEventListener("change", (event) => byId("large-heat").setAttribute("aria-pressed", String(event.target.checked)));
byId("large-heat").addEventListener("click", () => byId("heat").click());
byId("previous").addEventListener("click", () => openLarge(state.open - 1));
byId("next").addEventListener("click", () => openLarge(state.open + 1));
byId("close").addEventListener("click", () => byId("large").close());
byId("large").addEventListener("keydown", keyInLarge);
byId("large").addEventListener("close", returnToList);

if (!pictures.size) state.view = "table";
renderClasses();
renderUnreadable(0);
choose();
