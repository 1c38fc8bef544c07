//! What observers are told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::Request;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use sse_layer::feed::{Feed, FeedOptions, HistoryLimits, Lag, LagPolicy, Log};
use sse_layer::observe::{Closed, Observe, Opened};
use sse_layer::{Drain, Event, EventStream, KeepAlive, LastEventId, SseLayer};

use crate::Step::{Send, Wait};
use crate::{answer, bytes, event_stream, scripted, secs, silent, through};

/// Writes down, for all streams, what it is told.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, note: String) {
        self.0.lock().unwrap().push(note);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observe for Notes {
    fn open(&mut self, stream: &Opened<'_>) {
        let last = stream.last_event_id.map_or("", |id| id.as_str());
        let has_head = stream.headers.contains_key("x-accel-buffering");
        self.add(format!("open {} {:?} {last:?} {has_head}", stream.uri, stream.version));
    }

    fn first_event(&mut self, after: Duration) {
        self.add(format!("first event after {} s", after.as_secs()));
    }

    fn sent(&mut self, events: u64, bytes: u64) {
        self.add(format!("sent {events} {bytes}"));
    }

    fn gap(&mut self) {
        self.add("gap".into());
    }

    fn lag(&mut self, missed: u64) {
        self.add(format!("lag {missed}"));
    }

    fn keep_alive(&mut self) {
        self.add("keep-alive".into());
    }

    fn close(&mut self, stream: &Closed) {
        let Closed { reason, events, bytes, keep_alives, open_for, first_event_after, .. } = stream;
        let first = first_event_after.map(|after| after.as_secs());
        let open_for = open_for.as_secs();
        self.add(format!(
            "{reason} {open_for} s, first {first:?}, {events} events, {bytes} bytes, {keep_alives} comments"
        ));
    }

    fn refused(&mut self, stream: &Opened<'_>) {
        self.add(format!("refused {}", stream.uri));
    }
}

fn layer(notes: &Notes) -> SseLayer {
    SseLayer::new().no_retry().observe(notes.clone())
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_told_from_its_opening_to_its_end() {
    let notes = Notes::default();
    let body = scripted([
        Send(b"id: 1\n\n"),
        Wait(secs(2)),
        Send(b"data: a\n\ndata: b\n"),
        Wait(secs(20)),
        Send(b"\n"),
    ]);
    let request = Request::get("/a?lastEventId=7").body(()).unwrap();
    let body = answer(layer(&notes), request, event_stream(body)).await.into_body();
    let sent = bytes(body).await;
    let told = notes.take();
    assert_eq!(told[0], "open /a?lastEventId=7 HTTP/1.1 \"7\" true");
    assert_eq!(
        told[1..],
        [
            "sent 0 7",
            "first event after 2 s",
            "sent 1 17",
            "keep-alive",
            "sent 1 1",
            &format!("ended 22 s, first Some(2), 2 events, {} bytes, 1 comments", sent.len()),
        ]
    );
}

async fn reason(layer: SseLayer, body: impl Body, notes: &Notes) -> String {
    let mut body = Box::pin(through(layer, body).await);
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            break;
        }
    }
    drop(body);
    let told = notes.take();
    assert_eq!(told.iter().filter(|note| note.contains("comments")).count(), 1, "{told:?}");
    told.last().unwrap().split(' ').next().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn the_reason_of_the_end_is_told_once() {
    let notes = Notes::default();
    let layer = || layer(&notes).keep_alive(KeepAlive::off());

    let body = scripted([Send(b"data\n\n")]);
    assert_eq!(reason(layer(), body, &notes).await, "ended");

    let failing = StreamBody::new(stream::iter([
        Ok(Frame::data(Bytes::from("data\n\n"))),
        Err("connection reset"),
    ]));
    assert_eq!(reason(layer(), failing, &notes).await, "failed");

    let drain = Drain::new();
    drain.start(secs(1));
    assert_eq!(reason(layer().drain(drain), silent(), &notes).await, "drained");

    assert_eq!(reason(layer().max_lifetime(secs(9)), silent(), &notes).await, "lifetime_over");

    drop(through(layer(), silent()).await);
    assert!(notes.take().last().unwrap().starts_with("client_left "));
}

