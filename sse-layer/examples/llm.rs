//! Tokens of a language model: `cargo run -p sse-layer --features axum --example llm [PORT]`.
//!
//! The shape that SDKs of such services expect: a POST, answered by a stream of JSON that ends
//! with `data: [DONE]`. Open the printed address, or ask with curl:
//!
//! ```text
//! curl -N --json '{"prompt":"Is anybody there?"}' http://127.0.0.1:3000/completions
//! ```
//!
//! Stop curl in the middle: the model stops too.

use std::future::ready;
use std::time::Duration;

use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream::{self, Stream, StreamExt};
use serde::{Deserialize, Serialize};
use sse_layer::{Event, EventStream, JsonError, SseLayer};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::sleep;

const PAGE: &str = r##"<!doctype html>
<meta charset="utf-8">
<title>Tokens</title>
<form><input name="prompt" size="50" value="Is anybody there?"> <button>Ask</button></form>
<p></p>
<script>
  const answer = document.querySelector("p");
  document.querySelector("form").onsubmit = async (event) => {
    event.preventDefault();
    answer.textContent = "";
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ prompt: event.target.prompt.value });
    const response = await fetch("completions", { method: "POST", headers, body });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = "", read; !(read = await reader.read()).done; ) {
      const blocks = (rest + read.value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        if (!block.startsWith("data: ")) continue; // a comment, in silence
        if (block === "data: [DONE]") return;
        answer.textContent += JSON.parse(block.slice("data: ".length)).token;
      }
    }
  };
</script>
"##;

#[derive(Deserialize)]
struct Question {
    prompt: String,
}

#[derive(Serialize)]
struct Answer {
    token: String,
}

/// A model that takes its time. It stops as soon as nobody waits for its tokens.
async fn generate(prompt: String, tokens: mpsc::Sender<Answer>) {
    let answer = format!("You asked: {prompt} I am a loop, and say so word by word.");
    for word in answer.split_inclusive(' ') {
        sleep(Duration::from_millis(80)).await;
        if tokens.send(Answer { token: word.to_owned() }).await.is_err() {
            println!("the client has left: no more tokens");
            return;
        }
    }
}

/// The tokens as events, then `[DONE]`. The channel's bound is how far the model may be ahead of
/// the client.
fn answer(prompt: String) -> impl Stream<Item = Result<Event, JsonError>> {
    let (sender, tokens) = mpsc::channel(8);
    tokio::spawn(generate(prompt, sender));
    stream::unfold(tokens, async |mut tokens| Some((tokens.recv().await?, tokens)))
        .map(|token| Event::new().json(&token))
        .chain(stream::once(ready(Ok(Event::new().data("[DONE]")))))
}

async fn completions(Json(question): Json<Question>) -> impl IntoResponse {
    EventStream::new(answer(question.prompt))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(3000), |port| port.parse())?;
    let app = Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/completions", post(completions))
        .layer(SseLayer::new().no_retry()); // nobody repeats a POST by himself

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}/", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
