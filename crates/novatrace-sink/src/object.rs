//! Objects in stores such as S3. Belongs here: uploading in parts while batches come. Does not: the stores
//! themselves, which the crate `object_store` knows.

use std::fmt;
use std::io;
use std::time::Duration;

use object_store::{MultipartUpload, ObjectStoreExt, PutPayload};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use url::Url;

use crate::threads::own;
use crate::{CreateError, Sink};

/// What a part has: stores want 5 MiB at least, of all but the last.
const PART: usize = 8 << 20;
/// Stores take 10,000 parts; after so many they are twice as large.
const DOUBLE_AFTER: usize = 1_000;
/// Parts that are on their way at once; then `write` waits.
const ON_THEIR_WAY: usize = 4;
/// How long a store may take to say that it is there.
const BEGIN: Duration = Duration::from_secs(30);

/// Uploads a trace to an object store while it is recorded, in parts of 8 MiB: `s3://bucket/run.pftrace`,
/// `gs://bucket/run.pftrace`, `az://container/run.pftrace`, or `file:///folder/run.pftrace`.
///
/// Keys and such are taken from the environment, by the names that the stores' own tools have: `AWS_ACCESS_KEY_ID`,
/// `AWS_REGION`, `AWS_ENDPOINT`, `GOOGLE_APPLICATION_CREDENTIALS`, `AZURE_STORAGE_ACCOUNT_NAME` and so on. A request that fails
/// is tried again for some minutes.
///
/// The object is there once [`finish`](Sink::finish) has succeeded, whole or not at all: until then, all batches are
/// [`pending`](Sink::pending). If it fails, what was uploaded is taken back. A program that is killed leaves parts
/// that no one sees but the store's bill; have the store's rules remove them after a day.
pub struct ObjectSink {
    url: String,
    /// With one thread, which moves the bytes.
    runtime: Runtime,
    upload: Box<dyn MultipartUpload>,
    part: Vec<u8>,
    parts: usize,
    on_their_way: JoinSet<object_store::Result<()>>,
    pending: usize,
    stored_bytes: u64,
    is_over: bool,
}

impl ObjectSink {
    /// Begins an upload; an object of that name is replaced when it is complete. Waits until the store has answered.
    ///
    /// # Errors
    ///
    /// [`CreateError::Io`], with what the store says: there is no such bucket, the keys are missing or wrong, it is
    /// no URL of a store.
    pub fn create(url: &str) -> Result<Self, CreateError> {
        let fail = |source| CreateError::Io { path: url.into(), source };
        let parsed = Url::parse(url).map_err(|error| fail(io::Error::other(error)))?;
        let options = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)));
        let (store, path) = object_store::parse_url_opts(&parsed, options)
            .map_err(|error| fail(io::Error::other(error)))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("novatrace-send")
            .on_thread_start(own)
            .enable_all()
            .build()
            .map_err(fail)?;
        let begun = runtime
            .block_on(async { tokio::time::timeout(BEGIN, store.put_multipart(&path)).await });
        let upload = match begun {
            Ok(upload) => upload.map_err(|error| fail(io::Error::other(error)))?,
            Err(_) => {
                return Err(fail(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the store does not answer",
                )));
            }
        };
        Ok(Self {
            url: url.to_owned(),
            runtime,
            upload,
            part: Vec::with_capacity(PART),
            parts: 0,
            on_their_way: JoinSet::new(),
            pending: 0,
            stored_bytes: 0,
            is_over: false,
        })
    }

    /// Sends the part there is.
    fn send(&mut self) -> io::Result<()> {
        let part = std::mem::take(&mut self.part);
        self.parts += 1;
        self.stored_bytes += part.len() as u64;
        let sent = self.upload.put_part(PutPayload::from(part));
        self.on_their_way.spawn_on(sent, self.runtime.handle());
        self.wait_for_fewer_than(ON_THEIR_WAY)
    }

    /// Waits until fewer parts are on their way.
    fn wait_for_fewer_than(&mut self, parts: usize) -> io::Result<()> {
        while self.on_their_way.len() >= parts
            && let Some(sent) = self.runtime.block_on(self.on_their_way.join_next())
        {
            sent.map_err(io::Error::other)?.map_err(io::Error::other)?;
        }
        Ok(())
    }

    /// Of an error, everything is taken back.
    fn or_abort(&mut self, outcome: io::Result<()>) -> io::Result<()> {
        if outcome.is_err() {
            self.abort();
        }
        outcome
    }

    fn abort(&mut self) {
        self.is_over = true;
        self.part = Vec::new();
        self.stored_bytes = 0;
        let Self { runtime, upload, on_their_way, .. } = self;
        // Without them there is nobody to tell: the first error is the one.
        let _ = runtime.block_on(async {
            on_their_way.shutdown().await;
            tokio::time::timeout(BEGIN, upload.abort()).await
        });
    }

    fn size_of_part(&self) -> usize {
        PART << (self.parts / DOUBLE_AFTER).min(6)
    }
}

impl Sink for ObjectSink {
    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        if self.is_over {
            return Err(io::Error::other("the upload is over"));
        }
        self.part.extend_from_slice(batch);
        if self.part.len() >= self.size_of_part() {
            let sent = self.send();
            self.or_abort(sent)?;
        }
        self.pending += 1;
        Ok(())
    }

    fn pending(&self) -> usize {
        self.pending
    }

    /// Nothing has been stored before all has.
    fn stored_bytes(&self) -> Option<u64> {
        Some(if self.pending == 0 { self.stored_bytes } else { 0 })
    }

    /// Does not wait: there is no object before [`finish`](Sink::finish).
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.is_over {
            return Ok(());
        }
        let done = self.send().and_then(|()| self.wait_for_fewer_than(1)).and_then(|()| {
            let done = self.runtime.block_on(self.upload.complete());
            done.map(drop).map_err(io::Error::other)
        });
        self.or_abort(done)?;
        self.is_over = true;
        self.pending = 0;
        Ok(())
    }
}

impl Drop for ObjectSink {
    fn drop(&mut self) {
        if !self.is_over {
            self.abort();
        }
    }
}

impl fmt::Debug for ObjectSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectSink").field("url", &self.url).finish_non_exhaustive()
    }
}
