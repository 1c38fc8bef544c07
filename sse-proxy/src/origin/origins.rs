//! [`Origins`]: sends requests to the origins of routes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::StatusCode;
use hyper::body::Incoming;
use tokio::time::{Instant, sleep_until, timeout};

use super::OriginError;
use super::ask::Ask;
use super::bare::Bare;
use super::body::is_chunked;
use super::errand::{Errand, Unreached};
use super::group::Group;
use super::heads::Heads;
use super::interims::Interims;
use super::member::Member;
use super::pool::{Connection, Unsent};
use super::probe::Probe;
use super::response::{Lease, Response};
use super::upload::{Progress, Upload};
use super::wire::Wire;
use crate::config::{Host, PathPattern, Route, differs, nonzero};
use crate::request::Request;
use crate::start::StartError;

/// Sends requests to the origins of routes, over pooled connections.
pub(crate) struct Origins {
    groups: ArcSwap<Groups>,
}

/// By what makes a route the only one of its kind.
pub(crate) type Groups = HashMap<PathPattern, Vec<ForHost>>;

/// The origins of the route with this host.
#[derive(Clone)]
pub(crate) struct ForHost {
    host: Option<Host>,
    /// The route that named them.
    route: Route,
    group: Arc<Group>,
}

impl Origins {
    /// For these routes. Loads the certificates that they name.
    pub(crate) fn new(routes: &[Route]) -> Result<Self, StartError> {
        let this = Self { groups: ArcSwap::default() };
        this.groups.store(Arc::new(this.prepare(routes)?));
        Ok(this)
    }

    /// The same for other routes. Those that have not changed keep their connections, and those
    /// that are gone are there for streams that have begun.
    pub(crate) fn prepare(&self, routes: &[Route]) -> Result<Groups, StartError> {
        let mut groups = Groups::clone(&self.groups.load());
        for route in routes {
            let of_path = groups.entry(route.path.clone()).or_default();
            let known = of_path.iter().position(|known| known.host == route.host);
            if known.and_then(|at| of_path.get(at)).is_some_and(|it| !differs(&it.route, route)) {
                continue;
            }
            let group = Group::new(route)?;
            known.map(|at| of_path.swap_remove(at));
            of_path.push(ForHost { host: route.host.clone(), route: route.clone(), group });
        }
        Ok(groups)
    }

    /// Asks these from now on.
    pub(crate) fn replace(&self, groups: Groups) {
        let before = self.groups.swap(Arc::new(groups));
        let before: Vec<_> = before.values().flatten().collect();
        for new in self.groups.load().values().flatten() {
            if !before.iter().any(|old| Arc::ptr_eq(&old.group, &new.group)) {
                new.group.watch();
            }
        }
    }

    /// Begins to check which origins are well.
    pub(crate) fn watch(&self) {
        for known in self.groups.load().values().flatten() {
            known.group.watch();
        }
    }

    /// What is found at each of the route's upstreams.
    pub(crate) async fn probe(&self, route: &Route) -> Vec<Probe> {
        match self.group(route) {
            Ok(group) => group.probe().await,
            Err(_) => Vec::new(),
        }
    }

    /// Asks for what may be a stream of events, and returns when the head of the answer has come.
    pub(crate) async fn open(
        &self,
        route: &Route,
        request: &Request,
        last_event_id: &[u8],
    ) -> Result<Response, OriginError> {
        self.ask(route, &Ask::events(request, last_event_id), Upload::none()).await
    }

    /// The same for who has no time to wait. `None` where that takes more than a socket.
    pub(crate) fn errand(&self, route: &Route, request: &Request) -> Option<Errand> {
        if !request.wants_events() {
            return None;
        }
        let group = self.group(route).ok().filter(|group| group.is_bare())?;
        let ask = Ask::events(request, b"");
        let room = group.room().ok()?;
        let member = group.next(&[])?;
        Some(Errand {
            address: member.pool.dialer().address()?,
            request: ask.written(route, &member.upstream).ok()?,
            heads: Heads::default(),
            member: Arc::clone(member),
            room,
            connect: nonzero(route.timeouts.connect),
            first_byte: nonzero(route.timeouts.first_byte),
        })
    }

    /// Asks for a stream of events after an errand for it came to nothing.
    pub(crate) async fn open_elsewhere(
        &self,
        route: &Route,
        request: &Request,
        unreached: Unreached,
    ) -> Result<Response, OriginError> {
        let ask = Ask::events(request, b"");
        self.ask_after(route, &ask, Upload::none(), Some(unreached)).await
    }

    /// Asks one of the route's origins, and returns when the head of its answer has come. One that
    /// cannot be connected to gives way to the next.
    pub(crate) async fn ask(
        &self,
        route: &Route,
        ask: &Ask<'_>,
        body: Upload,
    ) -> Result<Response, OriginError> {
        self.ask_after(route, ask, body, None).await
    }

