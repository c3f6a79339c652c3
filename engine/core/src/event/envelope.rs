//! The envelopes, one inside the other: S3 notification, SNS, EventBridge (of S3, and of Transfer Family).
//!
//! Only the fields that we use are read, so that new ones do no harm and a body of a megabyte makes no tree of values.
//! What carries identity (bucket, key, version id, etag) must be of the right type: a guess there could name another
//! object, while a message that is left to the dead-letter queue loses nothing.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::decode::decode;
use super::transfer::{Upload, is_complete_upload};
use super::{EventSource, Ignored, ObjectEvent, Record};
use crate::fault::{Fault, code};
use crate::key::{KeyError, MAX_KEY_BYTES, ObjectKey, Shown};
use crate::timing::Millis;
use crate::version::unquoted;

/// The longest body, in bytes: what SQS lets through (1 MiB).
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// S3 allows version ids of 1,024 bytes; nothing else we keep is longer.
const MAX_TOKEN_BYTES: usize = 1024;

/// Reads the body of one message. `received_at` stands in for events that do not say when they happened.
///
/// ```
/// use outport_core::event::{Record, parse};
/// let body = br#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put",
///   "eventTime":"2026-01-02T03:04:05.678Z",
///   "s3":{"bucket":{"name":"in"},"object":{"key":"claims/a+b.json","size":7,"eTag":"9b2c"}}}]}"#;
/// let records = parse(body, 0)?;
/// let Record::Arrived(event) = &records[0] else { panic!() };
/// assert_eq!((event.key.as_str(), event.size_bytes), ("claims/a b.json", Some(7)));
/// # Ok::<(), outport_core::Fault>(())
/// ```
///
/// # Errors
/// `event.unknown_body` when the body, or one entry of it, is none of the known envelopes. Then nothing of the message
/// may be acknowledged.
pub fn parse(body: &[u8], received_at: Millis) -> Result<Vec<Record>, Fault> {
    let unknown = |problem: Problem| {
        let fault = Fault::new(
            &code::EVENT_UNKNOWN_BODY,
            format!("could not read an event of {} bytes: {}", body.len(), problem.cause),
        );
        problem.hint.into_iter().fold(fault, Fault::with_hint)
    };
    if body.len() > MAX_BODY_BYTES {
        return Err(unknown(format!("it is longer than {MAX_BODY_BYTES} bytes").into()));
    }
    let text = std::str::from_utf8(body).map_err(|_| unknown("it is not UTF-8".into()))?;
    Carrier { received_at, sns: None }.body(text).map_err(unknown)
}

/// Why a body is not understood. Says where and what, never what stands in it.
struct Problem {
    cause: String,
    hint: Option<&'static str>,
}

impl From<String> for Problem {
    fn from(cause: String) -> Self {
        Self { cause, hint: None }
    }
}
impl From<&str> for Problem {
    fn from(cause: &str) -> Self {
        cause.to_owned().into()
    }
}

/// The top level of all three envelopes; which fields are there tells which one it is.
#[derive(Deserialize)]
struct Envelope<'a> {
    // S3 notification
    #[serde(rename = "Records", borrow)]
    records: Option<Vec<S3Record<'a>>>,
    // s3:TestEvent
    #[serde(rename = "Event")]
    event: Option<String>,
    // SNS
    #[serde(rename = "Type")]
    sns_type: Option<String>,
    #[serde(rename = "Message")]
    message: Option<String>,
    #[serde(rename = "MessageId")]
    message_id: Option<String>,
    // EventBridge
    #[serde(rename = "detail-type")]
    detail_type: Option<String>,
    source: Option<String>,
    id: Option<String>,
    time: Option<String>,
    detail: Option<&'a RawValue>,
}

/// One entry of `Records`; `s3` is read only once the entry is known to be an arrival of our version.
#[derive(Deserialize)]
struct S3Record<'a> {
    #[serde(rename = "eventVersion")]
    version: String,
    #[serde(rename = "eventName")]
    name: String,
    #[serde(rename = "eventSource")]
    source: Option<String>,
    #[serde(rename = "eventTime")]
    time: Option<String>,
    #[serde(borrow)]
    s3: Option<&'a RawValue>,
}

