// Node with the compression middleware. FLUSH=1 hands each event on at once; without, the compressor keeps what it
// gets until the response ends.

import compression from 'compression';
import express from 'express';
import { block, listen, told } from './story.mjs';

const flushing = process.env.FLUSH === '1';

const app = express();
app.use(compression());
app.get('/events', async (req, res) => {
  res.type('text/event-stream');
  for await (const event of told(req, res)) {
    res.write(block(event));
    if (flushing) res.flush();
  }
  if (!flushing) res.end();
});
listen(app);
