//! [`Pool`]: the connections to one upstream.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::OriginError;
use super::dial::Dialer;
use super::upload::Upload;
use super::wire::Wire;

/// How long an idle connection is kept for the next request.
const IDLE: Duration = Duration::from_secs(60);

/// How long it may have been idle for a request that must not be sent twice: no server is known that
/// closes it so soon, and so none will in the very moment of being asked.
const SURELY_OPEN: Duration = Duration::from_secs(1);

/// The most idle connections.
const MOST_IDLE: usize = 256;

/// The most streams on one HTTP/2 connection, and how much of one may be under way. Together they
/// fit in the connection's window: a client that does not read holds up no other's stream.
const STREAMS: usize = 100;
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 100 * STREAM_WINDOW;

/// How many streams an HTTP/2 origin is taken to allow until it has said how many, and how long it is
/// waited for to say so.
const UNKNOWN: usize = 1;
const INTRODUCTION: Duration = Duration::from_millis(200);

/// How often an HTTP/2 connection is asked whether it still lives, and how long it may take to
/// answer.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_PATIENCE: Duration = Duration::from_secs(15);

/// Bounds on the head of an origin's answer.
pub(super) const HEAD_BYTES: usize = 64 << 10;
pub(super) const HEAD_FIELDS: usize = 256;

/// The connections to one upstream.
pub(super) struct Pool {
    dialer: Dialer,
    /// What the origin chose when it was last connected to over TLS.
    chose_http2: AtomicBool,
    /// Held while an HTTP/2 connection is made, which others can then use too.
    dialing: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// HTTP/1 connections without a request, the oldest first.
    idle: VecDeque<(Http1, Instant)>,
    /// Whether somebody looks after the old ones.
    is_swept: bool,
    shared: Vec<Shared>,
}

struct Shared {
    send: http2::SendRequest<Upload>,
    streams: Arc<AtomicUsize>,
    /// How many there may be.
    most: Arc<AtomicUsize>,
}

/// A connection for one request.
pub(super) enum Connection {
    /// A new one of HTTP/1, as it is.
    Bare(Wire),
    H1(Http1),
    H2(http2::SendRequest<Upload>, Slot),
}

/// A connection of HTTP/1.
pub(super) struct Http1 {
    send: http1::SendRequest<Upload>,
    /// What reads and writes it.
    task: AbortHandle,
}

/// A request that got no answer.
pub(super) struct Unsent {
    pub(super) error: OriginError,
    /// Its body, if nothing of the request has been sent.
    pub(super) body: Option<Upload>,
}

impl Connection {
    pub(super) const fn is_http2(&self) -> bool {
        matches!(self, Self::H2(..))
    }

    /// The connection, ready to [send](Self::send) any request.
    pub(super) async fn ready(self) -> Result<Self, OriginError> {
        match self {
            Self::Bare(wire) => handshake(wire).await.map(Self::H1),
            ready => Ok(ready),
        }
    }

    /// Sends a request, and returns when the head of the answer has come.
    pub(super) async fn send(
        &mut self,
        request: http::Request<Upload>,
    ) -> Result<http::Response<Incoming>, Unsent> {
        let sent = match self {
            Self::H1(http1) => http1.send(request).await,
            Self::H2(send, _) => send.try_send_request(request).await,
            Self::Bare(_) => {
                let error = OriginError::Broken("the connection is not ready".to_owned());
                return Err(Unsent { error, body: Some(request.into_body()) });
            }
        };
        sent.map_err(|mut unsent| Unsent {
            body: unsent.take_message().map(http::Request::into_body),
            error: OriginError::broken(&unsent.into_error()),
        })
    }
}

impl Http1 {
    /// Sends a request. The connection ends with this if it is dropped before there is an answer:
    /// otherwise it would last as long as there are informational ones.
    async fn send(
        &mut self,
        request: http::Request<Upload>,
    ) -> Result<http::Response<Incoming>, TrySendError<http::Request<Upload>>> {
        let mut unanswered = Unanswered(Some(&self.task));
        let answer = self.send.try_send_request(request).await;
        unanswered.0 = None;
        answer
    }
}

/// Ends a connection whose request is given up.
struct Unanswered<'a>(Option<&'a AbortHandle>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(task) = self.0 {
            task.abort();
        }
    }
}

