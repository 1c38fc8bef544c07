//! What [`SseLayer`] and its companions promise, seen from outside. The clock is paused wherever
//! time plays a part.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod any_options;
#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "axum")]
mod beside_axum;
mod body;
mod client;
#[cfg(feature = "compress")]
mod compress;
mod convert;
mod drain;
mod events;
mod hardening;
mod head;
mod keep_alive;
mod leaving;
mod observe;
mod servers;
#[cfg(feature = "axum")]
mod stacks;
mod stacks_on_hyper;
mod stalled;
mod tcp;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt, future, stream};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use sse_layer::{SseBody, SseLayer};
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, ServiceExt, service_fn};

/// What a body does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Send(&'static [u8]),
    Wait(Duration),
}

use Step::{Send, Wait};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A handler's body that does `steps`, in real life by writing and waiting.
fn scripted(
    steps: impl IntoIterator<Item = Step>,
) -> StreamBody<impl Stream<Item = Result<Frame<Bytes>, Infallible>>> {
    let steps: Vec<Step> = steps.into_iter().collect();
    StreamBody::new(stream::iter(steps).filter_map(|step| async move {
        match step {
            Send(bytes) => Some(Ok(Frame::data(Bytes::from_static(bytes)))),
            Wait(time) => {
                sleep(time).await;
                None
            }
        }
    }))
}

/// A body that stays open and says nothing.
fn silent() -> StreamBody<stream::Pending<Result<Frame<Bytes>, Infallible>>> {
    StreamBody::new(stream::pending())
}

fn event_stream<B>(body: B) -> Response<B> {
    Response::builder().header("content-type", "text/event-stream").body(body).unwrap()
}

/// `response` as `layer` lets it through, in answer to `request`.
async fn answer<B: Body>(
    layer: SseLayer,
    request: Request<()>,
    response: Response<B>,
) -> Response<SseBody<B>> {
    let mut response = Some(response);
    let handler = service_fn(move |_| {
        future::ok::<_, Infallible>(response.take().expect("one request, one response"))
    });
    layer.layer(handler).oneshot(request).await.unwrap()
}

/// The body of an event stream as `layer` lets it through.
async fn through<B: Body>(layer: SseLayer, body: B) -> SseBody<B> {
    answer(layer, Request::new(()), event_stream(body)).await.into_body()
}

/// What comes out of `body` until it ends, or until `limit` has passed, and when.
async fn timed<B>(body: B, limit: Duration) -> Vec<(Duration, Bytes)>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let (mut body, start, mut seen) = (Box::pin(body), Instant::now(), Vec::new());
    let read_all = async {
        while let Some(frame) = body.frame().await {
            seen.push((start.elapsed(), frame.unwrap().into_data().unwrap()));
        }
    };
    let _ended_or_not = timeout(limit, read_all).await;
    seen
}

/// All that comes out of `body` until it ends, or for a day.
async fn bytes<B>(body: B) -> Vec<u8>
where
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    timed(body, secs(86_400)).await.into_iter().flat_map(|(_, bytes)| bytes).collect()
}
