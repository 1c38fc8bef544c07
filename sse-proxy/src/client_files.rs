//! The browser's side, which pages load from the proxy: `/.sse/*.js`.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use http::Method;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH,
};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;

/// Lets a service worker from below `/.sse/` answer for pages anywhere on the host.
const SERVICE_WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");

/// A file of the browser's side.
#[derive(Clone, Copy)]
pub(crate) struct ClientFile {
    name: &'static str,
    text: &'static str,
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(ClientFile { name: $name, text: include_str!(concat!("../client/", $name)) }),*]
    };
}

/// All that pages and workers load, and the types for those who write them.
const FILES: &[ClientFile] = files![
    "eventsource-parser.js",
    "hints.js",
    "hub.js",
    "link.js",
    "message.js",
    "mux.d.ts",
    "mux.js",
    "port.js",
    "stream.js",
    "sw.js",
    "worker.js",
];

impl ClientFile {
    /// The file at a request's path, if there is one.
    pub(crate) fn at(path: &str) -> Option<Self> {
        let name = path.strip_prefix("/.sse/")?;
        FILES.iter().find(|file| file.name == name).copied()
    }

    /// Answers a request for the file. Browsers keep it, and ask each time whether it is still the
    /// same, so that an upgrade of the proxy is theirs too.
    pub(crate) async fn serve(self, session: &mut ServerSession) -> pingora::Result<()> {
        let request = session.req_header();
        let is_head = request.method == Method::HEAD;
        let etag = self.etag();
        let known = request.headers.get_all(IF_NONE_MATCH).iter();
        let is_known = known
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag));
        let status = match request.method {
            Method::GET | Method::HEAD if is_known => 304,
            Method::GET | Method::HEAD => 200,
            _ => 405,
        };
        let text = if status == 200 { self.text } else { "" };

        let mut head = ResponseHeader::build(status, Some(6))?;
        if status == 405 {
            // Its body is not read.
            session.set_keepalive(None);
            head.insert_header(ALLOW, "GET, HEAD")?;
        } else {
            head.insert_header(ETAG, etag)?;
            head.insert_header(CACHE_CONTROL, "no-cache")?;
        }
        if status == 200 {
            head.insert_header(CONTENT_TYPE, self.content_type())?;
            head.insert_header(SERVICE_WORKER_ALLOWED, "/")?;
        }
        if status != 304 {
            head.insert_header(CONTENT_LENGTH, text.len())?;
        }
        session.write_response_header(Box::new(head)).await?;
        let body = if is_head { "" } else { text };
        session.write_response_body(Bytes::from_static(body.as_bytes()), true).await?;
        Ok(())
    }

    fn content_type(self) -> &'static str {
        if self.name.ends_with(".d.ts") {
            "text/plain; charset=utf-8"
        } else {
            "text/javascript; charset=utf-8"
        }
    }

    /// Other for another text.
    fn etag(self) -> String {
        let mut hasher = DefaultHasher::new();
        self.text.hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    }
}
