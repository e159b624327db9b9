// Small helpers of the page. Nothing here builds HTML: the server escapes and renders everything.
(() => {
  "use strict";
  const NARROW = 900;
  document.documentElement.lang = "zh-CN";

  // Enter that picks a candidate of an input method must not send. Gradio does not look at
  // isComposing, so the key is kept from it while composing and for the Enter that ends it: some
  // systems end the composition first and then deliver that Enter as an ordinary key.
  const SAME_KEY_MS = 40;
  let composing = false;
  let endedAt = -Infinity;
  const inText = (event) => event.target instanceof Element && event.target.matches("textarea, input");
  addEventListener("compositionstart", () => { composing = true; }, true);
  addEventListener("compositionend", (event) => { composing = false; endedAt = event.timeStamp; }, true);
  addEventListener("keyup", () => { endedAt = -Infinity; }, true);
  const hold = (event) => {
    if (event.key !== "Enter" && event.keyCode !== 13 && event.keyCode !== 229) return;
    if (!inText(event)) return;
    const justEnded = event.timeStamp - endedAt < SAME_KEY_MS;
    if (!(composing || event.isComposing || event.keyCode === 229 || justEnded)) return;
    event.stopImmediatePropagation();
    if (justEnded) event.preventDefault();
  };
  addEventListener("keydown", hold, true);
  addEventListener("keypress", hold, true);

  // A file over the limit is stopped here, with words: the server would refuse it in English.
  const weigh = (event) => {
    const note = document.querySelector("#too-big .too-big");
    if (!note || !(event.target instanceof Element) || !event.target.closest("#files")) return;
    const files = [...(event.type === "drop" ? event.dataTransfer : event.target).files ?? []];
    const limits = JSON.parse(note.dataset.limits);
    const limit = (name) => limits[name.slice(name.lastIndexOf(".")).toLowerCase()] ?? Infinity;
    note.hidden = !files.some((file) => file.size > limit(file.name));
    if (note.hidden) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.type === "change") event.target.value = "";
  };
  addEventListener("change", weigh, true);
  addEventListener("drop", weigh, true);

  const copy = async (button) => {
    const text = button.dataset.text;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without a secure context there is no clipboard API: the old way still works.
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
      button.focus();
    }
    const before = button.textContent;
    button.textContent = "已复制";
    setTimeout(() => { button.textContent = before; }, 1500);
  };

  const ask = () => document.querySelector("#question textarea, #question input");
  const back = () => {
    document.querySelector("#conversation")?.scrollIntoView({ block: "start" });
    ask()?.focus();
  };

  // What cannot be taken back by closing a menu is pressed twice: the first press changes the label.
  // The list may be drawn anew between the presses, so what is armed is known by its key.
  const ARMED_MS = 6000;
  let armed = null;
  const keyOf = ({ dataset }) => JSON.stringify([dataset.article, dataset.file, dataset.whole]);
  const isArmed = (button) => armed !== null && armed.key === keyOf(button);
  const label = (button, on) => {
    button.classList.toggle("armed", on);
    button.querySelector(".label").textContent = button.dataset.sure.slice(on ? 0 : "确认".length);
  };
  const disarm = () => {
    clearTimeout(armed?.timer);
    armed = null;
    for (const button of document.querySelectorAll("button.armed")) label(button, false);
  };
  const confirmed = (button, event) => {
    if (!button.dataset.sure) return true;
    if (event.detail > 1) return false; // a double click is one press
    const sure = isArmed(button);
    disarm();
    if (sure) return true;
    armed = { key: keyOf(button), timer: setTimeout(disarm, ARMED_MS) };
    label(button, true);
    button.focus(); // not every browser focuses a button that is clicked
    return false;
  };
  const rearm = (element) => {
    for (const button of element.querySelectorAll("button[data-sure]")) {
      if (!isArmed(button)) continue;
      label(button, true);
      // Gradio patches the rows in place: the focus may have come to stand on another article's button.
      const at = document.activeElement;
      if (at === document.body || element.contains(at)) button.focus();
    }
  };
  addEventListener("keydown", (event) => { if (event.key === "Escape") disarm(); }, true);
  addEventListener("focusin", (event) => {
    const button = event.target.closest?.("button[data-sure]");
    if (!button || !isArmed(button)) disarm();
  });
  let removing = false;

  // One listener for all buttons of a component; `trigger` passes the click on to the server.
  const listen = (element, trigger) => {
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-do]");
      if (!button || !confirmed(button, event)) return;
      const { do: what, sure, ...data } = button.dataset;
      removing = what === "remove";
      if (what === "copy") copy(button);
      else if (what === "back") back();
      else trigger(what, data);
    });
  };

  const whenVisible = (find, then, tries = 120) => {
    const found = find();
    if (found && found.offsetParent !== null) then(found);
    else if (tries > 0) requestAnimationFrame(() => whenVisible(find, then, tries - 1));
  };

  const showLast = (element) => {
    const last = element.querySelector(".turn:last-child");
    if (!last) return;
    const box = element.closest("#conversation");
    if (box && box.scrollHeight > box.clientHeight + 1 && innerWidth >= NARROW) {
      box.scrollTop += last.getBoundingClientRect().top - box.getBoundingClientRect().top - 12;
    } else {
      last.scrollIntoView({ block: "nearest" });
    }
  };

  const showExcerpt = (element) => {
    whenVisible(() => element.querySelector(".paper"), (paper) => {
      const mark = paper.querySelector("mark.excerpt");
      const target = mark ?? paper.querySelector("h2");
      if (!target) return; // nothing is open
      const box = element.closest("#reader");
      if (innerWidth < NARROW) (mark ?? paper).scrollIntoView({ block: mark ? "center" : "start" });
      else if (mark) {
        const place = mark.getBoundingClientRect();
        const frame = box.getBoundingClientRect();
        box.scrollTop += place.top - frame.top - box.clientHeight / 3;
      } else box.scrollTop = 0;
      target.setAttribute("tabindex", "-1");
      target.focus({ preventScroll: true });
    });
  };

  const follow = (element, watch, then) => {
    let before = element.innerHTML;
    watch("value", () => {
      if (element.innerHTML === before) return;
      before = element.innerHTML;
      requestAnimationFrame(() => then(element));
    });
  };

  // A name for this tab, which a reload keeps: the server remembers the conversation by it.
  const visitor = () => {
    try {
      const name = sessionStorage.getItem("askai") ?? "";
      if (name) return name;
      const made = [...crypto.getRandomValues(new Uint8Array(16))];
      const fresh = made.map((byte) => byte.toString(16).padStart(2, "0")).join("");
      sessionStorage.setItem("askai", fresh);
      return fresh;
    } catch {
      return ""; // storage is switched off: a reload begins anew
    }
  };

  window.askai = {
    visitor,
    conversation(element, trigger, watch) {
      listen(element, trigger);
      follow(element, watch, showLast);
    },
    reader(element, trigger, watch) {
      listen(element, trigger);
      follow(element, watch, showExcerpt);
    },
    panel(element, trigger, watch) {
      listen(element, trigger);
      watch("value", () => requestAnimationFrame(() => rearm(element)));
    },
    removed(element, trigger, watch) {
      listen(element, trigger);
      follow(element, watch, () => {
        if (removing) element.querySelector("button")?.focus();
        removing = false;
      });
    },
    list(element, trigger, watch) {
      window.askai.panel(element, trigger, watch);
      // Gradio names its upload box in English for screen readers.
      for (const part of document.querySelectorAll("#files button, #files input")) {
        part.setAttribute("aria-label", "选择或拖入要上传的文章");
      }
    },
  };
})();
