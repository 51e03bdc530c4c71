// How events travel: where to, how often, and that nothing ever throws.

import assert from "node:assert/strict";
import test from "node:test";
import { page } from "./page.mjs";

async function tracked(options, ...event) {
  const loaded = page(options);
  loaded.sdk.init({ apiKey: "pk_1", ...options?.init });
  const result = await loaded.sdk.trackEvent(...event);
  return { ...loaded, result };
}

test("an event goes to the track endpoint of the host that served the script, with the key", async () => {
  const { requests, result } = await tracked({}, "FIRST_DEPOSIT", {
    email: "a@example.org",
    name: "A",
    amount: 250.5,
    currency: "USD",
    paymentMethod: "card",
  });
  assert.deepEqual(result, { ok: true, status: 200, event: { id: 1 } });
  const [request] = requests;
  assert.equal(request.url, "https://go.broker.example/api/referral/events/track");
  assert.equal(request.headers["X-API-Key"], "pk_1");
  assert.equal(request.headers["Content-Type"], "application/json");
  assert.equal(request.keepalive, true);
  assert.equal(request.credentials, "omit");
  assert.deepEqual(request.json.data, {
    email: "a@example.org",
    name: "A",
    amount: 250.5,
    currency: "USD",
    paymentMethod: "card",
  });
});

for (const [given, expected] of [
  ["https://api.example/v1/referral/events", "https://api.example/v1/referral/events"],
  ["https://api.example", "https://api.example/api/referral/events/track"],
  ["https://api.example/", "https://api.example/api/referral/events/track"],
  ["/own/path", "/own/path"],
  [undefined, "https://go.broker.example/api/referral/events/track"],
  [7, "https://go.broker.example/api/referral/events/track"],
]) {
  test(`apiEndpoint ${given} means ${expected}`, async () => {
    const { requests } = await tracked({ init: { apiEndpoint: given } }, "REGISTRATION");
    assert.equal(requests[0].url, expected);
  });
}

test("a script of unknown origin reports to the page's own", async () => {
  const { requests } = await tracked({ script: null }, "REGISTRATION");
  assert.equal(requests[0].url, "/api/referral/events/track");
});

test("the short alias tracks as well", async () => {
  const { window, requests } = page();
  window.FynxtReferral.init({ apiKey: "pk_1" });
  assert.equal((await window.fynxt.track("REGISTRATION")).ok, true);
  assert.equal(requests[0].json.event, "REGISTRATION");
});

for (const trouble of ["offline", 500, 503, 429]) {
  test(`${trouble} is tried again with the same eventId`, async () => {
    const { requests, result, waits_ms } = await tracked({ answers: [trouble, trouble, 200] }, "REGISTRATION");
    assert.equal(result.ok, true);
    assert.equal(requests.length, 3);
    assert.equal(new Set(requests.map((request) => request.body)).size, 1);
    assert.ok(waits_ms[0] >= 250 && waits_ms[1] > waits_ms[0]);
  });
}

test("trying again ends, with a result", async () => {
  const { requests, result } = await tracked({ answers: ["offline"] }, "REGISTRATION");
  assert.equal(requests.length, 4);
  assert.deepEqual(result, { ok: false, status: 0, error: "The server could not be reached.", code: null });
});

test("a refusal is not tried again and says why", async () => {
  const refusal = { error: { code: "forbidden", message: "This key does not serve this origin." } };
  const { requests, result } = await tracked({ answers: [[403, refusal]] }, "REGISTRATION");
  assert.equal(requests.length, 1);
  assert.deepEqual(result, { ok: false, status: 403, error: "This key does not serve this origin.", code: "forbidden" });
});

test("an answer that is not JSON is a failure like any other", async () => {
  const { result } = await tracked({ answers: [[404, "<html>"]] }, "REGISTRATION");
  assert.deepEqual(result, { ok: false, status: 404, error: "The server answered 404.", code: null });
});

test("without fetch, XMLHttpRequest carries the event, and tries again", async () => {
  const { requests, result } = await tracked({ fetch_missing: true, answers: ["offline", 200] }, "REGISTRATION");
  assert.equal(result.ok, true);
  assert.equal(requests.length, 2);
  assert.equal(requests[1].xhr, true);
  assert.equal(requests[1].headers["X-API-Key"], "pk_1");
});

test("the page's own eventId is used, and does not travel inside data", async () => {
  const { requests } = await tracked({}, "REGISTRATION", { eventId: "signup-7", email: "a@example.org" });
  assert.equal(requests[0].json.eventId, "signup-7");
  assert.deepEqual(requests[0].json.data, { email: "a@example.org" });
});

test("two events never share a generated eventId, even without crypto", async () => {
  const { sdk, requests } = page({ crypto: undefined });
  sdk.init({ apiKey: "pk_1" });
  await sdk.trackEvent("CUSTOM", { customType: "a" });
  await sdk.trackEvent("CUSTOM", { customType: "a" });
  assert.notEqual(requests[0].json.eventId, requests[1].json.eventId);
});

test("an event before init is a failure, not an error", async () => {
  const { sdk, requests } = page();
  assert.equal((await sdk.trackEvent("REGISTRATION")).ok, false);
  assert.equal(requests.length, 0);
});

test("init counts once per page", async () => {
  const { sdk, requests } = page({ search: "?program-id=1201" });
  await sdk.init({ apiKey: "pk_1" });
  await sdk.init({ apiKey: "pk_2" });
  await sdk.trackEvent("REGISTRATION");
  assert.deepEqual(
    requests.map((request) => request.headers["X-API-Key"]),
    ["pk_1", "pk_1"],
  );
});

const cyclic = {};
cyclic.self = cyclic;
const hostile = [
  undefined,
  null,
  0,
  NaN,
  "text",
  Symbol("s"),
  10n,
  () => {},
  [],
  cyclic,
  { amount: 10n },
  Object.create(null),
  { toString: 1, valueOf: 1 },
  new Proxy({}, { ownKeys: () => { throw new Error("hostile"); } }),
  { get email() { throw { get message() { throw new Error("hostile twice"); } }; } },
  { toJSON: () => { throw new Error("hostile"); } },
];

test("hostile arguments never throw and never reject", async () => {
  for (const value of hostile) {
    const before = page();
    assert.equal(typeof (await before.sdk.init(value)).ok, "boolean");
    const { sdk } = page();
    sdk.init({ apiKey: "pk_1" });
    assert.equal(typeof (await sdk.trackEvent(value, value)).ok, "boolean");
    assert.equal(typeof (await sdk.trackEvent("CUSTOM", value)).ok, "boolean");
    const third = page();
    const options = { apiKey: "pk_1", apiEndpoint: value, cookieExpiryDays: value };
    assert.equal(typeof (await third.sdk.init(options)).ok, "boolean");
  }
});

test("a page that broke its own transport gets a failure", async () => {
  const { sdk, window } = page();
  sdk.init({ apiKey: "pk_1" });
  window.fetch = () => { throw new Error("broken by the page"); };
  assert.equal((await sdk.trackEvent("REGISTRATION")).ok, false);
  window.fetch = undefined;
  window.XMLHttpRequest = undefined;
  assert.equal((await sdk.trackEvent("REGISTRATION")).ok, false);
});
