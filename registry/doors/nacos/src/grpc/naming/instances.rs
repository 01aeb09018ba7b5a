//! Instances: registered and deregistered, one by one or all that a connection has in a service.

use beatrix_core::model::{Endpoint, Health, LivenessKind, Marks, Registration, ServiceKey, Weight};
use serde::Serialize;

use crate::grpc::answer::{Failure, codes, success};
use crate::grpc::connection::Connection;
use crate::grpc::kind::Kind;
use crate::grpc::message::Outgoing;
use crate::grpc::subject::Names;
use crate::grpc::wire::{BatchRequest, InstanceJson, InstanceRequest, Object, text};
use crate::hosts::simple_id;
use crate::instance::{self, Instance, Lives, Registering};
use crate::limits::BATCH_ENTRIES_MAX;
use crate::metadata;
use crate::operations;
use crate::params::Param;
use crate::service::grouped_name;
use crate::wire::Scalar;

const REGISTER: &str = "registerInstance";
const DEREGISTER: &str = "deregisterInstance";
const BATCH_REGISTER: &str = "batchRegisterInstance";

/// What was done. Nacos: the operation is echoed.
#[derive(Debug, Serialize)]
struct Done {
    r#type: &'static str,
}

/// What an instance request wants.
enum Wish<'a> {
    Register(InstanceJson<'a>),
    /// Nacos 2.x: only a persistent instance is found by what is said here.
    Deregister(Option<InstanceJson<'a>>),
}

fn wish<'a>(operation: Option<Scalar<'_>>, instance: Option<InstanceJson<'a>>) -> Result<Wish<'a>, Failure> {
    match &*text(operation) {
        REGISTER => Ok(Wish::Register(instance.ok_or_else(no_instance)?)),
        DEREGISTER => Ok(Wish::Deregister(instance)),
        other => Err(unsupported(other)),
    }
}

fn no_instance() -> Failure {
    Failure::new(codes::INVALID, "Instance can not be null.")
}

fn unsupported(operation: &str) -> Failure {
    let shown: String = operation.chars().take(64).collect();
    Failure::new(codes::INVALID, format!("Unsupported request type {shown}"))
}

/// An ephemeral instance, which lives as long as its connection. Nacos 2.x: `ephemeral` does not matter here; and what is
/// deregistered is all that the connection has in the service, whatever address is named.
pub(in crate::grpc) async fn held(
    connection: &Connection,
    request: InstanceRequest<'_>,
) -> Result<Outgoing, Failure> {
    let service = Names::of(request.namespace, request.group_name, request.service_name).key()?;
    let mut awaited = None;
    let (instances, done) = match wish(request.r#type, request.instance.map(|Object(instance)| instance))? {
        Wish::Register(instance) => {
            let lives = Lives::Held(connection.session);
            let registering = read(connection, service.clone(), instance, lives)?;
            (vec![one(registering)], REGISTER)
        }
        Wish::Deregister(instance) => {
            awaited = instance.and_then(|instance| endpoint(&instance).ok());
            (Vec::new(), DEREGISTER)
        }
    };
    connection.publish(service.clone(), instances).await?;
    if let Some(endpoint) = awaited {
        end_wait(connection, service, endpoint).await?;
    }
    Ok(success(Kind::Instance, Done { r#type: done }))
}

/// After a restart the registry waits for who lived by a connection. A client that has come back and says goodbye before
/// it has said what it has is not waited for any more: so here the address does matter.
async fn end_wait(connection: &Connection, service: ServiceKey, endpoint: Endpoint) -> Result<(), Failure> {
    let nacos = &connection.nacos;
    let view = nacos.registry.view(service.borrowed());
    let awaited = view
        .as_ref()
        .and_then(|view| view.get(&endpoint))
        .is_some_and(|member| {
            let kind = member.record.registration.liveness.kind();
            kind == LivenessKind::Session && member.state.marks.has(Marks::UNCONFIRMED)
        });
    if awaited {
        operations::instances::deregister(nacos, service, endpoint, true).await?;
    }
    Ok(())
}

/// All the ephemeral instances that a connection has in a service. Nacos 2.x: they take the place of those before; there
/// may be none.
pub(in crate::grpc) async fn batch(
    connection: &Connection,
    request: BatchRequest<'_>,
) -> Result<Outgoing, Failure> {
    let service = Names::of(request.namespace, request.group_name, request.service_name).key()?;
    match &*text(request.r#type) {
        BATCH_REGISTER => {}
        other => return Err(unsupported(other)),
    }
    let named = request.instances.unwrap_or_default();
    if named.len() > BATCH_ENTRIES_MAX {
        let message = format!(
            "instances must be at most {BATCH_ENTRIES_MAX}, but are {}",
            named.len()
        );
        return Err(Failure::new(codes::INVALID, message));
    }
    let lives = Lives::Held(connection.session);
    let read = |Object(instance)| read(connection, service.clone(), instance, lives).map(one);
    let instances: Result<Vec<_>, Failure> = named.into_iter().map(read).collect();
    connection.publish(service.clone(), instances?).await?;
    Ok(success(
        Kind::BatchInstance,
        Done {
            r#type: BATCH_REGISTER,
        },
    ))
}

/// A persistent instance, which is nobody's and stays until it is deregistered by its address.
pub(in crate::grpc) async fn persistent(
    connection: &Connection,
    request: InstanceRequest<'_>,
) -> Result<Outgoing, Failure> {
    let service = Names::of(request.namespace, request.group_name, request.service_name).key()?;
    let nacos = &connection.nacos;
    let done = match wish(request.r#type, request.instance.map(|Object(instance)| instance))? {
        Wish::Register(instance) => {
            let Registering {
                service,
                endpoint,
                registration,
                health,
                ..
            } = read(connection, service, instance, Lives::Checked)?;
            nacos
                .registry
                .register_uniform(service, endpoint, registration, health)
                .await?;
            REGISTER
        }
        Wish::Deregister(instance) => {
            let endpoint = endpoint(&instance.ok_or_else(no_instance)?)?;
            operations::instances::deregister(nacos, service, endpoint, false).await?;
            DEREGISTER
        }
    };
    Ok(success(Kind::PersistentInstance, Done { r#type: done }))
}

fn one(registering: Registering) -> (Endpoint, Registration, Health) {
    let Registering {
        endpoint,
        registration,
        health,
        ..
    } = registering;
    (endpoint, registration, health)
}

fn endpoint(instance: &InstanceJson<'_>) -> Result<Endpoint, Failure> {
    let of = |scalar: &Option<Scalar<'_>>, param: Param| match scalar {
        Some(Scalar(text)) => Ok(text.clone().into_owned()),
        None => Err(crate::error::Error::Missing(param)),
    };
    let (ip, port) = (of(&instance.ip, Param::Ip)?, of(&instance.port, Param::Port)?);
    Ok(instance::endpoint(&ip, &port)?)
}

/// What a client says about an instance, in the domain's types.
fn read(
    connection: &Connection,
    service: ServiceKey,
    json: InstanceJson<'_>,
    lives: Lives,
) -> Result<Registering, Failure> {
    let endpoint = endpoint(&json)?;
    let cluster = text(json.cluster_name);
    let cluster = match cluster.trim() {
        "" => beatrix_core::model::Cluster::DEFAULT,
        cluster => cluster,
    };
    // Who registers what it was told says the id that was made for it: that is none of its own.
    let own_id = text(json.instance_id);
    let made = || simple_id(&endpoint, cluster, &grouped_name(service.borrowed()));
    let own_id = Some(own_id).filter(|id| !id.is_empty() && **id != made());
    let metadata = json
        .metadata
        .map(|raw| metadata::parse_json(raw.get()))
        .transpose()?;
    let instance = Instance {
        service,
        endpoint,
        cluster: cluster.parse()?,
        weight: json
            .weight
            .map(Weight::new)
            .transpose()?
            .unwrap_or(Weight::DEFAULT),
        enabled: json.enabled.unwrap_or(true),
        healthy: json.healthy.unwrap_or(true),
        ephemeral: matches!(lives, Lives::Held(_)),
        metadata: metadata.unwrap_or_default(),
        own_id: own_id.map(|id| id.parse()).transpose()?,
    };
    let defaults = connection.nacos.registry.config().timings;
    Ok(instance.registration_of(lives, defaults)?)
}
