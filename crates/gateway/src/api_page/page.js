
"use strict";
const page = document.getElementById("page");

function element(name, children = [], attributes = {}) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...[children].flat(9).filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

const code = (text) => element("code", String(text));
const block = (value) => element("pre", typeof value === "string" ? value : JSON.stringify(value, null, 2));
const nameOf = (reference) => reference.split("/").pop();

function typeOf(schema) {
  if (!schema) return "";
  if (schema.$ref) return element("a", nameOf(schema.$ref), { href: `#${nameOf(schema.$ref)}` });
  const any = schema.oneOf || schema.anyOf || schema.allOf;
  if (any) return any.map((one, i) => [i ? " | " : "", typeOf(one)]).flat();
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const types = [schema.type].flat().filter(Boolean);
  if (types.includes("array")) return ["array of ", typeOf(schema.items), types.length > 1 ? " | null" : ""].flat();
  return types.join(" | ") + (schema.format ? ` (${schema.format})` : "");
}

function table(heads, rows) {
  const row = (cell, cells) => element("tr", cells.map((content) => element(cell, content)));
  const body = element("table", [row("th", heads), ...rows.map((cells) => row("td", cells))]);
  return rows.length ? element("div", body, { class: "wrap" }) : null;
}

function contents(content) {
  return Object.entries(content || {}).map(([type, media]) => {
    const examples = Object.values(media.examples || {}).map((one) => [element("div", one.summary), block(one.value)]);
    if (media.example !== undefined) examples.push(block(media.example));
    return [element("p", [code(type), " ", typeOf(media.schema)]), ...examples];
  });
}

function responses(all) {
  return Object.entries(all).map(([status, response]) => {
    const headers = Object.entries(response.headers || {}).map(([name, header]) =>
      element("div", [code(name), " ", header.description || ""]));
    const isProblem = Object.keys(response.content || {}).includes("application/problem+json");
    return [code(status), [response.description, ...headers, ...(isProblem ? [] : contents(response.content))]];
  });
}

function operation(path, method, described) {
  const parameters = (described.parameters || []).map((one) =>
    [code(one.name), one.in + (one.required ? ", required" : ""), typeOf(one.schema), one.description || ""]);
  const body = described.requestBody;
  return element("details", [
    element("summary", [
      element("span", method.toUpperCase(), { class: "method" }), code(path),
      element("span", described.summary || "", { class: "says" }),
    ]),
    element("div", [
      described.description ? element("p", described.description) : null,
      parameters.length ? element("h3", "Parameters") : null,
      table(["name", "where", "type", ""], parameters),
      body ? element("h3", "Body") : null,
      body && body.description ? element("p", body.description) : null,
      body ? contents(body.content) : null,
      element("h3", "Answers"),
      table(["status", ""], responses(described.responses)),
    ]),
  ], { id: described.operationId });
}

function schema(name, described) {
  const all = [described, ...(described.allOf || []), ...(described.oneOf || [])];
  const required = all.flatMap((one) => one.required || []);
  const rows = all.flatMap((one) => Object.entries(one.properties || {})).map(([key, value]) =>
    [code(key), [typeOf(value), required.includes(key) ? ", required" : ""].flat(), value.description || ""]);
  return element("details", [
    element("summary", [code(name), element("span", described.description || "", { class: "says" })]),
    element("div", rows.length ? table(["field", "type", ""], rows) : element("p", typeOf(described))),
  ], { id: name });
}

function show(api) {
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => ({ path, method, described })));
  const tagged = (tag) => operations.filter(({ described }) => (described.tags || []).includes(tag.name));
  page.replaceChildren(
    element("h1", `${api.info.title} ${api.info.version}`),
    element("p", api.info.description || ""),
    element("p", ["For machines: ", element("a", "openapi.json", { href: "openapi.json" })]),
    ...(api.tags || []).flatMap((tag) => [
      element("h2", tag.name), element("p", tag.description || ""),
      ...tagged(tag).map(({ path, method, described }) => operation(path, method, described)),
    ]),
    element("h2", "schemas"),
    ...Object.entries(api.components.schemas).map(([name, described]) => schema(name, described)),
  );
  open(location.hash);
}

function open(hash) {
  const target = hash ? document.getElementById(decodeURIComponent(hash.slice(1))) : null;
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
}

addEventListener("hashchange", () => open(location.hash));
fetch("openapi.json")
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`answered ${answer.status}`))))
  .then(show)
  .catch((error) => page.replaceChildren(element("p", `openapi.json cannot be read: ${error.message}`)));
