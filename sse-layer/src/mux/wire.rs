//! The bytes of a multiplexed stream: wire format v1. Pure: from items to bytes.

use std::time::Duration;

use bytes::{BufMut, BytesMut};
use serde::Serialize;
use slab::Slab;

use super::FeedName;
use crate::feed::{Cursor, Item, Missed, Status};
use crate::{Event, EventType};

/// Writes the begin of a stream: the reconnection time and `mux/open`, in one block.
///
/// `sid` names the stream, for requests that change what it reads. `resumed` says whether the
/// client goes on from the position that it sent. `at` is where in the log the stream begins: a
/// client that is cut off before the first event goes on from there. There is none to tell while
/// the client has yet to get what came before.
///
/// ```
/// use std::time::Duration;
/// use bytes::BytesMut;
/// use sse_layer::mux::wire;
///
/// let mut out = BytesMut::new();
/// wire::open(&mut out, Duration::from_secs(3), "9f2c", false, None);
/// assert_eq!(
///     out,
///     "retry: 3000\nevent: mux/open\ndata: {\"v\":1,\"sid\":\"9f2c\",\"resumed\":false}\n\n"
/// );
/// ```
pub fn open(out: &mut BytesMut, retry: Duration, sid: &str, resumed: bool, at: Option<Cursor>) {
    Event::new().retry(retry).encode(out);
    // The blank line belongs after the control event that follows.
    out.truncate(out.len().saturating_sub(1));
    let open = control("mux/open", &Open { v: 1, sid, resumed });
    match at.map(|at| at.to_string().try_into()) {
        Some(Ok(id)) => open.id(id).encode(out),
        _ => open.encode(out),
    }
}

/// Writes that a feed is over, with the HTTP status that a request for it alone would get.
///
/// ```
/// use bytes::BytesMut;
/// use sse_layer::mux::wire;
///
/// let mut out = BytesMut::new();
/// wire::closed(&mut out, "/gone", 404);
/// assert_eq!(
///     out,
///     "event: mux/feed\ndata: {\"feed\":\"/gone\",\"state\":\"closed\",\"status\":404}\n\n"
/// );
/// ```
pub fn closed(out: &mut BytesMut, feed: &str, status: u16) {
    state(out, &State { status: Some(status), ..State::of(feed, "closed") });
}

/// The event before a planned end of the stream. Where [`SseLayer`](crate::SseLayer) ends it, the
/// layer can be given this as [farewell](crate::SseLayer::farewell).
///
/// ```
/// assert_eq!(sse_layer::mux::wire::bye().to_bytes(), "event: mux/bye\ndata: {}\n\n");
/// ```
pub fn bye() -> Event {
    control("mux/bye", &serde_json::Map::new())
}

/// Writes what one reader is due, under the names that the reader's client has for the feeds.
///
/// ```
/// use bytes::BytesMut;
/// use sse_layer::Event;
/// use sse_layer::feed::{FeedOptions, Lag, Log, Reader, Start};
/// use sse_layer::mux::wire::Encoder;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let log = Log::new();
/// let (orders, prices) = (log.feed(FeedOptions::default()), log.feed(FeedOptions::default()));
///
/// let (mut reader, mut encoder) = (Reader::new(Lag::default()), Encoder::new());
/// for (name, feed) in [("/orders", &orders), ("/prices", &prices)] {
///     reader.subscribe(feed, Start::Live);
///     encoder.add(name.try_into()?, "");
/// }
/// prices.publish(Event::new().event("update".try_into()?).id(17.into()).data("10.5"));
/// let cursor = log.cursor();
///
/// let (mut items, mut out) = (Vec::new(), BytesMut::new());
/// reader.next(&mut items).await?;
/// items.iter().for_each(|item| encoder.encode(&mut out, item));
/// // After what there is to tell of the feeds themselves:
/// let event = format!("event: /prices#update\nid: {cursor} 17\ndata: 10.5\n\n");
/// assert!(out.ends_with(event.as_bytes()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    /// By the reader's numbers, which are given in the same way.
    names: Slab<Named>,
}

#[derive(Clone, Debug)]
struct Named {
    name: FeedName,
    /// What the client said to go on from.
    asked: String,
    /// The position of the last event that it has been sent.
    last: Option<Cursor>,
    is_private: bool,
}

impl Encoder {
    /// For a reader of no feed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the feed that the reader subscribes to next, and returns the number that the reader
    /// gives to that feed. `after` is what the client said to go on from, empty if nothing: it is
    /// told if there is a gap.
    pub fn add(&mut self, name: FeedName, after: impl Into<String>) -> usize {
        self.names.insert(Named { name, asked: after.into(), last: None, is_private: false })
    }

    /// Has the client told that a feed is private: opened for this stream alone, so that another
    /// reader of it would not hear the same.
    pub fn mark_private(&mut self, name: &str) {
        for (_, known) in &mut self.names {
            known.is_private |= known.name.as_str() == name;
        }
    }

    /// Forgets the name of a feed that the reader unsubscribes from, and returns the number that
    /// the reader knows it by; `None` if there is none of that name.
    pub fn remove(&mut self, name: &str) -> Option<usize> {
        let number = self.number(name)?;
        self.names.try_remove(number).map(|_| number)
    }

