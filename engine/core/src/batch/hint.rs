//! What EventBridge says of a job. A hint: Batch itself is asked before anything is believed.

use serde::Deserialize;

/// A body of `Batch Job State Change`. Unknown fields are left out of account.
#[derive(Deserialize)]
struct Event {
    #[serde(rename = "detail-type")]
    detail_type: String,
    detail: Detail,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    job_name: String,
}

/// The name of the job whose state changed; `None`: the body says nothing of the kind.
///
/// ```
/// use outport_core::batch::job_of_event;
/// let body = br#"{"detail-type": "Batch Job State Change", "detail": {"jobName": "outport-send-1", "status": "FAILED"}}"#;
/// assert_eq!(job_of_event(body).as_deref(), Some("outport-send-1"));
/// assert_eq!(job_of_event(b"hello"), None);
/// ```
pub fn job_of_event(body: &[u8]) -> Option<String> {
    let event: Event = serde_json::from_slice(body).ok()?;
    (event.detail_type == "Batch Job State Change").then_some(event.detail.job_name)
}
