//! `list` and `show` of the nouns.

use std::str::FromStr;

use outport_core::{DeliveryId, Fault, FileId, TransformId, code};
use outport_store::list::deliveries::{DeliveryDetail, DeliveryView};
use outport_store::list::{self, Page};

use super::database::existing_store;
use super::endpoint_check;
use super::lane;
use super::{DeliveryRead, FileCommand, NamedCommand, TransformCommand};
use crate::config::Config;
use crate::output::{self, Format, or_dash, time};

/// A word or an id of the command line.
pub fn parsed<T: FromStr>(text: &str) -> Result<T, Fault>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|problem: T::Err| Fault::new(&code::USAGE, problem.to_string()))
}

fn maybe<T: FromStr>(text: Option<&String>) -> Result<Option<T>, Fault>
where
    T::Err: std::fmt::Display,
{
    text.map(|text| parsed(text)).transpose()
}

pub fn found<T>(thing: Option<T>, noun: &str, name: &str) -> Result<T, Fault> {
    thing.ok_or_else(|| {
        Fault::new(&code::NOT_FOUND, format!("there is no {noun} {name:?}"))
            .with_hint(format!("`outport {noun} list` shows what there is"))
    })
}

pub async fn files(config: &Config, command: FileCommand) -> Result<(), Fault> {
    match command {
        FileCommand::List { state, bucket, key, group, page } => {
            let filter =
                list::files::Filter { state: maybe(state.as_ref())?, bucket, key, file_group: group };
            let store = existing_store(config).await?;
            let files = list::files::list(&store, &filter, Page { limit: page.limit })
                .await
                .map_err(|e| e.fault())?;
            if page.shape.format() == Format::Json {
                return output::json(&files);
            }
            let rows = files.into_iter().map(|f| {
                let object = format!("s3://{}/{}", f.bucket, f.key);
                vec![
                    f.id.to_string(),
                    time(f.arrived_at),
                    f.state,
                    or_dash(f.file_group),
                    or_dash(f.size_bytes),
                    object,
                ]
            });
            output::table(&["id", "arrived", "state", "group", "bytes", "object"], rows.collect())
        }
        FileCommand::Show { id, shape } => {
            let file: FileId = parsed(&id)?;
            let store = existing_store(config).await?;
            let detail = found(list::files::show(&store, file).await.map_err(|e| e.fault())?, "file", &id)?;
            if shape.format() == Format::Json {
                return output::json(&detail);
            }
            let f = detail.file;
            let values = [
                ("id", f.id.to_string()),
                ("object", format!("s3://{}/{}", f.bucket, f.key)),
                ("version", f.version),
                ("bytes", or_dash(f.size_bytes)),
                ("arrived", time(f.arrived_at)),
                ("group", or_dash(f.file_group)),
                ("state", f.state),
            ];
            output::pairs_and_report(&values, ("problem", f.problem.as_deref()))?;
            for event in detail.events {
                output::line(&format!("seen by {} at {}", event.source, time(event.at)))?;
            }
            delivery_table(detail.deliveries)
        }
    }
}

fn delivery_table(deliveries: Vec<DeliveryView>) -> Result<(), Fault> {
    let rows = deliveries.into_iter().map(|d| {
        vec![
            d.id.to_string(),
            d.state,
            d.subscription,
            d.endpoint,
            d.remote_name,
            or_dash(d.size_bytes),
            d.attempts.to_string(),
            d.due_at.map_or_else(|| "-".into(), time),
            or_dash(d.fault_code),
        ]
    });
    output::table(
        &["id", "state", "subscription", "endpoint", "remote name", "bytes", "attempts", "due", "fault"],
        rows.collect(),
    )
}

pub async fn deliveries(config: &Config, command: DeliveryRead) -> Result<(), Fault> {
    match command {
        DeliveryRead::List { state, subscriber, endpoint, subscription, page } => {
            let filter = list::deliveries::Filter {
                state: maybe(state.as_ref())?,
                subscriber,
                endpoint,
                subscription,
                file: None,
            };
            let store = existing_store(config).await?;
            let deliveries = list::deliveries::list(&store, &filter, Page { limit: page.limit })
                .await
                .map_err(|e| e.fault())?;
            match page.shape.format() {
                Format::Json => output::json(&deliveries),
                Format::Table => delivery_table(deliveries),
            }
        }
        DeliveryRead::Show { id, shape } => {
            let delivery: DeliveryId = parsed(&id)?;
            let store = existing_store(config).await?;
            let detail = found(
                list::deliveries::show(&store, delivery).await.map_err(|e| e.fault())?,
                "delivery",
                &id,
            )?;
            match shape.format() {
                Format::Json => output::json(&detail),
                Format::Table => show_delivery(detail),
            }
        }
    }
}

