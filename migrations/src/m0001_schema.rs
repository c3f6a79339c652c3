//! The whole schema of the first version.

use sea_orm_migration::prelude::*;

/// See `m0001_schema.sql`.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    // Both databases have transactional DDL: a crash in the middle leaves nothing.
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::text::run(manager, include_str!("m0001_schema.sql")).await
    }
}
