//! Runs transforms: original in, artifact out, streamed.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use outport_core::{Fault, code};
use outport_objects::Expected;
use outport_store::claim_sends::ArtifactRow;
use outport_store::claim_transforms::{self, ClaimedTransform, Wanted};
use outport_store::finish_transform::{self, Failure, Output, Rejects};
use outport_transform::{About, Finish, Summary, Transform};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::leases::{Held, Leases};
use super::{after_failure, drained};
use crate::crash_point::{self, Point};
use crate::engine::{Engine, ours};

pub async fn run(engine: Arc<Engine>, leases: Arc<Leases>, wanted: Wanted) -> Result<(), Fault> {
    let room = Arc::new(Semaphore::new(usize::from(engine.workers.transforms)));
    let mut running = JoinSet::new();
    let mut failures = 0;
    while !engine.is_closed() {
        while running.try_join_next().is_some() {}
        let free = u32::try_from(room.available_permits()).unwrap_or(u32::MAX);
        let claiming = Leases::claiming();
        let claimed = if free == 0 {
            Ok(Vec::new())
        } else {
            claim_transforms::claim_wanted(&engine.store, engine.worker, wanted, free, &engine.timing).await
        };
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => {
                let fault = error.fault();
                tracing::warn!(code = fault.code.name, "{fault}");
                failures += 1;
                engine.pause(after_failure(failures)).await;
                continue;
            }
        };
        failures = 0;
        let full = claimed.len() >= free as usize;
        for work in claimed {
            let held = leases.claimed(&claiming, work.transform_id.uuid(), work.lease);
            let (engine, permit) = (engine.clone(), room.clone().acquire_owned().await);
            running.spawn(async move {
                one(&engine, &work, &held).await;
                drop(permit);
                // Its deliveries may be due, and there is room for another transform.
                engine.bells.send.notify_one();
                engine.bells.transform.notify_one();
            });
        }
        if full && free > 0 {
            continue;
        }
        tokio::select! {
            () = engine.bells.transform.notified() => {}
            () = engine.closed() => {}
        }
    }
    if !drained(&engine, &mut running).await {
        tracing::warn!(
            transforms = running.len(),
            "gave up waiting for running transforms; they begin anew elsewhere"
        );
    }
    Ok(())
}

/// What has to be recorded of a transform.
enum Ending {
    Succeeded(Output),
    Failed(Failure),
}

async fn one(engine: &Engine, work: &ClaimedTransform, held: &Held) {
    let (transform, file) = (work.transform_id, work.file_id);
    let key = engine.shown(&work.file_key);
    let ending = match transformed(engine, work, held).await {
        Ok(output) => {
            tracing::info!(%transform, %file, key, size_bytes = output.size_bytes, records = output.records,
                "transform succeeded");
            crash_point::reached(Point::AfterTransform);
            Ending::Succeeded(output)
        }
        Err(fault) if fault.code == &code::LEASE_LOST => {
            engine.metrics.leases_lost.inc();
            tracing::warn!(%transform, "stopped: the lease is lost");
            return;
        }
        Err(fault) => {
            let told = engine.told(&fault);
            tracing::warn!(%transform, %file, key, code = fault.code.name, "transform failed: {told}");
            Ending::Failed(Failure::judge(fault, work.attempts, &engine.timing, rand::random()))
        }
    };
    record(engine, work, held, &ending).await;
}

