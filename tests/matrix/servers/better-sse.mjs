// better-sse on Express. It sends data as JSON.

import { createSession } from 'better-sse';
import express from 'express';
import { listen, told } from './story.mjs';

const app = express();
app.get('/events', async (req, res) => {
  const session = await createSession(req, res, { retry: 100, keepAlive: null });
  for await (const { id, type, data } of told(req, res)) session.push(data, type, id);
});
listen(app);
