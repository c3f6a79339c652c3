//! `outport why FILE [SUBSCRIBER]`: what became of a file and why, also of what did not happen.

mod deliveries;
mod routing;
mod tell;

use clap::Args;
use outport_core::{Fault, FileId, code};
use outport_store::Store;
use outport_store::list::why::{self, Story};
use serde::Serialize;

use super::Shape;
use super::database::existing_store;
use super::read::{found, parsed};
use crate::config::Config;
use crate::output::{self, Format};

#[derive(Debug, Args)]
pub struct WhyArgs {
    /// fil_..., s3://BUCKET/KEY or a key; of several versions the newest
    #[arg(value_name = "FILE")]
    object: String,
    /// Only what concerns this subscriber
    subscriber: Option<String>,
    #[command(flatten)]
    shape: Shape,
}

/// The facts, and the lines that are told of them.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    story: &'a Story,
    told: &'a [String],
}

pub async fn run(config: &Config, args: WhyArgs) -> Result<(), Fault> {
    let object = Object::parse(&args.object)?;
    let store = existing_store(config).await?;
    let file = object.find(&store).await?;
    let story = why::story(&store, file).await.map_err(|e| e.fault())?;
    let mut story = found(story, "file", &args.object)?;
    if let Some(code) = args.subscriber.as_deref() {
        only(&mut story, code)?;
    }
    let told = tell::tell(&story, args.subscriber.as_deref());
    match args.shape.format() {
        Format::Json => output::json(&Told { story: &story, told: &told }),
        Format::Table => told.iter().try_for_each(|line| output::line(&output::safe(line))),
    }
}

/// What the operator named.
enum Object {
    Id(FileId),
    /// The key as it is: also those that can be no file have an entry.
    Place {
        bucket: Option<String>,
        key: String,
    },
}

impl Object {
    fn parse(text: &str) -> Result<Self, Fault> {
        let unnamed = || {
            Fault::new(&code::USAGE, format!("{text:?} names no file"))
                .with_hint("write fil_..., s3://BUCKET/KEY or KEY")
        };
        if let Some(rest) = text.strip_prefix("s3://") {
            let named = rest.split_once('/').filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty());
            let (bucket, key) = named.ok_or_else(unnamed)?;
            return Ok(Self::Place { bucket: Some(bucket.to_owned()), key: key.to_owned() });
        }
        // A key may contain an underscore; an id has three letters, one underscore and 26 characters.
        let is_id = text.split_once('_').is_some_and(|(kind, rest)| {
            kind.len() == 3 && rest.len() == 26 && rest.chars().all(|c| c.is_ascii_alphanumeric())
        });
        if is_id {
            return parsed(text).map(Self::Id);
        }
        if text.is_empty() { Err(unnamed()) } else { Ok(Self::Place { bucket: None, key: text.to_owned() }) }
    }

    async fn find(&self, store: &Store) -> Result<FileId, Fault> {
        let (bucket, key) = match self {
            Self::Id(file) => return Ok(*file),
            Self::Place { bucket, key } => (bucket.as_deref(), key),
        };
        if let Some(file) = why::newest(store, bucket, key).await.map_err(|e| e.fault())? {
            return Ok(file);
        }
        // "Why did nothing happen?" deserves an answer here most of all.
        let rules = why::rules(store).await.map_err(|e| e.fault())?;
        let place = bucket.map_or_else(|| key.clone(), |bucket| format!("s3://{bucket}/{key}"));
        Err(Fault::new(&code::NOT_FOUND, format!("no event of {place} was ever seen"))
            .with_hint(routing::of_the_unseen(&rules, bucket, key)))
    }
}

/// Leaves out what does not concern this subscriber.
fn only(story: &mut Story, code: &str) -> Result<(), Fault> {
    story.deliveries.retain(|d| d.delivery.subscriber == code);
    story.subscriptions.retain(|s| s.subscriber == code);
    story.endpoints.retain(|e| e.name.split('/').next() == Some(code));
    let kept: Vec<uuid::Uuid> = story.deliveries.iter().map(|d| d.delivery.id.uuid()).collect();
    story.history.retain(|entry| entry.subject_kind != "delivery" || kept.contains(&entry.subject));
    let routed_by_somebody = !story.deliveries.is_empty() || !story.subscriptions.is_empty();
    if routed_by_somebody || story.file.file_group.is_none() {
        return Ok(());
    }
    let group = story.file.file_group.as_deref().unwrap_or("-");
    Err(Fault::new(&code::NOT_FOUND, format!("no subscriber {code:?} subscribes to the file group {group}"))
        .with_hint("`outport subscription list` shows who gets what"))
}
