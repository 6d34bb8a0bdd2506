//! Objects of a remote store, fetched in pieces: ahead of whoever reads, and kept as long as there is room.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use caudal_core::{Error, Result};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};
use tokio::runtime::Handle;

use super::ReadAt;

/// Bytes of a piece: enough to make up for the way to the store and back.
const PIECE: u64 = 1 << 20;

/// Pieces that are fetched before they are wanted, at most.
const AHEAD: u64 = 8;

/// Tries to fetch a piece whose body breaks off, beyond those of the store's client.
const TRIES: usize = 3;

/// Pieces of all objects that are read, the latest used ones. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pieces(Arc<Mutex<Kept>>);

struct Kept {
    /// Bytes that pieces may take.
    room: u64,
    bytes: u64,
    objects: u64,
    clock: u64,
    pieces: HashMap<(u64, u64), Piece>,
}

struct Piece {
    used: u64,
    bytes: u64,
    content: Fetch,
}

/// A piece on its way, or there.
type Fetch = Shared<BoxFuture<'static, Result<Bytes>>>;

impl Pieces {
    /// Keeps pieces of so many bytes in all, and a few at least.
    pub fn new(room: u64) -> Pieces {
        let room = room.max(AHEAD * PIECE);
        Pieces(Arc::new(Mutex::new(Kept { room, bytes: 0, objects: 0, clock: 0, pieces: HashMap::new() })))
    }

    fn number_object(&self) -> u64 {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.objects += 1;
        kept.objects
    }

    /// How far ahead one reader of several may fetch.
    fn ahead(&self) -> u64 {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (kept.room / PIECE / 4).clamp(1, AHEAD)
    }

    fn get_or_begin(&self, at: (u64, u64), bytes: u64, begin: impl FnOnce() -> Fetch) -> Fetch {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let clock = kept.clock;
        if let Some(piece) = kept.pieces.get_mut(&at) {
            piece.used = clock;
            return piece.content.clone();
        }
        let content = begin();
        kept.pieces.insert(at, Piece { used: clock, bytes, content: content.clone() });
        kept.bytes += bytes;
        while kept.bytes > kept.room {
            let Some(oldest) = kept.pieces.iter().min_by_key(|(_, piece)| piece.used).map(|(at, _)| *at)
            else {
                break;
            };
            kept.remove(oldest);
        }
        content
    }

    fn forget(&self, at: (u64, u64)) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(at);
    }
}

impl Kept {
    fn remove(&mut self, at: (u64, u64)) {
        if let Some(piece) = self.pieces.remove(&at) {
            self.bytes -= piece.bytes;
        }
    }
}

/// An object, as many may read it at the same time.
pub(crate) struct RemoteObject {
    store: Arc<dyn ObjectStore>,
    key: Path,
    size: u64,
    /// It must stay the same from the first read to the last.
    e_tag: Option<String>,
    number: u64,
    pieces: Pieces,
    handle: Handle,
    /// What a failure of the store means to whoever asked.
    explain: fn(&Path, object_store::Error) -> Error,
}

impl RemoteObject {
    /// Within a runtime, on which it is fetched. `meta` is what the store says of the object.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        meta: ObjectMeta,
        pieces: Pieces,
        handle: Handle,
        explain: fn(&Path, object_store::Error) -> Error,
    ) -> Arc<RemoteObject> {
        let ObjectMeta { location: key, size, e_tag, .. } = meta;
        let number = pieces.number_object();
        Arc::new(RemoteObject { store, key, size, e_tag, number, pieces, handle, explain })
    }

    /// A way to read it for one reader.
    pub fn open(self: &Arc<Self>) -> Arc<dyn ReadAt> {
        Arc::new(RemoteReader {
            ahead: self.pieces.ahead(),
            object: self.clone(),
            last: AtomicU64::new(u64::MAX),
            expected: AtomicU64::new(0),
            failure: Mutex::new(None),
        })
    }

    /// Begins to fetch a piece, unless it is there or on its way.
    fn fetch(self: &Arc<Self>, piece: u64) -> Fetch {
        let begin = piece * PIECE;
        let range = begin..(begin + PIECE).min(self.size);
        self.pieces.get_or_begin((self.number, piece), range.end.saturating_sub(range.start), || {
            let object = self.clone();
            let content = async move { object.fetched(range).await }.boxed().shared();
            // Fetched whether anybody waits for it or not.
            self.handle.spawn(content.clone());
            content
        })
    }

    async fn fetched(&self, range: Range<u64>) -> Result<Bytes> {
        let mut tried = 1;
        loop {
            let options = GetOptions {
                range: Some(GetRange::Bounded(range.clone())),
                if_match: self.e_tag.clone(),
                ..GetOptions::default()
            };
            let got = match self.store.get_opts(&self.key, options).await {
                Ok(found) => found.bytes().await,
                Err(error) => return Err((self.explain)(&self.key, error)),
            };
            match got {
                Ok(bytes) => return Ok(bytes),
                Err(_) if tried < TRIES => tried += 1,
                Err(error) => return Err((self.explain)(&self.key, error)),
            }
        }
    }
}

/// One reader of an object.
struct RemoteReader {
    object: Arc<RemoteObject>,
    ahead: u64,
    /// The piece that was read last.
    last: AtomicU64,
    /// Where the stretch ends that is being read.
    expected: AtomicU64,
    failure: Mutex<Option<Error>>,
}

impl RemoteReader {
    fn piece(&self, piece: u64) -> Result<Bytes> {
        let wanted = self.object.fetch(piece);
        if self.last.swap(piece, Ordering::Relaxed) != piece {
            let expected = self.expected.load(Ordering::Relaxed).min(self.object.size).div_ceil(PIECE);
            for next in piece + 1..expected.min(piece + 1 + self.ahead) {
                // It is on its way, and nobody waits for it yet.
                drop(self.object.fetch(next));
            }
        }
        let content = match wanted.peek() {
            Some(content) => content.clone(),
            // A query reads on threads of a runtime, which must be told that they are going to wait.
            None => tokio::task::block_in_place(|| self.object.handle.block_on(wanted)),
        };
        if content.is_err() {
            self.object.pieces.forget((self.object.number, piece));
        }
        content
    }
}

impl ReadAt for RemoteReader {
    fn size(&self) -> u64 {
        self.object.size
    }

    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> std::io::Result<()> {
        if position.checked_add(buffer.len() as u64).is_none_or(|end| end > self.object.size) {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let mut filled = 0;
        while filled < buffer.len() {
            let at = position + filled as u64;
            let content = self.piece(at / PIECE).map_err(|error| {
                let told = std::io::Error::other(error.detail.clone());
                self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                told
            })?;
            let there = content.get((at % PIECE) as usize..).filter(|there| !there.is_empty());
            let there = there.ok_or(std::io::ErrorKind::UnexpectedEof)?;
            let count = there.len().min(buffer.len() - filled);
            buffer[filled..filled + count].copy_from_slice(&there[..count]);
            filled += count;
        }
        Ok(())
    }

    fn expect(&self, stretch: Range<u64>) {
        self.expected.store(stretch.end, Ordering::Relaxed);
        self.last.store(u64::MAX, Ordering::Relaxed);
    }

    fn failure(&self) -> Option<Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
