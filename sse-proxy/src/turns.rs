//! [`Turns`]: which readers may be caught up with, the others of their route waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::config::Route;

/// The most readers of one route that are caught up with at once. The others wait for their turn.
const AT_ONCE: usize = 16;

/// Whose turn it is, by route.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<String, Arc<Semaphore>>>);

impl Turns {
    /// What readers of this route wait for.
    pub(crate) fn of(&self, route: &Route) -> Arc<Semaphore> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Semaphore::new(AT_ONCE));
        Arc::clone(turns.entry(route.name()).or_insert_with(new))
    }
}
