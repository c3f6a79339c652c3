//! `outport intake dlq`: messages that the intake queue gave up on.

use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use outport_aws::{Message, Queue};
use outport_core::event::{Record, parse};
use outport_core::{Fault, code};
use serde::Serialize;

use super::Shape;
use crate::config::Config;
use crate::output::{self, Format, or_dash, time};

/// For how long a message that we look at is hidden from others. They are given back at the end.
const LOOK: Duration = Duration::from_secs(60);

/// How long one question waits for messages.
const WAIT: Duration = Duration::from_secs(1);

/// Empty answers in a row that mean that there is no more: SQS asks only some of its servers at a time.
const EMPTY_IS_THE_END: u32 = 2;

#[derive(Debug, Subcommand)]
pub enum IntakeCommand {
    /// The dead-letter queue: messages that were received too often without being recorded
    #[command(subcommand)]
    Dlq(DlqCommand),
}

#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// What is there and why it could not be taken in; contents are not shown
    List {
        /// Messages at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,
        #[command(flatten)]
        shape: Shape,
    },
    /// Send messages to the intake queue again: those named, or all
    #[command(
        after_help = "Examples:\n  outport intake dlq requeue --all\n  outport intake dlq requeue 4f6c... 9a1b..."
    )]
    Requeue(RequeueArgs),
}

#[derive(Debug, Args)]
pub struct RequeueArgs {
    /// Ids as `list` shows them
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<String>,
    /// Every message that is there now
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Serialize)]
struct Line {
    id: String,
    sent_at: Option<String>,
    received: u32,
    bytes: usize,
    what: String,
}

pub async fn run(config: &Config, command: IntakeCommand) -> Result<(), Fault> {
    let IntakeCommand::Dlq(command) = command;
    let missing = |key: &str| {
        Fault::new(&code::CONFIG_INVALID, format!("{key} is not set")).with_hint(format!(
            "give the queue's URL in the configuration, or in OUTPORT_{}",
            key.to_uppercase().replace('.', "_")
        ))
    };
    let dead = config.dead_letters().ok_or_else(|| missing("intake.dead_letters"))?;
    let aws = outport_aws::load(&config.aws().access()).await;
    let dead = Queue::new(&aws, dead);
    match command {
        DlqCommand::List { limit, shape } => list(&dead, limit as usize, shape.format()).await,
        DlqCommand::Requeue(args) => {
            let intake = config.queue().ok_or_else(|| missing("intake.queue"))?;
            requeue(&dead, &Queue::new(&aws, intake), &args).await
        }
    }
}

async fn list(dead: &Queue, limit: usize, format: Format) -> Result<(), Fault> {
    let messages = receive(dead, limit).await?;
    let lines: Vec<Line> = messages.iter().map(line).collect();
    give_back(dead, &messages).await?;
    match format {
        Format::Json => output::json(&lines),
        Format::Table => output::table(
            &["id", "sent", "received", "bytes", "what"],
            lines
                .into_iter()
                .map(|l| vec![l.id, or_dash(l.sent_at), l.received.to_string(), l.bytes.to_string(), l.what])
                .collect(),
        ),
    }
}

async fn requeue(dead: &Queue, intake: &Queue, args: &RequeueArgs) -> Result<(), Fault> {
    let mut requeued: Vec<String> = Vec::new();
    let mut rest: Vec<Message> = Vec::new();
    let mut empty = 0;
    // Page by page, so that nothing comes out of hiding before its turn.
    while empty < EMPTY_IS_THE_END && (args.all || requeued.len() < args.ids.len()) {
        let page = dead.receive(WAIT, LOOK).await?;
        empty = if page.is_empty() { empty + 1 } else { 0 };
        for message in page {
            if args.all || args.ids.contains(&message.id) {
                // First there, then not here: a crash in between leaves it in both, and the ledger knows what it has.
                intake.send(&message.body).await?;
                dead.delete(&[&message.receipt]).await?;
                requeued.push(message.id);
            } else {
                rest.push(message);
            }
        }
    }
    give_back(dead, &rest).await?;
    output::line(&format!("{} requeued", requeued.len()))?;
    let unknown: Vec<&str> =
        args.ids.iter().filter(|id| !requeued.contains(id)).map(String::as_str).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let message =
        format!("not in the dead-letter queue, or in somebody else's hands: {}", unknown.join(", "));
    Err(Fault::new(&code::NOT_FOUND, message).with_hint("`outport intake dlq list` shows what is there"))
}

/// Everything that is there, up to `limit`.
async fn receive(dead: &Queue, limit: usize) -> Result<Vec<Message>, Fault> {
    let mut messages: Vec<Message> = Vec::new();
    let mut empty = 0;
    while messages.len() < limit && empty < EMPTY_IS_THE_END {
        let more = dead.receive(WAIT, LOOK).await?;
        empty = if more.is_empty() { empty + 1 } else { 0 };
        for message in more {
            match messages.iter_mut().find(|known| known.id == message.id) {
                Some(known) => *known = message,
                None => messages.push(message),
            }
        }
    }
    messages.sort_by_key(|message| message.sent_at);
    Ok(messages)
}

async fn give_back(dead: &Queue, messages: &[Message]) -> Result<(), Fault> {
    for some in messages.chunks(outport_aws::MESSAGES_AT_A_TIME) {
        let receipts: Vec<&str> = some.iter().map(|message| message.receipt.as_str()).collect();
        dead.keep(&receipts, Duration::ZERO).await?;
    }
    Ok(())
}

fn line(message: &Message) -> Line {
    let now = Timestamp::now().as_millisecond();
    let what = match parse(message.body.as_bytes(), now) {
        Err(fault) => fault.message,
        Ok(records) => match records.first() {
            Some(Record::Arrived(event)) => {
                let more = if records.len() > 1 {
                    format!(" and {} more", records.len() - 1)
                } else {
                    String::new()
                };
                format!("readable: s3://{}/{}{more}", event.bucket, event.key.as_str())
            }
            Some(Record::Rejected { fault, .. }) => fault.message.clone(),
            Some(Record::Ignored { reason }) => format!("no arrival: {reason}"),
            None => "no records".to_owned(),
        },
    };
    Line {
        id: message.id.clone(),
        sent_at: message.sent_at.map(time),
        received: message.received,
        bytes: message.body.len(),
        what,
    }
}
