//! What becomes of a handler's response.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderValue, Method, Response, StatusCode};

use super::request::Asked;
use super::streaming::Streaming;
use super::watched::Watched;
use super::{SseBody, SseLayer};
use crate::head;

/// Makes a `response` that is a stream one that arrives; others pass.
pub(super) fn answer<B>(
    mut response: Response<B>,
    asked: &Asked,
    layer: &Arc<SseLayer>,
) -> Response<SseBody<B>> {
    let is_stream =
        response.status() == StatusCode::OK && head::is_event_stream(response.headers());
    if !is_stream {
        return response.map(SseBody::untouched);
    }
    let is_encoded = head::is_encoded(response.headers());
    head::prepare(response.headers_mut(), asked.version);
    if asked.method == Method::HEAD {
        return response.map(|_| SseBody::none());
    }

    let mut observers = layer.observers();
    let Ok(permit) = layer.admit() else {
        let opened = asked.opened(response.headers());
        observers.iter_mut().for_each(|observer| observer.refused(&opened));
        return refusal(layer);
    };
    let watched = if observers.is_empty() {
        Watched::NOBODY
    } else {
        Watched::open(observers, asked, &asked.opened(response.headers()), !is_encoded)
    };
    let layer = layer.clone();
    response.map(|body| {
        SseBody::stream(if is_encoded {
            Streaming::opaque(body, layer, permit, watched)
        } else {
            Streaming::new(body, layer.reading(), layer, permit, watched)
        })
    })
}

/// There are as many streams as may be.
fn refusal<B>(layer: &SseLayer) -> Response<SseBody<B>> {
    let mut response = Response::new(SseBody::none());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(layer.retry_after_secs()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
