//! [`Gone`]: up to where there were feeds that are no longer there.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use crate::request::FeedKey;

/// How many are known one by one.
const MOST: usize = 4096;

/// Where in the log feeds ended. Whoever comes back for one that was there all the time, or that
/// began while he was there, has missed nothing of it; if it has ended since, he may have.
#[derive(Default)]
pub(crate) struct Gone {
    /// The log's number when the last feed with a key ended, by the key's hash: keys may be long.
    ended: HashMap<u64, u64>,
    /// The number up to which any other may have ended.
    others: Option<u64>,
    keyed: RandomState,
}

impl Gone {
    /// A feed ends when the log has come to number `at`.
    pub(crate) fn end(&mut self, key: &FeedKey, at: u64) {
        if self.ended.len() >= MOST {
            self.ended.clear();
            self.others = Some(at);
        }
        self.ended.insert(self.keyed.hash_one(key), at);
    }

    /// Whether a feed with this key may have ended since the log was at number `seq`.
    pub(crate) fn since(&self, key: &FeedKey, seq: u64) -> bool {
        let ended = self.ended.get(&self.keyed.hash_one(key)).copied().or(self.others);
        ended.is_some_and(|ended| ended >= seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_forgotten_only_to_be_believed_of_all() {
        let key = |n: u64| FeedKey::for_test(&format!("/{n}"));
        let mut gone = Gone::default();
        assert!(!gone.since(&key(0), 0), "nothing has ended");
        gone.end(&key(0), 10);
        assert!(gone.since(&key(0), 10) && !gone.since(&key(0), 11) && !gone.since(&key(1), 0));
        for n in 1..=MOST as u64 {
            gone.end(&key(n), 10 + n);
        }
        assert!(gone.ended.len() <= MOST);
        assert!(gone.since(&key(0), 11), "of what is forgotten, it may be so");
        assert!(!gone.since(&key(0), 11 + MOST as u64));
    }
}