    async fn ask_after(
        &self,
        route: &Route,
        ask: &Ask<'_>,
        body: Upload,
        unreached: Option<Unreached>,
    ) -> Result<Response, OriginError> {
        let group = self.group(route)?;
        let room = group.room()?;
        let (mut tried, mut failure) = (Vec::new(), None);
        if let Some(Unreached { member, error }) = unreached {
            tried.push(member);
            failure = Some(error);
        }
        while let Some(member) = group.next(&tried) {
            match connect(member, ask).await {
                Ok((connection, is_used)) => {
                    let answer = match connection {
                        Connection::Bare(wire) if ask.is_for_stream => {
                            exchange_bare(route, member, wire, ask).await
                        }
                        connection => exchange(route, member, connection, is_used, ask, body).await,
                    };
                    return Ok(answer?.holding(room).given(route, Arc::clone(member), ask.request));
                }
                Err(error) => failure = Some(error),
            }
            tried.push(Arc::clone(member));
        }
        Err(failure.unwrap_or_else(|| OriginError::Connect("the route has no upstream".to_owned())))
    }

    fn group(&self, route: &Route) -> Result<Arc<Group>, OriginError> {
        let groups = self.groups.load();
        let groups = groups.get(&route.path).map(Vec::as_slice).unwrap_or_default();
        let found = groups.iter().find(|known| known.host == route.host);
        found
            .map(|known| Arc::clone(&known.group))
            .ok_or_else(|| OriginError::Connect("the route is not there any more".to_owned()))
    }
}

/// A connection for a request, and whether it has been used before.
async fn connect(member: &Member, ask: &Ask<'_>) -> Result<(Connection, bool), OriginError> {
    if ask.upgrade.is_some() {
        return Ok((member.pool.fresh(true).await?, false));
    }
    let used = match ask.is_for_stream {
        true => member.pool.shared(),
        false => member.pool.used(ask.is_idempotent()),
    };
    match used {
        Some(connection) => Ok((connection, true)),
        None => Ok((member.pool.new_or_shared().await?, false)),
    }
}

/// Sends a request for a stream over a new connection of HTTP/1, and waits for the head of the
/// answer.
async fn exchange_bare(
    route: &Route,
    member: &Member,
    wire: Wire,
    ask: &Ask<'_>,
) -> Result<Response, OriginError> {
    let request = ask.written(route, &member.upstream)?;
    let answer = Bare::ask(wire, &request);
    let answer = match nonzero(route.timeouts.first_byte) {
        Some(limit) => timeout(limit, answer).await.map_err(|_| OriginError::Silent)?,
        None => answer.await,
    };
    Ok(Response::bare(answer?, nonzero(route.timeouts.idle)))
}

/// Sends a request over a connection, and waits for the head of the answer.
///
/// A connection that has been used may turn out to have been closed by the origin in the meantime:
/// then the request is sent once more over a new one, if it has not been sent or may be sent twice.
async fn exchange(
    route: &Route,
    member: &Arc<Member>,
    mut connection: Connection,
    mut is_used: bool,
    ask: &Ask<'_>,
    body: Upload,
) -> Result<Response, OriginError> {
    connection = connection.ready().await?;
    let (progress, has_no_body) = (body.progress(), body.is_none());
    let first_byte = nonzero(route.timeouts.first_byte);
    let interims = Interims::new(ask.interims.clone());
    let mut body = Some(body);
    loop {
        let upload = body.take().unwrap_or_else(Upload::none);
        let request = match connection.is_http2() {
            false => interims.hear(ask.http1(route, &member.upstream, upload)?),
            true => ask.http2(route, &member.upstream, member.pool.is_tls(), upload)?,
        };
        progress.made();
        let answer = tokio::select! {
            biased;
            error = interims.too_many() => return Err(error),
            answer = answered(connection.send(request), first_byte, &progress) => answer?,
        };
        match answer {
            Ok(answer)
                if answer.status() == StatusCode::SWITCHING_PROTOCOLS && ask.upgrade.is_none() =>
            {
                return Err(OriginError::unasked_switch());
            }
            Ok(answer) => {
                is_chunked(answer.headers())?;
                let lease = Lease::new(connection, &member.pool);
                return Ok(Response::new(answer, nonzero(route.timeouts.idle), lease));
            }
            Err(Unsent { body: Some(unsent), .. }) if is_used => body = Some(unsent),
            Err(_) if is_used && has_no_body && ask.is_idempotent() => {}
            Err(unsent) => return Err(unsent.error),
        }
        connection = member.pool.fresh(false).await?.ready().await?;
        is_used = false;
    }
}

/// Waits for an answer. The time for it begins when the last piece of the request has gone.
async fn answered(
    answer: impl Future<Output = Result<http::Response<Incoming>, Unsent>>,
    first_byte: Option<Duration>,
    progress: &Progress,
) -> Result<Result<http::Response<Incoming>, Unsent>, OriginError> {
    let Some(first_byte) = first_byte else { return Ok(answer.await) };
    let mut answer = std::pin::pin!(answer);
    loop {
        let until = progress.last() + first_byte;
        tokio::select! {
            answer = &mut answer => return Ok(answer),
            () = sleep_until(until) => {}
        }
        if progress.last() + first_byte <= Instant::now() {
            return Err(OriginError::Silent);
        }
    }
}

impl std::fmt::Debug for Origins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.groups.load().keys()).finish()
    }
}
