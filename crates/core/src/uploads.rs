//! Large bodies that are put into the bucket before a job reads them: what an upload is, and the port behind which it is kept.

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_core::stream::BoxStream;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::Result;
use crate::request::SourceFormat;

/// The most parts that an upload may have.
pub const MAX_PARTS: u32 = 10_000;

/// A SHA-256.
pub type Sha256 = [u8; 32];

/// Bytes as they arrive.
pub type Bytestream = BoxStream<'static, Result<Bytes>>;

/// What is asked for when an upload begins.
#[derive(Clone, Debug)]
pub struct NewUpload {
    pub owner: String,
    /// Bytes in all.
    pub size: u64,
    /// How many pieces they come in; as the store finds best when it is not given.
    pub parts: Option<u32>,
    /// Of all bytes; checked when the upload is completed.
    pub sha256: Option<Sha256>,
    /// Found from the first bytes when it is not given.
    pub format: Option<SourceFormat>,
}

/// What is kept of an upload: `uploads/{upload_id}/upload.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRecord {
    pub upload_id: Uuid,
    pub owner: String,
    /// Bytes in all.
    pub size: u64,
    /// Bytes of each part but the last, which has what is left.
    pub part_size: u64,
    /// Of all bytes, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<SourceFormat>,
    pub created_at: DateTime<Utc>,
    /// It may be taken away from then on.
    pub expires_at: DateTime<Utc>,
    #[serde(default)]
    pub completed_at: Option<DateTime<Utc>>,
}

impl UploadRecord {
    /// How many parts there are.
    pub fn parts(&self) -> u32 {
        u32::try_from(self.size.div_ceil(self.part_size.max(1))).unwrap_or(MAX_PARTS)
    }

    /// Bytes of a part, counted from 1; `None` where there is no such part.
    pub fn size_of(&self, number: u32) -> Option<u64> {
        let before = u64::from(number.checked_sub(1)?).checked_mul(self.part_size)?;
        self.size.checked_sub(before).filter(|left| *left > 0).map(|left| left.min(self.part_size))
    }
}

/// An upload and what of it is there.
#[derive(Clone, Debug)]
pub struct Upload {
    pub record: UploadRecord,
    /// In the order of their numbers, from 1.
    pub parts: Vec<UploadPart>,
}

/// A part of an upload.
#[derive(Clone, Debug)]
pub struct UploadPart {
    pub number: u32,
    /// Bytes that it has to have.
    pub size: u64,
    /// Whether it is there, whole.
    pub received: bool,
    /// An address at the store itself to put it to, where the store can give one; else it is put to this server.
    pub presigned: Option<String>,
}

/// A body that was stored as a whole upload.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    pub upload: Uuid,
    /// Bytes.
    pub size: u64,
    pub sha256: Sha256,
}

/// Uploads in the bucket. Each belongs to its owner; another owner's is not found.
#[async_trait]
pub trait Uploads: Send + Sync {
    /// Makes a place for a body.
    ///
    /// # Errors
    /// `InvalidRequest` for sizes and numbers that cannot be, `TooLarge` for more than may be uploaded.
    async fn begin(&self, wanted: NewUpload) -> Result<Upload>;

    /// # Errors
    /// `NotFound` where this owner has no such upload.
    async fn find(&self, owner: &str, upload: Uuid) -> Result<Upload>;

    /// Stores one part, whole or not at all; one that is there is replaced. Returns its SHA-256.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` once the upload is complete; `InvalidRequest` for another size than the part's;
    /// `MalformedRequest` where it has another checksum than `expected`; and what the bytes themselves say.
    async fn put_part(
        &self,
        owner: &str,
        upload: Uuid,
        number: u32,
        expected: Option<Sha256>,
        content: Bytestream,
    ) -> Result<Sha256>;

    /// Checks that everything is there and as it was announced, and makes it a source. Doing it again changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where parts are missing or the checksum is another one.
    async fn complete(&self, owner: &str, upload: Uuid) -> Result<Upload>;

    /// Takes an upload away.
    ///
    /// # Errors
    /// `NotFound` where this owner has no such upload.
    async fn remove(&self, owner: &str, upload: Uuid) -> Result<()>;

    /// Stores a body as a complete upload.
    ///
    /// # Errors
    /// `StorageUnavailable`, and what the bytes themselves say.
    async fn keep(&self, owner: &str, format: SourceFormat, content: Bytestream) -> Result<Kept>;
}

/// A checksum in hexadecimal digits.
pub fn hex(sha256: &Sha256) -> String {
    sha256.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads 64 hexadecimal digits.
pub fn from_hex(text: &str) -> Option<Sha256> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut sha256 = [0; 32];
    for (byte, pair) in sha256.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(size: u64, part_size: u64) -> UploadRecord {
        UploadRecord {
            upload_id: Uuid::nil(),
            owner: "local".into(),
            size,
            part_size,
            sha256: None,
            format: None,
            created_at: DateTime::UNIX_EPOCH,
            expires_at: DateTime::UNIX_EPOCH,
            completed_at: None,
        }
    }

    #[test]
    fn the_parts_of_an_upload_add_up_to_its_size() {
        for (size, part_size) in [(1, 1), (10, 3), (9, 3), (5, 100), (u64::MAX, u64::MAX)] {
            let record = record(size, part_size);
            let sizes: Vec<_> = (1..=record.parts()).map(|number| record.size_of(number)).collect();
            assert_eq!(sizes.iter().map(|s| s.expect("a part")).sum::<u64>(), size, "{size} by {part_size}");
            assert_eq!((record.size_of(0), record.size_of(record.parts() + 1)), (None, None));
        }
    }

    #[test]
    fn a_checksum_is_read_as_it_was_written() {
        let sha256: Sha256 = std::array::from_fn(|i| (i * 7) as u8);
        assert_eq!(from_hex(&hex(&sha256)), Some(sha256));
        for wrong in ["", "00", &"g".repeat(64), &"0".repeat(63), &"+f".repeat(32)] {
            assert_eq!(from_hex(wrong), None, "{wrong}");
        }
    }
}
