// Express, with field names as many wrote them. `right=1` has them as they should be.

import express from 'express';
import { block, listen, told } from './story.mjs';

const CAPITALS = { id: 'ID', event: 'Event', data: 'Data', retry: 'Retry' };

const app = express();
app.get('/events', async (req, res) => {
  res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-cache', Connection: 'keep-alive' });
  const named = req.query.right ? undefined : (field) => CAPITALS[field];
  for await (const event of told(req, res)) res.write(block(event, named));
});
listen(app);