/// A feed whose history keeps two events, and whose readers may be behind by as many.
fn short_feed(policy: LagPolicy) -> Feed {
    let options = FeedOptions::default()
        .history(HistoryLimits::default().events(2))
        .lag(Lag::default().events(2).policy(policy));
    Log::new().feed(options)
}

fn publish(feed: &Feed, ids: std::ops::RangeInclusive<u64>) {
    ids.for_each(|id| feed.publish(Event::new().id(id.into()).data("x")));
}

#[tokio::test]
async fn a_gap_is_told() {
    let notes = Notes::default();
    let feed = short_feed(LagPolicy::Resume);
    publish(&feed, 1..=5);
    let request = Request::get("/").header("last-event-id", "1").body(()).unwrap();
    let stream = feed.stream(LastEventId::of(&request).as_ref()).into_response();
    feed.close();
    bytes(answer(layer(&notes), request, stream).await.into_body()).await;
    let told = notes.take();
    assert_eq!(told[2..told.len() - 1], ["gap"], "{told:?}");
}

#[tokio::test]
async fn lag_is_told_with_what_was_missed() {
    let notes = Notes::default();
    let feed = short_feed(LagPolicy::Skip);
    let stream = feed.stream(None).into_response();
    let body = answer(layer(&notes), Request::new(()), stream).await.into_body();
    publish(&feed, 1..=5);
    feed.close();
    bytes(body).await;
    let told = notes.take();
    assert_eq!(told[3..told.len() - 1], ["lag 3"], "{told:?}");
    assert!(told.last().unwrap().starts_with("ended "), "{told:?}");
}

#[tokio::test]
async fn a_stream_that_ends_because_of_lag_says_so() {
    let notes = Notes::default();
    let feed = short_feed(LagPolicy::Resume);
    let stream = feed.stream(None).into_response();
    let body = answer(layer(&notes), Request::new(()), stream).await.into_body();
    publish(&feed, 1..=5);
    bytes(body).await;
    let told = notes.take();
    assert_eq!(told[1], "lag 0", "{told:?}");
    assert!(told[2].starts_with("lagged "), "{told:?}");
}

/// Servers need not ask for an end that they know of.
#[tokio::test]
async fn a_stream_whose_end_shows_in_its_last_frame_has_ended() {
    let notes = Notes::default();
    let response = EventStream::new(stream::iter([Ok(Event::new().data("a")), Err("no more")]));
    let response = response.into_response();
    let mut body = Box::pin(answer(layer(&notes), Request::new(()), response).await.into_body());
    while !body.is_end_stream() {
        body.frame().await.unwrap().unwrap();
    }
    drop(body);
    assert!(notes.take().last().unwrap().starts_with("ended "));
}

#[tokio::test]
async fn a_body_with_a_coding_has_bytes_but_no_events() {
    let notes = Notes::default();
    let mut response = event_stream(scripted([Send(b"data\n\n"), Send(b"data\n\n")]));
    response.headers_mut().insert("content-encoding", "br".parse().unwrap());
    bytes(answer(layer(&notes), Request::new(()), response).await.into_body()).await;
    let told = notes.take();
    assert_eq!(told[1..3], ["sent 0 6", "sent 0 6"]);
    assert!(told[3].contains("first None, 0 events, 12 bytes"), "{told:?}");
}

#[tokio::test]
async fn refusals_are_told_and_what_is_no_stream_is_not() {
    let notes = Notes::default();
    drop(through(layer(&notes).max_streams(0), silent()).await);
    assert_eq!(notes.take(), ["refused /"]);

    let head = Request::head("/").body(()).unwrap();
    answer(layer(&notes), head, event_stream(silent())).await;
    answer(layer(&notes), Request::new(()), http::Response::new(silent())).await;
    assert_eq!(notes.take(), [""; 0]);
}

