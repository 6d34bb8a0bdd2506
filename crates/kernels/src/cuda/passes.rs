//! A pass under way on a card: what is uploaded for it, launched for each batch of blocks, fetched, and made the same shares
//! of as on the processor.

use std::sync::Arc;

use super::GpuError;
use super::device::{Argument, DeviceBuffer, Slot, Stream};
use super::driver::Pointer;
use super::gpu::Gpu;
use crate::brackets::Bracketed;
use crate::cpu::below::{CountsBelow, Toggles};
use crate::cpu::hash::{Frequent, HashCounters, ValueCounts};
use crate::cpu::partition::Partition;
use crate::cpu::passes::{FirstShare, Pass, SecondShare, Share, SurveyShare};
use crate::key::value_of;
use crate::moments::Moments;
use crate::normalization::Steps;
use crate::sample::Sampler;

/// Shared memory that every card has for a thread block.
const SHARED_BYTES: usize = 48 << 10;

/// Counters of a bin at most: one for each lane of a warp.
const COPIES: usize = 32;

/// Of so many rows one is gathered, about; where more are, the batch is gone over again with more room.
const GATHERED_SHARE: u64 = 8;

/// Sorted parts are made where the host's processors go over a column.
const NOT_HELD: GpuError = GpuError::Wrong("a pass for columns that the host holds");

/// A block of rows among the values of a batch, and which one it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub column: u32,
    pub block: u64,
    pub slot: Slot,
}

/// Blocks of rows that lie on the device.
#[derive(Clone, Copy)]
pub(super) struct Rows<'b> {
    pub values: Pointer,
    /// As many as there are blocks.
    pub slots: Pointer,
    pub placed: &'b [Placed],
}

/// What is known of a pass so far.
pub(super) struct Running {
    gpu: Arc<Gpu>,
    pass: Pass,
    moments: bool,
    states: Vec<(u32, u64, Moments)>,
    counting: Option<Counting>,
    hashing: Option<Hashing>,
    tallying: Option<Tallying>,
}

/// Gathered values, and how many they are.
type Gathered = (DeviceBuffer<f64>, DeviceBuffer<u64>);

/// What a launch leaves on the device until it is collected.
pub(super) struct Left {
    states: Option<DeviceBuffer<u64>>,
    gathered: Option<Gathered>,
}

impl Running {
    /// What is uploaded is there when this returns.
    pub fn begin(gpu: &Arc<Gpu>, pass: &Pass, stream: &Arc<Stream>) -> Result<Running, GpuError> {
        let mut running = Running {
            gpu: gpu.clone(),
            pass: pass.clone(),
            moments: match pass {
                Pass::Moments | Pass::Survey(_) => true,
                Pass::First(first) => first.moments,
                Pass::Missed(_) | Pass::Second(_) | Pass::Only(_) => false,
            },
            states: Vec::new(),
            counting: None,
            hashing: None,
            tallying: None,
        };
        match pass {
            Pass::Moments | Pass::Survey(_) => {}
            Pass::First(first) => {
                let brackets = &first.brackets;
                running.counting =
                    Some(Counting::new(stream, &brackets.thresholds, Some(&brackets.toggles))?);
                running.hashing = Some(Hashing::new(stream, &first.frequent)?);
            }
            Pass::Missed(brackets) => {
                running.counting =
                    Some(Counting::new(stream, &brackets.thresholds, Some(&brackets.toggles))?);
            }
            Pass::Only(_) => return Err(NOT_HELD),
            Pass::Second(second) => {
                running.counting = Some(Counting::new(stream, second.counts.thresholds(), None)?);
                running.tallying = second
                    .partition
                    .as_ref()
                    .map(|partition| Tallying::new(stream, partition))
                    .transpose()?;
            }
        }
        Ok(running)
    }

