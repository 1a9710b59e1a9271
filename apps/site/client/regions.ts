const FOCUSABLE = "a, button, summary, input, [tabindex]";

/** Puts new content into a part of the page; opened details stay open and the focus stays where it was. */
function replaceRegion(old: HTMLElement, fresh: HTMLElement): void {
  if (old.innerHTML === fresh.innerHTML) return;
  const open = [...old.querySelectorAll("details")].map((details) => details.open);
  const focused = [...old.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement ?? old);
  old.replaceChildren(...fresh.childNodes);
  for (const [index, details] of [...old.querySelectorAll("details")].entries()) {
    details.open = open[index] ?? false;
  }
  if (focused >= 0) old.querySelectorAll<HTMLElement>(FOCUSABLE)[focused]?.focus({ preventScroll: true });
}

/**
 * Fetches the page again and takes over the parts marked `data-live`: the server draws them, with or without script.
 * @returns the fetched document, or null when it could not be fetched
 */
export async function refreshRegions(url: string): Promise<Document | null> {
  const answer = await fetch(url).catch(() => null);
  if (!answer?.ok) return null;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const old of document.querySelectorAll<HTMLElement>("[data-live]")) {
    const region = fresh.getElementById(old.id);
    if (region) replaceRegion(old, region);
  }
  return fresh;
}
