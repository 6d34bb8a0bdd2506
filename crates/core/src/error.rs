//! The few kinds of error, each saying who must act, and the one error type that carries them.

use serde::{Deserialize, Serialize};

use crate::fault::Faults;
use crate::job::JobId;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, seen by the one who must act. Each kind has a page under `docs/errors/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The request cannot be read at all.
    MalformedRequest,
    /// Nobody that the server knows has asked.
    Unauthenticated,
    /// Whoever asks is known, and may not do this.
    Forbidden,
    /// The request did not arrive in the time that a request may take.
    RequestTimeout,
    /// More headers than one request may carry.
    HeadersTooLarge,
    /// More requests, jobs or elements than whoever asks may have.
    TooManyRequests,
    /// The request can be read, but cannot be a job.
    InvalidRequest,
    /// The data that the request points at is not what it says it is.
    InvalidData,
    /// The source does not exist or may not be read.
    SourceUnavailable,
    /// More inline elements or bytes than one request may carry.
    TooLarge,
    /// A media type that is not read, or an answer in a form that is not written.
    UnsupportedMediaType,
    NotAcceptable,
    NotFound,
    MethodNotAllowed,
    /// The request contradicts what is already there.
    Conflict,
    /// The job has not finished, so it has no result yet.
    NotFinished,
    /// The engine or device that was asked for is not there.
    UnavailableEngine,
    /// The engine was there, and stopped before the job was done.
    EngineFailed,
    /// The data does not fit in the memory that was allowed.
    InsufficientMemory,
    /// What memory has no room for does not fit on the disk either.
    InsufficientDisk,
    /// All places are taken: come back later.
    Overloaded,
    /// The bucket does not answer, or refuses.
    StorageUnavailable,
    /// The bucket breaks a rule that the journal stands on.
    UnsuitableStorage,
    /// Whoever issues the tokens does not answer, or refuses.
    IssuerUnavailable,
    Cancelled,
    /// The job, or one of its stages, took longer than it was given.
    DeadlineExceeded,
    /// The job brought down whoever worked on it, again and again.
    PoisonousJob,
    /// A fault of ours.
    Internal,
}

use ErrorKind::*;

impl ErrorKind {
    pub const ALL: [ErrorKind; 28] = [
        MalformedRequest,
        Unauthenticated,
        Forbidden,
        RequestTimeout,
        HeadersTooLarge,
        TooManyRequests,
        InvalidRequest,
        InvalidData,
        SourceUnavailable,
        TooLarge,
        UnsupportedMediaType,
        NotAcceptable,
        NotFound,
        MethodNotAllowed,
        Conflict,
        NotFinished,
        UnavailableEngine,
        EngineFailed,
        InsufficientMemory,
        InsufficientDisk,
        Overloaded,
        StorageUnavailable,
        UnsuitableStorage,
        IssuerUnavailable,
        Cancelled,
        DeadlineExceeded,
        PoisonousJob,
        Internal,
    ];

    /// The error's code: the name of its page in `docs/errors/` and the last part of its `type`.
    pub fn code(self) -> &'static str {
        match self {
            MalformedRequest => "malformed-request",
            Unauthenticated => "unauthenticated",
            Forbidden => "forbidden",
            RequestTimeout => "request-timeout",
            HeadersTooLarge => "headers-too-large",
            TooManyRequests => "too-many-requests",
            InvalidRequest => "invalid-request",
            InvalidData => "invalid-data",
            SourceUnavailable => "source-unavailable",
            TooLarge => "too-large",
            UnsupportedMediaType => "unsupported-media-type",
            NotAcceptable => "not-acceptable",
            NotFound => "not-found",
            MethodNotAllowed => "method-not-allowed",
            Conflict => "conflict",
            NotFinished => "not-finished",
            UnavailableEngine => "unavailable-engine",
            EngineFailed => "engine-failed",
            InsufficientMemory => "insufficient-memory",
            InsufficientDisk => "insufficient-disk",
            Overloaded => "overloaded",
            StorageUnavailable => "storage-unavailable",
            UnsuitableStorage => "unsuitable-storage",
            IssuerUnavailable => "issuer-unavailable",
            Cancelled => "cancelled",
            DeadlineExceeded => "deadline-exceeded",
            PoisonousJob => "poisonous-job",
            Internal => "internal",
        }
    }

    /// A short sentence that is the same for every error of the kind.
    pub fn title(self) -> &'static str {
        match self {
            MalformedRequest => "The request cannot be read",
            Unauthenticated => "The server has to know who asks",
            Forbidden => "This is not allowed to whoever asks",
            RequestTimeout => "The request did not arrive in time",
            HeadersTooLarge => "The headers of the request are too large",
            TooManyRequests => "Too many requests",
            InvalidRequest => "The request cannot be a job",
            InvalidData => "The data is not what it should be",
            SourceUnavailable => "The source cannot be read",
            TooLarge => "The request is too large",
            UnsupportedMediaType => "This media type is not read here",
            NotAcceptable => "The answer cannot be written in the form that was asked for",
            NotFound => "There is no such thing here",
            MethodNotAllowed => "This method is not for this path",
            Conflict => "The request contradicts what is already there",
            NotFinished => "The job has not finished yet",
            UnavailableEngine => "The engine or device that was asked for is not available",
            EngineFailed => "The engine stopped before the job was done",
            InsufficientMemory => "The data does not fit in the allowed memory",
            InsufficientDisk => "The data fits neither in the allowed memory nor on the disk",
            Overloaded => "All places are taken",
            StorageUnavailable => "The storage does not answer",
            UnsuitableStorage => "The storage does not keep what jobs stand on",
            IssuerUnavailable => "The issuer of tokens does not answer",
            Cancelled => "The job was cancelled",
            DeadlineExceeded => "The job took longer than it was given",
            PoisonousJob => "The job brought down whoever worked on it",
            Internal => "Something went wrong inside Caudal",
        }
    }

    /// Whether the same request may succeed later without anybody changing it.
    pub fn is_retryable(self) -> bool {
        matches!(self, Overloaded | StorageUnavailable | IssuerUnavailable | NotFinished | TooManyRequests)
    }

    /// Whether this is about the content of a request or its data.
    pub fn is_validation(self) -> bool {
        matches!(self, InvalidRequest | InvalidData)
    }
}

/// One error: its kind, a sentence for the user, a hint when the cure is known, the single faults,
/// and the cause for the log. The cause never reaches a client.
#[derive(Clone, Debug, thiserror::Error, Serialize, Deserialize)]
#[error("{detail}")]
pub struct Error {
    pub kind: ErrorKind,
    pub detail: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(default, skip_serializing_if = "Faults::is_empty")]
    pub faults: Faults,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    /// Seconds after which the same request may succeed, where that is known better than by its kind: whoever refused
    /// said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
    #[serde(skip)]
    pub cause: Option<String>,
}

impl Error {
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Error {
            kind,
            detail: detail.into(),
            hint: None,
            faults: Faults::default(),
            job_id: None,
            retry_after: None,
            cause: None,
        }
    }

    /// An error made of single faults; its sentence is their summary.
    pub fn from_faults(kind: ErrorKind, faults: Faults) -> Self {
        let detail = faults.summary();
        Error { faults, ..Error::new(kind, detail) }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn cause(mut self, cause: impl std::fmt::Display) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub fn of_job(mut self, job: JobId) -> Self {
        self.job_id = Some(job);
        self
    }

    /// The sentence and the hint, for a person.
    pub fn full_text(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{} ({hint})", self.detail),
            None => self.detail.clone(),
        }
    }
}
