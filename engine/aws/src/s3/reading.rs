//! Reads one exact object in ranges, several at a time, and hands it out in order.
//!
//! Each range is fetched by a task of its own into memory and never waits for whoever reads: so a slow partner neither
//! holds a connection to S3 open nor looks like a stalled server, and a body that breaks off is asked for again from
//! where it broke. (The SDK tries requests again, but not bodies.)

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use outport_core::{Fault, code};
use outport_objects::{Expected, ObjectInfo, ObjectReader, PIECE_BYTES};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use super::act::{Act, Place};
use super::{Shared, bare, millis, quoted, size_of};
use crate::failure::{Failure, causes};

/// How often a body may break off without having brought anything new.
const TRIES: u32 = 3;
/// Wait before the first new try; doubled for each further one.
const PAUSE: Duration = Duration::from_millis(200);

/// Opens the object. The first request brings its first range too, so a small object costs one request.
pub(super) async fn open(
    shared: Arc<Shared>,
    place: Place,
    expected: Expected,
) -> Result<ObjectReader, Fault> {
    let name = place.to_string();
    let mut source = Source { shared, place, exact: expected };
    let range_bytes = source.shared.settings.range_bytes.max(1) as u64;
    let answer = match source.get(Some(0..range_bytes)).await {
        Ok(answer) => answer,
        // There is no first byte: the object is empty.
        Err(failure) if failure.status() == Some(416) => {
            source.get(None).await.map_err(|failure| source.fault(&failure))?
        }
        Err(failure) => return Err(source.fault(&failure)),
    };
    let info = info_of(&answer);
    source.check(&info)?;
    // From here on it is this object and no other, also where nobody asked for an exact one.
    source.exact =
        Expected { version: info.version.clone().or(source.exact.version), etag: info.etag.clone() };
    let first = 0..info.size_bytes.min(range_bytes);
    if answer.content_range().is_none() && info.size_bytes > range_bytes {
        return Err(source.wrong("it answers a request for a range with the whole object"));
    }
    let source = Arc::new(source);
    let mut reading = Reading {
        next: first.end,
        size: info.size_bytes,
        range_bytes,
        source,
        ahead: VecDeque::new(),
        current: Held { bytes: Bytes::new(), _shared: None },
    };
    if !first.is_empty() {
        reading.start(first, Some(answer.body), None);
    }
    let pieces = stream::try_unfold(reading, Reading::step).boxed();
    Ok(ObjectReader::new(name, info, pieces))
}

/// The object that is read.
struct Source {
    shared: Arc<Shared>,
    place: Place,
    exact: Expected,
}

