// Votes and bookmarks without a new page. Where anything goes wrong, the form is sent as it would be without scripts.

interface Answer {
  readonly on: boolean;
  readonly count?: number;
}

function isAnswer(value: unknown): value is Answer {
  return typeof value === "object" && value !== null && "on" in value && typeof value.on === "boolean";
}

function show(form: HTMLFormElement, button: HTMLButtonElement, { on, count }: Answer): void {
  button.value = on ? "0" : "1";
  button.setAttribute("aria-pressed", String(on));
  const number = form.querySelector("[data-count]");
  if (number && count !== undefined) number.textContent = String(count);
  const label = form.querySelector("[data-label]");
  if (label instanceof HTMLElement)
    label.textContent = (on ? label.dataset.on : label.dataset.off) ?? label.textContent;
}

async function send(form: HTMLFormElement, button: HTMLButtonElement): Promise<void> {
  const body = new URLSearchParams();
  for (const [name, value] of new FormData(form, button))
    if (typeof value === "string") body.append(name, value);
  form.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.action, {
      method: "POST",
      headers: { accept: "application/json" },
      body,
    });
    const value: unknown = answer.ok && !answer.redirected ? await answer.json() : null;
    if (!isAnswer(value)) throw new Error(`status ${answer.status}`);
    show(form, button, value);
  } catch {
    form.dataset.plain = "";
    form.requestSubmit(button);
  } finally {
    form.removeAttribute("aria-busy");
  }
}

/** Listens on the document: cards that come in later are meant as well. */
export function startVotes(): void {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || !form.matches("[data-vote], [data-bookmark]")) return;
    const button = event.submitter;
    if ("plain" in form.dataset || !(button instanceof HTMLButtonElement)) return;
    event.preventDefault();
    if (!form.hasAttribute("aria-busy")) void send(form, button);
  });
  // Closed by a click elsewhere or Escape, like a menu.
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll<HTMLDetailsElement>(
      "details.account[open], details.collect[open]",
    )) {
      if (event.target instanceof Node && !menu.contains(event.target)) menu.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const menu of document.querySelectorAll<HTMLDetailsElement>(
      "details.account[open], details.collect[open]",
    )) {
      menu.open = false;
      if (menu.contains(document.activeElement)) menu.querySelector("summary")?.focus();
    }
  });
}
