//! What goes wrong before S3 says anything.

use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use outport_aws::{Access, S3Settings, S3Store};
use outport_objects::{Expected, Objects};
use outport_tests::servers::scripted::{Reply, Scripted, Then};

use super::{BUCKET, access, aws};

/// What the SDK's chain ends with where nothing gives credentials.
#[derive(Debug)]
struct Nobody;

impl ProvideCredentials for Nobody {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let error = CredentialsError::not_loaded("no providers in chain provided credentials");
        future::ProvideCredentials::ready(provider::Result::Err(error))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials() {
    let server = Scripted::start(|_| Reply::new(200, "")).unwrap();
    let aws = aws(&access(&server.endpoint())).await.into_builder();
    let aws = aws.credentials_provider(SharedCredentialsProvider::new(Nobody)).build();
    let store = S3Store::new(&aws, S3Settings::default());
    let fault = store.open(BUCKET, "a", Expected::any()).await.unwrap_err();
    assert_eq!(fault.code.name, "aws.credentials_missing", "{fault}");
    assert!(fault.message.starts_with("could not read s3://inbox/a: "), "{fault}");
    assert!(fault.hint().contains("AWS_PROFILE"), "{}", fault.hint());
    assert!(server.requests().is_empty(), "nothing is sent unsigned");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_region() {
    let server = Scripted::start(|_| Reply::new(200, "")).unwrap();
    let mut aws = aws(&access(&server.endpoint())).await.into_builder();
    aws.set_region(None);
    let store = S3Store::new(&aws.build(), S3Settings::default());
    let fault = store.open(BUCKET, "a", Expected::any()).await.unwrap_err();
    assert_eq!(fault.code.name, "aws.wrong_region", "{fault}");
    assert!(fault.hint().contains("AWS_REGION"), "{}", fault.hint());
    assert!(server.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let store = S3Store::new(&aws(&access(&format!("http://{gone}"))).await, S3Settings::default());
    let fault = store.head(BUCKET, "a").await.unwrap_err();
    assert_eq!(fault.code.name, "aws.unreachable", "{fault}");
    assert!(fault.message.starts_with("could not look at s3://inbox/a: "), "{fault}");
    assert!(fault.message.to_lowercase().contains("connection refused"), "{fault}");
    assert_eq!(fault.message.matches("onnection refused").count(), 1, "said once: {fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_within_the_limit() {
    let server = Scripted::start(|_| Reply::none(Then::Silence)).unwrap();
    let access = Access { attempt_timeout: Duration::from_millis(300), ..access(&server.endpoint()) };
    let store = S3Store::new(&aws(&access).await, S3Settings::default());
    let fault = store.open(BUCKET, "a", Expected::any()).await.unwrap_err();
    assert_eq!(fault.code.name, "aws.unreachable", "{fault}");
    assert!(fault.message.contains("no answer within the limit"), "{fault}");
}
