//! Visits every block of a source's columns on every core.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use caudal_core::ports::{CancelToken, ProgressSink, StageInput};
use caudal_core::{Error, Result};

use super::{BLOCK_ROWS, ColumnReader, Source};

/// Neighbouring blocks that one worker takes at once, at most: enough to make up for beginning in the middle of
/// a page.
const RUN_BLOCKS: u64 = 16;

/// Runs for each worker, at least, where there are blocks enough: so that all are busy to the end.
const RUNS: u64 = 4;

/// How a scan is watched, stopped and spread.
#[derive(Clone)]
pub struct ScanControl {
    pub cancel: CancelToken,
    pub progress: ProgressSink,
    /// The step's name in reports of progress.
    pub step: &'static str,
    /// Workers; 0 for all cores.
    pub threads: usize,
    /// Cells of the step that were done before this scan.
    pub done: u64,
    /// Cells of the step in all; 0 for those of this scan.
    pub total: u64,
}

impl ScanControl {
    pub fn new(input: &StageInput, step: &'static str) -> ScanControl {
        let (cancel, progress) = (input.cancel.clone(), input.progress.clone());
        ScanControl { cancel, progress, step, threads: 0, done: 0, total: 0 }
    }

    /// A scan that nobody watches and nobody stops.
    pub fn silent() -> ScanControl {
        let (cancel, progress) = (CancelToken::default(), ProgressSink::silent());
        ScanControl { cancel, progress, step: "reading", threads: 0, done: 0, total: 0 }
    }
}

