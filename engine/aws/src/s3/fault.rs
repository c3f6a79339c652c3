//! From S3's words to a fault: one decision, without I/O.
//!
//! The error codes are those of the S3 API reference ("Error responses"), and what compatible stores were seen to say.

use outport_core::{Fault, code};

use super::act::{Act, Place};
use crate::failure::{Answer, Failure};
use crate::verdict::{Verdict, cause, common, named_action, says, without_answer};

/// The fault of a request that did not do what it should.
pub(crate) fn fault_of(act: Act, place: &Place, failure: &Failure) -> Fault {
    let verdict = match failure {
        Failure::Answer(answer) => judge(act, place, answer),
        other => without_answer(other, &code::OBJECT_STORE_FAILED)
            .unwrap_or_else(|| Verdict::plain(&code::OBJECT_STORE_FAILED)),
    };
    let (region, clock) = match failure {
        Failure::Answer(answer) => (is_elsewhere(answer), verdict.code == &code::AWS_CLOCK_SKEWED),
        _ => (false, false),
    };
    let message = format!("could not {} {place}: {}", act.verb(), cause(failure, region, clock));
    let fault = Fault::new(verdict.code, message);
    match verdict.hint {
        Some(hint) => fault.with_hint(hint),
        None => fault,
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
        "PermanentRedirect" | "TemporaryRedirect" | "IllegalLocationConstraintException" => {
            wrong_region(answer)
        }
        // Also said of malformed signatures, then without a region in it.
        "AuthorizationHeaderMalformed" if says(answer, "region") => wrong_region(answer),
        "AuthorizationHeaderMalformed" => Verdict::plain(&code::AWS_CREDENTIALS_REFUSED),
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
        word => return common(answer, word),
    })
}

fn is_read(act: Act) -> bool {
    matches!(act, Act::Look | Act::Read | Act::ReadVersion | Act::ReadTags | Act::ReadVersionTags)
}

fn is_elsewhere(answer: &Answer) -> bool {
    matches!(answer.status, 301 | 307) || answer.code.as_deref() == Some("AuthorizationHeaderMalformed")
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
    // AWS names the action itself where it can.
    let named = named_action(answer);
    let action = named.unwrap_or(act.iam_action());
    if !action.starts_with("s3:") {
        let hint = format!("allow {action} to this role (for KMS in the key's policy too)");
        return Verdict::hinted(&code::AWS_ACCESS_DENIED, hint);
    }
    let bucket = &place.bucket;
    let is_of_buckets =
        |action: &str| action.starts_with("s3:ListBucket") || action.starts_with("s3:GetBucket");
    let on_bucket = if named.is_some() { is_of_buckets(action) } else { act.is_on_bucket() };
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

#[cfg(test)]
#[path = "fault_tests.rs"]
mod tests;
