//! [`Reading`]: a client that reads a feed that others read too, its head written.

use sse_layer::feed::Reader;
use tokio::time::timeout;

use crate::catch_up::{Missed, PATIENCE};
use crate::downstream::Downstream;
use crate::handover::Handover;
use crate::hub::{Batch, Hub, Newcomer, Supply};
use crate::limits::Seat;
use crate::stream::End;
use crate::subscriber::Subscriber;
use crate::visit::Visit;

/// A client that reads a feed that others read too, its head written.
pub(crate) struct Reading {
    reader: Reader,
    /// What it gets before anything else.
    missed: Option<Missed>,
    visit: Visit,
}

impl Reading {
    pub(crate) fn new(reader: Reader, missed: Option<Missed>, mut visit: Visit) -> Self {
        if missed.is_some() {
            visit.caught_up();
        }
        Self { reader, missed, visit }
    }

    /// Leaves the stream to the hub, when the client has what it has missed.
    pub(crate) async fn hand_over(
        self,
        mut handover: Handover,
        hub: &Hub,
        subscriber: Subscriber,
        seat: Seat,
    ) -> pingora::Result<()> {
        let Self { reader, missed, mut visit } = self;
        if let Some(missed) = missed {
            let (events, frames, _turn) = missed.into_parts();
            let bytes = frames.len();
            if !matches!(timeout(PATIENCE, handover.write(frames)).await, Ok(Ok(()))) {
                return Ok(());
            }
            visit.wrote(events, bytes, None);
        }
        let (io, framing) = handover.into_parts()?;
        let Subscriber { route, joined, .. } = subscriber;
        let from = Supply::Feed { feed: joined.feed, pace: joined.pace, reader };
        hub.adopt(Newcomer { io, framing, from, route, seat, visit });
        Ok(())
    }

    /// Writes the stream to its end. `behind`: who has come back while its origin is away, which
    /// then is to be asked first.
    pub(crate) async fn run(mut self, mut downstream: Downstream, behind: Option<Box<Subscriber>>) {
        let end = match self.write_all(&mut downstream, behind).await {
            Ok(end) | Err(end) => end,
        };
        self.visit.end(end);
        downstream.end(end, None).await;
    }

    async fn write_all(
        &mut self,
        downstream: &mut Downstream,
        behind: Option<Box<Subscriber>>,
    ) -> Result<End, End> {
        let Self { reader, missed, visit } = self;
        if let Some(mut subscriber) = behind {
            let asked = Box::pin(subscriber.missed_in_the_end(reader));
            *missed = downstream.wait(asked).await?;
            if missed.is_some() {
                visit.caught_up();
            }
        }
        if let Some(missed) = missed.take() {
            let (events, frames, _turn) = missed.into_parts();
            let bytes = frames.len();
            downstream.write(frames, lagged(reader)).await?;
            visit.wrote(events, bytes, None);
        }
        let mut items = Vec::new();
        loop {
            if downstream.wait(reader.next(&mut items)).await?.is_err() {
                return Err(End::Lagged);
            }
            let mut due = items.drain(..);
            while due.len() > 0 {
                let batch = Batch::take(&mut due);
                downstream.write(batch.frames.clone(), lagged(reader)).await?;
                batch.note_alone(visit);
                if batch.is_last {
                    return Ok(End::OriginEnded);
                }
            }
        }
    }
}

/// Gives a reader up for which there is too much behind what is being written.
async fn lagged(reader: &mut Reader) -> End {
    reader.lagged().await;
    End::Lagged
}
