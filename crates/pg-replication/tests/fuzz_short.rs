//! The fuzz targets of `fuzz/` for two seconds, without a fuzzer: seeded mutations of real messages.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::panic::catch_unwind;

use pg_replication::fuzzing;

const SEED: u64 = 0x5EED_0F0C_DC0D_E5EA;
const ITERATIONS: u32 = 800_000;

/// Values that lengths and counts break at.
const EDGES: [[u8; 4]; 8] = [
    [0, 0, 0, 0],
    [0, 0, 0, 1],
    [0, 0, 0, 3],
    [0, 0, 0, 4],
    [0, 0, 0x20, 0],
    [0x7F, 0xFF, 0xFF, 0xFF],
    [0x80, 0, 0, 0],
    [0xFF, 0xFF, 0xFF, 0xFF],
];

/// The messages in `fixtures/pgoutput.hex`.
fn messages() -> Vec<Vec<u8>> {
    include_str!("fixtures/pgoutput.hex")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let digits = line.as_bytes().chunks(2);
            digits
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect()
        })
        .collect()
}

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

/// Streams as a server sends them, each with the sizes of its pieces in front.
fn streams() -> Vec<Vec<u8>> {
    let header = [&b"w"[..], &[0; 24]].concat();
    let rows: Vec<Vec<u8>> = messages()
        .iter()
        .map(|message| frame(b'd', &[&header[..], message].concat()))
        .collect();
    let start_up = [
        frame(b'R', &[0, 0, 0, 0]),
        frame(b'S', b"server_version\x0015.18\0"),
        frame(b'K', &[0, 0, 0, 1, 0, 0, 0, 2]),
        frame(b'Z', b"I"),
        frame(
            b'T',
            b"\0\x01a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0",
        ),
        frame(b'D', b"\0\x02\0\0\0\x01x\xff\xff\xff\xff"),
        frame(b'C', b"SELECT 1\0"),
        frame(b'N', b"SNOTICE\0VNOTICE\0C00000\0Mhello\0\0"),
        frame(
            b'E',
            b"SERROR\0VERROR\0C55006\0Mslot is active\0Dby PID 1\0\0",
        ),
        frame(b'W', &[0, 0, 0]),
        frame(b'd', &[&b"k"[..], &[0; 17]].concat()),
    ];
    let all = [start_up.concat(), rows.concat()].concat();
    let mut streams: Vec<_> = rows
        .chunks(5)
        .map(|rows| [&[1, 9][..], &rows.concat()].concat())
        .collect();
    streams.push([&[3, 0, 255, 2][..], &start_up.concat()].concat());
    streams.push([&[0][..], &all].concat());
    streams
}

/// Splitmix64: numbers that are the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is above 0.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// One small change to `input`.
    fn mutate(&mut self, input: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let start = self.below(input.len() + 1);
        let end = start + self.below((input.len() - start).min(16) + 1);
        match self.below(6) {
            0 => input.truncate(start),
            1 => drop(input.drain(start..end)),
            2 => input.insert(start, self.byte()),
            3 => {
                for byte in &mut input[start..end] {
                    *byte ^= 1 << self.below(8);
                }
            }
            4 => {
                for (byte, edge) in input.iter_mut().skip(start).zip(self.pick(&EDGES)) {
                    *byte = *edge;
                }
            }
            _ => {
                let other = self.pick(seeds);
                input.truncate(start);
                input.extend_from_slice(&other[self.below(other.len() + 1)..]);
            }
        }
    }
}

/// Feeds mutations of `seeds` to `target`, and gives how often it took one.
fn drive(seeds: &[Vec<u8>], target: fn(&[u8]) -> bool) -> u32 {
    let mut random = Random(SEED);
    let mut taken = 0;
    for iteration in 0..ITERATIONS {
        let mut input = random.pick(seeds).clone();
        for _ in 0..=random.below(4) {
            random.mutate(&mut input, seeds);
        }
        match catch_unwind(|| target(&input)) {
            Ok(took) => taken += u32::from(took),
            Err(_) => panic!("iteration {iteration} broke with input {input:02x?}"),
        }
    }
    taken
}

#[test]
fn seeds_are_what_a_server_sends() {
    let messages = messages();
    let kinds: std::collections::BTreeSet<_> = messages.iter().map(|message| message[0]).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), b"BCDIMORTUY");
    for message in &messages {
        assert!(fuzzing::pgoutput(message), "{message:02x?}");
    }
    let frames: usize = streams()
        .iter()
        .map(|stream| fuzzing::framing(stream))
        .sum();
    assert_eq!(frames, 2 * (messages.len() + 11));
}

#[test]
fn no_message_of_pgoutput_breaks_the_parser() {
    let taken = drive(&messages(), fuzzing::pgoutput);
    assert!(
        (ITERATIONS / 100..ITERATIONS).contains(&taken),
        "{taken} were messages"
    );
}

#[test]
fn no_stream_breaks_the_framing() {
    let taken = drive(&streams(), |data| fuzzing::framing(data) > 0);
    assert!(
        (ITERATIONS / 100..ITERATIONS).contains(&taken),
        "{taken} had frames"
    );
}
