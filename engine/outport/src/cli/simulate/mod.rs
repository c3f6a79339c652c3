//! `outport endpoint simulate`: the retry policy on a virtual clock.

mod tell;

use clap::Args;
use jiff::Timestamp;
use outport_core::settings::{EndpointSettings, RetryPolicy};
use outport_core::simulate::{Outage, Scenario, instant, simulate};
use outport_core::{Class, Code, EndpointId, Fault, Millis, Retry, Timing, code};
use outport_store::{Store, list};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::Shape;
use super::database::existing_store;
use super::read::{found, parsed};
use crate::config::Config;
use crate::nearest::nearest;
use crate::output::{self, Format};

#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// SUBSCRIBER/NAME or id
    name: String,
    /// When it is down: each week or day, in UTC or a named zone, or from an instant to an instant; may be given several times
    #[arg(long = "outage", value_name = "START..END", required = true)]
    outages: Vec<String>,
    /// How many files arrive
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    files: u32,
    /// When the first file arrives, such as 2026-11-20T18:00:00Z [default: when the next outage begins]
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Files a minute [default: all of them at once]
    #[arg(long, value_name = "FILES", value_parser = clap::value_parser!(u32).range(1..=60_000))]
    rate: Option<u32>,
    /// How long one file takes
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    seconds_per_file: f64,
    /// How the endpoint answers while it is down: a code of docs/ERRORS.md
    #[arg(long, value_name = "CODE", default_value = "endpoint.refused")]
    fault: String,
    /// Other chances: the same number gives the same simulation
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    shape: Shape,
}

pub async fn run(config: &Config, args: SimulateArgs) -> Result<(), Fault> {
    let asked = Asked::of(&args)?;
    let store = existing_store(config).await?;
    let endpoint = list::endpoints::show(&store, &args.name).await.map_err(|e| e.fault())?;
    let endpoint = found(endpoint, "endpoint", &args.name)?;
    let settings: EndpointSettings = serde_json::from_value(endpoint.settings)
        .map_err(|error| unreadable(&endpoint.name, &error.to_string()))?;
    let policy = strictest_policy(&store, &endpoint.name).await?;
    let scenario = Scenario {
        from: asked.from,
        outages: &asked.outages,
        fault: asked.fault,
        files: args.files,
        every_ms: args.rate.map_or(0, |rate| 60_000 / Millis::from(rate)),
        file_ms: asked.file_ms,
        settings: &settings,
        policy,
        // Real times, also in an engine that a test has made faster.
        timing: &Timing::default(),
    };
    let mut dice = StdRng::seed_from_u64(args.seed);
    let simulation = simulate(&scenario, || dice.random_range(0.0..1.0));
    match args.shape.format() {
        Format::Json => output::json(&simulation),
        Format::Table => tell::tell(&scenario, &simulation),
    }
}

/// The command line, checked before anything is opened.
struct Asked {
    outages: Vec<Outage>,
    fault: &'static Code,
    from: Millis,
    file_ms: Millis,
}

impl Asked {
    fn of(args: &SimulateArgs) -> Result<Self, Fault> {
        let looks_like_an_id = args.name.starts_with("end_") && !args.name.contains('/');
        if looks_like_an_id {
            parsed::<EndpointId>(&args.name)?;
        }
        let outages: Vec<Outage> =
            args.outages.iter().map(|text| parsed(text)).collect::<Result<_, Fault>>()?;
        let now = Timestamp::now().as_millisecond();
        let from = match &args.from {
            Some(text) => instant(text).map_err(|why| {
                Fault::new(&code::USAGE, format!("--from {text:?} is not understood: {why}"))
            })?,
            None => outages
                .iter()
                .filter_map(|outage| outage.next_start(now))
                .min()
                .unwrap_or_else(|| begin(&outages, now)),
        };
        if !(0.001..=86_400.0).contains(&args.seconds_per_file) {
            let message =
                format!("--seconds-per-file is {}, it must be 0.001 to 86400", args.seconds_per_file);
            return Err(Fault::new(&code::USAGE, message));
        }
        let file_ms = (args.seconds_per_file * 1_000.0) as Millis;
        Ok(Self { outages, fault: fault(&args.fault)?, from, file_ms })
    }
}

/// Of outages that are all in the past the first one's beginning.
fn begin(outages: &[Outage], now: Millis) -> Millis {
    outages.iter().filter_map(|outage| outage.next_start(0)).min().unwrap_or(now)
}

/// A fault that an endpoint may answer with.
fn fault(name: &str) -> Result<&'static Code, Fault> {
    let usable = |code: &&Code| match code.class {
        Class::Endpoint => code.retry != Retry::Never,
        Class::Credential | Class::Identity | Class::Remote => true,
        Class::Config => code.retry == Retry::Operator,
        Class::Artifact | Class::Engine | Class::Cancelled | Class::Input => false,
    };
    if let Some(code) = Code::by_name(name).filter(usable) {
        return Ok(code);
    }
    let known: Vec<&str> = code::ALL.iter().copied().filter(usable).map(|code| code.name).collect();
    let refused = Fault::new(&code::USAGE, format!("{name:?} is no fault that an endpoint answers with"));
    Err(match nearest(name, known.iter().copied()) {
        Some(near) => refused.with_hint(format!("did you mean {near:?}?")),
        None => refused.with_hint(format!("one of {}", known.join(", "))),
    })
}

/// Whichever of the endpoint's subscriptions gives up first.
async fn strictest_policy(store: &Store, endpoint: &str) -> Result<RetryPolicy, Fault> {
    let all = list::subscriptions::list(store).await.map_err(|e| e.fault())?;
    let mut strictest: Option<RetryPolicy> = None;
    for subscription in all.into_iter().filter(|subscription| subscription.endpoint == endpoint) {
        let policy: RetryPolicy = serde_json::from_value(subscription.retry)
            .map_err(|error| unreadable(&subscription.code, &error.to_string()))?;
        strictest = Some(strictest.map_or(policy, |other| RetryPolicy {
            max_attempts: other.max_attempts.min(policy.max_attempts),
            deadline: other.deadline.min(policy.deadline),
        }));
    }
    Ok(strictest.unwrap_or_default())
}

fn unreadable(whose: &str, why: &str) -> Fault {
    Fault::new(&code::CONFIG_INVALID, format!("the stored settings of {whose} cannot be read: {why}"))
        .with_hint("apply the definitions once more")
}
