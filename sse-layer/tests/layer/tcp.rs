//! Hyper alone, on real connections.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Service, ServiceExt};

use crate::client::{Client, Protocol};

/// Any service, so that all combinations of layers are of one type.
pub(crate) type Boxed =
    BoxCloneSyncService<Request<Incoming>, Response<UnsyncBoxBody<Bytes, BoxError>>, Infallible>;

pub(crate) fn boxed<S, B>(service: S) -> Boxed
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    BoxCloneSyncService::new(service.map_response(|response: Response<B>| {
        response.map(|body| UnsyncBoxBody::new(body.map_err(Into::into)))
    }))
}

/// A server, for as long as the test runs or until it is shut down.
pub(crate) struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) fn start(service: Boxed) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // Little, so that a client that stops reading is felt soon.
        socket.set_send_buffer_size(1 << 18).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(16).unwrap();
        let address = listener.local_addr().unwrap();

        let (stop, mut stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let graceful = GracefulShutdown::new();
            loop {
                let io = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap().0,
                    _ = &mut stopped => break,
                };
                let service = TowerToHyperService::new(service.clone());
                let builder = auto::Builder::new(TokioExecutor::new());
                let connection = builder.serve_connection(TokioIo::new(io), service);
                tokio::spawn(graceful.watch(connection.into_owned()));
            }
            graceful.shutdown().await;
        });
        Self { address, stop, task }
    }

    pub(crate) async fn client(&self, protocol: Protocol) -> Client {
        Client::connect(protocol, TcpStream::connect(self.address).await.unwrap()).await
    }

    /// Accepts nobody any more, and resolves when all connections are over.
    pub(crate) async fn shut_down(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}
