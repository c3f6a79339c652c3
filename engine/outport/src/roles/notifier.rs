//! Tells people: takes what is due from the ledger, posts it, and writes down what came of it. At least once: who dies
//! between the answer and its record posts the same again, under the same id.

mod payload;

use std::sync::Arc;

use outport_core::Fault;
use outport_store::StoreError;
use outport_store::notices::post::{self, Again, Post};

use super::after_failure;
use crate::engine::Engine;
use crate::webhook::{TARGET, Webhook};

pub async fn run(engine: Arc<Engine>) -> Result<(), Fault> {
    let Some(webhook) = &engine.webhook else {
        engine.stopped().await;
        return Ok(());
    };
    let mut failures = 0;
    while !engine.is_stopping() {
        match tell(&engine, webhook).await {
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

/// One post; whether there was one.
async fn tell(engine: &Engine, webhook: &Webhook) -> Result<bool, StoreError> {
    let Some(post) = post::claim(&engine.store, TARGET, &engine.timing).await? else { return Ok(false) };
    let sent = match payload::of(&post, engine.file_names) {
        Ok(body) => webhook.post(post.id, body, engine.timing.post).await,
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
