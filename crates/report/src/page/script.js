// What a point of a chart tells, beside the pointer; and a run that a link leads to opens. The page says all of it in its
// tables, too, and browsers show the same words without this script, only later.
(() => {
  "use strict";
  let box = null;

  const words = (point) => {
    const title = point.querySelector("title");
    // The browser's own tip would stand beside ours.
    if (title) {
      point.dataset.words = title.textContent;
      title.remove();
    }
    return point.dataset.words;
  };

  const show = (point) => {
    if (!box?.isConnected) {
      box = document.createElement("div");
      box.id = "tip";
      document.body.append(box);
    }
    box.textContent = words(point);
    box.hidden = false;
    const place = point.getBoundingClientRect();
    const [width, height] = [box.offsetWidth, box.offsetHeight];
    const left = place.left + place.width / 2 - width / 2;
    box.style.left = Math.max(4, Math.min(left, document.documentElement.clientWidth - width - 4)) + "px";
    const above = place.top - height - 6;
    box.style.top = (above > 4 ? above : place.bottom + 6) + "px";
  };

  const hide = () => {
    if (box) box.hidden = true;
  };

  const open = () => {
    const place = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!place) return;
    for (let part = place; part; part = part.parentElement) {
      if (part.tagName === "DETAILS") part.open = true;
    }
    place.scrollIntoView();
  };

  document.addEventListener("pointerover", (event) => {
    const point = event.target.closest?.(".tip");
    if (point) show(point);
    else hide();
  });
  document.addEventListener("scroll", hide, { passive: true, capture: true });
  // The point that a tip belongs to has gone.
  document.addEventListener("secateur:content", hide);
  addEventListener("hashchange", open);
  open();
})();
