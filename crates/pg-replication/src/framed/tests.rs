use std::pin::Pin;
use std::task::{Context, Poll};

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::io::{DuplexStream, ReadBuf, duplex};

use super::*;

const CHUNK: usize = 4096;

fn encode(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

fn framed(max_frame: usize) -> (Framed<DuplexStream>, DuplexStream) {
    let (near, far) = duplex(1 << 20);
    (
        Framed::new(
            near,
            FramedOptions {
                max_frame,
                read_chunk: CHUNK,
            },
        ),
        far,
    )
}

/// Polls `future` once, and drops it if that is not enough.
async fn once<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = std::future::ready(()) => None,
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

/// Sends `stream` in pieces of `sizes` to a reader that gives up waiting before each of them.
async fn read_in_pieces(mut stream: &[u8], sizes: &[usize], chunk: usize) -> Vec<Frame> {
    let (near, mut far) = duplex(1 << 20);
    let mut framed = Framed::new(
        near,
        FramedOptions {
            read_chunk: chunk,
            ..Default::default()
        },
    );
    let mut frames = Vec::new();
    let mut sizes = sizes.iter().copied().cycle();
    while !stream.is_empty() {
        assert!(once(framed.fill()).await.is_none(), "read what nobody sent");
        let (piece, rest) = stream.split_at(sizes.next().unwrap().min(stream.len()));
        far.write_all(piece).await.unwrap();
        stream = rest;
        let mut left = piece.len();
        while left > 0 {
            left -= framed.fill().await.unwrap();
            while let Some(frame) = framed.try_frame().unwrap() {
                frames.push(frame);
            }
        }
    }
    drop(far);
    assert_eq!(framed.fill().await.unwrap(), 0);
    assert!(framed.input.is_empty(), "bytes of no frame are left");
    frames
}

fn any_frames() -> impl Strategy<Value = Vec<Frame>> {
    let body = prop_oneof![vec(any::<u8>(), 0..40), vec(any::<u8>(), 4000..9000)];
    let frame = (any::<u8>(), body).prop_map(|(tag, body)| Frame {
        tag,
        body: body.into(),
    });
    vec(frame, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn gives_the_same_frames_however_the_stream_is_cut(
        frames in any_frames(),
        sizes in vec(prop_oneof![1..8_usize, 1..6000_usize], 1..6),
    ) {
        let stream = frames.iter().map(|frame| encode(frame.tag, &frame.body)).collect::<Vec<_>>();
        prop_assert_eq!(block_on(read_in_pieces(&stream.concat(), &sizes, CHUNK)), frames);
    }

    #[test]
    fn writes_everything_once_however_often_a_flush_is_given_up(
        messages in vec(vec(any::<u8>(), 1..50), 1..10),
        room in 1..20_usize,
    ) {
        let (near, mut far) = duplex(room);
        let mut framed = Framed::new(near, FramedOptions::default());
        let mut received = Vec::new();
        block_on(async {
            for message in &messages {
                framed.write_buffer().extend_from_slice(message);
                drop(once(framed.flush()).await);
                let mut piece = [0; 7];
                let length = far.read(&mut piece).await.unwrap();
                received.extend(piece.iter().take(length));
            }
            while framed.has_unsent() {
                drop(once(framed.flush()).await);
                let mut piece = [0; 7];
                let length = once(far.read(&mut piece)).await.map_or(0, Result::unwrap);
                received.extend(piece.iter().take(length));
            }
            drop(framed);
            far.read_to_end(&mut received).await.unwrap();
        });
        prop_assert_eq!(received, messages.concat());
    }
}

#[tokio::test]
async fn gives_the_same_frames_byte_by_byte() {
    let stream = [
        encode(b'a', b""),
        encode(b'b', &[7; 5000]),
        encode(b'c', b"x"),
    ]
    .concat();
    let frames = read_in_pieces(&stream, &[1], CHUNK).await;
    assert_eq!(
        frames.iter().map(|frame| frame.tag).collect::<Vec<_>>(),
        b"abc"
    );
    assert_eq!(
        frames
            .iter()
            .map(|frame| frame.body.len())
            .collect::<Vec<_>>(),
        [0, 5000, 1]
    );
}

#[tokio::test]
async fn refuses_lengths_that_no_frame_has() {
    for length in [3, 0, -1, i32::MIN] {
        let (mut framed, mut far) = framed(100);
        far.write_all(&[&b"d"[..], &i32::to_be_bytes(length)].concat())
            .await
            .unwrap();
        framed.fill().await.unwrap();
        let expected = ProtocolError::FrameLength { tag: b'd', length };
        assert_eq!(framed.try_frame(), Err(expected.clone()));
        assert_eq!(framed.try_frame(), Err(expected), "the same again");
    }
}

#[tokio::test]
async fn accepts_a_frame_up_to_the_limit_and_refuses_a_longer_one_by_its_header() {
    let (mut framed, mut far) = framed(100);
    far.write_all(&encode(b'd', &[1; 95])).await.unwrap();
    far.write_all(b"d\0\0\0\x64").await.unwrap();
    framed.fill().await.unwrap();
    assert_eq!(framed.try_frame().unwrap().unwrap().body.len(), 95);
    assert_eq!(
        framed.try_frame(),
        Err(ProtocolError::FrameTooLong {
            tag: b'd',
            length: 101,
            max: 100
        })
    );
}

#[tokio::test]
async fn says_when_the_peer_has_closed_and_keeps_what_is_left() {
    let (mut framed, mut far) = framed(100);
    far.write_all(b"d\0\0\0\x08ab").await.unwrap();
    drop(far);
    assert_eq!(framed.fill().await.unwrap(), 7);
    assert_eq!(framed.try_frame(), Ok(None));
    assert_eq!(framed.fill().await.unwrap(), 0);
    assert_eq!(&framed.input[..], b"d\0\0\0\x08ab");
}

#[tokio::test]
async fn does_not_copy_frames_and_uses_its_buffer_again_when_they_are_gone() {
    let (mut framed, mut far) = framed(1 << 30);
    let mut buffers = std::collections::BTreeSet::new();
    for _ in 0..1000 {
        far.write_all(&encode(b'd', &[1; 500])).await.unwrap();
        framed.fill().await.unwrap();
        let buffer = framed.input.as_ptr();
        let frame = framed.try_frame().unwrap().unwrap();
        assert_eq!(frame.body.as_ptr(), buffer.wrapping_add(HEADER));
        buffers.insert(buffer);
    }
    let span = *buffers.last().unwrap() as usize - *buffers.first().unwrap() as usize;
    assert!(
        span < CHUNK,
        "{span} bytes lie between the first and the last buffer"
    );
}

#[tokio::test]
async fn frames_that_are_kept_do_not_make_the_buffer_grow() {
    let (mut framed, mut far) = framed(1 << 30);
    let mut kept = Vec::new();
    for _ in 0..1000 {
        far.write_all(&encode(b'd', &[1; 500])).await.unwrap();
        framed.fill().await.unwrap();
        kept.push(framed.try_frame().unwrap().unwrap());
        assert_eq!(framed.allocated, CHUNK);
        assert!(framed.input.capacity() <= CHUNK);
    }
    assert!(
        kept.iter()
            .all(|frame| frame.body.iter().all(|&byte| byte == 1))
    );
}

#[tokio::test]
async fn a_huge_frame_is_moved_once_and_its_memory_given_back() {
    let (mut framed, mut far) = framed(1 << 30);
    let huge = encode(b'd', &vec![1; 1 << 20]);
    let next = encode(b'k', b"next");
    let mut buffers = std::collections::BTreeSet::new();
    for piece in huge.chunks(1000) {
        far.write_all(piece).await.unwrap();
        assert_eq!(framed.fill().await.unwrap(), piece.len());
        buffers.insert(framed.input.as_ptr());
    }
    assert!(buffers.len() <= 2, "moved {} times", buffers.len() - 1);
    assert!(framed.allocated <= huge.len() + CHUNK);
    assert_eq!(framed.try_frame().unwrap().unwrap().body.len(), 1 << 20);
    far.write_all(&next).await.unwrap();
    framed.fill().await.unwrap();
    assert_eq!(framed.allocated, CHUNK);
    assert_eq!(framed.try_frame().unwrap().unwrap().body, "next");
}

#[tokio::test]
async fn keeps_reading_when_nobody_takes_frames() {
    let (mut framed, mut far) = framed(1 << 30);
    far.write_all(&encode(b'd', &[1; 500]).repeat(100))
        .await
        .unwrap();
    drop(far);
    while framed.fill().await.unwrap() > 0 {}
    for _ in 0..100 {
        assert_eq!(framed.try_frame().unwrap().unwrap().body.len(), 500);
    }
    assert_eq!(framed.try_frame(), Ok(None));
}

/// A stream that tells how much it was offered, and holds back what it took until it is flushed.
#[derive(Default)]
struct Reluctant {
    offered: usize,
    unflushed: bool,
    flushes_refused: u32,
}

impl AsyncRead for Reluctant {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.offered = self.offered.max(buffer.remaining());
        buffer.put_slice(b"d\0\x0f\xff\xff");
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Reluctant {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.unflushed = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.flushes_refused > 0 {
            self.flushes_refused -= 1;
            return Poll::Pending;
        }
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn offers_a_stream_no_more_than_a_chunk_even_for_a_huge_frame() {
    let options = FramedOptions {
        read_chunk: CHUNK,
        ..Default::default()
    };
    let mut framed = Framed::new(Reluctant::default(), options);
    for _ in 0..10 {
        framed.fill().await.unwrap();
    }
    assert!(framed.allocated > 1 << 19, "the frame in progress has room");
    assert_eq!(framed.stream.offered, CHUNK);
}

#[tokio::test]
async fn has_something_unsent_until_the_stream_is_flushed() {
    let stream = Reluctant {
        flushes_refused: 1,
        ..Default::default()
    };
    let mut framed = Framed::new(stream, FramedOptions::default());
    assert!(!framed.has_unsent());
    framed.write_buffer().extend_from_slice(b"update");
    assert!(framed.has_unsent());
    assert!(once(framed.flush()).await.is_none());
    assert!(framed.has_unsent(), "the stream still holds it back");
    framed.flush().await.unwrap();
    assert!(!framed.has_unsent());
    assert!(!framed.stream.unflushed);
}

#[test]
fn a_frame_that_was_shown_is_given_in_its_turn() {
    block_on(async {
        let (mut framed, mut far) = framed(1 << 20);
        let bytes = [encode(b'a', b"first"), encode(b'b', b"second")].concat();
        let (here, later) = bytes.split_at(bytes.len() - 1);
        far.write_all(here).await.unwrap();
        framed.fill().await.unwrap();
        assert_eq!(framed.peek_frame(), Ok(Some((b'a', &b"first"[..]))));
        assert_eq!(framed.peek_frame(), Ok(None));
        far.write_all(later).await.unwrap();
        framed.fill().await.unwrap();
        assert_eq!(framed.buffered(), bytes.len());
        assert_eq!(framed.try_frame().unwrap().unwrap().body, "first");
        assert_eq!(framed.peek_frame(), Ok(Some((b'b', &b"second"[..]))));
        assert_eq!(framed.try_frame().unwrap().unwrap().body, "second");
        assert_eq!(framed.peek_frame(), Ok(None));
        assert_eq!(framed.buffered(), 0);
    });
}
