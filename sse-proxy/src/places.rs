//! [`Places`]: where requests are sent, and the limits that hold for all of them.

use std::sync::Arc;

use crate::client::Client;
use crate::config::{Config, Limits};
use crate::drain::Drain;
use crate::feeds::Feeds;
use crate::hub::Hub;
use crate::limits::{Connections, PerAddress, Seat};
use crate::mux::Mux;
use crate::origin::Origins;
use crate::record::Records;
use crate::request::Request;
use crate::router::Router;

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
        origins: Arc<Origins>,
        connections: Connections,
        records: Records,
        drain: Drain,
        hub: Hub,
    ) -> Self {
        let router = Router::new(&config.route);
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
        let counted = self.streams.count(request.client)?;
        Some(Seat::new(counted, self.connections.enter(), self.drain.join()))
    }

    /// Answers a request for many feeds on one stream.
    pub(crate) async fn open_mux(&self, client: Client, request: Request) -> pingora::Result<()> {
        match self.seat(&request) {
            Some(seat) => self.mux.clone().serve(client, request, seat).await,
            None => client.respond(429, TOO_MANY_STREAMS).await,
        }
    }
}
