//! [`Shown`]: the multiplexed streams that are open, and what was written to them, for the page at
//! `/.sse/`. Whoever looks at it sees the streams of his own credentials, and no others.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};
use serde::{Deserialize, Serialize};
use sse_layer::{Decoder, Event};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::downstream::Downstream;
use crate::stream::End;

/// How much of an event's data is shown, in characters.
const MOST_DATA: usize = 200;

/// The least time between two looks.
const PACE: Duration = Duration::from_millis(250);

/// How long who looks may take for one.
const PATIENCE: Duration = Duration::from_secs(15);

/// The streams that are open. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Shown(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// For the hashes that owners are known by.
    keyed: RandomState,
    book: Mutex<Book>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Book {
    next: u64,
    open: BTreeMap<u64, Stream>,
}

/// A stream, as far as it was written.
#[derive(Default, Serialize)]
struct Stream {
    number: u64,
    #[serde(skip)]
    owner: u64,
    bytes: u64,
    feeds: BTreeMap<String, Feed>,
}

/// A feed on it.
#[derive(Default, Serialize)]
struct Feed {
    state: String,
    /// The status, or the reason.
    why: String,
    events: u64,
    gaps: u64,
    /// Of the last event.
    kind: String,
    id: String,
    data: String,
}

/// What control events say.
#[derive(Deserialize)]
struct Said {
    feed: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    reason: String,
    status: Option<u16>,
}

/// Reads along with one stream, which is shown as long as this lives.
pub(super) struct ReadAlong {
    shown: Shown,
    number: u64,
    decoder: Decoder,
}

impl Shown {
    /// Shows a stream that was opened with these header fields.
    pub(super) fn open(&self, headers: &HeaderMap) -> ReadAlong {
        let owner = self.owner(headers);
        let mut book = self.book();
        book.next += 1;
        let number = book.next;
        book.open.insert(number, Stream { number, owner, ..Stream::default() });
        ReadAlong { shown: self.clone(), number, decoder: Decoder::new() }
    }

    /// Sends how everything is to whoever looks, as he may see it, whenever it has changed.
    pub(super) async fn watch(self, headers: HeaderMap, mut downstream: Downstream) {
        let (owner, mut changed) = (self.owner(&headers), self.0.changed.subscribe());
        let end = loop {
            let stuck = async {
                sleep(PATIENCE).await;
                End::Lagged
            };
            if let Err(end) = downstream.write(self.look(owner), stuck).await {
                break end;
            }
            let next = async {
                sleep(PACE).await;
                // The sender lives as long as we do.
                let _ = changed.changed().await;
            };
            if let Err(end) = downstream.wait(next).await {
                break end;
            }
        };
        downstream.end(end, None).await;
    }

    fn look(&self, owner: u64) -> Bytes {
        let book = self.book();
        let own: Vec<_> = book.open.values().filter(|stream| stream.owner == owner).collect();
        Event::new().json(&own).unwrap_or_default().to_bytes()
    }

    fn owner(&self, headers: &HeaderMap) -> u64 {
        let all = |name| headers.get_all(name).iter().collect::<Vec<_>>();
        self.0.keyed.hash_one((all(AUTHORIZATION), all(COOKIE)))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReadAlong {
    /// This is being written.
    pub(super) fn read(&mut self, bytes: &Bytes) {
        self.decoder.push(bytes.clone());
        let mut book = self.shown.book();
        let Some(stream) = book.open.get_mut(&self.number) else { return };
        stream.bytes += bytes.len() as u64;
        loop {
            match self.decoder.next_event() {
                Ok(Some(event)) => {
                    stream.note(event.event_type, event.data, event.last_event_id);
                }
                Ok(None) => break,
                // Too large to be looked into: what comes after it is.
                Err(_) => self.decoder = Decoder::new(),
            }
        }
        drop(book);
        self.shown.0.changed.send_replace(());
    }

    /// The client wants a feed no longer.
    pub(super) fn forget(&self, name: &str) {
        if let Some(stream) = self.shown.book().open.get_mut(&self.number) {
            stream.feeds.remove(name);
        }
        self.shown.0.changed.send_replace(());
    }
}

impl Drop for ReadAlong {
    fn drop(&mut self) {
        self.shown.book().open.remove(&self.number);
        self.shown.0.changed.send_replace(());
    }
}

impl Stream {
    fn note(&mut self, event_type: &str, data: &str, id: &str) {
        if let Some(control) = event_type.strip_prefix("mux/") {
            let Ok(said) = serde_json::from_str::<Said>(data) else { return };
            let feed = self.feeds.entry(said.feed).or_default();
            if control == "gap" {
                feed.gaps += 1;
            } else {
                feed.state = said.state;
                feed.why = said.status.map_or(said.reason, |status| status.to_string());
            }
            return;
        }
        let (name, kind) = event_type.split_once('#').unwrap_or((event_type, "message"));
        let feed = self.feeds.entry(name.to_owned()).or_default();
        feed.events += 1;
        kind.clone_into(&mut feed.kind);
        id.clone_into(&mut feed.id);
        feed.data = data.chars().take(MOST_DATA).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_shown_to_its_owner_while_it_is_open() {
        let shown = Shown::default();
        let ann = HeaderMap::from_iter([(COOKIE, "s=ann".parse().unwrap())]);
        let mut along = shown.open(&ann);
        along.read(&Bytes::from_static(
            b"event: mux/feed\ndata: {\"feed\":\"/a\",\"state\":\"open\"}\n\nevent: /a#x\nid: 1\nda",
        ));
        along.read(&Bytes::from_static(b"ta: hello\n\n"));
        let look = |headers| String::from_utf8(shown.look(shown.owner(headers)).to_vec()).unwrap();
        let seen = look(&ann);
        for part in ["\"state\":\"open\"", "\"events\":1", "\"kind\":\"x\"", "\"data\":\"hello\""] {
            assert!(seen.contains(part), "{part} in {seen}");
        }
        let nobody = HeaderMap::new();
        assert_eq!(look(&nobody), "data: []\n\n");
        along.forget("/a");
        assert!(look(&ann).contains("\"feeds\":{}"));
        drop(along);
        assert_eq!(look(&ann), "data: []\n\n");
    }
}
