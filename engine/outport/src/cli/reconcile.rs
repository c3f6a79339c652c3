//! `outport reconcile`: what a bucket of S3 holds and the ledger does not know.

use clap::Args;
use jiff::Timestamp;
use outport_core::event::EventSource;
use outport_core::replay::When;
use outport_core::{Fault, Millis, code};
use outport_store::enqueue::Arrival;
use outport_store::replay::plan::clock;
use serde::Serialize;

use super::Shape;
use super::database::existing_store;
use crate::config::{Config, Roots};
use crate::output::{self, Format};
use crate::reconcile::{Comparison, Scope, TakenIn, Tally};

/// Files that a plan names; the tally counts all.
const SHOWN: usize = 50;

#[derive(Debug, Args)]
pub struct ReconcileArgs {
    /// s3://BUCKET or s3://BUCKET/PREFIX
    place: String,
    /// Only what was last changed since then: 2h, or a time with its zone
    #[arg(long, value_name = "TIME")]
    since: String,
    /// Take in what is missed; without this it is only shown
    #[arg(long)]
    start: bool,
    #[command(flatten)]
    shape: Shape,
}

#[derive(Debug, Serialize)]
struct Report {
    bucket: String,
    prefix: String,
    since: String,
    #[serde(flatten)]
    tally: Tally,
    /// The first of those that were missed.
    files: Vec<Missed>,
    /// What became of them, with `--start`.
    #[serde(skip_serializing_if = "Option::is_none")]
    started: Option<TakenIn>,
}

#[derive(Debug, Serialize)]
struct Missed {
    key: String,
    version: String,
    size_bytes: u64,
    modified_at: Option<Millis>,
}

pub async fn run(config: &Config, args: ReconcileArgs) -> Result<(), Fault> {
    let usage = |what: String, hint: &str| Fault::new(&code::USAGE, what).with_hint(hint.to_owned());
    let wrong =
        || usage(format!("{:?} is no place in S3", args.place), "write s3://BUCKET or s3://BUCKET/PREFIX");
    let place = args.place.strip_prefix("s3://").ok_or_else(wrong)?;
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    if bucket.is_empty() {
        return Err(wrong());
    }
    let since: When = args.since.parse()?;
    if !matches!(config.roots()?, Roots::S3 { .. }) {
        return Err(usage(
            "buckets are folders here, and folders are swept all the time (intake.sweep)".into(),
            "to take in what is older than its rule, give the rule a `backfill`",
        ));
    }
    let store = existing_store(config).await?;
    let since = since.moment(clock(&store).await.map_err(|e| e.fault())?);
    let aws = outport_aws::load(&config.aws().access()).await;
    let s3 = outport_aws::S3Store::new(&aws, config.aws().s3());
    let until = Timestamp::now().as_millisecond();
    let scope = Scope { bucket, prefix, since: since.at, until, source: EventSource::Operator };
    let (mut files, mut taken_in) = (Vec::new(), TakenIn::default());
    let mut comparison = Comparison::new(&store, &s3, scope);
    while let Some(missed) = comparison.next().await? {
        let room = SHOWN.saturating_sub(files.len());
        files.extend(missed.iter().take(room).map(shown));
        if args.start {
            taken_in.add(&store, &missed).await?;
        }
    }
    let tally = comparison.tally;
    let report = Report {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        since: since.to_string(),
        tally,
        files,
        started: args.start.then_some(taken_in),
    };
    match args.shape.format() {
        Format::Json => output::json(&report),
        Format::Table => tell(&report),
    }
}

fn shown(arrival: &Arrival) -> Missed {
    Missed {
        key: arrival.event.key.as_str().to_owned(),
        version: arrival.version.as_str().to_owned(),
        size_bytes: arrival.original.size_bytes,
        modified_at: arrival.modified_at,
    }
}

fn tell(report: &Report) -> Result<(), Fault> {
    let rows = report.files.iter().map(|file| {
        let at = file.modified_at.map_or_else(|| "-".into(), output::time);
        vec![file.key.clone(), file.version.clone(), file.size_bytes.to_string(), at]
    });
    output::table(&["key", "version", "bytes", "changed"], rows.collect())?;
    let Tally { listed, other_time, known, left_out, missed } = report.tally;
    let more = usize::try_from(missed).unwrap_or(usize::MAX).saturating_sub(report.files.len());
    if more > 0 {
        output::note(&format!("and {more} more"));
    }
    output::note(&format!(
        "s3://{}/{} since {}: {listed} listed, {other_time} of another time, {known} known, {left_out} left out, {missed} missed",
        report.bucket, report.prefix, report.since
    ));
    match &report.started {
        Some(TakenIn { routed, unrouted, rejected, known }) => output::note(&format!(
            "taken in: {routed} routed, {unrouted} unrouted, {rejected} rejected, {known} known by now"
        )),
        None if missed > 0 => output::note("nothing was changed; the same with --start takes them in"),
        None => {}
    }
    Ok(())
}
