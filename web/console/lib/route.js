// Every state is an address: pages read what they show from path and query, and links are plain links.

import { cell, CONSOLE } from "./base.js";

/** @returns {Route} */
function here() {
  const inside = location.pathname.startsWith(CONSOLE) ? location.pathname.slice(CONSOLE.length) : "";
  return { parts: inside.split("/").filter(Boolean).map(decoded), query: new URLSearchParams(location.search), address: location.pathname + location.search };
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** @type {Cell<Route>} */
export const route = cell(here());

/** @param {string} address @param {boolean} [replace] */
export function go(address, replace = false) {
  const kept = new URLSearchParams(location.search).get("wall");
  const url = new URL(address, location.href);
  if (kept && !url.searchParams.has("wall")) url.searchParams.set("wall", kept);
  history[replace ? "replaceState" : "pushState"](null, "", url);
  route.set(here());
}

/** Sets members of the query; an empty value takes one away. @param {Record<string, string | null>} changes @param {boolean} [replace] */
export function setQuery(changes, replace = true) {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(changes)) value ? url.searchParams.set(name, value) : url.searchParams.delete(name);
  go(url.pathname + url.search, replace);
}

addEventListener("popstate", () => route.set(here()));
addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.target || link.hasAttribute("download") || link.origin !== location.origin || !link.pathname.startsWith(CONSOLE)) return;
  event.preventDefault();
  go(link.pathname + link.search);
});
