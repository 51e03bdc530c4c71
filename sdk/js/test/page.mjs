// A page for the SDK to run in: just enough of window and document, whose every part a test can break.
//
// It keeps cookies with their age, records what is sent, and runs timers at once, so that no test sleeps.

import { readFileSync } from "node:fs";

const source = readFileSync(new URL("../fynxt-referral-v1.js", import.meta.url), "utf8");

/** A storage area that survives from page to page, as a browser's does. */
export function browser() {
  return { cookies: new Map(), local: new Map() };
}

/**
 * Loads the SDK into a page.
 *
 * `answers` are given to the requests in turn, the last one again and again: a status, [status, body], or "offline".
 */
export function page({
  search = "",
  visitor = browser(),
  answers = [200],
  cookies_blocked = false,
  local_blocked = false,
  fetch_missing = false,
  protocol = "https:",
  script = "https://go.broker.example/fynxt-referral-v1.js",
  crypto = globalThis.crypto,
} = {}) {
  const requests = [];
  const waits_ms = [];
  let sent = 0;

  function answer() {
    const given = answers[Math.min(sent, answers.length - 1)];
    sent += 1;
    if (given === "offline") return null;
    const [status, body] = Array.isArray(given) ? given : [given, { id: sent }];
    return { status, text: typeof body === "string" ? body : JSON.stringify(body) };
  }

  const document = {
    currentScript: script ? { src: script } : null,
    getElementsByTagName: () => [],
    get cookie() {
      if (cookies_blocked === "throws") throw new Error("The document is sandboxed");
      return [...visitor.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    },
    set cookie(text) {
      if (cookies_blocked === "throws") throw new Error("The document is sandboxed");
      if (cookies_blocked) return;
      const [pair, ...attributes] = text.split("; ");
      const at = pair.indexOf("=");
      const age = attributes.find((attribute) => attribute.startsWith("Max-Age="));
      visitor.attributes = attributes;
      if (age === "Max-Age=0") visitor.cookies.delete(pair.slice(0, at));
      else visitor.cookies.set(pair.slice(0, at), pair.slice(at + 1));
    },
  };

  const window = {
    document,
    location: { search, protocol },
    crypto,
    Promise,
    Uint8Array,
    clearTimeout: () => {},
    setTimeout: (work, wait_ms) => {
      if (wait_ms === 15000) return 1; // the time limit of an attempt: these requests always end
      waits_ms.push(wait_ms);
      queueMicrotask(work);
      return 1;
    },
  };
  Object.defineProperty(window, "localStorage", {
    get() {
      if (local_blocked) throw new Error("Access is denied for this document");
      return {
        getItem: (name) => visitor.local.get(name) ?? null,
        setItem: (name, value) => visitor.local.set(name, value),
        removeItem: (name) => visitor.local.delete(name),
      };
    },
  });
  if (!fetch_missing) {
    window.fetch = async (url, options) => {
      requests.push({ url, ...options, json: JSON.parse(options.body) });
      const given = answer();
      if (!given) throw new TypeError("Failed to fetch");
      return { status: given.status, headers: new Headers(), text: async () => given.text };
    };
  }
  window.XMLHttpRequest = class {
    headers = {};
    open(method, url) {
      this.method = method;
      this.url = url;
    }
    setRequestHeader(name, value) {
      this.headers[name] = value;
    }
    send(body) {
      requests.push({ url: this.url, method: this.method, headers: this.headers, body, json: JSON.parse(body), xhr: true });
      const given = answer();
      queueMicrotask(() => {
        if (!given) return this.onerror();
        this.status = given.status;
        this.responseText = given.text;
        this.onload();
      });
    }
  };
  new Function("window", source)(window);
  return { window, visitor, requests, waits_ms, sdk: window.FynxtReferral };
}
