//! Every envelope and every outcome, by table.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::fault::code;

const RECEIVED: Millis = 1_000;
/// 2026-01-02T03:04:05.678Z
const HAPPENED: Millis = 1_767_323_045_678;

fn s3(version: &str, name: &str, object: Value) -> Value {
    json!({
        "eventVersion": version, "eventSource": "aws:s3", "awsRegion": "eu-central-1",
        "eventTime": "2026-01-02T03:04:05.678Z", "eventName": name,
        "userIdentity": {"principalId": "AWS:AROA"}, "requestParameters": {"sourceIPAddress": "10.0.0.1"},
        "responseElements": {"x-amz-request-id": "C3D1"},
        "s3": {"s3SchemaVersion": "1.0", "configurationId": "outport",
               "bucket": {"name": "in", "ownerIdentity": {"principalId": "A3"}, "arn": "arn:aws:s3:::in"},
               "object": object}
    })
}

fn put(key: &str) -> Value {
    s3(
        "2.1",
        "ObjectCreated:Put",
        json!({"key": key, "size": 7, "eTag": "9b2c", "versionId": "v1", "sequencer": "0055"}),
    )
}

fn records(entries: &[Value]) -> Value {
    json!({ "Records": entries })
}

fn sns(message: &Value) -> Value {
    json!({
        "Type": "Notification", "MessageId": "sns-1", "TopicArn": "arn:aws:sns:eu-central-1:1:in",
        "Subject": "Amazon S3 Notification", "Message": message.to_string(),
        "Timestamp": "2026-01-02T03:04:06.000Z", "SignatureVersion": "1", "Signature": "c2ln"
    })
}

fn bridge(detail_type: &str, object: Value) -> Value {
    json!({
        "version": "0", "id": "eb-1", "detail-type": detail_type, "source": "aws.s3", "account": "1",
        "time": "2026-01-02T03:04:05Z", "region": "eu-central-1", "resources": ["arn:aws:s3:::in"],
        "detail": {"version": "0", "bucket": {"name": "in"}, "object": object, "request-id": "N4N7",
                   "requester": "1", "source-ip-address": "10.0.0.1", "reason": "PutObject"}
    })
}

fn read(body: &Value) -> Result<Vec<Record>, Fault> {
    parse(body.to_string().as_bytes(), RECEIVED)
}

fn one(body: &Value) -> Record {
    let mut records = read(body).unwrap();
    assert_eq!(records.len(), 1, "{body}");
    records.remove(0)
}

