//! The allocator, of librdkafka too.
//!
//! A record is allocated by the thread that reads the stream and freed by one of librdkafka's, which glibc's allocator
//! pays for with a lock and with memory for each thread. What it is set to is in `.cargo/config.toml`.

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;
