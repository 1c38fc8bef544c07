// Reads the source's feed 0, and sends each of its events to all by better-sse's channel.
import { createServer, get } from "node:http";
import { createServer as createSecure } from "node:https";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [modules, source, port, tls, dir] = process.argv.slice(2);
const { createChannel, createSession } = createRequire(`${modules}/`)("better-sse");
const channel = createChannel();

get({ host: "127.0.0.1", port: source, path: "/feed/0" }, (response) => {
  let text = "";
  response.setEncoding("utf8").on("data", (piece) => {
    const blocks = (text + piece).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const [, id, data] = /^id: (.*)\ndata: (.*)$/.exec(block);
      channel.broadcast(data, "message", { eventId: id });
    }
  });
});

const serve = async (request, response) =>
  channel.register(await createSession(request, response, { serializer: String }));
const secret = { cert: readFileSync(dir + "/cert.pem"), key: readFileSync(dir + "/key.pem") };
createServer(serve).listen({ port, host: "127.0.0.1", backlog: 4096 });
createSecure(secret, serve).listen({ port: tls, host: "127.0.0.1", backlog: 4096 });
