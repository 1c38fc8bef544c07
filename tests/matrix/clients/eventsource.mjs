// npm eventsource, the newest that says it runs on Node 20.

import { EventSource } from 'eventsource';
import { readSource, serve } from './jobs.mjs';

await serve((...job) => readSource(EventSource, ...job));
