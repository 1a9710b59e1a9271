import { html } from "hono/html";
import type { Html } from "../pages/layout.ts";

interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean | undefined;
  readonly description?: string | undefined;
  readonly schema?: {
    readonly type?: unknown | undefined;
    readonly enum?: readonly unknown[] | undefined;
    readonly default?: unknown | undefined;
    readonly example?: unknown | undefined;
    readonly format?: string | undefined;
    readonly minimum?: number | undefined;
    readonly maximum?: number | undefined;
    readonly maxLength?: number | undefined;
  };
}

interface Operation {
  readonly summary?: string | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly parameters?: readonly Parameter[] | undefined;
  readonly security?: readonly unknown[] | undefined;
  readonly responses?: Readonly<Record<string, { readonly description?: string }>> | undefined;
}

/** What the page shows of an OpenAPI document. */
export interface ApiDescription {
  readonly info: { readonly description?: string | undefined };
  readonly paths?: Readonly<Record<string, Readonly<Record<string, unknown>>>> | undefined;
}

const METHODS = ["get", "post", "put", "delete"] as const;

const TYPES: Readonly<Record<string, string>> = { string: "text", integer: "whole number" };

/** What a parameter may be: its choices, else its kind with the bounds that a caller can run into. */
function kindText(schema: NonNullable<Parameter["schema"]>): string {
  const { type, enum: choices, format, minimum, maximum, maxLength } = schema;
  if (choices) return choices.join(", ");
  if (format === "date") return "day, such as 2026-06-18";
  const kinds = [type ?? []].flat().filter((kind) => kind !== "null");
  const kind = kinds.map((one) => TYPES[String(one)] ?? String(one)).join(", ");
  if (minimum !== undefined && maximum !== undefined) return `${kind} from ${minimum} to ${maximum}`;
  return maxLength === undefined ? kind : `${kind} of at most ${maxLength} characters`;
}

function parameterRow({ name, required, description, schema = {} }: Parameter): Html {
  const { default: fallback, example } = schema;
  const words = [
    example === undefined ? kindText(schema) : html`such as <code>${String(example)}</code>`,
    ...(fallback === undefined ? [] : [html`; default ${String(fallback)}`]),
    ...(description ? [html`. ${description}`] : []),
  ];
  return html`<div><dt><code>${name}</code>${required ? " (needed)" : ""}</dt><dd>${words}</dd></div>`;
}

function operation(
  method: string,
  path: string,
  { summary, parameters = [], security, responses = {} }: Operation,
): Html {
  const id = `${method}-${path.replace(/[^a-z0-9]+/gi, "-")}`;
  return html`<section class="api-call" aria-labelledby="${id}">
<h3 id="${id}"><span class="badge">${method.toUpperCase()}</span> <code>${path}</code></h3>
<p>${summary}${security ? " Needs a key." : ""}</p>
${parameters.length > 0 ? html`<dl class="inputs">${parameters.map(parameterRow)}</dl>` : ""}
<p class="quiet small">${Object.entries(responses)
    .map(([status, { description }]) => `${status}: ${description}`)
    .join(" · ")}</p>
</section>`;
}

/** The API in words, made of its own description. */
export function apiDocsPage(description: ApiDescription, base: string): Html {
  const calls = Object.entries(description.paths ?? {}).flatMap(([path, item]) =>
    METHODS.flatMap((method) =>
      item[method] ? [{ method, path, operation: item[method] as Operation }] : [],
    ),
  );
  const tags = [...new Set(calls.flatMap(({ operation }) => operation.tags ?? []))];
  return html`<div class="column prose">
<div class="masthead"><h1>API</h1><p class="lead">${description.info.description}</p></div>
<section aria-labelledby="try"><h2 id="try">Try it</h2>
<pre tabindex="0" aria-label="Example"><code>curl ${base}/api/daily_papers?limit=3
curl "${base}/api/v1/search?q=modality+gap"
curl -X PUT -H "Authorization: Bearer KEY" ${base}/api/v1/papers/2504.12717/vote</code></pre>
<p>The same as a document for programs: <a href="/.well-known/openapi.json">OpenAPI 3.1</a>. Ids with a slash are written with %2F.</p></section>
${tags.map(
  (tag) =>
    html`<section aria-labelledby="tag-${tag.replace(/\s/g, "-")}"><h2 id="tag-${tag.replace(/\s/g, "-")}">${tag}</h2>${calls
      .filter((call) => call.operation.tags?.includes(tag))
      .map((call) => operation(call.method, call.path, call.operation))}</section>`,
)}
</div>`;
}
