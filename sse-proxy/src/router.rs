//! Which route serves a request.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::config::{Route, Upstream, differs};

/// The routes, the most specific first. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Router(Arc<ArcSwap<Vec<Arc<Route>>>>);

impl Router {
    pub(crate) fn new(routes: &[Route]) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(sorted(routes.iter().cloned().map(Arc::new)))))
    }

    /// Has other routes from now on. One that has not changed stays the same, and so do its feeds.
    pub(crate) fn replace(&self, routes: &[Route]) {
        let before = self.0.load();
        let kept = |route: &Route| before.iter().find(|known| !differs(&***known, route)).cloned();
        let routes =
            routes.iter().map(|route| kept(route).unwrap_or_else(|| Arc::new(route.clone())));
        self.0.store(Arc::new(sorted(routes)));
    }

    /// All routes of `host`.
    pub(crate) fn of_host(&self, host: &str) -> Vec<Arc<Route>> {
        let is_of_host =
            |route: &&Arc<Route>| route.host.as_ref().is_none_or(|wanted| wanted.matches(host));
        self.0.load().iter().filter(is_of_host).cloned().collect()
    }

    /// The route for a request to `path` of `host`.
    pub(crate) fn find(&self, host: &str, path: &str) -> Option<Arc<Route>> {
        let routes = self.0.load();
        let found = routes.iter().find(|route| {
            route.path.rest(path).is_some()
                && route.host.as_ref().is_none_or(|wanted| wanted.matches(host))
        });
        found.cloned()
    }
}

/// The longest path wins; among equals, the one that names a host.
fn sorted(routes: impl Iterator<Item = Arc<Route>>) -> Vec<Arc<Route>> {
    let mut routes: Vec<_> = routes.collect();
    routes.sort_by_key(|route| std::cmp::Reverse((route.path.len(), route.host.is_some())));
    routes
}

/// The path that an origin is asked for: the upstream's own path replaces what the route names.
pub(crate) fn upstream_path(route: &Route, upstream: &Upstream, path: &str) -> String {
    match (&upstream.path, route.path.rest(path)) {
        (None, _) | (_, None) => path.to_owned(),
        (Some(base), Some("")) => base.clone(),
        (Some(base), Some(rest)) => format!("{}/{rest}", base.trim_end_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str, upstream: &str) -> Route {
        Route::new(path.parse().unwrap(), upstream.parse::<Upstream>().unwrap())
    }

    #[test]
    fn the_longest_path_wins() {
        let router = Router::new(&[
            route("/*", "http://a"),
            route("/feed/*", "http://b"),
            route("/feed/one", "http://c"),
        ]);
        for (path, expected) in [
            ("/", "a"),
            ("/feed", "a"),
            ("/feed/", "b"),
            ("/feed/two", "b"),
            ("/feed/one", "c"),
            ("/feed/one/more", "b"),
        ] {
            let upstream = router.find("any", path).unwrap().upstream.to_string();
            assert_eq!(upstream, format!("http://{expected}:80"), "{path}");
        }
    }

    #[test]
    fn a_route_without_a_match_is_none() {
        assert!(Router::new(&[route("/x", "http://a")]).find("any", "/y").is_none());
    }

    #[test]
    fn an_upstream_path_replaces_the_routes() {
        for (pattern, upstream, path, expected) in [
            ("/*", "http://a", "/x/y", "/x/y"),
            ("/*", "http://a/", "/x/y", "/x/y"),
            ("/live", "http://a/stream", "/live", "/stream"),
            ("/api/*", "http://a/v1", "/api/x/y", "/v1/x/y"),
            ("/api/*", "http://a/v1/", "/api/x", "/v1/x"),
        ] {
            let route = route(pattern, upstream);
            let upstream = route.upstream.iter().next().unwrap();
            assert_eq!(upstream_path(&route, upstream, path), expected, "{pattern} {upstream}");
        }
    }
}
