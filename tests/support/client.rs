//! [`Client`]: HTTP/1.1 and HTTP/2 behind one interface, and [`Stream`]: a response being read.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{ACCEPT, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use sse_layer::{Decoder, MessageEvent};
use tokio::net::TcpStream;

use super::{Exchange, Origin, Tls, within};

/// The host that clients name, whatever address they connect to.
pub(crate) const HOST_NAME: &str = "proxy.example";

/// A request's body.
pub(crate) type Body = BoxBody<Bytes, Infallible>;

/// A request without a body.
pub(crate) fn request(method: Method, target: &str) -> Request<Body> {
    let body = Empty::new().boxed();
    let request = Request::builder().method(method).uri(target).body(body);
    request.expect("a valid target")
}

/// Header fields.
pub(crate) fn fields(fields: &[(&'static str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &str)| {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a valid value");
        (HeaderName::from_static(name), value)
    };
    fields.iter().map(field).collect()
}

/// Somebody who makes requests.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    connection: Connection,
}

#[derive(Clone)]
enum Connection {
    /// HTTP/1.1, a new connection for each request.
    Each,
    /// HTTP/2, one for all.
    Shared(http2::SendRequest<Body>),
}

impl Client {
    pub(crate) fn h1(address: SocketAddr) -> Self {
        Self { address, connection: Connection::Each }
    }

    pub(crate) async fn h2(address: SocketAddr) -> Self {
        let stream = TokioIo::new(Tls::speaking("h2").connect(address).await);
        let shaken = http2::handshake(TokioExecutor::new(), stream);
        let (send, connection) = within("an HTTP/2 handshake", shaken).await.expect("HTTP/2");
        // What becomes of the connection is seen by its streams.
        tokio::spawn(async { drop(connection.await) });
        Self { address, connection: Connection::Shared(send) }
    }

    /// The name of the protocol, for messages.
    pub(crate) const fn protocol(&self) -> &'static str {
        match self.connection {
            Connection::Each => "HTTP/1.1",
            Connection::Shared(_) => "HTTP/2",
        }
    }

    /// Sends a request, and returns when the head of the answer has come.
    pub(crate) async fn try_send(&self, request: Request<Body>) -> Result<Response, hyper::Error> {
        let what = format!("an answer to {} {}", request.method(), request.uri());
        let answer = within(&what, self.exchange(request)).await?;
        let (head, body) = answer.into_parts();
        let (version, status, headers) = (head.version, head.status, head.headers);
        Ok(Response { version, status, headers, trailers: None, body })
    }

    async fn exchange(
        &self,
        mut request: Request<Body>,
    ) -> Result<http::Response<Incoming>, hyper::Error> {
        let host = HeaderValue::from_static(HOST_NAME);
        match &self.connection {
            Connection::Each => {
                request.headers_mut().entry(HOST).or_insert(host);
                let stream = TcpStream::connect(self.address).await.expect("a listener");
                stream.set_nodelay(true).expect("a TCP socket");
                let (mut send, connection) = http1::handshake(TokioIo::new(stream)).await?;
                tokio::spawn(async { drop(connection.await) });
                send.send_request(request).await
            }
            Connection::Shared(send) => {
                let host = request.headers_mut().remove(HOST).unwrap_or(host);
                let target = request.uri().path_and_query().expect("a target").clone();
                let uri = Uri::builder()
                    .scheme("https")
                    .authority(host.as_bytes())
                    .path_and_query(target);
                *request.uri_mut() = uri.build().expect("a valid URL");
                send.clone().send_request(request).await
            }
        }
    }

    /// The same, where the connection must hold.
    pub(crate) async fn send(&self, request: Request<Body>) -> Response {
        self.try_send(request).await.expect("an answer")
    }

    pub(crate) async fn get(&self, target: &str) -> Response {
        self.send(request(Method::GET, target)).await
    }

    /// Asks for events, as every `EventSource` does.
    pub(crate) async fn try_events(
        &self,
        target: &str,
        headers: HeaderMap,
    ) -> Result<Response, hyper::Error> {
        let mut request = request(Method::GET, target);
        *request.headers_mut() = headers;
        let accept = HeaderValue::from_static("text/event-stream");
        request.headers_mut().insert(ACCEPT, accept);
        self.try_send(request).await
    }

    /// Opens a stream of events.
    pub(crate) async fn open(&self, target: &str) -> Stream {
        self.open_with(target, HeaderMap::new()).await
    }

    /// The same, with more header fields.
    pub(crate) async fn open_with(&self, target: &str, headers: HeaderMap) -> Stream {
        let response = self.try_events(target, headers).await.expect("an answer");
        assert_eq!(response.status, StatusCode::OK, "{target}");
        Stream::of(response)
    }

    /// Opens a stream that `origin` is asked for, and returns both its ends.
    pub(crate) async fn open_from(&self, origin: &Origin, target: &str) -> (Stream, Exchange) {
        self.open_from_with(origin, target, "").await
    }

    /// The same, where the origin's head has more fields, each with its line end.
    pub(crate) async fn open_from_with(
        &self,
        origin: &Origin,
        target: &str,
        fields: &str,
    ) -> (Stream, Exchange) {
        let path = target.split('?').next().unwrap_or_default();
        tokio::join!(self.open(target), async {
            let mut exchange = origin.request(path).await;
            exchange.open_with(fields).await;
            exchange
        })
    }

    /// Opens a stream as one who has had the event with this id.
    pub(crate) async fn resume(&self, target: &str, last_event_id: &str) -> Stream {
        self.open_with(target, fields(&[("last-event-id", last_event_id)])).await
    }
}

