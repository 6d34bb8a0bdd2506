//! Columns on a card: surveyed as they are fed to it, kept there where they fit, and gone over again from there or from
//! their source.

use std::collections::VecDeque;
use std::sync::Arc;

use rayon::prelude::*;

use super::device::{Argument, DeviceBuffer, Slot, Stream};
use super::feed::{Batch, Fed, Feed};
use super::gpu::Gpu;
use super::passes::{Placed, Rows, Running};
use super::{DeviceError, GpuError};
use crate::cpu::normalize::Survey;
use crate::cpu::passes::{Pass, Passes, Share};
use crate::cpu::scan::BlockScan;
use crate::moments::{Moments, merge_blocks};
use crate::sample::{Sample, Sampler};

/// Columns that lie on a card, or part of them.
pub struct Resident {
    pub(super) gpu: Arc<Gpu>,
    pub(super) batches: Vec<Batch>,
    whole: bool,
}

/// One column of several, for passes on a card.
pub struct GpuColumn<'r, C> {
    resident: &'r Resident,
    source: &'r C,
    column: u32,
}

/// Looks over all columns at once, blocks of different columns in one batch, and keeps them on the card where they fit.
///
/// # Errors
/// Whatever stops a column from being read, or the card.
pub fn survey_columns<C: BlockScan>(
    gpu: &Arc<Gpu>,
    columns: &[C],
) -> Result<(Vec<Survey>, Resident), DeviceError<C::Error>> {
    let rows: u64 = columns.iter().map(BlockScan::rows).sum();
    let keep = (gpu.free_bytes()? as f64 * gpu.options.resident_share) as u64;
    let feed = Feed::begin(gpu, &Pass::Moments, rows, Some(keep))?;
    let sampled = columns.par_iter().enumerate().map(|(number, column)| {
        let number = number as u32;
        let begin = || Sampler::new(column.rows());
        let samplers = column.scan(begin, |sampler, block, values| {
            sampler.add(block, values);
            feed.push(number, block, values);
        })?;
        Ok((number, merged(column.rows(), samplers)))
    });
    let sampled: Result<Vec<(u32, Sample)>, C::Error> = sampled.collect();
    // The feed is finished in any case: what flies still reads its buffers.
    let fed = feed.finish();
    let mut sampled = sampled.map_err(DeviceError::Source)?;
    let Fed { running, mut kept, whole, .. } = fed?;
    kept.iter_mut()
        .for_each(|batch| batch.placed.sort_unstable_by_key(|placed| (placed.column, placed.block)));
    sampled.sort_unstable_by_key(|(number, _)| *number);
    let moments = by_column(columns.len(), running.into_states());
    let surveys = sampled
        .into_iter()
        .zip(moments)
        .map(|((_, sample), moments)| Survey { moments: moments.summary(), sample });
    Ok((
        surveys.collect(),
        Resident { gpu: gpu.clone(), batches: if whole { kept } else { Vec::new() }, whole },
    ))
}

fn merged(rows: u64, samplers: Vec<Sampler>) -> Sample {
    let mut all = Sampler::new(rows);
    samplers.into_iter().for_each(|sampler| all.merge(sampler));
    all.finish()
}

/// The moments of each column, from those of its blocks.
fn by_column(columns: usize, states: Vec<(u32, u64, Moments)>) -> Vec<Moments> {
    let mut blocks: Vec<Vec<(u64, Moments)>> = vec![Vec::new(); columns];
    for (column, block, state) in states {
        blocks[column as usize].push((block, state));
    }
    blocks.into_iter().map(merge_blocks).collect()
}

impl Resident {
    /// Whether every column is on the card.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    /// One of the columns that were surveyed, by its place among them, with its source.
    pub fn column<'r, C: BlockScan>(&'r self, column: usize, source: &'r C) -> GpuColumn<'r, C> {
        GpuColumn { resident: self, source, column: column as u32 }
    }

    /// The blocks of a column in each batch that has some.
    pub(super) fn blocks(&self, column: u32) -> impl Iterator<Item = (&Batch, Vec<Placed>)> {
        self.batches.iter().filter_map(move |batch| {
            let from = batch.placed.partition_point(|placed| placed.column < column);
            let to = batch.placed.partition_point(|placed| placed.column <= column);
            (from < to).then(|| (batch, batch.placed[from..to].to_vec()))
        })
    }
}

/// Blocks of a column in a batch, with their slots on the card.
pub(super) struct Uploaded<'b> {
    batch: &'b Batch,
    placed: Vec<Placed>,
    slots: DeviceBuffer<Slot>,
}

