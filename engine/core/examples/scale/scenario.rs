//! What is simulated. Each number is an assumption or a measurement; docs/SCALE.md says which.

use outport_core::batch::Sizing;
use outport_core::settings::EndpointSettings;

use crate::arrivals::Shape;
use crate::cost;
use crate::workers::{Batch, Process, Service};

const HOUR: i64 = 3_600;

/// Who is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    /// Three of ten partners, the largest among them: nobody answers there.
    Partners,
    /// Ours: nothing runs, and events gather in the queue.
    Ours,
}

/// When. The end is not part of it; seconds of the day.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    pub region: Region,
    pub from: i64,
    pub until: i64,
}

/// How much the database does when it does nothing else.
#[derive(Debug, Clone, Copy)]
pub struct Ledger {
    /// Deliveries a second, claimed, sent and ended.
    pub deliveries: f64,
    /// Files a second, recorded with all that they owe.
    pub files: f64,
}

impl Ledger {
    /// One that is so many times as fast.
    pub fn times(self, factor: f64) -> Self {
        Self { deliveries: self.deliveries * factor, files: self.files * factor }
    }

    /// Deliveries a second when each file has so many, and both are done all the time.
    pub fn both(self, deliveries_per_file: f64) -> f64 {
        1.0 / (1.0 / (self.files * deliveries_per_file) + 1.0 / self.deliveries)
    }
}

/// docs/decisions/0015, the slower day: 2 cores, shared with the workers.
pub const MEASURED: Ledger = Ledger { deliveries: 1_695.0, files: 401.0 };

#[derive(Debug, Clone)]
pub struct Scenario {
    pub seed: u64,
    pub endpoints: usize,
    /// In one day.
    pub deliveries: u64,
    /// Subscriptions of a file.
    pub deliveries_per_file: f64,
    pub shape: Shape,
    /// Power of the rank by which endpoints get less (Zipf).
    pub skew: f64,
    /// Each so many-th endpoint gets its files each quarter of an hour, the others as they come.
    pub gathered: usize,
    /// How long a file takes to send, by endpoint, in seconds.
    pub file_s: (f64, f64),
    pub settings: EndpointSettings,
    pub outage: Option<Outage>,
    pub ledger: Ledger,
    pub process: Process,
    pub service: Service,
    pub batch: Batch,
}

impl Scenario {
    /// 1,000 endpoints and 20 million deliveries in an office's day.
    pub fn large(seed: u64) -> Self {
        Self {
            seed,
            endpoints: 1_000,
            deliveries: 20_000_000,
            deliveries_per_file: 4.0,
            shape: Shape::Office,
            skew: 0.8,
            gathered: 5,
            file_s: (0.5, 2.0),
            settings: EndpointSettings::default(),
            outage: None,
            ledger: MEASURED,
            // docs/decisions/0014, the whole engine: 3.5 CPU seconds for 1,000 files of 16 KiB.
            process: Process { places: 64, cpu_ms: 3.5 },
            service: Service { tasks: 16, size: cost::SMALL, start_s: 60 },
            batch: Batch {
                sizing: Sizing { per_worker: 1_000, max_workers: 20 },
                size: cost::MEDIUM,
                start_s: (30.0, 60.0),
                work_s: 240,
                round_s: 10,
                older_than_s: 20,
                requests_a_round: 40,
            },
        }
    }

    /// The same with an hour's outage that begins in the busiest time of the day.
    pub fn with_outage(self, region: Region) -> Self {
        Self { outage: Some(Outage { region, from: 10 * HOUR, until: 11 * HOUR }), ..self }
    }

    /// Whether the endpoint of this rank (from 0) lies in a region that goes down; on a calm day, in that of the partners.
    pub fn is_struck(&self, rank: usize) -> bool {
        let is_ours = self.outage.is_some_and(|outage| outage.region == Region::Ours);
        is_ours || matches!(rank % 10, 0 | 4 | 7)
    }
}