/// Visits every block of the given columns once, on every core; which worker sees which block is not
/// defined. `visit` gets the worker's state, the position in `columns`, the block's number and its rows.
/// Returns each worker's state.
///
/// # Errors
/// `Cancelled`, those of [`ColumnReader::fill`] and those of `visit`. After an error no block is begun.
pub fn scan<S: Send>(
    source: &Source,
    columns: &[usize],
    control: &ScanControl,
    init: impl Fn() -> S + Sync,
    visit: impl Fn(&mut S, usize, u64, &[f64]) -> Result<()> + Sync,
) -> Result<Vec<S>> {
    let threads = if control.threads == 0 { rayon::current_num_threads() } else { control.threads };
    let work = Work::new(source, columns, control, threads, &visit);
    let workers = threads.min(work.units());
    let states = Mutex::new(Vec::with_capacity(workers));
    let worker = || {
        let mut state = init();
        work.run(&mut state);
        states.lock().unwrap_or_else(PoisonError::into_inner).push(state);
    };
    match workers {
        0 | 1 => worker(),
        _ => rayon::scope(|scope| (0..workers).for_each(|_| scope.spawn(|_| worker()))),
    }
    work.finish()?;
    Ok(states.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// What all workers of a scan share.
struct Work<'s, V> {
    source: &'s Source,
    columns: &'s [usize],
    control: &'s ScanControl,
    visit: &'s V,
    /// Blocks of a unit, and units of each column.
    run_blocks: u64,
    runs: usize,
    next_unit: AtomicUsize,
    cells_done: AtomicU64,
    inexact_integers: Vec<AtomicU64>,
    failed: AtomicBool,
    error: Mutex<Option<Error>>,
}

/// What one worker keeps from unit to unit.
#[derive(Default)]
struct Hands {
    buffer: Vec<f64>,
    /// The position in the columns that are scanned, and the reader of that column.
    reader: Option<(usize, ColumnReader)>,
}

impl<'s, V> Work<'s, V> {
    fn new(
        source: &'s Source,
        columns: &'s [usize],
        control: &'s ScanControl,
        threads: usize,
        visit: &'s V,
    ) -> Self {
        let all = source.blocks().saturating_mul(columns.len() as u64);
        let run_blocks = (all / (RUNS * threads.max(1) as u64)).clamp(1, RUN_BLOCKS);
        Work {
            source,
            columns,
            control,
            visit,
            run_blocks,
            runs: usize::try_from(source.blocks().div_ceil(run_blocks)).unwrap_or(usize::MAX),
            next_unit: AtomicUsize::new(0),
            cells_done: AtomicU64::new(0),
            inexact_integers: columns.iter().map(|_| AtomicU64::new(0)).collect(),
            failed: AtomicBool::new(false),
            error: Mutex::new(None),
        }
    }

    fn units(&self) -> usize {
        self.runs.saturating_mul(self.columns.len())
    }

    fn run<S>(&self, state: &mut S)
    where
        V: Fn(&mut S, usize, u64, &[f64]) -> Result<()>,
    {
        let mut hands = Hands::default();
        while !self.failed.load(Ordering::Relaxed) {
            let unit = self.next_unit.fetch_add(1, Ordering::Relaxed);
            if unit >= self.units() {
                return;
            }
            if let Err(error) = self.unit(unit / self.runs, unit % self.runs, &mut hands, state) {
                self.failed.store(true, Ordering::Relaxed);
                self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    }

    fn unit<S>(&self, position: usize, run: usize, hands: &mut Hands, state: &mut S) -> Result<()>
    where
        V: Fn(&mut S, usize, u64, &[f64]) -> Result<()>,
    {
        let first = run as u64 * self.run_blocks;
        for block in first..(first + self.run_blocks).min(self.source.blocks()) {
            self.control.cancel.check()?;
            if self.failed.load(Ordering::Relaxed) {
                return Ok(());
            }
            let rows = self.source.block(block);
            let count = rows.end - rows.start;
            let column = self.columns[position];
            if let Some(values) = self.source.slice(column, rows.clone()) {
                (self.visit)(state, position, block, values)?;
            } else if let Some(values) = self.keep(position, block, hands) {
                (self.visit)(state, position, block, values?)?;
            } else {
                (self.visit)(state, position, block, self.read(position, rows, hands)?)?;
            }
            self.report(count);
        }
        Ok(())
    }

    /// Decodes a block to where it is kept, unless somebody else does.
    fn keep(&self, position: usize, block: u64, hands: &mut Hands) -> Option<Result<&'s [f64]>> {
        let kept = self.source.kept(self.columns[position])?;
        kept.fill(block as usize, |out| self.decode(position, self.source.block(block).start, hands, out))
    }

    fn read<'h>(&self, position: usize, rows: Range<u64>, hands: &'h mut Hands) -> Result<&'h [f64]> {
        let mut buffer = std::mem::take(&mut hands.buffer);
        buffer.resize(BLOCK_ROWS as usize, 0.0);
        let count = (rows.end - rows.start) as usize;
        self.decode(position, rows.start, hands, buffer.get_mut(..count).unwrap_or_default())?;
        hands.buffer = buffer;
        Ok(hands.buffer.get(..count).unwrap_or_default())
    }

    fn decode(&self, position: usize, first: u64, hands: &mut Hands, out: &mut [f64]) -> Result<()> {
        let Hands { reader, .. } = hands;
        // Going forward in an open reader is cheaper than beginning again.
        let reader = match reader {
            Some((of, open)) if *of == position && open.position() <= first => open,
            _ => {
                let column = self.columns[position];
                &mut reader.insert((position, self.source.reader(column, first..u64::MAX)?)).1
            }
        };
        let before = reader.inexact_integers();
        reader.skip_to(first)?;
        reader.fill(out)?;
        self.inexact_integers[position].fetch_add(reader.inexact_integers() - before, Ordering::Relaxed);
        Ok(())
    }

    fn report(&self, cells: u64) {
        let done = self.cells_done.fetch_add(cells, Ordering::Relaxed) + cells;
        let ScanControl { total, .. } = *self.control;
        let total = if total == 0 { self.source.rows() * self.columns.len() as u64 } else { total };
        self.control.progress.report(self.control.step, self.control.done + done, total);
    }

    fn finish(self) -> Result<()> {
        if let Some(error) = self.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        for (column, count) in self.columns.iter().zip(self.inexact_integers) {
            self.source.set_inexact_integers(*column, count.into_inner());
        }
        Ok(())
    }
}
