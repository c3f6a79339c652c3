//! Who sends: the tasks of the service, and workers that Batch starts by the engine's own rules.

use outport_core::batch::{self, Demand, Sizing, requests, workers_wanted};

use crate::chance::Chance;
use crate::cost::{Prices, Size};

/// Tasks of the service that send all day.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    pub tasks: u32,
    pub size: Size,
    /// Until a task takes work after it was started, in seconds.
    pub start_s: i64,
}

/// Workers of Batch, and how it is decided about them.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    pub sizing: Sizing,
    pub size: Size,
    /// From the request to the first file, in seconds.
    pub start_s: (f64, f64),
    /// How long a worker takes work (`worker send --for 4m`), in seconds.
    pub work_s: i64,
    /// Between two looks at what is due, in seconds.
    pub round_s: i64,
    /// What is younger is left to the service, in seconds.
    pub older_than_s: i64,
    /// Requests of a round at most.
    pub requests_a_round: usize,
}

/// How much one process does, whatever started it.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    /// `workers.sends`: deliveries in flight at a time.
    pub places: u32,
    /// CPU that a delivery takes, in ms.
    pub cpu_ms: f64,
}

impl Process {
    fn files_per_second(&self, size: Size) -> f64 {
        size.vcpu * 1_000.0 / self.cpu_ms
    }

    /// One lane gets three quarters of a process's places (`sender::share`).
    fn share(&self) -> f64 {
        f64::from((self.places * 3 / 4).max(1))
    }
}

/// A process that takes work in this second.
#[derive(Debug, Clone, Copy)]
pub struct Running {
    pub id: u32,
    pub is_batch: bool,
    pub places: f64,
    /// Of them for one lane.
    pub lane: f64,
    pub files_per_second: f64,
}

/// What Batch was asked for and did.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// SubmitJob.
    pub requests: u64,
    pub most_requests_in_a_second: usize,
    pub containers: u64,
    /// Running at once.
    pub most_workers: u32,
    /// Running or waiting for a machine.
    pub most_asked_for: u32,
    pub dollars: f64,
    /// Places of its workers that were there, and that had a file, each for a second.
    pub place_seconds: f64,
    pub used_place_seconds: f64,
}

/// One worker of Batch: when it begins and ends to take work.
#[derive(Debug)]
struct Worker {
    id: u32,
    starts_at: i64,
    ends_at: i64,
}

/// One request: a job, or an array of them. Over when its last worker is.
#[derive(Debug)]
struct Run {
    workers: Vec<Worker>,
}

#[derive(Debug)]
pub struct Workers {
    service: Service,
    batch: Batch,
    process: Process,
    prices: Prices,
    runs: Vec<Run>,
    service_from: i64,
    /// Of a worker of Batch; the tasks of the service have those below.
    next_id: u32,
    pub totals: Totals,
}

impl Workers {
    pub fn new(service: Service, batch: Batch, process: Process, prices: Prices) -> Self {
        let (runs, totals) = (Vec::new(), Totals::default());
        Self { service, batch, process, prices, runs, service_from: 0, next_id: service.tasks, totals }
    }

    pub fn is_round(&self, now: i64) -> bool {
        now % self.batch.round_s == 0
    }

    /// What is due since before then is for workers of Batch, too.
    pub fn older_than(&self, now: i64) -> i64 {
        now - self.batch.older_than_s
    }

    /// One look at what is due: asks for what is missing.
    pub fn round(&mut self, demand: Demand, now: i64, chance: &mut Chance) {
        self.runs.retain(|run| run.workers.iter().any(|worker| worker.ends_at > now));
        let mut sizes = requests(workers_wanted(demand, self.asked_for(now), self.batch.sizing));
        sizes.truncate(self.batch.requests_a_round);
        for size in &sizes {
            let workers = (0..*size).map(|_| {
                let start_s = chance.between(self.batch.start_s);
                self.totals.dollars +=
                    self.prices.container(self.batch.size, start_s + self.batch.work_s as f64);
                let starts_at = now + start_s as i64;
                self.next_id += 1;
                Worker { id: self.next_id, starts_at, ends_at: starts_at + self.batch.work_s }
            });
            self.runs.push(Run { workers: workers.collect() });
            self.totals.containers += u64::from(*size);
        }
        self.totals.requests += sizes.len() as u64;
        self.totals.most_requests_in_a_second = self.totals.most_requests_in_a_second.max(sizes.len());
        self.totals.most_asked_for = self.totals.most_asked_for.max(self.asked_for(now).all());
    }

    fn asked_for(&self, now: i64) -> batch::Workers {
        let mut all = batch::Workers::default();
        for worker in self.runs.iter().flat_map(|run| &run.workers).filter(|worker| worker.ends_at > now) {
            match worker.starts_at > now {
                true => all.starting += 1,
                false => all.taking += 1,
            }
        }
        all
    }

    /// The region is gone, and all that ran in it. What was asked for is paid all the same.
    pub fn lost(&mut self, until: i64) {
        self.runs.clear();
        self.service_from = until + self.service.start_s;
    }

    /// Those that take work now.
    pub fn running(&self, now: i64) -> Vec<Running> {
        let of = |id, is_batch, size| Running {
            id,
            is_batch,
            places: f64::from(self.process.places),
            lane: self.process.share(),
            files_per_second: self.process.files_per_second(size),
        };
        let tasks = if now < self.service_from { 0 } else { self.service.tasks };
        let workers = self.runs.iter().flat_map(|run| &run.workers);
        let workers = workers.filter(|worker| (worker.starts_at..worker.ends_at).contains(&now));
        let service = (0..tasks).map(|id| of(id, false, self.service.size));
        service.chain(workers.map(|worker| of(worker.id, true, self.batch.size))).collect()
    }

    /// Keeps the account of a second in which so many places of workers of Batch had a file. How many of them ran.
    pub fn used(&mut self, running: &[Running], places: f64) -> u32 {
        let there: f64 = running.iter().filter(|one| one.is_batch).map(|one| one.places).sum();
        self.totals.place_seconds += there;
        self.totals.used_place_seconds += places;
        let workers = running.iter().filter(|one| one.is_batch).count();
        let workers = u32::try_from(workers).unwrap_or(u32::MAX);
        self.totals.most_workers = self.totals.most_workers.max(workers);
        workers
    }

    /// What the service costs in so many seconds.
    pub fn service_dollars(&self, seconds: i64) -> f64 {
        f64::from(self.service.tasks) * self.prices.container(self.service.size, seconds as f64)
    }
}
