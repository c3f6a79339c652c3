//! Figures for Prometheus.

use std::sync::Mutex;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Why a record of the intake queue is no arrival.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Ignored {
    pub why: &'static str,
}

/// The process's counters.
pub struct Metrics {
    pub files_dispatched: Counter,
    pub files_duplicate: Counter,
    /// Files that no event told of.
    pub files_missed: Counter,
    /// Messages of the intake queue that no parser knows, each time that one comes.
    pub intake_unreadable: Counter,
    /// Records of the intake queue that are no arrivals.
    pub intake_ignored: Family<Ignored, Counter>,
    pub transforms_ended: Counter,
    pub deliveries_delivered: Counter,
    pub attempts_failed: Counter,
    pub leases_lost: Counter,
    pub rescued: Counter,
    /// Workers of Batch that did not start or did not end well.
    pub worker_runs_failed: Counter,
    /// Lanes that would have slept past their work. Anything but zero is a bug.
    pub lane_corrections: Counter,
    pub bytes_sent: Counter,
    pub sends_in_flight: Gauge,
    statements: Counter,
    registry: Mutex<Registry>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("outport");
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let files_dispatched = counter("files_dispatched", "Files recorded");
        let files_duplicate = counter("files_duplicate", "Sightings of files that were known already");
        let files_missed =
            counter("files_missed", "Files that no event had told of, found by comparing buckets");
        let intake_unreadable = counter(
            "intake_unreadable",
            "Messages of the intake queue that cannot be read, each time one comes",
        );
        let transforms_ended = counter("transforms_ended", "Transforms that succeeded or failed");
        let deliveries_delivered = counter("deliveries_delivered", "Deliveries that ended with a receipt");
        let attempts_failed = counter("attempts_failed", "Attempts that ended with a fault");
        let leases_lost = counter("leases_lost", "Attempts stopped because the lease was lost");
        let rescued = counter("rescued", "Deliveries and transforms freed from vanished workers");
        let worker_runs_failed =
            counter("worker_runs_failed", "Workers of Batch that did not start or did not end well");
        let lane_corrections =
            counter("lane_corrections", "Lanes that would have slept past their work (a bug)");
        let bytes_sent = counter("bytes_sent", "Bytes of delivered files");
        let statements =
            counter("database_statements", "Statements said to the database, BEGIN and COMMIT included");
        let intake_ignored = Family::<Ignored, Counter>::default();
        // A family without a member is not shown at all.
        drop(intake_ignored.get_or_create(&Ignored { why: "unknown_version" }));
        registry.register(
            "intake_ignored",
            "Records of the intake queue that are no arrivals",
            intake_ignored.clone(),
        );
        let sends_in_flight = Gauge::default();
        registry.register("sends_in_flight", "Deliveries in flight", sends_in_flight.clone());
        Self {
            files_dispatched,
            files_duplicate,
            files_missed,
            intake_unreadable,
            intake_ignored,
            transforms_ended,
            deliveries_delivered,
            attempts_failed,
            leases_lost,
            rescued,
            worker_runs_failed,
            lane_corrections,
            bytes_sent,
            sends_in_flight,
            statements,
            registry: Mutex::new(registry),
        }
    }
}

impl Metrics {
    /// The text that Prometheus reads. `statements` is the store's own count.
    pub fn text(&self, statements: u64) -> Result<String, std::fmt::Error> {
        self.statements.inc_by(statements.saturating_sub(self.statements.get()));
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        encode(&mut text, &registry)?;
        Ok(text)
    }
}
