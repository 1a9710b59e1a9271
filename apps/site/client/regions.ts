const FOCUSABLE = "a, button, summary, input, [tabindex]";

/** The details of a region, with their ids where they have one, else with their places among all. */
function detailsOf(region: HTMLElement) {
  return [...region.querySelectorAll("details")].map((details, index) => ({
    details,
    name: details.id === "" ? String(index) : `#${details.id}`,
  }));
}

/** Puts new content into a part of the page; details and boxes stay as the reader left them, and the focus where it was. */
function replaceRegion(old: HTMLElement, fresh: HTMLElement): void {
  if (old.innerHTML === fresh.innerHTML) return;
  const open = new Set(detailsOf(old).flatMap(({ details, name }) => (details.open ? [name] : [])));
  const boxes = [...old.querySelectorAll<HTMLInputElement>("input[type=checkbox][id]")];
  const focused = [...old.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement ?? old);
  old.replaceChildren(...fresh.childNodes);
  for (const { details, name } of detailsOf(old)) details.open = open.has(name);
  for (const { id, checked } of boxes) {
    const box = document.getElementById(id);
    if (box instanceof HTMLInputElement) box.checked = checked;
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