#[tokio::test]
async fn several_can_observe() {
    let (one, other) = (Notes::default(), Notes::default());
    bytes(through(layer(&one).observe(other.clone()), scripted([Send(b"data\n\n")])).await).await;
    let told = one.take();
    assert_eq!(told.len(), 4, "{told:?}");
    assert_eq!(told, other.take());
}

#[cfg(feature = "tracing")]
#[tokio::test(start_paused = true)]
async fn a_log_is_written() {
    use sse_layer::observe::Tracing;

    /// A writer for tests.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .without_time()
        .with_writer(move || writer.clone());
    let guard = tracing::subscriber::set_default(subscriber.finish());

    let layer = SseLayer::new().no_retry().observe(Tracing::new());
    let request = Request::get("/a?token=secret&lastEventId=7").body(()).unwrap();
    let response = event_stream(scripted([Send(b"data\n\n"), Wait(secs(20))]));
    bytes(answer(layer.clone(), request, response).await.into_body()).await;
    drop(through(layer.max_streams(0), silent()).await);
    drop(guard);

    let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = log.lines().map(str::trim).collect();
    let span = "sse_stream{path=\"/a\" last_event_id=\"7\"}: sse_layer:";
    assert_eq!(lines.len(), 5, "{log}");
    assert_eq!(lines[0], format!("INFO {span} stream open"));
    assert_eq!(lines[1], format!("DEBUG {span} first event after=0ns"));
    assert_eq!(lines[2], format!("TRACE {span} keep-alive"));
    let over = format!("INFO {span} stream over reason=\"ended\" open_for=20s events=1");
    assert!(lines[3].starts_with(&over) && lines[3].contains(" bytes=12"), "{log}");
    assert!(lines[4].starts_with("WARN sse_layer: stream refused"), "{log}");
}

#[cfg(feature = "metrics")]
#[tokio::test(start_paused = true)]
async fn figures_are_kept() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
    use sse_layer::observe::Metrics;

    fn figures(snapshotter: &Snapshotter) -> Vec<String> {
        let mut all: Vec<_> = snapshotter
            .snapshot()
            .into_vec()
            .into_iter()
            .map(|(key, _, _, value)| {
                let labels = key.key().labels().map(|label| format!(" {}", label.value()));
                let name = format!("{}{}", key.key().name(), labels.collect::<String>());
                match value {
                    DebugValue::Counter(value) => format!("{name} {value}"),
                    DebugValue::Gauge(value) => format!("{name} {value}"),
                    DebugValue::Histogram(values) => {
                        format!("{name} {:?}", values.iter().map(|v| v.0).collect::<Vec<_>>())
                    }
                }
            })
            .collect();
        all.sort();
        all
    }

    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let layer = SseLayer::new().no_retry().observe(Metrics::new()).max_streams(2);

    let left = through(layer.clone(), silent()).await;
    let body = scripted([Wait(secs(2)), Send(b"data\n\ndata\n\n"), Wait(secs(20))]);
    let ended = through(layer.clone(), body).await;
    drop(through(layer.clone(), silent()).await);
    bytes(ended).await;
    assert_eq!(
        figures(&snapshotter),
        [
            "sse_bytes_total 12",
            "sse_closed_total ended 1",
            "sse_events_total 2",
            "sse_gaps_total 0",
            "sse_keep_alives_total 1",
            "sse_lagged_total 0",
            "sse_refused_total 1",
            "sse_streams 1",
            "sse_time_to_first_event_seconds [2.0]",
        ]
    );
    drop(left);
    let after = figures(&snapshotter); // since the last look
    assert!(after.contains(&"sse_closed_total client_left 1".to_owned()), "{after:?}");
    assert!(after.contains(&"sse_streams -1".to_owned()), "{after:?}");
}
