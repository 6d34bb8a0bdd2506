//! Bytes that arrive one after the other, into one object: in pieces, checked, whole or not at all.

use bytes::{Bytes, BytesMut};
use caudal_core::uploads::{Bytestream, Sha256};
use caudal_core::{Error, ErrorKind, Result};
use futures::StreamExt;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStoreExt};
use sha2::Digest;

use crate::bucket::{Bucket, failed};
use crate::large;

/// What has passed.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    /// Bytes.
    pub size: u64,
    pub sha256: Sha256,
}

/// Writes an object of at most `most` bytes.
///
/// # Errors
/// `TooLarge` for more, `StorageUnavailable`, and what the stream says.
pub async fn write(bucket: &Bucket, key: &Path, content: Bytestream, most: u64) -> Result<Written> {
    write_checked(bucket, key, content, most, |_| Ok(())).await
}

/// Like [`write`], and nothing appears where `check` refuses what has passed.
///
/// # Errors
/// As there, and what `check` says.
pub async fn write_checked(
    bucket: &Bucket,
    key: &Path,
    content: Bytestream,
    most: u64,
    check: impl FnOnce(&Written) -> Result<()>,
) -> Result<Written> {
    let mut pieces = Pieces { content, passing: Passing::new(most), rest: Bytes::new(), ended: false };
    let first = pieces.next().await?.unwrap_or_default();
    if pieces.ended {
        let written = pieces.passing.end();
        check(&written)?;
        bucket.put(key, first).await?;
        return Ok(written);
    }
    let mut upload = bucket.store().put_multipart(key).await.map_err(|e| failed("write", key, e))?;
    let ended = async {
        send(&mut *upload, key, first).await?;
        while let Some(piece) = pieces.next().await? {
            send(&mut *upload, key, piece).await?;
        }
        let written = pieces.passing.end();
        check(&written)?;
        upload.complete().await.map_err(|e| failed("write", key, e))?;
        Ok(written)
    }
    .await;
    if ended.is_err() {
        // What remains of it goes with the bucket's own rule for unfinished uploads.
        let _ = upload.abort().await;
    }
    ended
}

async fn send(upload: &mut dyn MultipartUpload, key: &Path, piece: Bytes) -> Result<()> {
    upload.put_part(piece.into()).await.map_err(|e| failed("write", key, e))
}

/// Reads a stream to its end for its size and checksum.
///
/// # Errors
/// What the stream says.
pub async fn read(mut content: Bytestream) -> Result<Written> {
    let mut passing = Passing::new(u64::MAX);
    while let Some(chunk) = content.next().await {
        passing.take(&chunk?)?;
    }
    Ok(passing.end())
}

/// Counts and sums what passes.
struct Passing {
    most: u64,
    size: u64,
    sum: sha2::Sha256,
}

impl Passing {
    fn new(most: u64) -> Passing {
        Passing { most, size: 0, sum: sha2::Sha256::new() }
    }

    fn take(&mut self, chunk: &[u8]) -> Result<()> {
        self.size += chunk.len() as u64;
        if self.size > self.most {
            let detail = format!("the body is longer than the {} bytes that it may have", self.most);
            return Err(Error::new(ErrorKind::TooLarge, detail));
        }
        self.sum.update(chunk);
        Ok(())
    }

    fn end(&self) -> Written {
        Written { size: self.size, sha256: self.sum.clone().finalize().into() }
    }
}

/// Gathers what arrives into pieces of the size that stores like.
struct Pieces {
    content: Bytestream,
    passing: Passing,
    /// Of a chunk that was longer than its piece had room for.
    rest: Bytes,
    ended: bool,
}

impl Pieces {
    /// The next piece, whole unless it is the last; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let mut piece = BytesMut::new();
        // A stream is not asked again once it has ended.
        while piece.len() < large::FROM && !self.ended {
            if self.rest.is_empty() {
                match self.content.next().await {
                    Some(chunk) => self.rest = chunk?,
                    None => {
                        self.ended = true;
                        break;
                    }
                }
                self.passing.take(&self.rest)?;
            }
            let room = (large::FROM - piece.len()).min(self.rest.len());
            piece.extend_from_slice(&self.rest.split_to(room));
        }
        Ok(if piece.is_empty() { None } else { Some(piece.freeze()) })
    }
}
