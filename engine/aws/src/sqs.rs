//! A queue of SQS.
//!
//! Every message that is received is hidden from others for a time (its visibility timeout): deleted before that ends it is done,
//! kept longer when the work takes longer, and otherwise it comes again. At least once, in no order.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName,
    QueueAttributeName,
};
use outport_core::{Fault, Millis};

use crate::failure::Failure;
use crate::service::{Call, fault_of};

/// Messages of one request, at most (SQS).
pub const MESSAGES_AT_A_TIME: usize = 10;

/// One queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queue {
    client: Client,
    url: String,
    /// For messages and hints.
    object: String,
}

/// One message, hidden from others for the time being.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// SQS's id: the same each time that the message comes.
    pub id: String,
    /// Which receipt of it this is; what deletes it.
    pub receipt: String,
    /// The text.
    pub body: String,
    /// How often it was received, this time included; 1 where the queue does not say.
    pub received: u32,
    /// When it was sent, by SQS's clock.
    pub sent_at: Option<Millis>,
}

/// How many messages wait in a queue, about: SQS counts roughly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Ready to be received.
    pub visible: u64,
    /// Received and not deleted yet.
    pub in_flight: u64,
}

impl Queue {
    /// The queue at `url`. Asks nothing yet.
    pub fn new(aws: &SdkConfig, url: &str) -> Self {
        Self { client: Client::new(aws), url: url.to_owned(), object: format!("the queue {url}") }
    }

    /// Its URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Up to ten messages, hidden from others for `visibility`, in whole seconds. Waits up to `wait` (at most 20 s) for the
    /// first one.
    ///
    /// # Errors
    /// `aws.*`.
    pub async fn receive(&self, wait: Duration, visibility: Duration) -> Result<Vec<Message>, Fault> {
        let received = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(MESSAGES_AT_A_TIME as i32)
            .wait_time_seconds(seconds(wait).min(20))
            .visibility_timeout(seconds(visibility))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(|error| self.fault("receive from", "sqs:ReceiveMessage", &Failure::of(&error)))?;
        Ok(received.messages.unwrap_or_default().into_iter().filter_map(message).collect())
    }

    /// Deletes up to ten messages. Which of them could not be deleted, by their place: they come again.
    ///
    /// # Errors
    /// `aws.*` when none could be.
    pub async fn delete(&self, receipts: &[&str]) -> Result<Vec<usize>, Fault> {
        let entries = receipts.iter().enumerate().filter_map(|(place, receipt)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(place.to_string())
                .receipt_handle(*receipt)
                .build()
                .ok()
        });
        let entries = Some(entries.collect());
        let deleted = self.client.delete_message_batch().queue_url(&self.url).set_entries(entries);
        let deleted = deleted
            .send()
            .await
            .map_err(|error| self.fault("delete messages of", "sqs:DeleteMessage", &Failure::of(&error)))?;
        Ok(deleted.failed().iter().filter_map(|failed| failed.id().parse().ok()).collect())
    }

    /// Hides up to ten messages for `visibility` from now; zero gives them back at once.
    ///
    /// # Errors
    /// `aws.*` when none could be. One that is not ours any more is no error: it came again, or is deleted.
    pub async fn keep(&self, receipts: &[&str], visibility: Duration) -> Result<(), Fault> {
        let entries = receipts.iter().enumerate().filter_map(|(place, receipt)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(place.to_string())
                .receipt_handle(*receipt)
                .visibility_timeout(seconds(visibility))
                .build()
                .ok()
        });
        let entries = Some(entries.collect());
        let kept = self.client.change_message_visibility_batch().queue_url(&self.url).set_entries(entries);
        kept.send().await.map(|_| ()).map_err(|error| {
            self.fault("hide messages of", "sqs:ChangeMessageVisibility", &Failure::of(&error))
        })
    }

    /// Puts a message into the queue.
    ///
    /// # Errors
    /// `aws.*`.
    pub async fn send(&self, body: &str) -> Result<(), Fault> {
        let sent = self.client.send_message().queue_url(&self.url).message_body(body).send().await;
        sent.map(|_| ()).map_err(|error| self.fault("send to", "sqs:SendMessage", &Failure::of(&error)))
    }

    /// How many messages there are, about. Also the question whether the queue is there and ours.
    ///
    /// # Errors
    /// `aws.*`.
    pub async fn depth(&self) -> Result<Depth, Fault> {
        use QueueAttributeName::{ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible};
        let asked = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .attribute_names(ApproximateNumberOfMessages)
            .attribute_names(ApproximateNumberOfMessagesNotVisible);
        let told = asked
            .send()
            .await
            .map_err(|error| self.fault("look at", "sqs:GetQueueAttributes", &Failure::of(&error)))?;
        let told = told.attributes.unwrap_or_default();
        let number = |name| told.get(&name).and_then(|text| text.parse().ok()).unwrap_or(0);
        Ok(Depth {
            visible: number(ApproximateNumberOfMessages),
            in_flight: number(ApproximateNumberOfMessagesNotVisible),
        })
    }

    fn fault(&self, verb: &'static str, action: &'static str, failure: &Failure) -> Fault {
        fault_of(Call { verb, object: &self.object, action }, failure)
    }
}

/// Whole seconds, never fewer than asked for; SQS allows 12 h.
fn seconds(time: Duration) -> i32 {
    time.as_secs_f64().ceil().min(43_200.0) as i32
}

/// `None`: without a receipt nothing can be done with it; it comes again.
fn message(received: aws_sdk_sqs::types::Message) -> Option<Message> {
    let told = received.attributes.unwrap_or_default();
    let number = |name| told.get(&name)?.parse::<u64>().ok();
    Some(Message {
        received: number(MessageSystemAttributeName::ApproximateReceiveCount)
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(1),
        sent_at: number(MessageSystemAttributeName::SentTimestamp).and_then(|at| Millis::try_from(at).ok()),
        id: received.message_id.unwrap_or_default(),
        receipt: received.receipt_handle?,
        body: received.body.unwrap_or_default(),
    })
}
