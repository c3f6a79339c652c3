//! What an hour's outage does to 1,000 endpoints and 20 million deliveries a day, and what containers cost: the tables of
//! docs/SCALE.md.
//!
//! ```sh
//! cargo run --release -p outport-core --example scale                            # prints them
//! cargo run --release -p outport-core --example scale -- --check docs/SCALE.md   # and compares
//! ```

mod arrivals;
mod chance;
mod claims;
mod cost;
mod day;
mod partner;
mod scenario;
mod share;
mod tables;
#[cfg(test)]
mod tests;
mod waits;
mod workers;

use std::process::ExitCode;

use arrivals::Shape;
use day::Day;
use scenario::{Region, Scenario};
use tables::Table;

const USAGE: &str = "usage: scale [--seed NUMBER] [--check FILE]";

struct Options {
    seed: u64,
    check: Option<String>,
}

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self { seed: 1, check: None };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--seed" => options.seed = words.next()?.parse().ok()?,
                "--check" => options.check = Some(words.next()?),
                _ => return None,
            }
        }
        Some(options)
    }
}

fn main() -> ExitCode {
    let Some(options) = Options::read(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let document = match options.check.as_deref().map(std::fs::read_to_string).transpose() {
        Ok(document) => document,
        Err(error) => {
            eprintln!("could not read {}: {error}", options.check.unwrap_or_default());
            return ExitCode::FAILURE;
        }
    };
    let mut differs = false;
    for (title, table) in report(options.seed) {
        let table = table.join("\n");
        println!("{title}\n\n{table}\n");
        if document.as_ref().is_some_and(|document| !document.contains(&table)) {
            eprintln!("the document has another table: {title}");
            differs = true;
        }
    }
    if differs { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn report(seed: u64) -> Vec<(&'static str, Table)> {
    let large = || Scenario::large(seed);
    let run = |scenario: &Scenario| Day::new(scenario).run();
    let both =
        |of: &dyn Fn(Region) -> Scenario| [Region::Partners, Region::Ours].map(|region| run(&of(region)));
    let calm = run(&large());
    let [partners, ours] = both(&|region| large().with_outage(region));
    let runs = tables::runs(&[("calm", &calm), ("partners' region", &partners), ("our region", &ours)]);
    let hours = tables::hours(&partners, &ours);
    let mut variations = vec![("nothing".to_owned(), partners, ours)];
    variations.extend(LEVERS.into_iter().map(|(what, change)| {
        let [partners, ours] = both(&|region| {
            let mut scenario = large().with_outage(region);
            change(&mut scenario);
            scenario
        });
        (what.to_owned(), partners, ours)
    }));
    vec![
        ("What a database does", tables::ledger()),
        ("A million files", tables::costs()),
        ("The day", runs),
        ("Hour by hour", hours),
        ("With one thing changed", tables::levers(&variations)),
    ]
}

type Change = fn(&mut Scenario);

/// What one could change, one by one.
const LEVERS: [(&str, Change); 7] = [
    ("as installed: 2 tasks, `sends_per_worker` 5,000", |s| {
        s.service.tasks = 2;
        s.batch.sizing.per_worker = 5_000;
    }),
    ("8 tasks of the service", |s| s.service.tasks = 8),
    ("no Batch", |s| s.batch.sizing.max_workers = 0),
    ("Batch alone", |s| {
        s.service.tasks = 0;
        s.batch.older_than_s = 0;
    }),
    ("a database twice as fast", |s| s.ledger = s.ledger.times(2.0)),
    ("4 connections, 128 files an endpoint", |s| {
        s.settings.max_connections = 4;
        s.settings.max_files = 128;
    }),
    ("as many files in each hour", |s| s.shape = Shape::Flat),
];
