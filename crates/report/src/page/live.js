// Keeps a served page as new as its runs. While somebody looks at the page, it asks for the version; when that is another
// one, the new content takes the place of the old, and the reader keeps what was open, chosen, focused and scrolled to.
// Other scripts of the page hear `secateur:content` on the document after each change, and then `input` and `change` of every
// control that was set back to what the reader had chosen.
(() => {
  "use strict";
  const EVERY = 1000; // milliseconds between two questions
  // What a reader changes, and what tells where on the page one is.
  const CHANGED = "details, input, select, textarea, .scroll";
  const HEADINGS = "h1, h2, h3, h4, summary";
  const badge = document.getElementById("live");
  let version = badge.dataset.version;

  const say = (text, lost) => {
    badge.textContent = text;
    badge.classList.toggle("lost", lost);
  };
  const clock = () => new Date().toLocaleTimeString();

  const get = async (path) => {
    const answer = await fetch(path, { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    return answer.text();
  };

  // The words of a heading or summary without its small print, which changes while a run goes on.
  const words = (heading) =>
    [...heading.childNodes].filter((node) => node.nodeName !== "SMALL").map((node) => node.textContent).join("");

  // What a part of the page is called, so that it is found again in the new content: its id, or its place and its words.
  const called = (part) => {
    if (part.id) return "#" + part.id;
    const place = part.parentElement.closest("details, article, section");
    const heading = place?.querySelector("summary, h2, h3");
    const own = part.matches("details") ? part.querySelector(":scope > summary") : part.matches(HEADINGS) ? part : null;
    return [part.tagName, heading && words(heading), own && words(own)].join("|");
  };

  // The parts that a reader changes, by name; parts of one name are counted.
  const parts = (root, kinds) => {
    const found = new Map();
    const seen = new Map();
    for (const part of root.querySelectorAll(kinds)) {
      const name = called(part);
      const count = seen.get(name) ?? 0;
      seen.set(name, count + 1);
      found.set(name + "|" + count, part);
    }
    return found;
  };

  // The heading nearest to where a reader looks, a third down the screen, and its place there.
  const anchor = (root) => {
    let nearest = null;
    for (const [name, heading] of parts(root, HEADINGS)) {
      // What stays in sight tells nothing about the place.
      if (!heading.checkVisibility() || heading.closest("#filter")) continue;
      const top = heading.getBoundingClientRect().top;
      const far = Math.abs(top - innerHeight / 3);
      if (!nearest || far < nearest.far) nearest = { name, top, far };
    }
    return nearest;
  };

  const replace = (fresh) => {
    const main = document.querySelector("main");
    const place = scrollY > 0 ? anchor(main) : null;
    const kept = new Map();
    for (const [name, part] of parts(main, CHANGED)) {
      const { open, value, checked, scrollLeft } = part;
      kept.set(name, { open, value, checked, scrollLeft, focused: part === document.activeElement });
    }
    main.replaceChildren(...document.adoptNode(fresh.querySelector("main")).childNodes);
    document.title = fresh.title;
    document.dispatchEvent(new CustomEvent("secateur:content"));

    for (const [name, part] of parts(main, CHANGED)) {
      const before = kept.get(name);
      if (!before) continue;
      if (part.matches("details")) part.open = before.open;
      if (part.matches("input, select, textarea") && (part.value !== before.value || part.checked !== before.checked)) {
        part.value = before.value;
        if ("checked" in part) part.checked = before.checked;
        for (const kind of ["input", "change"]) part.dispatchEvent(new Event(kind, { bubbles: true }));
      }
      if (before.focused) part.focus({ preventScroll: true });
      part.scrollLeft = before.scrollLeft;
    }
    const heading = place && parts(main, HEADINGS).get(place.name);
    if (heading) scrollBy({ top: heading.getBoundingClientRect().top - place.top, behavior: "instant" });
  };

  const look = async () => {
    let wait = EVERY;
    try {
      const newest = document.hidden ? version : await get("version");
      // Whoever selects a number wants to copy it first.
      if (newest !== version && getSelection().isCollapsed) {
        const began = performance.now();
        const fresh = new DOMParser().parseFromString(await get("./"), "text/html");
        replace(fresh);
        version = fresh.getElementById("live").dataset.version;
        // A large page may take a while: most of the time belongs to its reader.
        wait = Math.max(EVERY, 4 * (performance.now() - began));
      }
      if (!document.hidden) say("live, as of " + clock(), false);
    } catch {
      if (!badge.classList.contains("lost")) say("no answer from the server since " + clock(), true);
      wait = 3 * EVERY;
    }
    setTimeout(look, wait);
  };
  setTimeout(look, EVERY);
})();
