"""The openai SDK for Python."""

from urllib.parse import parse_qsl, urlsplit

import openai

from jobs import serve


def read(job):
    url = urlsplit(job.url)
    client = openai.OpenAI(
        api_key="none",
        base_url=f"{url.scheme}://{url.netloc}{url.path}",
        default_query=dict(parse_qsl(url.query)),
        max_retries=0,
    )
    messages = [{"role": "user", "content": "a story"}]
    with client.chat.completions.create(model="m", stream=True, messages=messages) as stream:
        for chunk in stream:
            content = chunk.choices[0].delta.content
            if content is not None and job.hear("message", None, content):
                return


serve(read)
