/*!
 * Headwater browser SDK: keeps the referral that brought a visitor, and reports what the visitor does.
 *
 *   <script src="https://go.broker.example/fynxt-referral-v1.js"></script>
 *   <script>
 *     FynxtReferral.init({ apiKey: "pk_…" });
 *     FynxtReferral.trackEvent("REGISTRATION", { email: "client@example.org" });
 *   </script>
 *
 * One plain script for the page of a broker: no build, no dependency, no syntax younger than ES5 (it needs `Promise`).
 * It leaves every decision to the server: it only stores what the redirect put into the query, and adds it to events.
 *
 * What always holds:
 *  - it never throws and never rejects, whatever it is given and whatever the page has done to the browser's objects;
 *  - a repeated sending carries the same eventId, so an event that did arrive is not counted twice;
 *  - it reads and writes no storage but its own four names and the session cookie of the redirect.
 */
(function (window) {
  "use strict";

  var TRACK_PATH = "/api/referral/events/track";
  var SESSION_COOKIE = "FYNXT_SESSION_ID"; // set by /click, on the registrable domain of the site
  var CLICK = "click-id";
  var PARTNER = "partner-id";
  var PROGRAM = "program-id";
  var SESSION = "session-id"; // from the query, where the cookie of the redirect lives on another domain
  var EXPIRY_DAYS_DEFAULT = 30;
  var VALUE_CHARS_MAX = 2048; // half of what browsers keep in a cookie; an encrypted partner token is about 200
  var RETRY_WAITS_MS = [500, 2000, 6000];
  var RETRY_AFTER_MS_MAX = 30000;
  var ATTEMPT_MS_MAX = 15000;
  var KEEPALIVE_CHARS_MAX = 16000; // browsers refuse keepalive bodies over 64 KiB; a character is at most 4 bytes

  var script_origin = originOfThisScript();
  var config = null; // set by init
  var memory = {}; // the last resort, where cookies and localStorage are both blocked

  // ---- where values are kept: cookie, else localStorage, else memory of this page ----

  function readCookie(name) {
    try {
      var parts = String(window.document.cookie || "").split(";");
      for (var i = 0; i < parts.length; i++) {
        var part = parts[i].replace(/^\s+/, "");
        if (part.indexOf(name + "=") === 0) {
          return decoded(part.slice(name.length + 1));
        }
      }
    } catch (_blocked) {
      // a sandboxed frame throws on document.cookie
    }
    return "";
  }

  function writeCookie(name, value, days) {
    try {
      var secure = window.location.protocol === "https:" ? "; Secure" : "";
      var age_seconds = Math.round(days * 86400);
      window.document.cookie =
        name + "=" + encodeURIComponent(value) + "; Path=/; Max-Age=" + age_seconds + "; SameSite=Lax" + secure;
    } catch (_blocked) {
      return false;
    }
    return readCookie(name) === value; // a browser that blocks cookies says nothing
  }

  function readLocal(name) {
    try {
      var text = window.localStorage.getItem("fynxt:" + name);
      if (!text) return "";
      var kept = JSON.parse(text);
      if (kept && typeof kept.value === "string" && kept.expires_ms > new Date().getTime()) return kept.value;
      window.localStorage.removeItem("fynxt:" + name);
    } catch (_blocked) {
      // private windows and blocked storage throw
    }
    return "";
  }

  function writeLocal(name, value, days) {
    try {
      var kept = { value: value, expires_ms: new Date().getTime() + days * 86400000 };
      window.localStorage.setItem("fynxt:" + name, JSON.stringify(kept));
    } catch (_blocked) {
      return false;
    }
    return readLocal(name) === value;
  }

  function forgetLocal(name) {
    try {
      window.localStorage.removeItem("fynxt:" + name);
    } catch (_blocked) {
      // nothing is kept there either
    }
  }

  function keep(name, value, days) {
    delete memory[name];
    if (writeCookie(name, value, days)) {
      forgetLocal(name);
    } else if (!writeLocal(name, value, days)) {
      memory[name] = value;
    }
  }

  function forget(name) {
    delete memory[name];
    writeCookie(name, "", 0);
    forgetLocal(name);
  }

  function kept(name) {
    return memory[name] || readCookie(name) || readLocal(name) || "";
  }

  // ---- what the redirect brought ----

  function decoded(text) {
    try {
      return decodeURIComponent(text.replace(/\+/g, "%20"));
    } catch (_malformed) {
      return text;
    }
  }

  function queryValue(names) {
    var search = "";
    try {
      search = String(window.location.search || "").replace(/^\?/, "");
    } catch (_blocked) {
      return "";
    }
    var pairs = search.split("&");
    for (var n = 0; n < names.length; n++) {
      for (var i = 0; i < pairs.length; i++) {
        var at = pairs[i].indexOf("=");
        if (at > 0 && decoded(pairs[i].slice(0, at)) === names[n]) {
          var value = decoded(pairs[i].slice(at + 1));
          if (value && value.length <= VALUE_CHARS_MAX) return value;
        }
      }
    }
    return "";
  }

  /** Keeps what the query names. The redirect already carries the click that counts (first or last), so the query wins. */
  function keepReferral(days) {
    var click = queryValue(["clickId", CLICK]);
    var partner = queryValue([PARTNER]);
    var program = queryValue([PROGRAM]);
    var session = queryValue(["sessionId"]);
    if (click && click !== kept(CLICK)) {
      // another click: the partner and program of the former one must not travel with it
      forget(PARTNER);
      forget(PROGRAM);
    }
    if (click) keep(CLICK, click, days);
    if (partner) keep(PARTNER, partner, days);
    if (program) keep(PROGRAM, program, days);
    if (session) keep(SESSION, session, days);
    return program;
  }

  // ---- where events go ----

  function originOf(url) {
    var match = /^(https?:)?\/\/[^\/?#]+/i.exec(url || "");
    return match ? match[0] : "";
  }

  function originOfThisScript() {
    try {
      var script = window.document.currentScript;
      if (script && script.src) return originOf(script.src);
      var scripts = window.document.getElementsByTagName("script");
      for (var i = scripts.length - 1; i >= 0; i--) {
        if (/\/fynxt(-referral-v1)?\.js([?#]|$)/.test(scripts[i].src || "")) return originOf(scripts[i].src);
      }
    } catch (_no_document) {
      // events then go to the page's own origin
    }
    return "";
  }

  function endpointFrom(given) {
    if (typeof given !== "string" || given === "") return script_origin + TRACK_PATH;
    var origin = originOf(given);
    var is_bare_origin = origin !== "" && /^\/?$/.test(given.slice(origin.length));
    return is_bare_origin ? origin + TRACK_PATH : given;
  }

  // ---- sending ----

  function newEventId() {
    var hex = "";
    try {
      var bytes = window.crypto.getRandomValues(new window.Uint8Array(16));
      for (var i = 0; i < 16; i++) hex += (bytes[i] + 256).toString(16).slice(1);
    } catch (_no_crypto) {
      while (hex.length < 32) hex += Math.floor(Math.random() * 16).toString(16);
    }
    return "js_" + hex;
  }

  /** Calls `done(status, body_text, retry_after)` once; status 0 says that nothing was answered. */
  function post(url, key, body, done) {
    var is_done = false;
    var timer = null;
    function finish(status, text, retry_after) {
      if (is_done) return;
      is_done = true;
      if (timer !== null) window.clearTimeout(timer);
      done(status, text, retry_after);
    }
    function silence() {
      finish(0, "", "");
    }
    try {
      timer = window.setTimeout(silence, ATTEMPT_MS_MAX);
      if (typeof window.fetch === "function") {
        window
          .fetch(url, {
            method: "POST",
            headers: { "Content-Type": "application/json", "X-API-Key": key },
            body: body,
            credentials: "omit", // the session travels in the body; a cookie would need another kind of CORS
            keepalive: body.length <= KEEPALIVE_CHARS_MAX // the event survives a page that is left
          })
          .then(function (response) {
            var retry_after = "";
            try {
              retry_after = response.headers.get("Retry-After") || "";
            } catch (_hidden) {
              // the server need not expose it
            }
            return response.text().then(function (text) {
              finish(response.status, text, retry_after);
            });
          })
          .then(null, silence);
        return;
      }
      var request = new window.XMLHttpRequest();
      request.open("POST", url, true);
      request.setRequestHeader("Content-Type", "application/json");
      request.setRequestHeader("X-API-Key", key);
      request.onload = function () {
        finish(request.status, request.responseText, "");
      };
      request.onerror = silence;
      request.onabort = silence;
      request.send(body);
    } catch (_no_transport) {
      silence();
    }
  }

  function isWorthAnotherTry(status) {
    return status === 0 || status === 429 || status >= 500;
  }

  function waitBefore(attempt, retry_after) {
    var jitter = 0.5 + Math.random() / 2;
    var stated_ms = /^\d{1,5}$/.test(retry_after) ? Number(retry_after) * 1000 : 0;
    return Math.max(RETRY_WAITS_MS[attempt] * jitter, Math.min(stated_ms, RETRY_AFTER_MS_MAX));
  }

  function outcome(status, text) {
    var body = null;
    try {
      body = JSON.parse(text);
    } catch (_not_json) {
      // a proxy in between answers HTML
    }
    if (status >= 200 && status < 300) return { ok: true, status: status, event: body };
    var stated = body && body.error && typeof body.error.message === "string" ? body.error.message : "";
    return {
      ok: false,
      status: status,
      error: stated || (status === 0 ? "The server could not be reached." : "The server answered " + status + "."),
      code: body && body.error && typeof body.error.code === "string" ? body.error.code : null
    };
  }

  function send(body, resolve) {
    function attempt(number) {
      post(config.endpoint, config.key, body, function (status, text, retry_after) {
        try {
          if (isWorthAnotherTry(status) && number < RETRY_WAITS_MS.length) {
            window.setTimeout(function () {
              attempt(number + 1);
            }, waitBefore(number, retry_after));
            return;
          }
          resolve(outcome(status, text));
        } catch (error) {
          resolve(failure(error));
        }
      });
    }
    attempt(0);
  }

  function failure(error) {
    var text = "The event could not be sent.";
    try {
      text = String((error && error.message) || error || text);
    } catch (_hostile) {
      // an object whose conversion to text throws
    }
    return { ok: false, status: 0, error: text, code: null };
  }

  function bodyOf(type, data) {
    var copy = {};
    var event_id = "";
    if (data !== null && typeof data === "object") {
      for (var name in data) {
        if (!Object.prototype.hasOwnProperty.call(data, name)) continue;
        if (name === "eventId") event_id = data.eventId;
        else copy[name] = data[name];
      }
    }
    var body = { event: type, eventId: typeof event_id === "string" && event_id !== "" ? event_id : newEventId() };
    var click = kept(CLICK);
    var program = kept(PROGRAM);
    var partner = kept(PARTNER);
    var session = readCookie(SESSION_COOKIE) || kept(SESSION);
    if (click) body.clickId = click;
    if (program) body.programId = program;
    if (partner) body.partnerId = partner;
    if (session) body.sessionId = session;
    body.data = copy;
    return JSON.stringify(body); // throws on cycles; the caller turns that into a failure
  }

  // ---- what the page calls ----

  /**
   * Once per page, before any event. Keeps the referral of the query, and reports the visit where it names a program.
   *
   * options.apiKey            publishable key, pk_…
   * options.cookieExpiryDays  how long the referral is kept, 30
   * options.apiEndpoint       where events go; by default the track endpoint of the host that served this script
   */
  function init(options) {
    return guarded(function (resolve) {
      if (config) return resolve({ ok: true, status: 0, event: null });
      var given = options !== null && typeof options === "object" ? options : {};
      var key = given.apiKey;
      if (typeof key !== "string" || key === "") {
        return resolve(failure("FynxtReferral.init needs an apiKey."));
      }
      var days = given.cookieExpiryDays;
      if (typeof days !== "number" || !(days > 0) || days > 3650) days = EXPIRY_DAYS_DEFAULT;
      config = { key: key, endpoint: endpointFrom(given.apiEndpoint) };
      var program = keepReferral(days);
      if (!program) return resolve({ ok: true, status: 0, event: null });
      send(bodyOf("REFERRAL_INITIATED", null), resolve);
    });
  }

  /**
   * Reports an event. `data`: email, name, amount, currency, paymentMethod; `eventId` where the page has an id of its own.
   *
   * The promise always resolves: {ok: true, status, event} or {ok: false, status, error, code}.
   */
  function trackEvent(type, data) {
    return guarded(function (resolve) {
      if (!config) return resolve(failure("Call FynxtReferral.init first."));
      if (typeof type !== "string" || type === "") {
        return resolve(failure("FynxtReferral.trackEvent needs an event type."));
      }
      send(bodyOf(type, data), resolve);
    });
  }

  function guarded(work) {
    return new window.Promise(function (resolve) {
      try {
        work(resolve);
      } catch (error) {
        resolve(failure(error));
      }
    });
  }

  window.FynxtReferral = { init: init, trackEvent: trackEvent };
  window.fynxt = { track: trackEvent };
})(window);
