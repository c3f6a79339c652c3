//! What both databases must do alike: every test runs on SQLite and on PostgreSQL.

mod acts_on_deliveries;
mod acts_on_endpoints;
mod batch_work;
mod claims;
mod definitions;
mod dispatch;
mod entities;
mod fencing;
mod finish;
mod lost_wake_up;
mod notices;
mod ordering;
mod problems;
mod replay;
mod transforms;
mod upkeep;
mod why;
pub mod world;

/// Makes two tests of an `async fn(World)`: `sqlite` and `postgres`.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        $(
            mod $name {
                #[test]
                fn sqlite() {
                    $crate::conformance::world::on_sqlite(super::$name);
                }
                #[test]
                fn postgres() {
                    let database = outport_tests::need!(outport_tests::servers::postgres::Database::create());
                    $crate::conformance::world::on_postgres(&database, super::$name);
                }
            }
        )*
    };
}
pub(crate) use on_both;
