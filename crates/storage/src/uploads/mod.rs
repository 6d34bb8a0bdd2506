//! Uploads in the bucket: places for large bodies, filled part by part, checked, and taken away when they expire.

pub(crate) mod stream;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use caudal_core::ports::{Clock, Ids};
use caudal_core::request::SourceFormat;
use caudal_core::uploads::{
    Bytestream, Kept, MAX_PARTS, NewUpload, Sha256, Upload, UploadPart, UploadRecord, Uploads, hex,
};
use caudal_core::{Error, ErrorKind, Faults, Result};
use chrono::TimeDelta;
use futures::{StreamExt, TryStreamExt, stream as streams};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use uuid::Uuid;

use self::stream::{Written, write};
use crate::bucket::{Bucket, failed};
use crate::keys;

/// What uploads are bound by.
#[derive(Clone, Debug)]
pub struct UploadLimits {
    /// Bytes of one upload.
    pub max_size: u64,
    /// How long one stays, from its beginning and again from its completion.
    pub keep: Duration,
}

/// Bytes of a part where the client does not say how many there are.
const PART_SIZE: u64 = 64 << 20;

/// Uploads behind the port of core.
pub struct BucketUploads {
    bucket: Bucket,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    limits: UploadLimits,
}

impl BucketUploads {
    pub fn new(bucket: Bucket, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>, limits: UploadLimits) -> Self {
        BucketUploads { bucket, clock, ids, limits }
    }

    fn kept(&self) -> TimeDelta {
        TimeDelta::from_std(self.limits.keep).unwrap_or(TimeDelta::days(1))
    }

    async fn record(&self, owner: &str, id: Uuid) -> Result<UploadRecord> {
        let record: Option<UploadRecord> = self.bucket.get_json(&keys::upload_record(id)).await?;
        let now = self.clock.now();
        // What has expired is gone, whether or not it was swept.
        let found = record.filter(|record| record.owner == owner && record.expires_at >= now);
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no upload {id}")))
    }

    async fn described(&self, record: UploadRecord) -> Result<Upload> {
        if record.completed_at.is_some() {
            let parts = (1..=record.parts()).map(|number| part(&record, number, true, None)).collect();
            return Ok(Upload { record, parts });
        }
        let until = record.expires_at - self.clock.now();
        let presigned_for = until.to_std().unwrap_or_default().min(LONGEST_PRESIGNED);
        let sizes = self.sizes(&record).await?;
        let mut parts = Vec::with_capacity(record.parts() as usize);
        for number in 1..=record.parts() {
            let received = sizes.get(number as usize - 1).copied().flatten() == record.size_of(number);
            let presigned = match received {
                true => None,
                false => {
                    let (key, size) = (part_key(&record, number), record.size_of(number).unwrap_or_default());
                    self.bucket.presigned_put(&key, size, presigned_for).await?
                }
            };
            parts.push(part(&record, number, received, presigned));
        }
        Ok(Upload { record, parts })
    }

    /// The size of each part that is there.
    async fn sizes(&self, record: &UploadRecord) -> Result<Vec<Option<u64>>> {
        let mut sizes = vec![None; record.parts() as usize];
        let folder = keys::upload(record.upload_id);
        let store = self.bucket.store();
        let found: Vec<_> =
            store.list(Some(&folder)).try_collect().await.map_err(|e| failed("list", &folder, e))?;
        let mut numbers: Vec<(String, usize)> =
            (1..=record.parts()).map(|n| (part_key(record, n).to_string(), n as usize - 1)).collect();
        numbers.sort();
        for object in found {
            let key = object.location.to_string();
            if let Ok(at) = numbers.binary_search_by(|(known, _)| known.as_str().cmp(&key)) {
                sizes[numbers[at].1] = Some(object.size);
            }
        }
        Ok(sizes)
    }

