//! What a post says. The same post says the same, byte for byte, however often it is tried.

use bytes::Bytes;
use jiff::Timestamp;
use outport_core::{Fault, code};
use outport_store::notices::post::{Post, Told};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

#[derive(Serialize)]
struct Payload<'a> {
    id: Uuid,
    events: Vec<Event<'a>>,
}

#[derive(Serialize)]
struct Event<'a> {
    id: Uuid,
    at: String,
    event: &'a str,
    subject: Subject<'a>,
    detail: Value,
}

#[derive(Serialize)]
struct Subject<'a> {
    kind: &'a str,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subscription: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<&'a str>,
}

/// The body. `file_names`: whether it may name files; a fault's message may.
pub fn of(post: &Post, file_names: bool) -> Result<Bytes, Fault> {
    let events = post.events.iter().map(|told| event(told, file_names)).collect();
    let body = serde_json::to_vec(&Payload { id: post.id, events });
    body.map(Bytes::from).map_err(|error| {
        Fault::new(&code::IO_FAILED, format!("could not write the message {} as JSON: {error}", post.id))
    })
}

/// A heading for mails: what happened first, and to whom.
pub fn subject(post: &Post) -> String {
    let Some(first) = post.events.first() else { return "Outport".to_owned() };
    let whom = first.endpoint.as_deref().or(first.subscription.as_deref()).unwrap_or(&first.subject_id);
    let more = post.events.len() - 1;
    let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
    // What SNS takes: printable ASCII, below 100 characters.
    let text = format!("Outport: {} {whom}{more}", first.event);
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).take(99).collect()
}

fn event(told: &Told, file_names: bool) -> Event<'_> {
    let mut detail = told.detail.clone();
    if let (false, Value::Object(fields)) = (file_names, &mut detail) {
        fields.remove("message");
    }
    let at = Timestamp::from_millisecond(told.at).map_or_else(|_| told.at.to_string(), |at| at.to_string());
    Event {
        id: told.id,
        at,
        event: &told.event,
        subject: Subject {
            kind: &told.subject_kind,
            id: &told.subject_id,
            endpoint: told.endpoint.as_deref(),
            subscription: told.subscription.as_deref(),
            object: told.object.as_deref().filter(|_| file_names),
        },
        detail,
    }
}
