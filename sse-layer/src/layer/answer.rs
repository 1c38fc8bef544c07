//! What becomes of a handler's response.

use std::sync::Arc;

use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{HeaderValue, Method, Response, StatusCode};

#[cfg(feature = "compress")]
use super::encoded::Encoded;
use super::reading::Reading;
use super::request::Asked;
use super::streaming::Streaming;
use super::watched::Watched;
use super::{SseBody, SseLayer};
#[cfg(feature = "compress")]
use crate::compress;
use crate::convert::Converter;
use crate::feed::Notices;
use crate::head;

/// Makes a `response` that is a stream one that arrives; others pass.
pub(super) fn answer<B>(
    mut response: Response<B>,
    asked: &Asked,
    layer: &Arc<SseLayer>,
) -> Response<SseBody<B>> {
    let headers = response.headers();
    if response.status() != StatusCode::OK {
        return response.map(SseBody::untouched);
    }
    let is_encoded = head::is_encoded(headers);
    let conversion = layer.conversion(headers).filter(|_| !is_encoded);
    if conversion.is_none() && !head::is_event_stream(headers) {
        return response.map(SseBody::untouched);
    }
    if conversion.is_some() {
        head::reshaped(response.headers_mut());
    }
    head::prepare(response.headers_mut(), asked.version);
    #[cfg(feature = "compress")]
    let encoder =
        layer.compression().and_then(|_| compress::prepare(response.headers_mut(), asked.coding));
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
        let notices = response.extensions().get::<Notices>().cloned();
        Watched::open(observers, asked, &asked.opened(response.headers()), !is_encoded, notices)
    };
    let layer = layer.clone();
    response.map(|body| {
        let stream = if is_encoded {
            Streaming::opaque(body, layer, permit, watched)
        } else {
            let reading = match conversion {
                Some(format) => Reading::converted(Converter::new(format)),
                None => layer.reading(),
            };
            Streaming::new(body, reading, layer, permit, watched)
        };
        #[cfg(feature = "compress")]
        let stream = Encoded::new(stream, encoder);
        SseBody::stream(stream)
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
