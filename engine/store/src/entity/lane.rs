//! An endpoint's scheduling row.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "lane")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub endpoint_id: Uuid,
    pub next_due_at: i64,
    pub max_connections: i32,
    pub cap: i32,
    pub ramp: i32,
    pub health: String,
    pub blocked_until: i64,
    pub blocked_reason: Option<String>,
    pub strikes: i32,
    pub recent: i64,
    pub recent_n: i32,
    pub login_strikes: i32,
    pub login_ok_version: Option<String>,
    pub refused_version: Option<String>,
    pub seen_identity: Option<String>,
    pub opened_at: Option<i64>,
    pub open_ms: i64,
    pub failing_since: Option<i64>,
    pub recovered_at: Option<i64>,
    pub paused_by: Option<String>,
    pub pause_reason: Option<String>,
    pub paused_at: Option<i64>,
    pub suspended_at: Option<i64>,
    pub closed_since: Option<i64>,
    pub closed_ms: i64,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
