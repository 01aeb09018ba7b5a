//! Writes: each is proposed to the owner and answered once it is committed, applied and noted for subscribers.

use std::sync::Arc;

use beatrix_core::catalog::{Command, Refusal, Standing};
use beatrix_core::model::{
    Declared, Endpoint, Health, Lease, LivenessKind, OperatorPatch, Reason, Registration, Revision,
    ServiceKey, SessionId, Timings,
};
use tokio::sync::oneshot;

use super::Registry;
use super::owner::Request;

/// Why a write did not happen. Nothing has changed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// It cannot be carried out.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The journal does not take it; try again.
    #[error("{0}")]
    Unavailable(String),
    /// The registry is stopping.
    #[error("the registry is stopping")]
    Stopping,
}

/// A write that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The revision after it.
    pub revision: Revision,
    /// Whether it changed anything.
    pub changed: bool,
}

/// A registration that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    /// The revision after it.
    pub revision: Revision,
    /// Whether it changed anything.
    pub changed: bool,
    /// The lease.
    pub lease: Lease,
    /// The times, if it lives by beats.
    pub timings: Option<Timings>,
}

impl Registry {
    /// Registers an instance, or replaces what its client said about it. Also restarts its silence.
    ///
    /// # Errors
    /// If a limit is reached, or the registry cannot take writes.
    pub async fn register(
        &self,
        service: ServiceKey,
        endpoint: Endpoint,
        registration: Registration,
        health: Health,
    ) -> Result<Registered, WriteError> {
        let lease = self.0.random.lease();
        let registration = Box::new(registration);
        let command = Command::Register {
            service,
            endpoint,
            registration,
            health,
            lease,
        };
        let (written, standing) = self.propose(command).await?;
        let Standing { lease, timings } = standing.unwrap_or(Standing { lease, timings: None });
        Ok(Registered {
            revision: written.revision,
            changed: written.changed,
            lease,
            timings,
        })
    }

    /// Removes an instance: only if it holds `lease`, where one is given, and only if it lives in one of the ways
    /// `only`, where any are given.
    ///
    /// # Errors
    /// If there is no such instance.
    pub async fn deregister(
        &self,
        service: ServiceKey,
        endpoint: Endpoint,
        lease: Option<Lease>,
        only: &'static [LivenessKind],
    ) -> Result<Written, WriteError> {
        let reason = Reason::Deregistered;
        self.write(Command::Deregister {
            service,
            endpoint,
            lease,
            only,
            reason,
        })
        .await
    }

    /// Removes an instance on an operator's behalf. Its client may register it again; the operator's layer waits for that
    /// like that of an instance that was lost.
    ///
    /// # Errors
    /// If there is no such instance.
    pub async fn evict(
        &self,
        service: ServiceKey,
        endpoint: Endpoint,
        lease: Option<Lease>,
        only: &'static [LivenessKind],
    ) -> Result<Written, WriteError> {
        let reason = Reason::Operator;
        self.write(Command::Deregister {
            service,
            endpoint,
            lease,
            only,
            reason,
        })
        .await
    }

    /// Changes the operator's layer of an instance.
    ///
    /// # Errors
    /// If there is no such instance, or the result breaks a rule.
    pub async fn operate(
        &self,
        service: ServiceKey,
        endpoint: Endpoint,
        patch: OperatorPatch,
    ) -> Result<Written, WriteError> {
        self.write(Command::Operate {
            service,
            endpoint,
            patch: Box::new(patch),
        })
        .await
    }

    /// Ends the operator's layer of an instance, also of one that is gone.
    ///
    /// # Errors
    /// If there is neither an instance nor a layer.
    pub async fn clear_operator(
        &self,
        service: ServiceKey,
        endpoint: Endpoint,
    ) -> Result<Written, WriteError> {
        self.write(Command::ClearOperator { service, endpoint }).await
    }

    /// Sets what an instance says about itself, and renews its lease.
    ///
    /// # Errors
    /// If the lease is unknown.
    pub async fn declare(&self, lease: Lease, declared: Option<Declared>) -> Result<Written, WriteError> {
        self.beat(&[lease], |_| ());
        self.write(Command::Declare {
            lease,
            declared: declared.map(Arc::new),
        })
        .await
    }

    /// Sets the measured health of an instance that does not live by beats.
    ///
    /// # Errors
    /// If there is no such instance.
    pub async fn measure(
        &self,
        service: ServiceKey,
        endpoint: Endpoint,
        health: Health,
        reason: Reason,
    ) -> Result<Written, WriteError> {
        self.write(Command::Measure {
            service,
            endpoint,
            health,
            reason,
        })
        .await
    }

    /// Removes all instances of a connection that has closed.
    ///
    /// # Errors
    /// If the registry cannot take writes.
    pub async fn close_session(&self, session: SessionId) -> Result<Written, WriteError> {
        self.write(Command::CloseSession { session }).await
    }

    async fn write(&self, command: Command) -> Result<Written, WriteError> {
        Ok(self.propose(command).await?.0)
    }

    async fn propose(&self, command: Command) -> Result<(Written, Option<Standing>), WriteError> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Write {
            command: Box::new(command),
            reply,
        };
        self.0
            .owner
            .send(request)
            .await
            .map_err(|_| WriteError::Stopping)?;
        answer.await.unwrap_or(Err(WriteError::Stopping))
    }
}