impl<'b> Uploaded<'b> {
    pub fn new(
        stream: &Arc<Stream>,
        batch: &'b Batch,
        placed: Vec<Placed>,
    ) -> Result<Uploaded<'b>, GpuError> {
        let slots: Vec<Slot> = placed.iter().map(|placed| placed.slot).collect();
        Ok(Uploaded { batch, slots: DeviceBuffer::of(stream, &slots)?, placed })
    }

    pub fn rows(&self) -> Rows<'_> {
        Rows { values: self.batch.values.pointer(), slots: self.slots.pointer(), placed: &self.placed }
    }
}

impl<C: BlockScan> GpuColumn<'_, C> {
    /// Goes over the column where it lies on the card.
    fn over_resident(&self, pass: &Pass) -> Result<Share, GpuError> {
        let gpu = &self.resident.gpu;
        let (stream, fetching) = (gpu.stream()?, gpu.stream()?);
        let mut running = Running::begin(gpu, pass, &stream)?;
        let mut sampler = Sampler::new(self.source.rows());
        let mut flying = VecDeque::new();
        for (batch, placed) in self.resident.blocks(self.column) {
            let uploaded = Uploaded::new(&stream, batch, placed)?;
            if matches!(pass, Pass::Survey(_)) {
                sample(gpu, &stream, &uploaded, &mut sampler)?;
            }
            let left = running.launch(&stream, uploaded.rows())?;
            flying.push_back((uploaded, left, stream.mark()?));
            if flying.len() > 2
                && let Some((uploaded, left, done)) = flying.pop_front()
            {
                fetching.wait_for(&done)?;
                running.collect(left, &fetching, uploaded.rows())?;
            }
        }
        for (uploaded, left, done) in flying {
            fetching.wait_for(&done)?;
            running.collect(left, &fetching, uploaded.rows())?;
        }
        stream.synchronize()?;
        running.finish(&stream, sampler)
    }

    /// Feeds the column to the card once more.
    fn over_source(&self, pass: &Pass) -> Result<Share, DeviceError<C::Error>> {
        let rows = self.source.rows();
        let feed = Feed::begin(&self.resident.gpu, pass, rows, None)?;
        let surveys = matches!(pass, Pass::Survey(_));
        let scanned = self.source.scan(
            || Sampler::new(rows),
            |sampler, block, values| {
                if surveys {
                    sampler.add(block, values);
                }
                feed.push(0, block, values);
            },
        );
        let fed = feed.finish();
        let mut sampler = Sampler::new(rows);
        scanned.map_err(DeviceError::Source)?.into_iter().for_each(|more| sampler.merge(more));
        let Fed { running, stream, .. } = fed?;
        Ok(running.finish(&stream, sampler)?)
    }
}

/// Picks the values of some blocks that a sample is made of.
fn sample(
    gpu: &Gpu,
    stream: &Arc<Stream>,
    uploaded: &Uploaded<'_>,
    sampler: &mut Sampler,
) -> Result<(), GpuError> {
    let places: Vec<u64> = uploaded
        .placed
        .iter()
        .flat_map(|placed| {
            let first = placed.slot.first;
            sampler.places(placed.block, placed.slot.rows).map(move |place| first + place)
        })
        .collect();
    if places.is_empty() {
        return Ok(());
    }
    let count = places.len() as u64;
    let (places, picked) = (DeviceBuffer::of(stream, &places)?, DeviceBuffer::new(stream, places.len())?);
    let values = uploaded.batch.values.pointer();
    let arguments = [values, places.pointer(), count, picked.pointer()].map(Argument::of);
    // SAFETY: the arguments of the kernel; the places lie within the batch, and what is picked is waited for.
    unsafe { stream.launch(gpu.kernels.pick_rows, gpu.blocks(count / 256), 0, &arguments)? };
    sampler.take(picked.download(stream, places.len())?.into_iter());
    Ok(())
}

impl<C: BlockScan> Passes for GpuColumn<'_, C> {
    type Error = DeviceError<C::Error>;

    fn rows(&self) -> u64 {
        self.source.rows()
    }

    fn go_over(&self, pass: &Pass) -> Result<Vec<Share>, Self::Error> {
        let share = if self.resident.whole { self.over_resident(pass)? } else { self.over_source(pass)? };
        Ok(vec![share])
    }

    fn rows_to_hold(&self) -> Option<u64> {
        None
    }
}
