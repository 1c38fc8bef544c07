//! Bodies that the layer makes event streams of, and those that it mends.

use base64::prelude::{BASE64_STANDARD, Engine};
use futures_util::FutureExt;
use http::{Method, Request, Response};
use http_body::Body;
use http_body_util::BodyExt;
use serde_json::Value;
use sse_layer::convert::{Convert, Converter};
use sse_layer::{Decoder, Framer, KeepAlive, Repairs, SseLayer};

use crate::Step::{self, Send, Wait};
use crate::{answer, bytes, event_stream, scripted, secs, through, timed};

fn response(
    content_type: &str,
    steps: impl IntoIterator<Item = Step>,
) -> Response<impl Body<Error = std::convert::Infallible>> {
    let response = Response::builder().header("content-type", content_type);
    response.header("content-length", "9").header("etag", "\"1\"").body(scripted(steps)).unwrap()
}

fn all() -> SseLayer {
    let layer = SseLayer::new().no_retry().convert(Convert::Ndjson);
    layer.convert(Convert::JsonSeq).convert(Convert::Lines)
}

/// What servers send in these formats, from the corpus of legacy responses.
#[tokio::test]
async fn the_corpus_of_other_formats_arrives() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/legacy.jsonl");
    let corpus = std::fs::read_to_string(path).unwrap();
    let cases = corpus.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut seen = 0;
    for case in cases.filter(|case| {
        let repair = case["proxy"]["repair"].as_str();
        matches!(repair, Some("ndjson" | "json-seq" | "lines"))
    }) {
        let name = &case["name"];
        let sent: &'static [u8] =
            BASE64_STANDARD.decode(case["bytes_b64"].as_str().unwrap()).unwrap().leak();
        let content_type = case["headers"][0][1].as_str().unwrap();
        let steps = sent.chunks(3).map(Send);
        let response = answer(all(), Request::new(()), response(content_type, steps)).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");

        let mut decoder = Decoder::new();
        decoder.push(bytes(response.into_body()).await);
        let mut data = Vec::new();
        while let Some(event) = decoder.next_event().unwrap() {
            assert_eq!(event.event_type, "message");
            data.push(Value::from(event.data));
        }
        let events = case["proxy"]["deliver"]["events"].as_array().unwrap();
        let expected: Vec<_> = events.iter().map(|event| event["data"].clone()).collect();
        assert_eq!(data, expected, "{name}");
        seen += 1;
    }
    assert!(seen >= 4, "only {seen} cases");
}

#[tokio::test]
async fn a_converted_response_has_the_head_of_a_stream_and_nothing_of_the_old_one() {
    for method in [Method::GET, Method::HEAD] {
        let request = Request::builder().method(method).body(()).unwrap();
        let response = answer(all(), request, response("application/x-ndjson", [])).await;
        let headers = response.headers();
        assert_eq!(headers["content-type"], "text/event-stream");
        assert_eq!(headers["cache-control"], "no-cache, no-store, no-transform");
        assert!(!headers.contains_key("etag") && !headers.contains_key("content-length"));
    }
}

#[tokio::test(start_paused = true)]
async fn each_record_leaves_when_it_is_complete_and_silence_is_filled() {
    let steps = [
        Send(b"\xEF\xBB\xBF{\"a\":1}\n{\"a\":2}\n{\"a"),
        Wait(secs(20)),
        Send(b"\":3}\n"),
        Wait(secs(1)),
        Send(b"{\"half"),
    ];
    let response = answer(all(), Request::new(()), response("application/x-ndjson", steps)).await;
    let seen = timed(response.into_body(), secs(3600)).await;
    let [opening, two, comment, third] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(opening.1, ":\n\n");
    assert_eq!(two.1, "data: {\"a\":1}\n\ndata: {\"a\":2}\n\n");
    assert_eq!(comment.1, ":\n\n");
    assert_eq!(*third, (secs(20), "data: {\"a\":3}\n\n".into()));
}

