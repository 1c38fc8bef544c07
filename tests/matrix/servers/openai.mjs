// Chat completions as OpenAI streams them: the story in pieces, then [DONE].

import express from 'express';
import { listen, told } from './story.mjs';

const app = express();
app.post('/v1/chat/completions', express.json(), async (req, res) => {
  const { model, stream } = req.body;
  if (!stream) return res.status(400).json({ error: { message: 'only streams' } });
  const chunk = (delta, finish_reason = null) => {
    const choices = [{ index: 0, delta, finish_reason }];
    return `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model, choices })}\n\n`;
  };
  res.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8' });
  for await (const { data } of told(req, res)) res.write(chunk({ content: data }));
  return res.end(`${chunk({}, 'stop')}data: [DONE]\n\n`);
});
listen(app);
