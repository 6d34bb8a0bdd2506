//! From a source's URI to objects that may be read: those of buckets that the settings allow, and uploads.

use std::sync::{Arc, PoisonError};

use caudal_core::uploads::UploadRecord;
use caudal_core::{Error, ErrorKind, Result};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use uuid::Uuid;

use super::Datasets;
use super::located::{Item, Located, is_data};
use super::source_path::{contains_storage, lies_in_storage};
use super::uri::unavailable;
use crate::bucket::explained;
use crate::keys;
use crate::normalized::opener;
use crate::s3::S3Location;
use crate::source::pieces::RemoteObject;

impl Datasets {
    /// Finds an object of a bucket.
    ///
    /// # Errors
    /// `SourceUnavailable` for what is not there, may not be read or lies outside the allowed places.
    pub(super) async fn object(&self, bucket: &str, key: &Path) -> Result<Located> {
        let store = self.source_store(bucket, key)?;
        match store.head(key).await {
            Ok(meta) => Ok(Located::One(self.item(&store, meta, format!("s3://{bucket}/{key}")))),
            Err(object_store::Error::NotFound { .. }) => {
                let error = unavailable(format!("there is no object s3://{bucket}/{key}"));
                Err(error.hint("a folder of objects is named with a slash at its end"))
            }
            Err(e) => Err(unreadable(key, e)),
        }
    }

    /// Finds every object below a key, in byte order.
    ///
    /// # Errors
    /// As [`object`](Self::object).
    pub(super) async fn objects(&self, bucket: &str, below: &Path) -> Result<Located> {
        let store = self.source_store(bucket, below)?;
        if self.bucket.prefix_in(bucket).is_some_and(|storage| storage.prefix_matches(below)) {
            return Err(contains_storage(&format!("s3://{bucket}/{below}")));
        }
        let prefix = Some(below).filter(|below| !below.as_ref().is_empty());
        let listed: Vec<ObjectMeta> =
            store.list(prefix).try_collect().await.map_err(|e| unreadable(below, e))?;
        let name = |meta: &ObjectMeta| -> Option<String> {
            let steps: Vec<_> = meta.location.prefix_match(below)?.collect();
            let is_hidden = steps.iter().any(|step| !is_data(step.as_ref()));
            let steps: Vec<&str> = steps.iter().map(|step| step.as_ref()).collect();
            (!steps.is_empty() && !is_hidden).then(|| steps.join("/"))
        };
        let mut named: Vec<_> = listed.into_iter().filter_map(|meta| Some((name(&meta)?, meta))).collect();
        named.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
        match named.is_empty() {
            true => Err(unavailable(format!("there are no objects below s3://{bucket}/{below}"))),
            false => Ok(Located::Folder(
                named.into_iter().map(|(name, meta)| self.item(&store, meta, name)).collect(),
            )),
        }
    }

    /// Finds an upload of an owner.
    ///
    /// # Errors
    /// `SourceUnavailable` for one that is not there, not complete, or somebody else's.
    pub(super) async fn upload(&self, id: Uuid, owner: &str) -> Result<Located> {
        let record: Option<UploadRecord> = self.bucket.get_json(&keys::upload_record(id)).await?;
        let Some(record) = record.filter(|record| record.owner == owner) else {
            return Err(unavailable(format!("there is no upload {id}")));
        };
        if record.completed_at.is_none() {
            let error = unavailable(format!("the upload {id} is not complete"));
            return Err(error.hint("send its parts, then POST /uploads/{id}/complete"));
        }
        let key = keys::upload_data(id);
        let open = opener(&self.bucket, &self.pieces, &Handle::current(), key, record.size);
        let name = format!("upload:{id}");
        Ok(Located::One(Item { name, size: record.size, format: record.format, open }))
    }

    fn item(&self, store: &Arc<dyn ObjectStore>, meta: ObjectMeta, name: String) -> Item {
        let size = meta.size;
        let object =
            RemoteObject::new(store.clone(), meta, self.pieces.clone(), Handle::current(), unreadable);
        Item { name, size, format: None, open: Box::new(move || Ok(object.open())) }
    }

    /// The store of a bucket from which a key may be read.
    fn source_store(&self, bucket: &str, key: &Path) -> Result<Arc<dyn ObjectStore>> {
        let storage = self.bucket.prefix_in(bucket);
        let in_storage = |path: &Path| storage.as_ref().is_some_and(|storage| path.prefix_matches(storage));
        let allows = |root: &&S3Location| {
            // A root that contains the storage does not open it: every owner's data lies there.
            let opens = |root: &Path| key.prefix_matches(root) && (in_storage(root) || !in_storage(key));
            root.bucket == bucket && Path::parse(&root.prefix).is_ok_and(|root| opens(&root))
        };
        let Some(root) = self.options.allowed_s3.iter().find(allows) else {
            if in_storage(key) {
                return Err(lies_in_storage(&format!("s3://{bucket}/{key}")));
            }
            let detail = format!("s3://{bucket}/{key} lies outside the places that sources may be read from");
            return Err(unavailable(detail)
                .hint("allow its place with --allow, or sources.allowed_roots in the settings"));
        };
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = stores.get(bucket) {
            return Ok(store.clone());
        }
        let store = S3Location { prefix: String::new(), ..root.clone() }.open()?;
        stores.insert(bucket.to_owned(), store.clone());
        Ok(store)
    }
}

fn unreadable(key: &Path, error: object_store::Error) -> Error {
    match error {
        object_store::Error::Precondition { .. } => {
            unavailable(format!("the object {key} has changed while it was being read"))
        }
        error => explained(ErrorKind::SourceUnavailable, format!("the object {key} cannot be read"), error),
    }
}
