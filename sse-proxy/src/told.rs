//! [`Told`]: what the log has said of which path, so that it says it once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use sse_layer::Repairs;

/// How many paths are remembered. A route may have any number of them.
const PATHS: usize = 4096;

/// What has been told of each path of each route.
#[derive(Default)]
pub(crate) struct Told(Mutex<HashMap<(String, String), Repairs>>);

impl Told {
    /// Those of `repairs` that have not been told of yet, which they are now.
    pub(crate) fn first(&self, route: &str, path: &str, repairs: Repairs) -> Repairs {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (route.to_owned(), path.to_owned());
        if told.len() >= PATHS && !told.contains_key(&key) {
            // Better something twice than a list without end.
            told.clear();
        }
        let before = told.entry(key).or_default();
        let new = repairs.without(*before);
        *before |= repairs;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_told_once_for_each_path() {
        let told = Told::default();
        let both = Repairs::FIELD_CASE | Repairs::STRAY_BOM;
        assert_eq!(told.first("/*", "/a", Repairs::FIELD_CASE), Repairs::FIELD_CASE);
        assert_eq!(told.first("/*", "/a", both), Repairs::STRAY_BOM);
        assert_eq!(told.first("/*", "/b", both), both);
        for path in 0..2 * PATHS {
            told.first("/*", &path.to_string(), both);
        }
        assert!(told.0.lock().unwrap().len() <= PATHS);
    }
}
