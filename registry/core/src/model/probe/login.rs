//! What is asked of databases and stores, and who asks.

use super::super::Invalid;
use super::super::text::check_length;
use super::Secret;

/// How many bytes a user, a password and a command may each have.
pub const LOGIN_TEXT_BYTES_MAX: usize = 1024;

/// What to ask a server that speaks MySQL's protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MysqlProbe {
    user: Box<str>,
    password: Secret,
    command: Box<str>,
}

/// What to ask a server that speaks Redis's protocol: a `PING`, after a login if there is a password.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RedisProbe {
    login: Option<(Option<Box<str>>, Secret)>,
}

impl MysqlProbe {
    /// What is asked unless something is said.
    pub const COMMAND_DEFAULT: &'static str = "select 1";

    /// Who asks what. Without a user nobody logs in: that the server greets is enough. An empty command stands for
    /// [`Self::COMMAND_DEFAULT`].
    ///
    /// # Errors
    /// If a text is longer than [`LOGIN_TEXT_BYTES_MAX`] bytes; a user that has a NUL, which would end it early; a
    /// password without a user.
    pub fn new(user: &str, password: &str, command: &str) -> Result<Self, Invalid> {
        check_name("user", user)?;
        check_length("password", password, LOGIN_TEXT_BYTES_MAX)?;
        check_length("command", command, LOGIN_TEXT_BYTES_MAX)?;
        if user.is_empty() && !password.is_empty() {
            return Err(Invalid::new("user", "must be given with a password", ""));
        }
        let command = if command.trim().is_empty() {
            Self::COMMAND_DEFAULT
        } else {
            command
        };
        Ok(Self {
            user: user.into(),
            password: password.into(),
            command: command.into(),
        })
    }

    /// Who asks. Empty if nobody logs in.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// His password.
    #[must_use]
    pub fn password(&self) -> &Secret {
        &self.password
    }

    /// The one query.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.command
    }
}

impl RedisProbe {
    /// Who asks: nobody, the default user by his password alone, or a user by name and password.
    ///
    /// # Errors
    /// If a text is longer than [`LOGIN_TEXT_BYTES_MAX`] bytes, or there is a user without a password.
    pub fn new(user: Option<&str>, password: Option<&str>) -> Result<Self, Invalid> {
        if let Some(user) = user {
            check_name("user", user)?;
        }
        let Some(password) = password else {
            return match user {
                Some(user) => Err(Invalid::new("user", "must come with a password", user)),
                None => Ok(Self::default()),
            };
        };
        check_length("password", password, LOGIN_TEXT_BYTES_MAX)?;
        Ok(Self {
            login: Some((user.map(Into::into), password.into())),
        })
    }

    /// The user, if one is named, and the password, if there is a login.
    #[must_use]
    pub fn login(&self) -> Option<(Option<&str>, &Secret)> {
        let (user, password) = self.login.as_ref()?;
        Some((user.as_deref(), password))
    }
}

fn check_name(field: &'static str, name: &str) -> Result<(), Invalid> {
    check_length(field, name, LOGIN_TEXT_BYTES_MAX)?;
    if name.contains('\0') {
        return Err(Invalid::new(field, "must not have a NUL", name));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mysql_probe_asks_something_and_says_who_asks() {
        let probe = MysqlProbe::new("", "", " ").unwrap();
        assert_eq!((probe.user(), probe.command()), ("", "select 1"));
        assert!(MysqlProbe::new("u", "p", "select 2").is_ok());
        assert_eq!(MysqlProbe::new("", "p", "").unwrap_err().field, "user");
        assert_eq!(MysqlProbe::new("a\0b", "p", "").unwrap_err().field, "user");
        let long = "x".repeat(LOGIN_TEXT_BYTES_MAX + 1);
        assert_eq!(MysqlProbe::new("u", "p", &long).unwrap_err().field, "command");
    }

    #[test]
    fn a_redis_user_comes_with_a_password() {
        assert_eq!(RedisProbe::new(None, None).unwrap().login(), None);
        let probe = RedisProbe::new(None, Some("p")).unwrap();
        assert_eq!(probe.login().unwrap().1.reveal(), "p");
        assert!(RedisProbe::new(Some("u"), Some("p")).is_ok());
        assert_eq!(RedisProbe::new(Some("u"), None).unwrap_err().field, "user");
    }

    #[test]
    fn a_password_is_neither_printed_nor_repeated_by_an_error() {
        let mysql = MysqlProbe::new("u", "hunter2", "").unwrap();
        let redis = RedisProbe::new(Some("u"), Some("hunter2")).unwrap();
        assert!(!format!("{mysql:?} {redis:?}").contains("hunter2"));
        let long = "hunter2".repeat(LOGIN_TEXT_BYTES_MAX);
        let mysql = MysqlProbe::new("u", &long, "").unwrap_err();
        let redis = RedisProbe::new(None, Some(&long)).unwrap_err();
        assert!(!format!("{mysql} {redis}").contains("hunter2"));
    }
}
