//! One object version that arrived.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "file")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub bucket: String,
    pub key: String,
    pub version: String,
    pub version_id: Option<String>,
    pub sequencer: Option<String>,
    pub etag: Option<String>,
    pub size_bytes: Option<i64>,
    pub modified_at: Option<i64>,
    pub event_at: i64,
    pub arrived_at: i64,
    pub file_group_id: Option<Uuid>,
    pub state: String,
    pub problem: Option<String>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
