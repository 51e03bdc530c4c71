// A visitor in a real browser: follows a link, lands on the broker's page, registers; the partner gets the client.
//
// HEADWATER_TEST_BINARY names the server's binary. Everything else is made here and gone afterwards: the store, the
// server, the broker's site, the browser.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { promisify } from "node:util";
import { freePort, openBrowser, start, until } from "./driver.mjs";

const binary = process.env.HEADWATER_TEST_BINARY;
const data = mkdtempSync(join(tmpdir(), "headwater-visitor-"));
const program_currency = "USD";
let site, server, keys, headwater, site_url, browser;

/** The broker's site: any page loads the script from the server and starts it with the publishable key. */
function landingPage() {
  return `<!doctype html><meta charset="utf-8"><title>Broker</title>
    <link rel="icon" href="data:,">
    <script src="${headwater}/fynxt-referral-v1.js"></script>
    <script>
      window.started = FynxtReferral.init({ apiKey: ${JSON.stringify(keys.publishable_key)} });
    </script>`;
}

async function api(method, path, body) {
  const response = await fetch(headwater + path, {
    method,
    headers: { "X-API-Key": keys.secret_key, "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}\n${server.output()}`);
  return JSON.parse(text);
}

const eventsOf = async (type) => (await api("GET", `/api/referral/events?eventType=${type}`)).data;

before(async () => {
  assert.ok(binary, "HEADWATER_TEST_BINARY names the server's binary");
  const site_port = await freePort();
  // Another host than the server's: a visitor's redirect crosses domains too.
  site_url = `http://localhost:${site_port}`;
  site = createServer((_request, response) => {
    response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" });
    response.end(landingPage());
  });
  await new Promise((resolve) => site.listen(site_port, "127.0.0.1", resolve));

  const init = ["init", "--data", data, "--account", "Broker", "--program", "Partners", "--site-url", site_url, "--json"];
  keys = JSON.parse((await promisify(execFile)(binary, init)).stdout);
  const port = await freePort();
  headwater = `http://127.0.0.1:${port}`;
  server = start(binary, ["serve", "--data", data, "--listen", `127.0.0.1:${port}`]);
  await until(`the server\n${server.output()}`, async () => (await fetch(`${headwater}/ready`)).ok).catch((error) => {
    throw new Error(`${error.message}\n${server.output()}`);
  });
  await api("POST", "/api/v1/partners", { id: "ib_2044", name: "Alpha Media", email: "office@alpha.example" });
  browser = await openBrowser();
});

after(async () => {
  await browser?.close();
  await server?.stop();
  site?.close();
  site?.closeAllConnections();
  rmSync(data, { recursive: true, force: true });
});

test("a visitor who follows a link and registers belongs to its partner", async () => {
  const link = await api("POST", "/api/referral/links", {
    partner_id: "ib_2044",
    landing_page: "/en/open-account",
    utm: { source: "telegram" },
  });
  await browser.goTo(link.url);

  const landed = new URL(await browser.url());
  assert.equal(landed.origin + landed.pathname, `${site_url}/en/open-account`);
  for (const name of ["clickId", "sessionId", "click-id", "partner-id", "program-id"]) {
    assert.ok(landed.searchParams.get(name), `${name} is missing in ${landed}`);
  }
  assert.equal(landed.searchParams.get("utm_source"), "telegram");

  const started = await browser.settle("return window.started");
  assert.equal(started.ok, true, JSON.stringify(started));
  const cookies = Object.fromEntries((await browser.cookies()).map((cookie) => [cookie.name, cookie.value]));
  assert.equal(cookies["click-id"], landed.searchParams.get("clickId"));
  assert.equal(cookies["partner-id"], "ib_2044");

  const registered = await browser.settle(
    "return FynxtReferral.trackEvent('REGISTRATION', { email: arguments[0], name: 'Cleo Ient' })",
    "Cleo@Example.org",
  );
  assert.equal(registered.ok, true, JSON.stringify(registered));

  const [event, ...others] = await eventsOf("REGISTRATION");
  assert.equal(others.length, 0);
  assert.equal(event.id, registered.event.id);
  assert.equal(event.partnerId, "ib_2044");
  assert.equal(event.linkId, link.id);
  assert.equal(event.attribution, "click");
  assert.equal(event.verified, true);
  assert.equal((await eventsOf("REFERRAL_INITIATED")).length, 1);
});

test("on a later page the stored click still speaks for the visitor", async () => {
  await browser.goTo(`${site_url}/en/demo`);
  assert.equal((await browser.settle("return window.started")).ok, true);
  const tracked = await browser.settle(
    "return fynxt.track('DEMO_ACCOUNT_CREATION', { email: arguments[0] })",
    "demo@example.org",
  );
  assert.equal(tracked.ok, true, JSON.stringify(tracked));
  const [event] = await eventsOf("DEMO_ACCOUNT_CREATION");
  assert.equal(event.partnerId, "ib_2044");
  assert.equal(event.attribution, "click");
});

test("a deposit that a browser reports counts for nothing until a server confirms it", async () => {
  const tracked = await browser.settle(
    "return FynxtReferral.trackEvent('FIRST_DEPOSIT', { email: arguments[0], amount: 250, currency: arguments[1] })",
    "cleo@example.org",
    program_currency,
  );
  assert.equal(tracked.ok, true, JSON.stringify(tracked));
  assert.equal(tracked.event.verified, false);
  assert.equal(tracked.event.isConversion, false);
});

test("an unknown event type is refused with a reason, not thrown", async () => {
  const refused = await browser.settle("return FynxtReferral.trackEvent('NO_SUCH_TYPE', {})");
  assert.equal(refused.ok, false);
  assert.equal(refused.status, 400);
  assert.equal(refused.code, "unknown_event_type");
});

test("a page of another origin cannot use the key", async () => {
  // The same site under its other name is another origin.
  await browser.goTo(`${site_url.replace("localhost", "127.0.0.1")}/`);
  const refused = await browser.settle("return FynxtReferral.trackEvent('REGISTRATION', { email: 'x@example.org' })");
  assert.equal(refused.ok, false);
  assert.equal((await eventsOf("REGISTRATION")).length, 1);
});
