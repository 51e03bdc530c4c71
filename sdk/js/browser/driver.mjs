// A real Chromium, driven through chromedriver's WebDriver HTTP API. Leaves what to do in it to the test.
//
// The browser starts with an empty profile, reaches for nothing on its own, and is gone after close().

import { spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/** What a visitor's browser says it is. */
const VISITOR =
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";

/** A port that is free now. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Asks until `question` answers something, or says what was waited for. */
export async function until(what, question, limit_ms = 30_000) {
  const end = Date.now() + limit_ms;
  let last = null;
  while (Date.now() < end) {
    try {
      const answer = await question();
      if (answer) return answer;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited ${limit_ms} ms for ${what}${last ? `: ${last.message}` : ""}`);
}

/** Starts a program of ours, and ends it by its own id. */
export function start(program, args, options = {}) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  const log = [];
  child.stdout.on("data", (text) => log.push(text));
  child.stderr.on("data", (text) => log.push(text));
  child.on("error", (error) => log.push(String(error)));
  const ended = new Promise((resolve) => child.on("close", resolve));
  return {
    output: () => Buffer.concat(log.map((text) => Buffer.from(text))).toString(),
    async stop() {
      if (child.exitCode === null && child.signalCode === null && child.pid) {
        child.kill("SIGTERM");
        const forced = setTimeout(() => child.kill("SIGKILL"), 5_000);
        await ended;
        clearTimeout(forced);
      }
    },
  };
}

function found(names) {
  for (const name of names) {
    for (const folder of (process.env.PATH ?? "").split(delimiter)) {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return join(folder, name);
      } catch {
        // the next one
      }
    }
  }
  throw new Error(`none of ${names.join(", ")} is installed`);
}

/** Opens a browser with an empty profile. */
export async function openBrowser() {
  const profile = mkdtempSync(join(tmpdir(), "headwater-browser-"));
  const port = await freePort();
  const driver = start(found(["chromedriver"]), [`--port=${port}`]);
  const base = `http://127.0.0.1:${port}`;

  async function call(method, path, body) {
    const response = await fetch(base + path, {
      method,
      headers: { "Content-Type": "application/json" },
      body: method === "POST" ? JSON.stringify(body ?? {}) : undefined,
      signal: AbortSignal.timeout(60_000),
    });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`);
    return value;
  }

  try {
    await until("chromedriver", async () => (await call("GET", "/status")).ready);
    const { sessionId } = await call("POST", "/session", {
      capabilities: {
        alwaysMatch: {
          browserName: "chrome",
          "goog:loggingPrefs": { browser: "ALL" },
          "goog:chromeOptions": {
            binary: found(["chromium", "chromium-browser", "google-chrome"]),
            args: [
              "--headless",
              "--no-sandbox",
              "--disable-gpu",
              "--disable-dev-shm-usage",
              "--disable-background-networking",
              "--disable-component-update",
              "--disable-sync",
              "--no-first-run",
              `--user-data-dir=${profile}`,
              // A headless browser calls itself one, and the redirect rightly takes it for a bot: these are visitors.
              `--user-agent=${VISITOR}`,
            ],
          },
        },
      },
    });
    const session = `/session/${sessionId}`;
    return {
      goTo: (url) => call("POST", `${session}/url`, { url }),
      url: () => call("GET", `${session}/url`),
      cookies: () => call("GET", `${session}/cookie`),
      run: (script, ...args) => call("POST", `${session}/execute/sync`, { script, args }),
      /** Runs a script whose promise is waited for. */
      settle: (script, ...args) =>
        call("POST", `${session}/execute/async`, {
          script: `const done = arguments[arguments.length - 1];
            Promise.resolve((function () { ${script} }).apply(null, arguments))
              .then(done, (error) => done({ rejected: String(error) }));`,
          args,
        }),
      console: () => call("POST", `${session}/se/log`, { type: "browser" }),
      async close() {
        await call("DELETE", session).catch(() => {});
        await driver.stop();
        rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
      },
    };
  } catch (error) {
    await driver.stop();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    throw new Error(`${error.message}\n${driver.output()}`);
  }
}