    /// Puts the parts together, or reads the only one where its checksum was announced.
    async fn assemble(&self, record: &UploadRecord) -> Result<()> {
        let data = keys::upload_data(record.upload_id);
        let sha256 = match (record.parts(), &record.sha256) {
            (1, None) => return Ok(()),
            (1, Some(_)) => stream::read(self.read(data.clone()).boxed()).await?.sha256,
            (parts, _) => {
                let store = self.bucket.store().clone();
                let keys: Vec<Path> = (1..=parts).map(|number| part_key(record, number)).collect();
                let content = streams::iter(keys)
                    .then(move |key| {
                        let store = store.clone();
                        async move {
                            let found = store.get(&key).await.map_err(|e| failed("read", &key, e))?;
                            let pieces = found.into_stream().map_err(move |e| failed("read", &key, e));
                            Ok::<_, Error>(pieces)
                        }
                    })
                    .try_flatten();
                write(&self.bucket, &data, content.boxed(), record.size).await?.sha256
            }
        };
        match &record.sha256 {
            Some(announced) if *announced != hex(&sha256) => {
                let detail = format!(
                    "the SHA-256 of what was uploaded is {}, and {announced} was announced",
                    hex(&sha256)
                );
                Err(Error::new(ErrorKind::Conflict, detail).hint("send the parts again, or begin anew"))
            }
            _ => Ok(()),
        }
    }

    fn read(&self, key: Path) -> impl futures::Stream<Item = Result<bytes::Bytes>> + Send + use<> {
        let store = self.bucket.store().clone();
        let opened = async move {
            let found = store.get(&key).await.map_err(|e| failed("read", &key, e))?;
            Ok::<_, Error>(found.into_stream().map_err(move |e| failed("read", &key, e)))
        };
        streams::once(opened).try_flatten()
    }
}

/// The longest that an address of the store may be used.
const LONGEST_PRESIGNED: Duration = Duration::from_secs(6 * 3600);

#[async_trait]
impl Uploads for BucketUploads {
    async fn begin(&self, wanted: NewUpload) -> Result<Upload> {
        let part_size = part_size(&wanted, self.limits.max_size)?;
        let now = self.clock.now();
        let record = UploadRecord {
            upload_id: self.ids.entry_id(),
            owner: wanted.owner,
            size: wanted.size,
            part_size,
            sha256: wanted.sha256.as_ref().map(hex),
            format: wanted.format,
            created_at: now,
            expires_at: now + self.kept(),
            completed_at: None,
        };
        self.bucket.put_json(&keys::upload_record(record.upload_id), &record).await?;
        self.described(record).await
    }

    async fn find(&self, owner: &str, upload: Uuid) -> Result<Upload> {
        let record = self.record(owner, upload).await?;
        self.described(record).await
    }

    async fn put_part(
        &self,
        owner: &str,
        upload: Uuid,
        number: u32,
        expected: Option<Sha256>,
        content: Bytestream,
    ) -> Result<Sha256> {
        let record = self.record(owner, upload).await?;
        if record.completed_at.is_some() {
            return Err(Error::new(ErrorKind::Conflict, format!("the upload {upload} is complete already")));
        }
        let Some(size) = record.size_of(number) else {
            let detail =
                format!("the upload {upload} has no part {number}; its parts are 1 to {}", record.parts());
            return Err(Error::new(ErrorKind::NotFound, detail));
        };
        let key = part_key(&record, number);
        let check = move |written: &Written| right_part(number, size, expected, written);
        Ok(stream::write_checked(&self.bucket, &key, content, size, check).await?.sha256)
    }

