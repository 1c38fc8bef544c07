//! The progress of a job: `cargo run -p sse-layer --features axum --example progress [PORT]`.
//!
//! Open the printed address, or start a job and watch it with curl:
//!
//! ```text
//! curl -i -X POST http://127.0.0.1:3000/jobs      # Location: /jobs/1
//! curl -N http://127.0.0.1:3000/jobs/1
//! ```
//!
//! An `EventSource` takes the end of a stream for an accident and comes back. So the last event
//! has an id, and who comes back with it is answered 204, upon which a browser stops.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse};
use axum::routing::{get, post};
use futures_util::stream;
use http::StatusCode;
use http::header::LOCATION;
use sse_layer::{Event, EventId, EventStream, EventType, LastEventId, SseLayer};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;

const PAGE: &str = r##"<!doctype html>
<meta charset="utf-8">
<title>Progress</title>
<button>Start</button> <progress max="100" value="0"></progress> <output></output>
<script>
  const say = (text) => { document.querySelector("output").textContent = text; };
  const show = (percent) => { document.querySelector("progress").value = percent; };
  document.querySelector("button").onclick = async () => {
    const started = await fetch("jobs", { method: "POST" });
    const job = new EventSource(started.headers.get("location"));
    job.onmessage = (event) => show(event.data);
    job.addEventListener("done", (event) => { show(100); say(event.data); });
    job.onerror = () => { if (job.readyState === EventSource.CLOSED) say("done, and closed"); };
  };
</script>
"##;

/// The jobs by number; of each, how many percent of it are done. Only the newest figure counts.
type Jobs = Arc<Mutex<HashMap<u32, watch::Receiver<u32>>>>;

/// Starts a job, which goes on whether or not somebody watches.
async fn start(State(jobs): State<Jobs>) -> impl IntoResponse {
    let (percent, watched) = watch::channel(0);
    let mut all = jobs.lock().unwrap_or_else(PoisonError::into_inner);
    let number = u32::try_from(all.len()).map_or(u32::MAX, |jobs| jobs.saturating_add(1));
    all.insert(number, watched);
    tokio::spawn(async move {
        for done in (5..=100).step_by(5) {
            sleep(Duration::from_millis(100)).await;
            percent.send_replace(done);
        }
    });
    (StatusCode::CREATED, [(LOCATION, format!("/jobs/{number}"))])
}

/// Tells how far the job is, at once and then each time that it has got further.
async fn watch(
    State(jobs): State<Jobs>,
    Path(number): Path<u32>,
    last: Option<LastEventId>,
) -> Result<impl IntoResponse, StatusCode> {
    let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).get(&number).cloned();
    let mut job = job.ok_or(StatusCode::NOT_FOUND)?;
    if last.is_some_and(|id| id.as_str() == "done") {
        return Err(StatusCode::NO_CONTENT);
    }
    job.mark_changed();
    Ok(EventStream::new(stream::unfold(job, async |mut job| {
        // Fails when the sender is gone, since the job is done, and its last change was seen.
        job.changed().await.ok()?;
        let percent = *job.borrow_and_update();
        Some((event(percent), job))
    })))
}

const DONE: EventType = EventType::from_static("done");
const DONE_ID: EventId = EventId::from_static("done");

fn event(percent: u32) -> Event {
    if percent < 100 {
        return Event::new().data(percent.to_string());
    }
    Event::new().event(DONE).id(DONE_ID).data("the job is done")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port = std::env::args().nth(1).map_or(Ok(3000), |port| port.parse())?;
    let app = Router::new()
        .route("/", get(async || Html(PAGE)))
        .route("/jobs", post(start))
        .route("/jobs/{number}", get(watch))
        .layer(SseLayer::new())
        .with_state(Jobs::default());

    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}/", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
