//! The obligation to put one artifact at one endpoint.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "delivery")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub file_id: Uuid,
    pub subscription_id: Uuid,
    pub subscriber_id: Uuid,
    pub endpoint_id: Uuid,
    pub transform_id: Option<Uuid>,
    pub artifact_id: Option<Uuid>,
    pub part: i32,
    pub origin: String,
    pub replay_id: Option<Uuid>,
    pub source_id: Option<Uuid>,
    pub state: String,
    pub priority: i16,
    pub attempts: i32,
    pub charged: i32,
    pub abandoned: i32,
    pub max_attempts: i32,
    pub deadline_at: i64,
    pub lane_closed_ms: i64,
    pub remote_name: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub snapshot: Json,
    pub possible_duplicate: bool,
    pub parked: bool,
    pub fault_code: Option<String>,
    pub fault: Option<String>,
    pub created_at: i64,
    pub settled_at: Option<i64>,
    pub resolved_at: Option<i64>,
    pub resolved_by: Option<String>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
