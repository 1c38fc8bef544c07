//! Bodies that are polled as servers do, without one.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Request;
use http_body::Body;
use tokio::time::Instant;
use tower::{Layer, Service};

use crate::figures::{Figures, turns};
use crate::source::{Case, EVENT, Rounds, Source, handler};

type AnyBody = Pin<Box<dyn Body<Data = Bytes, Error = Infallible>>>;

pub(crate) fn measure(streams: usize, rounds: usize) -> Figures {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let _context = runtime.enter();
    let mut all = Case::ALL.map(|case| {
        let shared = Rc::new(Rounds::default());
        let bodies: Vec<AnyBody> = (0..streams).map(|_| body(case, &shared)).collect();
        (shared, bodies)
    });
    let mut figures = Figures::new();
    for round in 0..=rounds {
        for at in turns(round) {
            let Some((shared, bodies)) = all.get_mut(at) else { continue };
            shared.next();
            let start = Instant::now();
            poll(bodies);
            if round > 0 {
                figures.add(at, start.elapsed().as_nanos() as f64);
            }
        }
    }
    figures
}

/// A body whose opening has been read.
fn body(case: Case, shared: &Rc<Rounds>) -> AnyBody {
    let Some(layer) = case.layer() else { return Box::pin(Source::new(shared)) };
    let mut cx = Context::from_waker(Waker::noop());
    let mut response = std::pin::pin!(layer.layer(handler(shared)).call(Request::new(())));
    let Poll::Ready(Ok(response)) = response.as_mut().poll(&mut cx) else {
        panic!("the service answers at once")
    };
    let mut body = Box::pin(response.into_body());
    assert!(body.as_mut().poll_frame(&mut cx).is_ready(), "first bytes at once");
    body
}

/// Polls each body until it has nothing more.
fn poll(bodies: &mut [AnyBody]) {
    let mut cx = Context::from_waker(Waker::noop());
    let mut bytes = 0;
    for body in &mut *bodies {
        while let Poll::Ready(frame) = body.as_mut().poll_frame(&mut cx) {
            let Some(Ok(frame)) = frame else { panic!("the body goes on") };
            bytes += frame.data_ref().map_or(0, Bytes::len);
        }
    }
    assert_eq!(bytes, bodies.len() * EVENT.len());
}
