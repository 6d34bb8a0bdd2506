//! `pass(block, x)`: one pass of our kernels over a column, as a DataFusion aggregate.
//!
//! DataFusion's own variance, skewness and sum are not compensated and depend on the number of partitions in their last
//! bits; its percentiles sort or approximate, and its distinct counts hash whole columns. The shares that its workers
//! fill stay in this process: what travels through the plan are their tickets.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray, UInt64Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, UInt64Type};
use caudal_kernels::{Pass, Share};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

/// Where filled shares wait for whoever asked for the pass.
#[derive(Default)]
pub(super) struct Shelf {
    shares: Mutex<HashMap<u64, Share>>,
    next: AtomicU64,
}

impl Shelf {
    fn put(&self, share: Share) -> u64 {
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        self.shares.lock().unwrap_or_else(PoisonError::into_inner).insert(ticket, share);
        ticket
    }

    /// The shares of an aggregate's value.
    pub fn take(&self, tickets: &ArrayRef) -> Vec<Share> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let tickets = tickets.as_list::<i32>().value(0);
        tickets.as_primitive::<UInt64Type>().values().iter().filter_map(|t| shares.remove(t)).collect()
    }
}

/// The aggregate of one pass over one column; its value is a list of tickets for [`Shelf::take`].
pub(super) fn pass_udaf(pass: &Pass, shelf: &Arc<Shelf>) -> AggregateUDF {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let arguments = vec![DataType::UInt64, DataType::Float64];
    AggregateUDF::from(PassOver {
        signature: Signature::exact(arguments, Volatility::Immutable),
        number: NUMBER.fetch_add(1, Ordering::Relaxed),
        pass: pass.clone(),
        shelf: shelf.clone(),
    })
}

struct PassOver {
    signature: Signature,
    /// Two passes are never the same one.
    number: u64,
    pass: Pass,
    shelf: Arc<Shelf>,
}

impl std::fmt::Debug for PassOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PassOver {}", self.number)
    }
}

impl PartialEq for PassOver {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for PassOver {}

impl Hash for PassOver {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

fn tickets_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::UInt64, true)))
}

impl AggregateUDFImpl for PassOver {
    fn name(&self) -> &str {
        "pass"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(tickets_type())
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Worker {
            pass: self.pass.clone(),
            share: None,
            last_block: None,
            shelf: self.shelf.clone(),
            tickets: Vec::new(),
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Field::new(format!("{}[tickets]", args.name), tickets_type(), true).into()])
    }
}

/// One worker, with its share once it has seen a block, and the tickets of others.
struct Worker {
    pass: Pass,
    share: Option<Share>,
    last_block: Option<u64>,
    shelf: Arc<Shelf>,
    tickets: Vec<u64>,
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Worker {{ tickets: {:?} }}", self.tickets)
    }
}

impl Worker {
    fn all_tickets(&mut self) -> Result<ScalarValue> {
        let mine = self.share.take().map(|share| self.shelf.put(share));
        let tickets: UInt64Array = std::mem::take(&mut self.tickets).into_iter().chain(mine).collect();
        let offsets = OffsetBuffer::from_lengths([tickets.len()]);
        let field = Arc::new(Field::new_list_field(DataType::UInt64, true));
        Ok(ScalarValue::List(Arc::new(ListArray::try_new(field, offsets, Arc::new(tickets), None)?)))
    }
}

impl Accumulator for Worker {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        let [blocks, values] = arguments else { return exec_err!("pass takes a block and a value") };
        let (blocks, values) = (blocks.as_primitive::<UInt64Type>(), values.as_primitive::<Float64Type>());
        let Some(&block) = blocks.values().first() else { return Ok(()) };
        // A part of a block has other bits than the block: better no answer than another one.
        if blocks.values().last() != Some(&block) {
            return exec_err!("a batch holds more than block {block}");
        }
        if self.last_block.replace(block) == Some(block) {
            return exec_err!("block {block} was handed over in pieces");
        }
        let share = self.share.get_or_insert_with(|| self.pass.begin());
        match values.null_count() {
            0 => share.add(block, values.values()),
            _ => share.add(block, &with_nan(values)),
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.all_tickets()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.share.as_ref().map_or(0, Share::bytes)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.all_tickets()?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for tickets in states.iter().flat_map(|array| array.as_list::<i32>().iter()).flatten() {
            self.tickets.extend_from_slice(tickets.as_primitive::<UInt64Type>().values());
        }
        Ok(())
    }
}

fn with_nan(values: &Float64Array) -> Vec<f64> {
    values.iter().map(|x| x.unwrap_or(f64::NAN)).collect()
}