    /// The number that the reader knows the feed of this name by, if there is one.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<usize> {
        self.names.iter().find(|(_, known)| known.name.as_str() == name).map(|(number, _)| number)
    }

    /// Whether a feed has this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.number(name).is_some()
    }

    /// How many feeds have a name.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether no feed has a name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Appends the frame of an item to `out`; nothing for an item that the format has no words
    /// for, such as an event without data.
    pub fn encode(&mut self, out: &mut BytesMut, item: &Item) {
        let Some(Named { name, asked, last, is_private }) = self.names.get_mut(item.feed()) else {
            return;
        };
        let name = name.as_str();
        match item {
            Item::Event { entry, .. } => {
                *last = Some(entry.cursor());
                if let Some(tail) = entry.mux_tail() {
                    out.reserve("event: ".len() + name.len() + tail.len());
                    out.put_slice(b"event: ");
                    out.put_slice(name.as_bytes());
                    out.put_slice(tail);
                }
            }
            Item::Gap { missed, .. } => {
                let last = last.map(|last| last.to_string());
                let gap =
                    Gap { feed: name, after: last.as_ref().unwrap_or(asked), missed: *missed };
                control("mux/gap", &gap).encode(out);
            }
            Item::Lagged { missed, .. } => {
                control(format!("{name}#{}", Missed::TYPE), missed).encode(out);
            }
            Item::Status { status, .. } => {
                let of = |name| State { private: *is_private, ..State::of(name, "") };
                match status {
                    Status::Open => state(out, &State { state: "open", ..of(name) }),
                    // The first attempt is no news.
                    Status::Connecting { reason, .. } if reason.is_empty() => {}
                    Status::Connecting { reason, retry } => {
                        let (reason, retry) =
                            (Some(&**reason), u64::try_from(retry.as_millis()).ok());
                        state(out, &State { state: "connecting", reason, retry, ..of(name) });
                    }
                    Status::Closed { status } => {
                        state(out, &State { state: "closed", status: Some(*status), ..of(name) });
                    }
                }
            }
        }
    }
}

/// The data of `mux/open`.
#[derive(Serialize)]
struct Open<'a> {
    v: u8,
    sid: &'a str,
    resumed: bool,
}

/// The data of `mux/feed`.
#[derive(Default, Serialize)]
struct State<'a> {
    feed: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    private: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
}

impl<'a> State<'a> {
    fn of(feed: &'a str, state: &'static str) -> Self {
        Self { feed, state, ..Self::default() }
    }
}

/// The data of `mux/gap`.
#[derive(Serialize)]
struct Gap<'a> {
    feed: &'a str,
    after: &'a str,
    missed: Option<u64>,
}

fn state(out: &mut BytesMut, state: &State<'_>) {
    control("mux/feed", state).encode(out);
}

/// An event of the stream itself, without an id.
fn control<T>(event_type: T, data: &impl Serialize) -> Event
where
    T: TryInto<EventType>,
{
    // Names have no line break, and what is serialised here has string keys only.
    let event_type = event_type.try_into().unwrap_or_default();
    Event::new().event(event_type).json(data).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(item: &Item) -> String {
        let mut encoder = Encoder::new();
        encoder.add(name("/a"), "8c1f02aa.7 x");
        encoder.add(name("/b?q=1"), "");
        let mut out = BytesMut::new();
        encoder.encode(&mut out, item);
        String::from_utf8(out.to_vec()).unwrap()
    }

    fn feed_state(data: &str) -> String {
        format!("event: mux/feed\ndata: {data}\n\n")
    }

    fn name(name: &str) -> FeedName {
        name.try_into().unwrap()
    }

    #[test]
    fn states_say_as_much_as_there_is_to_say() {
        let status = |status| encoded(&Item::Status { feed: 1, status });
        assert_eq!(status(Status::Open), feed_state(r#"{"feed":"/b?q=1","state":"open"}"#));
        let connecting = |reason: &'static str| Status::Connecting {
            reason: reason.into(),
            retry: Duration::from_millis(1500),
        };
        assert_eq!(status(connecting("")), "");
        assert_eq!(
            status(connecting("it \"broke\"")),
            feed_state(
                r#"{"feed":"/b?q=1","state":"connecting","reason":"it \"broke\"","retry":1500}"#
            )
        );
        assert_eq!(
            status(Status::Closed { status: 204 }),
            feed_state(r#"{"feed":"/b?q=1","state":"closed","status":204}"#)
        );
    }

    #[test]
    fn a_private_feed_is_told_from_a_shared_one() {
        let mut encoder = Encoder::new();
        encoder.add(name("/a"), "");
        encoder.add(name("/b"), "");
        encoder.mark_private("/b");
        let mut out = BytesMut::new();
        for feed in [0, 1] {
            encoder.encode(&mut out, &Item::Status { feed, status: Status::Open });
        }
        let expected = feed_state(r#"{"feed":"/a","state":"open"}"#)
            + &feed_state(r#"{"feed":"/b","state":"open","private":true}"#);
        assert_eq!(out, expected);
    }

    #[test]
    fn what_is_missed_is_told_under_the_feeds_name() {
        assert_eq!(
            encoded(&Item::Gap { feed: 0, missed: None }),
            "event: mux/gap\n\
             data: {\"feed\":\"/a\",\"after\":\"8c1f02aa.7 x\",\"missed\":null}\n\n"
        );
        let missed = Missed { count: 3, first: "17".into() };
        assert_eq!(
            encoded(&Item::Lagged { feed: 0, missed }),
            "event: /a#lagged\ndata: {\"missed\":3,\"first\":\"17\"}\n\n"
        );
    }

    #[test]
    fn a_feed_without_a_name_is_not_spoken_of() {
        assert_eq!(encoded(&Item::Gap { feed: 2, missed: None }), "");
    }
}
