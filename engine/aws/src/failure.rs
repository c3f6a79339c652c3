//! What an AWS client's error says, taken out of its nested types: everything that a decision needs, and nothing else.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

/// Why a request did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There was nothing to sign the request with.
    NoCredentials(String),
    /// No answer came: the name does not resolve, nobody listens, TLS fails, the limit passed.
    NoAnswer(String),
    /// The service answered, and it was no success.
    Answer(Answer),
    /// The request could not be made, or the answer not be understood.
    Other(String),
}

/// An answer that is no success.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// The service's word for it: `AccessDenied`. None in an answer to HEAD, which has no body.
    pub(crate) code: Option<String>,
    /// The service's sentence.
    pub(crate) message: Option<String>,
    /// For AWS support.
    pub(crate) request_id: Option<String>,
    /// Where the bucket is, when S3 says so (`x-amz-bucket-region`).
    pub(crate) region: Option<String>,
    /// The server's clock (`date`).
    pub(crate) date: Option<String>,
}

impl Failure {
    /// Takes an SDK's error apart.
    pub(crate) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        if let Some(cause) = chain(error).find_map(|cause| cause.downcast_ref::<CredentialsError>()) {
            return Self::NoCredentials(causes(cause));
        }
        match error {
            SdkError::ServiceError(failed) => Self::Answer(Answer {
                code: failed.err().code().map(str::to_owned),
                message: failed.err().message().map(str::to_owned),
                ..answer(failed.raw())
            }),
            // An error page of a proxy, or a body that is no XML.
            SdkError::ResponseError(failed) if !failed.raw().status().is_success() => {
                Self::Answer(answer(failed.raw()))
            }
            SdkError::TimeoutError(_) => Self::NoAnswer("no answer within the limit".to_owned()),
            SdkError::DispatchFailure(failed) => match failed.as_connector_error() {
                Some(cause) if cause.is_timeout() || cause.is_io() => Self::NoAnswer(causes(cause)),
                Some(cause) if !cause.is_user() && cause.connection_metadata().is_some() => {
                    Self::NoAnswer(causes(cause))
                }
                Some(cause) => Self::Other(causes(cause)),
                None => Self::NoAnswer(causes(error)),
            },
            other => Self::Other(causes(other)),
        }
    }

    /// The answer's code.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Answer(answer) => answer.code.as_deref(),
            _ => None,
        }
    }

    /// The answer's status.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Answer(answer) => Some(answer.status),
            _ => None,
        }
    }
}

fn answer(raw: &HttpResponse) -> Answer {
    let header = |name: &str| raw.headers().get(name).map(str::to_owned);
    Answer {
        status: raw.status().as_u16(),
        code: None,
        message: None,
        request_id: header("x-amz-request-id").or_else(|| header("x-amzn-requestid")),
        region: header("x-amz-bucket-region"),
        date: header("date"),
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

/// The whole chain in one line. The SDK's own layers repeat each other ("dispatch failure: io error: client error
/// (Connect): tcp connect error: Connection refused"); what is said already is left out.
pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    for cause in chain(error).map(|cause| cause.to_string().replace(['\n', '\r'], " ")) {
        if !line.contains(&cause) {
            line.push_str(if line.is_empty() { "" } else { ": " });
            line.push_str(&cause);
        }
    }
    line
}
