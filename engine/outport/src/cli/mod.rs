//! The command line: `outport <noun> <verb>`; data to stdout, everything else to stderr.

mod acts;
mod apply;
mod batch_job;
mod config_check;
mod config_online;
mod database;
mod endpoint_check;
mod intake;
mod known_hosts;
mod lane;
mod problems;
mod read;
mod reconcile;
mod replay;
mod send;
mod signals;
mod simulate;
mod transform;
mod up;
mod why;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use outport_core::{Fault, code};

use crate::config::{Config, Setting};
use crate::output::{self, Format};

#[derive(Debug, Parser)]
#[command(
    name = "outport",
    version,
    about = "Delivers files: an object lands in a bucket, Outport transforms it and puts it on its subscribers' SFTP servers.",
    after_help = "Start with:  outport demo\n\nExit codes: 0 ok, 1 failed, 2 wrong usage."
)]
struct Cli {
    /// Configuration file [default: OUTPORT_CONFIG, else ./outport.toml if there is one]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Options of every command")]
    config: Option<PathBuf>,
    /// Data folder: database, buckets and artifacts of an embedded Outport [default: outport-data]
    #[arg(long, global = true, value_name = "FOLDER", help_heading = "Options of every command")]
    data: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole job on this machine, with sample files and a real SFTP server to receive them
    #[command(after_help = "Examples:\n  outport demo\n  outport demo orders.ndjson report.pdf")]
    Demo {
        /// Your own files instead of the samples; *.json and *.ndjson become CSV
        files: Vec<PathBuf>,
    },
    /// Run everything in this process: watch the buckets, transform, send
    #[command(
        after_help = "Examples:\n  outport up\n  outport up --data /srv/outport --roles dispatcher,sender"
    )]
    Up {
        /// Only these roles: dispatcher, transformer, sender, maintainer
        #[arg(long, value_delimiter = ',', value_name = "ROLE")]
        roles: Vec<String>,
    },
    /// Make the database hold what a definitions file says; shows the plan first
    #[command(
        after_help = "Examples:\n  outport apply --check partners.toml\n  outport apply partners.toml\n\nWhat the file does not name any more is retired: nothing new goes there, open deliveries go on."
    )]
    Apply {
        /// The definitions: file groups, subscribers, endpoints, transforms, subscriptions
        file: PathBuf,
        /// Only show the plan
        #[arg(long)]
        check: bool,
    },
    /// Copy a file into a bucket, whole or not at all
    #[command(after_help = "Example:\n  outport put claims.json s3://inbound/claims/acme/claims.json")]
    Put {
        /// The local file
        file: PathBuf,
        /// s3://BUCKET/KEY
        object: String,
    },
    /// Transform a file by hand (no database), or list and show transforms
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Kinds:\n  json-to-csv   records of a JSON file as CSV\n  csv-to-json   rows of a CSV file as JSON\n  json-to-json  records of a JSON file, selected and renamed\n  pass-through  the file as it is\n\nExamples:\n  outport transform json-to-csv orders.ndjson orders.csv\n  outport transform json-to-csv orders.json -\n  outport transform json-to-csv --infer orders.json orders.toml\n  outport transform list --state failed"
    )]
    Transform(TransformArgs),
    /// Send files by hand (no database)
    #[command(
        after_help = "Examples:\n  outport send report.pdf sftp://outport@sftp.acme.example/inbox/ --identity ~/.ssh/id_ed25519 --host-key SHA256:...\n  outport send a.csv b.csv sftp://outport@127.0.0.1:2222/inbox/ --password-from env:PW --host-key SHA256:..."
    )]
    Send(send::SendArgs),
    /// Files that arrived
    #[command(subcommand)]
    File(FileCommand),
    /// Deliveries and their attempts
    #[command(subcommand)]
    Delivery(DeliveryCommand),
    /// Endpoints and how their lanes stand
    #[command(subcommand)]
    Endpoint(EndpointCommand),
    /// Who gets what
    #[command(subcommand)]
    Subscription(SubscriptionCommand),
    /// All that waits for a person, oldest first, each with the command that moves it
    Problems(problems::ProblemsArgs),
    /// What became of a file and why, also of what did not happen
    #[command(
        after_help = "Examples:\n  outport why claims/acme/a.json\n  outport why s3://inbound/claims/acme/a.json acme"
    )]
    Why(why::WhyArgs),
    /// Send again what was delivered or given up, by one reviewed command
    #[command(subcommand)]
    Replay(replay::ReplayCommand),
    /// Messages of the intake queue that could not be taken in
    #[command(subcommand)]
    Intake(intake::IntakeCommand),
    /// Compare a bucket of S3 with the ledger: what did no event tell?
    #[command(
        after_help = "Examples:\n  outport reconcile s3://inbound/claims/ --since 2h\n  outport reconcile s3://inbound --since 2026-11-20T00:00:00Z --start"
    )]
    Reconcile(reconcile::ReconcileArgs),
    /// Work for some minutes: what AWS Batch starts in its containers
    #[command(
        subcommand,
        after_help = "Examples:\n  outport worker transform --for 4m\n  outport worker send --only dlv_...\n  outport worker list"
    )]
    Worker(worker::WorkerCommand),
    /// Bring the database's schema up to this version
    Migrate,
    /// The configuration in force
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Args)]
struct TransformArgs {
    #[command(subcommand)]
    command: Option<TransformCommand>,
    /// What to do: json-to-csv, json-to-json, csv-to-json, pass-through
    #[arg(required = true)]
    kind: Option<String>,
    /// A file with the mapping spec, in TOML or JSON (docs/MAPPING.md)
    #[arg(long, value_name = "FILE")]
    spec: Option<PathBuf>,
    /// Print the spec as understood and, with an input, its first rows; write nothing
    #[arg(long)]
    explain: bool,
    /// Where records go that the spec puts into quarantine; <OUTPUT>.rejects.ndjson by default. What was there goes, even when no
    /// record is rejected
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
    /// Threads that work at once; as many as the machine has cores by default
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Write the spec that the input keeps to, not the input's rows (json-to-csv)
    #[arg(long, conflicts_with = "explain")]
    infer: bool,
    /// The input file; /dev/stdin for standard input
    #[arg(required_unless_present = "explain")]
    input: Option<PathBuf>,
    /// The output file; - for stdout, which is where --infer writes by default
    #[arg(required_unless_present_any = ["explain", "infer"])]
    output: Option<PathBuf>,
}

