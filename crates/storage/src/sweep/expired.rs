//! Records that say themselves until when they count: uploads, and keys by which requests are known again.

use async_trait::async_trait;
use caudal_core::Result;
use chrono::{DateTime, Utc};
use object_store::path::Path;
use serde::Deserialize;
use uuid::Uuid;

use super::{Garbage, Place, Rule, Target};
use crate::keys;

/// The field that such records share.
#[derive(Deserialize)]
struct Expiry {
    expires_at: Option<DateTime<Utc>>,
}

/// Records below one folder, and what belongs to each.
pub(super) struct Expired {
    name: &'static str,
    folder: fn() -> Path,
    /// The record's place below its name; none where the name is the record's own.
    record: Option<&'static str>,
}

impl Expired {
    pub const UPLOADS: Expired =
        Expired { name: "expired upload", folder: keys::uploads_folder, record: Some(keys::UPLOAD_RECORD) };
    pub const IDEMPOTENCY: Expired =
        Expired { name: "expired idempotency key", folder: keys::idempotency_folder, record: None };
}

#[async_trait]
impl Rule for Expired {
    fn name(&self) -> &'static str {
        self.name
    }

    async fn find(&self, place: &Place<'_>) -> Result<Vec<Garbage>> {
        let folder = (self.folder)();
        let mut found = Vec::new();
        for name in place.bucket.list_names(&folder).await? {
            let whole = folder.clone().join(name.as_str());
            let key = self.record.map_or(whole.clone(), |record| whole.clone().join(record));
            // One that cannot be read says nothing, and stays for people to look at.
            let record = place.bucket.get_json::<Expiry>(&key).await.ok();
            let is_garbage = match record {
                Some(Some(record)) => record.expires_at.is_some_and(|at| at <= place.now),
                // Something was begun, and never said what it is.
                Some(None) => {
                    name.parse::<Uuid>().is_ok_and(|id| place.is_older(id, place.retention.leftovers))
                }
                None => false,
            };
            if is_garbage {
                let target = match self.record {
                    Some(_) => Target::Below(whole.clone()),
                    None => Target::Object(whole.clone()),
                };
                found.push(self.garbage(&whole, vec![target]));
            }
        }
        Ok(found)
    }
}
