"use strict";
const bar = document.getElementById("filter");
if (bar) {
  const [search, style, mark, order] = ["search", "style", "mark", "order"].map((n) => document.getElementById(n));
  const count = document.getElementById("count");
  const place = document.getElementById("cards");
  const cards = [...document.querySelectorAll("article")].map((card) => ({
    card,
    captions: [...card.querySelectorAll("li[data-style]")].map((item) => ({ item, marks: item.dataset.marks.split("|") })),
    groups: [...card.querySelectorAll(".group")],
    text: [...card.querySelectorAll("[data-text]")].map((e) => e.textContent).join(" ").toLowerCase(),
  }));
  const fits = ({ item, marks }) =>
    (!style.value || item.dataset.style === style.value) && (!mark?.value || marks.includes(mark.value));
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { card, captions, groups, text } of cards) {
      captions.forEach((c) => (c.item.hidden = !fits(c)));
      groups.forEach((g) => (g.hidden = !g.querySelector("li:not([hidden])")));
      const isShown = words.every((w) => text.includes(w)) &&
        (captions.length ? captions.some(fits) : !style.value && !mark?.value);
      card.hidden = !isShown;
      shown += isShown;
    }
    count.textContent = shown === cards.length ? `${shown} images` : `${shown} of ${cards.length}`;
    if (place && order) sort(...order.value.split(" "));
  };
  // By the mean over the captions that are shown; those without the score come last.
  const sort = (name, sign) => {
    const mean = ({ captions }) => {
      const known = captions.filter((c) => !c.item.hidden && name in c.item.dataset);
      return known.length ? known.reduce((sum, c) => sum + sign * c.item.dataset[name], 0) / known.length : Infinity;
    };
    const keyed = cards.filter(({ card }) => card.parentNode === place).map((c, at) => [name ? mean(c) : at, at, c.card]);
    keyed.sort((a, b) => (a[0] === b[0] ? a[1] - b[1] : a[0] - b[0]));
    place.append(...keyed.map((k) => k[2]));
  };
  [search, style, mark, order].forEach((control) => control?.addEventListener("input", filter));
  bar.hidden = false;
  filter();
}
const tip = document.getElementById("tip");
const meaning = (word) => document.querySelector(`#w-${word.dataset.word} dd`).textContent;
document.querySelectorAll("[data-word]").forEach((word) => (word.title = meaning(word)));
document.addEventListener("click", (event) => {
  const word = event.target.closest("[data-word]");
  if (!word || !tip.showPopover) return;
  event.preventDefault();
  tip.textContent = meaning(word);
  tip.showPopover();
  const { left, bottom } = word.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(left, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${Math.min(bottom + 6, innerHeight - tip.offsetHeight - 8)}px`;
});
