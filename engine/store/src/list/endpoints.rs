//! Endpoints with their lane.

use outport_core::credential::CredentialRef;
use outport_core::lane::NEVER;
use outport_core::ssh::Agreed;
use outport_core::trust::{HostCa, HostKey};
use outport_core::{EndpointId, Millis};
use sea_orm::QueryResult;
use serde::Serialize;

use super::Page;
use crate::Store;
use crate::error::StoreError;
use crate::row::{agreed, get, id, json};
use crate::sql::args;

/// One endpoint and how its lane stands.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs)]
pub struct EndpointView {
    pub id: EndpointId,
    pub name: String,
    pub protocol: String,
    pub host: String,
    pub port: i32,
    pub username: String,
    pub credential: String,
    pub host_keys: Vec<HostKey>,
    pub host_cas: Vec<HostCa>,
    pub settings: serde_json::Value,
    /// What was agreed on with the server for the newest delivery that has a receipt.
    pub agreed: Option<Agreed>,
    pub upload: serde_json::Value,
    /// What `endpoint check` found out last.
    pub profile: Option<serde_json::Value>,
    pub revision: i32,
    pub enabled: bool,
    pub retired_at: Option<Millis>,
    pub health: String,
    pub blocked_reason: Option<String>,
    /// `None` with a reason: until an operator acts.
    pub blocked_until: Option<Millis>,
    pub seen_identity: Option<String>,
    pub paused_by: Option<String>,
    pub pause_reason: Option<String>,
    pub paused_at: Option<Millis>,
    pub suspended_at: Option<Millis>,
    pub strikes: i32,
    pub login_strikes: i32,
    pub failing_since: Option<Millis>,
    pub waiting: i64,
}

const SELECT: &str = "SELECT e.id, b.code, e.name, e.protocol, e.host, e.port, e.username, e.credential_ref, \
    e.identity_pins, e.host_cas, e.settings, e.upload, e.profile, e.revision, e.enabled, e.retired_at, l.health, \
    l.blocked_reason, l.blocked_until, \
    l.seen_identity, l.paused_by, l.pause_reason, l.paused_at, l.suspended_at, l.strikes, l.login_strikes, l.failing_since, \
    (SELECT count(*) FROM send_job j WHERE j.endpoint_id = e.id) AS waiting, \
    (SELECT a.agreed FROM (SELECT d.id FROM delivery d WHERE d.subscriber_id = e.subscriber_id \
        AND d.endpoint_id = e.id ORDER BY d.id DESC LIMIT 100) AS newest \
     JOIN attempt a ON a.delivery_id = newest.id WHERE a.agreed IS NOT NULL \
     ORDER BY a.delivery_id DESC, a.n DESC LIMIT 1) AS agreed \
    FROM endpoint e JOIN subscriber b ON b.id = e.subscriber_id JOIN lane l ON l.endpoint_id = e.id";

fn view(row: &QueryResult, doing: &'static str) -> Result<EndpointView, StoreError> {
    let (subscriber, name): (String, String) = (get(row, "code", doing)?, get(row, "name", doing)?);
    let blocked_reason: Option<String> = get(row, "blocked_reason", doing)?;
    let until: Millis = get(row, "blocked_until", doing)?;
    Ok(EndpointView {
        id: id(row, "id", doing)?,
        name: format!("{subscriber}/{name}"),
        protocol: get(row, "protocol", doing)?,
        host: get(row, "host", doing)?,
        port: get(row, "port", doing)?,
        username: get(row, "username", doing)?,
        credential: shown_credential(&get::<String>(row, "credential_ref", doing)?),
        host_keys: json(row, "identity_pins", doing)?,
        host_cas: json(row, "host_cas", doing)?,
        agreed: agreed(row, doing)?,
        settings: get(row, "settings", doing)?,
        upload: get(row, "upload", doing)?,
        profile: get(row, "profile", doing)?,
        revision: get(row, "revision", doing)?,
        enabled: get(row, "enabled", doing)?,
        retired_at: get(row, "retired_at", doing)?,
        health: get(row, "health", doing)?,
        blocked_until: (blocked_reason.is_some() && until < NEVER).then_some(until),
        blocked_reason,
        seen_identity: get(row, "seen_identity", doing)?,
        paused_by: get(row, "paused_by", doing)?,
        pause_reason: get(row, "pause_reason", doing)?,
        paused_at: get(row, "paused_at", doing)?,
        suspended_at: get(row, "suspended_at", doing)?,
        strikes: get(row, "strikes", doing)?,
        login_strikes: get(row, "login_strikes", doing)?,
        failing_since: get(row, "failing_since", doing)?,
        waiting: get(row, "waiting", doing)?,
    })
}

/// A credential that cannot be read is shown as it stands: it holds references, never a secret.
fn shown_credential(stored: &str) -> String {
    CredentialRef::from_stored(stored).map_or_else(|_| stored.to_owned(), |credential| credential.to_string())
}

/// All of them, by name; retired ones only when they still have work.
pub async fn list(store: &Store) -> Result<Vec<EndpointView>, StoreError> {
    let doing = "listing endpoints";
    let sql = format!("{SELECT} ORDER BY b.code, e.name");
    let rows = store.read(doing, &sql, vec![]).await?;
    let mut views = Vec::new();
    for row in &rows {
        let view = view(row, doing)?;
        if view.retired_at.is_none() || view.waiting > 0 {
            views.push(view);
        }
    }
    Ok(views)
}

/// One endpoint by `subscriber/name` or id.
pub async fn show(store: &Store, name: &str) -> Result<Option<EndpointView>, StoreError> {
    let doing = "reading an endpoint";
    let (condition, values) = match name.parse::<EndpointId>() {
        Ok(id) => ("e.id = $1", args![id.uuid()]),
        Err(_) => ("(b.code || '/' || e.name) = $1", args![name]),
    };
    let rows = store.read(doing, &format!("{SELECT} WHERE {condition}"), values).await?;
    rows.first().map(|row| view(row, doing)).transpose()
}

/// Lanes that wait for a new secret, refused or unusable: endpoint, credential reference, and the version that was refused. The maintainer
/// compares it with the present version.
pub async fn refused(store: &Store) -> Result<Vec<(EndpointId, String, Option<String>)>, StoreError> {
    let doing = "reading lanes whose login was refused";
    let rows = store
        .read(
            doing,
            "SELECT e.id, e.credential_ref, l.refused_version FROM lane l JOIN endpoint e ON e.id = l.endpoint_id \
             WHERE l.blocked_reason IN ('credential', 'settings')",
            vec![],
        )
        .await?;
    rows.iter()
        .map(|row| {
            Ok((
                id(row, "id", doing)?,
                get(row, "credential_ref", doing)?,
                get(row, "refused_version", doing)?,
            ))
        })
        .collect()
}

/// Label and credential reference of every endpoint that is in force.
pub async fn credentials(store: &Store, page: Page) -> Result<Vec<(String, String)>, StoreError> {
    let doing = "reading the endpoints' credentials";
    let rows = store
        .read(
            doing,
            "SELECT s.code || '/' || e.name AS label, e.credential_ref FROM endpoint e \
             JOIN subscriber s ON s.id = e.subscriber_id WHERE e.retired_at IS NULL ORDER BY label LIMIT $1",
            args![i64::from(page.limit)],
        )
        .await?;
    rows.iter().map(|row| Ok((get(row, "label", doing)?, get(row, "credential_ref", doing)?))).collect()
}
