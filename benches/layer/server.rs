//! A server of hyper: a process whose streams send an event each when it is asked to.

use std::convert::Infallible;
use std::net::TcpListener;
use std::rc::Rc;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local, yield_now};
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::Result;
use crate::child::{Child, serve};
use crate::source::{Case, Rounds, handler};

pub(crate) fn run(case: Case, streams: usize) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let tasks = LocalSet::new();
    let rounds = Rc::new(Rounds::default());
    let handler = handler(&rounds);
    let clients = {
        let (_runtime, _tasks) = (runtime.enter(), tasks.enter());
        match case.layer() {
            None => accept(&handler, streams),
            Some(layer) => accept(&layer.layer(handler), streams),
        }
    };
    let mut clients = clients?;

    let all_wait = async || {
        while rounds.waiting() < streams {
            yield_now().await;
        }
    };
    // The head, and what the layer adds.
    tasks.block_on(&runtime, all_wait());
    clients.ask("opening")?;
    serve(|| {
        let start = Instant::now();
        rounds.next();
        tasks.block_on(&runtime, all_wait());
        let nanos = start.elapsed().as_nanos();
        clients.ask("event")?;
        Ok(nanos.to_string())
    })
}

/// Starts clients, and a task for each of them.
fn accept<S, B>(service: &S, streams: usize) -> Result<Child>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + 'static,
    S::Future: 'static,
    B: Body<Data = Bytes, Error = Infallible> + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let mut clients = Child::launch(&["clients", &address, &streams.to_string()])?;
    for _ in 0..streams {
        let (accepted, _) = listener.accept()?;
        accepted.set_nonblocking(true)?;
        accepted.set_nodelay(true)?;
        let io = TokioIo::new(tokio::net::TcpStream::from_std(accepted)?);
        let service = TowerToHyperService::new(service.clone());
        spawn_local(http1::Builder::new().serve_connection(io, service));
    }
    clients.answer()?;
    Ok(clients)
}
