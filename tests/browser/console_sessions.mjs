// Who is logged in, in a real browser: by an identity provider, in several tabs, and against pages of others.
//
//   node tests/browser/console_sessions.mjs BINARY [NAME]
//
// What is refused on the way (state, nonce, codes, tokens, a cookie of another replica) is held over TCP in tests/it/console.

import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { api, check, clean, logIn, makeContext, makeWorld, plansOf, root, run, SCOPES, until } from "./console/world.mjs";

const { OAuth2Server } = await import(pathToFileURL(join(root, ".tools/oidc/node_modules/oauth2-mock-server/dist/index.mjs")).href);

/** An identity provider at `localhost`: for a browser another site than the gateway at 127.0.0.1. */
async function startProvider() {
  const provider = new OAuth2Server();
  await provider.issuer.keys.generate("RS256");
  await provider.start(0, "localhost");
  provider.issuer.url = `http://localhost:${provider.address().port}`;
  provider.service.on("beforeTokenSigning", ({ payload }) => Object.assign(payload, { aud: "emgate", sub: "ann", scope: `${SCOPES} tenants:all` }));
  return provider;
}

const status = (page, path) => page.evaluate((path) => fetch(path).then((answer) => answer.status), path);
const loggedOut = (page) => page.locator("input[name=token]").waitFor();

const tests = {
  async "an operator logs in at the identity provider, and comes back to where they wanted to be"(world) {
    const context = await makeContext(world);
    const page = await context.newPage();
    await page.goto(`${world.origin}/console/plans?q=klinik`);
    await page.getByRole("link", { name: "Log in with Example ID" }).click();
    await page.waitForURL(`${world.origin}/console/plans?q=klinik`);
    await page.getByRole("heading", { name: "Plans", level: 1 }).waitFor();
    await until("one plan", async () => (await page.locator("tbody tr").count()) === 1);
    await page.getByText("ann", { exact: true }).waitFor();
    check(context.requests.some((request) => request.url().startsWith(world.provider.issuer.url)), "the provider was not asked");
    check(!(await page.evaluate(() => document.cookie)), "a script sees a cookie");
    const secrets = (await context.cookies()).filter(({ name }) => name === "__Host-emgate");
    check(secrets.length === 1 && secrets[0].httpOnly && secrets[0].sameSite === "Strict", "the cookie is not the one that was promised");
    check(!context.complaints.length, context.complaints.join("; "));
    await context.close();
  },

  async "a login that fails says why, and a way back that is used again logs nobody in"(world) {
    const context = await makeContext(world);
    const page = await context.newPage();
    world.provider.service.once("beforeAuthorizeRedirect", ({ url }) => {
      url.searchParams.delete("code");
      url.searchParams.set("error", "access_denied");
    });
    await page.goto(`${world.origin}/console/`);
    await page.getByRole("link", { name: "Log in with Example ID" }).click();
    await page.getByText("The identity provider did not let you in.").waitFor();
    await page.getByRole("link", { name: "Log in with Example ID" }).click();
    await page.getByRole("heading", { name: "Board", level: 1 }).waitFor();
    const [back] = context.requests.map((request) => request.url()).filter((url) => /callback\?.*code=/.test(url));
    await page.getByRole("button", { name: "Log out" }).click();
    await loggedOut(page);
    await page.goto(back);
    await page.getByText("The login was begun elsewhere, took too long, or was used before.").waitFor();
    await loggedOut(page);
    check(!context.complaints.length, context.complaints.join("; "));
    await context.close();
  },

  async "a logout ends every tab at once, and the cookie with it"(world) {
    const context = await makeContext(world);
    const [page, other] = [await context.newPage(), await context.newPage()];
    await logIn(world, page);
    await other.goto(`${world.origin}/console/plans`);
    await other.locator("tbody tr").first().waitFor();
    const kept = await context.cookies();
    await page.getByRole("button", { name: "Log out" }).click();
    await Promise.all([loggedOut(page), loggedOut(other)]);
    await context.addCookies(kept);
    check((await status(page, "/api/v1/me")) === 401, "the cookie is alive after the logout");
    await Promise.all([page, other].map((one) => one.locator("[data-fresh=out]").waitFor()));
    clean(context, world);
    await context.close();
  },

  async "a page of somebody else gets nothing done with the cookie"(world) {
    const context = await makeContext(world);
    const page = await context.newPage();
    const [plan] = await plansOf(world);
    await logIn(world, page);
    const elsewhere = createServer((_, answer) => answer.writeHead(200, { "content-type": "text/html" }).end("<h1>Elsewhere</h1>"));
    await new Promise((listening) => elsewhere.listen(0, "127.0.0.1", listening));
    const foreign = await context.newPage();
    // Another port of the same host: for cookies the same site, for the gateway another origin.
    await foreign.goto(`http://127.0.0.1:${elsewhere.address().port}/`);
    const read = await foreign.evaluate((url) => fetch(url, { credentials: "include" }).then(() => "read", () => "closed"), `${world.origin}/api/v1/me`);
    check(read === "closed", "a page of somebody else reads who is logged in");
    const [answer] = await Promise.all([
      foreign.waitForResponse((response) => /\/test$/.test(response.url())),
      foreign.evaluate((url) => {
        const form = Object.assign(document.createElement("form"), { method: "post", action: url });
        document.body.append(form);
        form.submit();
      }, `${world.origin}/api/v1/cloud-failover-plans/${plan.id}/test`),
    ]);
    check("cookie" in (await answer.request().allHeaders()), "the browser sent no cookie, so that nothing is shown");
    check(answer.status() === 403, `a write from elsewhere is ${answer.status()}`);
    check(!(await api(world, "/api/v1/operations")).items.length, "something was started from elsewhere");
    elsewhere.close();
    elsewhere.closeAllConnections();
    await context.close();
  },

  async "without an answer to who this is, rights are unknown and nothing is taken for forbidden"(world) {
    const context = await makeContext(world);
    const page = await context.newPage();
    const [plan] = await plansOf(world);
    await logIn(world, page);
    await context.route("**/console/session", (route) => route.abort());
    await page.goto(`${world.origin}/console/plans/cloud/${plan.id}`);
    await page.getByRole("heading", { name: plan.name, level: 1 }).waitFor();
    await page.getByText("permission unknown").first().waitFor();
    check(await page.getByRole("button", { name: "Test…" }).isDisabled(), "an unknown right is taken for one");
    check(!(await page.getByText(/needs plans:/).count()), "an unknown right is taken for none");
    await context.unroute("**/console/session");
    await page.getByRole("button", { name: "Try again" }).first().click();
    await until("the rights are known", async () => page.getByRole("button", { name: "Test…" }).isEnabled());
    await context.close();
  },
};

await run(
  "sessions",
  async (binary) => {
    const provider = await startProvider();
    const world = await makeWorld(binary, {
      settings: {
        EMGATE_AUTH__ISSUERS__0__ISSUER: provider.issuer.url,
        EMGATE_AUTH__ISSUERS__0__AUDIENCE__0: "emgate",
        EMGATE_CONSOLE__OIDC__ISSUER: provider.issuer.url,
        EMGATE_CONSOLE__OIDC__CLIENT_ID: "emgate",
        EMGATE_CONSOLE__OIDC__NAME: "Example ID",
      },
    });
    world.provider = provider;
    return world;
  },
  tests,
);
