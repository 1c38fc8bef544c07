//! Streams in content codings.

use std::io::Write;

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, StreamBody};
use sse_layer::compress::Compression;
use sse_layer::{Drain, SseBody, SseLayer};

use crate::Step::{Send, Wait};
use crate::{answer, event_stream, scripted, secs, silent};

const CODINGS: [&str; 3] = ["gzip", "br", "zstd"];

/// Decodes what has come so far, as a browser does.
enum Reader {
    Gzip(flate2::write::GzDecoder<Vec<u8>>),
    Brotli(Box<brotli::DecompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Decoder<'static, Vec<u8>>),
}

impl Reader {
    fn new(coding: &str) -> Self {
        match coding {
            "gzip" => Self::Gzip(flate2::write::GzDecoder::new(Vec::new())),
            "br" => Self::Brotli(Box::new(brotli::DecompressorWriter::new(Vec::new(), 4096))),
            "zstd" => Self::Zstd(zstd::stream::write::Decoder::new(Vec::new()).unwrap()),
            other => panic!("{other}"),
        }
    }

    /// What `bytes` add to what is decoded.
    fn read(&mut self, bytes: &[u8]) -> String {
        fn take<W: Write>(
            writer: &mut W,
            bytes: &[u8],
            decoded: fn(&mut W) -> &mut Vec<u8>,
        ) -> Vec<u8> {
            writer.write_all(bytes).unwrap();
            writer.flush().unwrap();
            std::mem::take(decoded(writer))
        }
        let decoded = match self {
            Self::Gzip(reader) => take(reader, bytes, |reader| reader.get_mut()),
            Self::Brotli(reader) => take(&mut **reader, bytes, |reader| reader.get_mut()),
            Self::Zstd(reader) => take(reader, bytes, |reader| reader.get_mut()),
        };
        String::from_utf8(decoded).unwrap()
    }
}

fn layer() -> SseLayer {
    SseLayer::new().no_retry().compress(Compression::new())
}

fn accepting(codings: &str) -> Request<()> {
    Request::builder().header("accept-encoding", codings).body(()).unwrap()
}

/// The next frame, decoded.
async fn next<B>(body: &mut std::pin::Pin<Box<SseBody<B>>>, reader: &mut Reader) -> String
where
    B: Body<Error: std::fmt::Debug>,
{
    let frame = body.frame().await.expect("a frame").unwrap();
    reader.read(&frame.into_data().unwrap())
}

#[tokio::test(start_paused = true)]
async fn each_event_and_each_comment_can_be_decoded_as_soon_as_it_is_sent() {
    for coding in CODINGS {
        let steps =
            [Send(b"data: {\"price\":1}\n\n"), Wait(secs(20)), Send(b"data: {\"price\":2}\n\n")];
        let steps = steps.into_iter().chain([Send(b"data: {\"price\":2}\n\n")]);
        let response = answer(layer(), accepting(coding), event_stream(scripted(steps))).await;
        assert_eq!(response.headers()["content-encoding"], coding);
        let (mut body, mut reader) = (Box::pin(response.into_body()), Reader::new(coding));
        assert_eq!(next(&mut body, &mut reader).await, ":\n\n", "{coding}");
        assert_eq!(next(&mut body, &mut reader).await, "data: {\"price\":1}\n\n", "{coding}");
        assert_eq!(next(&mut body, &mut reader).await, ":\n\n", "{coding}");
        assert_eq!(next(&mut body, &mut reader).await, "data: {\"price\":2}\n\n", "{coding}");
        let again = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(again.len() < 19, "{coding}: {} bytes for what was sent before", again.len());
        assert_eq!(reader.read(&again), "data: {\"price\":2}\n\n", "{coding}");
        // The end of the coding, and of the body.
        assert_eq!(next(&mut body, &mut reader).await, "", "{coding}");
        assert!(body.is_end_stream());
        assert!(body.frame().await.is_none());
    }
}

/// Checks of its own kind: a decoder that reads to the end fails if the end is missing.
#[tokio::test(start_paused = true)]
async fn the_coding_is_complete_however_the_stream_ends() {
    let drain = Drain::new();
    drain.start(secs(1));
    for layer in [layer(), layer().drain(drain)] {
        let response = event_stream(scripted([Send(b"data: x\n\n")]));
        let response = answer(layer, accepting("gzip"), response).await;
        let coded = response.into_body().collect().await.unwrap().to_bytes();
        let mut decoded = String::new();
        let mut reader = flate2::read::GzDecoder::new(&coded[..]);
        std::io::Read::read_to_string(&mut reader, &mut decoded).unwrap();
        assert!(decoded.starts_with(":\n\n"), "{decoded}");
    }
}

#[tokio::test]
async fn trailers_come_after_the_end_of_the_coding_and_errors_pass() {
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), 7.into())]);
    let frames = || [Ok(Frame::data(Bytes::from("data\n\n")))].into_iter();
    let with_trailers = frames().chain([Ok::<_, &str>(Frame::trailers(trailers.clone()))]);
    let failing = frames().chain([Err("broken")]);

    let body = StreamBody::new(futures_util::stream::iter(with_trailers));
    let response = answer(layer(), accepting("gzip"), event_stream(body)).await;
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers(), Some(&trailers));

    let body = StreamBody::new(futures_util::stream::iter(failing));
    let response = answer(layer(), accepting("gzip"), event_stream(body)).await;
    assert_eq!(response.into_body().collect().await.err(), Some("broken"));
}

