// A real identity provider (oauth2-mock-server) before a real gateway, over HTTP: discovery, tokens, keys that are rotated and
// withdrawn, and a provider that stops, is slow, or is hostile while the gateway runs.
//
//   node tests/oidc/provider.mjs BINARY
//
// Each scene has a gateway and a provider of its own. Ends with 1 and a sentence when anything is not as it should be.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const root = resolve(import.meta.dirname ?? new URL(".", import.meta.url).pathname, "../..");
const { OAuth2Server } = await import(
  pathToFileURL(join(root, ".tools/oidc/node_modules/oauth2-mock-server/dist/index.mjs")).href
);
const binary = resolve(process.argv[2] ?? join(root, "target/debug/emgate"));
const LIMIT = 60_000;
const SECRET = "a secret of thirty-two bytes or more";

/** The provider's own server behind one that can misbehave; `behave` answers a request and returns true, or does nothing. */
class Provider {
  static async start() {
    const provider = new Provider();
    provider.asked = [];
    provider.behave = () => false;
    await provider.renew();
    await provider.listen(0);
    return provider;
  }

  /** New keys; the old ones are gone. */
  async renew(algorithm = "RS256", kid = undefined) {
    this.server = new OAuth2Server();
    const key = await this.server.issuer.keys.generate(algorithm, { kid });
    this.kid = key.kid;
    if (this.url) this.server.issuer.url = this.url;
  }

  async listen(port) {
    this.front = createServer((request, answer) => {
      this.asked.push(request.url);
      if (!this.behave(request, answer)) this.server.service.requestHandler(request, answer);
    });
    this.front.listen(port, "127.0.0.1");
    await once(this.front, "listening");
    this.url = `http://127.0.0.1:${this.front.address().port}`;
    this.server.issuer.url = this.url;
  }

  async stop() {
    const closed = once(this.front, "close");
    this.front.close();
    this.front.closeAllConnections();
    await closed;
  }

  /** A token with a key of the provider's, as a client of it would be given. */
  token(kid = this.kid, edit = () => {}) {
    return this.server.issuer.buildToken({
      kid,
      scopesOrTransform: (header, claims) => {
        Object.assign(claims, { aud: "emgate", sub: "ann", groups: ["dr-operators"] });
        edit(claims);
      },
    });
  }

  count(path) {
    return this.asked.filter((asked) => asked === path).length;
  }
}