fn show_delivery(detail: DeliveryDetail) -> Result<(), Fault> {
    let d = detail.delivery;
    let agreed = detail.attempt.iter().rev().find_map(|attempt| attempt.agreed.as_ref());
    let resolved = match (d.resolved_at, d.resolved_by) {
        (Some(at), Some(by)) => format!("by {by} at {}", time(at)),
        _ => "-".into(),
    };
    let values = [
        ("id", d.id.to_string()),
        ("file", format!("{} s3://{}/{}", d.file, d.bucket, d.key)),
        ("subscription", d.subscription),
        ("endpoint", d.endpoint),
        ("transform", or_dash(d.transform)),
        ("state", d.state),
        ("remote name", d.remote_name),
        ("bytes", or_dash(d.size_bytes)),
        ("sha256", or_dash(d.sha256)),
        ("attempts", format!("{} ({} charged)", d.attempts, d.charged)),
        ("created", time(d.created_at)),
        ("settled", d.settled_at.map_or_else(|| "-".into(), time)),
        ("next try", d.due_at.map_or_else(|| "-".into(), time)),
        ("possible duplicate", d.possible_duplicate.to_string()),
        ("resolved", resolved),
        ("connection", or_dash(agreed)),
    ];
    output::pairs_and_report(&values, ("fault", d.fault.as_deref()))?;
    let rows = detail.attempt.into_iter().map(|a| {
        vec![
            a.n.to_string(),
            time(a.started_at),
            a.stage,
            or_dash(a.outcome),
            or_dash(a.duration_ms),
            or_dash(a.bytes_sent),
            or_dash(a.confirmed_by),
            or_dash(a.peer_identity),
            or_dash(a.code),
        ]
    });
    output::table(
        &["attempt", "started", "stage", "outcome", "ms", "bytes", "confirmed", "host key", "fault"],
        rows.collect(),
    )
}

