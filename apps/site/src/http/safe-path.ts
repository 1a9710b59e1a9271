const MAX_PATH = 2000;
const ORIGIN = "http://site.invalid";

/**
 * A path of this site from what a form or an address says; anything else becomes `fallback`. `//evil.example`,
 * `/\evil.example` and paths with control characters lead elsewhere in browsers.
 */
export function safePath(given: unknown, fallback = "/"): string {
  if (typeof given !== "string" || given.length > MAX_PATH) return fallback;
  if (!/^\/(?![/\\])/.test(given) || /[\p{Cc}\\]/u.test(given)) return fallback;
  const url = URL.parse(given, ORIGIN);
  return url?.origin === ORIGIN && !url.pathname.startsWith("//")
    ? url.pathname + url.search + url.hash
    : fallback;
}
