//! The broker's compiler.

use std::time::Duration;

use anyhow::Result;
use cdc_e2e::process::Pid;
use cdc_e2e::services::{Component, Services};

/// What the threads of both compilers of the Java virtual machine are called.
const THREADS: [&str; 2] = ["C1 Compiler", "C2 Compiler"];

/// CPU time of the broker's compiler, which works for as long as the broker meets code that is new to it, or new again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compiler(Pid);

impl Compiler {
    /// Of a broker of our own.
    pub(crate) fn of(services: &Services) -> Result<Self> {
        Ok(Self(services.instance()?.pid(Component::Kafka)?))
    }

    /// So far; less than before after one of its threads has ended.
    pub(crate) fn used(self) -> Result<Duration> {
        THREADS
            .iter()
            .map(|name| self.0.cpu_time_of_threads(name))
            .sum()
    }
}
