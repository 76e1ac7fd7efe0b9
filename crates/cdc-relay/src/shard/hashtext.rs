//! PostgreSQL's `hashtext`, for texts whose collation is deterministic: Bob Jenkins' lookup3 with PostgreSQL's seed
//! (`hash_bytes` in `src/common/hashfn.c`), as a little-endian server computes it.
//!
//! It is not part of PostgreSQL's interface and has been the same since 8.4; tests hold it to the server's answers.

/// What `hash_bytes` starts from, less the length.
const SEED: u32 = 0x9e37_79b9_u32.wrapping_add(3_923_095);

/// The state is worked on in pieces of this many bytes.
const BLOCK: usize = 12;

/// The hash of a text's bytes in the server's encoding.
pub(super) fn hashtext(text: &[u8]) -> i32 {
    // As the C code: a text is never longer than 1 GiB.
    #[expect(clippy::cast_possible_truncation, reason = "modulo 2^32 by definition")]
    let start = SEED.wrapping_add(text.len() as u32);
    let mut state = [start; 3];
    let mut blocks = text.chunks_exact(BLOCK);
    for block in &mut blocks {
        add(&mut state, block);
        mix(&mut state);
    }
    add_last(&mut state, blocks.remainder());
    finish(&mut state);
    state[2].cast_signed()
}

fn add(state: &mut [u32; 3], bytes: &[u8]) {
    for (word, bytes) in state.iter_mut().zip(bytes.chunks(4)) {
        let mut whole = [0; 4];
        whole[..bytes.len()].copy_from_slice(bytes);
        *word = word.wrapping_add(u32::from_le_bytes(whole));
    }
}

/// The lowest byte of the third word is reserved for the length, which the start has already.
fn add_last(state: &mut [u32; 3], rest: &[u8]) {
    let (first, last) = rest.split_at(rest.len().min(8));
    add(state, first);
    let mut whole = [0; 4];
    whole[1..=last.len()].copy_from_slice(last);
    state[2] = state[2].wrapping_add(u32::from_le_bytes(whole));
}

fn mix([a, b, c]: &mut [u32; 3]) {
    for (first, second, third) in [(4, 6, 8), (16, 19, 4)] {
        *a = a.wrapping_sub(*c) ^ c.rotate_left(first);
        *c = c.wrapping_add(*b);
        *b = b.wrapping_sub(*a) ^ a.rotate_left(second);
        *a = a.wrapping_add(*c);
        *c = c.wrapping_sub(*b) ^ b.rotate_left(third);
        *b = b.wrapping_add(*a);
    }
}

fn finish([a, b, c]: &mut [u32; 3]) {
    let step = |x: &mut u32, y: u32, turn: u32| *x = (*x ^ y).wrapping_sub(y.rotate_left(turn));
    step(c, *b, 14);
    step(a, *c, 11);
    step(b, *a, 25);
    step(c, *b, 16);
    step(a, *c, 4);
    step(b, *a, 14);
    step(c, *b, 24);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What PostgreSQL 15 answers.
    #[test]
    fn hashes_as_the_server_does() {
        for (text, hash) in [
            ("", -1_477_818_771),
            ("a", 1_075_015_857),
            ("abc", -785_388_649),
            ("0123456789ab", -1_437_215_093),
            ("0123456789abc", -1_125_236_995),
            ("order-17", -1_411_492_936),
            ("Grüße, Welt", -347_365_154),
            (&"x".repeat(1000), -1_157_355_676),
        ] {
            assert_eq!(hashtext(text.as_bytes()), hash, "{text:?}");
        }
    }
}
