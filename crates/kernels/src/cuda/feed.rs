//! The way of blocks from host to card: three staging buffers, filled by many workers while earlier ones are copied and gone
//! over, each in a stream of its own.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::GpuError;
use super::device::{DeviceBuffer, Event, Pinned, Slot, Stream};
use super::gpu::Gpu;
use super::passes::{Left, Placed, Rows, Running};
use crate::BLOCK_ROWS;

/// Batches that are filled, copied and gone over at the same time.
const LANES: usize = 3;

/// Blocks on the device that stay there between passes, in the order of their columns and numbers once all are there.
pub(super) struct Batch {
    pub values: DeviceBuffer<f64>,
    pub placed: Vec<Placed>,
}

/// Room for one batch on both sides.
pub(super) struct Lane {
    values: DeviceBuffer<f64>,
    slots: DeviceBuffer<Slot>,
    staged: Pinned<f64>,
    staged_slots: Pinned<Slot>,
}

/// A batch that is being filled.
struct Filling {
    number: u64,
    lane: Lane,
    placed: Vec<Placed>,
    used: usize,
    /// Workers that copy into it now.
    writers: usize,
    closed: bool,
}

/// A batch on its way over the card.
struct Flying {
    lane: Lane,
    placed: Vec<Placed>,
    left: Left,
    done: Event,
}

/// Hands blocks from any number of workers to a pass.
pub(super) struct Feed {
    gpu: Arc<Gpu>,
    copying: Arc<Stream>,
    computing: Arc<Stream>,
    fetching: Arc<Stream>,
    /// Values in a batch.
    capacity: usize,
    state: Mutex<State>,
    turned: Condvar,
}

struct State {
    running: Running,
    free: Vec<Lane>,
    filling: Vec<Filling>,
    flying: VecDeque<Flying>,
    kept: Vec<Batch>,
    /// Bytes of batches that may still be kept; None where none are.
    keep: Option<u64>,
    /// Batches that were gone over and not kept.
    passed: u64,
    next: u64,
    failed: Option<GpuError>,
}

/// What a feed leaves.
pub(super) struct Fed {
    pub running: Running,
    pub kept: Vec<Batch>,
    /// Whether `kept` is everything.
    pub whole: bool,
    pub stream: Arc<Stream>,
}

/// Where a worker puts a block.
struct Place {
    filling: u64,
    to: *mut f64,
}

impl Feed {
    /// A feed for about `rows` rows. `keep` are the bytes of the card that may be kept for later passes.
    ///
    /// Batches are made smaller until they fit.
    pub fn begin(gpu: &Arc<Gpu>, pass: &crate::Pass, rows: u64, keep: Option<u64>) -> Result<Feed, GpuError> {
        let (copying, computing, fetching) = (gpu.stream()?, gpu.stream()?, gpu.stream()?);
        let running = Running::begin(gpu, pass, &computing)?;
        let wanted = (gpu.options.batch_bytes / 8).min(rows.max(1)) as usize;
        let mut capacity = wanted.next_multiple_of(BLOCK_ROWS);
        let free = loop {
            match (0..LANES)
                .map(|_| Lane::take(gpu, &copying, capacity))
                .collect::<Result<Vec<Lane>, GpuError>>()
            {
                Err(GpuError::OutOfMemory) if capacity > BLOCK_ROWS => {
                    capacity = (capacity / 2).next_multiple_of(BLOCK_ROWS);
                }
                lanes => break lanes?,
            }
        };
        let state = State {
            running,
            free,
            filling: Vec::new(),
            flying: VecDeque::new(),
            kept: Vec::new(),
            keep,
            passed: 0,
            next: 0,
            failed: None,
        };
        let gpu = gpu.clone();
        Ok(Feed {
            gpu,
            copying,
            computing,
            fetching,
            capacity,
            state: Mutex::new(state),
            turned: Condvar::new(),
        })
    }

