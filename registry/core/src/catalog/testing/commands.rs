//! Shorter words for what tests ask of a catalog.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use super::{World, address, beat, endpoint, key};
use crate::catalog::{
    Command, Explained, FailureReport, Gone, ProbeDone, ProbeTask, Publication, Refusal, ReportOutcome, There,
};
use crate::liveness::{Consumer, Finding, ProbeResult};
use crate::model::{
    Declared, Endpoint, Existence, Health, Lease, Liveness, OperatorPatch, Reason, Registration,
    ServicePatch, SessionId, Wall,
};

impl World {
    pub(crate) fn try_register(
        &mut self,
        service: &str,
        address: &str,
        registration: Registration,
        health: Health,
    ) -> Result<usize, Refusal> {
        let lease = self.fresh_lease();
        self.run(Command::Register {
            service: key(service),
            endpoint: endpoint(address),
            registration: Box::new(registration),
            health,
            lease,
            uniform: false,
        })
    }

    pub(crate) fn register(&mut self, service: &str, address: &str, registration: Registration) -> Lease {
        self.try_register(service, address, registration, Health::Healthy)
            .unwrap();
        self.lease(service, address).unwrap()
    }

    /// Registers so many instances that beat, at 10.0.0.0:80, 10.0.0.1:80 and so on.
    pub(crate) fn register_many(&mut self, service: &str, count: usize) -> Vec<Lease> {
        (0..count)
            .map(|number| self.register(service, &address(number), beat()))
            .collect()
    }

    pub(crate) fn lease(&self, service: &str, address: &str) -> Option<Lease> {
        Some(
            self.catalog
                .standing(key(service).borrowed(), &endpoint(address))?
                .lease,
        )
    }

    pub(crate) fn deregister(&mut self, service: &str, address: &str) -> Result<usize, Refusal> {
        self.run(Command::Deregister {
            service: key(service),
            endpoint: endpoint(address),
            lease: None,
            only: &[],
            reason: Reason::Deregistered,
        })
    }

    pub(crate) fn operate(
        &mut self,
        service: &str,
        address: &str,
        patch: OperatorPatch,
    ) -> Result<usize, Refusal> {
        let (service, endpoint) = (key(service), endpoint(address));
        self.run(Command::Operate {
            service,
            endpoint,
            patch: Box::new(patch),
            ahead: false,
        })
    }

    pub(crate) fn operate_ahead(
        &mut self,
        service: &str,
        address: &str,
        patch: OperatorPatch,
    ) -> Result<usize, Refusal> {
        self.run(Command::Operate {
            service: key(service),
            endpoint: endpoint(address),
            patch: Box::new(patch),
            ahead: true,
        })
    }

    pub(crate) fn register_uniform(
        &mut self,
        service: &str,
        address: &str,
        registration: Registration,
    ) -> Result<usize, Refusal> {
        let lease = self.fresh_lease();
        self.run(Command::Register {
            service: key(service),
            endpoint: endpoint(address),
            registration: Box::new(registration),
            health: Health::Healthy,
            lease,
            uniform: true,
        })
    }

    /// A connection says all that it has in a service.
    pub(crate) fn publish_as(
        &mut self,
        service: &str,
        session: u64,
        instances: &[(&str, Registration)],
    ) -> Result<usize, Refusal> {
        let session = SessionId(session);
        let instances = instances.iter().map(|(address, registration)| Publication {
            endpoint: endpoint(address),
            registration: Box::new(Registration {
                liveness: Liveness::Session(session),
                ..registration.clone()
            }),
            health: Health::Healthy,
            lease: self.fresh_lease(),
        });
        let instances = instances.collect();
        self.run(Command::Publish {
            service: key(service),
            session,
            instances,
        })
    }

    /// The same, with nothing else said of them.
    pub(crate) fn publish(
        &mut self,
        service: &str,
        session: u64,
        addresses: &[&str],
    ) -> Result<usize, Refusal> {
        let plain = addresses.iter().map(|address| (*address, beat()));
        self.publish_as(service, session, &plain.collect::<Vec<_>>())
    }

    /// A connection closes. Returns how many mutations that came to.
    pub(crate) fn close(&mut self, session: u64) -> usize {
        let session = SessionId(session);
        self.run(Command::CloseSession { session }).unwrap()
    }

    pub(crate) fn declare_service(&mut self, service: &str, patch: ServicePatch) -> Result<usize, Refusal> {
        self.run(Command::DeclareService {
            service: key(service),
            patch: Box::new(patch),
            must: Existence::Any,
        })
    }

    pub(crate) fn remove_service(&mut self, service: &str) -> Result<usize, Refusal> {
        self.run(Command::RemoveService {
            service: key(service),
        })
    }

