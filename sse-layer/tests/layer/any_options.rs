//! Whatever options a layer is given, and whatever a handler answers to whomever: nothing panics.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Version};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use proptest::prelude::*;
use sse_layer::convert::Convert;
use sse_layer::{Drain, Event, EventId, EventStream, EventType, KeepAlive, Repairs, SseLayer};
use tokio::time::timeout;

use crate::{answer, event_stream, secs, silent};

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::from_nanos(1)),
        Just(Duration::MAX),
        (0_u64..100_000).prop_map(Duration::from_millis),
        any::<u64>().prop_map(Duration::from_secs),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let text = || proptest::option::of(any::<String>());
    (text(), text(), text(), text(), proptest::option::of(duration())).prop_map(
        |(comment, event_type, id, data, retry)| {
            let mut event = Event::new();
            if let Some(text) = comment {
                event = event.comment(text);
            }
            if let Some(event_type) = event_type.and_then(|text| EventType::try_from(text).ok()) {
                event = event.event(event_type);
            }
            if let Some(id) = id.and_then(|text| EventId::try_from(text).ok()) {
                event = event.id(id);
            }
            if let Some(text) = data {
                event = event.data(text);
            }
            match retry {
                Some(retry) => event.retry(retry),
                None => event,
            }
        },
    )
}

/// The layer with any of its options, and its drain.
fn layer() -> impl Strategy<Value = (SseLayer, Drain)> {
    let option = proptest::option::of::<BoxedStrategy<Duration>>;
    let times =
        (option(duration().boxed()), option(duration().boxed()), option(duration().boxed()));
    let formats = proptest::sample::subsequence(
        vec![Convert::Ndjson, Convert::JsonSeq, Convert::Lines],
        0..=3,
    );
    let repairs = proptest::sample::select(vec![Repairs::NONE, Repairs::SAFE, Repairs::LEGACY]);
    let streams = prop_oneof![Just(0), Just(1), any::<usize>()];
    (times, any::<String>(), streams, proptest::option::of(event()), formats, repairs).prop_map(
        |((every, retry, life), comment, streams, farewell, formats, repairs)| {
            let drain = Drain::new();
            let keep_alive = every.map_or(KeepAlive::off(), |every| KeepAlive::new().every(every));
            let mut layer = SseLayer::new()
                .keep_alive(keep_alive.comment(comment))
                .drain(drain.clone())
                .max_streams(streams)
                .repair(repairs)
                .no_retry();
            if let Some(retry) = retry {
                layer = layer.retry(retry);
            }
            if let Some(life) = life {
                layer = layer.max_lifetime(life);
            }
            if let Some(farewell) = farewell {
                layer = layer.farewell(farewell);
            }
            let layer = formats.into_iter().fold(layer, SseLayer::convert);
            #[cfg(feature = "compress")]
            let layer = if streams % 2 == 0 {
                layer
            } else {
                layer.compress(sse_layer::compress::Compression::new())
            };
            (layer, drain)
        },
    )
}

/// Reads 20 frames, or what there is of `body` in a second.
async fn some_of(body: impl Body<Data = Bytes, Error = Infallible>) {
    let mut body = Box::pin(body);
    let read = async {
        for _ in 0..20 {
            let Some(Ok(_)) = body.frame().await else { return };
        }
    };
    let _read_or_not = timeout(secs(1), read).await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_options_and_no_bodies_make_the_layer_panic(
        (layer, drain) in layer(),
        events in proptest::collection::vec(event(), 0..4),
        pieces in proptest::collection::vec(any::<Vec<u8>>(), 0..4),
        kind in "text/event-stream|application/x-ndjson|application/json-seq|text/plain",
        accepted in "|gzip|br|zstd|gzip;q=0, \\*|[ -~]{0,20}",
        method in proptest::sample::select(vec![Method::GET, Method::HEAD, Method::POST]),
        version in proptest::sample::select(vec![Version::HTTP_10, Version::HTTP_11, Version::HTTP_2]),
        window in duration(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let request = || Request::builder()
                .method(method.clone()).version(version)
                .header("accept-encoding", &accepted).body(()).unwrap();
            let frames = pieces.into_iter().map(|piece| {
                Ok::<_, Infallible>(Frame::data(Bytes::from(piece)))
            });
            let mut response = event_stream(StreamBody::new(stream::iter(frames)));
            response.headers_mut().insert("content-type", kind.parse().unwrap());
            some_of(answer(layer.clone(), request(), response).await.into_body()).await;

            let response = EventStream::new(stream::iter(events)).into_response();
            some_of(answer(layer.clone(), request(), response).await.into_body()).await;

            let response = answer(layer, request(), event_stream(silent())).await;
            drain.start(window);
            some_of(response.into_body()).await;
        });
    }
}
