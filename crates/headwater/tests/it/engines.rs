//! One claim, held on a server of each kind of store.

/// Makes two tests of each claim, `claim::on_sqlite` and `claim::on_postgres`.
macro_rules! on_both_engines {
    ($($claim:ident),+ $(,)?) => {$(
        mod $claim {
            #[tokio::test]
            async fn on_sqlite() {
                super::$claim(crate::server::Engine::Sqlite).await;
            }
            #[tokio::test]
            async fn on_postgres() {
                super::$claim(crate::server::Engine::Postgres).await;
            }
        }
    )+};
}
