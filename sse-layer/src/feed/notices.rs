//! [`Notices`]: what a response made of feeds has for its observers.

use std::mem;
use std::sync::{Arc, Mutex};

use super::log::lock;

/// Travels with the response as an extension, as the body's bytes do not tell. Nothing grows in
/// it if nobody looks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notices(Arc<Mutex<Notice>>);

/// What has happened since it was asked last.
#[derive(Debug, Default)]
pub(crate) struct Notice {
    /// How often the client was told of a gap.
    pub(crate) gaps: u64,
    /// How many events it was too slow for, if it was.
    pub(crate) missed: Option<u64>,
    /// Whether the stream has ended because it was.
    pub(crate) has_ended: bool,
}

impl Notices {
    pub(super) fn gap(&self) {
        self.add(1, None);
    }

    pub(super) fn missed(&self, count: u64) {
        self.add(0, Some(count));
    }

    /// So many gaps, and, of a client that was too slow, how many events it was passed over for.
    pub(crate) fn add(&self, gaps: u64, missed: Option<u64>) {
        if gaps == 0 && missed.is_none() {
            return;
        }
        let mut notice = lock(&self.0);
        notice.gaps += gaps;
        if let Some(count) = missed {
            *notice.missed.get_or_insert(0) += count;
        }
    }

    /// The client is to come back for what it missed.
    pub(super) fn ended(&self) {
        self.missed(0);
        lock(&self.0).has_ended = true;
    }

    pub(crate) fn take(&self) -> Notice {
        mem::take(&mut *lock(&self.0))
    }
}