    async fn complete(&self, owner: &str, upload: Uuid) -> Result<Upload> {
        let mut record = self.record(owner, upload).await?;
        if record.completed_at.is_some() {
            return self.described(record).await;
        }
        let sizes = self.sizes(&record).await?;
        let mut faults = Faults::default();
        for (number, found) in (1..).zip(&sizes) {
            let expected = record.size_of(number).unwrap_or_default();
            match found {
                Some(size) if *size == expected => {}
                Some(size) => faults.push(
                    || format!("/parts/{number}"),
                    || format!("expected {expected} bytes, found {size}"),
                ),
                None => faults.push(|| format!("/parts/{number}"), || "is not there yet".into()),
            }
        }
        if !faults.is_empty() {
            // Another request may have completed it meanwhile, and taken the parts away.
            let again = self.record(owner, upload).await?;
            return match again.completed_at {
                Some(_) => self.described(again).await,
                None => Err(Error::from_faults(ErrorKind::Conflict, faults)
                    .hint("GET /uploads/{id} says which parts are there")),
            };
        }
        self.assemble(&record).await?;
        let now = self.clock.now();
        (record.completed_at, record.expires_at) = (Some(now), now + self.kept());
        self.bucket.put_json(&keys::upload_record(upload), &record).await?;
        self.bucket.delete_below(&keys::upload_parts(upload)).await?;
        self.described(record).await
    }

    async fn remove(&self, owner: &str, upload: Uuid) -> Result<()> {
        self.record(owner, upload).await?;
        self.bucket.delete_below(&keys::upload(upload)).await
    }

    async fn keep(&self, owner: &str, format: SourceFormat, content: Bytestream) -> Result<Kept> {
        let id = self.ids.entry_id();
        let Written { size, sha256 } = write(&self.bucket, &keys::upload_data(id), content, u64::MAX).await?;
        let now = self.clock.now();
        let record = UploadRecord {
            upload_id: id,
            owner: owner.to_owned(),
            size,
            part_size: size.max(1),
            sha256: Some(hex(&sha256)),
            format: Some(format),
            created_at: now,
            expires_at: now + self.kept(),
            completed_at: Some(now),
        };
        self.bucket.put_json(&keys::upload_record(id), &record).await?;
        Ok(Kept { upload: id, size, sha256 })
    }
}

/// The only part is the data itself.
fn part_key(record: &UploadRecord, number: u32) -> Path {
    match record.parts() {
        1 => keys::upload_data(record.upload_id),
        _ => keys::upload_part(record.upload_id, number),
    }
}

fn part(record: &UploadRecord, number: u32, received: bool, presigned: Option<String>) -> UploadPart {
    UploadPart { number, size: record.size_of(number).unwrap_or_default(), received, presigned }
}

fn part_size(wanted: &NewUpload, most: u64) -> Result<u64> {
    let mut faults = Faults::default();
    if wanted.size == 0 {
        faults.push(|| "/size".into(), || "expected 1 byte or more, found 0".into());
    }
    let most_parts = wanted.size.min(u64::from(MAX_PARTS)).max(1);
    if let Some(parts) = wanted.parts.filter(|parts| !(1..=most_parts).contains(&u64::from(*parts))) {
        let detail = || format!("expected a whole number from 1 to {most_parts}, found {parts}");
        faults.push(|| "/parts".into(), detail);
    }
    if !faults.is_empty() {
        return Err(Error::from_faults(ErrorKind::InvalidRequest, faults));
    }
    if wanted.size > most {
        let detail = format!("the upload would have {} bytes; at most {most} are taken", wanted.size);
        return Err(Error::new(ErrorKind::TooLarge, detail).hint("raise uploads.max_size in the settings"));
    }
    Ok(match wanted.parts {
        Some(parts) => wanted.size.div_ceil(u64::from(parts)),
        None => PART_SIZE.max(wanted.size.div_ceil(u64::from(MAX_PARTS))),
    })
}

fn right_part(number: u32, size: u64, expected: Option<Sha256>, written: &Written) -> Result<()> {
    if written.size != size {
        let mut faults = Faults::default();
        let detail = || format!("expected {size} bytes, found {}", written.size);
        faults.push(|| format!("/parts/{number}"), detail);
        return Err(Error::from_faults(ErrorKind::InvalidRequest, faults));
    }
    match expected {
        Some(expected) if expected != written.sha256 => {
            let detail = format!(
                "the part arrived with the SHA-256 {}, and {} was announced",
                hex(&written.sha256),
                hex(&expected)
            );
            Err(Error::new(ErrorKind::MalformedRequest, detail).hint("send it again"))
        }
        _ => Ok(()),
    }
}