impl Source {
    async fn get(&self, range: Option<Range<u64>>) -> Result<GetObjectOutput, Failure> {
        // HTTP's ranges name their last byte (RFC 9110, section 14.1.2).
        let range = range.map(|range| format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        let request = self.shared.client.get_object().bucket(&self.place.bucket).key(&self.place.key);
        request
            .set_version_id(self.exact.version.clone())
            .set_if_match(self.exact.etag.as_deref().map(quoted))
            .set_range(range)
            .send()
            .await
            .map_err(|error| Failure::of(&error))
    }

    /// Some stores that resemble S3 do not heed If-Match.
    fn check(&self, info: &ObjectInfo) -> Result<(), Fault> {
        let differs = |want: &Option<String>, have: &Option<String>| want.is_some() && want != have;
        let (what, want, have) = if differs(&self.exact.version, &info.version) {
            ("version", &self.exact.version, &info.version)
        } else if differs(&self.exact.etag, &info.etag) {
            ("etag", &self.exact.etag, &info.etag)
        } else {
            return Ok(());
        };
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".into());
        let message = format!(
            "could not read {}: its {what} is {}, recorded was {}",
            self.place,
            text(have),
            text(want)
        );
        Err(Fault::new(&code::ARTIFACT_CHANGED, message))
    }

    fn fault(&self, failure: &Failure) -> Fault {
        let act = if self.exact.version.is_some() { Act::ReadVersion } else { Act::Read };
        self.shared.fault(act, &self.place, failure)
    }

    fn wrong(&self, what: &str) -> Fault {
        Fault::new(&code::OBJECT_STORE_FAILED, format!("could not read {}: {what}", self.place)).with_hint(
            "it is tried again by itself; if it stays, see whether a proxy stands before the store",
        )
    }

    /// All bytes of `range`; `body` is what is already on its way.
    async fn fetch(&self, range: Range<u64>, body: Option<ByteStream>) -> Result<Bytes, Fault> {
        let size = range.end - range.start;
        let mut bytes: Vec<u8> = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        let (mut body, mut tries) = (body, 0);
        loop {
            let had = bytes.len();
            let from = range.start + had as u64;
            let mut pieces = match body.take() {
                Some(body) => body,
                None => self.get(Some(from..range.end)).await.map_err(|failure| self.fault(&failure))?.body,
            };
            let broken = loop {
                match pieces.next().await {
                    Some(Ok(piece)) => bytes.extend_from_slice(&piece),
                    Some(Err(error)) => break causes(&error),
                    None => break "the connection was closed".to_owned(),
                }
                if bytes.len() as u64 > size {
                    return Err(self.wrong("it gives more than the range that it was asked for"));
                }
            };
            if bytes.len() as u64 == size {
                return Ok(bytes.into());
            }
            tries = if bytes.len() > had { 1 } else { tries + 1 };
            if tries >= TRIES {
                let at = range.start + bytes.len() as u64;
                return Err(self.wrong(&format!("it broke off {TRIES} times at byte {at}: {broken}")));
            }
            tracing::debug!(object = %self.place, broken, "a read broke off; it goes on from there");
            tokio::time::sleep(PAUSE * 2u32.pow(tries - 1)).await;
        }
    }
}

/// A range on its way. Dropped, it is given up.
struct Fetch {
    task: JoinHandle<Result<Bytes, Fault>>,
    shared: Option<OwnedSemaphorePermit>,
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A range that is being handed out.
struct Held {
    bytes: Bytes,
    _shared: Option<OwnedSemaphorePermit>,
}

struct Reading {
    source: Arc<Source>,
    ahead: VecDeque<Fetch>,
    current: Held,
    /// Where the next range begins.
    next: u64,
    size: u64,
    range_bytes: u64,
}

impl Reading {
    async fn step(mut self) -> Result<Option<(Bytes, Self)>, Fault> {
        while self.current.bytes.is_empty() {
            self.read_ahead();
            let Some(mut fetch) = self.ahead.pop_front() else { return Ok(None) };
            let bytes = match (&mut fetch.task).await {
                Ok(result) => result?,
                Err(error) => {
                    let message =
                        format!("could not read {}: a task ended early: {error}", self.source.place);
                    return Err(Fault::new(&code::ENGINE_PANIC, message));
                }
            };
            self.current = Held { bytes, _shared: fetch.shared.take() };
            self.read_ahead();
        }
        let piece = self.current.bytes.split_to(PIECE_BYTES.min(self.current.bytes.len()));
        Ok(Some((piece, self)))
    }

    /// Starts ranges: one in any case, more as far as the shared ones reach.
    fn read_ahead(&mut self) {
        let most = self.source.shared.settings.ranges_ahead.max(1);
        while self.next < self.size && self.ahead.len() < most {
            let shared = if self.ahead.is_empty() {
                None
            } else {
                match self.source.shared.ahead.clone().try_acquire_owned() {
                    Ok(permit) => Some(permit),
                    Err(_) => return,
                }
            };
            let end = self.size.min(self.next + self.range_bytes);
            self.start(self.next..end, None, shared);
            self.next = end;
        }
    }

    fn start(&mut self, range: Range<u64>, body: Option<ByteStream>, shared: Option<OwnedSemaphorePermit>) {
        let source = self.source.clone();
        let task = tokio::spawn(async move { source.fetch(range, body).await });
        self.ahead.push_back(Fetch { task, shared });
    }
}

fn info_of(answer: &GetObjectOutput) -> ObjectInfo {
    // `bytes 0-4194303/67108864`: the length of a part of the content is not that of the content.
    let whole = answer.content_range().and_then(|range| range.rsplit('/').next()?.parse().ok());
    ObjectInfo {
        size_bytes: whole.unwrap_or_else(|| size_of(answer.content_length())),
        version: answer.version_id().map(str::to_owned),
        etag: answer.e_tag().map(bare),
        modified_at: millis(answer.last_modified()),
    }
}
