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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;

use crate::admin::Admin;
use crate::config::{Config, Connections as MostConnections};
use crate::connection::{Connection, Transport};
use crate::drain::Drain;
use crate::front::Front;
use crate::hub::Hub;
use crate::limits::Connections;
use crate::origin::{Origins, Probe};
use crate::places::Places;
use crate::record::Records;
use crate::reload::Reload;
use crate::router::Router;
use crate::start::{StartError, bind};
use crate::tls::{Certificates, server_config};

/// How long a client may take over its TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long the accept loop rests when the process is out of file descriptors.
const BREATH: Duration = Duration::from_millis(50);

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
            hub,
        );
        let mut server = Server::new_with_opt_and_conf(None, conf);
        server.bootstrap();
        let (go, going) = watch::channel(false);
        server.add_service(Entrances {
            threads,
            doors: self
                .entrances
                .into_iter()
                .map(|entrance| Door::new(entrance, &places, &connections, &going))
                .collect(),
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
    doors: Vec<Door>,
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
        for door in self.doors.drain(..) {
            tokio::spawn(door.open(self.drain.clone()));
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

/// One address that is listened on.
struct Door {
    socket: std::net::TcpListener,
    acceptor: Option<TlsAcceptor>,
    front: Arc<Front>,
    connections: Connections,
    going: ShutdownWatch,
}

impl Door {
    fn new(
        entrance: Entrance,
        places: &Places,
        connections: &Connections,
        going: &ShutdownWatch,
    ) -> Self {
        Self {
            socket: entrance.socket,
            acceptor: entrance.tls.map(TlsAcceptor::from),
            front: Front::new(places.clone(), entrance.max_concurrent_streams),
            connections: connections.clone(),
            going: going.clone(),
        }
    }

    /// Accepts connections until the drain begins.
    async fn open(self, drain: Drain) {
        let socket = match TcpListener::from_std(self.socket) {
            Ok(socket) => socket,
            Err(error) => return tracing::error!(%error, "cannot accept connections"),
        };
        loop {
            let accepted = tokio::select! {
                accepted = async { self.connections.room().await; socket.accept().await } => accepted,
                () = drain.begun() => return,
            };
            match accepted {
                Ok((tcp, _)) => {
                    // An event is to leave when it is written, however small.
                    let _ = tcp.set_nodelay(true);
                    let (acceptor, front) = (self.acceptor.clone(), Arc::clone(&self.front));
                    let (counted, going) = (self.connections.enter(), self.going.clone());
                    // What was written to an HTTP/2 stream is sent by its connection.
                    let draining = drain.join();
                    tokio::spawn(async move {
                        if let Some(connection) = connect(tcp, acceptor).await {
                            front.serve(connection, &going).await;
                        }
                        drop((counted, draining));
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }
}

async fn connect(tcp: TcpStream, acceptor: Option<TlsAcceptor>) -> Option<Connection> {
    let Some(acceptor) = acceptor else { return Some(Connection::new(Transport::Plain(tcp))) };
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(tcp)).await {
        Ok(Ok(tls)) => return Some(Connection::new(Transport::Tls(Box::new(tls)))),
        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => tracing::debug!("TLS handshake took too long"),
    }
    None
}
