//! Normalised rows from a card: of columns that lie there, and of rows that are brought for it.

use std::ops::Range;
use std::sync::{Arc, PoisonError};

use super::GpuError;
use super::column::{Resident, Uploaded};
use super::device::{Argument, DeviceBuffer, Kernel, Pinned, Plain, Stream};
use super::driver::Pointer;
use super::gpu::Gpu;
use super::passes::count_and_normalize;
use crate::BLOCK_ROWS;
use crate::cpu::below::CountsBelow;
use crate::cpu::normalize::apply_in_place;
use crate::normalization::{Parameters, Steps};

/// Fewer rows than this are normalised on the processor: bringing them takes longer, and the bits are the same.
const WORTH_BRINGING: usize = 4_096;

/// Rows that are brought or fetched at once.
const AT_ONCE: usize = 16 * BLOCK_ROWS;

/// Workspaces that are kept when nobody uses them.
const KEPT: usize = 16;

/// A hand for normalising: a stream, and room on both sides.
pub(super) struct Workspace {
    stream: Arc<Stream>,
    values: DeviceBuffer<f64>,
    staged: Pinned<f64>,
}

impl Workspace {
    /// One that is left from earlier work, or a new one, for so many rows or as many as are brought at once.
    fn take(gpu: &Gpu, rows: usize) -> Result<Workspace, GpuError> {
        let rows = rows.next_power_of_two().clamp(BLOCK_ROWS, AT_ONCE);
        let mut kept = gpu.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = kept.iter().position(|work| work.staged.len() >= rows) {
            return Ok(kept.swap_remove(at));
        }
        drop(kept);
        let stream = gpu.stream()?;
        let values = DeviceBuffer::new(&stream, rows)?;
        let staged = Pinned::new(&stream.device, rows)?;
        Ok(Workspace { stream, values, staged })
    }

    /// Keeps it for the next one, once nothing goes on in it.
    fn give_back(self, gpu: &Gpu) {
        let mut kept = gpu.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(self);
        }
    }

    /// Puts the normalisation of rows that lie on the card into the stream; the results go to the workspace.
    fn normalize(
        &self,
        gpu: &Gpu,
        steps: Steps,
        from: Pointer,
        rows: usize,
        to: usize,
    ) -> Result<(), GpuError> {
        let (rows, out) = (rows as u64, self.values.pointer() + 8 * to as u64);
        let arguments = [Argument::of(from), Argument::of(rows), Argument::of(steps), Argument::of(out)];
        // SAFETY: the arguments of the kernel; both places have as many rows, and the caller waits.
        unsafe { self.stream.launch(gpu.kernels.normalize_rows, gpu.blocks(rows / 256), 0, &arguments) }
    }

    /// Fetches the first rows of the workspace.
    fn fetch(&self, out: &mut [f64]) -> Result<(), GpuError> {
        // SAFETY: the staging buffer is this hand's own and is read after the wait.
        unsafe { self.values.copy_out(&self.stream, self.staged.pointer(), out.len())? };
        self.stream.synchronize()?;
        assert!(out.len() <= self.staged.len(), "what is fetched fits");
        // SAFETY: both have as many values, and nothing writes the staging buffer any more.
        unsafe { std::ptr::copy_nonoverlapping(self.staged.pointer(), out.as_mut_ptr(), out.len()) };
        Ok(())
    }
}

impl Gpu {
    /// Normalises rows in place: brought to the card and fetched again.
    ///
    /// # Errors
    /// Where the card fails; what `values` holds is then not defined.
    pub fn normalize(&self, parameters: &Parameters, values: &mut [f64]) -> Result<(), GpuError> {
        if values.len() < WORTH_BRINGING {
            apply_in_place(parameters, values);
            return Ok(());
        }
        let (steps, work) = (parameters.steps(), Workspace::take(self, values.len())?);
        for rows in values.chunks_mut(AT_ONCE.min(work.staged.len())) {
            // SAFETY: the staging buffer has as much room, and the copy from it is waited for by the fetch.
            unsafe {
                std::ptr::copy_nonoverlapping(rows.as_ptr(), work.staged.pointer(), rows.len());
                work.values.copy_in(&work.stream, work.staged.pointer(), rows.len())?;
            }
            work.normalize(self, steps, work.values.pointer(), rows.len(), 0)?;
            work.fetch(rows)?;
        }
        work.give_back(self);
        Ok(())
    }
}

impl Gpu {
    /// Widens a column of f32 on the card; `validity` are the bits of a bitmap as Arrow has them, and the first of them.
    ///
    /// # Errors
    /// Where the card fails, or the bitmap is too short.
    pub fn widen_f32(&self, values: &[f32], validity: Option<(&[u8], u64)>) -> Result<Vec<f64>, GpuError> {
        self.widen(self.kernels.widen_f32, values, validity)
    }

