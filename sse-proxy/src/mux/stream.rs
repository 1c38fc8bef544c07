//! [`Changing`]: a multiplexed stream, which its client can change.

use bytes::{Bytes, BytesMut};
use sse_layer::feed::Start;
use sse_layer::mux::{ChangeRequest, MuxStream, Piece, Place, Wanted, wire};

use super::Mux;
use crate::client::Client;
use crate::downstream::{Downstream, End};
use crate::hold;
use crate::limits::Seat;
use crate::request::Request;
use crate::visit::Visit;

/// What a stream is to read from now on, and what no longer, and the request that says so.
pub(super) struct Change {
    pub(super) asked: ChangeRequest,
    pub(super) request: Request,
}

/// A multiplexed stream, which its client can change.
pub(super) struct Changing {
    pub(super) mux: Mux,
    stream: MuxStream,
    place: Place<Box<Change>>,
}

/// What a stream goes on with.
enum Next {
    Piece(Piece),
    Lagged,
    Change(Box<Change>),
}

impl Changing {
    /// A stream of no feed yet, for a client that sent `after` as its position.
    pub(super) fn new(mux: Mux, after: &str, place: Place<Box<Change>>) -> Self {
        Self { mux, stream: MuxStream::new(after), place }
    }

    /// Adds a feed, or writes why it is not added.
    pub(super) fn add(
        &mut self,
        request: &Request,
        wanted: &Wanted,
        start: Start<'_>,
        out: &mut BytesMut,
    ) {
        if let Err(status) = self.mux.join(&mut self.stream, request, wanted, start) {
            wire::closed(out, &wanted.name, status);
        }
    }

    fn change(&mut self, Change { asked, request }: Change, out: &mut BytesMut) {
        for name in &asked.remove {
            self.stream.remove(name);
        }
        let epoch = self.mux.epoch();
        for wanted in &asked.add {
            if !self.stream.contains(&wanted.name) {
                let start = sse_layer::mux::Request::default();
                self.add(&request, wanted, start.start(wanted, epoch), out);
            }
        }
    }

    /// Begins to write the stream to its client, and leaves the rest to a task of its own.
    pub(super) async fn open(
        self,
        client: Client,
        begin: Bytes,
        seat: Seat,
        visit: Visit,
    ) -> pingora::Result<()> {
        let keep_alive = std::time::Duration::from_secs(15);
        let downstream =
            Downstream::open(client, &hold::headers(), begin, keep_alive, seat).await?;
        tokio::spawn(self.write(downstream, visit));
        Ok(())
    }

    async fn write(mut self, mut downstream: Downstream, mut visit: Visit) {
        let Err(end) = self.write_all(&mut downstream, &mut visit).await;
        visit.end(end);
        // Whatever becomes of the rest, nobody can change it any more.
        drop(self);
        downstream.end(end, Some(wire::bye().to_bytes())).await;
    }

    /// The client is kept even if every feed is over, as it would only ask for them again.
    async fn write_all(
        &mut self,
        downstream: &mut Downstream,
        visit: &mut Visit,
    ) -> Result<std::convert::Infallible, End> {
        loop {
            let piece = match downstream.wait(self.next()).await? {
                Next::Piece(piece) => piece,
                Next::Lagged => return Err(End::Lagged),
                Next::Change(change) => {
                    let mut told = BytesMut::new();
                    self.change(*change, &mut told);
                    Piece::of(told.freeze())
                }
            };
            let stream = &mut self.stream;
            let lagged = async {
                stream.lagged().await;
                End::Lagged
            };
            for _ in 0..piece.gaps {
                visit.gap();
            }
            for _ in 0..piece.lagged {
                visit.lagged();
            }
            let bytes = piece.bytes.len();
            downstream.write(piece.bytes, lagged).await?;
            visit.wrote(piece.events, bytes, None);
        }
    }

    /// Cancel safe.
    async fn next(&mut self) -> Next {
        tokio::select! {
            biased;
            change = self.place.next() => Next::Change(change),
            piece = self.stream.next() => piece.map_or(Next::Lagged, Next::Piece),
        }
    }
}
