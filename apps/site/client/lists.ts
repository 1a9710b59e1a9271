// Lists of papers: abstracts unfold, and the next page comes when the reader is near the end of this one.

const NEAR = "900px";
/** So many pages come by themselves; then the reader says, and can reach what stands below the list. */
const PAGES_BY_THEMSELVES = 5;
/** Browsers allow about three changes of the history a second. */
const KEEP_EVERY_MS = 400;
/** A navigation that has not come by then was a download, or was called off. */
const LEAVING_MS = 15_000;
const CARD = "[data-card]";

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

/** Takes out of a fetched page the papers that are here already: the list may have moved on in the meantime. */
function withoutKnown(more: Element): void {
  for (const card of more.querySelectorAll(CARD)) if (document.getElementById(card.id)) card.remove();
  for (const day of more.querySelectorAll(".day")) if (!day.querySelector(CARD)) day.remove();
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

/** Where a page of the list begins, and the address that shows the list from there. */
interface PageStart {
  readonly card: Element;
  readonly address: string;
}

/** What the history keeps of the place in a list. */
interface Place {
  readonly card: string;
  readonly top: number;
}

function isPlace(value: unknown): value is Place {
  return (
    typeof value === "object" &&
    value !== null &&
    "card" in value &&
    typeof value.card === "string" &&
    "top" in value &&
    typeof value.top === "number"
  );
}

/** The first card that is at least in part below the header. */
function cardInView(): Element | undefined {
  const header = document.querySelector(".site-header")?.getBoundingClientRect().bottom ?? 0;
  return [...document.querySelectorAll(`[data-papers] ${CARD}`)].find(
    (card) => card.getBoundingClientRect().bottom > header + 1,
  );
}

/**
 * Keeps in the history which page of the list is read, so that loading it again, or sharing it, shows the same, and which
 * card is at the top of the window.
 */
function keepPlace(starts: readonly PageStart[]): void {
  const middle = innerHeight / 2;
  const page = starts.findLast(({ card }) => card.getBoundingClientRect().top < middle) ?? starts[0];
  const card = scrollY > 0 ? cardInView() : undefined;
  const place: Place | null = card ? { card: card.id, top: card.getBoundingClientRect().top } : null;
  history.replaceState(place, "", page?.address);
}

/** After a way back or a reload: the card that was at the top of the window is there again. */
function returnToPlace(): void {
  const state: unknown = history.state;
  const card = isPlace(state) ? document.getElementById(state.card) : null;
  if (!isPlace(state) || !card) return;
  history.scrollRestoration = "manual";
  scrollBy({ top: card.getBoundingClientRect().top - state.top, behavior: "instant" });
}

/** Fetches pages as the reader gets near the end, or presses for more. Where fetching fails, the link is followed. */
function pageOn(list: Element): void {
  const starts: PageStart[] = [];
  const first = list.querySelector(CARD);
  if (first) starts.push({ card: first, address: location.href });
  const status = document.createElement("p");
  status.className = "visually-hidden";
  status.setAttribute("role", "status");
  list.after(status);
  let pages = 0;

  async function load(end: Element, pressed: boolean): Promise<void> {
    const link = end.querySelector("a");
    if (!link || end.hasAttribute("aria-busy")) return;
    watcher.unobserve(end);
    end.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(link.href, { headers: { accept: "text/html" } });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const more = page.querySelector("[data-papers]");
      const nextEnd = page.querySelector("[data-more]");
      if (!more) throw new Error("no papers");
      withoutKnown(more);
      const cards = [...more.querySelectorAll(CARD)];
      const wasFocused = pressed || end.contains(document.activeElement);
      append(list, more);
      foldAbstracts(list);
      if (cards[0]) starts.push({ card: cards[0], address: link.href });
      status.textContent = `${cards.length} more papers`;
      // Whoever was on the link goes on with the first of the papers that it brought.
      if (wasFocused) cards[0]?.querySelector<HTMLElement>("h3 a")?.focus({ preventScroll: !pressed });
      pages += 1;
      if (nextEnd) {
        end.replaceWith(nextEnd);
        listenTo(nextEnd);
      } else end.remove();
    } catch {
      end.removeAttribute("aria-busy");
      if (pressed) location.assign(link.href);
    }
  }

  const watcher = new IntersectionObserver(
    (entries) => {
      const end = entries.find(({ isIntersecting }) => isIntersecting)?.target;
      // Whoever is on the link decides; the focus must not move away under their fingers.
      if (end && !end.contains(document.activeElement)) void load(end, false);
    },
    { rootMargin: NEAR },
  );
  function listenTo(end: Element): void {
    end.querySelector("a")?.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      void load(end, true);
    });
    if (pages < PAGES_BY_THEMSELVES) watcher.observe(end);
  }

  returnToPlace();
  const end = document.querySelector("[data-more]");
  if (end) listenTo(end);
  let timer: number | undefined;
  let leavingUntil = 0;
  addEventListener(
    "scroll",
    () => {
      if (Date.now() < leavingUntil || timer !== undefined) return;
      timer = setTimeout(() => {
        timer = undefined;
        keepPlace(starts);
      }, KEEP_EVERY_MS);
    },
    { passive: true },
  );
  // A change of the history would call off a navigation that has begun and waits for its answer.
  addEventListener("beforeunload", () => {
    leavingUntil = Date.now() + LEAVING_MS;
    clearTimeout(timer);
    timer = undefined;
  });
  addEventListener("pageshow", () => {
    leavingUntil = 0;
  });
  // Whoever leaves by a link right after scrolling.
  document.addEventListener("click", () => keepPlace(starts), { capture: true });
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
  const list = document.querySelector("[data-papers]");
  if (list) pageOn(list);
  applyAtOnce();
}
