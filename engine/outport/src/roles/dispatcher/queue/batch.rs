//! Messages that were received together: looked at side by side, recorded together, deleted when they are.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use outport_aws::{Message, Queue};
use outport_core::event::parse;
use outport_store::StoreError;
use outport_store::enqueue::{self, Arrival};
use outport_transform::output_ext;

use super::QueueIntake;
use crate::crash_point::{self, Point};
use crate::engine::Engine;
use crate::metrics::Ignored;
use crate::roles::after_failure;
use crate::roles::arrival::{Found, Looked, Rejected, find};
use crate::roles::dispatcher::recording::report;
use crate::storage::S3;

/// Messages in our hands.
pub(super) struct Batch<'a> {
    engine: &'a Engine,
    intake: &'a QueueIntake,
    messages: Vec<Message>,
    /// By place: something of the message is not recorded, so it must come again.
    comes_again: Vec<bool>,
    received_at: Instant,
    /// The database has been away for too long, or we stop: nothing more is tried.
    has_given_up: bool,
}

impl<'a> Batch<'a> {
    pub(super) fn new(engine: &'a Engine, intake: &'a QueueIntake, messages: Vec<Message>) -> Self {
        let comes_again = vec![false; messages.len()];
        Self { engine, intake, messages, comes_again, received_at: Instant::now(), has_given_up: false }
    }

    /// Everything that can be done about these messages. They stay hidden from others all the while.
    pub(super) async fn work(mut self, s3: &S3) {
        let receipts: Vec<String> = self.messages.iter().map(|message| message.receipt.clone()).collect();
        let (queue, visibility) = (&self.intake.queue, self.engine.timing.visibility);
        tokio::select! {
            () = keep_hidden(queue, &receipts, visibility) => {}
            () = async {
                let found = self.look(s3).await;
                self.record(found).await;
                self.delete().await;
            } => {}
        }
    }

    /// Parses the bodies and looks at the objects, those of all messages side by side. What there is to record, in the order
    /// in which it came, each with the place of its message.
    async fn look(&mut self, s3: &S3) -> Vec<(usize, Found)> {
        let (engine, settle) = (self.engine, self.intake.settle);
        let looks = self.messages.iter().map(|message| look_at(engine, settle, s3, message));
        let looks = futures_util::future::join_all(looks).await;
        let mut found = Vec::new();
        for (place, look) in looks.into_iter().enumerate() {
            match look {
                Look::Found(all) => found.extend(all.into_iter().map(|one| (place, one))),
                Look::ComesAgain => self.comes_again[place] = true,
                Look::Later(later) => {
                    self.comes_again[place] = true;
                    if let Err(fault) = self.intake.queue.keep(&[&self.messages[place].receipt], later).await
                    {
                        tracing::warn!(code = fault.code.name, "{fault}");
                    }
                }
            }
        }
        found
    }

    async fn record(&mut self, found: Vec<(usize, Found)>) {
        let (mut places, mut arrivals) = (Vec::new(), Vec::new());
        for (place, found) in found {
            match found {
                Found::Arrival(arrival) => {
                    places.push(place);
                    arrivals.push(*arrival);
                }
                Found::Rejected(rejected) => self.reject(place, &rejected).await,
                Found::Nothing(why) => {
                    self.engine.metrics.intake_ignored.get_or_create(&Ignored { why }).inc();
                }
            }
        }
        for (places, arrivals) in places.chunks(enqueue::TOGETHER).zip(arrivals.chunks(enqueue::TOGETHER)) {
            self.dispatch(places, arrivals).await;
        }
    }

    /// Records an object that cannot be a file.
    async fn reject(&mut self, place: usize, rejected: &Rejected) {
        let Rejected { event, version, fault } = rejected;
        let mut failures = 0;
        while !self.has_given_up {
            match enqueue::reject(&self.engine.store, event, version, fault).await {
                Ok(rejected) => return report(self.engine, &rejected, &event.key),
                Err(error) if self.again_after(&error, &mut failures).await => {}
                Err(_) => break,
            }
        }
        self.comes_again[place] = true;
    }