    /// Puts the pass over some blocks into a stream.
    pub fn launch(&self, stream: &Arc<Stream>, rows: Rows<'_>) -> Result<Left, GpuError> {
        let kernels = &self.gpu.kernels;
        let mut left = Left { states: None, gathered: None };
        if rows.placed.is_empty() {
            return Ok(left);
        }
        if self.moments {
            let states = DeviceBuffer::new(stream, rows.placed.len() * Moments::WORDS)?;
            let arguments = [rows.values, rows.slots, states.pointer()].map(Argument::of);
            // SAFETY: the arguments of the kernel; the buffers stay until what is left is collected.
            unsafe { stream.launch(kernels.block_moments, rows.placed.len() as u32, 0, &arguments)? };
            left.states = Some(states);
        }
        if let Some(counting) = &self.counting {
            left.gathered = counting.launch(&self.gpu, stream, rows)?;
        }
        if let Some(hashing) = &self.hashing {
            hashing.launch(&self.gpu, stream, rows)?;
        }
        if let Some(tallying) = &self.tallying {
            tallying.launch(&self.gpu, stream, rows)?;
        }
        Ok(left)
    }

    /// Fetches what a launch left. The stream comes after the launch's, and the rows are still there.
    pub fn collect(&mut self, left: Left, stream: &Arc<Stream>, rows: Rows<'_>) -> Result<(), GpuError> {
        if let Some(states) = left.states {
            let words = states.download(stream, states.len())?;
            for (placed, words) in rows.placed.iter().zip(words.chunks(Moments::WORDS)) {
                let state = Moments::from_words(words).filter(|state| state.rows == placed.slot.rows);
                let state = state.ok_or(GpuError::Wrong("moments that no block can have"))?;
                self.states.push((placed.column, placed.block, state));
            }
        }
        if let Some((gathered, count)) = left.gathered
            && let Some(counting) = &mut self.counting
        {
            counting.collect(&self.gpu, gathered, count, stream, rows)?;
        }
        Ok(())
    }

    /// The moments of each block of each column, as far as they were asked for.
    pub fn into_states(self) -> Vec<(u32, u64, Moments)> {
        self.states
    }

    /// The only share of the pass, once everything is collected; `sampler` has what was sampled beside it.
    pub fn finish(self, stream: &Arc<Stream>, sampler: Sampler) -> Result<Share, GpuError> {
        let blocks = self.states.into_iter().map(|(_, block, state)| (block, state)).collect();
        let counted = self.counting.map(|counting| counting.finish(stream)).transpose()?;
        let (bins, gathered) = counted.unwrap_or_default();
        Ok(match self.pass {
            Pass::Moments => Share::Moments(blocks),
            Pass::Survey(_) => Share::Survey(SurveyShare { blocks, sampler }),
            Pass::First(pass) => {
                let counters = self.hashing.map(|hashing| hashing.finish(stream)).transpose()?;
                let hashed = HashCounters::of_device(&pass.frequent, &counters.unwrap_or_default());
                Share::First(FirstShare {
                    moments: pass.moments,
                    blocks,
                    bracketed: taken(pass.brackets.begin(), &bins, gathered),
                    hashed,
                })
            }
            Pass::Missed(brackets) => Share::Missed(taken(brackets.begin(), &bins, gathered)),
            Pass::Only(_) => return Err(NOT_HELD),
            Pass::Second(pass) => {
                let mut counts = pass.counts.clone();
                counts.add_bins(&bins);
                let tallied = self.tallying.map(|tallying| tallying.finish(&self.gpu, stream)).transpose()?;
                Share::Second(SecondShare::of_device(counts, tallied.unwrap_or_default()))
            }
        })
    }
}

fn taken(mut bracketed: Bracketed, bins: &[u64], gathered: Vec<f64>) -> Bracketed {
    bracketed.take(bins, gathered);
    bracketed
}

/// Counters for values between thresholds, and what is gathered of them.
struct Counting {
    thresholds: DeviceBuffer<f64>,
    gathers: Option<DeviceBuffer<u8>>,
    bins: DeviceBuffer<u64>,
    copies: usize,
    gathered: Vec<f64>,
}

