//! What any service of AWS may say of credentials, clocks, regions and speed.

use outport_core::{Code, code};

use crate::failure::{Answer, Failure};

/// The code of a fault, and a hint where there is a better one than the code's own.
pub(crate) struct Verdict {
    pub(crate) code: &'static Code,
    pub(crate) hint: Option<String>,
}

impl Verdict {
    pub(crate) fn plain(code: &'static Code) -> Self {
        Self { code, hint: None }
    }

    pub(crate) fn hinted(code: &'static Code, hint: impl Into<String>) -> Self {
        Self { code, hint: Some(hint.into()) }
    }
}

/// A failure without an answer of the service. `other` is for what is none of the known ones.
pub(crate) fn without_answer(failure: &Failure, other: &'static Code) -> Option<Verdict> {
    Some(match failure {
        Failure::NoCredentials(_) => Verdict::plain(&code::AWS_CREDENTIALS_MISSING),
        Failure::NoAnswer(_) => Verdict::plain(&code::AWS_UNREACHABLE),
        // The SDK's own words; nothing was sent.
        Failure::Other(cause) if cause.to_lowercase().contains("region must be set") => Verdict::hinted(
            &code::AWS_WRONG_REGION,
            "set the region in the settings (aws.region), in AWS_REGION or in the profile",
        ),
        Failure::Other(_) => {
            Verdict::hinted(other, "see the cause in the message; it is tried again by itself")
        }
        Failure::Answer(_) => return None,
    })
}

/// A code that means the same whoever says it ("Common Errors" in the references of SQS, Batch, Secrets Manager and SNS;
/// "Error responses" of S3).
pub(crate) fn common(answer: &Answer, word: &str) -> Option<Verdict> {
    Some(match word {
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
            Verdict::plain(&code::AWS_CREDENTIALS_EXPIRED)
        }
        // One code for three troubles: only the sentence tells them apart.
        "SignatureDoesNotMatch" | "InvalidSignatureException" | "IncompleteSignature"
            if says(answer, "signature expired") || says(answer, "not yet current") =>
        {
            Verdict::plain(&code::AWS_CLOCK_SKEWED)
        }
        "SignatureDoesNotMatch" | "InvalidSignatureException" if says(answer, "valid region") => {
            Verdict::plain(&code::AWS_WRONG_REGION)
        }
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "InvalidToken"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidSecurity"
        | "OptInRequired"
        | "NotSignedUp" => Verdict::plain(&code::AWS_CREDENTIALS_REFUSED),
        "RequestTimeTooSkewed" | "RequestExpired" => Verdict::plain(&code::AWS_CLOCK_SKEWED),
        "SlowDown"
        | "ServiceUnavailable"
        | "Throttling"
        | "Throttled"
        | "ThrottledException"
        | "ThrottlingException"
        | "TooManyRequests"
        | "TooManyRequestsException"
        | "RequestThrottled"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded" => Verdict::plain(&code::AWS_THROTTLED),
        _ => return None,
    })
}

/// Whether the service's sentence has these words (in small letters).
pub(crate) fn says(answer: &Answer, words: &str) -> bool {
    answer.message.as_ref().is_some_and(|message| message.to_lowercase().contains(words))
}

/// What went wrong, in one line. `region` and `clock`: whether those of the answer matter.
pub(crate) fn cause(failure: &Failure, region: bool, clock: bool) -> String {
    let answer = match failure {
        Failure::NoCredentials(cause) | Failure::NoAnswer(cause) | Failure::Other(cause) => {
            return cause.clone();
        }
        Failure::Answer(answer) => answer,
    };
    let code = answer.code.as_deref().unwrap_or("no reason given");
    let mut text = format!("{code} (status {})", answer.status);
    if let Some(message) = &answer.message {
        text.push_str(": ");
        text.push_str(message.replace(['\n', '\r'], " ").trim_end_matches('.'));
    }
    if let Some(region) = answer.region.as_ref().filter(|_| region) {
        text.push_str(&format!("; the bucket is in {region}"));
    }
    if let Some(date) = answer.date.as_ref().filter(|_| clock) {
        text.push_str(&format!("; the server's clock says {date}"));
    }
    if let Some(id) = &answer.request_id {
        text.push_str(&format!(" (request {id})"));
    }
    text
}

/// The action in AWS's sentence, if it looks like one: "... is not authorized to perform: kms:Decrypt on resource: ...".
pub(crate) fn named_action(answer: &Answer) -> Option<&str> {
    let (_, rest) = answer.message.as_deref()?.split_once("not authorized to perform: ")?;
    let action = rest.split([' ', ',', '.']).next()?;
    let (service, verb) = action.split_once(':')?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (plain(service) && plain(verb)).then_some(action)
}
