//! [`Changing`]: a multiplexed stream, which its client can change.

use std::convert::Infallible;
use std::time::Duration;

use bytes::BytesMut;
use sse_layer::mux::{self, ChangeRequest, Entered, MuxStream, Piece, Wanted, wire};
use tokio::sync::OwnedSemaphorePermit;

use super::catch_ups::{CatchUps, CaughtUp};
use super::shown::ReadAlong;
use super::{Mux, Opened};
use crate::client::Client;
use crate::downstream::Downstream;
use crate::hold;
use crate::limits::Seat;
use crate::request::Request;
use crate::stream::{End, jitter};
use crate::visit::Visit;

/// The reconnection time of multiplexed streams.
const RETRY: Duration = Duration::from_secs(3);

/// The silence after which a comment is sent.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a client may take for what is written at once, and a second more for each 64 KiB.
const LEAST_PATIENCE: Duration = Duration::from_secs(5);

/// What a stream is to read from now on, and what no longer, and the request that says so.
pub(super) struct Change {
    pub(super) asked: ChangeRequest,
    pub(super) request: Request,
}

/// A multiplexed stream, which its client can change.
pub(crate) struct Changing {
    mux: Mux,
    stream: MuxStream,
    entered: Entered<Box<Change>>,
    /// What is told before anything else.
    told: BytesMut,
    visit: Visit,
    shown: Option<ReadAlong>,
    /// What is missing of a feed is sent before anything else that has a position.
    catch_ups: CatchUps,
    /// Held until what was fetched has been sent.
    turn: Option<OwnedSemaphorePermit>,
}

/// What a stream goes on with.
enum Next {
    Piece(Piece),
    Change(Box<Change>),
    CaughtUp(Option<CaughtUp>),
}

impl Changing {
    /// A stream of what is asked for.
    pub(super) fn open(
        mux: &Mux,
        entered: Entered<Box<Change>>,
        request: &Request,
        asked: &mux::Request,
    ) -> Self {
        // Read before the feeds are joined, or something might come in between that is neither
        // after the one nor in the others.
        let at = mux.feeds.log().cursor();
        let resumed = asked.resumes(at.epoch);
        let mut visit = Visit::open(mux.feeds.records().counts(&mux.path), None, request);
        if resumed {
            visit.resumes();
        }
        let mut told = BytesMut::new();
        let at = asked.is_live(at.epoch).then_some(at);
        wire::open(&mut told, jitter(RETRY), &entered.sid().to_string(), resumed, at);
        let stream = MuxStream::new();
        let shown = mux.shown.as_ref().map(|shown| shown.open(&request.headers));
        let (mux, catch_ups, turn) = (mux.clone(), CatchUps::default(), None);
        let mut changing = Self { mux, stream, entered, told, visit, shown, catch_ups, turn };
        for wanted in &asked.feeds {
            changing.add(request, asked, wanted);
        }
        changing
    }

    /// Adds a feed, or tells why it is not added.
    fn add(&mut self, request: &Request, asked: &mux::Request, wanted: &Wanted) {
        let Self { mux, stream, catch_ups, .. } = self;
        if let Err(status) = mux.join(stream, catch_ups, request, asked, wanted) {
            wire::closed(&mut self.told, &wanted.name, status);
        }
    }

    fn change(&mut self, Change { asked, request }: &Change) {
        for name in &asked.remove {
            self.stream.remove(name);
            self.catch_ups.forget(name);
            if let Some(shown) = &self.shown {
                shown.forget(name);
            }
        }
        for wanted in &asked.add {
            if !self.stream.contains(&wanted.name) {
                // From its own last id: the stream's position was never asked for it.
                self.add(request, &mux::Request::default(), wanted);
            }
        }
    }

    /// The next piece.
    ///
    /// Cancel safe.
    async fn next(&mut self) -> Piece {
        loop {
            if !self.told.is_empty() {
                return Piece::of(self.told.split().freeze());
            }
            self.turn = None;
            let is_caught_up = self.catch_ups.is_empty();
            let next = tokio::select! {
                biased;
                change = self.entered.next() => Next::Change(change),
                caught_up = self.catch_ups.next(), if !is_caught_up => Next::CaughtUp(caught_up),
                piece = self.stream.next(), if is_caught_up => Next::Piece(piece),
            };
            match next {
                Next::Piece(piece) => return piece,
                Next::Change(change) => self.change(&change),
                Next::CaughtUp(caught_up) => {
                    let piece = caught_up.map(|caught_up| self.close_gap(caught_up));
                    if let Some(piece) = piece.filter(|piece| !piece.bytes.is_empty()) {
                        return piece;
                    }
                }
            }
        }
    }

    /// What a feed's client has missed. Nothing if it is not to be had: then it is told of the gap.
    fn close_gap(&mut self, CaughtUp { of, missed }: CaughtUp) -> Piece {
        let Some((missed, met)) = missed else { return Piece::default() };
        self.visit.caught_up();
        let (entries, turn) = missed.into_entries(of.after, of.id);
        self.turn = Some(turn);
        self.stream.close_gap(&of.name, entries, met)
    }

    async fn write(mut self, mut downstream: Downstream) {
        let Err(end) = self.write_all(&mut downstream).await;
        self.visit.end(end);
        // Whatever becomes of the rest, nobody can change it any more, and no feed is read for it.
        drop((self.stream, self.entered, self.shown, self.catch_ups, self.turn));
        downstream.end(end, Some(wire::bye().to_bytes())).await;
    }

    /// The client is kept even if every feed is over, as it would only ask for them again.
    async fn write_all(&mut self, downstream: &mut Downstream) -> Result<Infallible, End> {
        loop {
            let piece = downstream.wait(self.next()).await?;
            for _ in 0..piece.gaps {
                self.visit.gap();
            }
            for _ in 0..piece.lagged {
                self.visit.lagged();
            }
            if let Some(shown) = &mut self.shown {
                shown.read(&piece.bytes);
            }
            let bytes = piece.bytes.len();
            downstream.write(piece.bytes, stuck(&mut self.stream, bytes)).await?;
            self.visit.wrote(piece.events, bytes, piece.published.map(Into::into));
        }
    }
}

impl Opened {
    /// Begins to write the stream to its client, and leaves the rest to a task of its own.
    pub(crate) async fn write(self, client: Client, seat: Seat) -> pingora::Result<()> {
        let Self { mut stream, headers: permit } = self;
        let mut headers = hold::headers();
        headers.extend(permit);
        let begin = stream.told.split().freeze();
        if let Some(shown) = &mut stream.shown {
            shown.read(&begin);
        }
        let downstream = Downstream::open(client, &headers, begin, KEEP_ALIVE, seat).await?;
        tokio::spawn(stream.write(downstream));
        Ok(())
    }
}

/// Resolves when a client is to be given up that has not taken so many bytes for so long that it
/// is too far behind in a feed. One that is slow but goes on is not: it is told what it misses of
/// a feed, and a large event is no reason to end all others.
async fn stuck(stream: &mut MuxStream, bytes: usize) -> End {
    tokio::time::sleep(LEAST_PATIENCE + Duration::from_secs((bytes >> 16) as u64)).await;
    stream.lagged().await;
    End::Lagged
}
