//! A login to PostgreSQL, and a query that changes nothing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustls::ClientConfig;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgErrorPosition, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use tokio::time::Instant;

use super::relay;
use crate::base::failure::{Failure, Kind};
use crate::base::text::one_line;
use crate::commands::wait_for::attempt::{Attempt, Endpoint};
use crate::commands::wait_for::protocol::Probe;
use crate::commands::wait_for::protocol::postgres::{SslMode, not_ready, open};
use crate::commands::wait_for::setup::{Password, Setup};
use crate::commands::wait_for::target::Target;
use crate::commands::wait_for::verdict::{Cause, Found, Unready};

struct Login {
    endpoint: Endpoint,
    user: String,
    password: Option<(String, Password)>,
    database: Option<String>,
    sql: Option<String>,
    tls: Option<Arc<ClientConfig>>,
    is_tls_required: bool,
}

/// Checks what a login needs.
///
/// # Errors
/// `Usage`
pub(in super::super) fn prepare(
    target: &Target,
    setup: &Setup<'_>,
    endpoint: Endpoint,
    database: Option<String>,
    mode: SslMode,
    tls: Option<Arc<ClientConfig>>,
) -> Result<Box<dyn Probe>, Failure> {
    Ok(Box::new(Login {
        endpoint,
        user: super::user(target)?,
        password: super::password(target, setup)?,
        database,
        sql: setup.sql.clone(),
        tls,
        is_tls_required: matches!(mode, SslMode::Require(_)),
    }))
}

#[async_trait(?Send)]
impl Probe for Login {
    async fn attempt(&self, attempt: &Attempt<'_>) -> Found {
        let talk = open(
            attempt,
            &self.endpoint,
            self.tls.as_ref(),
            self.is_tls_required,
        )
        .await?;
        let peer = talk.peer.clone();
        attempt.stage.asking(&peer, "the end of the login");
        let address = relay::address();
        let work = self.log_in(&address, attempt, &peer);
        // The driver takes the address for a directory.
        let socket = address.join(format!(".s.PGSQL.{}", self.endpoint.port));
        relay::lend(talk.into_wire()?, &socket, Some(without_options), work).await?
    }

    fn proves(&self) -> String {
        let login = format!("{} can log in", self.user);
        match &self.sql {
            None => login,
            Some(_) => format!("{login}, and --sql brings a row"),
        }
    }
}

/// The first message without `options`: the driver takes them from `PGOPTIONS`, which is the app's.
fn without_options(said: &[u8]) -> Option<Vec<u8>> {
    let length = u32::from_be_bytes(said.get(..4)?.try_into().ok()?);
    let message = said.get(..usize::try_from(length).ok()?)?;
    let (version, pairs) = message.get(4..)?.split_at_checked(4)?;
    let words: Vec<&[u8]> = pairs.split(|byte| *byte == 0).collect();
    let mut kept = version.to_vec();
    for pair in words.chunks_exact(2).filter(|pair| !pair[0].is_empty()) {
        if pair[0] != b"options" {
            kept.extend_from_slice(&[pair[0], &[0], pair[1], &[0]].concat());
        }
    }
    kept.push(0);
    let length = u32::try_from(kept.len() + 4).ok()?;
    Some([&length.to_be_bytes()[..], &kept].concat())
}

impl Login {
    async fn log_in(&self, address: &std::path::Path, attempt: &Attempt<'_>, peer: &str) -> Found {
        let name = format!("{} at {peer}", self.user);
        // Nothing is taken from the environment or a .pgpass; the socket is encrypted already.
        let mut options = PgConnectOptions::new_without_pgpass()
            .host("podinit")
            .port(self.endpoint.port)
            .socket(address)
            .ssl_mode(PgSslMode::Disable)
            .username(&self.user)
            .password(self.password.as_ref().map_or("", |(text, _)| text))
            .application_name("podinit");
        options = options.database(self.database.as_deref().unwrap_or(&self.user));
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
        connection: &mut PgConnection,
        sql: &str,
        left: Option<Duration>,
        name: &str,
    ) -> Found {
        let limit = left.map_or(0, |left| left.as_millis().max(1));
        let begin = format!(
            "SET default_transaction_read_only = on; SET statement_timeout = {limit}; BEGIN READ ONLY"
        );
        let fail = |error| self.explain(&error, name);
        connection
            .execute(sqlx::raw_sql(AssertSqlSafe(begin)))
            .await
            .map_err(fail)?;
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
            .and_then(|it| it.try_downcast_ref::<PgDatabaseError>())
        else {
            return super::broken(error, "PostgreSQL");
        };
        let (code, message) = (error.code(), one_line(error.message()));
        let place = match error.position() {
            Some(PgErrorPosition::Original(place)) => format!(" at character {place}"),
            Some(PgErrorPosition::Internal { .. }) | None => String::new(),
        };
        let failure = |kind| Failure::new(kind, format!("{code}: {message}{place}"));
        match code {
            "28P01" | "28000" => failure(Kind::Denied)
                .context(format!("log in as {name}"))
                .hint(super::source_of(self.password.as_ref()))
                .into(),
            "42601" => failure(Kind::Usage)
                .context("run --sql")
                .hint("correct the query")
                .into(),
            "25006" => failure(Kind::Usage)
                .context("run --sql")
                .hint("it may only read: podinit changes nothing")
                .into(),
            _ => not_ready(code, &format!("{message}{place}")).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_apps_options_are_left_out() {
        let message = |pairs: &[u8]| {
            let length = u32::try_from(pairs.len() + 8).unwrap();
            [&length.to_be_bytes()[..], &[0, 3, 0, 0], pairs].concat()
        };
        let said = message(b"user\0app\0options\0-c x=y\0database\0\0\0");
        let passed = message(b"user\0app\0database\0\0\0");
        assert_eq!(without_options(&said), Some(passed.clone()));
        assert_eq!(without_options(&passed), Some(passed));
        for end in 0..said.len() {
            assert_eq!(without_options(&said[..end]), None, "{end}");
        }
    }
}
