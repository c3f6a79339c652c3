//! Workers that Batch starts, against a strict stand-in for Batch whose containers are processes of this machine.

mod by_hand;
mod doubt;
mod kills;
mod lost_containers;
mod no_workers;
mod outage;
mod refused;
mod shared_out;

use outport_tests::servers::fake_batch::FakeBatch;
use outport_tests::servers::openssh::{Config, OpenSsh};
use outport_tests::site::{Partner, Site, Up};
use serde_json::Value;

/// A marker that may stand nowhere in a job.
const SECRET: &str = "a-word-that-no-job-may-have";

/// An installation whose work is done by workers of Batch, its Batch, and a partner.
struct Yard {
    site: Site,
    batch: FakeBatch,
    server: OpenSsh,
}

impl Yard {
    /// `transform` and `send`: who does it. More settings may follow.
    fn new(transform: &str, send: &str, more: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::on(Site::on_postgres()?, transform, send, more)
    }

    /// The same with an installation that is there.
    fn on(site: Site, transform: &str, send: &str, more: &[(&str, &str)]) -> anyhow::Result<Self> {
        let server = OpenSsh::start(Config::default())?;
        let mut site = site
            .with("OUTPORT_EXECUTOR_TRANSFORM", transform)
            .with("OUTPORT_EXECUTOR_SEND", send)
            .with("OUTPORT_AWS_REGION", "us-east-1")
            .with("A_SECRET_OF_THE_PARTNER", SECRET)
            .with("AWS_ACCESS_KEY_ID", "outport-test")
            .with("AWS_SECRET_ACCESS_KEY", "no-secret")
            .with("AWS_EC2_METADATA_DISABLED", "true");
        for (name, value) in more {
            site = site.with(name, value);
        }
        let (batch, site) = FakeBatch::of(site)?;
        site.apply(&[Partner::at("acme", &server)])?;
        Ok(Self { site, batch, server })
    }

    /// The runs as `outport worker list` shows them, oldest first.
    fn runs(&self) -> Vec<Value> {
        let Value::Array(mut runs) = self.site.json(["worker", "list", "--limit", "1000"]).unwrap() else {
            panic!("no list");
        };
        runs.reverse();
        runs
    }

    /// Stops the engine, which has to end well, and looks whether all is as it should be.
    fn close(&self, mut up: Up, names: &[&str]) {
        assert_eq!(up.stop(self.site.limit(30)).unwrap().code(), Some(0), "{}", up.log());
        self.assert_clean(names);
    }

    /// What holds for every test here: Batch refused nothing, no job says more than ids, no name was used twice, and the ledger
    /// is as it should be.
    fn assert_clean(&self, names: &[&str]) {
        assert_eq!(self.batch.refused(), Vec::<String>::new());
        let mut used = Vec::new();
        for job in self.batch.jobs() {
            let request = job.request.to_string();
            for word in names.iter().chain(&[SECRET, "acme", "password", "postgres"]) {
                assert!(!request.contains(word), "{word} stands in {request}");
            }
            used.push(job.request["jobName"].as_str().unwrap().to_owned());
        }
        let all = used.len();
        used.sort();
        used.dedup();
        assert_eq!(used.len(), all, "a name was used twice: {used:?}");
        self.site.assert_invariants().unwrap();
    }
}

/// How many transforms and deliveries a log tells of.
fn done(log: &str) -> (usize, usize) {
    (log.matches("transform succeeded").count(), log.matches("\"message\":\"delivered\"").count())
}

/// `size` bytes of records, and as many records as that takes.
fn records(size: usize) -> String {
    let line = "{\"claim\":1234567,\"patient\":\"somebody\",\"amount\":12.50,\"note\":\"0123456789012345678901234567890123456789\"}\n";
    line.repeat(size.div_ceil(line.len()))
}

/// What the partner gets of [`records`].
fn records_as_csv(records: &str) -> String {
    let line = "1234567,somebody,12.50,0123456789012345678901234567890123456789\n";
    format!("claim,patient,amount,note\n{}", line.repeat(records.lines().count()))
}
