//! From S3's words to a fault: one decision, without I/O.
//!
//! The error codes are those of the S3 API reference ("Error responses"), and what compatible stores were seen to say.

use outport_core::{Code, Fault, code};

use super::act::{Act, Place};
use crate::failure::{Answer, Failure};

/// The fault of a request that did not do what it should.
pub(crate) fn fault_of(act: Act, place: &Place, failure: &Failure) -> Fault {
    let verdict = match failure {
        Failure::NoCredentials(_) => Verdict::plain(&code::AWS_CREDENTIALS_MISSING),
        Failure::NoAnswer(_) => Verdict::plain(&code::AWS_UNREACHABLE),
        // The SDK's own words; nothing was sent.
        Failure::Other(cause) if cause.to_lowercase().contains("region must be set") => Verdict::hinted(
            &code::AWS_WRONG_REGION,
            "set the region in the settings, in AWS_REGION or in the profile",
        ),
        Failure::Other(_) => Verdict::hinted(
            &code::OBJECT_STORE_FAILED,
            "see the cause in the message; it is tried again by itself",
        ),
        Failure::Answer(answer) => judge(act, place, answer),
    };
    let message = format!("could not {} {place}: {}", act.verb(), cause(failure));
    let fault = Fault::new(verdict.code, message);
    match verdict.hint {
        Some(hint) => fault.with_hint(hint),
        None => fault,
    }
}

struct Verdict {
    code: &'static Code,
    hint: Option<String>,
}

impl Verdict {
    fn plain(code: &'static Code) -> Self {
        Self { code, hint: None }
    }

    fn hinted(code: &'static Code, hint: impl Into<String>) -> Self {
        Self { code, hint: Some(hint.into()) }
    }
}

fn cause(failure: &Failure) -> String {
    match failure {
        Failure::NoCredentials(cause) | Failure::NoAnswer(cause) | Failure::Other(cause) => cause.clone(),
        Failure::Answer(answer) => {
            let code = answer.code.as_deref().unwrap_or("no reason given");
            let mut text = format!("{code} (status {})", answer.status);
            if let Some(message) = &answer.message {
                text.push_str(": ");
                text.push_str(message.replace(['\n', '\r'], " ").trim_end_matches('.'));
            }
            if let Some(region) = &answer.region
                && is_elsewhere(answer)
            {
                text.push_str(&format!("; the bucket is in {region}"));
            }
            if let Some(date) = &answer.date
                && is_skewed(answer)
            {
                text.push_str(&format!("; the server's clock says {date}"));
            }
            if let Some(id) = &answer.request_id {
                text.push_str(&format!(" (request {id})"));
            }
            text
        }
    }
}

fn judge(act: Act, place: &Place, answer: &Answer) -> Verdict {
    // Before the status: many codes share 400 and 403.
    if let Some(verdict) = answer.code.as_deref().and_then(|code| judge_code(act, place, answer, code)) {
        return verdict;
    }
    match answer.status {
        301 | 307 => wrong_region(answer),
        401 | 403 => denied(act, place, answer),
        404 if act.is_on_bucket() => no_bucket(),
        // 405 on a read: the version id is that of a delete marker.
        404 | 405 if is_read(act) => gone(),
        412 if is_read(act) => Verdict::plain(&code::ARTIFACT_CHANGED),
        412 => Verdict::plain(&code::OBJECT_EXISTS),
        // Ranges are asked for within the size that the first answer gave.
        416 if is_read(act) => Verdict::plain(&code::ARTIFACT_CHANGED),
        429 | 503 => Verdict::plain(&code::AWS_THROTTLED),
        500..=599 if answer.status == 507 => Verdict::plain(&code::OBJECT_STORE_FULL),
        501 => not_implemented(),
        500..=599 => its_own_trouble(),
        _ => Verdict::hinted(&code::OBJECT_STORE_FAILED, "see the code and text in the message"),
    }
}

