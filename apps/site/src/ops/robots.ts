/**
 * What crawlers are asked to leave alone: pages without end (filters, later pages of lists, walks through dates), what
 * changes things, and what is made for programs.
 */
export const robotsText = [
  "User-agent: *",
  "Disallow: /search",
  "Disallow: /sign-in",
  "Disallow: /sign-up",
  "Disallow: /settings",
  "Disallow: /api/",
  "Disallow: /u/",
  "Disallow: /runs/",
  "Disallow: /*?*after=",
  "Disallow: /*?*author=",
  "Crawl-delay: 5",
  "",
].join("\n");
