//! A store in memory as one instance meets it: slow, refusing, forgetful of its answers, or never answering again.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::Notify;

use crate::chance::Chance;

/// How likely a request meets each fault.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// Refused; nothing was done.
    pub refused: f64,
    /// Done, and the answer says otherwise.
    pub unconfirmed: f64,
    /// A creation that is said to meet another one, though nothing is there.
    pub conflict: f64,
    pub longest_latency: Duration,
}

/// Whether an instance's process runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Life {
    Runs = 0,
    HeldUp = 1,
    Dead = 2,
}

/// The state of one instance that its requests depend on.
pub struct Process {
    life: AtomicU8,
    changed: Notify,
    /// Requests that were made; the trace of a run.
    pub requests: AtomicU64,
}

impl Process {
    pub fn new() -> Arc<Process> {
        Arc::new(Process { life: AtomicU8::new(0), changed: Notify::new(), requests: AtomicU64::new(0) })
    }

    pub fn become_(&self, life: Life) {
        // The dead stay dead.
        if self.life.load(Ordering::Relaxed) != Life::Dead as u8 {
            self.life.store(life as u8, Ordering::Relaxed);
            self.changed.notify_waiters();
        }
    }

    pub fn is_dead(&self) -> bool {
        self.life.load(Ordering::Relaxed) == Life::Dead as u8
    }

    /// Goes on only while the process runs.
    pub async fn running(&self) {
        loop {
            let changed = self.changed.notified();
            if self.life.load(Ordering::Relaxed) == Life::Runs as u8 {
                return;
            }
            changed.await;
        }
    }
}

/// Faults that can be turned off for all instances at once.
pub type Weather = Arc<std::sync::Mutex<Faults>>;

#[derive(Clone)]
pub struct Met {
    pub inner: Arc<InMemory>,
    pub process: Arc<Process>,
    pub chance: Chance,
    pub weather: Weather,
}

impl fmt::Debug for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Met")
    }
}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Met")
    }
}

fn failed() -> Error {
    Error::Generic { store: "simulated", source: "503 SlowDown".into() }
}

impl Met {
    fn faults(&self) -> Faults {
        *self.weather.lock().expect("nobody panics with it")
    }

    /// The way of a request to the store.
    async fn there(&self) -> Result<()> {
        self.process.requests.fetch_add(1, Ordering::Relaxed);
        self.process.running().await;
        let faults = self.faults();
        tokio::time::sleep(self.chance.up_to(faults.longest_latency)).await;
        self.process.running().await;
        match self.chance.happens(faults.refused) {
            true => Err(failed()),
            false => Ok(()),
        }
    }

    /// The way of an answer back.
    async fn back<T>(&self, answer: Result<T>) -> Result<T> {
        let faults = self.faults();
        tokio::time::sleep(self.chance.up_to(faults.longest_latency)).await;
        self.process.running().await;
        match answer.is_ok() && self.chance.happens(faults.unconfirmed) {
            true => Err(failed()),
            false => answer,
        }
    }
}

#[async_trait]
impl ObjectStore for Met {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.there().await?;
        let creates = matches!(opts.mode, PutMode::Create);
        if creates && self.chance.happens(self.faults().conflict) {
            let path = location.to_string();
            return self.back(Err(Error::AlreadyExists { path, source: "409".into() })).await;
        }
        let written = self.inner.put_opts(location, payload, opts).await;
        let was_written = written.is_ok();
        match self.back(written).await {
            // A client that tries again on its own meets its own object.
            Err(_) if was_written && creates && self.chance.happens(0.5) => {
                Err(Error::AlreadyExists { path: location.to_string(), source: "412".into() })
            }
            answer => answer,
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.there().await?;
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.there().await?;
        let found = self.inner.get_opts(location, options).await;
        self.back(found).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let me = self.clone();
        let deleted = locations.then(move |location| {
            let me = me.clone();
            async move {
                let location = location?;
                me.there().await?;
                let one = futures::stream::once(std::future::ready(Ok(location.clone()))).boxed();
                let deleted: Result<Vec<Path>> = me.inner.delete_stream(one).try_collect().await;
                me.back(deleted).await.map(|_| location)
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (me, prefix) = (self.clone(), prefix.cloned());
        let listed = async move {
            me.there().await?;
            let found: Result<Vec<ObjectMeta>> = me.inner.list(prefix.as_ref()).try_collect().await;
            let found = me.back(found).await?;
            Ok::<_, Error>(futures::stream::iter(found.into_iter().map(Ok)))
        };
        futures::stream::once(listed).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.there().await?;
        let found = self.inner.list_with_delimiter(prefix).await;
        self.back(found).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.there().await?;
        let copied = self.inner.copy_opts(from, to, options).await;
        self.back(copied).await
    }
}
