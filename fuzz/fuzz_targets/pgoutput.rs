//! One message of pgoutput.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    pg_replication::fuzzing::pgoutput(data);
});
