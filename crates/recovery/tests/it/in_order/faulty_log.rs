//! A redirect topic whose next step ends in a crash: before it is done, or after.

use std::ops::ControlFlow;
use std::sync::Arc;

use cdc_kafka::Offset;
use redirect_topic::{
    AppendError, Error, KafkaLog, KafkaWriter, Log, LogRecord, LogWriter, SourcePartition,
};

use super::faulty::{FailPoint, Fuse};

pub(super) struct FaultyLog {
    inner: KafkaLog,
    fuse: Arc<Fuse>,
}

pub(super) struct FaultyWriter {
    inner: KafkaWriter,
    fuse: Arc<Fuse>,
}

impl FaultyLog {
    pub(super) const fn new(inner: KafkaLog, fuse: Arc<Fuse>) -> Self {
        Self { inner, fuse }
    }
}

fn crash() -> Error {
    Error::Kafka {
        doing: "crash at",
        topic: "any".to_owned(),
        source: cdc_kafka::Error::Abandoned,
    }
}

impl Log for FaultyLog {
    type Writer = FaultyWriter;

    async fn open(&self, of: &SourcePartition) -> Result<FaultyWriter, Error> {
        let point = self.fuse.fires();
        if point == Some(FailPoint::Before) {
            return Err(crash());
        }
        let inner = self.inner.open(of).await?;
        let fuse = Arc::clone(&self.fuse);
        match point {
            None => Ok(FaultyWriter { inner, fuse }),
            Some(_) => Err(crash()),
        }
    }

    async fn read<T: Send + 'static>(
        &self,
        of: &SourcePartition,
        from: Offset,
        collected: T,
        visit: impl FnMut(&mut T, Offset, LogRecord) -> ControlFlow<()> + Send + 'static,
    ) -> Result<(T, Offset), Error> {
        self.inner.read(of, from, collected, visit).await
    }

    async fn end(&self, of: &SourcePartition) -> Result<Offset, Error> {
        self.inner.end(of).await
    }

    async fn send(&self, of: &SourcePartition, record: LogRecord) -> Result<(), Error> {
        match self.fuse.fires() {
            None => self.inner.send(of, record).await,
            Some(FailPoint::Before) => Err(crash()),
            Some(FailPoint::After) => self.inner.send(of, record).await.and(Err(crash())),
        }
    }
}

impl LogWriter for FaultyWriter {
    async fn append(&mut self, records: &[LogRecord]) -> Result<Vec<Offset>, AppendError> {
        let crash = || Err(AppendError::Unknown(crash()));
        match self.fuse.fires() {
            None => self.inner.append(records).await,
            Some(FailPoint::Before) => crash(),
            Some(FailPoint::After) => self.inner.append(records).await.and_then(|_| crash()),
        }
    }
}