#[derive(Debug, Args, Clone, Copy)]
struct Shape {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Shape {
    const fn format(self) -> Format {
        if self.json { Format::Json } else { Format::Table }
    }
}

#[derive(Debug, Args, Clone, Copy)]
struct PageArgs {
    /// Rows at most, newest first
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    #[command(flatten)]
    shape: Shape,
}

#[derive(Debug, Subcommand)]
enum FileCommand {
    /// Newest first
    List {
        /// routed, unrouted or rejected
        #[arg(long)]
        state: Option<String>,
        /// Of this bucket
        #[arg(long)]
        bucket: Option<String>,
        /// With exactly this key
        #[arg(long)]
        key: Option<String>,
        /// Of this file group
        #[arg(long)]
        group: Option<String>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// One file, with its sightings and deliveries
    Show {
        /// fil_...
        id: String,
        #[command(flatten)]
        shape: Shape,
    },
}

#[derive(Debug, Subcommand)]
enum DeliveryCommand {
    #[command(flatten)]
    Read(DeliveryRead),
    #[command(flatten)]
    Act(acts::DeliveryAct),
}

#[derive(Debug, Subcommand)]
enum DeliveryRead {
    /// Newest first
    List {
        /// waiting, queued, sending, retrying, held, unconfirmed, delivered, failed or cancelled
        #[arg(long)]
        state: Option<String>,
        /// Of this subscriber
        #[arg(long)]
        subscriber: Option<String>,
        /// To this endpoint (SUBSCRIBER/NAME)
        #[arg(long)]
        endpoint: Option<String>,
        /// Of this subscription
        #[arg(long)]
        subscription: Option<String>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// One delivery, with its attempts and receipt
    Show {
        /// dlv_...
        id: String,
        #[command(flatten)]
        shape: Shape,
    },
}

#[derive(Debug, Subcommand)]
enum TransformCommand {
    /// Newest first
    List {
        /// pending, running, succeeded, failed or cancelled
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// One transform
    Show {
        /// trf_...
        id: String,
        #[command(flatten)]
        shape: Shape,
    },
}

#[derive(Debug, Subcommand)]
enum NamedCommand {
    /// By name
    List {
        #[command(flatten)]
        shape: Shape,
    },
    /// One, by name or id
    Show {
        /// Name or id
        name: String,
        #[command(flatten)]
        shape: Shape,
    },
}

#[derive(Debug, Subcommand)]
enum EndpointCommand {
    #[command(flatten)]
    Read(NamedCommand),
    #[command(flatten)]
    Act(acts::EndpointAct),
    /// What an outage would look like: attempts, breaker and messages on a virtual clock; nothing is sent
    #[command(
        after_help = "Examples:\n  outport endpoint simulate acme/sftp --outage \"fri 18:00..mon 08:00\" --files 4000\n  outport endpoint simulate acme/sftp --outage 2026-11-20T18:00:00Z..2026-11-21T06:00:00Z --fault credential.refused"
    )]
    Simulate(simulate::SimulateArgs),
    /// Print what a known_hosts file says of a host, as lines for partners.toml; stores nothing
    #[command(
        after_help = "Example:\n  outport endpoint import-known-hosts ~/.ssh/known_hosts --host sftp.acme.example --port 2222"
    )]
    ImportKnownHosts(known_hosts::KnownHostsArgs),
    /// What its server can do: connect, try everything with files of our own, remove them, and propose an upload plan
    #[command(
        after_help = "Examples:\n  outport endpoint check acme/sftp --folder inbox\n  outport endpoint check acme/sftp --folder inbox --mkdirs --save\n\nAll names it makes begin with .outport-check- and are removed again; what could not be removed is told."
    )]
    Check(endpoint_check::CheckArgs),
}

