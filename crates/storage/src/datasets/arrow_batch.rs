//! Whether a record batch of Arrow IPC says the truth about its lengths, and how much memory it will take.

use arrow::ipc::{BodyCompressionMethod, CompressionType, RecordBatch};

/// More rows than this are a lie, and would overflow counts of bytes.
const MOST_ROWS: i64 = 1 << 44;

/// Checks every length that a batch declares against the body that it comes with; returns the bytes that its values take
/// once they are decompressed.
///
/// # Errors
/// What is wrong, in words.
pub fn check_batch(batch: &RecordBatch<'_>, body: &[u8]) -> Result<u64, String> {
    let rows = 0..=MOST_ROWS;
    if !rows.contains(&batch.length()) {
        return Err(format!("a batch says that it has {} rows", batch.length()));
    }
    for node in batch.nodes().into_iter().flatten() {
        if !rows.contains(&node.length()) || !(0..=node.length()).contains(&node.null_count()) {
            let (values, nulls) = (node.length(), node.null_count());
            return Err(format!("a column says that it has {values} values, {nulls} of them missing"));
        }
    }
    let buffers = batch.buffers();
    let count = buffers.map_or(0, |buffers| buffers.len());
    let there = 0..=i64::try_from(count).unwrap_or(i64::MAX);
    if batch.variadicBufferCounts().into_iter().flatten().any(|variadic| !there.contains(&variadic)) {
        return Err("a column says that it has more buffers than there are".into());
    }
    let codec = match batch.compression() {
        None => None,
        Some(told) if told.method() != BodyCompressionMethod::BUFFER => {
            return Err("it is compressed in a way that is not known".into());
        }
        Some(told) => Some(told.codec()),
    };
    let mut decoded = 0u64;
    for buffer in buffers.into_iter().flatten() {
        let bytes = part(body, buffer.offset(), buffer.length())
            .ok_or_else(|| "a buffer lies outside of its message".to_owned())?;
        let length = match codec {
            Some(codec) if !bytes.is_empty() => decompressed(bytes, codec)?,
            _ => bytes.len() as u64,
        };
        decoded = decoded.saturating_add(length);
    }
    Ok(decoded)
}

fn part(body: &[u8], offset: i64, length: i64) -> Option<&[u8]> {
    let begin = usize::try_from(offset).ok()?;
    body.get(begin..begin.checked_add(usize::try_from(length).ok()?)?)
}

/// The bytes that a compressed buffer may become. It begins with the length that it says it becomes, or −1 where it is not
/// compressed after all.
fn decompressed(bytes: &[u8], codec: CompressionType) -> Result<u64, String> {
    let (declared, content) =
        bytes.split_first_chunk().ok_or_else(|| "a compressed buffer has no length".to_owned())?;
    let declared = match i64::from_le_bytes(*declared) {
        -1 => return Ok(content.len() as u64),
        declared => u64::try_from(declared).map_err(|_| "a compressed buffer has no length".to_owned())?,
    };
    match codec {
        // What does not fit into the declared length ends with an error there.
        CompressionType::ZSTD => Ok(declared),
        CompressionType::LZ4_FRAME if declared == 0 => Ok(0),
        CompressionType::LZ4_FRAME => {
            let most = lz4_most(content).ok_or_else(|| "a buffer is no LZ4 frame".to_owned())?;
            // The last block of a frame, and those of some writers, are not full.
            Ok(if most.blocks_but_one > declared { most.all } else { declared })
        }
        _ => Err("it is compressed in a way that is not known".into()),
    }
}

/// What an LZ4 frame becomes at most.
struct Lz4Most {
    all: u64,
    /// Without its last block.
    blocks_but_one: u64,
}

/// Walks over the blocks of an LZ4 frame without decompressing them: the decoder goes on to the end of the frame,
/// however much was declared. One frame, from the first byte to the last.
fn lz4_most(frame: &[u8]) -> Option<Lz4Most> {
    const MAGIC: [u8; 4] = 0x184D_2204_u32.to_le_bytes();
    const BLOCK_SUMS: u8 = 1 << 4;
    const CONTENT_SIZE: u8 = 1 << 3;
    const CONTENT_SUM: u8 = 1 << 2;
    const DICTIONARY: u8 = 1;
    let rest = frame.strip_prefix(&MAGIC)?;
    let (&[flags, sizes], rest) = rest.split_first_chunk()?;
    let block = match (sizes >> 4) & 7 {
        4 => 64 << 10,
        5 => 256 << 10,
        6 => 1 << 20,
        7 => 4 << 20,
        _ => return None,
    };
    let optional = |flag: u8, bytes: usize| if flags & flag != 0 { bytes } else { 0 };
    if flags >> 6 != 1 || flags & DICTIONARY != 0 {
        return None;
    }
    let mut rest = rest.get(optional(CONTENT_SIZE, 8) + 1..)?;
    let mut blocks = 0u64;
    loop {
        let (size, behind) = rest.split_first_chunk()?;
        match u32::from_le_bytes(*size) & !(1 << 31) {
            0 => {
                let whole = behind.len() == optional(CONTENT_SUM, 4);
                let but_one = blocks.saturating_sub(1) * block;
                return whole.then_some(Lz4Most { all: blocks * block, blocks_but_one: but_one });
            }
            size => rest = behind.get(usize::try_from(size).ok()? + optional(BLOCK_SUMS, 4)..)?,
        }
        blocks += 1;
    }
}
