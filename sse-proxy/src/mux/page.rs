//! The page at `/.sse/`, to debug with: the feeds of one's own multiplexed streams.

use http::header::{ALLOW, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use pingora::protocols::http::ServerSession;

use crate::answer::Answer;

/// The page may ask nobody but us.
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'self'; img-src data:; frame-ancestors 'none'");

/// What there is of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Html,
    Script,
    Style,
    /// The stream that feeds it.
    Events,
}

impl Part {
    /// What is at a path.
    pub(super) fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/.sse/" => Self::Html,
            "/.sse/page.js" => Self::Script,
            "/.sse/page.css" => Self::Style,
            "/.sse/page/events" => Self::Events,
            _ => return None,
        })
    }

    /// Answers with the part. Returns whether that is yet to be done, as it is a stream.
    pub(crate) async fn answer(self, session: &mut ServerSession) -> pingora::Result<bool> {
        let file = |text, content_type| {
            Answer::new(200, text).with(CONTENT_TYPE, HeaderValue::from_static(content_type))
        };
        let answer = match self {
            _ if session.req_header().method != Method::GET => {
                let only = HeaderValue::from_static("GET");
                Answer::new(405, "This page is to be looked at.\n").with(ALLOW, only)
            }
            Self::Html => file(include_str!("page/page.html"), "text/html; charset=utf-8"),
            Self::Script => file(include_str!("page/page.js"), "text/javascript; charset=utf-8"),
            Self::Style => file(include_str!("page/page.css"), "text/css; charset=utf-8"),
            Self::Events => return Ok(true),
        };
        let policy = HeaderMap::from_iter([(CONTENT_SECURITY_POLICY, POLICY)]);
        answer.write(session, policy).await?;
        Ok(false)
    }
}
