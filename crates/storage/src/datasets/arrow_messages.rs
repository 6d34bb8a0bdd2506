//! The messages of Arrow IPC, one by one, each looked at before the decoder sees it.
//!
//! The decoder believes what a message says of itself: it makes room for as many bytes as are declared, and panics or
//! aborts the process where a length leads out of what there is. So every length is compared here with what is really
//! there, and with what may be held in memory, first.

use std::sync::Arc;

use arrow::buffer::{Buffer, MutableBuffer};
use arrow::ipc::{Block, MessageHeader, root_as_message};
use caudal_core::{Error, ErrorKind, Result};

use super::arrow_batch::check_batch;
use super::arrow_ipc::damaged;
use crate::source::ReadAt;

/// What stands before a message: a mark, and the length of its metadata.
const MARK: [u8; 4] = [0xFF; 4];

/// A message, whole and in order.
pub struct Message {
    /// How long its parts are; the metadata with what stands before it.
    pub block: Block,
    pub bytes: Buffer,
    pub header: MessageHeader,
}

impl Message {
    /// The metadata, without what stands before it.
    pub fn metadata(&self) -> &[u8] {
        let before = if self.bytes.starts_with(&MARK) { 8 } else { 4 };
        self.bytes.get(before..self.block.metaDataLength() as usize).unwrap_or_default()
    }
}

/// Reads the messages of one file or stream.
pub struct Messages {
    file: Arc<dyn ReadAt>,
    /// Bytes that one message may take, as it lies there and as it is decoded.
    most: u64,
}

/// Where a message lies.
#[derive(Clone, Copy)]
pub struct Place {
    pub offset: u64,
    /// With what stands before it.
    metadata: u64,
    body: u64,
}

impl Messages {
    pub fn new(file: Arc<dyn ReadAt>, most: u64) -> Messages {
        Messages { file, most }
    }

    /// The place of the message at a position of a stream; `None` at its end.
    ///
    /// # Errors
    /// `InvalidData` where there is no message, or not all of it.
    pub fn place_at(&self, offset: u64) -> Result<Option<Place>> {
        let left = self.file.size().saturating_sub(offset);
        let mut start = [0; 8];
        // A stream may end without saying so.
        let there = usize::try_from(left).unwrap_or(usize::MAX).min(8);
        self.read(&mut start[..there], offset)?;
        let [a, b, c, d, rest @ ..] = start;
        let (length, before) = if [a, b, c, d] == MARK { (rest, 8) } else { ([a, b, c, d], 4) };
        let length = u64::from(u32::from_le_bytes(length));
        if there == 0 || (length == 0 && there as u64 >= before) {
            return Ok(None);
        }
        if length > left.saturating_sub(before) {
            return Err(damaged(&format!("a message says that it has {length} bytes, and {left} are left")));
        }
        let metadata = before + length;
        let body = self.body_length(offset + before, length)?;
        let after = left.saturating_sub(metadata);
        if body > after {
            return Err(damaged(&format!(
                "a message says that its body has {body} bytes, and {after} are left"
            )));
        }
        Ok(Some(Place { offset, metadata, body }))
    }

    /// The place that a file's footer gives a message, where that lies in the first `end` bytes.
    ///
    /// # Errors
    /// `InvalidData` where it does not.
    pub fn place_of(&self, block: &Block, end: u64) -> Result<Place> {
        let outside = || damaged(&"its footer names a message that lies outside of it");
        let number = |value: i64| u64::try_from(value).map_err(|_| outside());
        let offset = number(block.offset())?;
        let metadata = number(block.metaDataLength().into())?;
        let body = number(block.bodyLength())?;
        let stop = offset.checked_add(metadata).and_then(|there| there.checked_add(body));
        match stop {
            Some(stop) if stop <= end && metadata >= 8 => Ok(Place { offset, metadata, body }),
            _ => Err(outside()),
        }
    }

    /// The message at a place.
    ///
    /// # Errors
    /// `InvalidData` where a length in it leads out of what is there, `InsufficientMemory` where it takes more memory
    /// than one message may.
    pub fn read_at(&self, place: Place) -> Result<Message> {
        let Place { offset, metadata, body } = place;
        let length = metadata.saturating_add(body);
        if length > self.most {
            return Err(too_large(length, self.most));
        }
        let short = |length: u64| usize::try_from(length).map_err(|_| too_large(length, self.most));
        let mut bytes = MutableBuffer::from_len_zeroed(short(length)?);
        self.read(&mut bytes, offset)?;
        let bytes: Buffer = bytes.into();
        let signed = |length: u64| i64::try_from(length).unwrap_or(i64::MAX);
        let described = i32::try_from(metadata).map_err(|_| damaged(&"a message has no end"))?;
        let block = Block::new(signed(offset), described, signed(body));
        let mut message = Message { block, bytes, header: MessageHeader::NONE };
        message.header = self.check(&message)?;
        Ok(message)
    }

    fn check(&self, message: &Message) -> Result<MessageHeader> {
        let body = message.bytes.get(message.block.metaDataLength() as usize..).unwrap_or_default();
        let told = root_as_message(message.metadata()).map_err(|e| damaged(&e))?;
        let batch = match told.header_type() {
            MessageHeader::Schema => None,
            MessageHeader::RecordBatch => told.header_as_record_batch(),
            MessageHeader::DictionaryBatch => {
                let without = || damaged(&"a dictionary has no values");
                let dictionary = told.header_as_dictionary_batch().ok_or_else(without)?;
                Some(dictionary.data().ok_or_else(without)?)
            }
            _ => return Err(damaged(&"a message holds neither a schema nor values")),
        };
        if let Some(batch) = batch {
            let decoded = check_batch(&batch, body).map_err(|reason| damaged(&reason))?;
            if decoded > self.most {
                return Err(too_large(decoded, self.most));
            }
        }
        Ok(told.header_type())
    }

    fn body_length(&self, offset: u64, length: u64) -> Result<u64> {
        if length > self.most {
            return Err(too_large(length, self.most));
        }
        let mut metadata = vec![0; usize::try_from(length).unwrap_or_default()];
        self.read(&mut metadata, offset)?;
        let told = root_as_message(&metadata).map_err(|e| damaged(&e))?;
        u64::try_from(told.bodyLength())
            .map_err(|_| damaged(&"a message says that its body has less than no bytes"))
    }

    fn read(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_exact_at(bytes, offset).map_err(|e| damaged(&e))
    }
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
