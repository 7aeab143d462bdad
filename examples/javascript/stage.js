// What every example needs around its loop: where the app is, visitors at a steady pace, and the learning curve.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { visitorsOf } from "./world.js";

const LONG = { count: 3000, seconds: 75 };
const SHORT = { count: 300, seconds: 30 };
const COLUMNS = 40;
const ADVICE =
  "The model would learn simulated events together with them, and the log keeps both, so nothing was sent." +
  " Use an empty loop (python -m cli loops create NAME), or the loop `demo` of `make run`." +
  " To send simulated events all the same: add --anyway";
const REPOSITORY = fileURLToPath(new URL("../..", import.meta.url));

// Call `perform` with the loop of ENDPOINT and KEY, or with an app that is started for it, with short waits.
export async function onStage(perform, { short = SHORT.count } = {}) {
  const { values } = parseArgs({
    options: { short: { type: "boolean" }, seed: { type: "string", default: "0" }, anyway: { type: "boolean" } },
  });
  const visits = values.short ? { count: short, seconds: (SHORT.seconds * short) / SHORT.count } : LONG;
  const { endpoint, key, stop } = process.env.ENDPOINT ? await givenApp(values.anyway) : await ownApp();
  try {
    await perform(new Stage(endpoint.replace(/\/$/, ""), key, visits, Number(values.seed)));
  } finally {
    stop();
  }
}

class Stage {
  constructor(endpoint, key, { count, seconds }, seed) {
    Object.assign(this, { endpoint, key, count, seconds, seed });
  }

  // Let visitors come at a steady pace, or as fast as they are served.
  async *visitors(world) {
    const began = performance.now();
    let number = 0;
    for (const visitor of visitorsOf(world, this.count, this.seed)) {
      await sleep(Math.max(began + (number++ * 1000 * this.seconds) / this.count - performance.now(), 0));
      yield visitor;
    }
  }
}

// The rewards so far, beside what picking blindly and knowing everything would earn on the same visitors.
export class Curve {
  #count;
  #seen = [];

  constructor(stage) {
    this.#count = stage.count;
    console.log(`${"visitors".padStart(8)}  reward${" ".repeat(COLUMNS - 1)}random   best`);
  }

  // Count a visitor who was shown one action, of all but those `without`.
  add(reward, visitor, worth, without = []) {
    const offered = visitor.actions.filter((action) => !without.includes(action.id));
    const expected = offered.map((action) => visitor.expects(action.id, worth));
    this.count(reward, mean(expected), Math.max(...expected));
  }

  // Count one visitor; after each tenth of them a line is printed.
  count(reward, random, best) {
    this.#seen.push({ reward, random, best });
    const tenth = Math.floor(this.#count / 10);
    if (this.#seen.length % tenth) return;
    const now = this.#means(tenth);
    const bar = "█".repeat(Math.round((COLUMNS * Math.max(now.reward, 0)) / Math.max(now.best, now.reward, 0.01)));
    const figures = `${now.random.toFixed(3).padStart(6)} ${now.best.toFixed(3).padStart(6)}`;
    console.log(`${String(this.#seen.length).padStart(8)}  ${now.reward.toFixed(3).padStart(6)} ${bar.padEnd(COLUMNS)}${figures}`);
  }

  // Say what the last third earned, when most had been learned.
  tell() {
    const { reward, random, best } = this.#means(Math.floor(this.#count / 3));
    const [earned, blind, possible] = [reward, random, best].map((value) => value.toFixed(3));
    console.log(`Last third: reward ${earned}, random ${blind}, best possible ${possible}.`);
  }

  #means(last) {
    const latest = this.#seen.slice(-last);
    return Object.fromEntries(["reward", "random", "best"].map((name) => [name, mean(latest.map((seen) => seen[name]))]));
  }
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

// Simulated visitors must not be mixed with real ones: without --anyway only the loop `demo` and an empty loop are called.
async function givenApp(anyway) {
  const app = { endpoint: process.env.ENDPOINT, key: process.env.KEY ?? "", stop() {} };
  const problem = anyway ? undefined : await problemOf(app);
  if (problem) {
    console.error(problem);
    process.exit(2);
  }
  return app;
}

async function problemOf({ endpoint, key }) {
  let loop;
  try {
    const answer = await fetch(`${endpoint.replace(/\/$/, "")}/status`, { headers: { "Ocp-Apim-Subscription-Key": key } });
    if ([401, 403].includes(answer.status)) return `${endpoint} refused the key (${answer.status}).`;
    if (answer.status >= 500) return `${endpoint} is not ready: its /status says ${answer.status}.`;
    loop = (await answer.json())?.loop;
  } catch (error) {
    if (!(error instanceof SyntaxError)) return `Nothing answers at ${endpoint}: ${error.cause?.code ?? error.message}`;
  }
  if (loop?.name === "demo") return undefined;
  const told = [loop?.counters?.ranked, loop?.counters?.learned].filter(Number.isInteger);
  const isLocal = ["127.0.0.1", "localhost", "[::1]"].includes(new URL(endpoint).hostname);
  if (!told.length && isLocal) return undefined;
  if (!told.length) return `${endpoint} does not say whether its loop has events already. ${ADVICE}`;
  const events = Math.max(...told);
  return events ? `The loop ${loop.name ?? "there"} has ${events.toLocaleString("en")} events already. ${ADVICE}` : undefined;
}

// The Python side starts it, prints endpoint and key as a line of JSON, and stops it when its input ends.
async function ownApp() {
  console.log("Starting an app for this example ...");
  const installed = `${REPOSITORY}.venv/bin/python`;
  const python = existsSync(installed) ? installed : "python3";
  const app = spawn(python, ["-m", "examples.own_app"], { cwd: REPOSITORY, stdio: ["pipe", "pipe", "inherit"] });
  for await (const line of createInterface({ input: app.stdout })) {
    return { ...JSON.parse(line), stop: () => app.stdin.end() };
  }
  throw new Error("The app did not start; `make setup` installs what it needs.");
}