/// `Counting` of cuda/count.cuh.
#[derive(Clone, Copy)]
#[repr(C)]
struct CountingWords {
    thresholds: Pointer,
    gathers: Pointer,
    bins: Pointer,
    gathered: Pointer,
    gathered_count: Pointer,
    capacity: u64,
    thresholds_count: u32,
    copies: u32,
}

impl Counting {
    fn new(
        stream: &Arc<Stream>,
        thresholds: &[f64],
        toggles: Option<&Toggles>,
    ) -> Result<Counting, GpuError> {
        let bins = thresholds.len() + 1;
        let fits = |copies: &usize| shared_bytes(thresholds.len(), *copies) <= SHARED_BYTES;
        let copies = (0..=COPIES.ilog2()).rev().map(|power| 1 << power).find(fits);
        let gathers = toggles.map(|toggles| bins_to_gather(thresholds, toggles)).transpose()?;
        Ok(Counting {
            thresholds: DeviceBuffer::of(stream, thresholds)?,
            gathers: gathers.map(|gathers| DeviceBuffer::of(stream, &gathers)).transpose()?,
            bins: DeviceBuffer::filled(stream, bins, 0)?,
            copies: copies.ok_or(GpuError::Wrong("more thresholds than a thread block has memory for"))?,
            gathered: Vec::new(),
        })
    }

    fn words(
        &self,
        bins: &DeviceBuffer<u64>,
        room: Option<(&DeviceBuffer<f64>, &DeviceBuffer<u64>)>,
    ) -> CountingWords {
        CountingWords {
            thresholds: self.thresholds.pointer(),
            gathers: self.gathers.as_ref().map_or(0, DeviceBuffer::pointer),
            bins: bins.pointer(),
            gathered: room.map_or(0, |(gathered, _)| gathered.pointer()),
            gathered_count: room.map_or(0, |(_, count)| count.pointer()),
            capacity: room.map_or(0, |(gathered, _)| gathered.len() as u64),
            thresholds_count: self.thresholds.len() as u32,
            copies: self.copies as u32,
        }
    }

    fn shared(&self) -> u32 {
        shared_bytes(self.thresholds.len(), self.copies) as u32
    }

    fn launch(&self, gpu: &Gpu, stream: &Arc<Stream>, rows: Rows<'_>) -> Result<Option<Gathered>, GpuError> {
        if self.gathers.is_none() {
            self.start(gpu, stream, rows, self.words(&self.bins, None))?;
            return Ok(None);
        }
        let capacity = row_count(rows) / GATHERED_SHARE + 1024;
        Ok(Some(self.gather(gpu, stream, rows, capacity, &self.bins)?))
    }

    fn gather(
        &self,
        gpu: &Gpu,
        stream: &Arc<Stream>,
        rows: Rows<'_>,
        capacity: u64,
        bins: &DeviceBuffer<u64>,
    ) -> Result<Gathered, GpuError> {
        let gathered = DeviceBuffer::new(stream, capacity as usize)?;
        let count = DeviceBuffer::filled(stream, 1, 0)?;
        self.start(gpu, stream, rows, self.words(bins, Some((&gathered, &count))))?;
        Ok((gathered, count))
    }

    fn start(
        &self,
        gpu: &Gpu,
        stream: &Arc<Stream>,
        rows: Rows<'_>,
        words: CountingWords,
    ) -> Result<(), GpuError> {
        let kernel = match self.gathers {
            Some(_) => gpu.kernels.count_and_gather,
            None => gpu.kernels.count_below,
        };
        let slots = rows.placed.len() as u32;
        let arguments =
            [Argument::of(rows.values), Argument::of(rows.slots), Argument::of(slots), Argument::of(words)];
        // SAFETY: the arguments of both kernels; the buffers stay until what is left is collected.
        unsafe { stream.launch(kernel, gpu.blocks(parts(rows)), self.shared(), &arguments) }
    }

