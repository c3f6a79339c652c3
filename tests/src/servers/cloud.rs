//! A small AWS: moto (or MiniStack) with buckets, their events on a queue, and a dead-letter queue behind it.

use std::future::Future;

use anyhow::Context;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{
    BucketVersioningStatus, Event, NotificationConfiguration, QueueConfiguration, VersioningConfiguration,
};
use aws_sdk_sqs::types::QueueAttributeName;
use tokio::runtime::Runtime;

use super::ministack::MiniStack;
use super::moto::Moto;
use super::podman::Podman;
use crate::site::{BUCKET, Site};

/// The bucket of artifacts.
pub const ARTIFACTS: &str = "artifacts";

/// How often a message is received before it goes to the dead letters.
const RECEIVES: u32 = 3;

/// A running moto with everything that an installation needs. Dropping it ends it.
#[derive(Debug)]
pub struct Cloud {
    stand_in: StandIn,
    runtime: Runtime,
    /// A client past our own code.
    pub s3: aws_sdk_s3::Client,
    /// The same for queues.
    pub sqs: aws_sdk_sqs::Client,
    /// For further clients.
    pub sdk: SdkConfig,
    queue: String,
    dead_letters: String,
}

/// Whose program it is.
#[derive(Debug)]
enum StandIn {
    Moto(Moto),
    MiniStack(MiniStack),
}

impl StandIn {
    fn endpoint(&self) -> &str {
        match self {
            Self::Moto(moto) => moto.endpoint(),
            Self::MiniStack(ministack) => ministack.endpoint(),
        }
    }
}

impl Cloud {
    /// A bucket with versions whose events go to a queue.
    ///
    /// # Errors
    /// Those of [`Moto::start`], and what moto says.
    pub fn start() -> anyhow::Result<Self> {
        Self::new(StandIn::Moto(Moto::start()?), true)
    }

