//! [`Streams`]: the open streams of a service, by name, for requests that change them.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::header::{AUTHORIZATION, COOKIE, ORIGIN};
use http::request::Parts;
use http::{HeaderName, StatusCode};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Wanted;
use super::sid::Sid;
use crate::feed::Feed;

/// The most changes that wait for a stream to make them. More are refused: the client reads too
/// slowly to see what they do.
const MAX_WAITING: usize = 16;

/// The open streams of a service. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Streams(Arc<Shared>);

#[derive(Default)]
struct Shared {
    open: Mutex<HashMap<Sid, (Sender<Change>, Client)>>,
    /// For the hashes in [`Client`].
    keyed: RandomState,
}

/// What a stream is to read from now on, and what no longer.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) add: Vec<(Wanted, Result<Feed, StatusCode>)>,
    pub(super) remove: Vec<String>,
}

/// Who opened a stream: hashes of the credentials and of the origin.
struct Client {
    credentials: u64,
    origin: Option<u64>,
}

/// A stream's entry, for as long as it is open.
pub(super) struct Place {
    streams: Streams,
    sid: Sid,
    changes: Receiver<Change>,
}

impl Streams {
    /// A new stream, for whoever sent the request with this head.
    pub(super) fn enter(&self, parts: &Parts) -> Place {
        let (sender, changes) = channel(MAX_WAITING);
        let sid = Sid::random();
        self.lock().insert(sid, (sender, self.client(parts)));
        Place { streams: self.clone(), sid, changes }
    }

    /// Whether whoever sent the request with this head may change the stream.
    ///
    /// # Errors
    ///
    /// 404 if there is no such stream, 403 if it is another client's.
    pub(super) fn admit(&self, sid: Sid, parts: &Parts) -> Result<Sender<Change>, StatusCode> {
        let client = self.client(parts);
        let open = self.lock();
        let (changes, owner) = open.get(&sid).ok_or(StatusCode::NOT_FOUND)?;
        // Browsers send no origin with a GET to their own, and always with a POST.
        let is_owner = owner.credentials == client.credentials
            && (owner.origin.is_none() || owner.origin == client.origin);
        if is_owner { Ok(changes.clone()) } else { Err(StatusCode::FORBIDDEN) }
    }

    fn client(&self, parts: &Parts) -> Client {
        let all = |name: HeaderName| parts.headers.get_all(name).iter().collect::<Vec<_>>();
        let credentials = self.0.keyed.hash_one((all(AUTHORIZATION), all(COOKIE)));
        let origin = parts.headers.get(ORIGIN).map(|origin| self.0.keyed.hash_one(origin));
        Client { credentials, origin }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Sid, (Sender<Change>, Client)>> {
        // Each change is complete before anything can panic.
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub(super) const fn sid(&self) -> Sid {
        self.sid
    }

    /// What the client asks to be changed.
    pub(super) const fn changes(&mut self) -> &mut Receiver<Change> {
        &mut self.changes
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.streams.lock().remove(&self.sid);
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("sid", &self.sid).finish_non_exhaustive()
    }
}
