// The one stream of a browser. It runs in a SharedWorker, or in the tab that holds a lock, and tells all tabs.
// It reads with fetch instead of EventSource: that shows the status (a 401 ends it) and the comments (the line lives).

const QUIET = 20_000;
const DEAD = 40_000;
const BATCH = 200;
const HIDDEN = 60_000;
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;

export class Hub {
  /** @param {string} address of the stream @param {(message: HubMessage) => void} tell */
  constructor(address, tell) {
    this.address = address;
    /** Of several hubs one reads and tells; the others know enough to go on where it ends. */
    this.leads = true;
    this.tell = (/** @type {HubMessage} */ message) => this.leads && tell(message);
    /** @type {Freshness} */
    this.status = { state: "idle", heardAt: 0, retryAt: 0 };
    /** @type {string | null} */
    this.position = null;
    /** @type {Map<string, boolean>} */
    this.tabs = new Map();
    this.failures = 0;
    /** @type {Timer} */
    this.hiding = undefined;
    /** @type {Timer} */
    this.retry = undefined;
    /** @type {Timer} */
    this.sending = undefined;
    /** @type {{id: string, type: string, text: string}[]} */
    this.batch = [];
    /** @type {AbortController | null} */
    this.reading = null;
    this.watch = setInterval(() => this.look(), 5_000);
  }

  /** @param {TabMessage} message */
  take(message) {
    if (message.kind === "here") this.tabs.set(message.tab, message.visible);
    if (message.kind === "gone") this.tabs.delete(message.tab);
    if (message.kind === "begin" && this.position === null) this.position = message.position;
    if (message.kind === "out") this.stop("out", true);
    if (message.kind === "in" && this.status.state === "out") this.status = { ...this.status, state: "idle" };
    this.say({});
    this.choose();
  }

  /** Opens or closes, by who looks. */
  choose() {
    const seen = [...this.tabs.values()].some(Boolean);
    if (seen) clearTimeout(this.hiding);
    if (seen) this.hiding = undefined;
    else this.hiding ??= setTimeout(() => this.stop("hidden", false), HIDDEN);
    const resting = this.status.state === "idle" || this.status.state === "hidden";
    if (seen && resting && this.leads && this.position !== null) this.read();
  }

  /** From now on this hub reads, for all who say that they are there. */
  lead() {
    this.leads = true;
    this.tell({ kind: "whoIsThere" });
    this.choose();
  }

  /** @param {Partial<Freshness>} change */
  say(change) {
    this.status = { ...this.status, ...change };
    this.tell({ kind: "status", status: this.status });
  }

  /** @param {Freshness["state"]} state @param {boolean} forget the position too: what comes next may be another's */
  stop(state, forget) {
    clearTimeout(this.retry);
    this.reading?.abort();
    this.reading = null;
    if (forget) this.position = null;
    this.say({ state, retryAt: 0 });
  }

  async read() {
    const reading = new AbortController();
    this.reading = reading;
    this.say({ state: "connecting", retryAt: 0 });
    let pause = 0;
    try {
      const from = this.position ? `?lastEventId=${encodeURIComponent(this.position)}` : "";
      const response = await fetch(this.address + from, {
        headers: { accept: "text/event-stream" },
        cache: "no-store",
        signal: reading.signal,
      });
      if (response.status === 401) return this.stop("out", false);
      if (response.status === 403) return this.stop("forbidden", false);
      pause = Number(response.headers.get("retry-after")) * 1000 || 0;
      if (response.ok && response.body) await this.drain(response.body);
    } catch {
      // A broken line and a server that is away are the same: come back later.
    }
    if (this.reading === reading && this.status.state !== "out") this.later(pause);
  }

  /** @param {ReadableStream<Uint8Array>} body */
  async drain(body) {
    const reader = body.pipeThrough(/** @type {ReadableWritablePair<string, any>} */ (new TextDecoderStream())).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      this.failures = 0;
      this.heard();
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) this.block(block);
    }
  }

  heard() {
    const before = this.status;
    this.status = { state: "live", heardAt: Date.now(), retryAt: 0 };
    if (before.state !== "live" || Date.now() - before.heardAt > 1_000) this.say({});
  }

  /** @param {string} block one event of the stream */
  block(block) {
    let [id, type, text] = ["", "", ""];
    for (const line of block.split("\n")) {
      if (line.startsWith("id: ")) id = line.slice(4);
      if (line.startsWith("event: ")) type = line.slice(7);
      if (line.startsWith("data: ")) text += line.slice(6);
    }
    if (id) this.position = id;
    if (type === "reset") return this.tell({ kind: "reset" });
    if (type === "unauthorized") return this.stop("out", false);
    if (!type || !text) return;
    this.batch.push({ id, type, text });
    this.sending ??= setTimeout(() => this.send(), BATCH);
  }

  send() {
    this.sending = undefined;
    this.tell({ kind: "events", events: this.batch });
    this.batch = [];
  }

  /** Comes back after 1 s, 2 s … 30 s, each between half and whole, so that many browsers do not come at once. @param {number} pause */
  later(pause) {
    const longest = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.failures++);
    const wait = Math.max(pause, longest * (0.5 + Math.random() / 2));
    this.say({ state: "waiting", retryAt: Date.now() + wait });
    this.retry = setTimeout(() => this.read(), wait);
  }

  /** A line that is silent for longer than two comments is dead, whatever TCP thinks. */
  look() {
    const { state, heardAt } = this.status;
    if (state === "live" && Date.now() - heardAt > DEAD) this.reading?.abort();
  }
}

export { QUIET };
