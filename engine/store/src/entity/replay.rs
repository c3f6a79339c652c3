//! An operator's batch of redeliveries or reprocessings.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "replay")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub mode: String,
    pub requested_by: String,
    pub reason: String,
    pub idempotency_key: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub filter: Json,
    pub state: String,
    pub chore: Option<String>,
    pub per_minute: Option<i32>,
    pub config: String,
    pub started_at: i64,
    pub cursor: Option<Uuid>,
    pub next_due_at: Option<i64>,
    pub matched: i32,
    pub created: i32,
    pub skipped: i32,
    pub ended_at: Option<i64>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