#[tokio::test]
async fn what_was_not_asked_for_passes_untouched() {
    let only_lines = || SseLayer::new().convert(Convert::Lines);
    for (layer, content_type, encoding, status) in [
        (SseLayer::new(), "application/x-ndjson", "identity", 200),
        (only_lines(), "application/x-ndjson", "identity", 200),
        (only_lines(), "text/plain; charset=latin1", "identity", 200),
        (only_lines(), "text/plain", "gzip", 200),
        (only_lines(), "text/plain", "identity", 404),
    ] {
        let mut response = response(content_type, [Send(b"untouched")]);
        response.headers_mut().insert("content-encoding", encoding.parse().unwrap());
        *response.status_mut() = status.try_into().unwrap();
        let headers = response.headers().clone();
        let response = answer(layer, Request::new(()), response).await;
        assert_eq!(*response.headers(), headers);
        assert_eq!(bytes(response.into_body()).await, b"untouched");
    }
}

#[tokio::test]
async fn a_record_without_end_ends_the_stream_and_is_told() {
    let line: &'static [u8] = vec![b'x'; Converter::DEFAULT_LIMIT / 4].leak();
    let steps = [Send(b"short\n")].into_iter().chain([Send(line); 5]).chain([Send(b"\nmore\n")]);
    let response = answer(all(), Request::new(()), response("text/plain", steps)).await;
    let sent = String::from_utf8(bytes(response.into_body()).await).unwrap();
    let limit = Converter::DEFAULT_LIMIT;
    let told = format!("a record is longer than the limit of {limit} bytes");
    assert_eq!(sent, format!(":\n\ndata: short\n\n: ended: {told}\n\n"));
}

fn mending() -> SseLayer {
    SseLayer::new().no_retry().repair(Repairs::LEGACY)
}

#[tokio::test]
async fn a_body_that_was_written_by_hand_is_mended() {
    let steps = [Send(b"\xEF\xBB\xBFEvent: a\r\nDa"), Send(b"ta: 1\r\n\r\ndata: 2\n\nID: 7\ndata")];
    let sent = bytes(through(mending(), scripted(steps)).await).await;
    let expected = ":\n\nevent: a\ndata: 1\n\ndata: 2\n\nID: 7\ndata";
    assert_eq!(String::from_utf8(sent).unwrap(), expected, "half a block stays as it is");

    let steps = [Send(b"Data: 1\n\n")];
    let sent = bytes(through(SseLayer::new().no_retry(), scripted(steps)).await).await;
    assert_eq!(sent, b":\n\nData: 1\n\n", "off by default");
}

#[tokio::test]
async fn frames_that_are_ready_leave_together() {
    let body = scripted([Send(b"Data: 1\n\nData: 2\n\n"), Wait(secs(3600))]);
    let mut body = Box::pin(through(mending().keep_alive(KeepAlive::off()), body).await);
    body.frame().await.unwrap().unwrap();
    let frame = body.frame().now_or_never().expect("at once").unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap(), "data: 1\n\ndata: 2\n\n");
}

#[tokio::test(start_paused = true)]
async fn comments_come_between_whole_blocks() {
    let steps = [Send(b"Data: a"), Wait(secs(20)), Send(b"b\n"), Wait(secs(20)), Send(b"\n")];
    let sent = bytes(through(mending(), scripted(steps)).await).await;
    assert_eq!(String::from_utf8(sent).unwrap(), ":\n\n:\n\n:\n\ndata: ab\n\n");
}

#[tokio::test]
async fn a_block_without_end_ends_the_stream_and_is_told() {
    let line: &'static [u8] = vec![b'x'; Framer::DEFAULT_LIMIT / 4].leak();
    let steps = [Send(b"data: 1\n\n")].into_iter().chain([Send(line); 5]);
    let sent = bytes(through(mending(), scripted(steps)).await).await;
    let sent = String::from_utf8(sent).unwrap();
    assert!(sent.starts_with(":\n\ndata: 1\n\n: ended: "), "{sent}");
    assert!(sent.ends_with("\n\n") && sent.len() < 200);
}

#[tokio::test]
async fn mending_and_conversion_go_together() {
    let steps = [Send(b"Data: 1\n\n{\"a\":1}\n{\"a\":2}\n\n")];
    let layer = mending().convert(Convert::Ndjson);
    let sent =
        bytes(answer(layer, Request::new(()), event_stream(scripted(steps))).await.into_body());
    let expected = ":\n\ndata: 1\n\ndata: {\"a\":1}\n\ndata: {\"a\":2}\n\n";
    assert_eq!(String::from_utf8(sent.await).unwrap(), expected);
}
