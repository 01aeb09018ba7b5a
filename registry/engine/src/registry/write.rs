//! Writes: each is proposed to the owner and answered once it is committed, applied and noted for subscribers.

use std::sync::Arc;

use beatrix_core::catalog::{Command, Publication, Refusal, Standing};
use beatrix_core::model::{
    Declared, Endpoint, Existence, Health, Lease, LivenessKind, Namespace, NamespaceInfo, OperatorPatch,
    Reason, Registration, Revision, ServiceKey, ServicePatch, SessionId, SettingName, Timings,
};
use tokio::sync::oneshot;

use super::Registry;
use super::owner::{Answer, Request};

/// Why a write did not happen. Nothing has changed; but of one that the journal failed under way the answer says that it may
/// be there after the next start.
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
    /// If a limit is reached, the service was declared for instances of another lifetime, or the registry cannot take
    /// writes.
    pub async fn register(
        &self,
        service: ServiceKey,
        endpoint: Endpoint,
        registration: Registration,
        health: Health,
    ) -> Result<Registered, WriteError> {
        self.register_as(service, endpoint, registration, health, false)
            .await
    }

    /// The same, but only if the service has no instance of the other lifetime. Nacos 2.x: a service is either
    /// ephemeral or persistent.
    ///
    /// # Errors
    /// Also if the service has instances of the other lifetime.
    pub async fn register_uniform(
        &self,
        service: ServiceKey,
        endpoint: Endpoint,
        registration: Registration,
        health: Health,
    ) -> Result<Registered, WriteError> {
        self.register_as(service, endpoint, registration, health, true)
            .await
    }

    async fn register_as(
        &self,
        service: ServiceKey,
        endpoint: Endpoint,
        registration: Registration,
        health: Health,
        uniform: bool,
    ) -> Result<Registered, WriteError> {
        let lease = self.inner.random.lease();
        let registration = Box::new(registration);
        let command = Command::Register {
            service,
            endpoint,
            registration,
            health,
            lease,
            uniform,
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
        self.remove(service, endpoint, lease, only, Reason::Deregistered)
            .await
    }

    /// Removes an instance on an operator's behalf: only if it holds `lease`, where one is given. Its client may register it again; the operator's layer waits for that
    /// like that of an instance that was lost.
    ///
    /// # Errors
    /// If there is no such instance.
    pub async fn evict(
        &self,
        service: ServiceKey,
        endpoint: Endpoint,
        lease: Option<Lease>,
    ) -> Result<Written, WriteError> {
        self.remove(service, endpoint, lease, &[], Reason::Operator).await
    }

    async fn remove(
        &self,
        service: ServiceKey,
        endpoint: Endpoint,
        lease: Option<Lease>,
        only: &'static [LivenessKind],
        reason: Reason,
    ) -> Result<Written, WriteError> {
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
            ahead: false,
        })
        .await
    }

    /// The same, also for an instance that is not there: then the layer is kept like that of one that has gone, and
    /// lies over its next registration.
    ///
    /// # Errors
    /// If there is no such service, or the result breaks a rule.
    pub async fn operate_ahead(
        &self,
        service: ServiceKey,
        endpoint: Endpoint,
        patch: OperatorPatch,
    ) -> Result<Written, WriteError> {
        self.write(Command::Operate {
            service,
            endpoint,
            patch: Box::new(patch),
            ahead: true,
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

    /// A name for a connection by which instances are to live.
    #[must_use]
    pub fn new_session(&self) -> SessionId {
        self.inner.random.session()
    }

    /// Makes what a connection has in a service exactly `instances`, at once: what it had besides goes. Each of them lives
    /// by that connection; of those with one address the last counts. With none all that it has there goes.
    ///
    /// # Errors
    /// If a limit is reached, the service is for persistent instances or has some, or the registry cannot take writes.
    /// Then none of it is done.
    pub async fn publish(
        &self,
        service: ServiceKey,
        session: SessionId,
        instances: Vec<(Endpoint, Registration, Health)>,
    ) -> Result<Written, WriteError> {
        let instances = instances
            .into_iter()
            .map(|(endpoint, registration, health)| Publication {
                endpoint,
                registration: Box::new(registration),
                health,
                lease: self.inner.random.lease(),
            });
        self.write(Command::Publish {
            service,
            session,
            instances: instances.collect(),
        })
        .await
    }

    /// A connection has ended, and will be closed later: its instances stay until then, unless another connection takes them
    /// over. To be called when nothing of it is under way any more.
    pub fn leave_session(&self, session: SessionId) {
        self.inner.catalog.lock().session_leaves(session);
    }

    /// Removes all instances of a connection that has closed.
    ///
    /// # Errors
    /// If the registry cannot take writes.
    pub async fn close_session(&self, session: SessionId) -> Result<Written, WriteError> {
        self.write(Command::CloseSession { session }).await
    }

    /// Makes a service, or changes what is said about it.
    ///
    /// # Errors
    /// If the service is there and `must` not be, or the other way round; if it has instances of another lifetime than
    /// the patch binds it to; if the result breaks a rule or a limit.
    pub async fn declare_service(
        &self,
        service: ServiceKey,
        patch: ServicePatch,
        must: Existence,
    ) -> Result<Written, WriteError> {
        self.write(Command::DeclareService {
            service,
            patch: Box::new(patch),
            must,
        })
        .await
    }

    /// Removes a service without instances, with all that was said about it and all operator's layers.
    ///
    /// # Errors
    /// If there is no such service, or it has instances.
    pub async fn remove_service(&self, service: ServiceKey) -> Result<Written, WriteError> {
        self.write(Command::RemoveService { service }).await
    }

    /// Declares a namespace, or changes what is said about it. It need not be declared to be used.
    ///
    /// # Errors
    /// If it is declared and `must` not be, or the other way round; if `info` breaks a rule, or a limit is reached.
    pub async fn declare_namespace(
        &self,
        namespace: Namespace,
        info: NamespaceInfo,
        must: Existence,
    ) -> Result<Written, WriteError> {
        self.write(Command::DeclareNamespace {
            namespace,
            info,
            must,
        })
        .await
    }

    /// Takes a namespace's declaration back. Its services stay.
    ///
    /// # Errors
    /// If it is not declared.
    pub async fn remove_namespace(&self, namespace: Namespace) -> Result<Written, WriteError> {
        self.write(Command::RemoveNamespace { namespace }).await
    }

    /// Sets or ends a setting of the whole registry.
    ///
    /// # Errors
    /// If the value breaks a rule, or there are too many settings.
    pub async fn set(&self, name: SettingName, value: Option<Arc<str>>) -> Result<Written, WriteError> {
        self.write(Command::Set { name, value }).await
    }

    pub(super) async fn write(&self, command: Command) -> Result<Written, WriteError> {
        Ok(self.propose(command).await?.0)
    }

    async fn propose(&self, command: Command) -> Result<(Written, Option<Standing>), WriteError> {
        let answer = self.enqueue(command).await?;
        answer.await.unwrap_or(Err(WriteError::Stopping))
    }

    /// Hands a command to the owner, behind all that were handed over before. It is decided in that place, whenever its
    /// answer is asked for.
    pub(super) async fn enqueue(&self, command: Command) -> Result<oneshot::Receiver<Answer>, WriteError> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Write {
            command: Box::new(command),
            by: self.origin,
            reply,
        };
        self.inner
            .owner
            .send(request)
            .await
            .map_err(|_| WriteError::Stopping)?;
        Ok(answer)
    }
}
