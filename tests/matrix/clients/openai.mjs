// The openai SDK for Node.

import OpenAI from 'openai';
import { serve } from './jobs.mjs';

await serve(async ({ url }, hear) => {
  const { origin, pathname, searchParams } = new URL(url);
  const defaultQuery = Object.fromEntries(searchParams);
  const openai = new OpenAI({ apiKey: 'none', baseURL: origin + pathname, defaultQuery, maxRetries: 0 });
  const messages = [{ role: 'user', content: 'a story' }];
  const stream = await openai.chat.completions.create({ model: 'm', stream: true, messages });
  for await (const { choices: [{ delta }] } of stream) {
    if (delta.content !== undefined && hear('message', null, delta.content)) break;
  }
});
