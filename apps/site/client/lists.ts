// Lists of papers: abstracts unfold, and the next page comes when the reader is near the end of this one.

const NEAR = "900px";

function foldAbstracts(root: ParentNode): void {
  for (const abstract of root.querySelectorAll<HTMLElement>("[data-fold]")) {
    const text = abstract.querySelector("p");
    if (!text || abstract.querySelector(".fold-button") || text.scrollHeight <= text.clientHeight + 2)
      continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "fold-button";
    button.textContent = "Show all";
    button.setAttribute("aria-expanded", "false");
    button.addEventListener("click", () => {
      const open = abstract.classList.toggle("unfolded");
      button.textContent = open ? "Show less" : "Show all";
      button.setAttribute("aria-expanded", String(open));
    });
    abstract.append(button);
  }
}

/** Puts the papers of a fetched page behind those that are here; a day that goes on is not begun twice. */
function append(list: Element, more: Element): void {
  const last = list.querySelector<HTMLElement>(".day:last-child");
  const first = more.querySelector<HTMLElement>(".day:first-child");
  if (last && first && last.dataset.day === first.dataset.day) {
    last.querySelector(".cards")?.append(...(first.querySelector(".cards")?.children ?? []));
    first.remove();
  }
  const cards = list.querySelector(":scope > .cards");
  const moreCards = more.querySelector(":scope > .cards");
  if (cards && moreCards) cards.append(...moreCards.children);
  else list.append(...more.children);
}

/** Fetches pages as the reader gets near the end. The link stays, for people who open it and where fetching fails. */
function pageOn(): void {
  const watcher = new IntersectionObserver(
    async (entries) => {
      const end = entries.find(({ isIntersecting }) => isIntersecting)?.target;
      const link = end?.querySelector("a");
      const list = document.querySelector("[data-papers]");
      if (!end || !link || !list) return;
      watcher.unobserve(end);
      end.setAttribute("aria-busy", "true");
      try {
        const answer = await fetch(link.href, { headers: { accept: "text/html" } });
        if (!answer.ok) throw new Error(`status ${answer.status}`);
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const more = page.querySelector("[data-papers]");
        const nextEnd = page.querySelector("[data-more]");
        if (!more) throw new Error("no papers");
        append(list, more);
        foldAbstracts(list);
        if (nextEnd) {
          end.replaceWith(nextEnd);
          watcher.observe(nextEnd);
        } else end.remove();
      } catch {
        end.removeAttribute("aria-busy");
      }
    },
    { rootMargin: NEAR },
  );
  const end = document.querySelector("[data-more]");
  if (end) watcher.observe(end);
}

/** A filter acts as soon as it is chosen. */
function applyAtOnce(): void {
  const form = document.querySelector<HTMLFormElement>("[data-filters]");
  form?.addEventListener("change", () => form.requestSubmit());
  form?.addEventListener("submit", () => {
    // Empty fields would only lengthen the address.
    for (const field of form.elements) {
      if ((field instanceof HTMLSelectElement || field instanceof HTMLInputElement) && field.value === "") {
        field.disabled = true;
      }
    }
  });
}

export function startLists(): void {
  foldAbstracts(document);
  pageOn();
  applyAtOnce();
}
