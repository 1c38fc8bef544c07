//! How many connections there may be, and how many streams one client address may have.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::drain::Draining;

/// Counts client connections. Clones are the same.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Count>);

struct Count {
    most: usize,
    open: AtomicUsize,
    one_less: Notify,
}

/// One connection, counted while it lives.
pub(crate) struct Connection(Connections);

impl Connections {
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Count { most, open: AtomicUsize::new(0), one_less: Notify::new() }))
    }

    /// Resolves when there is room for one more. Until then, clients wait to be accepted.
    pub(crate) async fn room(&self) {
        loop {
            let one_less = self.0.one_less.notified();
            if self.0.open.load(Ordering::Acquire) < self.0.most {
                return;
            }
            one_less.await;
        }
    }

    /// Counts a connection, if there is room for it.
    pub(crate) fn try_enter(&self) -> Option<Connection> {
        let has_room = |open| (open < self.0.most).then_some(open + 1);
        let (one, other) = (Ordering::AcqRel, Ordering::Acquire);
        self.0.open.fetch_update(one, other, has_room).ok().map(|_| Connection(self.clone()))
    }

    /// Counts a connection.
    pub(crate) fn enter(&self) -> Connection {
        self.0.open.fetch_add(1, Ordering::Relaxed);
        Connection(self.clone())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let count = &self.0.0;
        count.open.fetch_sub(1, Ordering::Release);
        count.one_less.notify_waiters();
    }
}

/// What a stream holds while it lasts: it is counted, and the process does not go without it.
pub(crate) struct Seat {
    _counted: Counted,
    /// An HTTP/1 client's connection is not counted elsewhere once it has become a stream; that of
    /// HTTP/2 streams is.
    _connection: Option<Connection>,
    pub(crate) draining: Draining,
}

impl Seat {
    pub(crate) const fn new(
        counted: Counted,
        connection: Option<Connection>,
        draining: Draining,
    ) -> Self {
        Self { _counted: counted, _connection: connection, draining }
    }
}

/// Counts the streams of each client address.
#[derive(Clone)]
pub(crate) struct PerAddress(Arc<Shared>);

struct Shared {
    most: usize,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// One stream, counted while it lives.
pub(crate) struct Counted(Option<(PerAddress, IpAddr)>);

impl PerAddress {
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Shared { most, counts: Mutex::new(HashMap::new()) }))
    }

    /// Counts a stream; `None` if the address has as many as it may.
    pub(crate) fn count(&self, client: Option<IpAddr>) -> Option<Counted> {
        // Behind a proxy on the same machine, every client seems to come from there.
        let Some(client) = client.filter(|client| !client.is_loopback()) else {
            return Some(Counted(None));
        };
        let mut counts = self.lock();
        let count = counts.entry(client).or_insert(0);
        if *count >= self.0.most {
            return None;
        }
        *count += 1;
        Some(Counted(Some((self.clone(), client))))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let Some((streams, client)) = &self.0 else { return };
        if let Entry::Occupied(mut count) = streams.lock().entry(*client) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_back_when_a_stream_ends() {
        let streams = PerAddress::new(2);
        let client = Some("192.0.2.1".parse().unwrap());
        let first = streams.count(client).unwrap();
        let _second = streams.count(client).unwrap();
        assert!(streams.count(client).is_none());
        assert!(streams.count(Some("192.0.2.2".parse().unwrap())).is_some());
        drop(first);
        assert!(streams.count(client).is_some());
    }

    #[test]
    fn loopback_is_not_one_client() {
        let streams = PerAddress::new(0);
        assert!(streams.count(Some("127.0.0.1".parse().unwrap())).is_some());
        assert!(streams.count(Some("::1".parse().unwrap())).is_some());
    }
}
