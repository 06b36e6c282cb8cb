// The SharedWorker that owns the stream of all tabs. It knows nothing but ports and the hub.

import { Hub } from "./lib/hub.js";

/** @type {Set<MessagePort>} */
const ports = new Set();
const address = new URL("../../api/v1/events/stream", import.meta.url).pathname;
const hub = new Hub(address, (message) => {
  for (const port of ports) port.postMessage(message);
});

addEventListener("connect", (event) => {
  const [port] = /** @type {MessageEvent} */ (event).ports;
  if (!port) return;
  ports.add(port);
  port.onmessage = ({ data }) => {
    if (data.kind === "gone") ports.delete(port);
    hub.take(data);
  };
});
