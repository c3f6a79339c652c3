//! The S3 store: against moto, and against a server that says what moto does not.

mod answers;
mod broken_off;
mod conformance;
mod lost_answers;
mod unreachable;
mod versions;
mod writers;

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::Client;
use bytes::Bytes;
use outport_aws::{Access, S3Settings, S3Store, SdkConfig};
use outport_core::Fault;
use outport_objects::{Expected, Objects, Stored};
use outport_tests::servers::moto::Moto;

/// One attempt, and short limits: what is tried again is a test of its own.
fn access(endpoint: &str) -> Access {
    Access {
        region: Some("us-east-1".into()),
        endpoint: Some(endpoint.into()),
        attempts: 1,
        attempt_timeout: Duration::from_secs(60),
        ..Access::default()
    }
}

/// The store's own configuration with a key that nobody checks.
async fn aws(access: &Access) -> SdkConfig {
    let credentials = Credentials::new("outport-test", "no-secret", None, None, "the test");
    let aws = outport_aws::load(access).await;
    aws.into_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build()
}

/// moto with one bucket, our store over it, and a client that sets things up past the store.
struct Bed {
    moto: Moto,
    aws: SdkConfig,
    client: Client,
    store: S3Store,
}

const BUCKET: &str = "inbox";

impl Bed {
    async fn new(moto: Moto) -> Self {
        let aws = aws(&access(moto.endpoint())).await;
        let config = aws_sdk_s3::config::Builder::from(&aws).force_path_style(true).build();
        let client = Client::from_conf(config);
        client.create_bucket().bucket(BUCKET).send().await.unwrap();
        let store = S3Store::new(&aws, S3Settings::default());
        Self { moto, aws, client, store }
    }

    /// Uploads that were begun and neither finished nor given up.
    async fn open_uploads(&self) -> usize {
        let found = self.client.list_multipart_uploads().bucket(BUCKET).send().await.unwrap();
        found.uploads().len()
    }
}

async fn put(store: &dyn Objects, key: &str, content: &[u8]) -> Result<Stored, Fault> {
    let mut writer = store.create(BUCKET, key).await?;
    for piece in content.chunks(200_000) {
        writer.write(Bytes::copy_from_slice(piece)).await?;
    }
    writer.finish().await
}

async fn get(store: &dyn Objects, key: &str, expected: Expected) -> Result<Vec<u8>, Fault> {
    let mut reader = store.open(BUCKET, key, expected).await?;
    let mut content = Vec::new();
    while let Some(piece) = reader.next().await? {
        content.extend_from_slice(&piece);
    }
    Ok(content)
}

/// Bytes that differ from place to place: a range out of order shows.
fn content(size: usize) -> Vec<u8> {
    (0..size as u64).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// The name of the fault's code; "ok" without one.
fn code_of<T>(result: &Result<T, Fault>) -> &'static str {
    result.as_ref().map_or_else(|fault| fault.code.name, |_| "ok")
}
