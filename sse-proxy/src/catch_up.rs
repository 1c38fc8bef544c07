//! `resume = "origin"`: what a reader has missed and history no longer has, fetched by a request of
//! its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sse_layer::Frame;
use sse_layer::feed::{CatchUp, Cursor, Entry, Reader, Start};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::config::{Resume, Route};
use crate::feeds::{Feeds, Joined};
use crate::frames::Frames;
use crate::origin::{Answer, Intake, Response};
use crate::request::Request;
use crate::source::for_clients;

/// How long it may take, the waiting included, and then again until the reader has taken it all.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The silence after which an origin is believed to have sent all that it had.
const QUIET: Duration = Duration::from_secs(1);

/// What a reader has missed, which it must be sent before anything else of the feed.
pub(crate) struct Missed {
    frames: Vec<Frame>,
    turn: OwnedSemaphorePermit,
}

impl Missed {
    /// The same as entries of a multiplexed stream, which is at `after` until they have been sent.
    /// `id` is that of the event before them.
    pub(crate) fn into_entries(
        self,
        after: Cursor,
        mut id: Bytes,
    ) -> (impl Iterator<Item = Entry>, OwnedSemaphorePermit) {
        let entries = self.frames.into_iter().map(move |frame| {
            if let Some(own) = frame.id() {
                id = Bytes::copy_from_slice(own);
            }
            Entry::caught_up(after, frame, id.clone())
        });
        (entries, self.turn)
    }

    /// How many events it is, all of it as bytes, and what must be held until they have been sent.
    pub(crate) fn into_parts(self) -> (u64, Bytes, OwnedSemaphorePermit) {
        let mut frames = Frames::default();
        for frame in self.frames {
            let is_event = frame.has_data();
            let frame = frame.into_bytes();
            if is_event { frames.push_event(frame) } else { frames.push(frame) }
        }
        (frames.events(), frames.into_bytes(), self.turn)
    }
}

/// Closes a gap that `reader` is about to be told of: fetches what it has missed since the event
/// with this id, and moves it to where its feed goes on. `None` if there is no gap, or none that
/// can be closed: then the reader is told of it.
pub(crate) async fn catch_up(
    feeds: &Feeds,
    route: &Route,
    request: &Request,
    joined: &Joined,
    reader: &mut Reader,
    last_event_id: &[u8],
) -> Option<Missed> {
    if !may_catch_up(route, last_event_id) || !reader.has_gap(joined.number) {
        return None;
    }
    let (missed, met) = missed(feeds, route, request, joined, last_event_id).await?;
    reader.resubscribe(joined.number, Start::After(met));
    // What the feed has lost in the meantime is told as a gap of its own.
    Some(missed)
}

/// Whether the origin may be asked for what came after the event with this id: not if it is ours.
pub(crate) fn may_catch_up(route: &Route, last_event_id: &[u8]) -> bool {
    let is_ours = std::str::from_utf8(last_event_id).is_ok_and(|id| id.parse::<Cursor>().is_ok());
    route.resume == Resume::Origin && !last_event_id.is_empty() && !is_ours
}

/// What came after the event with this id, and where the feed goes on after it. `None` if that is
/// not to be had.
pub(crate) async fn missed(
    feeds: &Feeds,
    route: &Route,
    request: &Request,
    joined: &Joined,
    last_event_id: &[u8],
) -> Option<(Missed, Cursor)> {
    let turns = feeds.turns().of(route);
    let fetched = timeout(PATIENCE, async {
        let turn = turns.acquire_owned().await.map_err(|error| error.to_string())?;
        let (frames, met) = fetch(feeds, route, request, joined, last_event_id).await?;
        Ok((Missed { frames, turn }, met))
    });
    let why = match fetched.await {
        Ok(Ok(missed)) => return Some(missed),
        Ok(Err(why)) => why,
        Err(_) => "it took too long".to_owned(),
    };
    tracing::info!(route = %route.path, upstream = %route.upstream, why, "a reader cannot be caught up with");
    None
}

/// Asks the origin to go on after an event, until what it sends meets the feed.
async fn fetch(
    feeds: &Feeds,
    route: &Route,
    request: &Request,
    joined: &Joined,
    last_event_id: &[u8],
) -> Result<(Vec<Frame>, Cursor), String> {
    let mut catch_up = CatchUp::new(&joined.feed, last_event_id, route.history.bytes.0);
    let request = request.shared(route);
    let asked = async {
        let response = feeds.origins().open(route, &request, last_event_id).await?;
        Answer::of(response, route, &request, |odd| joined.record.odd(&odd)).await
    };
    let (mut response, mut head) = match asked.await.map_err(|error| error.to_string())? {
        Answer::Stream(response, head) => (response, head),
        Answer::Other(response) => return Err(format!("status {}", response.status)),
    };
    let record = Arc::clone(&joined.record);
    let mut intake = Intake::new(&mut head, route.repair, feeds.event_bytes(), record);
    loop {
        let Some(has_more) = next(&mut response, &mut intake).await? else {
            match catch_up.rest() {
                Some(met) => return Ok((catch_up.into_frames(), met)),
                None => continue,
            }
        };
        while let Some(frame) = intake.next_frame().map_err(|error| error.to_string())? {
            let met = catch_up.push(for_clients(route, frame)).map_err(|why| why.to_string())?;
            if let Some(met) = met {
                return Ok((catch_up.into_frames(), met));
            }
        }
        if !has_more {
            let met = catch_up.rest();
            let met = met.ok_or("the origin ended before it met the feed")?;
            return Ok((catch_up.into_frames(), met));
        }
    }
}

/// Takes the next piece of the answer, and tells whether it was not the last; `None` in silence.
async fn next(response: &mut Response, intake: &mut Intake) -> Result<Option<bool>, String> {
    let Ok(chunk) = timeout(QUIET, response.chunk()).await else { return Ok(None) };
    let chunk = chunk.map_err(|error| error.to_string())?;
    let has_more = chunk.is_some();
    match chunk {
        Some(chunk) => intake.push(chunk),
        None => intake.finish(response.is_delimited()),
    }
    Ok(Some(has_more))
}