/// `s3` of a notification and `detail` of an EventBridge event: the same facts under slightly different names.
#[derive(Deserialize)]
struct Subject {
    version: Option<String>,
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize, Default)]
struct Object {
    key: String,
    size: Option<u64>,
    #[serde(rename = "eTag")]
    e_tag: Option<String>,
    etag: Option<String>,
    #[serde(rename = "versionId")]
    version_id: Option<String>,
    #[serde(rename = "version-id")]
    version_id_kebab: Option<String>,
    sequencer: Option<String>,
}

/// What is known of a message before its body is read.
struct Carrier {
    received_at: Millis,
    /// Set inside SNS; holds the id that SNS gave the message.
    sns: Option<Option<String>>,
}

impl Carrier {
    fn body(&self, text: &str) -> Result<Vec<Record>, Problem> {
        // serde would fill a struct from an array, too, by position.
        if !text.trim_start().starts_with('{') {
            return Err("it is not a JSON object".into());
        }
        let envelope: Envelope = read(text)?;
        if let Some(records) = envelope.records {
            let numbered = records.iter().enumerate();
            return numbered.map(|(index, record)| self.s3_record(index + 1, record)).collect();
        }
        if envelope.event.as_deref() == Some("s3:TestEvent") {
            return Ok(vec![Record::Ignored { reason: Ignored::TestEvent }]);
        }
        if let (Some(name), Some(detail)) = (&envelope.detail_type, envelope.detail) {
            let id = token("id", envelope.id)?;
            let time = envelope.time.as_deref();
            return match envelope.source.as_deref() {
                Some("aws.s3") => self.event_bridge(name, id, time, detail),
                Some("aws.transfer") => self.transfer(name, id, time, detail),
                source => {
                    let source = Shown(source.unwrap_or_default());
                    let known = "not of \"aws.s3\" or \"aws.transfer\"";
                    return Err(format!("it is an EventBridge event of {source:?}, {known}").into());
                }
            }
            .map(|record| vec![record]);
        }
        match (envelope.sns_type.as_deref(), envelope.message, &self.sns) {
            (Some("Notification"), Some(message), None) => {
                let sns = Some(token("MessageId", envelope.message_id)?);
                Self { sns, ..*self }.body(&message).map_err(|inner| Problem {
                    cause: format!("the message inside SNS: {}", inner.cause),
                    hint: inner.hint,
                })
            }
            (Some("SubscriptionConfirmation" | "UnsubscribeConfirmation"), _, None) => Err(Problem {
                cause: "SNS asks to confirm a change of its subscription".into(),
                hint: Some(
                    "visit the SubscribeURL in the message if the queue is to hear this topic; events come after that",
                ),
            }),
            _ => Err("it is JSON, but no envelope that is known".into()),
        }
    }

    fn s3_record(&self, number: usize, record: &S3Record<'_>) -> Result<Record, Problem> {
        let at =
            |problem: Problem| Problem { cause: format!("record {number}: {}", problem.cause), ..problem };
        // "aws:s3", and "minio:s3" and the like of compatible servers.
        if let Some(source) = record.source.as_deref().filter(|source| !source.ends_with(":s3")) {
            return Err(at(format!("its source is {:?}, not \"aws:s3\"", Shown(source)).into()));
        }
        // Within a major version only fields are added (S3 user guide, "Event message structure").
        if record.version.split('.').next() != Some("2") {
            return Ok(ignored(Ignored::UnknownVersion, &record.version));
        }
        let name = record.name.strip_prefix("s3:").unwrap_or(&record.name);
        match name.split(':').next() {
            Some("ObjectCreated") => {}
            Some("ObjectRemoved" | "LifecycleExpiration") => return Ok(ignored(Ignored::Removed, name)),
            _ => return Ok(ignored(Ignored::OtherEvent, name)),
        }
        let subject = record.s3.ok_or_else(|| at("it has no s3 part".into()))?;
        let subject: Subject = read(subject.get()).map_err(at)?;
        self.arrival(subject, decode, EventSource::S3, None, record.time.as_deref()).map_err(at)
    }

