//! The functions that derived columns may use, and the one that keeps NaN out of a query.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::cast::as_float64_array;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The name under which every arithmetic expression of a query is wrapped; no user writes it.
pub(super) const CANONICAL: &str = "caudal_canonical";

type Unary = (&'static str, fn(f64) -> f64);

const UNARY: [Unary; 11] = [
    ("abs", f64::abs),
    ("ceil", f64::ceil),
    ("exp", f64::exp),
    ("floor", f64::floor),
    ("ln", f64::ln),
    ("log10", f64::log10),
    ("log2", f64::log2),
    ("round", f64::round),
    ("sign", sign),
    ("sqrt", f64::sqrt),
    ("trunc", f64::trunc),
];

/// DataFusion's own that choose among values; no other is of use on numbers alone.
const BORROWED: [&str; 6] = ["coalesce", "greatest", "least", "nullif", "nvl", "nvl2"];

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    let unary = (0..UNARY.len()).map(|i| Arc::new(ScalarUDF::from(Elementwise::new(i))));
    let borrowed = datafusion::functions::all_default_functions();
    let borrowed = borrowed.into_iter().filter(|function| BORROWED.contains(&function.name()));
    unary.chain([Arc::new(Canonical::new().into()), Arc::new(Power::new().into())]).chain(borrowed).collect()
}

/// -1, 0 or 1.
fn sign(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

/// A result as every value in a query is: null for NaN, and no negative zero, which comparisons tell from 0.
fn canonical(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value + 0.0)
}

/// `x` where it is a number and null where it is NaN; what is no float stays as it is.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Canonical(Signature);

impl Canonical {
    fn new() -> Canonical {
        Canonical(Signature::any(1, Volatility::Immutable))
    }
}

impl ScalarUDFImpl for Canonical {
    fn name(&self) -> &str {
        CANONICAL
    }

    /// As if it were not there, in names of columns and in messages.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(|e| e.schema_name().to_string()).collect())
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        match args.args.into_iter().next() {
            Some(ColumnarValue::Array(values)) if *values.data_type() == DataType::Float64 => {
                let values: &Float64Array = values.as_primitive::<Float64Type>();
                Ok(ColumnarValue::Array(Arc::new(values.unary_opt::<_, Float64Type>(canonical))))
            }
            Some(value) if value.data_type() == DataType::Float64 => {
                let values = value.into_array(rows)?;
                let values = as_float64_array(&values)?.unary_opt::<_, Float64Type>(canonical);
                Ok(ColumnarValue::Array(Arc::new(values)))
            }
            Some(other) => Ok(other),
            None => datafusion::common::exec_err!("a value is missing"),
        }
    }
}

/// A function of one number.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Elementwise {
    /// Its place in `UNARY`.
    index: usize,
    signature: Signature,
}

impl Elementwise {
    fn new(index: usize) -> Elementwise {
        let signature = Signature::exact(vec![DataType::Float64], Volatility::Immutable);
        Elementwise { index, signature }
    }
}

impl ScalarUDFImpl for Elementwise {
    fn name(&self) -> &str {
        UNARY[self.index].0
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let apply = UNARY[self.index].1;
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [x] = numbers(&arrays)?;
        Ok(ColumnarValue::Array(Arc::new(x.unary_opt::<_, Float64Type>(|x| canonical(apply(x))))))
    }
}

/// `power(x, y)`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Power(Signature);

impl Power {
    fn new() -> Power {
        Power(Signature::exact(vec![DataType::Float64; 2], Volatility::Immutable))
    }
}

impl ScalarUDFImpl for Power {
    fn name(&self) -> &str {
        "power"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [x, y] = numbers(&arrays)?;
        let powers = x.iter().zip(y.iter()).map(|(x, y)| canonical(x?.powf(y?)));
        Ok(ColumnarValue::Array(Arc::new(powers.collect::<Float64Array>())))
    }
}

/// The arguments of a function that has `N`.
fn numbers<const N: usize>(arrays: &[ArrayRef]) -> Result<[&Float64Array; N]> {
    let numbers: Vec<_> = arrays.iter().map(|array| as_float64_array(array)).collect::<Result<_>>()?;
    numbers
        .try_into()
        .map_err(|_| datafusion::error::DataFusionError::Execution(format!("expected {N} arguments")))
}
