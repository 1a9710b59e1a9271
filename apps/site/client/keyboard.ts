import { recall, remember } from "./storage.ts";

const GO_TO: Readonly<Record<string, string>> = {
  p: "/",
  t: "/trending",
  c: "/catalogue",
  r: "/runs",
  a: "/about",
};
const GO_TO_PATIENCE_MS = 1500;

/** Whether keys typed here are text. */
function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]");
}

/** Moves the focus to the title of the next or the previous card. */
function moveCard(direction: 1 | -1): void {
  const titles = [...document.querySelectorAll<HTMLElement>("[data-card] h3 a")];
  if (titles.length === 0) return;
  const card = document.activeElement?.closest("[data-card]");
  const current = titles.findIndex((title) => card?.contains(title));
  const next = current < 0 ? 0 : Math.min(Math.max(current + direction, 0), titles.length - 1);
  titles[next]?.focus();
  titles[next]?.closest("[data-card]")?.scrollIntoView({ block: "nearest" });
}

/** The card that has the focus, or the paper of a page that shows one. */
function currentCard(): Element | null {
  return document.activeElement?.closest("[data-card]") ?? document.querySelector("header[data-card]");
}

/** Single-key shortcuts; they can be switched off in the help dialog, for people who dictate their input. */
export function listenToKeys(actions: {
  readonly toggleTheme: () => void;
  readonly openHelp: () => void;
}): void {
  const box = document.querySelector<HTMLInputElement>("#shortcuts-on");
  let on = recall("shortcuts") !== "off";
  if (box) {
    box.checked = on;
    box.addEventListener("change", () => {
      on = box.checked;
      remember("shortcuts", on ? "on" : "off");
    });
  }
  let goUntil = 0;
  document.addEventListener("keydown", (event) => {
    if (!on || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    const going = Date.now() < goUntil;
    goUntil = 0;
    const target = going ? GO_TO[event.key] : undefined;
    if (target) location.assign(target);
    else if (event.key === "g") goUntil = Date.now() + GO_TO_PATIENCE_MS;
    else if (event.key === "j") moveCard(1);
    else if (event.key === "k") moveCard(-1);
    else if (event.key === "o") currentCard()?.querySelector<HTMLElement>("h3 a")?.click();
    else if (event.key === "u") currentCard()?.querySelector<HTMLElement>(".vote")?.click();
    else if (event.key === "e") currentCard()?.querySelector<HTMLElement>(".fold-button")?.click();
    else if (event.key === "t") actions.toggleTheme();
    else if (event.key === "?") actions.openHelp();
    else if (event.key === "/") {
      // A page's own search, else that of the header where it is shown, else the page that is all search.
      const boxes = [...document.querySelectorAll<HTMLInputElement>("input[type=search]")];
      const shown = boxes.filter((box) => box.checkVisibility());
      const search = shown.find((box) => box.closest("main")) ?? shown[0];
      if (search) {
        search.focus();
        search.select();
      } else location.assign("/search");
    } else return;
    event.preventDefault();
  });
}
