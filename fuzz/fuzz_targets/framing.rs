//! A stream of frames, cut into pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    pg_replication::fuzzing::framing(data);
});
