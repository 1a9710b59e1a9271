/** Combining characters of TeX's accents. */
const combining: Readonly<Record<string, string>> = {
  "'": "\u0301",
  "`": "\u0300",
  "^": "\u0302",
  '"': "\u0308",
  "~": "\u0303",
  "=": "\u0304",
  ".": "\u0307",
  c: "\u0327",
  v: "\u030c",
  u: "\u0306",
  H: "\u030b",
  r: "\u030a",
  k: "\u0328",
  d: "\u0323",
  b: "\u0331",
};

export function isAccent(character: string): boolean {
  return character in combining;
}

/** The letter with the accent; null where Unicode has no single character for it. */
export function accented(accent: string, letter: string): string | null {
  const mark = combining[accent];
  if (mark === undefined) return null;
  const whole = (letter + mark).normalize("NFC");
  return [...whole].length === 1 ? whole : null;
}

/** Letters that have a command of their own. */
export const letters: Readonly<Record<string, string>> = {
  ss: "ß",
  o: "ø",
  O: "Ø",
  l: "ł",
  L: "Ł",
  ae: "æ",
  AE: "Æ",
  oe: "œ",
  OE: "Œ",
  aa: "å",
  AA: "Å",
  i: "ı",
  dh: "ð",
  th: "þ",
};

/** Signs that occur outside formulas. */
export const symbols: Readonly<Record<string, string>> = {
  ldots: "…",
  dots: "…",
  textendash: "–",
  textemdash: "—",
  textquotedblleft: "“",
  textquotedblright: "”",
  textquoteright: "’",
  textquoteleft: "‘",
  textregistered: "®",
  texttrademark: "™",
  textdegree: "°",
  textasciitilde: "~",
  textbackslash: "\\",
  textunderscore: "_",
  textless: "<",
  textgreater: ">",
  times: "×",
  pm: "±",
  deg: "°",
  alpha: "α",
  beta: "β",
  gamma: "γ",
  delta: "δ",
  Delta: "Δ",
  epsilon: "ε",
  varepsilon: "ε",
  lambda: "λ",
  mu: "μ",
  pi: "π",
  rho: "ρ",
  sigma: "σ",
  tau: "τ",
  omega: "ω",
  Omega: "Ω",
  leq: "≤",
  le: "≤",
  geq: "≥",
  ge: "≥",
  approx: "≈",
  sim: "∼",
  infty: "∞",
  rightarrow: "→",
  to: "→",
  uparrow: "↑",
  downarrow: "↓",
  quad: " ",
  LaTeX: "LaTeX",
  TeX: "TeX",
};
