//! Cancellation-safe framing of PostgreSQL messages over a byte stream.
//!
//! All state is in two buffers. [`Framed::fill`] and [`Framed::flush`] are the only functions that wait,
//! and each moves bytes only at the moment in which it completes, so both may be branches of a `select!`.
#![deny(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap
)]

#[cfg(test)]
mod tests;

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::protocol_error::ProtocolError;

/// Bytes of tag and length before the body of a frame.
const HEADER: usize = 5;

/// Bytes of the read buffer unless something else is asked for. What is left over of the read before takes a part of it.
pub(crate) const READ_CHUNK: usize = 256 * 1024;

/// One message: its tag and its body.
///
/// The body refers to the read buffer. However small, it keeps the whole piece it was read in (up to
/// [`FramedOptions::read_chunk`], or its own size if that is more) in memory: copy what has to live long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) tag: u8,
    pub(crate) body: Bytes,
}

/// Limits of a [`Framed`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct FramedOptions {
    /// Bytes that one frame may take, header included.
    pub(crate) max_frame: usize,
    /// Bytes of the read buffer, and the most that one read takes. At least 4 KiB are used.
    pub(crate) read_chunk: usize,
}

/// A byte stream that is read and written in frames.
#[derive(Debug)]
pub(crate) struct Framed<S> {
    stream: S,
    options: FramedOptions,
    input: BytesMut,
    /// Bytes that were asked for when `input` was last allocated; `input.capacity()` tells only what is
    /// left of them.
    allocated: usize,
    /// Bytes at the front of `input` that [`peek_frame`](Self::peek_frame) has shown already: whole frames.
    peeked: usize,
    output: BytesMut,
    /// Bytes went into the stream, which may keep them (TLS does) until it is flushed.
    unflushed: bool,
}

impl Default for FramedOptions {
    /// Frames as large as PostgreSQL can build them (its allocations end at 1 GiB), reads of 256 KiB.
    fn default() -> Self {
        Self {
            max_frame: (1 << 30) + 1024,
            read_chunk: READ_CHUNK,
        }
    }
}

impl<S> Framed<S> {
    /// Frames over `stream`, of which nothing has been read yet.
    pub(crate) fn new(stream: S, options: FramedOptions) -> Self {
        let read_chunk = options.read_chunk.max(4096);
        Self {
            stream,
            options: FramedOptions {
                read_chunk,
                ..options
            },
            input: BytesMut::new(),
            allocated: 0,
            peeked: 0,
            output: BytesMut::new(),
            unflushed: false,
        }
    }

    /// What is under it.
    pub(crate) fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Takes the next frame if it is here completely; never waits.
    ///
    /// After an error the stream has lost its frames: every further call gives the same error.
    pub(crate) fn try_frame(&mut self) -> Result<Option<Frame>, ProtocolError> {
        let Some((tag, length)) = self.header(&self.input)? else {
            return Ok(None);
        };
        if self.input.len() < length {
            return Ok(None);
        }
        let mut body = self.input.split_to(length).freeze();
        body.advance(HEADER);
        self.peeked = self.peeked.saturating_sub(length);
        Ok(Some(Frame { tag, body }))
    }

    /// Tag and body of the next frame that is here completely and was neither taken nor shown before; never
    /// waits. It stays where it is: [`try_frame`](Self::try_frame) gives it in its turn.
    pub(crate) fn peek_frame(&mut self) -> Result<Option<(u8, &[u8])>, ProtocolError> {
        let ahead = self.input.get(self.peeked..).unwrap_or_default();
        let Some((tag, length)) = self.header(ahead)? else {
            return Ok(None);
        };
        let Some(body) = ahead.get(HEADER..length) else {
            return Ok(None);
        };
        self.peeked += length;
        Ok(Some((tag, body)))
    }

    /// Bytes that were read and have not been taken as frames.
    pub(crate) fn buffered(&self) -> usize {
        self.input.len()
    }

    /// The tag and the whole length of the frame that `bytes` start with, if its header is there.
    fn header(&self, bytes: &[u8]) -> Result<Option<(u8, usize)>, ProtocolError> {
        let Some(&[tag, a, b, c, d]) = bytes.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let declared = i32::from_be_bytes([a, b, c, d]);
        let body_and_field = match usize::try_from(declared) {
            Ok(length) if length >= 4 => length,
            _ => {
                return Err(ProtocolError::FrameLength {
                    tag,
                    length: declared,
                });
            }
        };
        let length = body_and_field.saturating_add(1);
        let max = self.options.max_frame;
        if length > max {
            return Err(ProtocolError::FrameTooLong { tag, length, max });
        }
        Ok(Some((tag, length)))
    }

    /// Makes room for a read: for what the frame at the front still lacks, and for a piece worth a
    /// system call.
    ///
    /// The buffer never grows beyond one frame and one piece: when frames that were handed out still use
    /// it, it is left to them and a new one begun; when it is much larger than needed, also.
    fn make_room(&mut self) {
        let buffered = self.input.len();
        let frame = match self.header(&self.input) {
            Ok(Some((_, length))) => length,
            Ok(None) | Err(_) => 0,
        };
        let low_water = self.options.read_chunk / 4;
        let needed = low_water.max(frame.saturating_sub(buffered));
        // A frame gets more than it lacks: else its last bytes would find too little room and move it again.
        let size = self
            .options
            .read_chunk
            .max(buffered.saturating_add(needed + low_water));
        if self.allocated / 2 <= size {
            let spare = self.input.capacity().saturating_sub(buffered);
            if spare >= needed || self.input.try_reclaim(size.saturating_sub(buffered)) {
                return;
            }
        }
        let mut fresh = BytesMut::with_capacity(size);
        fresh.extend_from_slice(&self.input);
        self.input = fresh;
        self.allocated = size;
    }

    /// The bytes that the next [`flush`](Self::flush) sends; append to them.
    ///
    /// Nothing bounds them: who queues on a timer asks [`has_unsent`](Self::has_unsent) before.
    pub(crate) fn write_buffer(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    /// Whether [`flush`](Self::flush) has something to do.
    pub(crate) fn has_unsent(&self) -> bool {
        self.unflushed || !self.output.is_empty()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Framed<S> {
    /// Reads once, at most [`FramedOptions::read_chunk`] bytes, and gives how many came; 0 means that
    /// the peer has closed its side.
    ///
    /// Take all frames before: bytes that are left are kept, and the buffer grows by them.
    ///
    /// # Cancellation safety
    ///
    /// A call that is dropped has read nothing.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        self.make_room();
        // A stream may initialise all of the space it is offered, which is too much for a huge frame.
        let mut space = (&mut self.input).limit(self.options.read_chunk);
        self.stream.read_buf(&mut space).await
    }

    /// Writes everything that is queued and flushes the stream.
    ///
    /// # Cancellation safety
    ///
    /// A call that is dropped leaves in the queue exactly what was not written; call it again.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        while self.output.has_remaining() {
            if self.stream.write_buf(&mut self.output).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.unflushed = true;
        }
        self.stream.flush().await?;
        self.unflushed = false;
        Ok(())
    }
}
