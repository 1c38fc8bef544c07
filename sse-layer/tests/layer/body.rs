//! What happens to the bytes of a handler's own body.

use std::convert::Infallible;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::{Buf, Bytes};
use futures_util::{FutureExt, stream};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use sse_layer::{KeepAlive, SseLayer};

use crate::Step::{Send, Wait};
use crate::{bytes, scripted, secs, silent, through};

fn frames<E>(
    frames: impl IntoIterator<Item = Result<Frame<Bytes>, E>>,
) -> StreamBody<impl futures_util::Stream<Item = Result<Frame<Bytes>, E>>> {
    StreamBody::new(stream::iter(frames.into_iter().collect::<Vec<_>>()))
}

fn data(bytes: &'static [u8]) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(bytes))
}

#[tokio::test]
async fn the_first_bytes_come_at_once_and_say_when_to_reconnect() {
    let mut retries: Vec<u64> = Vec::new();
    for _ in 0..200 {
        let mut body = Box::pin(through(SseLayer::new(), silent()).await);
        let first = body.frame().now_or_never().expect("at once").unwrap().unwrap();
        let first = String::from_utf8(first.into_data().unwrap().to_vec()).unwrap();
        let retry = first.strip_prefix(":\nretry: ").and_then(|s| s.strip_suffix("\n\n"));
        retries.push(retry.unwrap().parse().unwrap());
    }
    assert!(retries.iter().all(|ms| (2010..=3990).contains(ms)), "{retries:?}");
    assert!(retries.iter().any(|ms| *ms < 2700) && retries.iter().any(|ms| *ms > 3300));
}

#[tokio::test]
async fn the_reconnection_time_is_settable() {
    for (retry, range) in [
        (Duration::from_millis(100), 67..=133),
        (Duration::ZERO, 0..=0),
        (Duration::MAX, 0..=i32::MAX.unsigned_abs()),
    ] {
        let layer = SseLayer::new().retry(retry);
        let sent = through(layer, Full::new(Bytes::new())).await.collect().await.unwrap();
        let sent = String::from_utf8(sent.to_bytes().to_vec()).unwrap();
        let ms = sent.trim_end().strip_prefix(":\nretry: ").unwrap().parse().unwrap();
        assert!(range.contains(&ms), "{ms} for {retry:?}");
    }
}

/// Everything of a body but a mark at its very start, and nothing at its end: half an event stays
/// half an event.
#[tokio::test]
async fn the_bytes_themselves_pass_as_they_are() {
    let body = b"\xEF\xBB\xBF\xEF\xBB\xBFdata: \xFF\r\n\rid:\0\n\xEF\xBB\xBFdata: half";
    for size in 1..=body.len() {
        let cut = frames(body.chunks(size).map(|chunk| Ok::<_, Infallible>(data(chunk))));
        let sent = through(SseLayer::new().no_retry(), cut).await.collect().await.unwrap();
        assert_eq!(sent.to_bytes(), [b":\n\n", &body[3..]].concat(), "cut by {size}");
    }
}

#[tokio::test]
async fn other_buffers_than_bytes_are_taken() {
    let chained = b"data: ".chain(&b"x\n\n"[..]);
    let body = StreamBody::new(stream::iter([Ok::<_, Infallible>(Frame::data(chained))]));
    let sent = through(SseLayer::new().no_retry(), body).await.collect().await.unwrap();
    assert_eq!(sent.to_bytes(), ":\n\ndata: x\n\n");
}

#[tokio::test]
async fn empty_frames_are_not_passed_on() {
    let body =
        frames([b"data: x\n\n", &b""[..], b"", b"data: y\n\n"].map(|b| Ok::<_, ()>(data(b))));
    let mut body = Box::pin(through(SseLayer::new(), body).await);
    let mut count = 0;
    while let Some(frame) = body.frame().await {
        assert!(frame.unwrap().into_data().unwrap().has_remaining());
        count += 1;
    }
    assert_eq!(count, 3, "the opening and two events");
}

#[tokio::test]
async fn trailers_and_errors_of_the_handlers_body_pass() {
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from(7))]);
    let body = frames([Ok(data(b"data")), Ok(Frame::trailers(trailers.clone())), Err("broken")]);
    let mut body = Box::pin(through(SseLayer::new(), body).await);
    let mut next = async || body.frame().await.unwrap();
    assert!(next().await.unwrap().is_data());
    assert_eq!(next().await.unwrap().into_data().unwrap(), "data");
    assert_eq!(next().await.unwrap().into_trailers().unwrap(), trailers);
    assert_eq!(next().await.err(), Some("broken"));
}

#[tokio::test]
async fn the_end_is_known_but_the_length_is_not() {
    let mut body = Box::pin(through(SseLayer::new(), Full::new(Bytes::new())).await);
    assert!(!body.is_end_stream());
    assert_eq!(body.size_hint().exact(), None);
    body.frame().await.unwrap().unwrap();
    assert!(body.is_end_stream());
    assert!(body.frame().await.is_none());
}

/// What a browser makes of `bytes`, written as naively as the standard states it: type, data and
/// id of each event.
fn browser(bytes: &[u8]) -> Vec<[String; 3]> {
    let text = String::from_utf8_lossy(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes));
    let lines = text.replace("\r\n", "\n").replace('\r', "\n");
    let (mut events, mut id) = (Vec::new(), String::new());
    let (mut kind, mut data) = (String::new(), String::new());
    // What stands after the last line end is no line.
    for line in lines.rsplit_once('\n').map_or("", |(lines, _)| lines).split('\n') {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "" if line.is_empty() => {
                if let Some(data) = data.strip_suffix('\n') {
                    let kind = if kind.is_empty() { "message" } else { &kind };
                    events.push([kind.to_owned(), data.to_owned(), id.clone()]);
                }
                (kind, data) = (String::new(), String::new());
            }
            "data" => data += &(value.to_owned() + "\n"),
            "event" => value.clone_into(&mut kind),
            "id" if !value.contains('\0') => value.clone_into(&mut id),
            _ => {}
        }
    }
    events
}

/// The corpus of streams, sent byte by byte with silence for two comments after each byte.
#[tokio::test(start_paused = true)]
async fn comments_wherever_they_are_allowed_change_no_event() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/parse.jsonl");
    let corpus = std::fs::read_to_string(path).unwrap();
    let mut comments = 0;
    for case in corpus.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
    {
        let name = case["name"].as_str().unwrap();
        let sent: &'static [u8] =
            BASE64_STANDARD.decode(case["bytes_b64"].as_str().unwrap()).unwrap().leak();
        if sent.len() > 2000 {
            continue; // would take long, and show nothing that short ones do not
        }
        let field =
            |event: &serde_json::Value, name: &str| event[name].as_str().unwrap().to_owned();
        let expected: Vec<_> = case["expect"]["events"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| ["type", "data", "id"].map(|name| field(event, name)))
            .collect();

        let body = scripted(sent.chunks(1).flat_map(|byte| [Send(byte), Wait(secs(10))]));
        let layer = SseLayer::new().keep_alive(KeepAlive::new().every(secs(4)));
        let got = bytes(through(layer, body).await).await;
        assert_eq!(browser(&got), expected, "{name}: {}", String::from_utf8_lossy(&got));
        comments += got.len() - sent.len();
    }
    assert!(comments > 1000, "only {comments} bytes of comments");
}
