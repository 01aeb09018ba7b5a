//! Lists of the instances of a service: asked for once, and subscribed to.

use beatrix_core::model::{ServiceKey, ServiceRef, Wall};
use beatrix_engine::hub::{Parting, Peer, Subscribe};
use beatrix_nacos_wire::Payload;
use bytes::Bytes;
use serde_json::value::RawValue;

use crate::grpc::answer::{Failure, codes, listed};
use crate::grpc::connection::{Client, Connection};
use crate::grpc::hearing::{named, short};
use crate::grpc::kind::Kind;
use crate::grpc::message::Outgoing;
use crate::grpc::outbox::WatchError;
use crate::grpc::subject::Names;
use crate::grpc::wire::{QueryRequest, SubscribeRequest, text};
use crate::limits::GRPC_CLUSTERS_BYTES_MAX;
use crate::listing::{self, Filter, Found, Frame};
use crate::params::Param;

/// The header in which a client names its application.
const APP: &str = "app";

/// A request for a list that failed.
#[derive(Debug)]
pub(in crate::grpc) struct Failed {
    failure: Failure,
    /// An empty list: Rust's client cannot read an answer without one.
    list: Box<RawValue>,
}

/// The list that an answer of failure has.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Empty {
    service_info: Box<RawValue>,
}

impl Failed {
    pub(in crate::grpc) fn answer(self, kind: Kind) -> Outgoing {
        let empty = Empty {
            service_info: self.list,
        };
        self.failure.typed(kind, empty)
    }
}

/// A list as it is asked for.
struct Asked<'a> {
    service: ServiceKey,
    filter: Filter<'a>,
}

impl Asked<'_> {
    /// Reads the names, and checks those of the clusters.
    fn of<'a>(names: &Names<'_>, filter: Filter<'a>) -> Result<Asked<'a>, Failure> {
        let service = names.key()?;
        filter.check(Param::Clusters)?;
        Ok(Asked { service, filter })
    }
}

/// The list of a service as it is now. Nacos 2.x: that of one that does not exist is empty.
pub(in crate::grpc) fn query(connection: &Connection, request: QueryRequest<'_>) -> Result<Outgoing, Failed> {
    let clusters = text(request.cluster);
    let filter = Filter {
        clusters: &clusters,
        healthy_only: request.healthy_only.unwrap_or(false),
    };
    let names = Names::of(request.namespace, request.group_name, request.service_name);
    let answer = || -> Result<Outgoing, Failure> {
        let asked = Asked::of(&names, filter)?;
        list(connection, Kind::Query, &asked)
    };
    answer().map_err(|failure| failed(connection, &names, &clusters, failure))
}

/// Subscribes, or ends a subscription. Nacos 2.x: the list is in the answer in any case.
///
/// While not all instances may be known the subscription stands, though the answer is one of failure: the list follows
/// by a push.
pub(in crate::grpc) fn subscribe(
    connection: &Connection,
    payload: &Payload,
    request: SubscribeRequest<'_>,
) -> Result<Outgoing, Failed> {
    let clusters = text(request.clusters);
    let filter = Filter {
        clusters: &clusters,
        healthy_only: false,
    };
    let names = Names::of(request.namespace, request.group_name, request.service_name);
    let answer = || -> Result<Outgoing, Failure> {
        let asked = Asked::of(&names, filter)?;
        if asked.filter.clusters.len() > GRPC_CLUSTERS_BYTES_MAX {
            let message = format!("clusters must have at most {GRPC_CLUSTERS_BYTES_MAX} bytes");
            return Err(Failure::new(codes::INVALID, message));
        }
        if request.subscribe.unwrap_or(false) {
            watch(connection, payload, &asked)?;
        } else {
            connection.outbox.unwatch(&asked.service);
        }
        list(connection, Kind::Subscribe, &asked)
    };
    answer().map_err(|failure| failed(connection, &names, &clusters, failure))
}

fn watch(connection: &Connection, payload: &Payload, asked: &Asked<'_>) -> Result<(), Failure> {
    let client = connection.client().ok_or_else(Failure::disconnected)?;
    let Client { app, version } = client;
    let app = match (named(app), header(payload, APP).and_then(named)) {
        (Some(app), _) => app.to_owned(),
        (None, Some(app)) => short(app),
        (None, None) => app.clone(),
    };
    let ip = connection.peer.ip();
    // For people, who read in a drain who has not acknowledged; and by it one whose connection broke is known again.
    let name = match (named(&app), version.as_str()) {
        (Some(app), _) => format!("{app} at {ip}"),
        (None, "") => format!("a Nacos client at {ip}"),
        (None, version) => format!("{version} at {ip}"),
    };
    let peer = Peer {
        address: connection.peer.to_string(),
        agent: version.clone(),
        app,
        cluster: asked.filter.clusters.to_owned(),
    };
    let wish = Subscribe {
        name,
        acks: true,
        parting: Parting::Broken,
        ..Subscribe::default()
    };
    let hub = connection.nacos.registry.hub();
    let watched = connection.outbox.watch(hub, asked.service.clone(), peer, wish);
    watched.map_err(|error| match error {
        WatchError::Ended => Failure::disconnected(),
        WatchError::TooMany | WatchError::Hub(_) => Failure::new(codes::OVER_THRESHOLD, error.to_string()),
    })
}

/// A header by its name. Nacos: without regard to case.
fn header<'a>(payload: &'a Payload, name: &str) -> Option<&'a str> {
    let headers = &payload.metadata.as_ref()?.headers;
    let found = headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.as_str())
}

fn list(connection: &Connection, kind: Kind, asked: &Asked<'_>) -> Result<Outgoing, Failure> {
    let (registry, service) = (&connection.nacos.registry, asked.service.borrowed());
    let read = || registry.view(service);
    let (view, time) = connection.ref_times.reading(service, registry.wall(), read);
    let found = listing::hosts_in(registry, view.as_deref(), asked.filter)?;
    Ok(listed(
        kind,
        connection.told(service, asked.filter.clusters, found, time),
    ))
}

impl Connection {
    /// A list with what is told around it.
    pub(in crate::grpc) fn told(
        &self,
        service: ServiceRef<'_>,
        clusters: &str,
        found: Found,
        time: Wall,
    ) -> Vec<Bytes> {
        let frame = Frame::Grpc {
            cache_millis: listing::cache_millis(&self.nacos),
        };
        listing::around(service, frame, clusters, found, time)
    }
}

/// What is answered with an empty list, since none can be made. What the request says is echoed, shortened.
fn failed(connection: &Connection, names: &Names<'_>, clusters: &str, failure: Failure) -> Failed {
    let (group, name) = names.as_said();
    let (group, name) = (short(group), short(name));
    let service = ServiceRef {
        namespace: "",
        group: &group,
        name: &name,
    };
    // Not told as a list: no time is used up by it.
    let now = connection.nacos.registry.wall();
    let list = connection.told(service, &short(clusters), Found::default(), now);
    let list = String::from_utf8(list.concat()).ok();
    let list = list.and_then(|list| RawValue::from_string(list).ok());
    Failed {
        failure,
        list: list.unwrap_or_else(|| RawValue::NULL.to_owned()),
    }
}
