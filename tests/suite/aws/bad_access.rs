//! What is missing is named, with the cause and the IAM action: by `config check --online`, and by every command.

use outport_tests::need;
use outport_tests::servers::cloud::Cloud;
use outport_tests::servers::scripted::{Reply, Scripted};
use outport_tests::site::Site;
use serde_json::Value;

/// An installation whose AWS is this endpoint.
fn site_at(endpoint: &str) -> Site {
    Site::on_sqlite()
        .unwrap()
        .with("OUTPORT_BUCKETS_ROOT", "s3://")
        .with("OUTPORT_ARTIFACTS_ROOT", "s3://artifacts")
        .with("OUTPORT_INTAKE_QUEUE", &format!("{endpoint}/1/intake"))
        .with("OUTPORT_INTAKE_DEAD_LETTERS", &format!("{endpoint}/1/dead"))
        .with("OUTPORT_AWS_REGION", "us-east-1")
        .with("OUTPORT_AWS_ENDPOINT", endpoint)
        .with("AWS_ACCESS_KEY_ID", "outport-test")
        .with("AWS_SECRET_ACCESS_KEY", "no-secret")
        .with("AWS_EC2_METADATA_DISABLED", "true")
        .with("AWS_MAX_ATTEMPTS", "1")
}

/// The answers of `config check --online` about AWS.
fn online(site: &Site) -> Vec<Value> {
    // The database is made by the first command that may.
    site.done(["migrate"]).unwrap();
    let checked = site.outport(["config", "check", "--online", "--json"]).run().unwrap();
    assert_eq!(checked.code, Some(1), "{checked:?}");
    let answers: Vec<Value> = serde_json::from_str(&checked.stdout).unwrap();
    assert!(answers.iter().any(|a| a["what"] == "the database" && a["result"] == "ok"), "{answers:#?}");
    answers.into_iter().filter(|answer| answer["what"] != "the database").collect()
}

/// Every request is refused like this; `(code, part of the message or hint)` of each question.
fn refused(reply: impl Fn(bool) -> Reply + Send + Sync + 'static, code: &str, parts: [&str; 2]) {
    // SQS is asked by POST, S3 by GET and HEAD.
    let server = Scripted::start(move |request| reply(request.method == "POST")).unwrap();
    let site = site_at(&server.endpoint());
    let answers = online(&site);
    assert_eq!(answers.len(), 3, "{answers:#?}");
    for (answer, part) in answers.iter().zip([parts[0], parts[1], parts[1]]) {
        assert_eq!((&answer["result"], &answer["code"]), (&"failed".into(), &code.into()), "{answer:#}");
        let said = format!("{} {}", answer["message"], answer["hint"]);
        assert!(said.contains(part), "{part}: {answer:#}");
    }
    for command in [vec!["intake", "dlq", "list"], vec!["reconcile", "s3://inbound", "--since", "1h"]] {
        let ended = site.outport(command.iter().copied()).run().unwrap();
        assert_eq!(ended.code, Some(1), "{command:?}: {ended:?}");
        assert!(ended.stderr.contains(code) && ended.stderr.contains("hint: "), "{command:?}: {ended:?}");
    }
}

fn xml(code: &str, message: &str) -> String {
    format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>")
}

fn json(code: &str, message: &str) -> String {
    format!("{{\"__type\":\"{code}\",\"message\":\"{message}\"}}")
}

/// S3 says it in XML, SQS in JSON.
fn both(status: [u16; 2], codes: [&'static str; 2], messages: [&'static str; 2]) -> impl Fn(bool) -> Reply {
    move |is_sqs| match is_sqs {
        false => Reply::new(status[0], xml(codes[0], messages[0])),
        true => Reply::new(status[1], json(codes[1], messages[1])),
    }
}

#[test]
fn who_may_not_is_told_the_action() {
    let reply = both([403, 403], ["AccessDenied", "AccessDeniedException"], ["Access Denied", "no"]);
    refused(
        reply,
        "aws.access_denied",
        ["allow s3:ListBucket on arn:aws:s3:::artifacts", "allow sqs:GetQueueAttributes on"],
    );
}

