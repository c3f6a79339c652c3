//! The command line of `outport replay`, understood before anything is opened.

use clap::{ArgGroup, Args, Subcommand};
use outport_core::replay::{
    Filter, MAX_KEY_CHARS, MAX_PER_MINUTE, NameGlob, ReplayConfig, ReplayMode, Standing, When,
};
use outport_core::{Fault, Millis, Reason, ReplayId, code};
use outport_store::replay::acts::Act;

use crate::cli::{PageArgs, Shape};
use crate::output::Format;

const EXAMPLES: &str = "Examples:\n  outport replay plan --redeliver --endpoint acme/sftp --since 2d\n  outport replay plan --reprocess --group claims --state failed --fault transform.failed\n\nWithout --state: failed; with --reprocess also unrouted files; with --id whatever is named. All that is given must hold; of several values of one option, one.";

#[derive(Debug, Subcommand)]
pub enum ReplayCommand {
    /// What a replay would do, counted; changes nothing
    #[command(after_help = EXAMPLES)]
    Plan {
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        shape: Shape,
    },
    /// Send again what the filter takes; the same idempotency key again starts nothing
    #[command(
        after_help = "Example:\n  outport replay start --redeliver --endpoint acme/sftp --since 2d --reason 'folder was missing' --idempotency-key INC-4711\n\nWhat can be chosen: outport replay plan --help"
    )]
    Start {
        #[command(flatten)]
        selection: Selection,
        /// Why, for the history: 1 to 255 characters
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// A word of your own for this replay, for example a ticket
        #[arg(long, value_name = "KEY")]
        idempotency_key: String,
        /// At most so many deliveries (files, with --reprocess) a minute
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_PER_MINUTE)))]
        per_minute: Option<u32>,
        #[command(flatten)]
        shape: Shape,
    },
    /// How a replay stands
    Status {
        /// rpl_..., or its idempotency key
        name: String,
        #[command(flatten)]
        shape: Shape,
    },
    /// Create no more; what is not sent yet is held
    Pause(ActArgs),
    /// Go on; what is held of it goes back to its lanes
    Resume(ActArgs),
    /// Create no more; what is not sent yet is cancelled
    Cancel(ActArgs),
    /// Newest first
    List {
        #[command(flatten)]
        page: PageArgs,
    },
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("mode").required(true).args(["redeliver", "reprocess"])))]
pub struct Selection {
    /// Send the same artifact again under the same name
    #[arg(long)]
    redeliver: bool,
    /// Route and transform the file again, with today's rules and subscriptions
    #[arg(long)]
    reprocess: bool,
    /// failed, unconfirmed, cancelled, delivered; with --reprocess also unrouted, missing
    #[arg(long, value_delimiter = ',', value_name = "STATE")]
    state: Vec<String>,
    /// Of these subscribers
    #[arg(long, value_delimiter = ',', value_name = "CODE")]
    subscriber: Vec<String>,
    /// To these endpoints
    #[arg(long, value_delimiter = ',', value_name = "SUBSCRIBER/NAME")]
    endpoint: Vec<String>,
    /// Of these file groups
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    group: Vec<String>,
    /// Of these subscriptions
    #[arg(long, value_delimiter = ',', value_name = "CODE")]
    subscription: Vec<String>,
    /// Settled (--reprocess: arrived) at or after: 2026-11-01T10:00:00+01:00, or 2h or 3d ago
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Settled (--reprocess: arrived) before
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Given up with these fault codes
    #[arg(long, value_delimiter = ',', value_name = "CODE")]
    fault: Vec<String>,
    /// Key or remote name; without a slash the file name counts
    #[arg(long, value_name = "GLOB")]
    name: Option<String>,
    /// Exactly these: dlv_...; with --reprocess fil_...
    #[arg(long, value_delimiter = ',', num_args = 1.., value_name = "ID")]
    id: Vec<String>,
    /// To the endpoint and by the retry policy of the first time; otherwise today's
    #[arg(long, conflicts_with = "reprocess")]
    as_sent: bool,
}

