//! Large objects go in pieces, some at a time, and appear whole or not at all.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, Result};

/// Bytes from which on an object is large, and of one piece of it.
pub const FROM: usize = 8 << 20;

/// Pieces on their way at the same time.
const AT_ONCE: usize = 4;

/// Uploads that are begun, at most: one whose end is in doubt is begun anew, since its pieces may be gone.
const TRIES: usize = 3;

/// Writes an object in pieces; whatever was there is replaced.
pub async fn put(store: &dyn ObjectStore, key: &Path, content: &Bytes) -> Result<()> {
    let mut tried = 1;
    loop {
        match put_once(store, key, content).await {
            Err(_) if tried < TRIES => tried += 1,
            done => return done,
        }
    }
}

async fn put_once(store: &dyn ObjectStore, key: &Path, content: &Bytes) -> Result<()> {
    let mut upload = store.put_multipart(key).await?;
    let begins = (0..content.len()).step_by(FROM);
    let pieces: Vec<_> = begins
        .map(|begin| upload.put_part(content.slice(begin..content.len().min(begin + FROM)).into()))
        .collect();
    let sent = stream::iter(pieces).buffer_unordered(AT_ONCE).try_collect::<()>().await;
    let ended = match sent {
        Ok(()) => upload.complete().await.map(drop),
        Err(error) => Err(error),
    };
    if ended.is_err() {
        // Pieces of an upload that is not ended cost money; what remains goes with the bucket's lifecycle rule.
        let _ = upload.abort().await;
    }
    ended
}
