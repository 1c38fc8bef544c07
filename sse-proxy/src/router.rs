//! Which route serves a request.

use std::sync::Arc;

use crate::config::{Route, Upstream};

/// The routes, the most specific first.
#[derive(Clone, Debug)]
pub(crate) struct Router(Arc<[Arc<Route>]>);

impl Router {
    pub(crate) fn new(routes: &[Route]) -> Self {
        let mut routes: Vec<_> = routes.iter().cloned().map(Arc::new).collect();
        // The longest path wins; among equals, the one that names a host.
        routes.sort_by_key(|route| std::cmp::Reverse((route.path.len(), route.host.is_some())));
        Self(routes.into())
    }

    /// All routes of `host`.
    pub(crate) fn of_host(&self, host: &str) -> impl Iterator<Item = &Arc<Route>> {
        self.0
            .iter()
            .filter(move |route| route.host.as_ref().is_none_or(|wanted| wanted.matches(host)))
    }

    /// The route for a request to `path` of `host`.
    pub(crate) fn find(&self, host: &str, path: &str) -> Option<&Arc<Route>> {
        self.0.iter().find(|route| {
            route.path.rest(path).is_some()
                && route.host.as_ref().is_none_or(|wanted| wanted.matches(host))
        })
    }
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
