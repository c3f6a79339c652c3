//! Healthy lanes, with and without a dead one that has a large backlog.

use anyhow::Result;

use super::deliveries::Track;
use crate::backlog::{Copies, Standing, load};
use crate::bed::{Bed, PAST};
use crate::ledger;
use crate::options::Options;
use crate::statistics::{listed, median};
use crate::table::{Goal, Line, Table};
use crate::world::block_on;

/// No round has this number.
const STUCK_BATCH: u32 = 900;

pub fn measure(options: &Options, table: &mut Table) -> Result<()> {
    for kind in options.databases() {
        block_on(async {
            let mut without = Track::new(Bed::with_past(kind, options.lanes, true).await?, options.lanes);
            let mut with = Track::new(Bed::with_past(kind, options.lanes, true).await?, options.lanes);
            for track in [&mut without, &mut with] {
                // A breaker that tries the dead partner once a second instead of every 15 minutes: harder than real.
                track.bed.timing.breaker = std::time::Duration::from_secs(1);
                track.bed.timing.breaker_max = std::time::Duration::from_secs(1);
            }
            let stuck = Copies {
                batch: STUCK_BATCH,
                count: options.stuck,
                subscriptions: "= 'dead'",
                standing: Standing::Due,
            };
            load(&with.bed.raw, &stuck).await?;
            for round in 0..options.rounds {
                // The machine is not the same from minute to minute: each goes first every other time.
                let mut turns = [&mut without, &mut with];
                if round % 2 == 1 {
                    turns.reverse();
                }
                for track in turns {
                    track.round(options).await?;
                }
            }
            for track in [&without, &with] {
                ledger::check(&track.bed, &track.partners, PAST).await?;
            }
            let ratios: Vec<f64> = with.rates().iter().zip(without.rates()).map(|(a, b)| a / b).collect();
            table.add(Line {
                what: format!("healthy deliveries with {} stuck / without", options.stuck),
                database: kind.to_string(),
                measured: median(&with.rates()) / median(&without.rates()),
                unit: "",
                goal: Goal::AtLeast(0.90),
                cost: with.cost,
                note: format!(
                    "by round {}; {:.0}/s with, {:.0}/s without; {}",
                    listed(&ratios, 2),
                    median(&with.rates()),
                    median(&without.rates()),
                    with.note(options)
                ),
            });
            with.bed.close().await?;
            without.bed.close().await
        })?;
    }
    Ok(())
}
