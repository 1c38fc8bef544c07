use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{ResponseFuture, SseBody, SseLayer};
use crate::LastEventId;

/// Service that makes the event streams of the service within arrive as they should.
///
/// See the [module docs](crate::layer) for an example.
#[derive(Clone, Debug)]
pub struct SseService<S> {
    inner: S,
    layer: SseLayer,
}

impl<S> SseService<S> {
    pub(super) const fn new(inner: S, layer: SseLayer) -> Self {
        Self { inner, layer }
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
        if let Some(id) = LastEventId::of(&request) {
            request.extensions_mut().insert(id);
        }
        let (method, version) = (request.method().clone(), request.version());
        ResponseFuture::new(self.inner.call(request), self.layer.clone(), method, version)
    }
}
