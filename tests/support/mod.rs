//! What the tests are written in: an origin that says what it is told to, the real proxy before
//! it, and clients. Nothing here sleeps: everything waits for something, and gives up in the end.

mod case;
mod client;
mod echo;
mod event_source;
mod mux;
mod origin;
mod program;
mod proxy;
mod tls;
mod wire;

use std::future::Future;
use std::panic::Location;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

pub(crate) use self::case::{Case, Cases, Cut, events as case_events, retry as case_retry};
pub(crate) use self::client::{
    Body as RequestBody, Client, Ending, HOST_NAME, Response, Stream, fields, request,
};
pub(crate) use self::echo::Echo;
pub(crate) use self::event_source::{Charsets, EventSource, State};
pub(crate) use self::mux::{
    Mux, change as mux_change, change_target as mux_change_target, pairs, post as mux_post,
    target as mux_target,
};
pub(crate) use self::origin::{Exchange, Head, Origin};
pub(crate) use self::program::{Folder, Run, certificate, run};
pub(crate) use self::proxy::{LISTENERS, Proxy};
pub(crate) use self::tls::Tls;
pub(crate) use self::wire::Wire;

/// Long enough for a busy machine. Whatever takes longer will never happen.
const DEADLINE: Duration = Duration::from_secs(20);

/// How soon an origin must see that its client has gone, by the proxy's promise.
pub(crate) const AT_ONCE: Duration = Duration::from_secs(1);

/// The outcome of `future`, which must not be long in coming.
#[track_caller]
pub(crate) fn within<T>(what: &str, future: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        match timeout(DEADLINE, future).await {
            Ok(outcome) => outcome,
            Err(_) => panic!("{what}: waited {DEADLINE:?} for nothing at {caller}"),
        }
    }
}

/// Waits for a condition that tells nobody when it becomes true.
#[track_caller]
pub(crate) fn eventually(
    what: &str,
    mut is_true: impl AsyncFnMut() -> bool,
) -> impl Future<Output = ()> {
    within(what, async move {
        while !is_true().await {
            sleep(Duration::from_millis(5)).await;
        }
    })
}

/// Asserts that `future` comes about within a second.
#[track_caller]
pub(crate) fn at_once<T>(what: &str, future: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = Location::caller();
    async move {
        let begun = Instant::now();
        let outcome = within(what, future).await;
        let took = begun.elapsed();
        assert!(took < AT_ONCE, "{what}: took {took:?}, at {caller}");
        outcome
    }
}