/// A response whose body is still to be read.
pub(crate) struct Response {
    pub(crate) version: Version,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// What followed the body, once it has been read.
    pub(crate) trailers: Option<HeaderMap>,
    body: Incoming,
}

impl Response {
    /// The values of all fields of this name.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let text = |value| HeaderValue::to_str(value).expect("text");
        self.headers.get_all(name).iter().map(text).collect()
    }

    /// The next piece of the body; `None` at its orderly end.
    pub(crate) async fn chunk(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        loop {
            let frame = match within("more of a body", self.body.frame()).await? {
                Ok(frame) => frame,
                Err(error) => return Some(Err(error)),
            };
            match frame.into_data() {
                Ok(bytes) => return Some(Ok(bytes)),
                Err(frame) => self.trailers = frame.into_trailers().ok(),
            }
        }
    }

    /// The rest of the body, and how it ended.
    pub(crate) async fn rest(&mut self) -> (Vec<u8>, Ending) {
        let mut rest = Vec::new();
        let ending = async {
            loop {
                match self.chunk().await {
                    Some(Ok(bytes)) => rest.extend_from_slice(&bytes),
                    Some(Err(_)) => return Ending::BrokenOff,
                    None => return Ending::Orderly,
                }
            }
        };
        let ending = within("the end of a body", ending).await;
        (rest, ending)
    }

    /// The whole body, as text.
    pub(crate) async fn text(mut self) -> String {
        let (body, ending) = self.rest().await;
        assert_eq!(ending, Ending::Orderly);
        String::from_utf8(body).expect("text")
    }
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By the rules of the protocol.
    Orderly,
    /// So that the client knows that something may be missing.
    BrokenOff,
}

/// A stream of events being read.
pub(crate) struct Stream {
    pub(crate) response: Response,
    decoder: Decoder,
    /// All of the body so far.
    bytes: Vec<u8>,
    /// How much of it [`text_until`](Self::text_until) has handed out.
    told: usize,
}

impl Stream {
    pub(crate) fn of(response: Response) -> Self {
        Self { response, decoder: Decoder::new(), bytes: Vec::new(), told: 0 }
    }

    async fn read(&mut self) -> Option<Ending> {
        match self.response.chunk().await {
            Some(Ok(bytes)) => {
                self.bytes.extend_from_slice(&bytes);
                self.decoder.push(bytes);
                None
            }
            Some(Err(_)) => Some(Ending::BrokenOff),
            None => Some(Ending::Orderly),
        }
    }

    fn decoded(&mut self) -> Option<MessageEvent> {
        let event = self.decoder.next_event().expect("no event is too large here");
        event.map(|event| event.to_owned())
    }

    /// The next event, or how the stream ended instead.
    pub(crate) async fn try_event(&mut self) -> Result<MessageEvent, Ending> {
        let next = async {
            loop {
                if let Some(event) = self.decoded() {
                    return Ok(event);
                }
                if let Some(ending) = self.read().await {
                    return Err(ending);
                }
            }
        };
        within("an event", next).await
    }

    /// The next event.
    pub(crate) async fn event(&mut self) -> MessageEvent {
        self.try_event().await.expect("an event, not the end")
    }

    /// The data of the next event.
    pub(crate) async fn data(&mut self) -> String {
        self.event().await.data
    }

    /// The data of the next so many events.
    pub(crate) async fn data_of(&mut self, count: usize) -> Vec<String> {
        let mut data = Vec::new();
        for _ in 0..count {
            data.push(self.data().await);
        }
        data
    }

    /// The events to the end, and how it ended.
    pub(crate) async fn rest(&mut self) -> (Vec<MessageEvent>, Ending) {
        let mut events = Vec::new();
        loop {
            match self.try_event().await {
                Ok(event) => events.push(event),
                Err(ending) => return (events, ending),
            }
        }
    }

    /// What the body says, from where this was last asked up to and with `mark`.
    pub(crate) async fn text_until(&mut self, mark: &str) -> String {
        within(mark, self.read_until(mark)).await
    }

    async fn read_until(&mut self, mark: &str) -> String {
        loop {
            let new = self.bytes.get(self.told..).unwrap_or_default();
            let found = new.windows(mark.len()).position(|part| part == mark.as_bytes());
            if let Some(at) = found {
                let text = new.get(..at + mark.len()).unwrap_or_default();
                self.told += text.len();
                return String::from_utf8_lossy(text).into_owned();
            }
            let ending = self.read().await;
            assert_eq!(ending, None, "no {mark:?} in {:?}", self.text());
        }
    }

    /// All of the body so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// What the client would send as `Last-Event-ID`.
    pub(crate) fn last_event_id(&self) -> &str {
        self.decoder.last_event_id()
    }
}
