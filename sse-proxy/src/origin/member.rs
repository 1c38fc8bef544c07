//! [`Member`]: one of the origins of a route, and what stands for it in pingora's balancer.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use pingora::lb::{Backend, Extensions};

use super::pool::Pool;
use crate::config::{PathPattern, Upstream};

/// One of the origins.
pub(super) struct Member {
    /// The route's path, for the log.
    pub(super) route: PathPattern,
    pub(super) upstream: Upstream,
    pub(super) pool: Arc<Pool>,
}

/// What stands for a member in pingora's balancer, which knows no names: its place in the list,
/// as a port. Names are looked up by those who connect.
pub(super) fn backend(at: usize, member: &Member) -> Backend {
    let port = u16::try_from(at).unwrap_or(u16::MAX);
    let addr = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let weight = usize::from(member.upstream.weight);
    Backend { addr: addr.into(), weight, ext: Extensions::new() }
}

/// The member that a backend stands for.
pub(super) fn member<'m>(members: &'m [Arc<Member>], backend: &Backend) -> Option<&'m Arc<Member>> {
    members.get(usize::from(backend.addr.as_inet()?.port()))
}