    /// A column of f64 with NaN for what is not valid; as [`widen_f32`](Self::widen_f32).
    ///
    /// # Errors
    /// As there.
    pub fn widen_f64(&self, values: &[f64], validity: Option<(&[u8], u64)>) -> Result<Vec<f64>, GpuError> {
        self.widen(self.kernels.widen_f64, values, validity)
    }

    fn widen<T: Plain>(
        &self,
        kernel: Kernel,
        values: &[T],
        validity: Option<(&[u8], u64)>,
    ) -> Result<Vec<f64>, GpuError> {
        let rows = values.len() as u64;
        let bits = validity.map_or(u64::MAX, |(bits, offset)| (8 * bits.len() as u64).saturating_sub(offset));
        if bits < rows {
            return Err(GpuError::Wrong("a validity bitmap that is shorter than its column"));
        }
        let stream = self.stream()?;
        let given = DeviceBuffer::of(&stream, values)?;
        let bitmap = validity.map(|(bits, _)| DeviceBuffer::of(&stream, bits)).transpose()?;
        let out = DeviceBuffer::new(&stream, values.len())?;
        let (bitmap_at, offset) =
            (bitmap.as_ref().map_or(0, |bitmap| bitmap.pointer()), validity.map_or(0, |(_, offset)| offset));
        let arguments = [given.pointer(), bitmap_at, offset, rows, out.pointer()].map(Argument::of);
        // SAFETY: the arguments of both kernels; what is widened is waited for.
        unsafe { stream.launch(kernel, self.blocks(rows / 256), 0, &arguments)? };
        out.download(&stream, values.len())
    }
}

/// A column that was normalised on the card and lies there, block by block as its values do.
pub struct NormalizedOnDevice {
    batches: Vec<DeviceBuffer<f64>>,
}

impl NormalizedOnDevice {
    /// Bytes of the card that it takes.
    pub fn bytes(&self) -> u64 {
        self.batches.iter().map(|batch| 8 * batch.len() as u64).sum()
    }
}

impl Resident {
    /// Some normalised rows of a column that lies on the card.
    ///
    /// # Errors
    /// Where the card fails, or has not all of the rows.
    pub fn normalize(
        &self,
        column: usize,
        parameters: &Parameters,
        rows: Range<u64>,
        out: &mut [f64],
    ) -> Result<(), GpuError> {
        let (steps, work) = (parameters.steps(), Workspace::take(&self.gpu, out.len())?);
        let mut blocks: Vec<(u64, Pointer, u64)> = Vec::new();
        for (batch, placed) in self.blocks(column as u32) {
            let address = |first: u64| batch.values.pointer() + 8 * first;
            blocks.extend(
                placed.iter().map(|p| (p.block * BLOCK_ROWS as u64, address(p.slot.first), p.slot.rows)),
            );
        }
        blocks.sort_unstable();
        let mut begin = rows.start;
        for out in out.chunks_mut(work.staged.len()) {
            let wanted = begin..begin + out.len() as u64;
            let mut found = 0;
            for (first, address, count) in &blocks {
                let (from, to) = (wanted.start.max(*first), wanted.end.min(first + count));
                if from < to {
                    let (rows, at) = ((to - from) as usize, (from - wanted.start) as usize);
                    work.normalize(&self.gpu, steps, address + 8 * (from - first), rows, at)?;
                    found += rows;
                }
            }
            if found != out.len() {
                work.stream.synchronize()?;
                return Err(GpuError::Wrong("a column without all of its rows"));
            }
            work.fetch(out)?;
            begin = wanted.end;
        }
        work.give_back(&self.gpu);
        Ok(())
    }

    /// Normalises a column that lies on the card into more of the card's memory, and counts on the way how many of its
    /// values lie below some thresholds.
    ///
    /// # Errors
    /// Where the card fails or has too little memory.
    pub fn normalize_counting(
        &self,
        column: usize,
        parameters: &Parameters,
        thresholds: Vec<f64>,
    ) -> Result<(NormalizedOnDevice, CountsBelow), GpuError> {
        let stream = self.gpu.stream()?;
        let mut counts = CountsBelow::new(thresholds.clone());
        let mut batches = Vec::new();
        for (batch, placed) in self.blocks(column as u32) {
            let out = DeviceBuffer::new(&stream, batch.values.len())?;
            let uploaded = Uploaded::new(&stream, batch, placed)?;
            let (rows, steps) = (uploaded.rows(), parameters.steps());
            let counted =
                count_and_normalize(&self.gpu, &stream, rows, steps, thresholds.clone(), out.pointer())?;
            counts.merge(&counted);
            batches.push(out);
        }
        Ok((NormalizedOnDevice { batches }, counts))
    }
}
