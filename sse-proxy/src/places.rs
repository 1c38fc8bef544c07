//! [`Places`]: where requests are sent, and the limits that hold for all of them.

use std::net::IpAddr;
use std::sync::Arc;

use http::Version;
use pingora::protocols::http::ServerSession;

use crate::client::{Client, reuse};
use crate::config::{Config, Limits};
use crate::connection::Connection;
use crate::drain::Drain;
use crate::feeds::Feeds;
use crate::hub::Hub;
use crate::limits::{Connections, PerAddress, Seat};
use crate::mux::{Mux, Part};
use crate::origin::Origins;
use crate::record::Records;
use crate::request::Request;
use crate::router::Router;
use crate::session::respond;

pub(crate) const TOO_MANY_STREAMS: &str = "This address has as many streams open as it may.\n";

/// What all listeners share. Clones are the same.
#[derive(Clone)]
pub(crate) struct Places {
    pub(crate) router: Router,
    pub(crate) feeds: Feeds,
    pub(crate) mux: Mux,
    pub(crate) hub: Hub,
    pub(crate) limits: Limits,
    pub(crate) drain: Drain,
    streams: PerAddress,
    connections: Connections,
}

impl Places {
    pub(crate) fn new(
        config: &Config,
        router: Router,
        origins: Arc<Origins>,
        connections: Connections,
        records: Records,
        drain: Drain,
        hub: Hub,
    ) -> Self {
        let feeds = Feeds::new(origins, records, config.limits.event_bytes.0);
        Self {
            mux: Mux::new(config, feeds.clone(), router.clone()),
            streams: PerAddress::new(config.limits.streams_per_ip),
            limits: config.limits.clone(),
            router,
            feeds,
            hub,
            drain,
            connections,
        }
    }

    /// A stream's place within the limits, if there is one left.
    pub(crate) fn seat(&self, request: &Request) -> Option<Seat> {
        self.seat_of(request.client, request.version)
    }

    fn seat_of(&self, client: Option<IpAddr>, version: Version) -> Option<Seat> {
        let counted = self.streams.count(client)?;
        let connection = (version < Version::HTTP_2).then(|| self.connections.enter());
        Some(Seat::new(counted, connection, self.drain.join()))
    }

    /// Answers a request for a part of the page that shows the multiplexed streams.
    pub(crate) async fn serve_page(
        &self,
        mut session: Box<ServerSession>,
        request: Request,
        part: Part,
    ) -> pingora::Result<Option<Connection>> {
        if !part.answer(&mut session).await? {
            return reuse(session).await;
        }
        match self.seat(&request) {
            Some(seat) => self.mux.show(request, Client::Session(session, None), seat).await?,
            None => respond(*session, 429, TOO_MANY_STREAMS).await?,
        }
        Ok(None)
    }

    /// Answers a request for many feeds on one stream. Returns the connection of an HTTP/1 client
    /// that may ask for more.
    pub(crate) async fn serve_mux(
        &self,
        mut session: Box<ServerSession>,
        request: Request,
    ) -> pingora::Result<Option<Connection>> {
        let (client, version) = (request.client, request.version);
        let Some(opened) = self.mux.ask(&mut session, request).await? else {
            return reuse(session).await;
        };
        match self.seat_of(client, version) {
            Some(seat) => opened.write(Client::Session(session, None), seat).await?,
            None => respond(*session, 429, TOO_MANY_STREAMS).await?,
        }
        Ok(None)
    }
}
