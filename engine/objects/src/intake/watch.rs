//! The loop that brings hints, walks, looks and acknowledgements together. It decides nothing: [`Arrivals`] does.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outport_core::{Millis, timing::millis};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::arrivals::{Arrivals, Rules, Seen, Verdict};
use super::hints::{self, Hint, Hints, Watches};
use super::signature::{Look, look};
use super::spot::{Spot, waits};
use super::ticket::{Fate, Settled, Ticket};
use super::walk::{Walk, Walked};
use super::{Arrived, How, Settings, Signature};
use crate::blocking::blocking;

/// Reports that a consumer may leave lying; then the folders wait.
const REPORTS: usize = 64;
/// Arrived files that may wait for room among the reports, before nothing more is looked at.
const READY: usize = 256;
/// Hints taken together.
const BATCH: usize = 256;

pub(super) struct Watch {
    root: Arc<Path>,
    settings: Settings,
    arrivals: Arrivals,
    started: Instant,
    hints: Hints,
    watches: Watches,
    sweep_now: Arc<Notify>,
    out: mpsc::Sender<Arrived>,
    ready: VecDeque<Arrived>,
    answer: mpsc::UnboundedSender<Settled>,
    settled: mpsc::UnboundedReceiver<Settled>,
    walk_out: mpsc::Sender<Walked>,
    walked: mpsc::Receiver<Walked>,
    new_folders: BTreeSet<PathBuf>,
    listing: bool,
    sweeping: bool,
    /// Hints were lost and those before them are still in the queue: a write among them may have no end.
    gap: bool,
    sweep_at: Instant,
    last_sweep_at: Option<Instant>,
    sweeps: watch::Sender<u64>,
}

/// What the loop woke up for.
enum Woke {
    Room,
    Stopped,
    Settled(Settled),
    Walked(Walked),
    Hints(Vec<Hint>),
    Lost,
    SweepNow,
    SweepDue,
    LookDue,
}

impl Watch {
    pub(super) fn new(
        root: Arc<Path>,
        settings: Settings,
        sweep_now: Arc<Notify>,
    ) -> (Self, mpsc::Receiver<Arrived>, watch::Receiver<u64>) {
        let (hints, watches) = hints::start();
        let (out, arrived) = mpsc::channel(REPORTS);
        let (answer, settled) = mpsc::unbounded_channel();
        let (walk_out, walked) = mpsc::channel(2);
        let (sweeps, swept) = watch::channel(0);
        let now = Instant::now();
        let watch = Self {
            root,
            arrivals: Arrivals::new(Rules::new(settings.quiet)),
            settings,
            started: now,
            hints,
            watches,
            sweep_now,
            out,
            ready: VecDeque::new(),
            answer,
            settled,
            walk_out,
            walked,
            new_folders: BTreeSet::new(),
            listing: false,
            sweeping: false,
            gap: false,
            sweep_at: now,
            last_sweep_at: None,
            sweeps,
        };
        (watch, arrived, swept)
    }

    /// Until nobody can take the reports any more.
    pub(super) async fn run(mut self) {
        loop {
            self.list_new_folders();
            match self.wake().await {
                Woke::Stopped => return,
                Woke::Room => {
                    if let Some(arrived) = self.ready.pop_front() {
                        // There is room, and nobody else sends. When the consumer stopped, the ticket answers.
                        self.out.try_send(arrived).unwrap_or_default();
                    }
                }
                Woke::Settled(settled) => self.settle(settled).await,
                Woke::Walked(Walked::Files(how, files)) => {
                    for (path, signature) in files {
                        self.take(&path, Some(signature), Seen::Found(how));
                    }
                }
                Woke::Walked(Walked::Ended { how, saw_all }) => self.walk_ended(how, saw_all),
                Woke::Hints(hints) => {
                    let drained = hints.len() < BATCH;
                    self.take_hints(hints).await;
                    self.gap &= !drained;
                }
                Woke::Lost => self.events_lost(),
                Woke::SweepNow => self.sweep_at = Instant::now(),
                Woke::SweepDue => self.sweep(),
                Woke::LookDue => self.look_again().await,
            }
        }
    }

    async fn wake(&mut self) -> Woke {
        let room = self.ready.len() < READY;
        let more = room && !self.arrivals.is_crowded();
        let look_at = self.arrivals.next_due().map(|due| self.started + from_millis(due));
        let mut batch = Vec::new();
        tokio::select! {
            room = self.out.reserve(), if !self.ready.is_empty() => if room.is_ok() { Woke::Room } else { Woke::Stopped },
            () = self.out.closed() => Woke::Stopped,
            Some(settled) = self.settled.recv() => Woke::Settled(settled),
            Some(walked) = self.walked.recv(), if more => Woke::Walked(walked),
            1.. = self.hints.queue.recv_many(&mut batch, BATCH), if more => Woke::Hints(batch),
            () = self.hints.lost.notified() => Woke::Lost,
            () = self.sweep_now.notified() => Woke::SweepNow,
            () = sleep_until(self.sweep_at), if !self.sweeping => Woke::SweepDue,
            () = sleep_until(look_at.unwrap_or(self.started)), if room && look_at.is_some() => Woke::LookDue,
        }
    }

    fn now(&self) -> Millis {
        millis(self.started.elapsed())
    }