    /// Records up to sixteen files, again and again while the database is away.
    async fn dispatch(&mut self, mut places: &[usize], mut arrivals: &[Arrival]) {
        let mut failures = 0;
        while !arrivals.is_empty() && !self.has_given_up {
            let answers = enqueue::dispatch_all(&self.engine.store, arrivals, output_ext).await;
            crash_point::reached(Point::AfterDispatch);
            for answer in answers {
                let (Some((place, rest_of_places)), Some((arrival, rest))) =
                    (places.split_first(), arrivals.split_first())
                else {
                    return;
                };
                match answer {
                    Ok(dispatched) => {
                        failures = 0;
                        report(self.engine, &dispatched, arrival.event.key.as_str());
                    }
                    Err(error) if self.again_after(&error, &mut failures).await => break,
                    Err(_) => self.comes_again[*place] = true,
                }
                (places, arrivals) = (rest_of_places, rest);
            }
        }
        for place in places {
            self.comes_again[*place] = true;
        }
    }

    /// Whether the same may be tried once more; waits before it says so.
    async fn again_after(&mut self, error: &StoreError, failures: &mut u32) -> bool {
        let fault = error.fault();
        tracing::warn!(code = fault.code.name, "{}", self.engine.told(&fault));
        if !(error.is_outage() || error.is_transient()) {
            return false;
        }
        self.has_given_up = self.engine.is_stopping() || self.received_at.elapsed() > self.engine.timing.hold;
        if self.has_given_up {
            return false;
        }
        *failures += 1;
        self.engine.pause(after_failure(*failures)).await;
        true
    }

    /// Deletes what is recorded whole.
    async fn delete(&self) {
        let done: Vec<&Message> = self
            .messages
            .iter()
            .zip(&self.comes_again)
            .filter(|(_, again)| !**again)
            .map(|(m, _)| m)
            .collect();
        if done.is_empty() {
            return;
        }
        let receipts: Vec<&str> = done.iter().map(|message| message.receipt.as_str()).collect();
        match self.intake.queue.delete(&receipts).await {
            Ok(left) => {
                for message in left.iter().filter_map(|place| done.get(*place)) {
                    tracing::warn!(
                        message = message.id,
                        "a message could not be deleted: it comes again, and changes nothing"
                    );
                }
            }
            Err(fault) => {
                tracing::warn!(code = fault.code.name, "messages come again, and change nothing: {fault}");
            }
        }
    }
}

/// What looking at a message came to.
enum Look {
    /// Its records.
    Found(Vec<Found>),
    /// It cannot be read, or its objects cannot be looked at now.
    ComesAgain,
    /// One of its objects may still change.
    Later(Duration),
}

async fn look_at(engine: &Engine, settle: Duration, s3: &S3, message: &Message) -> Look {
    let now = Timestamp::now().as_millisecond();
    let records = match parse(message.body.as_bytes(), message.sent_at.unwrap_or(now)) {
        Ok(records) => records,
        Err(fault) => {
            // Counted each time that it comes; it ends in the dead letters.
            engine.metrics.intake_unreadable.inc();
            let (message, received) = (&message.id, message.received);
            tracing::warn!(message, received, code = fault.code.name, hint = fault.hint(), "{fault}");
            return Look::ComesAgain;
        }
    };
    let mut all = Vec::with_capacity(records.len());
    for record in records {
        match find(&s3.store, record, settle, now).await {
            Ok(Looked::Found(found)) => all.push(found),
            Ok(Looked::Later(later)) => return Look::Later(later),
            Err(fault) => {
                tracing::warn!(
                    message = message.id,
                    code = fault.code.name,
                    hint = fault.hint(),
                    "{}",
                    engine.told(&fault)
                );
                return Look::ComesAgain;
            }
        }
    }
    Look::Found(all)
}

/// Keeps messages hidden from others until this is dropped.
async fn keep_hidden(queue: &Queue, receipts: &[String], visibility: Duration) {
    loop {
        tokio::time::sleep(visibility / 3).await;
        let receipts: Vec<&str> = receipts.iter().map(String::as_str).collect();
        if let Err(fault) = queue.keep(&receipts, visibility).await {
            tracing::warn!(code = fault.code.name, "{fault}");
        }
    }
}
