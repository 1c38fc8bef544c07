//! [`Answer`]: what is answered here, and not by an origin.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use sse_layer::mux::Refused;

/// A status, perhaps one more field, and a line of text or, where that is empty, no body.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    text: &'static str,
    field: Option<(HeaderName, HeaderValue)>,
}

impl Answer {
    pub(crate) const fn new(status: u16, text: &'static str) -> Self {
        Self { status, text, field: None }
    }

    pub(crate) fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { field: Some((name, value)), ..self }
    }

    /// Writes the answer, with more fields. The client's connection can serve another request,
    /// unless something of this one is left unread.
    pub(crate) async fn write(
        self,
        session: &mut ServerSession,
        fields: HeaderMap,
    ) -> pingora::Result<()> {
        if !session.is_body_done() {
            session.set_keepalive(None);
        }
        let mut head = ResponseHeader::build(self.status, Some(fields.len() + 4))?;
        if !self.text.is_empty() {
            head.insert_header(CONTENT_TYPE, "text/plain; charset=utf-8")?;
            head.insert_header(CONTENT_LENGTH, self.text.len())?;
        }
        for (name, value) in
            fields.iter().chain(self.field.iter().map(|(name, value)| (name, value)))
        {
            head.insert_header(name, value)?;
        }
        head.insert_header(CACHE_CONTROL, "no-store")?;
        session.write_response_header(Box::new(head)).await?;
        session.write_response_body(Bytes::from_static(self.text.as_bytes()), true).await
    }
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        Self::new(refused.status().as_u16(), refused.text())
    }
}
