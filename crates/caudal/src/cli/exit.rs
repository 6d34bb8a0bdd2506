//! The one table from error kinds to exit codes, and how an error is told on a terminal.

use caudal_core::{Error, ErrorKind};

pub const INTERNAL: u8 = 1;

/// Exit codes, after BSD's sysexits where one fits; 2 is a command line that cannot be used.
pub fn code(error: &Error) -> u8 {
    match error.kind {
        ErrorKind::MalformedRequest
        | ErrorKind::InvalidRequest
        | ErrorKind::UnsupportedMediaType
        | ErrorKind::HeadersTooLarge => 2,
        ErrorKind::InvalidData | ErrorKind::TooLarge => 65,
        ErrorKind::SourceUnavailable | ErrorKind::NotFound => 66,
        ErrorKind::UnavailableEngine | ErrorKind::NotAcceptable | ErrorKind::MethodNotAllowed => 69,
        ErrorKind::EngineFailed => 70,
        ErrorKind::InsufficientMemory | ErrorKind::InsufficientDisk => 71,
        ErrorKind::StorageUnavailable | ErrorKind::IssuerUnavailable => 74,
        ErrorKind::Unauthenticated | ErrorKind::Forbidden => 77,
        ErrorKind::UnsuitableStorage => 78,
        ErrorKind::Overloaded
        | ErrorKind::NotFinished
        | ErrorKind::Conflict
        | ErrorKind::TooManyRequests
        | ErrorKind::RequestTimeout => 75,
        ErrorKind::Cancelled => 130,
        ErrorKind::Internal => INTERNAL,
    }
}

/// Prints an error and its faults on standard error.
pub fn tell(error: &Error) {
    eprintln!("error: {}", error.full_text());
    if error.faults.total > 1 {
        for fault in &error.faults.first {
            eprintln!("  {}: {}", fault.pointer, fault.detail);
        }
        let more = error.faults.total - error.faults.first.len() as u64;
        if more > 0 {
            eprintln!("  and {more} more");
        }
    }
    if let Some(cause) = &error.cause {
        tracing::warn!("the cause: {cause}");
    }
}