/// One stream of an HTTP/2 connection, counted while it lives.
pub(super) struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pool {
    pub(super) fn new(dialer: Dialer) -> Self {
        Self {
            chose_http2: AtomicBool::new(dialer.speaks_http2()),
            dialer,
            dialing: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        }
    }

    pub(super) const fn is_tls(&self) -> bool {
        self.dialer.tls().is_some()
    }

    pub(super) const fn dialer(&self) -> &Dialer {
        &self.dialer
    }

    /// A connection that has been used before, if one is to be had.
    pub(super) fn used(&self, may_be_sent_twice: bool) -> Option<Connection> {
        let most_idle = if may_be_sent_twice { IDLE } else { SURELY_OPEN };
        if let Some(connection) = self.shared() {
            return Some(connection);
        }
        let mut state = self.lock();
        state.idle.retain(|(http1, _)| http1.send.is_ready());
        let latest = state.idle.pop_back_if(|(_, since)| since.elapsed() < most_idle);
        latest.map(|(http1, _)| Connection::H1(http1))
    }

    /// Room on an HTTP/2 connection.
    pub(super) fn shared(&self) -> Option<Connection> {
        let mut state = self.lock();
        state.shared.retain(|connection| !connection.send.is_closed());
        state.shared.iter().find_map(Shared::enter)
    }

    /// A connection that others use too, or a new one.
    pub(super) async fn new_or_shared(&self) -> Result<Connection, OriginError> {
        if !self.chose_http2.load(Ordering::Relaxed) {
            return self.fresh(false).await;
        }
        let _dialing = self.dialing.lock().await;
        match self.shared() {
            Some(connection) => Ok(connection),
            None => self.fresh(false).await,
        }
    }

    /// A new connection.
    pub(super) async fn fresh(&self, http1_only: bool) -> Result<Connection, OriginError> {
        let (wire, speaks_http2) = self.dialer.dial(http1_only).await?;
        if !http1_only {
            self.chose_http2.store(speaks_http2, Ordering::Relaxed);
        }
        match speaks_http2 {
            true => self.share(wire).await,
            false => Ok(Connection::Bare(wire)),
        }
    }

    async fn share(&self, wire: Wire) -> Result<Connection, OriginError> {
        let shaken = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_max_send_streams(UNKNOWN)
            .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_PATIENCE)
            .handshake(TokioIo::new(wire));
        let (send, mut connection) = shaken.await.map_err(|error| OriginError::broken(&error))?;
        // Otherwise many requests at once would each take a connection of their own.
        let told = poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Err(ended)),
            Poll::Pending if connection.current_max_send_streams() == UNKNOWN => Poll::Pending,
            Poll::Pending => Poll::Ready(Ok(())),
        });
        match tokio::time::timeout(INTRODUCTION, told).await {
            Ok(Err(Err(error))) => return Err(OriginError::broken(&error)),
            Ok(Err(Ok(()))) => return Err(OriginError::Broken("it closed at once".to_owned())),
            Ok(Ok(())) | Err(_) => {}
        }
        let most = connection.current_max_send_streams().min(STREAMS);
        let most = Arc::new(AtomicUsize::new(most));
        let shared = Shared { send, streams: Arc::default(), most: Arc::clone(&most) };
        // What becomes of the connection is seen by its requests.
        tokio::spawn(poll_fn(move |cx| {
            let ended = Pin::new(&mut connection).poll(cx);
            most.store(connection.current_max_send_streams().min(STREAMS), Ordering::Relaxed);
            ended.map(drop)
        }));
        let connection = Connection::H2(shared.send.clone(), shared.slot());
        self.lock().shared.push(shared);
        Ok(connection)
    }

    /// Takes a connection back when its answer has been read.
    pub(super) fn give_back(self: &Arc<Self>, mut http1: Http1) {
        if http1.send.is_ready() {
            return self.keep(http1);
        }
        // The request may still be on its way.
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            if http1.send.ready().await.is_ok()
                && let Some(pool) = pool.upgrade()
            {
                pool.keep(http1);
            }
        });
    }

    fn keep(self: &Arc<Self>, http1: Http1) {
        let mut state = self.lock();
        if state.idle.len() >= MOST_IDLE {
            state.idle.pop_front();
        }
        state.idle.push_back((http1, Instant::now()));
        if !std::mem::replace(&mut state.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn enter(&self) -> Option<Connection> {
        let is_free = self.streams.load(Ordering::Relaxed) < self.most.load(Ordering::Relaxed);
        let has_room = self.send.is_ready() && is_free;
        has_room.then(|| Connection::H2(self.send.clone(), self.slot()))
    }

    fn slot(&self) -> Slot {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Slot(Arc::clone(&self.streams))
    }
}

async fn handshake(wire: Wire) -> Result<Http1, OriginError> {
    let shaken = http1::Builder::new()
        // Some old servers do not know their fields otherwise.
        .title_case_headers(true)
        .max_headers(HEAD_FIELDS)
        .max_buf_size(HEAD_BYTES)
        // What every browser takes.
        .allow_spaces_after_header_name_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .handshake(TokioIo::new(wire));
    let (send, connection) = shaken.await.map_err(|error| OriginError::broken(&error))?;
    let task = tokio::spawn(async { drop(connection.with_upgrades().await) }).abort_handle();
    Ok(Http1 { send, task })
}

/// Closes connections that have been idle for too long, until there is none.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(IDLE).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut state = pool.lock();
        state.idle.retain(|(http1, since)| !http1.send.is_closed() && since.elapsed() < IDLE);
        if state.idle.is_empty() {
            state.is_swept = false;
            return;
        }
    }
}