fn judge_code(act: Act, place: &Place, answer: &Answer, word: &str) -> Option<Verdict> {
    Some(match word {
        "NoSuchBucket" => no_bucket(),
        "NoSuchKey" | "NoSuchVersion" if is_read(act) => gone(),
        "MethodNotAllowed" if is_read(act) => gone(),
        // A version id that this bucket never gave out.
        "InvalidArgument" if act == Act::ReadVersion && says(answer, "version") => gone(),
        "PreconditionFailed" if is_read(act) => Verdict::plain(&code::ARTIFACT_CHANGED),
        "PreconditionFailed" => Verdict::plain(&code::OBJECT_EXISTS),
        "ConditionalRequestConflict" | "OperationAborted" => Verdict::hinted(
            &code::OBJECT_STORE_FAILED,
            "another request was at the same key; it is tried again by itself",
        ),
        "InvalidObjectState" => Verdict::plain(&code::OBJECT_ARCHIVED),
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
            Verdict::plain(&code::AWS_CREDENTIALS_EXPIRED)
        }
        "InvalidAccessKeyId"
        | "SignatureDoesNotMatch"
        | "InvalidToken"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidSecurity"
        | "NotSignedUp" => Verdict::plain(&code::AWS_CREDENTIALS_REFUSED),
        "PermanentRedirect" | "TemporaryRedirect" | "IllegalLocationConstraintException" => {
            wrong_region(answer)
        }
        // Also said of malformed signatures, then without a region in it.
        "AuthorizationHeaderMalformed" if says(answer, "region") => wrong_region(answer),
        "AuthorizationHeaderMalformed" => Verdict::plain(&code::AWS_CREDENTIALS_REFUSED),
        "RequestTimeTooSkewed" | "RequestExpired" => Verdict::plain(&code::AWS_CLOCK_SKEWED),
        "SlowDown"
        | "ServiceUnavailable"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequests"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "BandwidthLimitExceeded" => Verdict::plain(&code::AWS_THROTTLED),
        "AccessDenied" | "AllAccessDisabled" | "AccountProblem" | "AccessDeniedException" => {
            denied(act, place, answer)
        }
        "QuotaExceeded" | "XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded" => Verdict::hinted(
            &code::OBJECT_STORE_FULL,
            "raise the store's quota or free space; the work is tried again by itself",
        ),
        "NotImplemented" => not_implemented(),
        "InternalError" => its_own_trouble(),
        _ if word.starts_with("KMS.") => Verdict::hinted(
            &code::OBJECT_STORE_FAILED,
            "the bucket's KMS key is disabled, deleted or in another region; see the message",
        ),
        _ => return None,
    })
}

fn is_read(act: Act) -> bool {
    matches!(act, Act::Look | Act::Read | Act::ReadVersion)
}

fn is_elsewhere(answer: &Answer) -> bool {
    matches!(answer.status, 301 | 307) || answer.code.as_deref() == Some("AuthorizationHeaderMalformed")
}

fn is_skewed(answer: &Answer) -> bool {
    answer.code.as_deref() == Some("RequestTimeTooSkewed")
}

fn says(answer: &Answer, word: &str) -> bool {
    answer.message.as_ref().is_some_and(|message| message.to_lowercase().contains(word))
}

fn gone() -> Verdict {
    Verdict::hinted(
        &code::ARTIFACT_MISSING,
        "the object or that version of it was deleted or expired; upload it again, and keep lifecycle rules longer than retries (72 h)",
    )
}

fn no_bucket() -> Verdict {
    Verdict::hinted(
        &code::INTAKE_BUCKET_MISSING,
        "create the bucket, or correct its name, region or endpoint",
    )
}

fn wrong_region(answer: &Answer) -> Verdict {
    match &answer.region {
        Some(region) => Verdict::hinted(&code::AWS_WRONG_REGION, format!("set the region to {region}")),
        None => Verdict::plain(&code::AWS_WRONG_REGION),
    }
}

fn its_own_trouble() -> Verdict {
    Verdict::hinted(
        &code::OBJECT_STORE_FAILED,
        "the store reports trouble of its own; it is tried again by itself",
    )
}

fn not_implemented() -> Verdict {
    Verdict::hinted(
        &code::OBJECT_STORE_FAILED,
        "a store that is not AWS may not know checksum trailers or conditional writes: set checksums to when_required, and check that it knows If-None-Match",
    )
}

/// The hint names the action and what it is needed on: that is a line of an IAM policy.
fn denied(act: Act, place: &Place, answer: &Answer) -> Verdict {
    // AWS names the action itself where it can: "... is not authorized to perform: kms:Decrypt on resource: ...".
    let named = answer.message.as_deref().and_then(named_action);
    let action = named.unwrap_or(act.iam_action());
    if !action.starts_with("s3:") {
        let hint = format!("allow {action} to this role (for KMS in the key's policy too)");
        return Verdict::hinted(&code::AWS_ACCESS_DENIED, hint);
    }
    let bucket = &place.bucket;
    let on_bucket = if named.is_some() { action == "s3:ListBucket" } else { act.is_on_bucket() };
    let resource =
        if on_bucket { format!("arn:aws:s3:::{bucket}") } else { format!("arn:aws:s3:::{bucket}/*") };
    let mut hint =
        format!("allow {action} on {resource} (this role's policy, the bucket's policy, or an SCP)");
    if is_read(act) && !on_bucket {
        hint.push_str(&format!(
            "; or the object is missing: S3 says so only to who has s3:ListBucket on arn:aws:s3:::{bucket}"
        ));
    }
    Verdict::hinted(&code::AWS_ACCESS_DENIED, hint)
}

/// The action in AWS's sentence, if it looks like one.
fn named_action(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("not authorized to perform: ")?;
    let action = rest.split([' ', ',', '.']).next()?;
    let (service, verb) = action.split_once(':')?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (plain(service) && plain(verb)).then_some(action)
}

#[cfg(test)]
#[path = "fault_tests.rs"]
mod tests;