fn arrived(body: &Value) -> ObjectEvent {
    match one(body) {
        Record::Arrived(event) => event,
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn a_notification_tells_everything() {
    let want = ObjectEvent {
        bucket: "in".into(),
        key: ObjectKey::new("claims/a b.json").unwrap(),
        version_id: Some("v1".into()),
        sequencer: Some("0055".into()),
        etag: Some("9b2c".into()),
        size_bytes: Some(7),
        event_at: HAPPENED,
        source: EventSource::S3,
        message_id: None,
    };
    assert_eq!(arrived(&records(&[put("claims/a+b.json")])), want);

    let inside = arrived(&sns(&records(&[put("claims/a+b.json")])));
    assert_eq!(
        inside,
        ObjectEvent { source: EventSource::Sns, message_id: Some("sns-1".into()), ..want.clone() }
    );

    let object =
        json!({"key": "claims/a b.json", "size": 7, "etag": "9b2c", "version-id": "v1", "sequencer": "0055"});
    let bridged = ObjectEvent {
        source: EventSource::EventBridge,
        message_id: Some("eb-1".into()),
        // EventBridge tells whole seconds.
        event_at: HAPPENED - 678,
        ..want
    };
    assert_eq!(arrived(&bridge("Object Created", object.clone())), bridged);

    let both = arrived(&sns(&bridge("Object Created", object)));
    assert_eq!(both, ObjectEvent { source: EventSource::Sns, ..bridged });
}

#[test]
fn a_complete_upload_through_transfer_family_is_an_arrival_and_a_broken_one_is_not() {
    let event = |name: &str, path: &str| {
        json!({
            "version": "0", "id": "eb-2", "detail-type": name, "source": "aws.transfer", "account": "1",
            "time": "2026-01-02T03:04:05Z", "region": "eu-central-1", "resources": [],
            "detail": {"status-code": "COMPLETED", "protocol": "SFTP", "bytes": 7, "client-ip": "192.0.2.1",
                       "etag": "9b2c", "file-path": path, "server-id": "s-1", "username": "acme",
                       "session-id": "x", "start-timestamp": "2026-01-02T03:04:04.1Z",
                       "end-timestamp": "2026-01-02T03:04:04.9Z"}
        })
    };
    let arrived = arrived(&event("SFTP Server File Upload Completed", "/in/home/acme/a+b%20c.json"));
    let want = ObjectEvent {
        bucket: "in".into(),
        key: ObjectKey::new("home/acme/a+b%20c.json").unwrap(),
        version_id: None,
        sequencer: None,
        etag: Some("9b2c".into()),
        size_bytes: Some(7),
        event_at: HAPPENED - 678,
        source: EventSource::Transfer,
        message_id: Some("eb-2".into()),
    };
    assert_eq!(arrived, want);
    let failed = one(&event("SFTP Server File Upload Failed", "/in/home/acme/a"));
    assert!(matches!(failed, Record::Ignored { reason: Ignored::OtherEvent(_) }), "{failed:?}");
    let fault = read(&event("SFTP Server File Upload Completed", "fs-1/a")).unwrap_err();
    assert!(fault.message.contains("its file-path is not /bucket/key"), "{fault}");
}

#[test]
fn one_object_version_has_one_identity_through_every_envelope() {
    let object = json!({"key": "a b.json", "etag": "9b2c", "version-id": "v1"});
    let bodies =
        [records(&[put("a+b.json")]), sns(&records(&[put("a%20b.json")])), bridge("Object Created", object)];
    for body in bodies {
        let event = arrived(&body);
        assert_eq!((event.key.as_str(), event.version().unwrap().as_str()), ("a b.json", "v1"), "{body}");
    }
}

#[test]
fn what_senders_leave_out_or_spell_differently_is_accepted() {
    let moto = s3(
        "2.1",
        "ObjectCreated:CompleteMultipartUpload",
        json!({"key": "in%2Fa", "size": 0, "eTag": "9b2c-2"}),
    );
    let event = arrived(&records(&[moto]));
    assert_eq!((event.key.as_str(), event.size_bytes), ("in/a", Some(0)));
    assert_eq!((event.version_id.as_deref(), event.sequencer.as_deref()), (None, None));
    assert_eq!(event.version().unwrap().as_str(), "etag:9b2c-2");

    let nulls = json!({"key": "a", "size": null, "eTag": null, "versionId": null, "sequencer": ""});
    let event = arrived(&records(&[s3("2.6", "ObjectCreated:Copy", nulls)]));
    assert_eq!((event.etag.as_deref(), event.sequencer.as_deref(), event.size_bytes), (None, None, None));
    assert_eq!(event.version(), None);

    let moto = bridge("Object Created", json!({"key": "a", "size": 1, "eTag": "\"9b2c\""}));
    assert_eq!(arrived(&moto).etag.as_deref(), Some("9b2c"));

    // Versioning suspended: `null` names no version, but it can still be read by it.
    let suspended = json!({"key": "a", "eTag": "9b2c", "versionId": "null"});
    let event = arrived(&records(&[s3("2.1", "s3:ObjectCreated:Put", suspended)]));
    assert_eq!((event.version_id.as_deref(), event.version().unwrap().as_str()), (Some("null"), "etag:9b2c"));

    let mut compatible = put("a");
    compatible["eventSource"] = json!("minio:s3");
    compatible["eventTime"] = json!("yesterday");
    assert_eq!(arrived(&records(&[compatible.clone()])).event_at, RECEIVED);
    for name in ["eventTime", "eventSource"] {
        compatible.as_object_mut().unwrap().remove(name);
        assert_eq!(arrived(&records(&[compatible.clone()])).event_at, RECEIVED);
    }
}

#[test]
fn every_event_version_of_major_2_is_read() {
    for version in ["2", "2.0", "2.1", "2.2", "2.3", "2.4", "2.5", "2.6", "2.17"] {
        let object = json!({"key": "a", "etag": "e", "new-in-this-version": {"deep": [1, 2]}});
        assert_eq!(
            arrived(&records(&[s3(version, "ObjectCreated:Post", object)])).key.as_str(),
            "a",
            "{version}"
        );
    }
}

#[test]
fn what_is_no_arrival_is_named() {
    let test = json!({
        "Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-01-02T03:04:05.678Z", "Bucket": "in",
        "RequestId": "5582", "HostId": "8cLeGAmw"
    });
    let object = json!({"key": "a", "sequencer": "1"});
    let removed = |name: &str| Ignored::Removed(name.into());
    let other = |name: &str| Ignored::OtherEvent(name.into());
    let version = |name: &str| Ignored::UnknownVersion(name.into());
    let s3_of = |version, name| records(&[s3(version, name, object.clone())]);
    let mut future = bridge("Object Created", object.clone());
    future["detail"]["version"] = json!("1");
    let cases = [
        (test.clone(), Ignored::TestEvent),
        (sns(&test), Ignored::TestEvent),
        (s3_of("2.1", "ObjectRemoved:Delete"), removed("ObjectRemoved:Delete")),
        (s3_of("2.1", "s3:ObjectRemoved:DeleteMarkerCreated"), removed("ObjectRemoved:DeleteMarkerCreated")),
        (s3_of("2.3", "LifecycleExpiration:Delete"), removed("LifecycleExpiration:Delete")),
        (s3_of("2.1", "ObjectRestore:Completed"), other("ObjectRestore:Completed")),
        (s3_of("2.3", "ObjectTagging:Put"), other("ObjectTagging:Put")),
        (s3_of("2.1", "ObjectCreatedish:Put"), other("ObjectCreatedish:Put")),
        (s3_of("2.1", ""), other("")),
        (s3_of("3.0", "ObjectCreated:Put"), version("3.0")),
        (s3_of("20.1", "ObjectCreated:Put"), version("20.1")),
        (s3_of("1.0", "ObjectCreated:Put"), version("1.0")),
        (s3_of("", "ObjectCreated:Put"), version("")),
        // Another major version may look quite different inside.
        (records(&[json!({"eventVersion": "3.0", "eventName": "X", "s3": "flat"})]), version("3.0")),
        (bridge("Object Deleted", object.clone()), removed("Object Deleted")),
        (bridge("Object Tags Added", json!({})), other("Object Tags Added")),
        (future, version("1")),
    ];
    for (body, want) in cases {
        assert_eq!(one(&body), Record::Ignored { reason: want }, "{body}");
    }
    let long = one(&s3_of(&"9".repeat(5000), "x"));
    assert_eq!(long, Record::Ignored { reason: version(&"9".repeat(64)) });
}

#[test]
fn several_records_keep_their_order_and_none_is_fine() {
    assert_eq!(read(&records(&[])).unwrap(), []);
    assert_eq!(read(&sns(&records(&[]))).unwrap(), []);
    let body =
        records(&[put("a"), s3("2.1", "ObjectRemoved:Delete", json!({"key": "b"})), put("c/"), put("d")]);
    let words: Vec<String> = read(&body)
        .unwrap()
        .into_iter()
        .map(|record| match record {
            Record::Arrived(event) => event.key.to_string(),
            Record::Ignored { reason } => reason.as_str().into(),
            Record::Rejected { event, .. } => format!("rejected {}", event.key),
        })
        .collect();
    assert_eq!(words, ["a", "removed", "rejected c/", "d"]);
}

#[test]
fn a_key_that_cannot_be_a_file_is_rejected_with_its_facts() {
    let long = "k".repeat(1025);
    let cases = [
        ("folder/", "folder/", "ends with a slash"),
        ("folder%2F", "folder/", "ends with a slash"),
        ("", "", "empty"),
        ("a%2F..%2Fb", "a/../b", "segment `.` or `..`"),
        ("a/./b", "a/./b", "segment `.` or `..`"),
        ("/a", "/a", "empty segment"),
        ("a//b", "a//b", "empty segment"),
        ("a%00b", "a\\u{0}b", "control character"),
        ("a%7Fb", "a\\u{7f}b", "control character"),
        ("%FFx", "%FFx", "not UTF-8"),
        ("50%", "50%", "percent-encoding"),
        (long.as_str(), &long[..1024], "1025 bytes"),
    ];
    for (raw, stored, cause) in cases {
        let Record::Rejected { event, fault } = one(&records(&[put(raw)])) else { panic!("{raw:?}") };
        assert_eq!((event.bucket.as_str(), event.key.as_str()), ("in", stored));
        assert_eq!(event.version().unwrap().as_str(), "v1");
        assert_eq!(fault.code, &code::ROUTE_BAD_KEY);
        assert!(fault.message.contains(cause), "{raw:?}: {}", fault.message);
        assert!(
            fault.message.starts_with("could not take in an object of bucket \"in\": "),
            "{}",
            fault.message
        );
    }
    // The same object by EventBridge, whose keys are raw, is the same rejected file.
    let Record::Rejected { event, .. } = one(&bridge("Object Created", json!({"key": "a/../b"}))) else {
        panic!()
    };
    assert_eq!(event.key, "a/../b");
}

#[test]
fn keys_are_decoded_once_in_notifications_and_never_in_eventbridge() {
    let cases =
        [("100%2525+%2B", "100%25 +"), ("caf%C3%A9", "café"), ("a&b", "a&b"), ("%E2%82%AC.csv", "€.csv")];
    for (raw, want) in cases {
        assert_eq!(arrived(&records(&[put(raw)])).key.as_str(), want);
        let object = json!({"key": raw, "etag": "e"});
        assert_eq!(arrived(&bridge("Object Created", object)).key.as_str(), raw);
    }
    // A JSON escape is JSON's business: `\u0026` is `&` before anyone decodes.
    let body = records(&[put("a&b%2Bc")]).to_string().replace('&', "\\u0026");
    let Record::Arrived(event) = parse(body.as_bytes(), 0).unwrap().remove(0) else { panic!() };
    assert_eq!(event.key.as_str(), "a&b+c");
    // 1,024 bytes encoded as three times as many.
    assert_eq!(arrived(&records(&[put(&"%61".repeat(1024))])).key.as_str().len(), 1024);
}

#[test]
fn a_body_that_no_parser_knows_is_a_fault_that_quotes_nothing() {
    let with = |path: &str, value: Value| {
        let mut body = records(&[put("ok"), put("SECRET")]);
        *body.pointer_mut(path).unwrap() = value;
        body.to_string()
    };
    let without = |parent: &str, name: &str| {
        let mut body = records(&[put("ok"), put("SECRET")]);
        body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
        body.to_string()
    };
    let mut foreign = bridge("Batch Job State Change", json!({}));
    foreign["source"] = json!("aws.batch");
    let confirmation =
        json!({"Type": "SubscriptionConfirmation", "Token": "SECRET", "SubscribeURL": "SECRET"});
    let broken_sns = json!({"Type": "Notification", "MessageId": "m", "Message": "SECRET"});
    let cases: Vec<(String, &str)> = vec![
        (String::new(), "not a JSON object"),
        ("SECRET".into(), "not a JSON object"),
        ("{SECRET".into(), "not JSON (line 1, column 2)"),
        ("{\"Records\":[SECRET".into(), "not JSON"),
        ("{}".into(), "no envelope"),
        ("{\"SECRET\":1}".into(), "no envelope"),
        ("[]".into(), "not a JSON object"),
        ("null".into(), "not a JSON object"),
        ("42".into(), "not a JSON object"),
        ("\"SECRET\"".into(), "not a JSON object"),
        ("{\"Records\":null}".into(), "no envelope"),
        ("{\"Records\":{\"SECRET\":1}}".into(), "a field"),
        ("{\"Records\":[],\"Records\":[]}".into(), "stands twice"),
        ("{\"Records\":[1]}".into(), "a field"),
        ("{\"Records\":[{}]}".into(), "a field"),
        (with("/Records/1/eventVersion", json!(2.1)), "a field"),
        (with("/Records/1/eventName", Value::Null), "a field"),
        (with("/Records/1/eventSource", json!("aws:sqs")), "record 2: its source is \"aws:sqs\""),
        (with("/Records/1/s3", Value::Null), "record 2: it has no s3 part"),
        (with("/Records/1/s3/bucket/name", json!("")), "record 2: its bucket has no name"),
        (
            with("/Records/1/s3/bucket/name", json!("a\nb")),
            "record 2: its bucket name has a control character",
        ),
        (with("/Records/1/s3/object/key", json!(7)), "record 2: a field"),
        (with("/Records/1/s3/object/size", json!(-1)), "record 2: a field"),
        (with("/Records/1/s3/object/size", json!("SECRET")), "record 2: a field"),
        (with("/Records/1/s3/object/versionId", json!(["SECRET"])), "record 2: a field"),
        (
            with("/Records/1/s3/object/versionId", json!("x".repeat(1025))),
            "record 2: its version id has 1025 bytes",
        ),
        (with("/Records/1/s3/object/eTag", json!("a\0b")), "record 2: its etag has a control character"),
        (without("/Records/1", "eventVersion"), "a field"),
        (without("/Records/1", "s3"), "record 2: it has no s3 part"),
        (without("/Records/1/s3", "bucket"), "record 2: a field"),
        (without("/Records/1/s3/object", "key"), "record 2: a field"),
        (foreign.to_string(), "an EventBridge event of \"aws.batch\""),
        (bridge("Object Created", json!({"size": 1})).to_string(), "its detail: a field"),
        (confirmation.to_string(), "confirm"),
        (broken_sns.to_string(), "the message inside SNS: it is not a JSON object"),
        (sns(&json!({})).to_string(), "the message inside SNS: it is JSON, but no envelope"),
        (sns(&sns(&records(&[]))).to_string(), "the message inside SNS: it is JSON, but no envelope"),
        ("[".repeat(100_000), "not a JSON object"),
        (format!("{{\"Records\":{}", "[".repeat(100_000)), "a field"),
        (format!("{{\"x\":{}", "[".repeat(100_000)), "not JSON"),
        ("x".repeat(MAX_BODY_BYTES + 1), "longer than 1048576 bytes"),
    ];
    for (body, want) in cases {
        let shown: String = body.chars().take(200).collect();
        let fault = parse(body.as_bytes(), RECEIVED).expect_err(&shown);
        assert_eq!(fault.code, &code::EVENT_UNKNOWN_BODY);
        assert!(fault.message.contains(want), "{shown}: {}", fault.message);
        let begin = format!("could not read an event of {} bytes: ", body.len());
        assert!(fault.message.starts_with(&begin), "{}", fault.message);
        assert!(!fault.report().contains("SECRET"), "{}", fault.message);
    }
    assert!(parse(b"\xff{}", RECEIVED).unwrap_err().message.contains("not UTF-8"));
    assert!(parse(confirmation.to_string().as_bytes(), 0).unwrap_err().hint().contains("SubscribeURL"));
    // A body of exactly the limit is read.
    let body = records(&[]).to_string();
    let padded = format!("{}{body}", " ".repeat(MAX_BODY_BYTES - body.len()));
    assert_eq!(parse(padded.as_bytes(), 0).unwrap(), []);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse(&body, 0).is_err());
    }

    #[test]
    fn a_damaged_envelope_is_read_or_refused(at in 0usize..600, byte: u8) {
        let mut body = sns(&records(&[put("a+b"), put("c/")])).to_string().into_bytes();
        let at = at % body.len();
        body[at] = byte;
        match parse(&body, 0) {
            Ok(records) => prop_assert!(records.len() == 2),
            Err(fault) => prop_assert_eq!(fault.code, &code::EVENT_UNKNOWN_BODY),
        }
    }
}
