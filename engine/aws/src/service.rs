//! From the words of SQS, Batch, Secrets Manager and SNS to a fault: one decision, without I/O.

use outport_core::{Fault, code};

use crate::failure::{Answer, Failure};
use crate::verdict::{Verdict, cause, common, named_action, without_answer};

/// One request: what it was to do, in words and in IAM.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    /// The verb of "could not ...", with its preposition: `receive from`.
    pub(crate) verb: &'static str,
    /// What it was done to, as people know it: `the queue https://...`.
    pub(crate) object: &'a str,
    /// The IAM action that it needs.
    pub(crate) action: &'static str,
}

/// The fault of a request that did not do what it should.
pub(crate) fn fault_of(call: Call<'_>, failure: &Failure) -> Fault {
    let verdict = match failure {
        Failure::Answer(answer) => judge(call, answer),
        other => without_answer(other, &code::AWS_REQUEST_FAILED)
            .unwrap_or_else(|| Verdict::plain(&code::AWS_REQUEST_FAILED)),
    };
    let clock = verdict.code == &code::AWS_CLOCK_SKEWED;
    let message = format!("could not {} {}: {}", call.verb, call.object, cause(failure, false, clock));
    let fault = Fault::new(verdict.code, message);
    match verdict.hint {
        Some(hint) => fault.with_hint(hint),
        None => fault,
    }
}

fn judge(call: Call<'_>, answer: &Answer) -> Verdict {
    let word = answer.code.as_deref().unwrap_or_default();
    // In JSON protocols the word may come with its namespace: com.amazonaws.sqs#QueueDoesNotExist.
    let word = word.rsplit('#').next().unwrap_or_default();
    if let Some(verdict) = common(answer, word) {
        return verdict;
    }
    match (word, answer.status) {
        (
            "QueueDoesNotExist"
            | "AWS.SimpleQueueService.NonExistentQueue"
            | "ResourceNotFoundException"
            | "NotFound"
            | "NotFoundException",
            _,
        )
        | ("", 404) => Verdict::plain(&code::AWS_NOT_FOUND),
        // Batch says ClientException for everything, and the sentence tells which.
        ("ClientException", _) if says_missing(answer) => Verdict::plain(&code::AWS_NOT_FOUND),
        (
            "AccessDenied"
            | "AccessDeniedException"
            | "AuthorizationError"
            | "AuthorizationErrorException"
            | "KmsAccessDenied"
            | "KMSAccessDeniedException",
            _,
        )
        | ("", 401 | 403) => denied(call, answer),
        ("ClientException", 403) => denied(call, answer),
        // 120,000 messages of one queue are in flight.
        ("OverLimit", _) | (_, 429) => Verdict::plain(&code::AWS_THROTTLED),
        ("ServerException" | "InternalServiceError" | "InternalFailure" | "InternalErrorException", _)
        | (_, 500..=599) => Verdict::hinted(
            &code::AWS_REQUEST_FAILED,
            "the service reports trouble of its own; it is tried again by itself",
        ),
        _ => Verdict::plain(&code::AWS_REQUEST_FAILED),
    }
}

fn says_missing(answer: &Answer) -> bool {
    ["does not exist", "not found", "doesn't exist"].iter().any(|words| crate::verdict::says(answer, words))
}

fn denied(call: Call<'_>, answer: &Answer) -> Verdict {
    let action = named_action(answer).unwrap_or(call.action);
    let hint = if action.starts_with("kms:") {
        format!("allow {action} to this role, in the key's policy too")
    } else {
        format!("allow {action} on {} (this role's policy, the resource's own, or an SCP)", call.object)
    };
    Verdict::hinted(&code::AWS_ACCESS_DENIED, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Call<'_> =
        Call { verb: "receive from", object: "the queue https://q/1/in", action: "sqs:ReceiveMessage" };

    fn of(status: u16, code: &str, message: &str) -> Fault {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let answer = Answer { status, code: some(code), message: some(message), ..Answer::default() };
        fault_of(CALL, &Failure::Answer(answer))
    }

    #[test]
    fn every_answer_has_its_code() {
        let expired = "Signature expired: 20261122T030000Z is now earlier than 20261122T033000Z";
        for (status, word, message, want) in [
            (400, "QueueDoesNotExist", "", "aws.not_found"),
            (400, "AWS.SimpleQueueService.NonExistentQueue", "", "aws.not_found"),
            (400, "com.amazonaws.sqs#QueueDoesNotExist", "", "aws.not_found"),
            (400, "ResourceNotFoundException", "Secrets Manager can't find", "aws.not_found"),
            (404, "NotFound", "Topic does not exist", "aws.not_found"),
            (404, "ClientException", "JobQueue arn:... not found", "aws.not_found"),
            (404, "", "", "aws.not_found"),
            (400, "AccessDeniedException", "", "aws.access_denied"),
            (403, "AuthorizationError", "", "aws.access_denied"),
            (403, "", "", "aws.access_denied"),
            (400, "KmsAccessDenied", "", "aws.access_denied"),
            (400, "ExpiredTokenException", "", "aws.credentials_expired"),
            (403, "InvalidClientTokenId", "", "aws.credentials_refused"),
            (400, "UnrecognizedClientException", "", "aws.credentials_refused"),
            (403, "InvalidSignatureException", expired, "aws.clock_skewed"),
            (403, "SignatureDoesNotMatch", "Signature not yet current: ...", "aws.clock_skewed"),
            (
                403,
                "InvalidSignatureException",
                "Credential should be scoped to a valid region",
                "aws.wrong_region",
            ),
            (403, "SignatureDoesNotMatch", "The request signature we calculated", "aws.credentials_refused"),
            (400, "ThrottlingException", "", "aws.throttled"),
            (400, "RequestThrottled", "", "aws.throttled"),
            (429, "TooManyRequestsException", "Too Many Requests", "aws.throttled"),
            (429, "", "", "aws.throttled"),
            (400, "OverLimit", "", "aws.throttled"),
            (500, "InternalFailure", "", "aws.request_failed"),
            (400, "ClientException", "array size must be between 2 and 10000", "aws.request_failed"),
        ] {
            let fault = of(status, word, message);
            assert_eq!(fault.code.name, want, "{status} {word} {message}");
            assert!(fault.message.starts_with("could not receive from the queue https://q/1/in: "));
            assert!(!fault.hint().is_empty());
        }
    }

    #[test]
    fn who_may_not_is_told_the_action() {
        let fault = of(403, "AccessDeniedException", "");
        assert!(fault.hint().starts_with("allow sqs:ReceiveMessage on the queue "), "{}", fault.hint());
        let named = "User: x is not authorized to perform: kms:Decrypt on resource: y";
        assert!(of(403, "AccessDeniedException", named).hint().starts_with("allow kms:Decrypt to this role"));
    }
}
