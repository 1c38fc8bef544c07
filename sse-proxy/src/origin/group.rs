//! [`Group`]: the origins of one route, and which of them gets a request.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pingora::lb::discovery::Static;
use pingora::lb::prelude::{LoadBalancer, RoundRobin};
use pingora::lb::{Backend, Backends};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::OriginError;
use super::dial::Dialer;
use super::health::Checks;
use super::member::{Member, backend, member};
use super::pool::Pool;
use super::probe::Probe;
use crate::config::{Route, Upstream, nonzero};
use crate::start::StartError;

/// How many turns the balancer is given to come to somebody who has not been tried: others ask it
/// at the same time.
const TURNS: usize = 1024;

/// The origins of one route.
pub(super) struct Group {
    members: Vec<Arc<Member>>,
    balancer: LoadBalancer<RoundRobin>,
    /// The time between two rounds of checks.
    interval: Option<Duration>,
    /// For requests that are under way.
    room: Arc<Semaphore>,
}

impl Group {
    /// For the upstreams of a route. Loads the certificates that it names.
    pub(super) fn new(route: &Route) -> Result<Arc<Self>, StartError> {
        let connect = nonzero(route.timeouts.connect);
        let member = |upstream: &Upstream| {
            let dialer = Dialer::new(upstream, &route.upstream_tls, connect)?;
            let (route, upstream) = (route.path.clone(), upstream.clone());
            Ok(Arc::new(Member { route, upstream, pool: Arc::new(Pool::new(dialer)) }))
        };
        let members = route.upstream.iter().map(member).collect::<Result<Vec<_>, StartError>>()?;
        let backends: BTreeSet<_> =
            members.iter().enumerate().map(|(at, member)| backend(at, member)).collect();
        let mut balancer = LoadBalancer::from_backends(Backends::new(Static::new(backends)));
        if let Some(check) = &route.health_check {
            balancer.set_health_check(Box::new(Checks::new(members.clone(), check.clone())));
        }
        // A list that is known already is taken over at once.
        let updated = pin!(balancer.update()).poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(Err(error)) = updated {
            return Err(StartError::new("upstreams cannot be balanced", &error));
        }
        let interval = route.health_check.as_ref().map(|check| check.interval);
        let room = Arc::new(Semaphore::new(route.max_connections.min(Semaphore::MAX_PERMITS)));
        Ok(Arc::new(Self { members, balancer, interval, room }))
    }

    /// Whether each of them can be asked without a runtime.
    pub(super) fn is_bare(&self) -> bool {
        self.members.iter().all(|member| member.pool.dialer().address().is_some())
    }

    /// Room for one more request, to be held while it is under way.
    pub(super) fn room(&self) -> Result<OwnedSemaphorePermit, OriginError> {
        Arc::clone(&self.room).try_acquire_owned().map_err(|_| OriginError::Full)
    }

    /// Whose turn it is, of those that have not been `tried`: one that is well, if there is one.
    pub(super) fn next(&self, tried: &[Arc<Member>]) -> Option<&Arc<Member>> {
        if let [only] = self.members.as_slice() {
            return tried.is_empty().then_some(only);
        }
        let is_new = |backend: &Backend| {
            let member = member(&self.members, backend);
            member.is_some_and(|member| !tried.iter().any(|other| Arc::ptr_eq(other, member)))
        };
        let next = self
            .balancer
            .select_with(b"", TURNS, |backend, is_well| is_well && is_new(backend))
            .or_else(|| self.balancer.select_with(b"", TURNS, |backend, _| is_new(backend)));
        next.and_then(|backend| member(&self.members, &backend))
    }

    /// What is found at each of the upstreams.
    pub(super) async fn probe(&self) -> Vec<Probe> {
        let mut found = Vec::new();
        for member in &self.members {
            found.push(Probe::of(&member.upstream, member.pool.dialer()).await);
        }
        found
    }

    /// Checks who is well, for as long as the group is there.
    pub(super) fn watch(self: &Arc<Self>) {
        let Some(interval) = self.interval else { return };
        tokio::spawn(watch(Arc::downgrade(self), interval));
    }
}

async fn watch(group: Weak<Group>, interval: Duration) {
    while let Some(group) = group.upgrade() {
        group.balancer.backends().run_health_check(true).await;
        drop(group);
        tokio::time::sleep(interval).await;
    }
}
