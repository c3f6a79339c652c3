use super::*;

fn answer(status: u16, code: &str, message: &str) -> Failure {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Failure::Answer(Answer { status, code: some(code), message: some(message), ..Answer::default() })
}

fn of(act: Act, failure: &Failure) -> Fault {
    fault_of(act, &Place::new("inbox", "claims/a.json"), failure)
}

#[test]
fn every_answer_of_s3_has_its_code() {
    use Act::*;
    let kms =
        "User: arn:aws:sts::1:assumed-role/r/s is not authorized to perform: kms:Decrypt on resource: x";
    let cases = [
        (FindBucket, 404, "", "", "intake.bucket_missing"),
        (Read, 404, "NoSuchBucket", "The specified bucket does not exist", "intake.bucket_missing"),
        (Delete, 404, "NoSuchBucket", "", "intake.bucket_missing"),
        (Write, 404, "NoSuchBucket", "", "intake.bucket_missing"),
        (Read, 404, "NoSuchKey", "", "artifact.missing"),
        (ReadVersion, 404, "NoSuchVersion", "", "artifact.missing"),
        (ReadVersion, 405, "MethodNotAllowed", "", "artifact.missing"),
        (ReadVersion, 405, "", "", "artifact.missing"),
        (ReadVersion, 400, "InvalidArgument", "Invalid version id specified", "artifact.missing"),
        (Read, 400, "InvalidArgument", "Invalid version id specified", "object.store_failed"),
        (ReadVersion, 400, "InvalidArgument", "Argument max-keys must be...", "object.store_failed"),
        (Look, 404, "", "", "artifact.missing"),
        (Read, 412, "PreconditionFailed", "", "artifact.changed"),
        (Read, 412, "", "", "artifact.changed"),
        (Read, 416, "InvalidRange", "The requested range is not satisfiable", "artifact.changed"),
        (Write, 412, "PreconditionFailed", "", "object.exists"),
        (Write, 412, "", "", "object.exists"),
        (Write, 409, "ConditionalRequestConflict", "", "object.store_failed"),
        (Write, 409, "OperationAborted", "", "object.store_failed"),
        (Write, 404, "NoSuchUpload", "The specified upload does not exist", "object.store_failed"),
        (Read, 403, "InvalidObjectState", "", "object.archived"),
        (Read, 403, "AccessDenied", "Access Denied", "aws.access_denied"),
        (Read, 403, "AccessDenied", kms, "aws.access_denied"),
        (Look, 403, "", "", "aws.access_denied"),
        (Look, 401, "", "", "aws.access_denied"),
        (Write, 403, "AllAccessDisabled", "", "aws.access_denied"),
        (Read, 400, "ExpiredToken", "The provided token has expired.", "aws.credentials_expired"),
        (Read, 400, "TokenRefreshRequired", "", "aws.credentials_expired"),
        (Read, 403, "InvalidAccessKeyId", "", "aws.credentials_refused"),
        (Read, 403, "SignatureDoesNotMatch", "", "aws.credentials_refused"),
        (Read, 400, "InvalidToken", "", "aws.credentials_refused"),
        (Read, 301, "PermanentRedirect", "", "aws.wrong_region"),
        (Look, 301, "", "", "aws.wrong_region"),
        (Read, 307, "TemporaryRedirect", "", "aws.wrong_region"),
        (
            Read,
            400,
            "AuthorizationHeaderMalformed",
            "the region 'a' is wrong; expecting 'b'",
            "aws.wrong_region",
        ),
        (Read, 400, "AuthorizationHeaderMalformed", "a non-empty Access Key", "aws.credentials_refused"),
        (Write, 400, "IllegalLocationConstraintException", "", "aws.wrong_region"),
        (Read, 403, "RequestTimeTooSkewed", "", "aws.clock_skewed"),
        (Read, 503, "SlowDown", "Please reduce your request rate.", "aws.throttled"),
        (Read, 503, "ServiceUnavailable", "", "aws.throttled"),
        (Look, 503, "", "", "aws.throttled"),
        (Read, 429, "", "", "aws.throttled"),
        (Read, 500, "InternalError", "", "object.store_failed"),
        (Look, 500, "", "", "object.store_failed"),
        (Write, 501, "NotImplemented", "", "object.store_failed"),
        (Write, 507, "XMinioStorageFull", "", "object.store_full"),
        (Write, 507, "", "", "object.store_full"),
        (Write, 403, "QuotaExceeded", "", "object.store_full"),
        (Read, 400, "KMS.DisabledException", "", "object.store_failed"),
        (Read, 418, "NeverHeardOf", "", "object.store_failed"),
    ];
    for (act, status, word, message, want) in cases {
        let fault = of(act, &answer(status, word, message));
        assert_eq!(fault.code.name, want, "{act:?} {status} {word}");
        let start = if act == FindBucket { "could not find" } else { "could not " };
        assert!(fault.message.starts_with(start), "{}", fault.message);
        assert!(fault.message.contains("s3://inbox/claims/a.json"), "{}", fault.message);
        assert!(
            fault.message.contains(word) && fault.message.contains(&status.to_string()),
            "{}",
            fault.message
        );
        assert!(!fault.hint().is_empty() && !fault.message.contains('\n'));
    }
}