/// Records an end, again and again while the database is away and the lease is ours. Given up, the lease runs out and
/// somebody does it again: slower, but nothing is lost. A loser's output stays, in case an earlier try was recorded and
/// only its answer was lost; what is nobody's is collected later.
async fn record(engine: &Engine, work: &ClaimedTransform, held: &Held, ending: &Ending) {
    let (store, transform, lease) = (&engine.store, work.transform_id, work.lease);
    let mut failures = 0;
    while held.is_live() {
        let recorded = match ending {
            Ending::Succeeded(output) => finish_transform::succeed(store, transform, lease, output).await,
            Ending::Failed(failure) => finish_transform::fail(store, transform, lease, failure).await,
        };
        match recorded {
            Ok(true) => {
                crash_point::reached(Point::AfterTransformRecorded);
                engine.metrics.transforms_ended.inc();
                return;
            }
            Ok(false) => {
                engine.metrics.leases_lost.inc();
                return;
            }
            Err(error) => {
                let fault = error.fault();
                tracing::error!(%transform, code = fault.code.name, "{fault}");
                failures += 1;
                tokio::time::sleep(after_failure(failures)).await;
            }
        }
    }
    engine.metrics.leases_lost.inc();
    tracing::warn!(%transform, "the end was not recorded: the lease is lost");
}

/// Threads for one transform: the machine's, shared by as many as may run at once.
fn threads(engine: &Engine) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (cores / usize::from(engine.workers.transforms).max(1)).max(1)
}

async fn transformed(engine: &Engine, work: &ClaimedTransform, held: &Held) -> Result<Output, Fault> {
    let mut transform = outport_transform::build(&work.kind, &work.params)?;
    transform.use_threads(threads(engine));
    let run_time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    transform.about(&About { source_key: work.file_key.clone(), run_time });
    // Names transform, generation and lease, so that two workers never write one object.
    let name =
        format!("{}-{}-{}", work.transform_id.uuid().simple(), work.generation, work.lease.uuid().simple());
    let (bucket, key) = engine.storage.output(&name);
    let rejects_key = format!("{key}.rejects.ndjson");
    let mut drafts = Drafts {
        output: Draft::new(engine, &bucket, &key),
        rejects: Draft::new(engine, &bucket, &rejects_key),
    };
    drafts.output.begin().await?;
    let summary = match stream(engine, &work.original, Working::new(transform), &mut drafts, held).await {
        Ok(summary) => summary,
        Err(fault) => {
            drafts.abort().await;
            return Err(fault);
        }
    };
    let rejects = match drafts.rejects.is_begun() {
        false => None,
        true => {
            let stored = drafts.rejects.finish().await?;
            tracing::warn!(transform = %work.transform_id, records = summary.rejected, key = rejects_key,
                "records were bad and are kept apart");
            Some(Rejects {
                key: rejects_key.clone(),
                etag: stored.etag,
                size_bytes: stored.size_bytes,
                sha256: stored.sha256,
                records: summary.rejected,
            })
        }
    };
    let stored = drafts.output.finish().await?;
    Ok(Output {
        bucket,
        key,
        etag: stored.etag,
        size_bytes: stored.size_bytes,
        sha256: stored.sha256,
        records: summary.records.map(|records| records - summary.rejected),
        rejects,
    })
}

async fn stream(
    engine: &Engine,
    original: &ArtifactRow,
    mut working: Working,
    drafts: &mut Drafts<'_>,
    held: &Held,
) -> Result<Summary, Fault> {
    loop {
        let expected = Expected { version: original.version_id.clone(), etag: original.etag.clone() };
        let mut reader =
            engine.artifacts().open(&original.bucket, &original.key, expected).await.map_err(ours)?;
        while let Some(mut piece) = reader.next().await? {
            if !held.is_live() {
                return Err(Fault::new(&code::LEASE_LOST, "another worker took this transform over"));
            }
            while !piece.is_empty() {
                let rest = piece.clone();
                let taken;
                (working, taken) = working.step(move |transform, out| transform.push(&rest, out)).await?;
                piece.advance(taken);
                working.flush(drafts).await?;
            }
        }
        loop {
            let finish;
            (working, finish) = working.step(|transform, out| transform.finish(out)).await?;
            working.flush(drafts).await?;
            match finish {
                Finish::More => {}
                Finish::Again => {
                    drafts.start_over().await?;
                    break;
                }
                Finish::Done(summary) => return Ok(summary),
            }
        }
    }
}

