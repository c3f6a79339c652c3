//! What a child prints, collected by two threads.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One of the two things a program prints to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// How long a stream may stay open after its program ended. Only what the program itself started holds it open then.
const SETTLE: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
struct Printed {
    bytes: Vec<u8>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Both {
    out: Printed,
    err: Printed,
}

impl Both {
    fn stream(&self, stream: Stream) -> &Printed {
        match stream {
            Stream::Out => &self.out,
            Stream::Err => &self.err,
        }
    }

    fn stream_mut(&mut self, stream: Stream) -> &mut Printed {
        match stream {
            Stream::Out => &mut self.out,
            Stream::Err => &mut self.err,
        }
    }
}

/// Everything printed until now, and a way to wait for more.
#[derive(Debug, Clone, Default)]
pub(super) struct Output {
    shared: Arc<(Mutex<Both>, Condvar)>,
}

impl Output {
    /// Begins to collect; the threads end when the streams close.
    pub(super) fn follow(
        out: Option<impl Read + Send + 'static>,
        err: Option<impl Read + Send + 'static>,
    ) -> Self {
        let output = Self::default();
        output.collect(Stream::Out, out);
        output.collect(Stream::Err, err);
        output
    }

    fn collect(&self, stream: Stream, from: Option<impl Read + Send + 'static>) {
        let output = self.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            let mut from = from;
            while let Some(Ok(count @ 1..)) = from.as_mut().map(|from| from.read(&mut buffer)) {
                let read = buffer.get(..count).unwrap_or_default();
                output.lock().stream_mut(stream).bytes.extend_from_slice(read);
                output.shared.1.notify_all();
            }
            output.lock().stream_mut(stream).closed = true;
            output.shared.1.notify_all();
        });
    }

    fn lock(&self) -> MutexGuard<'_, Both> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was printed on `stream`.
    pub(super) fn text(&self, stream: Stream) -> String {
        String::from_utf8_lossy(&self.lock().stream(stream).bytes).into_owned()
    }

    /// The first whole line with `part` in it.
    pub(super) fn wait_for_line(
        &self,
        stream: Stream,
        part: &str,
        limit: Duration,
    ) -> anyhow::Result<String> {
        let found = |both: &Both| {
            let printed = both.stream(stream);
            let text = String::from_utf8_lossy(&printed.bytes);
            let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            whole.map(str::trim_end).find(|line| line.contains(part)).map(str::to_owned)
        };
        self.wait(limit, |both| match found(both) {
            Some(line) => Some(Ok(line)),
            None if both.stream(stream).closed => Some(Err(anyhow::anyhow!("the stream was closed"))),
            None => None,
        })
        .unwrap_or_else(|| Err(anyhow::anyhow!("not within {limit:?}")))
    }

    /// Waits until both streams are closed, so that the last lines of an ended program are there.
    pub(super) fn settle(&self) {
        self.wait(SETTLE, |both| (both.out.closed && both.err.closed).then_some(()));
    }

    fn wait<T>(&self, limit: Duration, mut ready: impl FnMut(&Both) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + limit;
        let mut both = self.lock();
        loop {
            if let Some(answer) = ready(&both) {
                return Some(answer);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            both = self.shared.1.wait_timeout(both, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
