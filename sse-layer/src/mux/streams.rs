//! [`Streams`]: the open streams of a service, by name, for requests that change them.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use http::header::{AUTHORIZATION, COOKIE, ORIGIN};
use http::{HeaderMap, HeaderName, StatusCode};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Sid;

/// The most changes that wait for a stream to make them. More are refused: the client reads too
/// slowly to see what they do.
const MAX_WAITING: usize = 16;

/// The open streams of a service, by name. Clones share them.
///
/// Whoever opened a stream sends it changes (`C`), and nobody else: a stream belongs to the
/// credentials that it was opened with (`Authorization` and `Cookie`), of which hashes are kept,
/// and to the page's origin, if it was told.
///
/// ```
/// use http::HeaderMap;
/// use sse_layer::mux::{Refused, Streams};
///
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let (streams, anybody) = (Streams::new(), HeaderMap::new());
/// let mut entered = streams.enter(&anybody)?;
/// let sid = entered.sid();
/// streams.change(sid, &anybody, || "more").unwrap();
/// assert_eq!(entered.next().await, "more");
///
/// let somebody = HeaderMap::from_iter([(http::header::COOKIE, "s=1".parse()?)]);
/// assert_eq!(streams.change(sid, &somebody, || "less"), Err(Refused::NotTheirs));
/// drop(entered);
/// assert_eq!(streams.change(sid, &anybody, || "less"), Err(Refused::Unknown));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Streams<C>(Arc<Shared<C>>);

struct Shared<C> {
    open: Mutex<HashMap<Sid, (Sender<C>, Client)>>,
    /// For the hashes in [`Client`].
    keyed: RandomState,
}

/// Who opened a stream: hashes of the credentials and of the origin.
struct Client {
    credentials: u64,
    origin: Option<u64>,
}

/// A stream's entry, for as long as it is open.
pub struct Entered<C> {
    streams: Streams<C>,
    sid: Sid,
    changes: Receiver<C>,
}

/// Why a stream is not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// There is no such stream: it has ended, or is another process's.
    Unknown,
    /// It was opened with other credentials, or by a page of another origin.
    NotTheirs,
    /// It has too many changes to make.
    Busy,
}

impl Refused {
    /// The status to answer with.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::NotTheirs => StatusCode::FORBIDDEN,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// A line of text to answer with.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unknown => "There is no such stream: open one anew.\n",
            Self::NotTheirs => "The stream is another client's.\n",
            Self::Busy => "The stream is read too slowly to be changed now.\n",
        }
    }
}

impl<C> Streams<C> {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared { open: Mutex::default(), keyed: RandomState::new() }))
    }

    /// A new stream, for whoever sent a request with these header fields.
    ///
    /// # Errors
    ///
    /// That of the operating system, if it has no random numbers to make a name of.
    pub fn enter(&self, headers: &HeaderMap) -> io::Result<Entered<C>> {
        let (sender, changes) = channel(MAX_WAITING);
        let sid = Sid::random()?;
        self.lock().insert(sid, (sender, self.client(headers)));
        Ok(Entered { streams: self.clone(), sid, changes })
    }

    /// Sends a change to the stream of this name, for whoever sent a request with these header
    /// fields. It is made only if that is allowed.
    ///
    /// # Errors
    ///
    /// [`Refused`] says why the stream does not get it.
    pub fn change(
        &self,
        sid: Sid,
        headers: &HeaderMap,
        make: impl FnOnce() -> C,
    ) -> Result<(), Refused> {
        let changes = self.admit(sid, headers)?;
        let room = changes.try_reserve().map_err(|error| match error {
            TrySendError::Full(()) => Refused::Busy,
            TrySendError::Closed(()) => Refused::Unknown,
        })?;
        room.send(make());
        Ok(())
    }

    /// Whether whoever sent a request with these header fields may change the stream.
    fn admit(&self, sid: Sid, headers: &HeaderMap) -> Result<Sender<C>, Refused> {
        let client = self.client(headers);
        let open = self.lock();
        let (changes, owner) = open.get(&sid).ok_or(Refused::Unknown)?;
        // Browsers send no origin with a GET to their own, and always with a POST.
        let is_owner = owner.credentials == client.credentials
            && (owner.origin.is_none() || owner.origin == client.origin);
        if is_owner { Ok(changes.clone()) } else { Err(Refused::NotTheirs) }
    }

    fn client(&self, headers: &HeaderMap) -> Client {
        let all = |name: HeaderName| headers.get_all(name).iter().collect::<Vec<_>>();
        let credentials = self.0.keyed.hash_one((all(AUTHORIZATION), all(COOKIE)));
        let origin = headers.get(ORIGIN).map(|origin| self.0.keyed.hash_one(origin));
        Client { credentials, origin }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Sid, (Sender<C>, Client)>> {
        // Each change is complete before anything can panic.
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Entered<C> {
    /// The stream's name.
    #[must_use]
    pub const fn sid(&self) -> Sid {
        self.sid
    }

    /// The next change that its client wants.
    ///
    /// Cancel safe: nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> C {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// The poll form of [`next`](Self::next).
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<C> {
        match self.changes.poll_recv(cx) {
            Poll::Ready(Some(change)) => Poll::Ready(change),
            // The sender is there for as long as this is.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

impl<C> Drop for Entered<C> {
    fn drop(&mut self) {
        self.streams.lock().remove(&self.sid);
    }
}

impl<C> Clone for Streams<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> Default for Streams<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> fmt::Debug for Streams<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").field("open", &self.lock().len()).finish_non_exhaustive()
    }
}

impl<C> fmt::Debug for Entered<C> {
    /// Without the name, which is a secret of the client's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entered").finish_non_exhaustive()
    }
}