/// What a transform writes, while nobody sees it yet.
struct Drafts<'a> {
    output: Draft<'a>,
    /// Begun with the first record that is left out.
    rejects: Draft<'a>,
}

impl Drafts<'_> {
    /// Nothing of what was written is left; the output begins anew.
    async fn start_over(&mut self) -> Result<(), Fault> {
        self.rejects.give_up().await?;
        self.output.give_up().await?;
        self.output.begin().await
    }

    /// The fault of the input is what counts, also when what is half written could not be removed.
    async fn abort(&mut self) {
        for draft in [&mut self.output, &mut self.rejects] {
            if let Err(left) = draft.give_up().await {
                tracing::warn!(code = left.code.name, "{left}");
            }
        }
    }
}

/// An object that nobody sees yet, and that may have to be written anew.
struct Draft<'a> {
    engine: &'a Engine,
    bucket: &'a str,
    key: &'a str,
    writer: Option<Box<dyn outport_objects::ObjectWriter>>,
}

impl<'a> Draft<'a> {
    fn new(engine: &'a Engine, bucket: &'a str, key: &'a str) -> Self {
        Self { engine, bucket, key, writer: None }
    }

    fn is_begun(&self) -> bool {
        self.writer.is_some()
    }

    async fn begin(&mut self) -> Result<(), Fault> {
        self.writer = Some(self.engine.artifacts().create(self.bucket, self.key).await.map_err(ours)?);
        Ok(())
    }

    async fn give_up(&mut self) -> Result<(), Fault> {
        match self.writer.take() {
            Some(writer) => writer.abort().await,
            None => Ok(()),
        }
    }

    async fn write(&mut self, piece: Bytes) -> Result<(), Fault> {
        match &mut self.writer {
            Some(writer) => writer.write(piece).await,
            None => Err(not_begun()),
        }
    }

    async fn finish(&mut self) -> Result<outport_objects::Stored, Fault> {
        match self.writer.take() {
            Some(writer) => writer.finish().await,
            None => Err(not_begun()),
        }
    }
}

fn not_begun() -> Fault {
    Fault::new(&code::OBJECT_STORE_FAILED, "could not write the transform's output: it was given up before")
}

/// A transform and what it has put out, on their way between this task and the blocking threads.
///
/// A piece of the input is 256 KiB, about a millisecond of work: too much for a thread on which others wait.
/// `block_in_place` would be shorter, but with it tokio 1.54.1 now and then leaves tasks lying that are due: the engine stood
/// still until a limit of 30 s ran out (docs/decisions/0016).
struct Working {
    transform: Box<dyn Transform>,
    out: Vec<u8>,
}

impl Working {
    fn new(transform: Box<dyn Transform>) -> Self {
        Self { transform, out: Vec::new() }
    }

    /// Does one step on a blocking thread.
    async fn step<T: Send + 'static>(
        mut self,
        step: impl FnOnce(&mut dyn Transform, &mut Vec<u8>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<(Self, T), Fault> {
        let stepped = tokio::task::spawn_blocking(move || {
            let done = step(&mut *self.transform, &mut self.out)?;
            Ok((self, done))
        });
        let panicked =
            |error| Fault::new(&code::ENGINE_PANIC, format!("a transform ended by a bug: {error}"));
        stepped.await.map_err(panicked)?
    }

    async fn flush(&mut self, drafts: &mut Drafts<'_>) -> Result<(), Fault> {
        let mut rejects = Vec::new();
        self.transform.take_rejects(&mut rejects);
        if !rejects.is_empty() {
            if !drafts.rejects.is_begun() {
                drafts.rejects.begin().await?;
            }
            drafts.rejects.write(Bytes::from(rejects)).await?;
        }
        if self.out.is_empty() {
            return Ok(());
        }
        drafts.output.write(Bytes::from(std::mem::take(&mut self.out))).await
    }
}
