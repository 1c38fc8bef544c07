//! [`Reload`]: another configuration while the process runs.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::{Config, Listener, Tls, differs};
use crate::origin::Origins;
use crate::router::Router;
use crate::start::StartError;
use crate::tls::{Certificates, load_all};

/// Puts another configuration into effect while the process runs.
///
/// Routes are taken over whole, and certificates are read again. Whatever streams are open go on
/// as they began; those of a route that has not changed go on sharing their feeds with whoever
/// comes. The rest of the configuration is read at start only.
#[derive(Debug)]
pub struct Reload {
    /// What the process was started with.
    begun_with: Config,
    /// Those of the listeners, in their order.
    certificates: Vec<Option<Arc<Certificates>>>,
    router: Router,
    origins: Arc<Origins>,
}

impl Reload {
    pub(crate) const fn new(
        begun_with: Config,
        certificates: Vec<Option<Arc<Certificates>>>,
        router: Router,
        origins: Arc<Origins>,
    ) -> Self {
        Self { begun_with, certificates, router, origins }
    }

    /// Takes over the routes and certificates of `config`, all of them or none. Returns the tables
    /// that have changed as well, and take effect at the next start.
    ///
    /// # Errors
    ///
    /// [`StartError`] says which file cannot be used, and why. Then nothing has changed.
    pub fn apply(&self, config: &Config) -> Result<Vec<&'static str>, StartError> {
        let mut loaded = Vec::new();
        for (listener, shown) in config.listener.iter().zip(&self.certificates) {
            if let (Some(Tls::Files(pairs)), Some(shown)) = (&listener.tls, shown) {
                loaded.push((shown, load_all(pairs)?));
            }
        }
        let groups = self.origins.prepare(&config.route)?;
        self.origins.replace(groups);
        self.router.replace(&config.route);
        for (shown, certificates) in loaded {
            shown.replace(certificates);
        }
        Ok(self.left_alone(config))
    }

    fn left_alone(&self, config: &Config) -> Vec<&'static str> {
        let before = &self.begun_with;
        let listeners = |config: &Config| config.listener.iter().map(bound).collect::<Vec<_>>();
        let changes = [
            ("listener", differs(&listeners(before), &listeners(config))),
            ("mux", differs(&before.mux, &config.mux)),
            ("limits", differs(&before.limits, &config.limits)),
            ("shutdown", differs(&before.shutdown, &config.shutdown)),
            ("admin", differs(&before.admin, &config.admin)),
            ("log", differs(&before.log, &config.log)),
        ];
        changes.into_iter().filter(|(_, differs)| *differs).map(|(table, _)| table).collect()
    }
}

/// What cannot be changed of a listener.
fn bound(listener: &Listener) -> (SocketAddr, bool, u32) {
    (listener.address, listener.tls.is_some(), listener.http2.max_concurrent_streams)
}
