//! The bodies that are sent, and what may be around them.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::str::FromStr;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body::{Body, Frame};
use sse_layer::{KeepAlive, SseLayer};
use tower::{Service, service_fn};

/// One event of about a hundred bytes.
pub(crate) const EVENT: &str = "id: 4711\ndata: {\"user\":\"someone\",\"text\":\"what they said: \
    a thing or two, and then another\"}\n\n";

/// What is measured.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    Bare,
    Layer,
    /// So that the share of the clock shows.
    LayerWithoutComments,
}

impl Case {
    pub(crate) const ALL: [Self; 3] = [Self::Bare, Self::Layer, Self::LayerWithoutComments];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Layer => "layer",
            Self::LayerWithoutComments => "layer-without-comments",
        }
    }

    pub(crate) fn layer(self) -> Option<SseLayer> {
        match self {
            Self::Bare => None,
            Self::Layer => Some(SseLayer::new()),
            Self::LayerWithoutComments => Some(SseLayer::new().keep_alive(KeepAlive::off())),
        }
    }
}

impl FromStr for Case {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|case| case.name() == name).ok_or("no such case")
    }
}

/// What all sources of a server share.
#[derive(Default)]
pub(crate) struct Rounds {
    /// Which round of events it is.
    now: Cell<u64>,
    /// Those that wait for the next.
    waiting: RefCell<Vec<Waker>>,
}

impl Rounds {
    pub(crate) fn next(&self) {
        self.now.set(self.now.get() + 1);
        // Woken outside of the borrow, since a waker may do anything.
        let waiting = self.waiting.take();
        waiting.into_iter().for_each(Waker::wake);
    }

    /// How many sources wait for the next round.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.borrow().len()
    }
}

/// A body that has one event in each round, and then is silent.
pub(crate) struct Source {
    rounds: Rc<Rounds>,
    sent: u64,
    is_waiting: bool,
}

impl Source {
    pub(crate) fn new(rounds: &Rc<Rounds>) -> Self {
        Self { rounds: Rc::clone(rounds), sent: 0, is_waiting: false }
    }
}

impl Body for Source {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.sent == self.rounds.now.get() {
            // Once, though it may be polled more often; always by the same task.
            if !std::mem::replace(&mut self.is_waiting, true) {
                self.rounds.waiting.borrow_mut().push(cx.waker().clone());
            }
            return Poll::Pending;
        }
        self.is_waiting = false;
        self.sent += 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(EVENT.as_bytes())))))
    }
}

/// A service whose every response is a [`Source`].
pub(crate) fn handler<B: 'static>(
    rounds: &Rc<Rounds>,
) -> impl Service<Request<B>, Response = Response<Source>, Error = Infallible, Future: 'static>
+ Clone
+ 'static {
    let rounds = Rc::clone(rounds);
    service_fn(move |_| {
        let mut response = Response::new(Source::new(&rounds));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        std::future::ready(Ok(response))
    })
}