    /// Brings one look before the arrivals, and reports it if it has arrived.
    fn take(&mut self, path: &Path, signature: Option<Signature>, seen: Seen) {
        if !path.file_name().is_some_and(waits) {
            let verdict = self.arrivals.look(path, signature, seen, self.now());
            self.report(path, signature, verdict);
        }
    }

    fn report(&mut self, path: &Path, signature: Option<Signature>, verdict: Verdict) {
        let (Verdict::Arrived(how), Some(signature)) = (verdict, signature) else { return };
        match Spot::of(&self.root, path) {
            Spot::Below { bucket, key } => {
                let ticket = Ticket::new(self.answer.clone(), path.to_owned(), signature);
                self.ready.push_back(Arrived { bucket, key, path: path.to_owned(), signature, how, ticket });
            }
            // A file beside the buckets, or below a hidden folder.
            _ => self.arrivals.done(path, &signature),
        }
    }

    async fn settle(&mut self, settled: Settled) {
        let Settled { path, signature, fate } = settled;
        match fate {
            Fate::Done => self.arrivals.done(&path, &signature),
            Fate::Released => self.arrivals.release(&path, &signature),
            Fate::LookAgain => {
                self.arrivals.release(&path, &signature);
                self.take_hints(vec![Hint { path, seen: Seen::Found(How::Watch) }]).await;
            }
        }
    }

    /// Looks at each path once, however many hints there are of it: the last one tells how it ended. In the order of the
    /// last ones: files that were renamed into place one after the other arrive so.
    async fn take_hints(&mut self, hints: Vec<Hint>) {
        let mut last = HashMap::new();
        for (n, Hint { path, seen }) in hints.into_iter().enumerate() {
            if seen == Seen::Left {
                self.watches.forget(&path);
            }
            let seen = if self.gap && seen == Seen::Written { Seen::Found(How::Watch) } else { seen };
            last.insert(path, (n, seen));
        }
        let mut paths: Vec<PathBuf> = last.keys().cloned().collect();
        paths.sort_by_key(|path| last.get(path).map(|(n, _)| *n));
        for (path, look) in self.looks(paths).await {
            let Some((_, seen)) = last.get(&path).copied() else { continue };
            match look {
                // Even when it "left" last: another one has its name, or it came back.
                Look::Folder(_) => self.folder_appeared(path),
                Look::File(signature) => self.take(&path, Some(signature), seen),
                _ => self.take(&path, None, seen),
            }
        }
    }

    fn folder_appeared(&mut self, path: PathBuf) {
        match Spot::of(&self.root, &path) {
            Spot::Bucket(_) | Spot::Below { .. } => {
                self.new_folders.insert(path);
            }
            Spot::Root | Spot::Elsewhere => {}
        }
    }

    /// The second looks that are due.
    async fn look_again(&mut self) {
        // What is too much for now is due again at once, when there is room.
        let due = self.arrivals.due(self.now(), READY);
        for (path, look) in self.looks(due).await {
            let signature = match look {
                Look::File(signature) => Some(signature),
                _ => None,
            };
            let verdict = self.arrivals.again(&path, signature, self.now());
            self.report(&path, signature, verdict);
        }
    }

    async fn looks(&mut self, paths: Vec<PathBuf>) -> Vec<(PathBuf, Look)> {
        let looks = blocking(move || {
            Ok(paths.into_iter().map(|path| (look(&path), path)).map(|(l, p)| (p, l)).collect())
        });
        match looks.await {
            Ok(looks) => looks,
            Err(fault) => {
                tracing::error!(code = fault.code.name, "{fault}");
                self.events_lost();
                Vec::new()
            }
        }
    }

    /// The sweep makes good for it, but not more often than files could come to rest.
    fn events_lost(&mut self) {
        self.gap = true;
        self.arrivals.events_lost();
        self.watches.forget_all();
        let soon = self.last_sweep_at.map_or_else(Instant::now, |last| last + self.settings.quiet);
        self.sweep_at = self.sweep_at.min(soon);
    }

    fn sweep(&mut self) {
        let now = Instant::now();
        self.sweeping = true;
        self.last_sweep_at = Some(now);
        self.sweep_at = now + self.settings.sweep;
        self.arrivals.sweep_started();
        let (walk, since) = (self.walk(How::Sweep), self.settings.since.clone());
        walk.start(move |walk| walk.sweep(&since));
    }

    fn list_new_folders(&mut self) {
        if self.listing || self.new_folders.is_empty() {
            return;
        }
        self.listing = true;
        let folders = std::mem::take(&mut self.new_folders).into_iter().collect();
        let (walk, since) = (self.walk(How::Watch), self.settings.since.clone());
        walk.start(move |walk| walk.folders(folders, &since));
    }

    fn walk(&self, how: How) -> Walk {
        Walk { root: self.root.clone(), watches: self.watches.clone(), out: self.walk_out.clone(), how }
    }

    fn walk_ended(&mut self, how: How, saw_all: bool) {
        match how {
            How::Watch => self.listing = false,
            How::Sweep => {
                self.sweeping = false;
                let now = self.now();
                self.arrivals.sweep_ended(saw_all, now);
                self.sweeps.send_modify(|count| *count += 1);
            }
        }
    }
}

fn from_millis(due: Millis) -> std::time::Duration {
    std::time::Duration::from_millis(u64::try_from(due).unwrap_or(0))
}