    fn collect(
        &mut self,
        gpu: &Gpu,
        gathered: DeviceBuffer<f64>,
        count: DeviceBuffer<u64>,
        stream: &Arc<Stream>,
        rows: Rows<'_>,
    ) -> Result<(), GpuError> {
        let found = one(count.download(stream, 1)?);
        if found <= gathered.len() as u64 {
            self.gathered.extend(gathered.download(stream, found as usize)?);
            return Ok(());
        }
        // Counted a second time into counters that nobody reads.
        let aside = DeviceBuffer::filled(stream, self.bins.len(), 0)?;
        let (gathered, count) = self.gather(gpu, stream, rows, found, &aside)?;
        if one(count.download(stream, 1)?) != found {
            return Err(GpuError::Wrong("values that change while they are gathered"));
        }
        self.gathered.extend(gathered.download(stream, found as usize)?);
        Ok(())
    }

    fn finish(self, stream: &Arc<Stream>) -> Result<(Vec<u64>, Vec<f64>), GpuError> {
        Ok((self.bins.download(stream, self.bins.len())?, self.gathered))
    }
}

fn shared_bytes(thresholds: usize, copies: usize) -> usize {
    size_of::<f64>() * thresholds + (size_of::<u32>() * copies + 1) * (thresholds + 1)
}

/// Which bins between thresholds are gathered: both ends of every interval are thresholds.
fn bins_to_gather(thresholds: &[f64], toggles: &Toggles) -> Result<Vec<u8>, GpuError> {
    let mut gathers = vec![0; thresholds.len() + 1];
    for (from, to) in toggles.intervals() {
        let place = |end: f64| thresholds.iter().position(|t| *t == end);
        let (Some(from), Some(to)) = (place(*from), place(*to)) else {
            return Err(GpuError::Wrong("an interval whose ends are no thresholds"));
        };
        gathers[from + 1..=to].fill(1);
    }
    Ok(gathers)
}

fn row_count(rows: Rows<'_>) -> u64 {
    rows.placed.iter().map(|placed| placed.slot.rows).sum()
}

/// Pieces of work that blocks are cut into, as in cuda/words.cuh.
fn parts(rows: Rows<'_>) -> u64 {
    8 * rows.placed.len() as u64
}

fn one(words: Vec<u64>) -> u64 {
    words.first().copied().unwrap_or_default()
}

/// Counters of frequent values and of hash buckets.
struct Hashing {
    places: DeviceBuffer<u64>,
    counters: DeviceBuffer<u64>,
}

impl Hashing {
    fn new(stream: &Arc<Stream>, frequent: &Frequent) -> Result<Hashing, GpuError> {
        let places = frequent.places();
        let counters = places.len() + crate::cpu::hash::BUCKETS;
        Ok(Hashing {
            places: DeviceBuffer::of(stream, places)?,
            counters: DeviceBuffer::filled(stream, counters, 0)?,
        })
    }

    fn launch(&self, gpu: &Gpu, stream: &Arc<Stream>, rows: Rows<'_>) -> Result<(), GpuError> {
        let slots = rows.placed.len() as u32;
        let arguments = [
            Argument::of(rows.values),
            Argument::of(rows.slots),
            Argument::of(slots),
            Argument::of(self.places.pointer()),
            Argument::of(self.counters.pointer()),
        ];
        // SAFETY: the arguments of the kernel; the buffers stay until the pass is finished.
        unsafe { stream.launch(gpu.kernels.hash_rows, gpu.blocks(parts(rows)), 0, &arguments) }
    }

    fn finish(self, stream: &Arc<Stream>) -> Result<Vec<u64>, GpuError> {
        self.counters.download(stream, self.counters.len())
    }
}

/// A table of how often each value of some buckets occurs.
struct Tallying {
    places: DeviceBuffer<u64>,
    marks: DeviceBuffer<u8>,
    keys: DeviceBuffer<u64>,
    counts: DeviceBuffer<u64>,
    lost: DeviceBuffer<u64>,
}

