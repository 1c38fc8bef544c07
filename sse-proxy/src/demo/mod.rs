//! The demo: a legacy origin, the proxy before it, and a page that shows both.

mod origin;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};

use sse_layer::Repairs;

use self::origin::Origin;
use crate::config::{Config, Listener, Route, Stream, Tls};
use crate::{Proxy, StartError, Stop};

/// Runs the demo on `listen` until `stopped` says so; `stopped` is given what to do when all is
/// ready.
///
/// Blocks the thread. It must not be called from within an async runtime.
///
/// # Errors
///
/// [`StartError`] if an address cannot be bound.
pub fn run<F: Future<Output = Stop> + Send + 'static>(
    listen: SocketAddr,
    stopped: impl FnOnce(Box<dyn FnOnce() + Send>) -> F,
) -> Result<(), StartError> {
    let failed = |error| StartError::new("the demo's origin cannot start", &error);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(failed)?;
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let origin = runtime.block_on(Origin::bind(any_port)).map_err(failed)?;
    let origin_address = origin.local_addr();
    let proxy = Proxy::bind(config(listen, origin_address))?;
    let page = proxy.urls().next().unwrap_or_default();
    runtime.spawn(origin.serve());
    eprintln!("listening on {page}");
    let ready = move || {
        eprintln!("ready");
        eprintln!();
        eprintln!("  Open {page}/ in a browser.");
        eprintln!("  Its certificate was made just now, so the browser asks whether to trust it.");
        eprintln!("  The legacy origin is http://{origin_address}, Ctrl-C ends the demo.");
    };
    proxy.run(stopped(Box::new(ready)));
    Ok(())
}

/// What an operator would write to front such an origin.
fn config(listen: SocketAddr, origin: SocketAddr) -> Config {
    let upstream = || crate::config::Upstream::plain(origin);
    let mut feeds = Route::new(crate::config::PathPattern::below("/feed/"), upstream());
    feeds.stream = Stream::Shared;
    feeds.repair = Repairs::LEGACY;
    let page = Route::new(crate::config::PathPattern::everything(), upstream());
    let mut config = Config::default();
    config.mux.page = true;
    config.listener.push(Listener::new(listen, Some(Tls::SelfSigned)));
    config.route.extend([feeds, page]);
    config
}
