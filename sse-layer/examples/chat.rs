//! A chat room: `cargo run -p sse-layer --features axum --example chat [PORT]`.
//!
//! Open the printed address in two windows, or talk with curl:
//!
//! ```text
//! curl -N http://127.0.0.1:3000/messages
//! curl -d 'from=Ann' -d 'text=hello' http://127.0.0.1:3000/messages
//! ```
//!
//! Each message has an id. Who comes back with the last one he has gets what was said meanwhile,
//! as browsers do by themselves: `curl -N -H 'Last-Event-ID: …' http://127.0.0.1:3000/messages`.

use axum::extract::{DefaultBodyLimit, State};
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use axum::{Form, Router};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sse_layer::feed::{Feed, FeedOptions, Log};
use sse_layer::{Event, LastEventId, SseLayer};
use tokio::net::TcpListener;

const PAGE: &str = r##"<!doctype html>
<meta charset="utf-8">
<title>Chat</title>
<form>
  <input name="from" placeholder="name" size="10" required>
  <input name="text" placeholder="message" size="50" autocomplete="off" required>
  <button>Send</button> <span id="state">connecting</span>
</form>
<ul></ul>
<script>
  const form = document.querySelector("form");
  const state = document.querySelector("#state");
  const room = new EventSource("messages");
  room.onopen = () => { state.textContent = "open"; };
  room.onerror = () => { state.textContent = "reconnecting"; };
  room.onmessage = (event) => {
    const { from, text } = JSON.parse(event.data);
    const line = document.createElement("li");
    line.textContent = `${from}: ${text}`;
    document.querySelector("ul").prepend(line);
  };
  form.onsubmit = async (event) => {
    event.preventDefault();
    await fetch("messages", { method: "POST", body: new URLSearchParams(new FormData(form)) });
    form.text.value = "";
  };
  // A page that is kept for the back button would keep its connection too.
  addEventListener("pagehide", () => room.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
</script>
"##;

#[derive(Deserialize, Serialize)]
struct Message {
    from: String,
    text: String,
}

/// What is said from now on; for one who comes back, from where he left.
async fn listen(State(room): State<Feed>, last: Option<LastEventId>) -> impl IntoResponse {
    room.stream(last.as_ref())
}

/// The room gives the message its id, keeps it for those who come back, and wakes the listeners.
async fn say(State(room): State<Feed>, Form(message): Form<Message>) -> StatusCode {
    match Event::new().json(&message) {
        Ok(event) => {
            room.publish(event);
            StatusCode::NO_CONTENT
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(3000), |port| port.parse())?;
    let room = Log::new().feed(FeedOptions::default());
    let app = Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/messages", get(listen).post(say))
        .layer(DefaultBodyLimit::max(4096))
        .layer(SseLayer::new())
        .with_state(room);

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}/", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
