//! [`Reconnect`]: how soon an origin is asked again, and what is told of its absence.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use http::StatusCode;
use tokio::time::Instant;

use crate::config::Route;

/// The shortest pause before an origin is asked again, whatever its `retry` says.
pub(crate) const LEAST_PAUSE: Duration = Duration::from_millis(100);
/// The first pause where it says nothing, and the longest in any case.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A stream that was open for so long was a good one, even if no event came.
const GOOD: Duration = Duration::from_secs(10);

/// How soon an origin is asked again.
///
/// The first pause is the origin's own `retry`. Every attempt that brings nothing doubles it: also
/// one that opens a stream and ends it at once. An event starts it anew.
pub(crate) struct Reconnect<'a> {
    route: &'a Route,
    /// While the origin is away.
    pauses: Option<ExponentialBackoff>,
    /// Why it was away last.
    reason: String,
    /// What the origin has asked for last.
    retry: Option<Duration>,
    /// Since when the stream is open.
    open_since: Option<Instant>,
}

impl<'a> Reconnect<'a> {
    pub(crate) const fn new(route: &'a Route) -> Self {
        Self { route, pauses: None, reason: String::new(), retry: None, open_since: None }
    }

    /// A stream has been opened, which may yet come to nothing.
    pub(crate) fn opened(&mut self) {
        self.open_since = Some(Instant::now());
    }

    /// The origin has told when it wants to be asked again, if it has.
    pub(crate) fn told(&mut self, retry: Option<Duration>) {
        self.retry = retry.or(self.retry);
    }

    /// An event has come.
    pub(crate) fn is_good(&mut self) {
        if self.pauses.take().is_some() {
            tracing::info!(route = %self.route.path, upstream = %self.route.upstream, "origin back");
        }
    }

    /// How long to wait before the origin is asked again, which has failed for this reason. The
    /// operator is told once, until the reason is another or the origin is back.
    pub(crate) fn pause(&mut self, reason: &str) -> Duration {
        if self.open_since.take().is_some_and(|since| since.elapsed() >= GOOD) {
            self.is_good();
        }
        let is_news = self.pauses.is_none() || self.reason != reason;
        let pauses = self.pauses.get_or_insert_with(|| pauses(self.retry));
        let pause = pauses.next().unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE);
        let (route, upstream) = (&self.route.path, &self.route.upstream);
        if is_news {
            reason.clone_into(&mut self.reason);
            tracing::warn!(%route, %upstream, reason, ?pause, "origin gone, connecting again");
        } else {
            tracing::debug!(%route, %upstream, reason, ?pause, "origin still gone");
        }
        pause
    }
}

/// Whether an answer says that another may come later: then it is none to an `EventSource`, which
/// would take it for the last.
pub(crate) fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT
}

/// Exponential, for ever; with jitter where the origin has not said itself how long to wait.
fn pauses(retry: Option<Duration>) -> ExponentialBackoff {
    let growing = ExponentialBuilder::default().without_max_times();
    let growing = match retry {
        Some(retry) => growing.with_min_delay(retry.clamp(LEAST_PAUSE, LONGEST_PAUSE)),
        None => growing.with_min_delay(FIRST_PAUSE).with_jitter(),
    };
    growing.with_max_delay(LONGEST_PAUSE).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route() -> Route {
        toml::from_str("path = \"/x\"\nupstream = \"http://h\"").unwrap()
    }

    fn pauses_of(
        reconnect: &mut Reconnect<'_>,
        retry: Option<Duration>,
        most: usize,
    ) -> Vec<Duration> {
        reconnect.told(retry);
        (0..most).map(|_| reconnect.pause("refused")).collect()
    }

    #[test]
    fn pauses_grow_to_their_limit_and_never_end() {
        let route = route();
        let pauses = pauses_of(&mut Reconnect::new(&route), None, 20);
        assert!(pauses[0] >= FIRST_PAUSE && pauses[0] <= FIRST_PAUSE * 2, "{pauses:?}");
        assert!(pauses[1] > pauses[0], "{pauses:?}");
        assert_eq!(pauses[19], LONGEST_PAUSE, "{pauses:?}");
    }

    #[test]
    fn the_first_pause_is_what_the_origin_asked_for() {
        let route = route();
        let half = Duration::from_millis(500);
        assert_eq!(pauses_of(&mut Reconnect::new(&route), Some(half), 2), [half, 2 * half]);
        let none = Some(Duration::ZERO);
        assert_eq!(pauses_of(&mut Reconnect::new(&route), none, 1), [LEAST_PAUSE]);
        let day = Some(Duration::from_secs(86_400));
        assert_eq!(pauses_of(&mut Reconnect::new(&route), day, 1), [LONGEST_PAUSE]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_ends_at_once_is_no_reason_to_hurry() {
        let route = route();
        let mut reconnect = Reconnect::new(&route);
        reconnect.told(Some(FIRST_PAUSE));
        reconnect.told(None);
        for seconds in [1, 2, 4, 8] {
            reconnect.opened();
            assert_eq!(reconnect.pause("ended"), Duration::from_secs(seconds));
        }
        reconnect.opened();
        reconnect.is_good();
        assert_eq!(reconnect.pause("ended"), FIRST_PAUSE, "an event has come");
        reconnect.opened();
        tokio::time::advance(GOOD).await;
        assert_eq!(reconnect.pause("ended"), FIRST_PAUSE, "it was open for long");
    }
}
