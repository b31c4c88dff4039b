//! A login to MySQL or MariaDB, and a query that changes nothing.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use tokio::time::Instant;

use super::relay;
use crate::base::failure::{Failure, Kind};
use crate::base::text::one_line;
use crate::commands::wait_for::attempt::{Attempt, Endpoint, Reached};
use crate::commands::wait_for::protocol::Probe;
use crate::commands::wait_for::protocol::mysql::{AFTER_A_CUT, blocked, not_ready};
use crate::commands::wait_for::setup::{Password, Setup};
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::{Cause, Found, Unready};

struct Login {
    endpoint: Endpoint,
    /// The name that the certificate has to bear.
    name: String,
    user: String,
    password: Option<(String, Password)>,
    database: Option<String>,
    sql: Option<String>,
    mode: MySqlSslMode,
    roots: Option<std::path::PathBuf>,
}

/// Checks what a login needs.
///
/// # Errors
/// `Usage`
pub(in super::super) fn prepare(
    target: &Target,
    setup: &Setup<'_>,
    mode: MySqlSslMode,
) -> Result<Box<dyn Probe>, Failure> {
    let name = target.host.to_string();
    Ok(Box::new(Login {
        endpoint: setup.endpoint(target)?,
        name: name
            .trim_matches(['[', ']'])
            .trim_end_matches('.')
            .to_string(),
        user: super::user(target)?,
        password: super::password(target, setup)?,
        database: Some(target.decoded_path()?).filter(|name| !name.is_empty()),
        sql: setup.sql.clone(),
        mode,
        roots: setup.tls.own_roots().map(std::path::Path::to_path_buf),
    }))
}

#[async_trait(?Send)]
impl Probe for Login {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        let Reached { wire, peer, .. } = attempt.reach(&self.endpoint).await?;
        let _care = attempt.tools.with_care();
        attempt.stage.asking(&peer, "the end of the login");
        let address = relay::address();
        let work = self.log_in(&address, attempt, &peer);
        relay::lend(wire, &address, None, work).await?
    }

    fn proves(&self) -> String {
        let login = format!("{} can log in", self.user);
        match &self.sql {
            None => login,
            Some(_) => format!("{login}, and --sql brings a row"),
        }
    }

    fn pause_after_cut(&self) -> Duration {
        AFTER_A_CUT
    }
}

impl Login {
    async fn log_in(&self, address: &std::path::Path, attempt: &Attempt<'_>, peer: &str) -> Found {
        let name = format!("{} at {peer}", self.user);
        let mut options = MySqlConnectOptions::new()
            .host(&self.name)
            .socket(address)
            .ssl_mode(self.mode)
            .username(&self.user)
            .password(self.password.as_ref().map_or("", |(text, _)| text))
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false);
        if let Some(database) = &self.database {
            options = options.database(database);
        }
        if let Some(roots) = &self.roots {
            options = options.ssl_ca(roots);
        }
        let mut connection = options
            .connect()
            .await
            .map_err(|error| self.explain(&error, &name))?;
        let found = match &self.sql {
            None => Ok(()),
            Some(sql) => {
                attempt.stage.asking(peer, "the row that --sql asks for");
                let left = attempt
                    .until
                    .map(|until| until.duration_since(Instant::now()));
                self.query(&mut connection, sql, left, &name).await
            }
        };
        let _ = connection.close().await;
        found
    }

    async fn query(
        &self,
        connection: &mut MySqlConnection,
        sql: &str,
        left: Option<Duration>,
        name: &str,
    ) -> Found {
        let fail = |error| self.explain(&error, name);
        for step in [
            limit(left),
            "SET SESSION TRANSACTION READ ONLY".into(),
            "START TRANSACTION READ ONLY".into(),
        ] {
            connection
                .execute(sqlx::raw_sql(AssertSqlSafe(step)))
                .await
                .map_err(fail)?;
        }
        let query = sqlx::raw_sql(AssertSqlSafe(sql.to_string()));
        let row = connection.fetch_optional(query).await.map_err(fail)?;
        connection
            .execute(sqlx::raw_sql("ROLLBACK"))
            .await
            .map_err(fail)?;
        match row {
            Some(_) => Ok(()),
            None => Err(Cause::new("--sql brought no row").into()),
        }
    }

    fn explain(&self, error: &sqlx::Error, name: &str) -> Unready {
        let Some(error) = error
            .as_database_error()
            .and_then(|it| it.try_downcast_ref::<MySqlDatabaseError>())
        else {
            return super::broken(error, "MySQL");
        };
        let (number, message) = (error.number(), one_line(error.message()));
        let failure = |kind| Failure::new(kind, format!("{number}: {message}"));
        match number {
            1045 | 1698 => failure(Kind::Denied)
                .context(format!("log in as {name}"))
                .hint(super::source_of(self.password.as_ref()))
                .into(),
            1129 => blocked(&message).into(),
            1064 => failure(Kind::Usage)
                .context("run --sql")
                .hint("correct the query")
                .into(),
            1792 => failure(Kind::Usage)
                .context("run --sql")
                .hint("it may only read: podinit changes nothing")
                .into(),
            _ => not_ready(number, &message).into(),
        }
    }
}

/// The server's own limit of a statement. MySQL knows it in milliseconds, MariaDB in seconds, and each
/// skips the comment that is the other's.
fn limit(left: Option<Duration>) -> String {
    let left = left.unwrap_or_default();
    format!(
        "SET autocommit = 1 /*!50708 , max_execution_time = {} */ /*M!100101 , max_statement_time = {:.3} */",
        left.as_millis(),
        left.as_secs_f64()
    )
}
