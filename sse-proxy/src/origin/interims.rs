//! [`Interims`]: what an origin says before its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::{HeaderMap, StatusCode};
use tokio::sync::{Notify, mpsc};

use super::OriginError;
use super::upload::Upload;

/// An informational answer (1xx) that comes before the answer itself.
pub(crate) type Interim = (StatusCode, HeaderMap);

/// The most of them before one answer.
pub(super) const MOST: usize = 100;

/// Informational answers to one request: told to whom they concern, and no more than anybody needs.
pub(super) struct Interims(Arc<Shared>);

struct Shared {
    told: Option<mpsc::Sender<Interim>>,
    came: AtomicUsize,
    too_many: Notify,
}

impl Interims {
    /// `told` gets them, as far as there is room.
    pub(super) fn new(told: Option<mpsc::Sender<Interim>>) -> Self {
        Self(Arc::new(Shared { told, came: AtomicUsize::new(0), too_many: Notify::new() }))
    }

    /// Hears those that an origin answers to this request over HTTP/1.
    pub(super) fn hear(&self, mut request: http::Request<Upload>) -> http::Request<Upload> {
        let shared = Arc::clone(&self.0);
        hyper::ext::on_informational(&mut request, move |answer| {
            if shared.came.fetch_add(1, Ordering::Relaxed) == MOST {
                shared.too_many.notify_one();
            }
            if let Some(told) = &shared.told {
                // More of them at once than fit are nothing that anybody waits for.
                let _ = told.try_send((answer.status(), answer.headers().clone()));
            }
        });
        request
    }

    /// Resolves when there are so many that no answer is to be expected.
    pub(super) async fn too_many(&self) -> OriginError {
        self.0.too_many.notified().await;
        too_many()
    }
}

/// There are so many that no answer is to be expected.
pub(super) fn too_many() -> OriginError {
    OriginError::Broken(format!("more than {MOST} informational answers, and no other"))
}