#[derive(Debug, Subcommand)]
enum SubscriptionCommand {
    #[command(flatten)]
    Read(NamedCommand),
    #[command(flatten)]
    Act(acts::SubscriptionAct),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Every setting, its value, and where it came from; secrets are not shown
    Check {
        /// Also ask the database, the buckets, the queues and the secrets, and say what is missing
        #[arg(long)]
        online: bool,
        #[command(flatten)]
        shape: Shape,
    },
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::note(&format!("error: could not start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let ended = runtime.block_on(run(cli));
    // Whatever had to be done is awaited by then. Dropping the runtime would wait, without a limit, for each of its threads: a command
    // that had printed its answer was once seen still running two minutes later, on a machine with much else to do.
    runtime.shutdown_background();
    match ended {
        Ok(code) => code,
        Err(fault) => {
            output::note(&format!("error: {}", output::safe_report(&fault.report())));
            if fault.code == &code::USAGE { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

async fn run(cli: Cli) -> Result<ExitCode, Fault> {
    let (file, data) = (cli.config.as_deref(), cli.data.as_deref());
    let load = || -> Result<(Config, Vec<Setting>), Fault> { Config::load(file, data) };
    match cli.command {
        Command::Demo { files } => return crate::demo::run(&files, data).await,
        Command::Transform(args) => match args.command {
            Some(command) => read::transforms(&load()?.0, command).await?,
            None => transform::transform(args)?,
        },
        Command::Send(args) => return send::send(args).await,
        Command::Up { roles } => {
            let (config, settings) = load()?;
            config_check::warn_of_misspelt(&settings);
            up::run(&config, &roles).await?;
        }
        Command::Apply { file, check } => apply::run(&load()?.0, &file, check).await?,
        Command::Put { file, object } => up::put(&load()?.0, &file, &object).await?,
        Command::File(command) => read::files(&load()?.0, command).await?,
        Command::Delivery(DeliveryCommand::Read(command)) => read::deliveries(&load()?.0, command).await?,
        Command::Delivery(DeliveryCommand::Act(act)) => return acts::delivery(&load()?.0, act).await,
        Command::Endpoint(EndpointCommand::Read(command)) => read::endpoints(&load()?.0, command).await?,
        Command::Endpoint(EndpointCommand::Simulate(args)) => simulate::run(&load()?.0, args).await?,
        Command::Endpoint(EndpointCommand::ImportKnownHosts(args)) => return known_hosts::run(args),
        Command::Endpoint(EndpointCommand::Check(args)) => {
            return endpoint_check::run(&load()?.0, args).await;
        }
        Command::Endpoint(EndpointCommand::Act(act)) => return acts::endpoint(&load()?.0, act).await,
        Command::Subscription(SubscriptionCommand::Read(command)) => {
            read::subscriptions(&load()?.0, command).await?
        }
        Command::Subscription(SubscriptionCommand::Act(act)) => {
            return acts::subscription(&load()?.0, act).await;
        }
        Command::Problems(args) => problems::run(&load()?.0, args).await?,
        Command::Why(args) => why::run(&load()?.0, args).await?,
        Command::Replay(command) => {
            let arguments = replay::parse(command)?;
            replay::run(&load()?.0, arguments).await?;
        }
        Command::Worker(command) => worker::run(&load()?.0, command).await?,
        Command::Migrate => up::migrate(&load()?.0).await?,
        Command::Intake(command) => intake::run(&load()?.0, command).await?,
        Command::Reconcile(args) => reconcile::run(&load()?.0, args).await?,
        Command::Config(ConfigCommand::Check { online: false, shape }) => {
            config_check::run(&load()?.1, shape.format())?
        }
        Command::Config(ConfigCommand::Check { online: true, shape }) => {
            let (config, settings) = load()?;
            config_check::warn_of_misspelt(&settings);
            return config_online::run(&config, shape.format()).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
