import { type Piece, parseTex } from "../tex.ts";

const signs: Readonly<Record<string, string>> = Object.fromEntries(
  `alpha α beta β gamma γ delta δ epsilon ε varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι kappa κ lambda λ mu μ nu ν
xi ξ pi π rho ρ sigma σ tau τ upsilon υ phi φ varphi φ chi χ psi ψ omega ω Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π
Sigma Σ Phi Φ Psi Ψ Omega Ω times × cdot · pm ± mp ∓ leq ≤ le ≤ geq ≥ ge ≥ neq ≠ ne ≠ approx ≈ sim ∼ simeq ≃ equiv ≡ ll ≪ gg ≫
in ∈ notin ∉ subset ⊂ subseteq ⊆ cup ∪ cap ∩ to → rightarrow → leftarrow ← Rightarrow ⇒ leftrightarrow ↔ mapsto ↦ infty ∞
partial ∂ nabla ∇ sum ∑ prod ∏ int ∫ forall ∀ exists ∃ ell ℓ hbar ħ circ ° bullet • star ⋆ ast ∗ otimes ⊗ oplus ⊕ propto ∝ perp ⊥
parallel ∥ mid | vert | Vert ‖ langle ⟨ rangle ⟩ ldots … cdots … dots … uparrow ↑ downarrow ↓ prime ′ emptyset ∅ lesssim ≲ gtrsim ≳
setminus ∖ dagger † degree ° percent %`
    .split(/\s+/)
    .flatMap((word, at, words) => (at % 2 === 0 ? [[word, words[at + 1] ?? ""]] : [])),
);

const raised: Readonly<Record<string, string>> = Object.fromEntries(
  [..."0123456789+-=()ni"].map((plain, at) => [plain, [..."⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ"][at] ?? plain]),
);
const lowered: Readonly<Record<string, string>> = Object.fromEntries(
  [..."0123456789+-=()"].map((plain, at) => [plain, [..."₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎"][at] ?? plain]),
);
const doubled: Readonly<Record<string, string>> = { R: "ℝ", N: "ℕ", Z: "ℤ", Q: "ℚ", C: "ℂ", E: "𝔼", P: "ℙ" };

/** A formula is read at most so far; what is longer stays as it is. */
const MAX_FORMULA = 2000;
const MAX_ROUNDS = 8;

const script = (table: Readonly<Record<string, string>>, sign: string, inner: string): string => {
  const text = inner.trim();
  const letters = [...text];
  if (letters.length > 0 && letters.every((letter) => letter in table))
    return letters.map((letter) => table[letter]).join("");
  return letters.length > 1 ? `${sign}(${text})` : `${sign}${text}`;
};

/** A formula as far as plain text can show it: Greek, signs, indices and powers; commands that stay lose their backslash. */
export function readableFormula(tex: string): string {
  if (tex.length > MAX_FORMULA) return tex;
  let text = tex
    .replace(/\\(?:left|right|big|Big|bigl|bigr|displaystyle|textstyle|limits|!)(?![A-Za-z])/g, "")
    .replace(/\\(?:,|;|:|\s|quad|qquad)(?![A-Za-z])|~/g, " ")
    .replace(/\\([%&#_${}])/g, (_whole, sign: string) =>
      sign === "{" ? "\u0001" : sign === "}" ? "\u0002" : sign,
    )
    .replace(/\\mathbb\s*\{?\s*([A-Z])\s*\}?/g, (_whole, letter: string) => doubled[letter] ?? letter);
  // From the inside out: a group is replaced when it has no group in it any more.
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const before = text;
    text = text
      .replace(/\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}/g, (_whole, over: string, under: string) => {
        const part = (some: string) =>
          /^[\p{L}\p{N}]*$/u.test(some.trim()) ? some.trim() : `(${some.trim()})`;
        return `${part(over)}/${part(under)}`;
      })
      .replace(/\\sqrt\s*\{([^{}]*)\}/g, (_whole, inner: string) =>
        [...inner.trim()].length > 1 ? `√(${inner.trim()})` : `√${inner.trim()}`,
      )
      .replace(
        /\\(?:math|text|operatorname|boldsymbol|bm|hat|bar|tilde|vec|mbox)[a-z]*\*?\s*\{([^{}]*)\}/g,
        "$1",
      )
      .replace(/\^\s*\{([^{}]*)\}/g, (_whole, inner: string) => script(raised, "^", inner))
      .replace(/_\s*\{([^{}]*)\}/g, (_whole, inner: string) => script(lowered, "_", inner))
      // A group after another may be the second one of a fraction whose first is not read yet.
      .replace(/(?<!\\[A-Za-z]*|\} ?)\{([^{}]*)\}/g, "$1");
    if (text === before) break;
  }
  return text
    .replace(/\\([A-Za-z]+)\s*\{([^{}]*)\}/g, (_whole, name: string, inner: string) =>
      name in signs ? `\\${name} ${inner}` : `${name}(${inner})`,
    )
    .replace(/\{([^{}]*)\}/g, "($1)")
    .replace(/\\([A-Za-z]+)/g, (_whole, name: string) => signs[name] ?? name)
    .replace(/\^([0-9ni])(?![\p{L}\p{N}])/gu, (_whole, power: string) => raised[power] ?? power)
    .replace(/_([0-9])(?![\p{L}\p{N}])/gu, (_whole, index: string) => lowered[index] ?? index)
    .replace(/\^°/g, "°")
    .replaceAll("\u0001", "{")
    .replaceAll("\u0002", "}")
    .replace(/\s+/g, " ")
    .trim();
}

/** A title or an abstract as one line of plain text, with formulas as far as plain text can show them. */
export function readableText(text: string): string {
  const plain = (pieces: readonly Piece[]): string =>
    pieces
      .map((piece) =>
        piece.kind === "text"
          ? piece.text
          : piece.kind === "math"
            ? readableFormula(piece.tex)
            : plain(piece.children),
      )
      .join("");
  return plain(parseTex(text)).replace(/\s+/g, " ").trim();
}

/** Dots after these end no sentence. */
const SHORTENED =
  /(?:\b(?:e\.g|i\.e|et al|etc|cf|vs|Fig|Eq|Sec|resp|approx|w\.r\.t|a\.k\.a|St|Dr|Prof)|\b\p{Lu})\.$/u;

/** The sentences at the beginning that fit into `most` characters; where not even one does, its beginning with an ellipsis. */
export function firstSentences(text: string, most: number): string {
  if (text.length <= most) return text;
  let end = 0;
  for (const { index } of text.slice(0, most + 2).matchAll(/[.!?](?=\s+["“‘(]?[\p{Lu}\p{N}])/gu)) {
    if (index < most && !SHORTENED.test(text.slice(Math.max(0, index - 12), index + 1))) end = index + 1;
  }
  // One short first sentence says little: then rather the beginning of the next one too.
  if (end >= most / 3) return text.slice(0, end);
  const cut = text.lastIndexOf(" ", most - 1);
  return `${text
    .slice(0, cut > most / 2 ? cut : most - 1)
    .replace(/[\s,;:–—(-]+$/u, "")
    .toWellFormed()}…`;
}
