//! A greeting, a login and one query in MySQL's protocol, as MySQL 5.7 to 9 and MariaDB speak it.
//!
//! ```text
//! server  greeting, protocol 10, with 20 random bytes      without a user: good, and over
//! client  login: user, the password mixed with the random bytes
//! server  OK · error · another way to log in · more about this way
//! client  query
//! server  OK · error · columns, end, rows, end
//! client  quit
//! ```
//!
//! It is our own, since a probe needs these few packets, and a client for all of the protocol is a hundred packages.
//!
//! - **Ways to log in**: `mysql_native_password`, and of `caching_sha2_password` the fast path, which works while the
//!   server remembers the account from an earlier login of anybody's by it. After a restart of the server it does not, and
//!   asks for the password itself, which is not sent. So an account that only probes use should have
//!   `mysql_native_password`, or no password and no rights.
//! - **The result** decides nothing: a query that is answered is good. Nacos 2.x: but for [`query::READ_ONLY_QUERY`], whose answer
//!   `ON` makes the instance unhealthy, so that a replica does not serve as a master.
//! - **Without a user** the login is broken off, which the server counts and may log. One that keeps a cache of hosts may
//!   shut the registry's address out after `max_connect_errors` (100) of them without a login in between. A probe with a user
//!   has none of that.
//! - **Goodbye**: after a login the server is told, and waited for a moment, so that it logs no aborted connection.

mod greeting;
mod login;
mod packet;
mod query;

use std::time::Duration;

use beatrix_core::model::MysqlProbe;
use tokio::time::Instant;

use crate::outcome::{ProbeOutcome, Step};
use crate::wire::Wire;
use packet::Packets;

/// How long the server may take to close.
const GOODBYE: Duration = Duration::from_millis(100);

/// An exchange over a fresh connection.
pub(crate) struct Exchange {
    packets: Packets,
    logged_in: bool,
}

impl Exchange {
    pub(crate) fn new(wire: Wire) -> Self {
        Self {
            packets: Packets::new(wire),
            logged_in: false,
        }
    }

    /// Asks.
    pub(crate) async fn ask(&mut self, probe: &MysqlProbe) -> Step {
        let greeting = greeting::parse(&self.packets.read().await?)?;
        if probe.user().is_empty() {
            return Ok(());
        }
        login::log_in(&mut self.packets, &greeting, probe).await?;
        self.logged_in = true;
        query::query(&mut self.packets, probe.command()).await
    }

    /// Says goodbye to whom it logged in to, and is through by `deadline`.
    pub(crate) async fn leave(mut self, deadline: Instant) {
        if self.logged_in {
            self.packets.quit(deadline.min(Instant::now() + GOODBYE)).await;
        }
    }
}

/// What an error packet says: its code. Access denied is told apart: 1045, and MariaDB's 1698 for one that may not log in
/// by password.
fn error(payload: &[u8]) -> ProbeOutcome {
    match payload {
        [0xff, low, high, ..] => match u16::from_le_bytes([*low, *high]) {
            1045 | 1698 => ProbeOutcome::AuthFailed,
            code => ProbeOutcome::MysqlError(code),
        },
        _ => packet::MALFORMED,
    }
}
