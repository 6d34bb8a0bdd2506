//! How large the messages of an Arrow file or stream are: the reader takes each into memory whole.

use arrow::ipc::root_as_message;
use caudal_core::{Error, ErrorKind, Result};

use crate::source::ReadAt;

/// What stands before a message that says how long it is.
const PREFIX: u64 = 8;

/// Looks for a message, of the file or of the stream form, that takes more than `most` bytes.
///
/// # Errors
/// `InsufficientMemory` where there is one. What is no message is left to whoever reads it.
pub fn check(file: &dyn ReadAt, is_file: bool, most: u64) -> Result<()> {
    let mut position = if is_file { first_of(file) } else { 0 };
    while file.size() - position > most {
        let Some(length) = length_of(file, position) else { return Ok(()) };
        if length > most {
            return Err(too_large(length, most));
        }
        position += length;
    }
    Ok(())
}

/// Where the first message of a file begins: behind its mark, which writers fill up differently.
fn first_of(file: &dyn ReadAt) -> u64 {
    let begins = |position: &u64| {
        let mut start = [0; 4];
        file.read_exact_at(&mut start, *position).is_ok() && start == [0xFF; 4]
    };
    (PREFIX..=64).step_by(8).find(begins).unwrap_or(file.size())
}

/// The bytes of the message at a position with its prefix and its body, within the file.
fn length_of(file: &dyn ReadAt, position: u64) -> Option<u64> {
    let mut prefix = [0; PREFIX as usize];
    file.read_exact_at(&mut prefix, position).ok()?;
    let [0xFF, 0xFF, 0xFF, 0xFF, length @ ..] = prefix else { return None };
    let described = u64::from(u32::from_le_bytes(length));
    let left = file.size().checked_sub(position + PREFIX)?;
    if described == 0 || described > left {
        return None;
    }
    let mut metadata = vec![0; described as usize];
    file.read_exact_at(&mut metadata, position + PREFIX).ok()?;
    let body = u64::try_from(root_as_message(&metadata).ok()?.bodyLength()).ok()?;
    (body <= left - described).then_some(PREFIX + described + body)
}

fn too_large(length: u64, most: u64) -> Error {
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let detail = format!(
        "a record batch takes {:.1} MB of memory, and {:.1} MB are allowed for one",
        megabytes(length),
        megabytes(most)
    );
    Error::new(ErrorKind::InsufficientMemory, detail).hint(
        "write the file with smaller batches, for instance with pyarrow.feather.write_feather(…, chunksize=65536), \
         or raise --memory-limit",
    )
}
