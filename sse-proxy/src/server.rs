//! [`Proxy`]: bound, checked, and ready to run.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pingora::server::configuration::ServerConf;
use pingora::server::{
    ListenFds, RunArgs, Server, ShutdownSignal, ShutdownSignalWatch, ShutdownWatch,
};
use pingora::services::Service;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;

use crate::admin::Admin;
use crate::config::{Config, Connections as MostConnections};
use crate::drain::Drain;
use crate::front::Front;
use crate::hub::Hub;
use crate::limits::Connections;
use crate::origin::{Origins, Probe};
use crate::places::Places;
use crate::porter::Porter;
use crate::record::Records;
use crate::reload::Reload;
use crate::router::Router;
use crate::start::{StartError, bind};
use crate::tls::{Certificates, server_config};

/// How the process goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// Streams are ended over the configured window first.
    Drain,
    /// At once.
    Now,
}

/// A proxy with its sockets bound and its certificates loaded: what can fail at start is done.
pub struct Proxy {
    config: Config,
    /// Those of the listeners, in their order.
    certificates: Vec<Option<Arc<Certificates>>>,
    router: Router,
    origins: Arc<Origins>,
    entrances: Vec<Entrance>,
    admin: Option<(std::net::TcpListener, SocketAddr)>,
    hub: Hub,
}

/// One bound address.
struct Entrance {
    socket: std::net::TcpListener,
    address: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
    max_concurrent_streams: u32,
}

impl Proxy {
    /// Binds the addresses and loads the certificates that `config` names.
    ///
    /// # Errors
    ///
    /// [`StartError`] says which address or file cannot be used, and why.
    pub fn bind(config: Config) -> Result<Self, StartError> {
        let (mut entrances, mut certificates) = (Vec::new(), Vec::new());
        for listener in &config.listener {
            let (tls, shown) = listener.tls.as_ref().map(server_config).transpose()?.unzip();
            certificates.push(shown);
            let (socket, address) = bind(listener.address)?;
            let max_concurrent_streams = listener.http2.max_concurrent_streams;
            entrances.push(Entrance { socket, address, tls, max_concurrent_streams });
        }
        let admin = config.admin.map(|admin| bind(admin.address)).transpose()?;
        let origins = Arc::new(Origins::new(&config.route)?);
        let (router, hub) = (Router::new(&config.route), Hub::start(threads())?);
        Ok(Self { config, certificates, router, origins, entrances, admin, hub })
    }

    /// What puts another configuration into effect while the proxy runs.
    #[must_use]
    pub fn reload(&self) -> Reload {
        let (router, origins) = (self.router.clone(), Arc::clone(&self.origins));
        Reload::new(self.config.clone(), self.certificates.clone(), router, origins)
    }

    /// The bound admin address as a URL, with its real port.
    #[must_use]
    pub fn admin_url(&self) -> Option<String> {
        self.admin.as_ref().map(|(_, address)| format!("http://{address}"))
    }

    /// The bound addresses as URLs, with their real ports.
    pub fn urls(&self) -> impl Iterator<Item = String> {
        self.entrances.iter().map(|entrance| {
            let scheme = if entrance.tls.is_some() { "https" } else { "http" };
            format!("{scheme}://{}", entrance.address)
        })
    }

    /// Connects to every upstream of every route, in their order, and tells what it found.
    pub async fn probe(&self) -> Vec<Probe> {
        let mut found = Vec::new();
        for route in &self.config.route {
            found.extend(self.origins.probe(route).await);
        }
        found
    }

