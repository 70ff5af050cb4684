// Shows /openapi.json and sends requests. Text from the document and from answers goes into the page as text only.

/** An element with attributes and children; strings become text. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key in element && key !== "list") element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const pretty = (value) => (typeof value === "string" ? value : JSON.stringify(value, null, 2));
const seconds = (ms) => `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;

class Schemas {
  constructor(api) {
    this.api = api;
  }

  /** Follows a reference within the document. */
  resolve(schema) {
    const path = schema?.$ref?.replace(/^#\//, "").split("/");
    return path ? path.reduce((place, name) => place?.[name], this.api) : schema;
  }

  /** A schema's type in a few words. */
  words(schema) {
    if (!schema) return "any JSON";
    if (schema.$ref) return schema.$ref.split("/").pop();
    const choices = schema.oneOf ?? schema.anyOf ?? schema.allOf;
    if (choices) return choices.map((s) => this.words(s)).join(schema.allOf ? " and " : " or ");
    if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
    if (schema.const !== undefined) return JSON.stringify(schema.const);
    const types = [schema.type ?? "any JSON"].flat();
    const names = types.map((type) => (type === "array" ? `array of ${this.words(schema.items)}` : type));
    return names.join(" or ") + (schema.format ? ` (${schema.format})` : "");
  }

  /** The schema that has fields, behind references, arrays and choices. */
  parts(schema) {
    const found = this.resolve(schema);
    if (!found) return [];
    if (found.properties) return [found];
    if (found.items) return this.parts(found.items);
    return (found.oneOf ?? found.anyOf ?? found.allOf ?? []).flatMap((part) => this.parts(part));
  }

  /** A table of fields; those of fields open below them when they are asked for. */
  table(schema) {
    const rows = this.parts(schema).flatMap((part) =>
      Object.entries(part.properties).map(([name, field]) => {
        const required = part.required?.includes(name);
        const inner = this.parts(field).length > 0 ? this.folded(field) : null;
        const about = make("td", {}, field.description ?? this.resolve(field)?.description ?? "", inner);
        return make("tr", {},
          make("td", {}, name, required ? make("span", { className: "required", title: "required" }, " *") : ""),
          make("td", {}, this.words(field)), about);
      }));
    return rows.length > 0 ? make("table", {}, make("tbody", {}, ...rows)) : null;
  }

  /** Made when it is opened: schemas may hold themselves. */
  folded(schema) {
    const details = make("details", {}, make("summary", {}, `fields of ${this.words(schema)}`));
    details.addEventListener("toggle", () => details.append(this.table(schema)), { once: true });
    return details;
  }
}

/** One field for each parameter. */
function parameterField(parameter, schemas) {
  const input = make("input", { name: parameter.name, value: parameter.required ? parameter.example ?? "" : "" });
  input.placeholder = parameter.required ? "" : String(parameter.example ?? "");
  const label = make("label", {}, input);
  const row = make("tr", {},
    make("td", {}, parameter.name, parameter.required ? make("span", { className: "required" }, " *") : ""),
    make("td", {}, label), make("td", {}, `${parameter.description ?? ""} ${schemas.words(parameter.schema)}`.trim()));
  input.setAttribute("aria-label", parameter.name);
  return { parameter, input, row };
}

/** Sends what the form says, and shows what came. */
async function send(method, path, fields, body, type, place) {
  let url = path;
  const query = new URLSearchParams();
  for (const { parameter, input } of fields) {
    if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (parameter.in === "query" && input.value !== "") query.append(parameter.name, input.value);
  }
  if (query.size > 0) url += `?${query}`;
  const headers = {};
  const key = document.getElementById("key").value.trim();
  if (key) headers.Authorization = `Bearer ${key}`;
  for (const { parameter, input } of fields) {
    if (parameter.in === "header" && input.value !== "") headers[parameter.name] = input.value;
  }
  const text = body?.value.trim() ? body.value : undefined;
  if (text !== undefined) headers["Content-Type"] = type;
  const began = performance.now();
  try {
    const answer = await fetch(url, { method, headers, body: text });
    const said = await answer.text();
    let shown = said;
    try { shown = pretty(JSON.parse(said)); } catch { /* it is no JSON: as it is */ }
    place.replaceChildren(make("h3", {}, `${answer.status} ${answer.statusText} in ${seconds(performance.now() - began)}`),
      make("p", {}, make("code", {}, `${method} ${url}`)), make("pre", { tabIndex: 0 }, shown.slice(0, 200_000)));
  } catch (error) {
    place.replaceChildren(make("p", { role: "alert" }, `The server does not answer: ${error.message}`));
  }
}