    /// The same without versions.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn without_versions() -> anyhow::Result<Self> {
        Self::new(StandIn::Moto(Moto::start()?), false)
    }

    /// As [`start`](Self::start), on MiniStack: its events have versions and sequencers.
    ///
    /// # Errors
    /// Those of [`MiniStack::start`], and what it says.
    pub fn on_ministack() -> anyhow::Result<Self> {
        Self::new(StandIn::MiniStack(MiniStack::start()?), true)
    }

    /// As [`start`](Self::start), with a Batch that starts containers.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn with_containers(podman: &Podman) -> anyhow::Result<Self> {
        Self::new(StandIn::Moto(Moto::with_containers(podman)?), true)
    }

    fn new(stand_in: StandIn, versions: bool) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let credentials = Credentials::new("outport-test", "no-secret", None, None, "the test");
        let sdk = runtime.block_on(
            aws_config::defaults(BehaviorVersion::v2026_01_12())
                .region(Region::new("us-east-1"))
                .endpoint_url(stand_in.endpoint())
                .credentials_provider(credentials)
                .load(),
        );
        let s3 = aws_sdk_s3::config::Builder::from(&sdk).force_path_style(true).build();
        let s3 = aws_sdk_s3::Client::from_conf(s3);
        let sqs = aws_sdk_sqs::Client::new(&sdk);
        let mut cloud =
            Self { stand_in, runtime, s3, sqs, sdk, queue: String::new(), dead_letters: String::new() };
        cloud.dead_letters = cloud.make_queue("intake-dead-letters", None)?;
        let arn = cloud.arn(&cloud.dead_letters)?;
        cloud.queue = cloud.make_queue("intake", Some(redrive(&arn, RECEIVES)))?;
        for bucket in [BUCKET, ARTIFACTS] {
            cloud.wait(cloud.s3.create_bucket().bucket(bucket).send())?;
            if versions {
                let enabled =
                    VersioningConfiguration::builder().status(BucketVersioningStatus::Enabled).build();
                let request = cloud.s3.put_bucket_versioning().bucket(bucket);
                cloud.wait(request.versioning_configuration(enabled).send())?;
            }
        }
        cloud.notify(true)?;
        Ok(cloud)
    }

    /// Says how often a message is received before it goes to the dead letters; 20 times in deploy/outport.yaml.
    ///
    /// # Errors
    /// What it says.
    pub fn receive_each(&self, times: u32) -> anyhow::Result<()> {
        let policy = redrive(&self.arn(&self.dead_letters)?, times);
        let request = self.sqs.set_queue_attributes().queue_url(&self.queue);
        self.wait(request.attributes(QueueAttributeName::RedrivePolicy, policy).send()).map(|_| ())
    }

    fn make_queue(&self, name: &str, redrive: Option<String>) -> anyhow::Result<String> {
        let mut request = self.sqs.create_queue().queue_name(name);
        if let Some(redrive) = redrive {
            request = request.attributes(QueueAttributeName::RedrivePolicy, redrive);
        }
        self.wait(request.send())?.queue_url.context("no URL")
    }

    fn arn(&self, queue: &str) -> anyhow::Result<String> {
        let request = self.sqs.get_queue_attributes().queue_url(queue);
        let told = self.wait(request.attribute_names(QueueAttributeName::QueueArn).send())?;
        let arn = told.attributes().and_then(|all| all.get(&QueueAttributeName::QueueArn)).cloned();
        arn.context("no ARN")
    }

    /// Whether arrivals in the bucket are told to the queue.
    ///
    /// # Errors
    /// What moto says.
    pub fn notify(&self, on: bool) -> anyhow::Result<()> {
        let mut configuration = NotificationConfiguration::builder();
        if on {
            let queue = QueueConfiguration::builder()
                .queue_arn(self.arn(&self.queue)?)
                .events(Event::S3ObjectCreated)
                .build()?;
            configuration = configuration.queue_configurations(queue);
        }
        let request = self.s3.put_bucket_notification_configuration().bucket(BUCKET);
        self.wait(request.notification_configuration(configuration.build()).send()).map(|_| ())
    }

    /// Waits for a request of the clients.
    ///
    /// # Errors
    /// What it came to.
    pub fn wait<T, E: std::error::Error + Send + Sync + 'static>(
        &self,
        request: impl Future<Output = Result<T, E>>,
    ) -> anyhow::Result<T> {
        self.runtime.block_on(request).map_err(|error| anyhow::anyhow!("{error:?}"))
    }

    /// The settings of an installation in this AWS.
    pub fn settings(&self, site: Site) -> Site {
        site.with("OUTPORT_BUCKETS_ROOT", "s3://")
            .with("OUTPORT_ARTIFACTS_ROOT", &format!("s3://{ARTIFACTS}/made"))
            .with("OUTPORT_INTAKE_QUEUE", &self.queue)
            .with("OUTPORT_INTAKE_DEAD_LETTERS", &self.dead_letters)
            .with("OUTPORT_INTAKE_RECONCILE", "0s")
            .with("OUTPORT_AWS_REGION", "us-east-1")
            .with("AWS_ENDPOINT_URL", self.stand_in.endpoint())
            .with("AWS_ACCESS_KEY_ID", "outport-test")
            .with("AWS_SECRET_ACCESS_KEY", "no-secret")
            .with("AWS_EC2_METADATA_DISABLED", "true")
    }

    /// Where it is.
    pub fn endpoint(&self) -> &str {
        self.stand_in.endpoint()
    }

    /// The requests that moto noted; MiniStack notes none.
    pub fn requests(&self) -> Vec<String> {
        match &self.stand_in {
            StandIn::Moto(moto) => moto.requests(),
            StandIn::MiniStack(_) => Vec::new(),
        }
    }

    /// The queue's URL.
    pub fn queue(&self) -> &str {
        &self.queue
    }

    /// The URL of its dead letters.
    pub fn dead_letters(&self) -> &str {
        &self.dead_letters
    }

    /// Uploads an object with one request; its version.
    ///
    /// # Errors
    /// What moto says.
    pub fn upload(&self, key: &str, content: &[u8]) -> anyhow::Result<Option<String>> {
        let body = ByteStream::from(content.to_vec());
        let request = self.s3.put_object().bucket(BUCKET).key(key).body(body);
        Ok(self.wait(request.send())?.version_id)
    }

    /// Puts a message into the queue.
    ///
    /// # Errors
    /// What moto says.
    pub fn say(&self, body: &str) -> anyhow::Result<()> {
        self.wait(self.sqs.send_message().queue_url(&self.queue).message_body(body).send()).map(|_| ())
    }

    /// How many messages a queue holds, those in somebody's hands too.
    ///
    /// # Errors
    /// What moto says.
    pub fn messages(&self, queue: &str) -> anyhow::Result<u64> {
        use QueueAttributeName::{ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible};
        let request = self
            .sqs
            .get_queue_attributes()
            .queue_url(queue)
            .attribute_names(ApproximateNumberOfMessages)
            .attribute_names(ApproximateNumberOfMessagesNotVisible);
        let told = self.wait(request.send())?.attributes.unwrap_or_default();
        Ok(told.values().filter_map(|number| number.parse::<u64>().ok()).sum())
    }

    /// The keys of a bucket.
    ///
    /// # Errors
    /// What moto says.
    pub fn keys(&self, bucket: &str) -> anyhow::Result<Vec<String>> {
        let listed = self.wait(self.s3.list_objects_v2().bucket(bucket).send())?;
        Ok(listed.contents().iter().filter_map(|object| object.key().map(str::to_owned)).collect())
    }
}

fn redrive(dead_letters: &str, times: u32) -> String {
    format!("{{\"deadLetterTargetArn\":\"{dead_letters}\",\"maxReceiveCount\":{times}}}")
}
