#![doc = include_str!("../README.md")]

mod m0001_schema;
mod text;

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::*;

/// Applies the steps in order; [`MigratorTrait::up`] of this type is what `outport migrate` runs.
///
/// It is **not** safe to run from two processes at once (measured: one of ten rounds of three processes failed on its
/// own bookkeeping table). `outport-store` wraps it in a lock.
#[derive(Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_schema::Migration)]
    }
}