/** All that an operation's panel holds. */
function panel(method, path, operation, schemas) {
  const fields = (operation.parameters ?? []).map((parameter) => parameterField(parameter, schemas));
  const [type, media] = Object.entries(operation.requestBody?.content ?? {})[0] ?? [];
  const body = media ? make("textarea", { value: pretty(media.example ?? {}), spellcheck: false }) : null;
  body?.setAttribute("aria-label", "body");
  const place = make("div", { className: "answer" });
  place.setAttribute("aria-live", "polite");
  const form = make("form", {},
    ...(fields.length > 0 ? [make("h3", {}, "Parameters"), make("table", {}, make("tbody", {}, ...fields.map((f) => f.row)))] : []),
    ...(body ? [make("h3", {}, `Body (${Object.keys(operation.requestBody.content).join(", ")})`), body, schemas.table(media.schema)] : []),
    make("p", {}, make("button", {}, "Send")), place);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(method, path, fields, body, type, place);
  });
  const answers = Object.entries(operation.responses).map(([status, response]) => {
    const [kind, content] = Object.entries(response.content ?? {})[0] ?? [];
    return make("details", {}, make("summary", {}, `${status} `, make("span", {}, response.description)),
      kind ? make("p", {}, make("code", {}, kind)) : null,
      content ? schemas.table(content.schema) : null,
      content?.example !== undefined ? make("pre", { tabIndex: 0 }, pretty(content.example)) : null);
  });
  return [make("p", {}, operation.description ?? operation.summary ?? ""), form, make("h3", {}, "Answers"), ...answers, make("p", {})];
}

function show(api) {
  const schemas = new Schemas(api);
  document.getElementById("about").textContent = api.info.description ?? "";
  const main = document.getElementById("operations");
  const contents = document.getElementById("contents");
  main.replaceChildren();
  const byTag = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [name, operation] of Object.entries(methods)) {
      const tag = operation.tags?.[0] ?? "other";
      if (!byTag.has(tag)) byTag.set(tag, []);
      byTag.get(tag).push([name.toUpperCase(), path, operation]);
    }
  }
  const all = [];
  const first = ["decide", "events", "experiments", "results", "recommendations"];
  const place = (tag) => (first.includes(tag) ? first.indexOf(tag) : first.length);
  const groups = [...byTag].sort(([a], [b]) => place(a) - place(b));
  for (const [tag, operations] of groups) {
    contents.append(make("h2", {}, tag));
    main.append(make("h2", {}, tag));
    for (const [method, path, operation] of operations) {
      const summary = operation.summary ?? operation.description ?? "";
      const badge = () => make("span", { className: `method ${method.toLowerCase()}` }, method);
      const details = make("details", { id: operation.operationId },
        make("summary", {}, badge(), make("code", {}, path), " ", make("span", {}, summary)));
      details.addEventListener("toggle", () => details.append(...panel(method, path, operation, schemas)), { once: true });
      const link = make("a", { href: `#${operation.operationId}` }, badge(), path);
      link.addEventListener("click", () => { details.open = true; });
      contents.append(link);
      main.append(details);
      all.push({ text: `${method} ${path} ${summary}`.toLowerCase(), elements: [details, link] });
    }
  }
  document.getElementById("find").addEventListener("input", (event) => {
    const wanted = event.target.value.toLowerCase();
    for (const { text, elements } of all) for (const element of elements) element.hidden = !text.includes(wanted);
  });
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (named instanceof HTMLDetailsElement) {
    named.open = true;
    named.scrollIntoView();
  }
}

try {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`it answers ${answer.status}`);
  show(await answer.json());
} catch (error) {
  document.getElementById("operations").replaceChildren(
    make("p", { role: "alert" }, `The document cannot be read: ${error.message}`));
}
