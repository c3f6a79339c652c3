//! A topic of SNS: where people are told.

use aws_config::SdkConfig;
use aws_sdk_sns::Client;
use outport_core::Fault;

use crate::failure::Failure;
use crate::service::{Call, fault_of};

/// One topic.
#[derive(Debug, Clone)]
pub struct Topic {
    client: Client,
    arn: String,
    object: String,
}

impl Topic {
    /// The topic with this ARN. Asks nothing yet.
    pub fn new(aws: &SdkConfig, arn: &str) -> Self {
        Self { client: Client::new(aws), arn: arn.to_owned(), object: format!("the topic {arn}") }
    }

    /// Tells everybody who subscribed. `subject` is what mails are headed: SNS takes up to 100 printable ASCII characters.
    ///
    /// # Errors
    /// `aws.*`.
    pub async fn publish(&self, subject: &str, message: &str) -> Result<(), Fault> {
        let told = self.client.publish().topic_arn(&self.arn).subject(subject).message(message).send().await;
        told.map(|_| ()).map_err(|error| {
            let call = Call { verb: "tell", object: &self.object, action: "sns:Publish" };
            fault_of(call, &Failure::of(&error))
        })
    }
}
