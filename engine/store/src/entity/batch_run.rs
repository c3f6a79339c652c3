//! One start of a Batch worker.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "batch_run")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    pub kind: String,
    pub mode: String,
    pub only_id: Option<Uuid>,
    pub array_size: Option<i32>,
    pub workers_left: Option<i32>,
    pub state: String,
    pub batch_job_id: Option<String>,
    pub fault_code: Option<String>,
    pub fault: Option<String>,
    pub intent_at: i64,
    pub state_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub let_go_at: Option<i64>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
