//! One numbered try of a delivery.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "attempt")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub delivery_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub n: i32,
    pub lease_id: Uuid,
    pub worker_id: Uuid,
    pub started_at: i64,
    pub ended_at: Option<i64>,
    pub stage: String,
    pub outcome: Option<String>,
    pub charged: bool,
    pub class: Option<String>,
    pub code: Option<String>,
    pub message: Option<String>,
    pub bytes_sent: Option<i64>,
    pub remote_temp: Option<String>,
    pub remote_final: Option<String>,
    pub remote_size: Option<i64>,
    pub remote_hash: Option<String>,
    pub sha256: Option<String>,
    pub peer_identity: Option<String>,
    pub agreed: Option<String>,
    pub confirmed_by: Option<String>,
    pub duration_ms: Option<i64>,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub detail: Option<Json>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
