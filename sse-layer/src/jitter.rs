//! Random spread, so that many streams do not do the same thing in the same moment.

use std::time::Duration;

/// How much of the reconnection time is left to chance. Clients that were cut off together come
/// back spread over two thirds of it.
pub(crate) const RETRY_JITTER: f64 = 0.33;

/// `base`, longer or shorter by a random part of at most `share` of it.
pub(crate) fn jitter(base: Duration, share: f64) -> Duration {
    let factor = share.mul_add(fastrand::f64().mul_add(2.0, -1.0), 1.0);
    Duration::try_from_secs_f64(base.as_secs_f64() * factor).unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_the_share_and_reaches_both_sides() {
        let base = Duration::from_secs(10);
        let drawn: Vec<_> = (0..1000).map(|_| jitter(base, 0.1)).collect();
        assert!(drawn.iter().all(|d| (9_000..=11_000).contains(&d.as_millis())));
        assert!(drawn.iter().any(|d| d.as_millis() < 9_500));
        assert!(drawn.iter().any(|d| d.as_millis() > 10_500));
    }

    #[test]
    fn the_longest_duration_does_no_harm() {
        assert!(jitter(Duration::MAX, 0.5) >= Duration::MAX / 4);
    }
}
