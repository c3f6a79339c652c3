//! Full deliveries a second: claim, stage write, rename, finish.

use anyhow::Result;

use crate::backlog::{Copies, Standing, load};
use crate::bed::{Bed, PAST};
use crate::cost::Cost;
use crate::courier::{Courier, Pace, Partners};
use crate::ledger;
use crate::options::{Kind, Options};
use crate::statistics::{listed, median};
use crate::table::{Goal, Line, Table};
use crate::world::block_on;

/// One ledger, its partners, and what was measured on it.
pub struct Track {
    pub bed: Bed,
    pub partners: Partners,
    pub paces: Vec<Pace>,
    pub cost: Cost,
    /// The model file's deliveries to healthy partners are still to be delivered with the first round.
    owed: u64,
}

impl Track {
    pub fn new(bed: Bed, lanes: u32) -> Self {
        let (partners, paces) = (Partners::default(), Vec::new());
        Self { bed, partners, paces, cost: Cost::default(), owed: u64::from(lanes) }
    }

    /// Adds `options.deliveries` deliveries to the healthy lanes, and measures how they are delivered.
    pub async fn round(&mut self, options: &Options) -> Result<()> {
        let batch = u32::try_from(self.paces.len())? + 1;
        let copies =
            Copies { batch, count: options.deliveries, subscriptions: "LIKE 'p%'", standing: Standing::Due };
        load(&self.bed.raw, &copies).await?;
        self.bed.settle().await?;
        let meter = self.bed.meter().await?;
        let courier = Courier::new(&self.bed, &self.partners, options.places);
        let pace = courier.deliver(options.deliveries + std::mem::take(&mut self.owed)).await?;
        self.cost = self.cost.plus(self.bed.cost(meter).await?);
        eprintln!("  round {batch}: {pace}");
        self.paces.push(pace);
        Ok(())
    }

    /// Deliveries a second, round by round.
    pub fn rates(&self) -> Vec<f64> {
        self.paces.iter().map(|pace| pace.per_s).collect()
    }

    /// Processor time of one delivery in ms, this process and the server's: what a busy machine does not change.
    fn cpu_ms(&self, options: &Options) -> f64 {
        let delivered = options.deliveries as f64 * self.paces.len() as f64;
        (self.cost.own_cpu_s + self.cost.server_cpu_s.unwrap_or_default()) * 1_000.0 / delivered
    }

    /// What explains the rate.
    pub fn note(&self, options: &Options) -> String {
        let of = |value: fn(&Pace) -> f64| median(&self.paces.iter().map(value).collect::<Vec<_>>());
        format!(
            "rounds {}; {:.2} ms CPU and {:.1} statements a delivery, {:.1} deliveries a claim",
            listed(&self.rates(), 0),
            self.cpu_ms(options),
            of(|p| p.statements),
            of(|p| p.per_claim)
        )
    }
}

pub fn measure(options: &Options, table: &mut Table) -> Result<()> {
    block_on(async {
        let mut tracks = Vec::new();
        for kind in options.databases() {
            tracks.push((kind, Track::new(Bed::with_past(kind, options.lanes, false).await?, options.lanes)));
        }
        for _ in 0..options.rounds {
            for (_, track) in &mut tracks {
                track.round(options).await?;
            }
        }
        for (kind, track) in tracks {
            ledger::check(&track.bed, &track.partners, PAST).await?;
            table.add(Line {
                what: format!("full deliveries, {} lanes, {} places", options.lanes, options.places),
                database: kind.to_string(),
                measured: median(&track.rates()),
                unit: "/s",
                goal: Goal::AtLeast(match kind {
                    Kind::Postgres => 2_000.0,
                    Kind::Sqlite => 1_000.0,
                }),
                cost: track.cost,
                note: track.note(options),
            });
            track.bed.close().await?;
        }
        Ok(())
    })
}
