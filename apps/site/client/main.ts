import { listenToKeys } from "./keyboard.ts";
import { startLists } from "./lists.ts";
import { remember } from "./storage.ts";
import { startVotes } from "./votes.ts";

const COPIED_MS = 1600;

function toggleTheme(): void {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  remember("theme", root.dataset.theme);
}

function openHelp(): void {
  document.querySelector<HTMLDialogElement>("#shortcuts")?.showModal();
}

async function copy(button: HTMLElement): Promise<void> {
  const text = document.getElementById(button.dataset.copy ?? "")?.textContent;
  if (!text) return;
  const label = button.textContent;
  button.textContent = await navigator.clipboard.writeText(text).then(
    () => "Copied",
    () => "Not allowed",
  );
  setTimeout(() => {
    button.textContent = label;
  }, COPIED_MS);
}

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest<HTMLElement>("button") : null;
  if (button?.dataset.action === "theme") toggleTheme();
  else if (button?.dataset.action === "help") openHelp();
  else if (button?.dataset.copy) void copy(button);
});

listenToKeys({ toggleTheme, openHelp });
startLists();
startVotes();
