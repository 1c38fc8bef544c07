//! [`Item`]: something that a reader is due.

use std::sync::Arc;

use super::{Entry, Missed, Status};

/// Something that a reader is due.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Item {
    /// An event. Those of one reader come in log order.
    Event {
        /// Which feed, as [`Reader::subscribe`](super::Reader::subscribe) numbered it.
        feed: usize,
        /// The event.
        entry: Arc<Entry>,
    },
    /// Events that the reader asked for no longer exist. Comes before all events of the feed.
    Gap {
        /// Which feed.
        feed: usize,
        /// How many, if that is known.
        missed: Option<u64>,
    },
    /// Events were passed over because the reader fell too far behind. Comes before the events
    /// after them.
    Lagged {
        /// Which feed.
        feed: usize,
        /// What it does not get.
        missed: Missed,
    },
    /// The feed's source has changed its state. Comes after the events from before the change.
    Status {
        /// Which feed.
        feed: usize,
        /// Its state.
        status: Status,
    },
}

impl Item {
    /// Which feed it is of, as [`Reader::subscribe`](super::Reader::subscribe) numbered it.
    #[must_use]
    pub const fn feed(&self) -> usize {
        match self {
            Self::Event { feed, .. }
            | Self::Gap { feed, .. }
            | Self::Lagged { feed, .. }
            | Self::Status { feed, .. } => *feed,
        }
    }

    /// Whether it says that its feed is over: nothing comes of that feed any more.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(self, Self::Status { status: Status::Closed { .. }, .. })
    }
}