    fn event_bridge(
        &self,
        name: &str,
        id: Option<String>,
        time: Option<&str>,
        detail: &RawValue,
    ) -> Result<Record, Problem> {
        match name {
            "Object Created" => {}
            "Object Deleted" => return Ok(ignored(Ignored::Removed, name)),
            _ => return Ok(ignored(Ignored::OtherEvent, name)),
        }
        let subject: Subject = read(detail.get()).map_err(|e| format!("its detail: {}", e.cause))?;
        if let Some(version) = subject.version.as_deref().filter(|version| *version != "0") {
            return Ok(ignored(Ignored::UnknownVersion, version));
        }
        self.arrival(subject, |raw| ObjectKey::new(raw), EventSource::EventBridge, id, time)
    }

    fn transfer(
        &self,
        name: &str,
        id: Option<String>,
        time: Option<&str>,
        detail: &RawValue,
    ) -> Result<Record, Problem> {
        if !is_complete_upload(name) {
            return Ok(ignored(Ignored::OtherEvent, name));
        }
        let upload: Upload = read(detail.get()).map_err(|e| format!("its detail: {}", e.cause))?;
        let (bucket, key) = upload.place().ok_or("its file-path is not /bucket/key")?;
        let object = Object {
            key: key.to_owned(),
            size: upload.bytes,
            e_tag: upload.etag.clone(),
            ..Object::default()
        };
        let subject = Subject { version: None, bucket: Bucket { name: bucket.to_owned() }, object };
        self.arrival(subject, |raw| ObjectKey::new(raw), EventSource::Transfer, id, time)
    }

    fn arrival(
        &self,
        subject: Subject,
        key: fn(&str) -> Result<ObjectKey, KeyError>,
        source: EventSource,
        message_id: Option<String>,
        time: Option<&str>,
    ) -> Result<Record, Problem> {
        let Subject { bucket, object, version: _ } = subject;
        let Some(bucket) = token("bucket name", Some(bucket.name))? else {
            return Err("its bucket has no name".into());
        };
        let event = ObjectEvent {
            bucket,
            key: (),
            version_id: token("version id", object.version_id.or(object.version_id_kebab))?,
            sequencer: token("sequencer", object.sequencer)?,
            etag: token("etag", object.e_tag.or(object.etag))?.map(|etag| unquoted(&etag).to_owned()),
            size_bytes: object.size,
            event_at: time.and_then(instant).unwrap_or(self.received_at),
            source: if self.sns.is_some() { EventSource::Sns } else { source },
            message_id: message_id.or_else(|| self.sns.clone().flatten()),
        };
        Ok(match key(&object.key) {
            Ok(key) => Record::Arrived(with_key(event, key)),
            Err(error) => {
                let event = with_key(event, storable(&error.key));
                let message =
                    format!("could not take in an object of bucket {:?}: {error}", Shown(&event.bucket));
                Record::Rejected { event, fault: Fault::new(&code::ROUTE_BAD_KEY, message) }
            }
        })
    }
}

fn with_key<K>(event: ObjectEvent<()>, key: K) -> ObjectEvent<K> {
    let ObjectEvent {
        bucket,
        key: (),
        version_id,
        sequencer,
        etag,
        size_bytes,
        event_at,
        source,
        message_id,
    } = event;
    ObjectEvent { bucket, key, version_id, sequencer, etag, size_bytes, event_at, source, message_id }
}

/// serde's own messages quote the value that did not fit; ours say only where it stands.
fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Problem> {
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let cause = if error.is_data() {
            format!("a field is missing, stands twice or has another type (line {line}, column {column})")
        } else {
            format!("it is not JSON (line {line}, column {column})")
        };
        cause.into()
    })
}

/// A name or an id of the event, fit for a database column. Empty is the same as absent.
fn token(what: &str, text: Option<String>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if text.len() > MAX_TOKEN_BYTES => {
            Err(format!("its {what} has {} bytes", text.len()).into())
        }
        Some(text) if text.chars().any(char::is_control) => {
            Err(format!("its {what} has a control character").into())
        }
        text => Ok(text.filter(|t| !t.is_empty())),
    }
}

fn instant(time: &str) -> Option<Millis> {
    time.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

fn ignored(reason: fn(String) -> Ignored, name: &str) -> Record {
    Record::Ignored { reason: reason(name.chars().take(64).collect()) }
}

/// A key that cannot be a file, for a column that is part of a unique index.
fn storable(key: &str) -> String {
    let mut text = String::new();
    for c in key.chars() {
        let before = text.len();
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
        if text.len() > MAX_KEY_BYTES {
            text.truncate(before);
            break;
        }
    }
    text
}