class Gateway {
  static async start(provider) {
    const gateway = new Gateway();
    gateway.folder = mkdtempSync(join(tmpdir(), "emgate-oidc-"));
    gateway.log = [];
    gateway.child = spawn(binary, ["serve"], {
      cwd: gateway.folder,
      env: {
        EMGATE_LOG: "info",
        EMGATE_SERVER__LISTEN: "127.0.0.1:0",
        EMGATE_UPSTREAM__URL: "http://127.0.0.1:9",
        EMGATE_UPSTREAM__ACCOUNTS__0__NAME: "operators",
        EMGATE_UPSTREAM__ACCOUNTS__0__USERNAME: "nobody",
        EMGATE_UPSTREAM__ACCOUNTS__0__PASSWORD: "nothing",
        EMGATE_AUTH__KEYS__0__KIND: "hs256",
        EMGATE_AUTH__KEYS__0__SECRET: SECRET,
        EMGATE_AUTH__ISSUERS__0__ISSUER: provider.url,
        EMGATE_AUTH__ISSUERS__0__AUDIENCE__0: "emgate",
        EMGATE_CONSOLE__OIDC__ISSUER: provider.url,
        EMGATE_CONSOLE__OIDC__CLIENT_ID: "emgate",
      },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const ready = new Promise((found, failed) => {
      const say = (why) => failed(new Error(`${why}; its log:\n${gateway.log.join("\n")}`));
      const timer = setTimeout(() => say("the gateway does not accept requests"), LIMIT);
      gateway.child.on("error", (error) => say(`cannot start ${binary}: ${error.message}`));
      gateway.child.on("exit", (code) => say(`the gateway ended with ${code}`));
      createInterface({ input: gateway.child.stderr }).on("line", (line) => {
        gateway.log.push(line);
        const entry = line.startsWith("{") ? JSON.parse(line) : {};
        if (entry.message === "listening") gateway.url = `http://${entry.listen}`;
        if (entry.message === "the store is open; requests are accepted") {
          clearTimeout(timer);
          found();
        }
      });
    });
    await ready;
    return gateway;
  }

  async me(token) {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`${this.url}/api/v1/me`, { headers, signal: AbortSignal.timeout(LIMIT) });
    return { status: answer.status, ...(await answer.json()) };
  }

  async accepts(token, why) {
    const me = await this.me(token);
    assert.equal(me.status, 200, `${why}: ${me.detail}`);
    return me;
  }

  async refuses(token, detail, why) {
    const me = await this.me(token);
    assert.deepEqual([me.status, me.detail], [401, detail], why);
  }

  /** The check `issuers` of /readyz. */
  async issuers() {
    const answer = await fetch(`${this.url}/readyz`);
    return (await answer.json()).checks.find((check) => check.name === "issuers");
  }

  said(message) {
    return this.log.filter((line) => line.includes(message));
  }

  async stop() {
    this.child.removeAllListeners("exit");
    const ended = once(this.child, "exit");
    this.child.kill("SIGTERM");
    const [code] = await ended;
    rmSync(this.folder, { recursive: true, force: true });
    assert.equal(code, 0, `the gateway ends in order; its log:\n${this.log.join("\n")}`);
  }
}

/** A token of the configured key, which needs no provider. */
function ownToken() {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256" })}.${part({ sub: "own", exp: Math.floor(Date.now() / 1000) + 600 })}`;
  return `${signed}.${createHmac("sha256", SECRET).update(signed).digest("base64url")}`;
}

const NO_KEYS = "the keys of the token's issuer are not known at the moment; try again later";
const NO_SUCH_KEY = "the token names a key that its issuer does not have";
const UNSIGNED = "no trusted key signed the token";
const CANNOT = "the keys of an issuer cannot be fetched";

const scenes = {
  async "tokens of the provider's token endpoint are accepted"(provider, gateway) {
    const body = new URLSearchParams({ grant_type: "client_credentials", scope: "plans:read tenants:all", aud: "emgate" });
    const answer = await fetch(`${provider.url}/token`, { method: "POST", body });
    const { access_token: token } = await answer.json();
    const me = await gateway.accepts(token, "a token from the endpoint");
    assert.deepEqual([me.issuer, me.scopes, me.tenants], [provider.url, ["plans:read", "tenants:all"], null]);
    assert.equal(provider.count("/.well-known/openid-configuration"), 1);
    assert.equal(provider.count("/jwks"), 1, "keys are fetched once");
  },

  async "people log in to the console at the provider"(provider, gateway) {
    const visit = (url, cookie = "") => fetch(url, { redirect: "manual", headers: { cookie } });
    const kept = (answer, name) => answer.headers.getSetCookie().find((set) => set.startsWith(`${name}=`))?.split(";")[0];
    const there = await visit(`${gateway.url}/console/login`);
    const bound = kept(there, "__Host-emgate-login");
    const asked = await visit(there.headers.get("location"));
    const back = asked.headers.get("location");
    assert.ok(back.startsWith(`${gateway.url}/console/callback?`), back);
    const stranger = await visit(back.replace(/state=[^&]*/, `state=${"A".repeat(43)}`), bound);
    assert.equal(stranger.headers.get("location"), "/console/?login=failed&reason=state", "another state");
    const again = await visit(`${gateway.url}/console/login`);
    const second = await visit((await visit(again.headers.get("location"))).headers.get("location"), kept(again, "__Host-emgate-login"));
    assert.equal(second.headers.get("location"), "/console/", gateway.log.join("\n"));
    const session = kept(second, "__Host-emgate");
    const who = await (await visit(`${gateway.url}/console/session`, session)).json();
    assert.equal(who.issuer, provider.url);
    assert.equal((await visit(back, bound)).headers.get("location"), "/console/", "a login of its own");
    assert.equal((await visit(back, bound)).headers.get("location"), "/console/?login=failed&reason=state", "counts once");
  },

  async "every algorithm of the provider's keys is accepted"(provider, gateway) {
    const kids = {};
    for (const algorithm of ["RS384", "PS256", "ES256", "ES384", "EdDSA"]) {
      const options = algorithm === "EdDSA" ? { crv: "Ed25519" } : {};
      kids[algorithm] = (await provider.server.issuer.keys.generate(algorithm, options)).kid;
    }
    for (const [algorithm, kid] of Object.entries(kids)) {
      await gateway.accepts(await provider.token(kid), algorithm);
    }
    assert.equal(provider.count("/jwks"), 2, "the first unknown key has the set fetched, with all others");
  },

  async "a rotated key is accepted at once and the withdrawn one is not"(provider, gateway) {
    const old = await provider.token();
    await gateway.accepts(old, "before the rotation");
    await provider.renew("ES256");
    await gateway.accepts(await provider.token(), "the new key");
    await gateway.refuses(old, NO_SUCH_KEY, "remembered, and its key is gone");
    await provider.renew("ES256");
    const asked = provider.count("/jwks");
    const answers = await Promise.all(Array.from({ length: 20 }, async () => gateway.me(await provider.token())));
    assert.ok(answers.every((me) => me.status === 401), "within 30 seconds of the last fetch for an unknown key");
    assert.equal(provider.count("/jwks"), asked, "and nobody asks the provider");
  },

  async "another key under a known name is refused"(provider, gateway) {
    await gateway.accepts(await provider.token(), "the provider's key");
    const { kid } = provider;
    await provider.renew("RS256", kid);
    await gateway.refuses(await provider.token(), UNSIGNED, "the same name");
  },

  async "a token for others is refused"(provider, gateway) {
    await gateway.refuses(await provider.token(undefined, (claims) => (claims.aud = "other")), "the token is meant for another audience");
    await gateway.refuses(await provider.token(undefined, (claims) => (claims.exp = 1)), "the token has expired");
    await gateway.refuses(await provider.token(undefined, (claims) => (claims.iss = `${claims.iss}/`)), UNSIGNED);
  },

  async "a provider that stops changes nothing for its keys"(provider, gateway) {
    const before = await provider.token();
    await gateway.accepts(before, "before");
    await provider.stop();
    await gateway.accepts(before, "remembered");
    await gateway.accepts(await provider.token(), "verified by the set that is kept");
    const { kid } = await provider.server.issuer.keys.generate("ES256");
    await gateway.refuses(await provider.token(kid), NO_SUCH_KEY, "a new key, while nobody answers");
    assert.equal((await gateway.issuers()).status, "ok");
    assert.equal(gateway.said(CANNOT).length, 1, "said once");
    await gateway.accepts(ownToken(), "a configured key");
  },

  async "a gateway that starts without its provider takes tokens once it is there"(provider, gateway, restart) {
    await provider.stop();
    gateway = await restart();
    await gateway.refuses(await provider.token(), NO_KEYS, "no provider");
    assert.equal((await gateway.issuers()).status, "failed");
    await gateway.accepts(ownToken(), "a configured key");
    await provider.listen(Number(new URL(provider.url).port));
    // The refused token used up this half minute's fetch; the provider is asked again by itself within another.
    const until = Date.now() + LIMIT;
    while ((await gateway.me(await provider.token())).status !== 200) {
      assert.ok(Date.now() < until, "the keys are never fetched");
      await new Promise((resume) => setTimeout(resume, 250));
    }
    assert.equal((await gateway.issuers()).status, "ok");
  },

  async "a slow provider holds up nobody but its own tokens"(provider, gateway, restart) {
    let release;
    const held = new Promise((resume) => (release = resume));
    provider.behave = (request, answer) => {
      if (request.url !== "/jwks") return false;
      held.then(() => provider.server.service.requestHandler(request, answer));
      return true;
    };
    gateway = await restart();
    const waiting = gateway.me(await provider.token());
    const first = await Promise.race([waiting.then(() => "theirs"), gateway.accepts(ownToken(), "own").then(() => "own")]);
    assert.equal(first, "own", "a token of a configured key does not wait for the provider");
    release();
    const me = await waiting;
    assert.equal(me.status, 200, `a request waits for the first fetch: ${me.detail}`);
  },

  async "a provider that never answers is given up"(provider, gateway, restart) {
    provider.behave = (request) => request.url === "/jwks";
    gateway = await restart();
    await gateway.refuses(await provider.token(), NO_KEYS, "nothing comes");
    await gateway.accepts(ownToken(), "a configured key");
  },

  async "a provider that drips is given up"(provider, gateway, restart) {
    provider.behave = (request, answer) => {
      if (request.url !== "/jwks") return false;
      answer.writeHead(200, { "content-type": "application/json" });
      const timer = setInterval(() => answer.write(" "), 100);
      answer.on("close", () => clearInterval(timer));
      return true;
    };
    gateway = await restart();
    await gateway.refuses(await provider.token(), NO_KEYS, "it never ends");
  },

  async "a redirect within the provider is followed"(provider, gateway, restart) {
    provider.behave = (request, answer) => {
      if (request.url !== "/jwks") {
        if (request.url === "/moved") request.url = "/jwks";
        return false;
      }
      answer.writeHead(302, { location: "/moved" }).end();
      return true;
    };
    gateway = await restart();
    await gateway.accepts(await provider.token(), "keys by a redirect");
  },
};

/** What a hostile provider answers for its keys; none of it replaces those that are known, and none ends the gateway. */
const hostile = {
  "an answer that is too large": (request, answer) => answer.end(`{"keys":[]}${" ".repeat(2 * 1024 * 1024)}`),
  "an answer without an end": (request, answer) => {
    const more = () => {
      while (answer.write("x".repeat(65_536)));
    };
    answer.on("drain", more);
    more();
  },
  "a web page": (request, answer) => answer.end("<!doctype html><title>Sign in</title>"),
  "JSON that is cut off": (request, answer) => answer.end('{"keys":[{"kty":"RSA","n":'),
  "JSON without an end of nesting": (request, answer) => answer.end(`{"keys":${"[".repeat(100_000)}`),
  "a member that is given twice": (request, answer, keys) => answer.end(`{"keys":[],"keys":${JSON.stringify(keys)}}`),
  "no key set": (request, answer) => answer.end('{"keys":"none"}'),
  "a list": (request, answer) => answer.end("[]"),
  "bytes that are no text": (request, answer) => answer.end(Buffer.from([0xff, 0xfe, 0x00, 0x80])),
  "nothing": (request, answer) => answer.end(),
  "500": (request, answer) => answer.writeHead(500).end("broken"),
  "404": (request, answer) => answer.writeHead(404).end(),
  "204": (request, answer) => answer.writeHead(204).end(),
  "401": (request, answer) => answer.writeHead(401, { "www-authenticate": "Basic" }).end(),
  "a redirect to itself": (request, answer) => answer.writeHead(302, { location: "/jwks" }).end(),
  "a redirect to another origin": (request, answer, keys, other) => answer.writeHead(302, { location: `${other}/jwks` }).end(),
  "a redirect to a file": (request, answer) => answer.writeHead(302, { location: "file:///etc/passwd" }).end(),
  "a connection that breaks": (request) => request.socket.destroy(),
  "a length that is too long": (request, answer) => {
    answer.writeHead(200, { "content-length": "100000" });
    answer.write('{"keys":[');
    request.socket.end();
  },
};

/** What a hostile discovery document says. */
const discoveries = {
  "another issuer": (document) => ({ ...document, issuer: "https://idp.example" }),
  "its issuer with a slash": (document) => ({ ...document, issuer: `${document.issuer}/` }),
  "no keys": ({ issuer }) => ({ issuer }),
  "keys in clear elsewhere": (document, other) => ({ ...document, jwks_uri: `${other}/jwks` }),
  "keys in a file": (document) => ({ ...document, jwks_uri: "file:///etc/passwd" }),
  "keys of the metadata service": (document) => ({ ...document, jwks_uri: "http://169.254.169.254/latest" }),
  "keys with credentials": (document) => ({ ...document, jwks_uri: "https://a:b@idp.example/jwks" }),
};

async function run(name, scene) {
  const provider = await Provider.start();
  const gateways = [await Gateway.start(provider)];
  try {
    await scene(provider, gateways[0], async () => {
      gateways.push(await Gateway.start(provider));
      return gateways[1];
    });
    for (const gateway of gateways) await gateway.stop();
    console.log(`ok      ${name}`);
  } catch (error) {
    console.error(`FAILED  ${name}: ${error.message}`);
    process.exitCode = 1;
  } finally {
    for (const gateway of gateways) {
      gateway.child.removeAllListeners("exit");
      gateway.child.kill("SIGKILL");
    }
    if (provider.front.listening) await provider.stop();
  }
}

const only = process.argv[3];
for (const [name, scene] of Object.entries(scenes)) {
  if (!only || name.includes(only)) await run(name, scene);
}
for (const [name, answer] of Object.entries(hostile)) {
  const title = `keys that are replaced by ${name} stay`;
  if (only && !title.includes(only)) continue;
  await run(title, async (provider, gateway) => {
    const other = await Provider.start();
    await gateway.accepts(await provider.token(), "before");
    // The key that the attacker would have believed.
    const theirs = await other.server.issuer.keys.generate("ES256", { kid: "theirs" });
    const keys = other.server.issuer.keys.toJSON();
    provider.behave = (request, response) => {
      if (request.url !== "/jwks") return false;
      answer(request, response, keys, other.url);
      return true;
    };
    other.server.issuer.url = provider.url;
    const forged = await other.token(theirs.kid);
    await gateway.refuses(forged, NO_SUCH_KEY, "a key by a hostile answer");
    await gateway.accepts(await provider.token(), "the known key after it");
    assert.deepEqual(other.asked, [], "nobody else was asked");
    assert.equal((await gateway.issuers()).status, "ok");
    assert.equal(gateway.said(CANNOT).length, 1, "said once");
    await other.stop();
  });
}
for (const [name, change] of Object.entries(discoveries)) {
  const title = `a discovery document with ${name} gives no keys`;
  if (only && !title.includes(only)) continue;
  await run(title, async (provider, gateway, restart) => {
    const other = await Provider.start();
    other.server.issuer.url = provider.url;
    provider.behave = (request, response) => {
      if (request.url !== "/.well-known/openid-configuration") return false;
      const document = { issuer: provider.url, jwks_uri: `${provider.url}/jwks` };
      response.end(JSON.stringify(change(document, other.url)));
      return true;
    };
    gateway = await restart();
    await gateway.refuses(await provider.token(), NO_KEYS, "its own key");
    await gateway.refuses(await other.token(), NO_KEYS, "the key of another");
    assert.deepEqual(other.asked, [], "nobody else was asked");
    await other.stop();
  });
}
