// The MCP SDK's server, with its event store: the tool `tell` notifies of each event of the story, then answers.
// `run` goes by the stream that a client keeps open beside its requests, and that it has closed when it has left.

import { randomUUID } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { InMemoryEventStore } from '@modelcontextprotocol/sdk/examples/shared/inMemoryEventStore.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import express from 'express';
import { z } from 'zod';
import { listen, say, story } from './story.mjs';

/** Its own ids are random within a millisecond, and it sorts by them. */
class EventStore extends InMemoryEventStore {
  count = 0;

  generateEventId(stream) {
    this.count += 1;
    return `${stream}_${String(this.count).padStart(9, '0')}`;
  }
}

async function newSession(sessions) {
  const server = new McpServer({ name: 'story', version: '1.0.0' }, { capabilities: { logging: {} } });
  const inputSchema = { pause: z.number() };
  server.registerTool('tell', { inputSchema }, async ({ pause }, { sendNotification }) => {
    for (const event of story) {
      await sendNotification({ method: 'notifications/message', params: { level: 'info', data: event } });
      await wait(pause);
    }
    return { content: [{ type: 'text', text: 'told' }] };
  });
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    eventStore: new EventStore(),
    retryInterval: 100,
    onsessioninitialized: (id) => sessions.set(id, transport),
  });
  await server.connect(transport);
  return transport;
}

const sessions = new Map();
const app = express();
app.all('/mcp', express.json(), async (req, res) => {
  if (req.method === 'GET') {
    const { run } = req.query;
    say({ opened: run, last: req.headers['last-event-id'] ?? null });
    res.once('close', () => say({ left: run }));
  }
  const transport = sessions.get(req.headers['mcp-session-id']) ?? await newSession(sessions);
  await transport.handleRequest(req, res, req.body);
});
listen(app);
