//! A database for each test. It is made and asked through `psql`, which comes with PostgreSQL: SQL clients of our own are
//! behind the wall of maof-store.

use std::process::Command;

use maof_core::Ids as _;

use crate::ids::UniqueIds;

/// A database of one test, empty at first; deleted when this is dropped, with whoever is connected.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
    url: String,
}

/// A new database on the PostgreSQL that `MAOF_TEST_POSTGRES_URL` names; none where there is none.
#[allow(clippy::unused_async, reason = "other services are asked over the wire")]
pub async fn postgres() -> Option<Database> {
    let server = super::url("postgres")?;
    let name = format!("t_{}", UniqueIds.next().simple());
    psql(&server, &format!("CREATE DATABASE {name} TEMPLATE template0")).unwrap();
    let (before, query) = split(&server);
    let url = format!("{before}/{name}{query}");
    Some(Database { server, name, url })
}

/// What comes before the slash of the database's name, and what comes after the name.
fn split(url: &str) -> (&str, &str) {
    let host = url.find("://").map_or(0, |at| at + 3);
    let (rest, query) = url.split_at(url.find('?').unwrap_or(url.len()));
    let path = rest[host..].find('/').map_or(rest.len(), |at| host + at);
    (&rest[..path], query)
}

impl Database {
    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address at which the server listens: host and port.
    pub fn address(&self) -> String {
        let (before, _) = split(&self.url);
        let address = before.rsplit(['@', '/']).next().unwrap_or_default();
        let port = address.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        if port { address.to_owned() } else { format!("{address}:5432") }
    }

    /// The same database by another port of this machine.
    pub fn at_port(&self, port: u16) -> String {
        let (before, query) = split(&self.url);
        let at = before.rfind(['@', '/']).map_or(0, |at| at + 1);
        format!("{}127.0.0.1:{port}/{}{query}", &before[..at], self.name)
    }

    /// Runs a statement.
    pub fn execute(&self, sql: &str) {
        psql(&self.url, sql).unwrap();
    }

    /// The one number that a query gives.
    pub fn number(&self, sql: &str) -> i64 {
        let said = psql(&self.url, sql).unwrap();
        said.trim().parse().unwrap_or_else(|_| panic!("`{sql}` gave `{said}`"))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let dropped = psql(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
        assert!(dropped.is_ok() || std::thread::panicking(), "{dropped:?}");
    }
}

/// What a statement gives, or what the database says against it.
fn psql(url: &str, sql: &str) -> Result<String, String> {
    let asked = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"];
    let said = Command::new("psql").args(asked).args(["--command", sql, url]).output();
    let said = said.map_err(|e| format!("`psql` cannot be run, which tests with PostgreSQL need: {e}"))?;
    match said.status.success() {
        true => Ok(String::from_utf8_lossy(&said.stdout).into_owned()),
        false => Err(format!("`{sql}`: {}", String::from_utf8_lossy(&said.stderr))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart_from_names_and_passwords() {
        let check = |url: &str, address: &str, at_port: &str| {
            let (server, name) = (String::new(), "t".to_owned());
            // No database of the server is dropped.
            let database = std::mem::ManuallyDrop::new(Database { server, name, url: url.to_owned() });
            assert_eq!((database.address().as_str(), database.at_port(9).as_str()), (address, at_port));
        };
        check("postgres://u:p@127.0.0.1:1234/t", "127.0.0.1:1234", "postgres://u:p@127.0.0.1:9/t");
        check("postgres://db/t?sslmode=disable", "db:5432", "postgres://127.0.0.1:9/t?sslmode=disable");
    }
}
