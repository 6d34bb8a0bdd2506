//! Arrow arrays to f64: exact where f64 is, rounded once where it is not, NaN for null.

use arrow::array::{Array, AsArray, PrimitiveArray};
use arrow::datatypes::*;
use arrow::downcast_dictionary_array;
use caudal_core::cell::Cell;
use caudal_core::{Error, ErrorKind, Result};

/// Why a column of this type is not processed; `None` for a numeric type.
pub fn unfit(data_type: &DataType) -> Option<&'static str> {
    use DataType::*;
    match data_type {
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 => None,
        Float16 | Float32 | Float64 => None,
        Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..) => None,
        Dictionary(_, values) => unfit(values),
        Boolean => Some("booleans are not numbers"),
        Date32 | Date64 | Time32(_) | Time64(_) | Timestamp(..) => Some("dates and times are not numbers"),
        Duration(_) | Interval(_) => Some("durations are not numbers"),
        Utf8 | LargeUtf8 | Utf8View => Some("text is not numbers"),
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => Some("binary data is not numbers"),
        Null => Some("it holds nothing but nulls of no type"),
        _ => Some("nested values are not numbers"),
    }
}

/// Writes an array's values into `out`, which is as long; returns how many integers lost digits.
///
/// # Errors
/// `Internal` for a type that [`unfit`] refuses.
pub fn convert(array: &dyn Array, out: &mut [f64]) -> Result<u64> {
    match array.data_type() {
        DataType::Int8 => Ok(primitive(array.as_primitive::<Int8Type>(), out, f64::from)),
        DataType::Int16 => Ok(primitive(array.as_primitive::<Int16Type>(), out, f64::from)),
        DataType::Int32 => Ok(primitive(array.as_primitive::<Int32Type>(), out, f64::from)),
        DataType::Int64 => {
            let array = array.as_primitive::<Int64Type>();
            primitive(array, out, |x| x as f64);
            Ok(inexact(array, Cell::signed))
        }
        DataType::UInt8 => Ok(primitive(array.as_primitive::<UInt8Type>(), out, f64::from)),
        DataType::UInt16 => Ok(primitive(array.as_primitive::<UInt16Type>(), out, f64::from)),
        DataType::UInt32 => Ok(primitive(array.as_primitive::<UInt32Type>(), out, f64::from)),
        DataType::UInt64 => {
            let array = array.as_primitive::<UInt64Type>();
            primitive(array, out, |x| x as f64);
            Ok(inexact(array, Cell::unsigned))
        }
        DataType::Float16 => Ok(primitive(array.as_primitive::<Float16Type>(), out, f64::from)),
        DataType::Float32 => Ok(primitive(array.as_primitive::<Float32Type>(), out, f64::from)),
        DataType::Float64 => Ok(primitive(array.as_primitive::<Float64Type>(), out, |x| x)),
        DataType::Decimal32(..) => Ok(decimal(array.as_primitive::<Decimal32Type>(), out)),
        DataType::Decimal64(..) => Ok(decimal(array.as_primitive::<Decimal64Type>(), out)),
        DataType::Decimal128(..) => Ok(decimal(array.as_primitive::<Decimal128Type>(), out)),
        DataType::Decimal256(..) => Ok(decimal(array.as_primitive::<Decimal256Type>(), out)),
        DataType::Dictionary(..) => dictionary(array, out),
        other => {
            Err(Error::new(ErrorKind::Internal, format!("a column of type {other} was taken for numbers")))
        }
    }
}

fn primitive<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    out: &mut [f64],
    widen: impl Fn(T::Native) -> f64,
) -> u64 {
    for (slot, &value) in out.iter_mut().zip(array.values()) {
        *slot = widen(value);
    }
    blank_nulls(array, out);
    0
}

fn blank_nulls(array: &dyn Array, out: &mut [f64]) {
    if let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
        for (slot, valid) in out.iter_mut().zip(nulls) {
            if !valid {
                *slot = f64::NAN;
            }
        }
    }
}

/// Integers up to 2^53 are exact, so that most arrays need no second look.
fn inexact<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, cell: impl Fn(T::Native) -> Cell) -> u64 {
    let lost = |value| matches!(cell(value), Cell::Number { inexact: true, .. });
    match array.null_count() {
        0 => array.values().iter().filter(|value| lost(**value)).count() as u64,
        _ => array.iter().flatten().filter(|value| lost(*value)).count() as u64,
    }
}

/// A decimal's text parses to the nearest f64, whatever its precision.
fn decimal<T: DecimalType + ArrowPrimitiveType>(array: &PrimitiveArray<T>, out: &mut [f64]) -> u64 {
    for (i, slot) in out.iter_mut().enumerate() {
        *slot = match array.is_null(i) {
            true => f64::NAN,
            false => fast_float2::parse(array.value_as_string(i)).unwrap_or(f64::NAN),
        };
    }
    0
}

fn dictionary(array: &dyn Array, out: &mut [f64]) -> Result<u64> {
    downcast_dictionary_array!(
        array => {
            let values = array.values();
            let mut converted = vec![0.0; values.len()];
            let mut lost = vec![false; values.len()];
            for i in 0..values.len() {
                let one = values.slice(i, 1);
                lost[i] = convert(one.as_ref(), &mut converted[i..=i])? > 0;
            }
            let mut inexact = 0;
            for (slot, key) in out.iter_mut().zip(array.keys_iter()) {
                *slot = key.map_or(f64::NAN, |key| converted[key]);
                inexact += u64::from(key.is_some_and(|key| lost[key]));
            }
            Ok(inexact)
        },
        other => Err(Error::new(ErrorKind::Internal, format!("{other} is not a dictionary")))
    )
}