#[tokio::test]
async fn the_first_bytes_come_at_once() {
    for coding in CODINGS {
        let response = answer(layer(), accepting(coding), event_stream(silent())).await;
        let mut body = Box::pin(response.into_body());
        let first = body.frame().now_or_never().expect("at once").unwrap().unwrap();
        assert_eq!(Reader::new(coding).read(&first.into_data().unwrap()), ":\n\n");
    }
}

async fn coding_of(
    layer: SseLayer,
    request: http::request::Builder,
) -> (Option<String>, Vec<String>) {
    let response = event_stream(silent());
    let headers = answer(layer, request.body(()).unwrap(), response).await.headers().clone();
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    let vary = headers.get_all("vary").iter().map(text).collect();
    (headers.get("content-encoding").map(text), vary)
}

#[tokio::test]
async fn the_client_has_a_say_and_caches_are_told() {
    let ours = || vec!["accept-encoding".to_owned()];
    for (accepted, expected) in [
        ("gzip, deflate, br, zstd", Some("zstd")),
        ("gzip, deflate, br", Some("br")),
        ("gzip;q=1.0, br;q=0.5", Some("gzip")),
        ("deflate", None),
        ("gzip;q=0", None),
    ] {
        let request = Request::builder().header("accept-encoding", accepted);
        let found = coding_of(layer(), request).await;
        assert_eq!(found, (expected.map(Into::into), ours()), "{accepted}");
    }
    assert_eq!(coding_of(layer(), Request::builder()).await, (None, ours()));
}

#[tokio::test]
async fn it_is_off_by_default() {
    let request = Request::builder().header("accept-encoding", "gzip");
    assert_eq!(coding_of(SseLayer::new(), request).await, (None, vec![]));
}

#[tokio::test]
async fn requests_with_secrets_are_not_compressed_unless_that_is_allowed() {
    for name in ["authorization", "cookie", "proxy-authorization"] {
        let request = || Request::builder().header("accept-encoding", "gzip").header(name, "x");
        assert_eq!(coding_of(layer(), request()).await.0, None, "{name}");
        let allowed = layer().compress(Compression::new().even_with_secrets());
        assert_eq!(coding_of(allowed, request()).await.0.as_deref(), Some("gzip"), "{name}");
    }
}

#[tokio::test]
async fn headers_of_the_plain_body_go_and_no_transform_stays() {
    for method in [Method::GET, Method::HEAD] {
        let mut request = accepting("gzip");
        *request.method_mut() = method;
        let response = Response::builder()
            .header("content-type", "text/event-stream")
            .header("content-length", "100")
            .header("etag", "\"1\"")
            .header("vary", "origin, Accept-Encoding")
            .body(silent())
            .unwrap();
        let response = answer(layer(), request, response).await;
        let headers = response.headers();
        assert_eq!(headers["content-encoding"], "gzip");
        assert_eq!(headers["cache-control"], "no-cache, no-store, no-transform");
        assert_eq!(headers.get_all("vary").iter().count(), 1);
        assert!(!headers.contains_key("content-length") && !headers.contains_key("etag"));
    }
}

#[tokio::test]
async fn a_handler_that_names_a_coding_is_left_alone() {
    for coding in ["identity", "br"] {
        let mut response = event_stream(scripted([Send(b"data\n\n")]));
        response.headers_mut().insert("content-encoding", coding.parse().unwrap());
        let response = answer(layer(), accepting("gzip"), response).await;
        assert_eq!(response.headers()["content-encoding"], coding);
        assert!(!response.headers().contains_key("vary"));
        assert!(crate::bytes(response.into_body()).await.ends_with(b"data\n\n"));
    }
}

#[tokio::test]
async fn what_is_no_stream_is_not_compressed() {
    let response = answer(layer(), accepting("gzip"), Response::new(silent())).await;
    assert!(response.headers().is_empty());
}
