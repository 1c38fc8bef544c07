use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::request::Asked;
use super::{ResponseFuture, SseBody, SseLayer};

/// Service that makes the event streams of the service within arrive as they should.
///
/// See the [module docs](crate::layer) for an example.
#[derive(Clone, Debug)]
pub struct SseService<S> {
    inner: S,
    layer: Arc<SseLayer>,
}

impl<S> SseService<S> {
    pub(super) fn new(inner: S, layer: SseLayer) -> Self {
        Self { inner, layer: Arc::new(layer) }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SseService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    ResBody: Body,
{
    type Response = Response<SseBody<ResBody>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let asked = Asked::by(
            &request,
            #[cfg(feature = "compress")]
            self.layer.compression(),
        );
        if let Some(id) = asked.last_event_id() {
            request.extensions_mut().insert(id.clone());
        }
        ResponseFuture::new(self.inner.call(request), asked, self.layer.clone())
    }
}
