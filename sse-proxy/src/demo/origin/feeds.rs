//! The origin's streams: who reads which URL, what was sent there, and when the next event is due.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use hyper::body::{Body, Frame};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::Instant};

use super::samples::{FEEDS, Feed};

/// URLs counted apart, and the length of one, in bytes.
const MAX_URLS: usize = 256;
const MAX_URL_BYTES: usize = 256;
/// Streams open at once, over all URLs.
const MAX_STREAMS: usize = 256;
/// Events that may wait for one stream's socket. A reader further behind is dropped.
const QUEUE: usize = 64;

/// Why a stream is not opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// No feed has this name.
    Unknown,
    /// The origin has been cut and is not back yet.
    Down,
    /// A bound of the server is reached.
    Full,
}

/// All streams of the origin.
#[derive(Debug)]
pub(super) struct Feeds {
    address: SocketAddr,
    started: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    urls: BTreeMap<String, Url>,
    down_until: Option<Instant>,
}

/// One URL's stream: every connection to it gets the same events.
#[derive(Debug)]
struct Url {
    feed: &'static Feed,
    sent: u64,
    due: Instant,
    streams: Vec<mpsc::Sender<Bytes>>,
}

impl Feeds {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, started: unix_ms(), state: Mutex::default() }
    }

    /// Opens one more stream of `url`, which is `/feed/NAME` and perhaps a query.
    pub(super) fn open(&self, name: &str, url: &str, now: Instant) -> Result<Events, Refused> {
        let mut state = self.state();
        if state.is_down(now) {
            return Err(Refused::Down);
        }
        let feed = FEEDS.iter().find(|feed| feed.name == name).ok_or(Refused::Unknown)?;
        state.forget_closed();
        let open: usize = state.urls.values().map(|url| url.streams.len()).sum();
        let known = state.urls.contains_key(url);
        if open >= MAX_STREAMS
            || (!known && (state.urls.len() >= MAX_URLS || url.len() > MAX_URL_BYTES))
        {
            return Err(Refused::Full);
        }
        let (sender, queue) = mpsc::channel(QUEUE);
        let url = state.urls.entry(url.to_owned()).or_insert_with(|| Url::new(feed, now));
        if url.streams.is_empty() {
            url.due = now + feed.every / 2;
        }
        url.streams.push(sender);
        Ok(Events { queue, flushed: false })
    }

    /// Sends what is due by `now`.
    pub(super) fn tick(&self, now: Instant) {
        let mut state = self.state();
        state.forget_closed();
        for url in state.urls.values_mut() {
            if url.due <= now && !url.streams.is_empty() {
                url.send();
                url.due = now + url.feed.every;
            }
        }
    }

    /// Breaks every stream off, and refuses new ones for `time`.
    pub(super) fn cut(&self, now: Instant, time: Duration) {
        let mut state = self.state();
        state.down_until = Some(now + time);
        for url in state.urls.values_mut() {
            url.streams.clear();
        }
    }

    /// What the page shows about the origin.
    pub(super) fn status(&self, now: Instant) -> Value {
        let mut state = self.state();
        state.forget_closed();
        let urls: serde_json::Map<_, _> = state
            .urls
            .iter()
            .map(|(path, url)| {
                (path.clone(), json!({ "sent": url.sent, "connections": url.streams.len() }))
            })
            .collect();
        json!({
            "address": format!("http://{}", self.address),
            "started": self.started,
            "now": unix_ms(),
            "up": !state.is_down(now),
            "feeds": FEEDS.iter().map(|feed| feed.name).collect::<Vec<_>>(),
            "urls": urls,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_down(&self, now: Instant) -> bool {
        self.down_until.is_some_and(|until| now < until)
    }

    fn forget_closed(&mut self) {
        for url in self.urls.values_mut() {
            url.streams.retain(|stream| !stream.is_closed());
        }
    }
}

impl Url {
    const fn new(feed: &'static Feed, due: Instant) -> Self {
        Self { feed, sent: 0, due, streams: Vec::new() }
    }

    fn send(&mut self) {
        self.sent += 1;
        let n = self.sent;
        let mut data = (self.feed.sample)(n);
        if let Value::Object(fields) = &mut data {
            fields.insert("n".to_owned(), n.into());
            fields.insert("at".to_owned(), unix_ms().into());
        }
        let block = Bytes::from(format!("Event: update\nID: {n}\nData: {data}\n\n"));
        self.streams.retain(|stream| stream.try_send(block.clone()).is_ok());
    }
}

/// The body of one stream. It never ends well: when the origin lets go of it, the connection breaks off,
/// but only after the last event has left, so that what was counted as sent was sent.
#[derive(Debug)]
pub(super) struct Events {
    queue: mpsc::Receiver<Bytes>,
    flushed: bool,
}

impl Body for Events {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(block) = ready!(self.queue.poll_recv(cx)) {
            return Poll::Ready(Some(Ok(Frame::data(block))));
        }
        if self.flushed {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())));
        }
        // hyper writes out what it holds whenever the body has nothing ready, and only then.
        self.flushed = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Milliseconds since 1970.
fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
