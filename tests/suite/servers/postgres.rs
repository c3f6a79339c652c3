use outport_tests::need;
use outport_tests::servers::postgres::Database;
use sea_orm::ConnectionTrait;

#[tokio::test]
async fn each_database_is_its_own_and_goes_with_its_owner() {
    let (one, other) = (need!(Database::create()), need!(Database::create()));
    let in_one = sea_orm::Database::connect(one.url()).await.unwrap();
    let in_other = sea_orm::Database::connect(other.url()).await.unwrap();
    in_one.execute_unprepared("CREATE TABLE here (id bigint)").await.unwrap();
    in_one.execute_unprepared("INSERT INTO here VALUES (1)").await.unwrap();
    assert!(in_other.execute_unprepared("SELECT * FROM here").await.is_err());

    // With a connection still open: a test that fails leaves some.
    let url = one.url().to_owned();
    drop(one);
    assert!(in_one.execute_unprepared("SELECT 1").await.is_err());
    let fault = sea_orm::Database::connect(url).await.unwrap_err().to_string();
    assert!(fault.contains("does not exist"), "{fault}");
    in_other.execute_unprepared("SELECT 1").await.unwrap();
}
