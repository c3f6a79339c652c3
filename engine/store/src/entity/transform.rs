//! One run of a spec over a file.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "transform")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub file_id: Uuid,
    pub spec_id: Uuid,
    pub generation: i32,
    pub state: String,
    pub attempts: i32,
    pub abandoned: i32,
    pub due_at: i64,
    pub lease_id: Option<Uuid>,
    pub lease_until: Option<i64>,
    pub worker_id: Option<Uuid>,
    pub fault_code: Option<String>,
    pub fault: Option<String>,
    pub created_at: i64,
    pub settled_at: Option<i64>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