    /// Serves until `stop` resolves, and then as long as its answer asks for.
    ///
    /// Blocks the thread. It must not be called from within an async runtime.
    pub fn run(self, stop: impl Future<Output = Stop> + Send + 'static) {
        let threads = threads();
        let conf = ServerConf {
            threads,
            grace_period_seconds: Some(0),
            graceful_shutdown_timeout_seconds: Some(1),
            ..ServerConf::default()
        };
        let drain = Drain::new();
        let connections = Connections::new(match self.config.limits.connections {
            MostConnections::AtMost(most) => most,
            MostConnections::Auto => half_of_descriptors(),
        });
        let records = Records::new();
        let asked = Arc::new(Notify::new());
        let admin = self.admin.map(|(socket, _)| {
            Admin::new(socket, records.clone(), drain.clone(), Arc::clone(&asked))
        });
        let origins = Arc::clone(&self.origins);
        let hub = self.hub.clone();
        let places = Places::new(
            &self.config,
            self.router,
            origins,
            connections.clone(),
            records,
            drain.clone(),
            hub.clone(),
        );
        let mut server = Server::new_with_opt_and_conf(None, conf);
        server.bootstrap();
        let (go, going) = watch::channel(false);
        server.add_service(Entrances {
            threads,
            entrances: self.entrances,
            places,
            connections,
            going,
            admin,
            origins: self.origins,
            drain: drain.clone(),
            hub: self.hub,
        });
        let shutdown_signal = Box::new(WhenStopped {
            stop: Mutex::new(Some(Box::pin(stop))),
            asked,
            drain,
            window: self.config.shutdown.drain,
            go,
        });
        server.run(RunArgs { shutdown_signal });
        hub.stop();
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.urls()).finish()
    }
}

/// One for each core.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Half of the file descriptors that the process may open, after it has allowed itself all it can.
fn half_of_descriptors() -> usize {
    const USUAL: u64 = 1024;
    let limit = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(USUAL);
    usize::try_from(limit / 2).unwrap_or(usize::MAX).max(1)
}

/// Tells pingora when to go: after the drain.
struct WhenStopped {
    stop: Mutex<Option<Pin<Box<dyn Future<Output = Stop> + Send>>>>,
    /// Told when somebody asks for the drain at the admin address.
    asked: Arc<Notify>,
    drain: Drain,
    window: Duration,
    /// Tells HTTP/2 connections to take no further request.
    go: watch::Sender<bool>,
}

#[async_trait]
impl ShutdownSignalWatch for WhenStopped {
    async fn recv(&self) -> ShutdownSignal {
        let stop = self.stop.lock().unwrap_or_else(PoisonError::into_inner).take();
        let stop = async {
            match stop {
                Some(stop) => stop.await,
                None => std::future::pending().await,
            }
        };
        let stop = tokio::select! {
            stop = stop => stop,
            () = self.asked.notified() => Stop::Drain,
        };
        if stop == Stop::Drain {
            tracing::info!(window = ?self.window, "draining");
            self.go.send_replace(true);
            self.drain.run(self.window).await;
        }
        ShutdownSignal::FastShutdown
    }
}

/// All addresses that are listened on.
struct Entrances {
    threads: usize,
    entrances: Vec<Entrance>,
    places: Places,
    connections: Connections,
    going: ShutdownWatch,
    admin: Option<Admin>,
    origins: Arc<Origins>,
    drain: Drain,
    hub: Hub,
}

#[async_trait]
impl Service for Entrances {
    async fn start_service(
        &mut self,
        _fds: Option<ListenFds>,
        _shutdown: ShutdownWatch,
        _listeners_per_fd: usize,
    ) {
        self.origins.watch();
        for Entrance { socket, tls, max_concurrent_streams, .. } in self.entrances.drain(..) {
            let porter = Porter {
                front: Front::new(self.places.clone(), max_concurrent_streams),
                connections: self.connections.clone(),
                drain: self.drain.clone(),
                going: self.going.clone(),
                runtime: Handle::current(),
            };
            match tls {
                Some(tls) => drop(tokio::spawn(porter.accept(socket, TlsAcceptor::from(tls)))),
                None => self.hub.listen(socket, Arc::new(porter)),
            }
        }
        if let Some(admin) = self.admin.take() {
            tokio::spawn(admin.serve());
        }
        tokio::spawn(self.hub.clone().end_with(self.drain.clone()));
        // The runtime lives as long as this does; what runs in it ends with the process.
        std::future::pending().await
    }

    fn name(&self) -> &'static str {
        "sse-proxy"
    }

    fn threads(&self) -> Option<usize> {
        Some(self.threads)
    }
}
