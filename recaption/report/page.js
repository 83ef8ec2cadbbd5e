"use strict";
const bar = document.getElementById("filter");
if (bar) {
  const [search, style, finish] = ["search", "style", "finish"].map((n) => document.getElementById(n));
  const count = document.getElementById("count");
  const cards = [...document.querySelectorAll("article")].map((card) => ({
    card,
    captions: [...card.querySelectorAll("li[data-style]")],
    groups: [...card.querySelectorAll(".group")],
    text: [...card.querySelectorAll("[data-text]")].map((e) => e.textContent).join(" ").toLowerCase(),
  }));
  const fits = (caption) =>
    (!style.value || caption.dataset.style === style.value) &&
    (!finish.value || caption.dataset.finish === finish.value);
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { card, captions, groups, text } of cards) {
      captions.forEach((c) => (c.hidden = !fits(c)));
      groups.forEach((g) => (g.hidden = !g.querySelector("li:not([hidden])")));
      const isShown = words.every((w) => text.includes(w)) &&
        (captions.length ? captions.some(fits) : !style.value && !finish.value);
      card.hidden = !isShown;
      shown += isShown;
    }
    count.textContent = shown === cards.length ? `${shown} examples` : `${shown} of ${cards.length}`;
  };
  [search, style, finish].forEach((control) => control.addEventListener("input", filter));
  bar.hidden = false;
  filter();
}
