//! What must be durable before it is acknowledged.

use crate::model::{Lifetime, ServiceKey};

use super::Catalog;
use super::command::Command;
use super::importing::Part;

/// How a change is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Keep {
    /// Written behind, within 100 ms: what would be said again anyhow, by a client that beats or a probe that asks.
    #[default]
    Behind,
    /// Durable when it is acknowledged: nobody will say it again.
    Durable,
}

impl Catalog {
    /// How what `command` comes to is to be kept.
    ///
    /// What is said once and stays said is durable: persistent instances, what operators set, services, namespaces,
    /// settings. That includes the end of a persistent instance, also when an ephemeral one takes its place, or it would
    /// be there again after a crash.
    #[must_use]
    pub fn keep(&self, command: &Command) -> Keep {
        let durable = match command {
            Command::Register {
                service,
                endpoint,
                registration,
                ..
            } => {
                registration.liveness.kind().lifetime() == Lifetime::Persistent
                    || self.holds_persistent(service, |service| service.roster.get(endpoint))
            }
            Command::Publish {
                service, instances, ..
            } => instances.iter().any(|publication| {
                self.holds_persistent(service, |service| service.roster.get(&publication.endpoint))
            }),
            Command::Deregister {
                service, endpoint, ..
            }
            | Command::Measure {
                service, endpoint, ..
            } => self.holds_persistent(service, |service| service.roster.get(endpoint)),
            Command::Import { service, part, .. } => match &**part {
                Part::Layer(_) => true,
                Part::Instance(piece) => {
                    piece.registration.liveness.kind().lifetime() == Lifetime::Persistent
                        || self.holds_persistent(service, |service| service.roster.get(&piece.endpoint))
                }
            },
            Command::Operate { .. }
            | Command::ClearOperator { .. }
            | Command::DeclareService { .. }
            | Command::RemoveService { .. }
            | Command::DeclareNamespace { .. }
            | Command::RemoveNamespace { .. }
            | Command::Set { .. } => true,
            Command::Declare { .. }
            | Command::EndReports { .. }
            | Command::Returned { .. }
            | Command::CloseSession { .. } => false,
        };
        if durable { Keep::Durable } else { Keep::Behind }
    }

    fn holds_persistent<'a>(
        &'a self,
        service: &ServiceKey,
        find: impl FnOnce(&'a super::service::Service) -> Option<&'a crate::model::Member>,
    ) -> bool {
        let Some((_, service)) = self.service(service.borrowed()) else {
            return false;
        };
        // Most services have none: then nobody is searched for.
        service.persistent > 0
            && find(service).is_some_and(|member| {
                member.record.registration.liveness.kind().lifetime() == Lifetime::Persistent
            })
    }
}
