//! A clock in the browser: `cargo run -p sse-layer --features axum --example axum [PORT]`.
//!
//! Open the printed address, or watch the bytes with `curl -N http://127.0.0.1:3000/clock`.
//! Stop the server and start it again: the page comes back and goes on counting.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use futures_util::stream;
use sse_layer::{Event, EventStream, LastEventId, SseLayer};
use tokio::net::TcpListener;
use tokio::time::interval;

const PAGE: &str = r##"<!doctype html>
<meta charset="utf-8">
<title>Clock</title>
<h1>Seconds since 1970: <output>?</output></h1>
<p id="state">connecting</p>
<script>
  const clock = new EventSource("clock");
  const say = (where, what) => { document.querySelector(where).textContent = what; };
  clock.onopen = () => say("#state", "open");
  clock.onerror = () => say("#state", "reconnecting");
  clock.onmessage = (event) => say("output", `${event.data} (tick ${event.lastEventId})`);
</script>
"##;

/// A tick each second, numbered on from the last one that the client has seen.
async fn clock(last: Option<LastEventId>) -> impl IntoResponse {
    let seen: u64 = last.and_then(|id| id.as_str().parse().ok()).unwrap_or(0);
    let state = (seen, interval(Duration::from_secs(1)));
    EventStream::new(stream::unfold(state, async |(seen, mut interval)| {
        interval.tick().await;
        let tick = seen.saturating_add(1);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let event = Event::new().id(tick.into()).data(now.as_secs().to_string());
        Some((event, (tick, interval)))
    }))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(3000), |port| port.parse())?;
    let app = Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/clock", get(clock))
        .layer(SseLayer::new());

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}/", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