fn listed<T: std::fmt::Display>(values: &[T]) -> String {
    if values.is_empty() {
        return "-".into();
    }
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

pub async fn transforms(config: &Config, command: TransformCommand) -> Result<(), Fault> {
    match command {
        TransformCommand::List { state, page } => {
            let filter = list::transforms::Filter { state: maybe(state.as_ref())?, file: None };
            let store = existing_store(config).await?;
            let transforms = list::transforms::list(&store, &filter, Page { limit: page.limit })
                .await
                .map_err(|e| e.fault())?;
            if page.shape.format() == Format::Json {
                return output::json(&transforms);
            }
            let rows = transforms.into_iter().map(|t| {
                vec![
                    t.id.to_string(),
                    t.state,
                    format!("{}@{}", t.spec, t.version),
                    format!("s3://{}/{}", t.bucket, t.key),
                    or_dash(t.records),
                    or_dash(t.size_bytes),
                    t.attempts.to_string(),
                    or_dash(t.fault_code),
                ]
            });
            output::table(
                &["id", "state", "spec", "object", "records", "bytes", "attempts", "fault"],
                rows.collect(),
            )
        }
        TransformCommand::Show { id, shape } => {
            let transform: TransformId = parsed(&id)?;
            let store = existing_store(config).await?;
            let t = found(
                list::transforms::show(&store, transform).await.map_err(|e| e.fault())?,
                "transform",
                &id,
            )?;
            if shape.format() == Format::Json {
                return output::json(&t);
            }
            let values = [
                ("id", t.id.to_string()),
                ("file", format!("{} s3://{}/{}", t.file, t.bucket, t.key)),
                ("spec", format!("{}@{} ({})", t.spec, t.version, t.kind)),
                ("state", t.state),
                ("attempts", t.attempts.to_string()),
                ("records", or_dash(t.records)),
                ("rejected", or_dash(t.rejected)),
                ("rejects", or_dash(t.rejects)),
                ("bytes", or_dash(t.size_bytes)),
                ("sha256", or_dash(t.sha256)),
                ("created", time(t.created_at)),
                ("settled", t.settled_at.map_or_else(|| "-".into(), time)),
            ];
            output::pairs_and_report(&values, ("fault", t.fault.as_deref()))
        }
    }
}

pub async fn endpoints(config: &Config, command: NamedCommand) -> Result<(), Fault> {
    let store = existing_store(config).await?;
    match command {
        NamedCommand::List { shape } => {
            let endpoints = list::endpoints::list(&store).await.map_err(|e| e.fault())?;
            if shape.format() == Format::Json {
                return output::json(&endpoints);
            }
            let rows = endpoints.into_iter().map(|e| {
                let blocked = lane::standstill(&e);
                let compat = if lane::is_compat(&e) { " (compat)" } else { "" };
                let address = format!("{}{compat}", lane::address(&e));
                vec![e.name, address, e.health, blocked, e.waiting.to_string()]
            });
            output::table(&["name", "address", "lane", "blocked", "waiting"], rows.collect())
        }
        NamedCommand::Show { name, shape } => {
            let e =
                found(list::endpoints::show(&store, &name).await.map_err(|e| e.fault())?, "endpoint", &name)?;
            if shape.format() == Format::Json {
                return output::json(&e);
            }
            let paused = match (&e.paused_by, e.paused_at) {
                (Some(by), Some(at)) => {
                    format!("by {by} since {}: {}", time(at), e.pause_reason.clone().unwrap_or_default())
                }
                _ => "-".into(),
            };
            let (address, host_keys) = (lane::address(&e), lane::host_keys(&e));
            let algorithms = lane::algorithms(&e);
            output::pairs(&[
                ("id", e.id.to_string()),
                ("name", e.name),
                ("address", address),
                ("credential", e.credential),
                ("host keys", host_keys),
                ("host authorities", listed(&e.host_cas)),
                ("algorithms", algorithms),
                ("settings", e.settings.to_string()),
                ("upload", e.upload.to_string()),
                ("profile", endpoint_check::profile_line(e.profile.as_ref(), e.revision)),
                ("revision", e.revision.to_string()),
                ("enabled", e.enabled.to_string()),
                ("lane", e.health),
                ("blocked", lane::blocked(e.blocked_reason.as_deref(), e.blocked_until)),
                ("paused", paused),
                ("suspended", e.suspended_at.map_or_else(|| "-".into(), time)),
                ("seen host key", or_dash(e.seen_identity)),
                ("strikes", e.strikes.to_string()),
                ("refused logins", e.login_strikes.to_string()),
                ("failing since", e.failing_since.map_or_else(|| "-".into(), time)),
                ("waiting", e.waiting.to_string()),
            ])
        }
    }
}

pub async fn subscriptions(config: &Config, command: NamedCommand) -> Result<(), Fault> {
    let store = existing_store(config).await?;
    match command {
        NamedCommand::List { shape } => {
            let subscriptions = list::subscriptions::list(&store).await.map_err(|e| e.fault())?;
            if shape.format() == Format::Json {
                return output::json(&subscriptions);
            }
            let rows = subscriptions.into_iter().map(|s| {
                vec![
                    s.code,
                    s.file_group,
                    or_dash(s.transform),
                    s.endpoint,
                    s.remote_name,
                    s.enabled.to_string(),
                ]
            });
            output::table(
                &["code", "file group", "transform", "endpoint", "remote name", "enabled"],
                rows.collect(),
            )
        }
        NamedCommand::Show { name, shape } => {
            let s = found(
                list::subscriptions::show(&store, &name).await.map_err(|e| e.fault())?,
                "subscription",
                &name,
            )?;
            if shape.format() == Format::Json {
                return output::json(&s);
            }
            output::pairs(&[
                ("id", s.id.to_string()),
                ("code", s.code),
                ("subscriber", s.subscriber),
                ("file group", s.file_group),
                ("transform", or_dash(s.transform)),
                ("endpoint", s.endpoint),
                ("remote name", s.remote_name),
                ("priority", s.priority.to_string()),
                ("ordering", s.ordering),
                ("on unconfirmed", s.on_unconfirmed),
                ("retry", s.retry.to_string()),
                ("enabled", s.enabled.to_string()),
                ("revision", s.revision.to_string()),
                ("retired", s.retired_at.map_or_else(|| "-".into(), time)),
            ])
        }
    }
}