#[derive(Debug, Args)]
pub struct ActArgs {
    /// rpl_...
    id: String,
    /// Why, for the history: 1 to 255 characters
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// What is to be done, checked.
pub enum Parsed {
    Plan { asked: Asked, format: Format },
    Start { asked: Asked, order: Order, format: Format },
    Status { name: String, format: Format },
    List { limit: u32, format: Format },
    Act { act: Act, id: ReplayId, reason: Reason },
}

/// What to replay; times not yet instants.
pub struct Asked {
    pub mode: ReplayMode,
    pub config: ReplayConfig,
    filter: Filter,
    since: Option<When>,
    until: Option<When>,
}

/// The rest of `start`.
pub struct Order {
    pub reason: Reason,
    pub idempotency_key: String,
    pub per_minute: Option<u32>,
}

impl Asked {
    /// The filter, when it is `now`.
    pub fn filter(&self, now: Millis) -> Filter {
        Filter {
            since: self.since.as_ref().map(|when| when.moment(now)),
            until: self.until.as_ref().map(|when| when.moment(now)),
            ..self.filter.clone()
        }
    }
}

/// Understands the command, or says what is wrong with it.
///
/// # Errors
/// `usage.invalid` with a hint.
pub fn parse(command: ReplayCommand) -> Result<Parsed, Fault> {
    let act = |act, args: ActArgs| {
        let id = args.id.parse().map_err(|problem: outport_core::id::IdError| {
            Fault::new(&code::USAGE, problem.to_string()).with_hint("`outport replay list` shows the ids")
        })?;
        Ok(Parsed::Act { act, id, reason: args.reason.parse()? })
    };
    match command {
        ReplayCommand::Plan { selection, shape } => {
            Ok(Parsed::Plan { asked: asked(selection)?, format: shape.format() })
        }
        ReplayCommand::Start { selection, reason, idempotency_key, per_minute, shape } => {
            let order =
                Order { reason: reason.parse()?, idempotency_key: key(&idempotency_key)?, per_minute };
            Ok(Parsed::Start { asked: asked(selection)?, order, format: shape.format() })
        }
        ReplayCommand::Status { name, shape } => Ok(Parsed::Status { name, format: shape.format() }),
        ReplayCommand::List { page } => Ok(Parsed::List { limit: page.limit, format: page.shape.format() }),
        ReplayCommand::Pause(args) => act(Act::Pause, args),
        ReplayCommand::Resume(args) => act(Act::Resume, args),
        ReplayCommand::Cancel(args) => act(Act::Cancel, args),
    }
}

fn asked(selection: Selection) -> Result<Asked, Fault> {
    let mode = if selection.reprocess { ReplayMode::Reprocess } else { ReplayMode::Redeliver };
    let state = |word: &String| {
        word.parse::<Standing>().map_err(|problem| {
            let words = Standing::ALL.iter().filter(|state| state.suits(mode)).map(|state| state.as_str());
            Fault::new(&code::USAGE, problem.to_string())
                .with_hint(format!("use {}", words.collect::<Vec<_>>().join(", ")))
        })
    };
    let filter = Filter {
        state: selection.state.iter().map(state).collect::<Result<_, _>>()?,
        subscriber: selection.subscriber,
        endpoint: selection.endpoint,
        group: selection.group,
        subscription: selection.subscription,
        fault: selection.fault,
        name: selection.name.as_deref().map(str::parse::<NameGlob>).transpose()?,
        id: selection.id,
        since: None,
        until: None,
    };
    let asked = Asked {
        mode,
        config: if selection.as_sent { ReplayConfig::AsSent } else { ReplayConfig::Current },
        filter,
        since: selection.since.as_deref().map(str::parse).transpose()?,
        until: selection.until.as_deref().map(str::parse).transpose()?,
    };
    // Checked again by the database's clock; what is wrong by this one, too, need not open anything.
    asked.filter(jiff::Timestamp::now().as_millisecond()).check(mode)?;
    Ok(asked)
}

fn key(text: &str) -> Result<String, Fault> {
    let key = text.trim();
    let good = (1..=MAX_KEY_CHARS).contains(&key.chars().count()) && !key.chars().any(char::is_control);
    // `status` takes both.
    if good && key.parse::<ReplayId>().is_err() {
        return Ok(key.to_owned());
    }
    Err(Fault::new(
        &code::USAGE,
        "the idempotency key is empty, too long, has control characters, or is a replay's id",
    )
    .with_hint(format!("use 1 to {MAX_KEY_CHARS} characters of your own, for example a ticket's number")))
}
