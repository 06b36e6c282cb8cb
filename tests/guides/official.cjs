// A receiver that verifies by the `standardwebhooks` library from npm.
const { createServer } = require("node:http");
const { Webhook, WebhookVerificationError } = require(process.env.STANDARD_WEBHOOKS);

const webhook = new Webhook(process.env.WEBHOOK_SECRET);
const seen = new Set();

const server = createServer(async (request, response) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  let status = 200;
  try {
    const event = webhook.verify(Buffer.concat(parts).toString(), request.headers);
    const id = request.headers["webhook-id"];
    if (!seen.has(id)) console.log(event.type, event.timestamp);
    seen.add(id);
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    status = 401;
  }
  response.writeHead(status).end();
});
server.listen(Number(process.env.PORT), "127.0.0.1", () => console.log("listening on", server.address().port));