#[test]
fn what_never_reached_s3_is_told_apart() {
    for (failure, want) in [
        (
            Failure::NoCredentials("no providers in chain provided credentials".into()),
            "aws.credentials_missing",
        ),
        (Failure::NoAnswer("dns error".into()), "aws.unreachable"),
        (Failure::Other("the answer is no XML".into()), "object.store_failed"),
    ] {
        assert_eq!(of(Act::Read, &failure).code.name, want, "{failure:?}");
    }
}

#[test]
fn a_denied_act_names_the_iam_action_and_what_it_is_needed_on() {
    let denied = answer(403, "AccessDenied", "Access Denied");
    for (act, want) in [
        (Act::FindBucket, "allow s3:ListBucket on arn:aws:s3:::inbox "),
        (Act::List, "allow s3:ListBucket on arn:aws:s3:::inbox "),
        (Act::Look, "allow s3:GetObject on arn:aws:s3:::inbox/* "),
        (Act::Read, "allow s3:GetObject on arn:aws:s3:::inbox/* "),
        (Act::ReadVersion, "allow s3:GetObjectVersion on arn:aws:s3:::inbox/* "),
        (Act::Write, "allow s3:PutObject on arn:aws:s3:::inbox/* "),
        (Act::GiveUp, "allow s3:AbortMultipartUpload on arn:aws:s3:::inbox/* "),
        (Act::Delete, "allow s3:DeleteObject on arn:aws:s3:::inbox/* "),
    ] {
        let fault = of(act, &denied);
        assert!(fault.hint().starts_with(want), "{act:?}: {}", fault.hint());
        let tells_of_missing = fault.hint().contains("or the object is missing");
        assert_eq!(tells_of_missing, matches!(act, Act::Look | Act::Read | Act::ReadVersion), "{act:?}");
    }
}

#[test]
fn the_action_that_aws_names_is_believed() {
    let named = |action: &str| {
        let message = format!(
            "User: arn:aws:iam::1:user/u is not authorized to perform: {action} on resource: r because"
        );
        of(Act::Read, &answer(403, "AccessDenied", &message))
    };
    assert!(named("kms:Decrypt").hint().starts_with("allow kms:Decrypt "));
    assert!(named("s3:ListBucket").hint().starts_with("allow s3:ListBucket on arn:aws:s3:::inbox "));
    assert!(named("s3:GetObject").hint().starts_with("allow s3:GetObject on arn:aws:s3:::inbox/* "));
    assert!(
        named("<script>").hint().starts_with("allow s3:GetObject on "),
        "what is no action is not repeated"
    );
}

#[test]
fn the_message_says_where_the_bucket_is_and_what_time_it_is() {
    let mut there = Answer { status: 301, region: Some("eu-central-1".into()), ..Answer::default() };
    let fault = of(Act::Read, &Failure::Answer(there.clone()));
    assert!(fault.message.ends_with("; the bucket is in eu-central-1"), "{}", fault.message);
    assert_eq!(fault.hint(), "set the region to eu-central-1");
    there = Answer { status: 403, code: Some("RequestTimeTooSkewed".into()), ..there };
    there.date = Some("Sun, 22 Nov 2026 03:00:00 GMT".into());
    there.request_id = Some("ABC".into());
    let fault = of(Act::Read, &Failure::Answer(there));
    let want = "; the server's clock says Sun, 22 Nov 2026 03:00:00 GMT (request ABC)";
    assert!(fault.message.ends_with(want), "{}", fault.message);
}
