//! How long a claim takes in a ledger with many settled deliveries, against one with few.

use std::time::Instant;

use anyhow::{Result, ensure};
use outport_core::WorkerId;
use outport_store::claim_sends::{self, ClaimedSend, Limits};
use outport_store::finish_send::{End, Receipt, Report};
use outport_tests::invariants;
use uuid::Uuid;

use crate::backlog::{Copies, Standing, load};
use crate::bed::Bed;
use crate::options::{Kind, Options};
use crate::statistics::percentile;
use crate::table::{Goal, Line, Table};
use crate::world::block_on;
use crate::writes::Writes;

/// Deliveries of one claim.
const PER_CLAIM: u32 = 4;

/// A ledger and the claims timed on it, in milliseconds.
struct Side {
    bed: Bed,
    worker: WorkerId,
    took: Vec<f64>,
}

pub fn measure(options: &Options, table: &mut Table) -> Result<()> {
    for kind in options.databases() {
        block_on(on(kind, options, table))?;
    }
    Ok(())
}

async fn on(kind: Kind, options: &Options, table: &mut Table) -> Result<()> {
    let mut few = side(kind, options, options.few).await?;
    let mut many = side(kind, options, options.many).await?;
    let meter = many.bed.meter().await?;
    for n in 0..options.claims {
        // In turn, and each of them first as often as second.
        let pair = if n % 2 == 0 { [&mut few, &mut many] } else { [&mut many, &mut few] };
        for side in pair {
            side.claim().await?;
        }
    }
    let cost = many.bed.cost(meter).await?;
    for side in [&few, &many] {
        invariants::assert_all(&side.bed.raw).await?;
    }
    let p = |side: &Side, percent| percentile(&side.took, percent);
    table.add(Line {
        what: format!("claim p99 with {} settled / {}", options.many, options.few),
        database: kind.to_string(),
        measured: p(&many, 99.0) / p(&few, 99.0),
        unit: "",
        goal: Goal::AtMost(1.2),
        cost,
        note: format!(
            "p99 {:.1} / {:.1} ms, p50 {:.1} / {:.1} ms of {} claims of {PER_CLAIM}",
            p(&many, 99.0),
            p(&few, 99.0),
            p(&many, 50.0),
            p(&few, 50.0),
            options.claims
        ),
    });
    few.bed.close().await?;
    many.bed.close().await
}

async fn side(kind: Kind, options: &Options, settled: u64) -> Result<Side> {
    let bed = Bed::with_partners(kind, options.lanes, false).await?;
    let copies = |batch, count, standing| Copies { batch, count, subscriptions: "LIKE 'p%'", standing };
    load(&bed.raw, &copies(1, settled, Standing::Delivered)).await?;
    // Half as many again as are claimed, so that no lane runs out.
    let due = options.claims as u64 * u64::from(PER_CLAIM) * 3 / 2;
    load(&bed.raw, &copies(2, due, Standing::Due)).await?;
    bed.settle().await?;
    Ok(Side { bed, worker: WorkerId::from_uuid(Uuid::now_v7()), took: Vec::new() })
}

impl Side {
    /// Times one claim, then ends what it got.
    async fn claim(&mut self) -> Result<()> {
        let limits = Limits { lanes: 16, deliveries: PER_CLAIM, per_lane: PER_CLAIM };
        let began = Instant::now();
        let claim = claim_sends::claim(&self.bed.store, self.worker, limits, &self.bed.timing).await?;
        self.took.push(began.elapsed().as_secs_f64() * 1_000.0);
        ensure!(!claim.sends.is_empty(), "a claim got nothing");
        let writes = Writes::new(&self.bed.store, &self.bed.timing);
        for send in &claim.sends {
            writes.finish(delivered(send)).await?;
        }
        Ok(())
    }
}

fn delivered(send: &ClaimedSend) -> Report {
    Report {
        delivery_id: send.delivery_id,
        endpoint_id: send.endpoint_id,
        lease: send.lease,
        secret_version: Some("v1".into()),
        remote_temp: None,
        duration_ms: 1,
        possible_duplicate: false,
        end: End::Delivered(Receipt {
            remote_final: send.remote_name.clone(),
            size_bytes: send.artifact.size_bytes,
            sha256: send.artifact.sha256.clone().unwrap_or_default(),
            peer_identity: "SHA256:memory".into(),
            agreed: outport_core::ssh::Agreed::default(),
            confirmed_by: "reply",
            fresh_login: false,
        }),
    }
}
