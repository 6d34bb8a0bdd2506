//! API keys as they were read a moment ago, so that not every request reads the bucket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use caudal_core::Result;
use caudal_core::identity::{ApiKey, ApiKeys};
use caudal_core::ports::Clock;

/// How long what was read counts: a key that is revoked is refused everywhere after this.
pub const FRESH: Duration = Duration::from_secs(5);

/// Keys that are remembered, those that do not exist too.
const PLACES: usize = 10_000;

pub struct KeyCache {
    keys: Arc<dyn ApiKeys>,
    clock: Arc<dyn Clock>,
    found: Mutex<HashMap<String, Remembered>>,
}

struct Remembered {
    read_at: Duration,
    key: Option<Arc<ApiKey>>,
}

impl KeyCache {
    pub fn new(keys: Arc<dyn ApiKeys>, clock: Arc<dyn Clock>) -> KeyCache {
        KeyCache { keys, clock, found: Mutex::default() }
    }

    /// # Errors
    /// `StorageUnavailable` when the bucket does not answer.
    pub async fn find(&self, id: &str) -> Result<Option<Arc<ApiKey>>> {
        let now = self.clock.monotonic();
        if let Some(key) = self.remembered(id, now) {
            return Ok(key);
        }
        let key = self.keys.find(id).await?.map(Arc::new);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= PLACES {
            found.retain(|_, remembered| is_fresh(remembered, now));
        }
        // Still full: somebody shows thousands of keys, and the map must not grow with that.
        if found.len() >= PLACES {
            found.clear();
        }
        found.insert(id.to_owned(), Remembered { read_at: now, key: key.clone() });
        Ok(key)
    }

    fn remembered(&self, id: &str, now: Duration) -> Option<Option<Arc<ApiKey>>> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.get(id).filter(|remembered| is_fresh(remembered, now)).map(|remembered| remembered.key.clone())
    }
}

fn is_fresh(remembered: &Remembered, now: Duration) -> bool {
    now.saturating_sub(remembered.read_at) < FRESH
}
