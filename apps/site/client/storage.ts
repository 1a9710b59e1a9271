/** Local storage that may be switched off: what cannot be remembered is forgotten silently. */
export function remember(key: string, value: string): void {
  try {
    localStorage.setItem(`concord-${key}`, value);
  } catch {
    // Storage is blocked or full; the choice then lasts as long as the page.
  }
}

export function recall(key: string): string | null {
  try {
    return localStorage.getItem(`concord-${key}`);
  } catch {
    return null;
  }
}