#[test]
fn an_expired_token() {
    let reply = both([400, 403], ["ExpiredToken", "ExpiredTokenException"], ["expired", "expired"]);
    refused(reply, "aws.credentials_expired", ["log in again", "log in again"]);
}

#[test]
fn a_key_that_nobody_knows() {
    let reply = both([403, 403], ["InvalidAccessKeyId", "InvalidClientTokenId"], ["unknown", "unknown"]);
    refused(reply, "aws.credentials_refused", ["AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID"]);
}

#[test]
fn a_clock_that_is_off() {
    let expired = "Signature expired: 20261122T030000Z is now earlier than 20261122T033000Z";
    let reply =
        both([403, 403], ["RequestTimeTooSkewed", "InvalidSignatureException"], ["too large", expired]);
    refused(reply, "aws.clock_skewed", ["chronyc", "chronyc"]);
}

#[test]
fn another_region() {
    let reply = |is_sqs| match is_sqs {
        false => {
            Reply::new(301, xml("PermanentRedirect", "elsewhere")).with("x-amz-bucket-region", "eu-west-1")
        }
        true => Reply::new(
            403,
            json("InvalidSignatureException", "Credential should be scoped to a valid region."),
        ),
    };
    refused(reply, "aws.wrong_region", ["set the region to eu-west-1", "set the region"]);
}

#[test]
fn without_credentials() {
    let server = Scripted::start(|_| Reply::new(200, "")).unwrap();
    let site = site_at(&server.endpoint())
        .with("AWS_ACCESS_KEY_ID", "")
        .with("AWS_SECRET_ACCESS_KEY", "")
        .with("AWS_CONFIG_FILE", "/dev/null")
        .with("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    for answer in online(&site) {
        assert_eq!(answer["code"], "aws.credentials_missing", "{answer:#}");
    }
}

#[test]
fn nobody_listens() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for answer in online(&site_at(&format!("http://{gone}"))) {
        assert_eq!(answer["code"], "aws.unreachable", "{answer:#}");
        assert!(answer["message"].as_str().unwrap().contains("onnection refused"), "{answer:#}");
    }
}

#[test]
fn what_is_not_there() {
    let cloud = need!(Cloud::start());
    let site = cloud
        .settings(Site::on_sqlite().unwrap())
        .with("OUTPORT_ARTIFACTS_ROOT", "s3://no-such-bucket")
        .with("OUTPORT_INTAKE_QUEUE", &cloud.queue().replace("intake", "no-such-queue"))
        .with("OUTPORT_INTAKE_DEAD_LETTERS", "");
    let answers = online(&site);
    let code = |n: usize| answers[n]["code"].as_str().unwrap_or_default();
    assert_eq!((code(0), code(1)), ("intake.bucket_missing", "aws.not_found"), "{answers:#?}");
    assert_eq!(answers[2]["result"], "warning", "{answers:#?}");
    let down = site.outport(["up"]).run().unwrap();
    assert_eq!(down.code, Some(1), "{down:?}");
    assert!(down.stderr.contains("intake.bucket_missing"), "{down:?}");
}

#[test]
fn settings_that_do_not_go_together() {
    let site = Site::on_sqlite().unwrap();
    for (buckets, artifacts, part) in [
        ("s3://", "", "write s3://BUCKET"),
        ("", "s3://artifacts", "both lie in S3, or none"),
        ("s3://inbound", "s3://artifacts", "rules name theirs"),
    ] {
        let call = site
            .outport(["up"])
            .env("OUTPORT_BUCKETS_ROOT", buckets)
            .env("OUTPORT_ARTIFACTS_ROOT", artifacts);
        let ended = call.run().unwrap();
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(ended.stderr.contains("config.invalid") && ended.stderr.contains(part), "{part}: {ended:?}");
    }
    let demo =
        site.outport(["demo"]).env("OUTPORT_BUCKETS_ROOT", "s3://").env("OUTPORT_ARTIFACTS_ROOT", "s3://a");
    let demo = demo.env("OUTPORT_AWS_REGION", "us-east-1").run().unwrap();
    assert_eq!(demo.code, Some(2), "{demo:?}");
    assert!(!demo.stderr.contains("partner: "), "it says so before it does anything: {demo:?}");
}
