//! `moments(block, x)`: compensated moments of each block, merged by number, as a DataFusion aggregate.
//!
//! DataFusion's own variance, skewness and sum are not compensated, and their last bits depend on the
//! number of partitions.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, UInt64Type};
use caudal_kernels::{Moments, merge_blocks};
use datafusion::common::{ScalarValue, exec_datafusion_err, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

#[derive(Debug, PartialEq, Eq, Hash)]
struct MomentsOf {
    signature: Signature,
}

/// The aggregate; its value is a state for [`read`].
pub(super) fn moments_udaf() -> AggregateUDF {
    let arguments = vec![DataType::UInt64, DataType::Float64];
    AggregateUDF::from(MomentsOf { signature: Signature::exact(arguments, Volatility::Immutable) })
}

/// The moments that the aggregate gave.
pub(super) fn read(state: &[u8]) -> Result<Moments> {
    let words: Vec<u64> = words(state).collect();
    Moments::from_words(&words).ok_or_else(damaged)
}

impl AggregateUDFImpl for MomentsOf {
    fn name(&self) -> &str {
        "moments"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Blocks::default()))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        Ok(vec![Field::new(format!("{}[blocks]", args.name), DataType::Binary, true).into()])
    }
}

/// The blocks seen, by number.
#[derive(Debug, Default)]
struct Blocks(BTreeMap<u64, Moments>);

/// Words of one block in a state: its number and its moments.
const WORDS: usize = 1 + Moments::WORDS;

impl Blocks {
    fn insert(&mut self, block: u64, moments: Moments) -> Result<()> {
        match self.0.insert(block, moments) {
            None => Ok(()),
            // A part of a block has other bits than the block: better no answer than another one.
            Some(_) => exec_err!("block {block} was handed over in pieces"),
        }
    }
}

impl Accumulator for Blocks {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        let [blocks, values] = arguments else { return exec_err!("moments takes a block and a value") };
        let (blocks, values) = (blocks.as_primitive::<UInt64Type>(), values.as_primitive::<Float64Type>());
        let Some(&block) = blocks.values().first() else { return Ok(()) };
        if blocks.values().last() != Some(&block) {
            return exec_err!("a batch holds more than block {block}");
        }
        self.insert(block, moments(values))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let merged = merge_blocks(std::mem::take(&mut self.0).into_iter().collect());
        Ok(ScalarValue::Binary(Some(bytes(merged.to_words()).collect())))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.len() * WORDS * size_of::<u64>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let blocks = std::mem::take(&mut self.0);
        let words = blocks.into_iter().flat_map(|(block, m)| std::iter::once(block).chain(m.to_words()));
        Ok(vec![ScalarValue::Binary(Some(bytes(words).collect()))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for state in states.iter().flat_map(|array| array.as_binary::<i32>()).flatten() {
            let words: Vec<u64> = words(state).collect();
            for entry in words.chunks(WORDS) {
                let (block, moments) = entry.split_first().ok_or_else(damaged)?;
                self.insert(*block, Moments::from_words(moments).ok_or_else(damaged)?)?;
            }
        }
        Ok(())
    }
}

fn moments(values: &Float64Array) -> Moments {
    if values.null_count() == 0 {
        return Moments::of_block(values.values());
    }
    let values: Vec<f64> = values.iter().map(|x| x.unwrap_or(f64::NAN)).collect();
    Moments::of_block(&values)
}

fn bytes(words: impl IntoIterator<Item = u64>) -> impl Iterator<Item = u8> {
    words.into_iter().flat_map(u64::to_le_bytes)
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let (chunks, _) = bytes.as_chunks::<8>();
    chunks.iter().map(|chunk| u64::from_le_bytes(*chunk))
}

fn damaged() -> datafusion::error::DataFusionError {
    exec_datafusion_err!("a state of moments is damaged")
}
