//! Subscriber x file group -> endpoint.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "subscription")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub code: String,
    pub subscriber_id: Uuid,
    pub file_group_id: Uuid,
    pub endpoint_id: Uuid,
    pub transform_spec_id: Option<Uuid>,
    pub remote_name: String,
    pub priority: i16,
    #[sea_orm(column_type = "JsonBinary")]
    pub retry_policy: Json,
    pub ordering: String,
    pub on_unconfirmed: String,
    pub stale: String,
    pub next_sequence: i64,
    pub enabled: bool,
    pub retired_at: Option<i64>,
    pub revision: i32,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
