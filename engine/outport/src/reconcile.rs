//! Compares buckets of S3 with the ledger: what no event told is found here.

use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use outport_aws::{ListedVersion, S3Store};
use outport_core::event::{EventSource, ObjectEvent};
use outport_core::version::version_of;
use outport_core::{Fault, Millis, ObjectKey};
use outport_store::enqueue::{self, Arrival, Dispatched};
use outport_store::{Store, list};
use outport_transform::output_ext;
use serde::Serialize;

use crate::roles::arrival::{Found, arrival, is_unfinished};

/// Versions that the ledger is asked about at a time.
const BATCH: usize = 500;

/// The tag that a workflow of Transfer Family puts on what a broken upload left behind (deploy/outport.yaml).
const PARTIAL: (&str, &str) = ("outport:upload", "partial");

/// What a comparison came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Object versions listed.
    pub listed: u64,
    /// Last changed before the time from which it looks, or after the one until which it does.
    pub other_time: u64,
    /// In the ledger.
    pub known: u64,
    /// Names or tags of unfinished uploads, and keys that cannot be a file.
    pub left_out: u64,
    /// Not in the ledger.
    pub missed: u64,
}

/// What became of what was missed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TakenIn {
    pub routed: u64,
    pub unrouted: u64,
    pub rejected: u64,
    /// Recorded by somebody else meanwhile.
    pub known: u64,
}

impl TakenIn {
    /// Records files that were missed.
    ///
    /// # Errors
    /// Those of the database; what was not recorded is found again.
    pub async fn add(&mut self, store: &Store, missed: &[Arrival]) -> Result<(), Fault> {
        for missed in missed.chunks(enqueue::TOGETHER) {
            for answer in enqueue::dispatch_all(store, missed, output_ext).await {
                match answer.map_err(|error| error.fault())? {
                    Dispatched::Routed { .. } => self.routed += 1,
                    Dispatched::Unrouted { .. } => self.unrouted += 1,
                    Dispatched::Rejected { .. } => self.rejected += 1,
                    Dispatched::Duplicate { .. } => self.known += 1,
                }
            }
        }
        Ok(())
    }
}

/// Where and what to compare.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    pub bucket: &'a str,
    pub prefix: &'a str,
    /// From when on objects are looked at, by S3's clock.
    pub since: Millis,
    /// What is younger may still have its event on the way.
    pub until: Millis,
    /// How what is missed is said to have come.
    pub source: EventSource,
}

/// A comparison under way.
pub struct Comparison<'a> {
    store: &'a Store,
    s3: &'a S3Store,
    scope: Scope<'a>,
    versions: BoxStream<'static, Result<ListedVersion, Fault>>,
    batch: Vec<(ListedVersion, String)>,
    /// What it came to so far.
    pub tally: Tally,
}

impl<'a> Comparison<'a> {
    /// Nothing is listed yet.
    pub fn new(store: &'a Store, s3: &'a S3Store, scope: Scope<'a>) -> Self {
        let versions = s3.versions(scope.bucket, scope.prefix);
        Self { store, s3, scope, versions, batch: Vec::with_capacity(BATCH), tally: Tally::default() }
    }

    /// Some of what the ledger does not know, the oldest first; `None`: that is all.
    ///
    /// # Errors
    /// Those of S3 and of the database.
    pub async fn next(&mut self) -> Result<Option<Vec<Arrival>>, Fault> {
        loop {
            let next = self.versions.next().await.transpose()?;
            let is_over = next.is_none();
            if let Some(version) = next {
                self.take(version);
            }
            if self.batch.len() == BATCH || is_over {
                let mut missed = self.unknown().await?;
                if !missed.is_empty() {
                    // A listing has the newest version of a key first, and S3 keeps whole seconds: of the same second the last
                    // listed is the oldest.
                    missed.reverse();
                    missed.sort_by_key(|arrival| arrival.modified_at);
                    return Ok(Some(missed));
                }
            }
            if is_over {
                return Ok(None);
            }
        }
    }

    fn take(&mut self, version: ListedVersion) {
        let Tally { listed, other_time, left_out, .. } = &mut self.tally;
        *listed += 1;
        if !(self.scope.since..=self.scope.until).contains(&version.modified_at) {
            *other_time += 1;
            return;
        }
        let name = version_of(version.version.as_deref(), version.etag.as_deref(), None);
        match name {
            Some(name) if !is_unfinished(&version.key) && ObjectKey::new(version.key.clone()).is_ok() => {
                self.batch.push((version, name.as_str().to_owned()));
            }
            _ => *left_out += 1,
        }
    }

    async fn unknown(&mut self) -> Result<Vec<Arrival>, Fault> {
        let bucket = self.scope.bucket;
        let batch = std::mem::take(&mut self.batch);
        let entries: Vec<_> =
            batch.iter().map(|(listed, name)| (bucket, listed.key.as_str(), name.as_str())).collect();
        let known = list::files::known_versions(self.store, &entries).await.map_err(|e| e.fault())?;
        let mut missed = Vec::new();
        for ((listed, _), known) in batch.into_iter().zip(known) {
            if known {
                self.tally.known += 1;
                continue;
            }
            let (name, partial) = PARTIAL;
            let tag = self.s3.tag(bucket, &listed.key, listed.version.as_deref(), name).await?;
            if tag.as_deref() == Some(partial) {
                self.tally.left_out += 1;
                continue;
            }
            self.tally.missed += 1;
            missed.extend(missed_arrival(self.scope, listed));
        }
        Ok(missed)
    }
}

fn missed_arrival(scope: Scope<'_>, listed: ListedVersion) -> Option<Arrival> {
    let event = ObjectEvent {
        bucket: scope.bucket.to_owned(),
        key: ObjectKey::new(listed.key).ok()?,
        version_id: listed.version,
        sequencer: None,
        etag: listed.etag,
        size_bytes: Some(listed.size_bytes),
        event_at: listed.modified_at,
        source: scope.source,
        message_id: None,
    };
    match arrival(event, Some(listed.modified_at)) {
        Found::Arrival(arrival) => Some(*arrival),
        _ => None,
    }
}
