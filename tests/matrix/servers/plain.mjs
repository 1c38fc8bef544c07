// Node without anything: tells whatever story it is given.

import http from 'node:http';
import { block, listen, told } from './story.mjs';

listen(http.createServer(async (req, res) => {
  res.writeHead(200, { 'Content-Type': 'text/event-stream' });
  for await (const event of told(req, res)) res.write(block(event));
}));
