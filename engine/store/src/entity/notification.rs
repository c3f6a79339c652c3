//! One message to a person.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "notification")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub history_id: Uuid,
    pub target: String,
    pub post_id: Option<Uuid>,
    pub due_at: i64,
    pub attempts: i32,
    pub lease_until: Option<i64>,
    pub ended_at: Option<i64>,
    pub outcome: Option<String>,
    pub fault: Option<String>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
