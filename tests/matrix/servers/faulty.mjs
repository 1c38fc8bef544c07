// An origin with bad days. `faults` says how the first requests of a run go wrong, one after the other: a status, or
// `half`: two events and a part of the next before the connection ends, `reset`: the same, and it is reset, or `end`: two
// events, and the response ends.

import http from 'node:http';
import { block, listen, told } from './story.mjs';

const asked = new Map(); // run -> requests so far

listen(http.createServer(async (req, res) => {
  const { searchParams } = new URL(req.url, 'http://origin');
  const [run, faults] = [searchParams.get('run'), searchParams.get('faults')?.split(',') ?? []];
  const before = asked.get(run) ?? 0;
  asked.set(run, before + 1);
  const fault = faults[before];
  if (Number(fault)) return res.writeHead(Number(fault), { 'Content-Type': 'text/plain' }).end('a bad day\n');
  res.writeHead(200, { 'Content-Type': 'text/event-stream' });
  let left = 2;
  for await (const event of told(req, res)) {
    const text = block(event);
    if (fault && left === 0) {
      if (fault === 'end') return res.end();
      const { socket } = res;
      const go = () => (fault === 'reset' ? socket.resetAndDestroy() : socket.destroy());
      return res.write(text.slice(0, text.length >> 1), go);
    }
    left -= 1;
    res.write(text);
  }
  return undefined;
}));
