//! Tells people: takes what is due from the ledger, posts it, and writes down what came of it. At least once: who dies
//! between the answer and its record posts the same again, under the same id.

mod payload;

use std::sync::Arc;

use bytes::Bytes;
use outport_aws::Topic;
use outport_core::{Fault, code};
use outport_store::StoreError;
use outport_store::notices::post::{self, Again, Post};

use super::after_failure;
use crate::engine::Engine;
use crate::webhook::{self, Webhook};

/// The SNS topic's name in the ledger.
pub const TOPIC: &str = "sns";

pub async fn run(engine: Arc<Engine>) -> Result<(), Fault> {
    let webhook = engine.webhook.as_ref().map(Receiver::Webhook);
    let receivers: Vec<Receiver<'_>> =
        webhook.into_iter().chain(engine.topic.as_ref().map(Receiver::Topic)).collect();
    if receivers.is_empty() {
        engine.stopped().await;
        return Ok(());
    }
    let mut failures = 0;
    while !engine.is_stopping() {
        match tell_all(&engine, &receivers).await {
            Ok(true) => failures = 0,
            Ok(false) => tokio::select! {
                () = engine.bells.notice.notified() => {}
                () = engine.stopped() => {}
            },
            Err(error) => {
                let fault = error.fault();
                tracing::warn!(code = fault.code.name, "{fault}");
                failures += 1;
                engine.pause(after_failure(failures)).await;
            }
        }
    }
    Ok(())
}

/// Somebody who is told.
enum Receiver<'a> {
    Webhook(&'a Webhook),
    Topic(&'a Topic),
}

impl Receiver<'_> {
    /// Its name in the ledger.
    const fn name(&self) -> &'static str {
        match self {
            Self::Webhook(_) => webhook::TARGET,
            Self::Topic(_) => TOPIC,
        }
    }

    async fn tell(&self, engine: &Engine, post: &Post, body: Bytes) -> Result<(), Fault> {
        let limit = engine.timing.post;
        match self {
            Self::Webhook(webhook) => webhook.post(post.id, body, limit, &engine.secrets).await,
            Self::Topic(topic) => {
                let (subject, text) = (payload::subject(post), String::from_utf8_lossy(&body));
                match tokio::time::timeout(limit, topic.publish(&subject, &text)).await {
                    Ok(told) => told,
                    Err(_) => Err(Fault::new(
                        &code::NOTIFY_UNREACHABLE,
                        format!("the topic of SNS did not answer within {limit:?}"),
                    )),
                }
            }
        }
    }
}

/// One post to each; whether there was one.
async fn tell_all(engine: &Engine, receivers: &[Receiver<'_>]) -> Result<bool, StoreError> {
    let mut was_one = false;
    for receiver in receivers {
        was_one |= tell(engine, receiver).await?;
    }
    Ok(was_one)
}

async fn tell(engine: &Engine, receiver: &Receiver<'_>) -> Result<bool, StoreError> {
    let post = post::claim(&engine.store, receiver.name(), &engine.timing).await?;
    let Some(post) = post else { return Ok(false) };
    let sent = match payload::of(&post, engine.file_names) {
        Ok(body) => receiver.tell(engine, &post, body).await,
        Err(fault) => Err(fault),
    };
    match sent {
        Ok(()) => {
            if post::sent(&engine.store, &post).await? {
                tracing::info!(post = %post.id, events = post.events.len(), "people are told");
            } else {
                tracing::warn!(post = %post.id, "people are told, and will be told again: the lease was lost");
            }
        }
        Err(fault) => not_told(engine, &post, &fault).await?,
    }
    Ok(true)
}

async fn not_told(engine: &Engine, post: &Post, fault: &Fault) -> Result<(), StoreError> {
    let again = post::failed(&engine.store, post, fault, &engine.timing, rand::random()).await?;
    let (id, code, events) = (post.id, fault.code.name, post.events.len());
    match again {
        Again::At(due) => {
            tracing::warn!(post = %id, code, events, due = crate::output::time(due), "{fault}; tried again");
        }
        Again::GaveUp => {
            tracing::error!(post = %id, code, events, "{fault}; nobody was told, and nobody will be")
        }
        Again::LeaseLost => tracing::warn!(post = %id, code, events, "{fault}; the lease was lost"),
    }
    Ok(())
}
