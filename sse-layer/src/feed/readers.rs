//! [`Readers`]: how many readers a feed has.

use tokio::sync::watch;

/// How many readers a feed has, now and whenever it changes: from [`Feed::readers`](super::Feed::readers).
///
/// ```
/// use sse_layer::feed::{FeedOptions, Log};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let feed = Log::new().feed(FeedOptions::default());
/// let mut readers = feed.readers();
/// assert_eq!(readers.count(), 0);
/// let stream = feed.stream(None);
/// assert_eq!(readers.wait_for(|count| count > 0).await, 1);
/// drop(stream);
/// assert_eq!(readers.wait_for(|count| count == 0).await, 0);
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Readers {
    pub(super) count: watch::Receiver<usize>,
    /// Whether there are any: changed only by the first and the last.
    pub(super) any: watch::Receiver<bool>,
}

impl Readers {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// Waits until there are as many as `enough` says, and returns how many that is. When the last
    /// handle to the feed is gone, so is every reader: then it returns what was there last.
    ///
    /// Cancel safe.
    pub async fn wait_for(&mut self, mut enough: impl FnMut(usize) -> bool) -> usize {
        let reached = self.count.wait_for(|count| enough(*count)).await.map(|count| *count);
        reached.unwrap_or_else(|_| self.count())
    }

    /// Waits until there are any, or until there are none. Who waits for this is woken by the first
    /// reader to come and the last to go, and not by the thousands between them.
    ///
    /// Cancel safe.
    pub async fn wait_for_any(&mut self, any: bool) {
        // Without a handle to the feed there are none.
        if self.any.wait_for(|has_any| *has_any == any).await.is_err() && any {
            std::future::pending::<()>().await;
        }
    }
}