    /// Takes a block of at most [`BLOCK_ROWS`] rows. After a failure, which [`finish`](Self::finish) tells, nothing is taken.
    pub fn push(&self, column: u32, block: u64, values: &[f64]) {
        if values.is_empty() {
            return;
        }
        assert!(values.len() <= BLOCK_ROWS, "a block has no more rows");
        let Some(place) = self.reserve(column, block, values.len()) else { return };
        // SAFETY: the place has room for the block, is nobody else's, and stays until this worker says that it is done.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), place.to, values.len()) };
        let mut state = self.lock();
        let Some(at) = state.filling.iter().position(|filling| filling.number == place.filling) else {
            return;
        };
        state.filling[at].writers -= 1;
        self.send_if_ready(&mut state, at);
        drop(state);
        self.turned.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for some rows, once there is one; None after a failure.
    fn reserve(&self, column: u32, block: u64, rows: usize) -> Option<Place> {
        let mut state = self.lock();
        loop {
            if state.failed.is_some() {
                return None;
            }
            if let Some(at) = state.filling.iter().position(|filling| !filling.closed) {
                let filling = &mut state.filling[at];
                if filling.used + rows <= self.capacity && filling.placed.len() < filling.lane.slots.len() {
                    return Some(filling.reserve(column, block, rows));
                }
                filling.closed = true;
                self.send_if_ready(&mut state, at);
            } else if let Some(lane) = state.free.pop() {
                let number = state.next;
                state.next += 1;
                state.filling.push(Filling {
                    number,
                    lane,
                    placed: Vec::new(),
                    used: 0,
                    writers: 0,
                    closed: false,
                });
            } else if !state.flying.is_empty() {
                self.collect(&mut state);
            } else {
                state = self.turned.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// Sends a batch off that is full and written.
    fn send_if_ready(&self, state: &mut State, at: usize) {
        let filling = &state.filling[at];
        if !filling.closed || filling.writers > 0 {
            return;
        }
        let Filling { lane, placed, used, .. } = state.filling.swap_remove(at);
        if state.failed.is_some() {
            return;
        }
        match self.send(&state.running, lane, placed, used) {
            Ok(flying) => state.flying.push_back(flying),
            Err(error) => state.failed = Some(error),
        }
    }

    fn send(
        &self,
        running: &Running,
        lane: Lane,
        placed: Vec<Placed>,
        used: usize,
    ) -> Result<Flying, GpuError> {
        for (i, placed) in placed.iter().enumerate() {
            // SAFETY: there are no more blocks than slots, and nobody else has the lane.
            unsafe { lane.staged_slots.pointer().add(i).write(placed.slot) };
        }
        // SAFETY: the staging buffers are not touched before the batch has been collected, behind the copies.
        let copied = unsafe {
            let values = lane.values.copy_in(&self.copying, lane.staged.pointer(), used);
            values.and_then(|()| lane.slots.copy_in(&self.copying, lane.staged_slots.pointer(), placed.len()))
        };
        let sent = copied.and_then(|()| {
            self.computing.wait_for(&self.copying.mark()?)?;
            let left = running.launch(&self.computing, lane.rows(&placed))?;
            Ok((left, self.computing.mark()?))
        });
        match sent {
            Ok((left, done)) => Ok(Flying { lane, placed, left, done }),
            Err(error) => {
                // The lane goes once nothing reads it any more.
                let _ = self.copying.synchronize();
                let _ = self.computing.synchronize();
                Err(error)
            }
        }
    }

    /// Waits for the oldest batch, and takes what the pass found in it.
    fn collect(&self, state: &mut State) {
        let Some(Flying { lane, placed, left, done }) = state.flying.pop_front() else { return };
        let waited = done.synchronize().and_then(|()| self.fetching.wait_for(&done));
        let taken = waited.and_then(|()| state.running.collect(left, &self.fetching, lane.rows(&placed)));
        match taken {
            Ok(()) => {
                let lane = self.keep(state, lane, placed);
                state.free.push(lane);
            }
            Err(error) => {
                state.failed = Some(error);
                let _ = self.computing.synchronize();
            }
        }
    }

    /// Keeps the batch on the device where there is room for it, and gives back a lane for the next one.
    fn keep(&self, state: &mut State, mut lane: Lane, placed: Vec<Placed>) -> Lane {
        let bytes = 8 * self.capacity as u64;
        let room = state.keep.is_some_and(|left| left >= bytes && state.passed == 0);
        if room && let Ok(fresh) = DeviceBuffer::new(&self.copying, self.capacity) {
            let values = std::mem::replace(&mut lane.values, fresh);
            state.kept.push(Batch { values, placed });
            state.keep = state.keep.map(|left| left - bytes);
        } else {
            state.passed += 1;
        }
        lane
    }

    /// Goes over what is left, once no worker pushes any more.
    pub fn finish(self) -> Result<Fed, GpuError> {
        let mut state = self.lock();
        for filling in &mut state.filling {
            filling.closed = true;
        }
        while !state.filling.is_empty() {
            let before = state.filling.len();
            self.send_if_ready(&mut state, 0);
            if state.filling.len() == before {
                // A worker that stopped in the middle leaves what cannot be gone over.
                state.failed.get_or_insert(GpuError::Wrong("a block that was not written"));
                state.filling.clear();
            }
        }
        while !state.flying.is_empty() {
            self.collect(&mut state);
        }
        drop(state);
        let synchronized =
            [&self.copying, &self.computing, &self.fetching].map(|stream| stream.synchronize());
        let state = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        let State { running, free, kept, keep, passed, failed, .. } = state;
        if let Some(error) = failed {
            return Err(error);
        }
        synchronized.into_iter().collect::<Result<(), GpuError>>()?;
        Lane::give_back(&self.gpu, free);
        Ok(Fed { running, kept, whole: keep.is_some() && passed == 0, stream: self.fetching })
    }
}

impl Lane {
    /// One that is left from an earlier feed, or a new one.
    fn take(gpu: &Gpu, stream: &Arc<Stream>, capacity: usize) -> Result<Lane, GpuError> {
        let mut lanes = gpu.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        match lanes.iter().position(|lane| lane.values.len() == capacity) {
            Some(at) => Ok(lanes.swap_remove(at)),
            None => {
                // Of another size, and so in the way of these.
                lanes.clear();
                Lane::new(stream, capacity)
            }
        }
    }

    /// Keeps as many as one feed takes.
    fn give_back(gpu: &Gpu, free: Vec<Lane>) {
        let mut lanes = gpu.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.extend(free);
        lanes.truncate(LANES);
    }

    fn new(stream: &Arc<Stream>, capacity: usize) -> Result<Lane, GpuError> {
        // Blocks of few rows share a batch.
        let slots = capacity / 1024 + 1024;
        Ok(Lane {
            values: DeviceBuffer::new(stream, capacity)?,
            slots: DeviceBuffer::new(stream, slots)?,
            staged: Pinned::new(&stream.device, capacity)?,
            staged_slots: Pinned::new(&stream.device, slots)?,
        })
    }

    fn rows<'p>(&self, placed: &'p [Placed]) -> Rows<'p> {
        Rows { values: self.values.pointer(), slots: self.slots.pointer(), placed }
    }
}

impl Filling {
    fn reserve(&mut self, column: u32, block: u64, rows: usize) -> Place {
        let slot = Slot { first: self.used as u64, rows: rows as u64 };
        // SAFETY: `used` and `rows` together are within the staging buffer.
        let to = unsafe { self.lane.staged.pointer().add(self.used) };
        self.placed.push(Placed { column, block, slot });
        self.used += rows;
        self.writers += 1;
        Place { filling: self.number, to }
    }
}
