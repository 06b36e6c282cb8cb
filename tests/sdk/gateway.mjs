// Runs commands beside a gateway with a simulated Enterprise Manager.
//
//   node tests/sdk/gateway.mjs BINARY COMMAND
//
// Starts `BINARY demo --fast --keep`, waits until it tells its address and a token, and runs COMMAND in a shell with
// EMGATE_SERVER, EMGATE_TOKEN and EMGATE_SIMULATOR. Ends as the command ends.

import { spawn, spawnSync } from "node:child_process";

const [binary, command] = process.argv.slice(2);
const LIMIT = 120_000;

const demo = spawn(binary, ["demo", "--fast", "--keep"], { stdio: ["ignore", "pipe", "inherit"] });
let said = "";
const invited = new Promise((found, failed) => {
  const timer = setTimeout(() => failed(new Error(`the demo does not say where it is:\n${said}`)), LIMIT);
  demo.on("error", failed);
  demo.on("exit", (code) => failed(new Error(`the demo ended with ${code}:\n${said}`)));
  demo.stdout.on("data", (chunk) => {
    said += chunk;
    const url = /documentation\s+(http:\S+)\/docs/.exec(said);
    const simulator = /simulator\s+(http:\S+)\/_sim/.exec(said);
    const token = /TOKEN=(\S+)/.exec(said);
    if (url && simulator && token && said.includes("Webhooks that arrive")) {
      clearTimeout(timer);
      found({ EMGATE_SERVER: url[1], EMGATE_TOKEN: token[1], EMGATE_SIMULATOR: simulator[1] });
    }
  });
});

try {
  const env = { ...process.env, ...(await invited) };
  const { status } = spawnSync("bash", ["-euo", "pipefail", "-c", command], { env, stdio: "inherit" });
  process.exitCode = status ?? 1;
} catch (error) {
  console.error(`sdk: ${error.message}`);
  process.exitCode = 1;
} finally {
  demo.removeAllListeners("exit");
  demo.stdout.destroy();
  demo.kill("SIGTERM");
}
