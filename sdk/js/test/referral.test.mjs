// What the SDK keeps from the query, and for how long.

import assert from "node:assert/strict";
import test from "node:test";
import { browser, page } from "./page.mjs";

const LANDING = "?clickId=c1&sessionId=s1&click-id=c1&partner-id=ib_2044&program-id=1201&lang=en";

test("a landing page stores the referral and reports the visit", async () => {
  const { sdk, visitor, requests } = page({ search: LANDING });
  assert.equal((await sdk.init({ apiKey: "pk_1" })).ok, true);
  assert.equal(visitor.cookies.get("click-id"), "c1");
  assert.equal(visitor.cookies.get("partner-id"), "ib_2044");
  assert.equal(visitor.cookies.get("program-id"), "1201");
  assert.equal(requests.length, 1);
  const { eventId, ...body } = requests[0].json;
  assert.match(eventId, /^js_[0-9a-f]{32}$/);
  assert.deepEqual(body, {
    event: "REFERRAL_INITIATED",
    clickId: "c1",
    programId: "1201",
    partnerId: "ib_2044",
    sessionId: "s1",
    data: {},
  });
});

test("a page without a program reports no visit", async () => {
  const { sdk, requests } = page({ search: "?clickId=c1" });
  await sdk.init({ apiKey: "pk_1" });
  assert.equal(requests.length, 0);
});

test("a later page sends what the landing page stored", async () => {
  const visitor = browser();
  await page({ search: LANDING, visitor }).sdk.init({ apiKey: "pk_1" });
  const { sdk, requests } = page({ visitor });
  sdk.init({ apiKey: "pk_1" });
  await sdk.trackEvent("REGISTRATION", { email: "a@example.org" });
  assert.equal(requests.length, 1);
  const { clickId, partnerId, programId, sessionId, data } = requests[0].json;
  assert.deepEqual([clickId, partnerId, programId, sessionId], ["c1", "ib_2044", "1201", "s1"]);
  assert.deepEqual(data, { email: "a@example.org" });
});

test("the session cookie of the redirect is read", async () => {
  const visitor = browser();
  visitor.cookies.set("FYNXT_SESSION_ID", "from-cookie");
  const { sdk, requests } = page({ visitor });
  sdk.init({ apiKey: "pk_1" });
  await sdk.trackEvent("REGISTRATION");
  assert.equal(requests[0].json.sessionId, "from-cookie");
});

test("the click of the query replaces a stored one, with its partner and program", async () => {
  const visitor = browser();
  await page({ search: LANDING, visitor }).sdk.init({ apiKey: "pk_1" });
  const { sdk, requests } = page({ search: "?click-id=c2", visitor });
  sdk.init({ apiKey: "pk_1" });
  await sdk.trackEvent("REGISTRATION");
  assert.equal(requests[0].json.clickId, "c2");
  assert.equal("partnerId" in requests[0].json, false);
  assert.equal("programId" in requests[0].json, false);
});

test("cookies live 30 days by default, or as long as init says", async () => {
  const { sdk, visitor } = page({ search: "?clickId=c1" });
  await sdk.init({ apiKey: "pk_1" });
  assert.deepEqual(visitor.attributes, ["Path=/", "Max-Age=2592000", "SameSite=Lax", "Secure"]);
  const short = page({ search: "?clickId=c1", protocol: "http:" });
  await short.sdk.init({ apiKey: "pk_1", cookieExpiryDays: 7 });
  assert.deepEqual(short.visitor.attributes, ["Path=/", "Max-Age=604800", "SameSite=Lax"]);
});

for (const cookies_blocked of [true, "throws"]) {
  test(`blocked cookies (${cookies_blocked}): localStorage keeps the referral`, async () => {
    const visitor = browser();
    await page({ search: LANDING, visitor, cookies_blocked }).sdk.init({ apiKey: "pk_1" });
    assert.equal(visitor.cookies.size, 0);
    const { sdk, requests } = page({ visitor, cookies_blocked });
    sdk.init({ apiKey: "pk_1" });
    await sdk.trackEvent("REGISTRATION");
    assert.equal(requests[0].json.clickId, "c1");
    assert.equal(requests[0].json.sessionId, "s1");
  });
}

test("what localStorage keeps expires too", async () => {
  const visitor = browser();
  visitor.local.set("fynxt:click-id", JSON.stringify({ value: "old", expires_ms: 1 }));
  const { sdk, requests } = page({ visitor, cookies_blocked: true });
  sdk.init({ apiKey: "pk_1" });
  await sdk.trackEvent("REGISTRATION");
  assert.equal("clickId" in requests[0].json, false);
  assert.equal(visitor.local.size, 0);
});

test("cookies and localStorage blocked: the page's memory keeps the referral", async () => {
  const { sdk, requests } = page({ search: LANDING, cookies_blocked: true, local_blocked: true });
  sdk.init({ apiKey: "pk_1" });
  await sdk.trackEvent("REGISTRATION");
  const registration = requests.find((request) => request.json.event === "REGISTRATION");
  assert.equal(registration.json.clickId, "c1");
});

test("values are percent-decoded, and one that is malformed is kept as it is", async () => {
  const { sdk, requests } = page({ search: "?partner-id=ib%2F7+x&clickId=%E0%A4%A" });
  sdk.init({ apiKey: "pk_1" });
  await sdk.trackEvent("REGISTRATION");
  assert.equal(requests[0].json.partnerId, "ib/7 x");
  assert.equal(requests[0].json.clickId, "%E0%A4%A");
});
