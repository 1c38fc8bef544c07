//! [`Checks`]: which origins of a route are well.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::{HOST, USER_AGENT};
use http::{HeaderValue, Uri};
use pingora::lb::Backend;
use pingora::lb::health_check::HealthCheck as LbHealthCheck;
use pingora::{Error, ErrorType};

use super::OriginError;
use super::member::{Member, member};
use super::upload::Upload;
use crate::config::HealthCheck;

/// Finds out which origins of a route are well, the way requests go to them.
pub(super) struct Checks {
    members: Vec<Arc<Member>>,
    check: HealthCheck,
}

impl Checks {
    pub(super) const fn new(members: Vec<Arc<Member>>, check: HealthCheck) -> Self {
        Self { members, check }
    }

    async fn try_member(&self, member: &Member) -> Result<(), OriginError> {
        let Some(path) = &self.check.path else {
            return member.pool.dialer().dial(false).await.map(drop);
        };
        // Over HTTP/2 checks go the way that everything goes.
        let mut connection = member.pool.new_or_shared().await?.ready().await?;
        let mut request = http::Request::new(Upload::none());
        let authority = member.upstream.authority();
        let unspeakable = |error: &dyn std::error::Error| OriginError::broken(error);
        *request.uri_mut() = match connection.is_http2() {
            true => Uri::builder()
                .scheme(if member.pool.is_tls() { "https" } else { "http" })
                .authority(authority.as_str())
                .path_and_query(path.as_str())
                .build()
                .map_err(|error| unspeakable(&error))?,
            false => path.parse::<Uri>().map_err(|error| unspeakable(&error))?,
        };
        let headers = request.headers_mut();
        if !connection.is_http2() {
            let host = HeaderValue::from_str(&authority).map_err(|error| unspeakable(&error))?;
            headers.insert(HOST, host);
        }
        headers.insert(USER_AGENT, HeaderValue::from_static("sse-proxy (health check)"));
        let answer = connection.send(request).await.map_err(|unsent| unsent.error)?;
        match answer.status() {
            status if status.is_success() => Ok(()),
            status => Err(OriginError::Broken(format!("status {status}"))),
        }
    }
}

#[async_trait]
impl LbHealthCheck for Checks {
    async fn check(&self, target: &Backend) -> pingora::Result<()> {
        let Some(member) = member(&self.members, target) else { return Ok(()) };
        let checked = tokio::time::timeout(self.check.timeout, self.try_member(member)).await;
        let error = match checked {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {:?}", self.check.timeout),
        };
        tracing::debug!(upstream = %member.upstream, error, "health check failed");
        Error::e_explain(ErrorType::ConnectError, error)
    }

    async fn health_status_change(&self, target: &Backend, is_well: bool) {
        let Some(member) = member(&self.members, target) else { return };
        match is_well {
            true => tracing::info!(upstream = %member.upstream, "origin is well again"),
            false => tracing::warn!(upstream = %member.upstream, "origin is not well"),
        }
    }

    fn health_threshold(&self, is_well: bool) -> usize {
        let checks = if is_well { self.check.healthy_after } else { self.check.unhealthy_after };
        usize::try_from(checks).unwrap_or(usize::MAX)
    }
}