    pub(crate) fn set(&mut self, name: &str, value: Option<&str>) -> Result<usize, Refusal> {
        self.run(Command::Set {
            name: name.parse().unwrap(),
            value: value.map(Into::into),
        })
    }

    pub(crate) fn clear(&mut self, service: &str, address: &str) -> Result<usize, Refusal> {
        self.run(Command::ClearOperator {
            service: key(service),
            endpoint: endpoint(address),
        })
    }

    /// Says something about itself, in a beat, as the engine does it.
    pub(crate) fn declare(
        &mut self,
        lease: Lease,
        declared: Option<Arc<Declared>>,
    ) -> Result<usize, Refusal> {
        self.catalog.beats().renew(&[lease], self.now, |_, _| {});
        self.run(Command::Declare { lease, declared })
    }

    /// A probe of this instance, now. Returns how many mutations it came to.
    pub(crate) fn probed(&mut self, service: &str, address: &str, good: bool) -> usize {
        self.found(service, address, if good { Finding::Good } else { Finding::Bad })
    }

    /// The same with a certain finding.
    pub(crate) fn found(&mut self, service: &str, address: &str, finding: Finding) -> usize {
        let before = self.history.len();
        let (service, endpoint) = (key(service), endpoint(address));
        let slot = self
            .catalog
            .find(&service, &endpoint)
            .map(|(_, member)| member.slot);
        self.catalog.probe_now(&service, &endpoint, self.now);
        // Another service may have an instance at the same address, and it be due as well.
        self.answer(|task| (Ok(task.ticket.slot) == slot).then_some(finding));
        self.history.len() - before
    }

    /// Has these probed now, and hands over what `found` says of everybody who is due; nothing came of the others.
    pub(crate) fn results(&mut self, found: impl Fn(&Endpoint) -> Option<Finding>, ordered: &[(&str, &str)]) {
        for (service, address) in ordered {
            self.catalog
                .probe_now(&key(service), &endpoint(address), self.now);
        }
        self.answer(|task| found(&task.endpoint));
    }

    fn answer(&mut self, found: impl Fn(&ProbeTask) -> Option<Finding>) {
        let tasks = self.catalog.probes_due(self.now, Duration::ZERO, usize::MAX);
        let done = tasks.into_iter().map(|task| ProbeDone {
            ticket: task.ticket,
            result: found(&task).map(result),
        });
        let done: Vec<_> = done.collect();
        let wall = Wall(self.now.0 / 1_000);
        if self.catalog.probed(done, self.now, wall, Duration::ZERO) {
            self.turn();
        }
    }
}

/// A result that says this.
pub(crate) fn result(finding: Finding) -> ProbeResult {
    ProbeResult {
        finding,
        word: "test",
        text: "as the test says".into(),
        took: Duration::from_millis(1),
    }
}

impl World {
    /// Somebody on host `host` says that it cannot reach an instance; then what is due by it is done.
    pub(crate) fn report(&mut self, service: &str, address: &str, host: u8) -> ReportOutcome {
        let by = Consumer {
            id: "consumer".into(),
            address: IpAddr::V4(Ipv4Addr::new(192, 168, 0, host)),
        };
        let (key, endpoint) = (key(service), endpoint(address));
        let report = FailureReport {
            service: key.borrowed(),
            endpoint: &endpoint,
            failures: 1,
            within: Duration::ZERO,
            error: "connect: refused",
            consumers: 0,
        };
        let outcome = self.catalog.report(&by, report, self.now);
        if self.catalog.next_deadline().is_some_and(|next| next <= self.now) {
            self.turn();
        }
        outcome
    }

    /// As many say so as are needed.
    pub(crate) fn report_enough(&mut self, service: &str, address: &str) {
        for host in 1..=3 {
            self.report(service, address, host);
        }
    }

    pub(crate) fn end_reports(&mut self, service: &str, address: &str) -> Result<usize, Refusal> {
        self.run(Command::EndReports {
            service: key(service),
            endpoint: endpoint(address),
        })
    }

    /// Why an instance that is there is as it is.
    pub(crate) fn explain(&self, service: &str, address: &str) -> There {
        match self.explained(service, address) {
            Some(Explained::There(there)) => *there,
            other => panic!("{other:?}"),
        }
    }

    /// What is remembered of one that is gone.
    pub(crate) fn explain_gone(&self, service: &str, address: &str) -> Gone {
        match self.explained(service, address) {
            Some(Explained::Gone(gone)) => *gone,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn explained(&self, service: &str, address: &str) -> Option<Explained> {
        let explanation = self
            .catalog
            .explain(key(service).borrowed(), &endpoint(address), self.now);
        explanation.map(|explanation| explanation.explained)
    }
}
