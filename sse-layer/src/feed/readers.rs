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
pub struct Readers(pub(super) watch::Receiver<usize>);

impl Readers {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        *self.0.borrow()
    }

    /// Waits until there are as many as `enough` says, and returns how many that is. When the last
    /// handle to the feed is gone, so is every reader: then it returns what was there last.
    ///
    /// Cancel safe.
    pub async fn wait_for(&mut self, mut enough: impl FnMut(usize) -> bool) -> usize {
        let reached = self.0.wait_for(|count| enough(*count)).await.map(|count| *count);
        reached.unwrap_or_else(|_| self.count())
    }
}
