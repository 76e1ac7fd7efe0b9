//! Entry points for fuzzers: each panics if untrusted bytes break a promise of this crate.
//!
//! Only with feature `fuzzing`; no part of the public interface.

use std::collections::VecDeque;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, ReadBuf};

use crate::backend::BackendMessage;
use crate::copy::CopyMessage;
use crate::framed::{Frame, Framed, FramedOptions};
use crate::pgoutput::{LogicalMessage, OldTuple, Tuple};

/// Small, so that short inputs reach the limit.
const MAX_FRAME: usize = 8 * 1024;

/// Reads frames from a stream that comes in pieces, and what is in them.
///
/// The first byte says how many sizes of pieces follow, the sizes come next, then the stream. Returns how
/// many frames there were.
///
/// # Panics
///
/// If the frames depend on how the stream was cut or on being looked at before, or anything panics on them.
pub fn framing(data: &[u8]) -> usize {
    let Some((&count, rest)) = data.split_first() else {
        return 0;
    };
    let Some((sizes, stream)) = rest.split_at_checked(usize::from(count % 8)) else {
        return 0;
    };
    let frames = read_frames(stream, sizes);
    assert_eq!(frames, split_frames(stream));
    for (tag, body) in &frames {
        let frame = Frame {
            tag: *tag,
            body: body.clone().into(),
        };
        if let Ok(BackendMessage::CopyData(content)) = BackendMessage::parse(frame)
            && let Ok(CopyMessage::XLogData(chunk)) = CopyMessage::parse(content)
        {
            pgoutput(&chunk.data);
        }
    }
    frames.len()
}

/// Parses one message of pgoutput and reads every value in it. Returns whether it was one.
///
/// # Panics
///
/// If a row has another number of values, or more bytes, than it says.
pub fn pgoutput(data: &[u8]) -> bool {
    let Ok(message) = LogicalMessage::parse(data.to_vec().into()) else {
        return false;
    };
    match &message {
        LogicalMessage::Insert(insert) => read_tuple(&insert.new),
        LogicalMessage::Update(update) => {
            update.old.as_ref().map(read_old);
            read_tuple(&update.new);
        }
        LogicalMessage::Delete(delete) => read_old(&delete.old),
        LogicalMessage::Begin(_)
        | LogicalMessage::Commit(_)
        | LogicalMessage::Origin(_)
        | LogicalMessage::Relation(_)
        | LogicalMessage::Type(_)
        | LogicalMessage::Truncate(_)
        | LogicalMessage::Message(_) => {}
    }
    true
}

fn read_old(old: &OldTuple) {
    match old {
        OldTuple::Key(tuple) | OldTuple::Full(tuple) => read_tuple(tuple),
    }
}

fn read_tuple(tuple: &Tuple) {
    assert_eq!(tuple.iter().count(), tuple.len());
    let bytes: usize = tuple
        .iter()
        .filter_map(|value| value.bytes())
        .map(<[u8]>::len)
        .sum();
    assert!(bytes <= tuple.wire_size());
}

/// Tag and body of every frame, as [`Framed`] finds them.
fn read_frames(stream: &[u8], sizes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let pieces = Pieces {
        stream,
        sizes: sizes.iter().cycle(),
    };
    let stream = tokio::io::join(pieces, tokio::io::sink());
    let options = FramedOptions {
        max_frame: MAX_FRAME,
        read_chunk: 0,
    };
    let mut framed = Framed::new(stream, options);
    let mut frames = Vec::new();
    let mut peeked = VecDeque::new();
    loop {
        // One further than what is taken, where that is here already.
        while peeked.len() < 2
            && let Ok(Some((tag, body))) = framed.peek_frame()
        {
            peeked.push_back((tag, body.to_vec()));
        }
        match framed.try_frame() {
            Ok(Some(frame)) => {
                let frame = (frame.tag, frame.body.to_vec());
                assert_eq!(peeked.pop_front().as_ref(), Some(&frame));
                frames.push(frame);
            }
            Ok(None) => match pin!(framed.fill()).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(1..)) => {}
                ended => {
                    assert!(matches!(ended, Poll::Ready(Ok(0))));
                    return frames;
                }
            },
            Err(_) => return frames,
        }
    }
}

/// The same by the definition of a frame, from the whole stream.
fn split_frames(mut stream: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let Some((&[tag, a, b, c, d], rest)) = stream.split_first_chunk::<5>()
        && let declared = i32::from_be_bytes([a, b, c, d])
        && let Some(length) = usize::try_from(declared)
            .ok()
            .and_then(|all| all.checked_sub(4))
        && length + 5 <= MAX_FRAME
        && let Some((body, rest)) = rest.split_at_checked(length)
    {
        frames.push((tag, body.to_vec()));
        stream = rest;
    }
    frames
}

/// A stream that gives `sizes` bytes a read, over and over; all at once if there are none.
struct Pieces<'a> {
    stream: &'a [u8],
    sizes: std::iter::Cycle<std::slice::Iter<'a, u8>>,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let size = this
            .sizes
            .next()
            .map_or(usize::MAX, |&size| usize::from(size) + 1);
        let (piece, rest) = this
            .stream
            .split_at(size.min(buffer.remaining()).min(this.stream.len()));
        buffer.put_slice(piece);
        this.stream = rest;
        Poll::Ready(Ok(()))
    }
}
