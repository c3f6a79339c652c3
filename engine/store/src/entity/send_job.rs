//! A delivery that is due.

use sea_orm::entity::prelude::*;

#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "send_job")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub delivery_id: Uuid,
    pub endpoint_id: Uuid,
    pub remote_name: String,
    pub fifo_group: Option<Uuid>,
    pub due_at: i64,
    pub lease_id: Option<Uuid>,
    pub lease_until: Option<i64>,
    pub worker_id: Option<Uuid>,
    pub handed_at: Option<i64>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