/// `Table` of cuda/hash.cuh.
#[derive(Clone, Copy)]
#[repr(C)]
struct TableWords {
    keys: Pointer,
    counts: Pointer,
    mask: u64,
    lost: Pointer,
}

impl Tallying {
    fn new(stream: &Arc<Stream>, partition: &Partition) -> Result<Tallying, GpuError> {
        let slots = (2 * partition.round.values()).next_power_of_two().max(1 << 10);
        Ok(Tallying {
            places: DeviceBuffer::of(stream, partition.counted.places())?,
            marks: DeviceBuffer::of(stream, &partition.round.marks())?,
            keys: DeviceBuffer::filled(stream, slots, u8::MAX)?,
            counts: DeviceBuffer::filled(stream, slots, 0)?,
            lost: DeviceBuffer::filled(stream, 1, 0)?,
        })
    }

    fn table(&self) -> TableWords {
        TableWords {
            keys: self.keys.pointer(),
            counts: self.counts.pointer(),
            mask: self.keys.len() as u64 - 1,
            lost: self.lost.pointer(),
        }
    }

    fn launch(&self, gpu: &Gpu, stream: &Arc<Stream>, rows: Rows<'_>) -> Result<(), GpuError> {
        let (slots, table) = (rows.placed.len() as u32, self.table());
        let arguments = [
            Argument::of(rows.values),
            Argument::of(rows.slots),
            Argument::of(slots),
            Argument::of(self.places.pointer()),
            Argument::of(self.marks.pointer()),
            Argument::of(table),
        ];
        // SAFETY: the arguments of the kernel; the buffers stay until the pass is finished.
        unsafe { stream.launch(gpu.kernels.tally_rows, gpu.blocks(parts(rows)), 0, &arguments) }
    }

    fn finish(self, gpu: &Gpu, stream: &Arc<Stream>) -> Result<ValueCounts, GpuError> {
        let table = self.table();
        // Different values, the highest count, and the smallest key that has it.
        let found = DeviceBuffer::of(stream, &[0, 0, u64::MAX])?;
        let blocks = gpu.blocks((table.mask + 1) / 256);
        for kernel in [gpu.kernels.tally_most, gpu.kernels.tally_mode] {
            let arguments = [Argument::of(table), Argument::of(found.pointer())];
            // SAFETY: the arguments of both kernels; what they found is waited for below.
            unsafe { stream.launch(kernel, blocks, 0, &arguments)? };
        }
        let words = found.download(stream, 3)?;
        if one(self.lost.download(stream, 1)?) > 0 {
            return Err(GpuError::Wrong("more values than the first pass counted"));
        }
        let &[distinct, most, key] = words.as_slice() else {
            return Err(GpuError::Wrong("too few words"));
        };
        Ok(ValueCounts { distinct, mode: (distinct > 0).then(|| (value_of(key), most)) })
    }
}

/// Normalises blocks into `out`, at the same places, and counts values below thresholds on the way.
pub(super) fn count_and_normalize(
    gpu: &Arc<Gpu>,
    stream: &Arc<Stream>,
    rows: Rows<'_>,
    steps: Steps,
    thresholds: Vec<f64>,
    out: Pointer,
) -> Result<CountsBelow, GpuError> {
    let mut counts = CountsBelow::new(thresholds);
    let counting = Counting::new(stream, counts.thresholds(), None)?;
    let (slots, words) = (rows.placed.len() as u32, counting.words(&counting.bins, None));
    let arguments = [
        Argument::of(rows.values),
        Argument::of(rows.slots),
        Argument::of(slots),
        Argument::of(words),
        Argument::of(steps),
        Argument::of(out),
    ];
    let (kernel, blocks) = (gpu.kernels.count_and_normalize, gpu.blocks(parts(rows)));
    if slots > 0 {
        // SAFETY: the arguments of the kernel; what it counts is waited for below.
        unsafe { stream.launch(kernel, blocks, counting.shared(), &arguments)? };
    }
    counts.add_bins(&counting.finish(stream)?.0);
    Ok(counts)
}
