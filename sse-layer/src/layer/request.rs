use std::fmt;

use http::{HeaderMap, Method, Request, Uri, Version};
use tokio::time::Instant;

use crate::LastEventId;
#[cfg(feature = "compress")]
use crate::compress::{Coding, Compression};
use crate::observe::Opened;

/// What of a request matters to the stream that answers it.
pub(super) struct Asked {
    pub(super) at: Instant,
    pub(super) method: Method,
    uri: Uri,
    // The request's, since the response's version is not known to be right before it is sent.
    pub(super) version: Version,
    last_event_id: Option<LastEventId>,
    /// What the answer is to be coded in, if it is a stream.
    #[cfg(feature = "compress")]
    pub(super) coding: Option<Coding>,
}

impl fmt::Debug for Asked {
    /// Without the path and query, which may have secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked")
            .field("method", &self.method)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl Asked {
    pub(super) fn by<B>(
        request: &Request<B>,
        #[cfg(feature = "compress")] compression: Option<Compression>,
    ) -> Self {
        Self {
            at: Instant::now(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            last_event_id: LastEventId::of(request),
            #[cfg(feature = "compress")]
            coding: compression.and_then(|how| how.coding(request.headers())),
        }
    }

    pub(super) const fn last_event_id(&self) -> Option<&LastEventId> {
        self.last_event_id.as_ref()
    }

    /// The stream that is answered with `headers`.
    pub(super) const fn opened<'a>(&'a self, headers: &'a HeaderMap) -> Opened<'a> {
        Opened {
            uri: &self.uri,
            version: self.version,
            last_event_id: self.last_event_id(),
            headers,
        }
    }
}
