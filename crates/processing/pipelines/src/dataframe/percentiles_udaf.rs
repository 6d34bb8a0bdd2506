//! `percentiles(x)`: the exact percentiles of the contract, as a DataFusion aggregate.
//!
//! DataFusion's own `percentile_cont` interpolates by another formula, whose last bits differ.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, LargeListArray, ListArray, UInt64Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, UInt64Type};
use caudal_kernels::{PERCENTILES, Sorted, key_of};
use datafusion::common::{ScalarValue, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

#[derive(Debug, PartialEq, Eq, Hash)]
struct PercentilesOf {
    signature: Signature,
}

/// The aggregate; its value is the list of percentiles in the order of [`PERCENTILES`], for finite values.
pub(super) fn percentiles_udaf() -> AggregateUDF {
    let signature = Signature::exact(vec![DataType::Float64], Volatility::Immutable);
    AggregateUDF::from(PercentilesOf { signature })
}

impl AggregateUDFImpl for PercentilesOf {
    fn name(&self) -> &str {
        "percentiles"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(item(DataType::Float64)))
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Keys::default()))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let keys = DataType::LargeList(item(DataType::UInt64));
        Ok(vec![Field::new(format!("{}[keys]", args.name), keys, true).into()])
    }
}

fn item(data_type: DataType) -> FieldRef {
    Arc::new(Field::new_list_field(data_type, true))
}

/// The values seen, as keys that order as they do.
#[derive(Debug, Default)]
struct Keys(Vec<u64>);

impl Accumulator for Keys {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        let [values] = arguments else { return exec_err!("percentiles takes a value") };
        let values = values.as_primitive::<Float64Type>();
        if values.null_count() == 0 {
            self.0.extend(values.values().iter().filter(|x| x.is_finite()).map(|x| key_of(*x)));
        } else {
            self.0.extend(values.iter().flatten().filter(|x| x.is_finite()).map(key_of));
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sorted = Sorted::from_keys(std::mem::take(&mut self.0));
        let values: Float64Array = PERCENTILES.iter().map(|p| sorted.percentile(*p)).collect();
        let offsets = OffsetBuffer::from_lengths([values.len()]);
        let list = ListArray::try_new(item(DataType::Float64), offsets, Arc::new(values), None)?;
        Ok(ScalarValue::List(Arc::new(list)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.capacity() * size_of::<u64>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let keys = UInt64Array::from(std::mem::take(&mut self.0));
        let offsets = OffsetBuffer::from_lengths([keys.len()]);
        let list = LargeListArray::try_new(item(DataType::UInt64), offsets, Arc::new(keys), None)?;
        Ok(vec![ScalarValue::LargeList(Arc::new(list))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for keys in states.iter().flat_map(|array| array.as_list::<i64>().iter()).flatten() {
            self.0.extend_from_slice(keys.as_primitive::<UInt64Type>().values());
        }
        Ok(())
    }
}
