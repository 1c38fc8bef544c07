//! Clients on connections of either version of HTTP.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio::time::timeout;

/// What takes longer does not happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    H1,
    H2,
}

pub(crate) const PROTOCOLS: [Protocol; 2] = [Protocol::H1, Protocol::H2];

/// Runs tasks, and ends them all when it is told.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<Vec<AbortHandle>>>);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.0.lock().unwrap().push(tokio::spawn(task).abort_handle());
    }
}

pub(crate) struct Client {
    tasks: Tasks,
    sender: Sender,
}

enum Sender {
    H1(http1::SendRequest<Empty<Bytes>>),
    H2(http2::SendRequest<Empty<Bytes>>),
}

impl Client {
    pub(crate) async fn connect<I>(protocol: Protocol, io: I) -> Self
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (io, tasks) = (TokioIo::new(io), Tasks::default());
        let sender = match protocol {
            Protocol::H1 => {
                let (sender, connection) = http1::handshake(io).await.unwrap();
                tasks.execute(async { connection.await.unwrap() });
                Sender::H1(sender)
            }
            Protocol::H2 => {
                let (sender, connection) = http2::handshake(tasks.clone(), io).await.unwrap();
                tasks.execute(async { connection.await.unwrap() });
                Sender::H2(sender)
            }
        };
        Self { tasks, sender }
    }

    /// Drops the connection as it is.
    pub(crate) fn leave(self) {
        self.tasks.0.lock().unwrap().iter().for_each(AbortHandle::abort);
    }

    /// The answer to `GET /` with these headers.
    pub(crate) async fn get(&mut self, headers: &[(&'static str, &str)]) -> Response<Incoming> {
        self.ask(Method::GET, headers).await
    }

    pub(crate) async fn ask(
        &mut self,
        method: Method,
        headers: &[(&'static str, &str)],
    ) -> Response<Incoming> {
        let request = Request::builder().method(method).uri("http://x/");
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(Empty::new()).unwrap();
        let response = match &mut self.sender {
            Sender::H1(sender) => sender.send_request(request).await,
            Sender::H2(sender) => sender.send_request(request).await,
        };
        response.unwrap()
    }

    /// An open stream, from which the opening and an event have been read.
    pub(crate) async fn stream(&mut self) -> Response<Incoming> {
        let mut response = self.get(&[]).await;
        read_to(response.body_mut(), "data: x\n\n").await;
        response
    }
}

/// Reads until `end` has come, and gives all that came until then.
pub(crate) async fn read_to(body: &mut Incoming, end: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(end) {
        let frame = timeout(DEADLINE, body.frame()).await;
        let frame = frame.unwrap_or_else(|_| panic!("only {seen:?} before {end:?}"));
        let frame = frame.unwrap_or_else(|| panic!("ended with {seen:?}, without {end:?}"));
        let data = frame.unwrap().into_data().unwrap();
        seen.push_str(std::str::from_utf8(&data).expect("text as it is"));
    }
    seen
}
