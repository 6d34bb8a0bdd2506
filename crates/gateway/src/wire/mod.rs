//! The bytes of one connection on their way to and from the HTTP parser: late and doubtful requests end here.

mod framing;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use caudal_core::{Error, ErrorKind};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use self::framing::{Fault, Framing};
use crate::problem::whole_answer;

/// What one connection may take.
#[derive(Clone, Debug)]
pub struct WireLimits {
    /// Bytes of a request line with its headers.
    pub max_headers: usize,
    /// How long a request line with its headers may take, and a connection may wait for one.
    pub header_time: Duration,
    /// How long a client may take no byte of an answer.
    pub idle_time: Duration,
}

/// A connection that is watched.
pub struct Wire<S> {
    stream: S,
    limits: Arc<WireLimits>,
    /// Where the error pages are.
    pages: Arc<str>,
    framing: Framing,
    answering: Answering,
    head_deadline: Option<Pin<Box<Sleep>>>,
    write_deadline: Option<Pin<Box<Sleep>>>,
    refusal: Option<Refusal>,
}

/// Requests of a connection that are being answered: nothing of ours may be written between.
#[derive(Clone, Default)]
pub struct Answering(Arc<AtomicUsize>);

/// Counts an answer until it is dropped.
pub struct Answer(Arc<AtomicUsize>);

impl Answering {
    pub fn begin(&self) -> Answer {
        self.0.fetch_add(1, Ordering::Relaxed);
        Answer(self.0.clone())
    }

    fn is_under_way(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer that is written instead of one by the parser, and how much of it is.
struct Refusal {
    bytes: Vec<u8>,
    written: usize,
}

impl<S> Wire<S> {
    pub fn new(stream: S, limits: Arc<WireLimits>, pages: Arc<str>, answering: Answering) -> Wire<S> {
        let framing = Framing::new(limits.max_headers);
        let (head_deadline, write_deadline) = (None, None);
        Wire { stream, limits, pages, framing, answering, head_deadline, write_deadline, refusal: None }
    }

    /// The connection ends with this answer; without one where another is being written.
    fn refuse(&mut self, error: Error) {
        tracing::debug!("a request was refused before it was read: {error}");
        let silent = self.answering.is_under_way();
        let bytes = if silent { Vec::new() } else { whole_answer(error, &self.pages) };
        self.refusal = Some(Refusal { bytes, written: 0 });
    }

    fn refuse_fault(&mut self, fault: Fault) {
        let most = self.limits.max_headers;
        self.refuse(match fault {
            Fault::TooLarge => Error::new(
                ErrorKind::HeadersTooLarge,
                format!("one request may have {most} bytes and {} lines of headers", framing::MOST_HEADERS),
            ),
            Fault::Length(reason) => Error::new(
                ErrorKind::MalformedRequest,
                format!("where the request ends cannot be told: {reason}"),
            ),
        });
    }

    /// Whether a head has taken too long, or a connection has waited too long for one.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        if self.framing.in_head().is_none() || self.answering.is_under_way() {
            self.head_deadline = None;
            return false;
        }
        let time = self.limits.header_time;
        let deadline = self.head_deadline.get_or_insert_with(|| Box::pin(sleep(time)));
        deadline.as_mut().poll(cx).is_ready()
    }

    fn follow(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let waited = self.framing.in_head() == Some(0);
        self.framing.follow(bytes)?;
        if waited && self.framing.in_head().is_some_and(|there| there > 0) {
            // The time of a head begins with its first byte.
            self.head_deadline = Some(Box::pin(sleep_until(Instant::now() + self.limits.header_time)));
        }
        Ok(())
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Writes what is left of a refusal; then there is nothing more to read.
    fn poll_refusal(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(refusal) = &mut self.refusal
            && refusal.written < refusal.bytes.len()
        {
            let rest = &refusal.bytes[refusal.written..];
            match ready!(Pin::new(&mut self.stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => refusal.written += written,
            }
        }
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        Poll::Ready(Err(io::Error::other("the request was refused before it was read")))
    }

    /// Passes on how a write went, and ends the connection of a client that takes nothing for too long.
    fn watch_write<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.write_deadline = None;
            return written;
        }
        let time = self.limits.idle_time;
        let deadline = self.write_deadline.get_or_insert_with(|| Box::pin(sleep(time)));
        match deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        if wire.refusal.is_some() {
            return wire.poll_refusal(cx);
        }
        let before = buffer.filled().len();
        if Pin::new(&mut wire.stream).poll_read(cx, buffer)?.is_ready() {
            let Err(fault) = wire.follow(&buffer.filled()[before..]) else { return Poll::Ready(Ok(())) };
            buffer.set_filled(before);
            wire.refuse_fault(fault);
            return wire.poll_refusal(cx);
        }
        if !wire.is_late(cx) {
            return Poll::Pending;
        }
        if wire.framing.in_head() == Some(0) {
            // It has only waited, and nothing is lost.
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let seconds = wire.limits.header_time.as_secs_f64();
        let detail = format!("the headers did not arrive within {seconds} seconds");
        wire.refuse(Error::new(ErrorKind::RequestTimeout, detail));
        wire.poll_refusal(cx)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch_write(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.watch_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch_write(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch_write(cx, ended)
    }
}
