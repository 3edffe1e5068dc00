// Politely anew: only while somebody looks, never while he reads with the keyboard or marks text, and he can stop it.
(() => {
  const live = document.getElementById("live");
  if (!live) return;
  const every = Number(live.dataset.every) * 1000;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "second";
  let stopped = false;

  const say = () => { button.textContent = stopped ? live.dataset.go : live.dataset.stop; };
  const place = () => { live.querySelector(".asof").append(button); };
  button.addEventListener("click", () => { stopped = !stopped; say(); });
  say();
  place();

  const busy = () =>
    document.hidden || stopped || (live.contains(document.activeElement) && document.activeElement !== button) ||
    !document.getSelection().isCollapsed;

  const anew = async () => {
    if (busy()) return;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, cache: "no-store" });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
      if (!fresh || busy()) return;
      const focused = document.activeElement === button;
      live.replaceChildren(...fresh.childNodes);
      place();
      if (focused) button.focus();
    } catch {
      // The product is away; the page keeps saying as of when it is.
    }
  };
  setInterval(anew, every);
})();
