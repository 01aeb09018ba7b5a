//! Clients, as Nacos 2.x means them: whoever holds an address registers under it. There is no such thing in the registry;
//! here it is read from the instances and subscribers that are there, by walking over all services. So it is for
//! operators, not for every minute.

use std::collections::BTreeSet;
use std::sync::Arc;

use beatrix_core::catalog::{DirectoryQuery, DirectoryWalk, View};
use beatrix_core::model::{Cluster, Endpoint, Member, ServiceKey};

use crate::door::Nacos;
use crate::error::Error;
use crate::hosts::is_ephemeral;
use crate::limits::CLIENTS_MAX;

use super::subscribers::{self, Watching};

/// How many services are looked at before other requests get a turn.
const STEP: usize = 256;

/// `ip:port#true` of one that is ephemeral, `ip:port#false` of one that is not.
pub(crate) fn id(member: &Member) -> String {
    let ephemeral = is_ephemeral(&member.record.registration.liveness);
    let (ip, port) = (member.endpoint.address(), member.endpoint.port());
    format!("{ip}:{port}#{ephemeral}")
}

/// The ids of the clients, the first [`CLIENTS_MAX`] that are found, ordered by text.
pub(crate) async fn all(nacos: &Nacos) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    each_service(nacos, |view| {
        for member in view.members() {
            if ids.len() >= CLIENTS_MAX {
                return false;
            }
            ids.insert(id(member));
        }
        true
    })
    .await;
    let watching = subscribers::watching(nacos, |_| true);
    for watcher in watching.iter().filter(|watcher| !watcher.peer.address.is_empty()) {
        if ids.len() < CLIENTS_MAX {
            ids.insert(watcher.client_id());
        }
    }
    ids
}

/// What a client has registered, and what it watches.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    pub(crate) ip: String,
    pub(crate) port: u16,
    pub(crate) ephemeral: bool,
    pub(crate) published: Vec<(ServiceKey, Cluster)>,
    pub(crate) watched: Vec<Watching>,
}

/// Looks for a client.
///
/// # Errors
/// If nothing is registered under this address and kind, and nobody watches anything from there.
pub(crate) async fn find(nacos: &Nacos, client: &str) -> Result<Client, Error> {
    let unknown = || Error::NoClient(client.chars().take(200).collect());
    let (address, ephemeral) = client.rsplit_once('#').ok_or_else(unknown)?;
    let ephemeral: bool = ephemeral.parse().map_err(|_| unknown())?;
    let (ip, port) = address.rsplit_once(':').ok_or_else(unknown)?;
    let port = port.parse().map_err(|_| unknown())?;
    let endpoint = Endpoint::new(ip, port).map_err(|_| unknown())?;
    let mut published = Vec::new();
    each_service(nacos, |view| {
        let member = view.get(&endpoint).filter(|member| id(member) == client);
        published.extend(member.map(|member| (view.key.clone(), member.record.cluster().clone())));
        true
    })
    .await;
    let mut watched = subscribers::watching(nacos, |_| true);
    watched.retain(|watcher| watcher.client_id() == client);
    if published.is_empty() && watched.is_empty() {
        return Err(unknown());
    }
    Ok(Client {
        id: client.to_owned(),
        ip: ip.to_owned(),
        port,
        ephemeral,
        published,
        watched,
    })
}

/// Looks at the view of every service, in steps, until `look` has seen enough. It goes on where it was, so that nothing
/// is passed over while services come and go.
async fn each_service(nacos: &Nacos, mut look: impl FnMut(&View) -> bool) {
    let registry = &nacos.registry;
    for summary in registry.namespaces() {
        let mut walk = DirectoryWalk::new(DirectoryQuery {
            namespace: summary.namespace.as_str(),
            group: None,
            group_contains: None,
            search: None,
            empty: false,
            declared: false,
            offset: 0,
            limit: usize::MAX,
        });
        let mut more = true;
        while more {
            more = registry.directory_step(&mut walk);
            for step in walk.take_found().chunks(STEP) {
                for service in step {
                    let view: Option<Arc<View>> = registry.view(service.key.borrowed());
                    if view.is_some_and(|view| !look(&view)) {
                        return;
                    }
                }
                tokio::task::yield_now().await;
            }
        }
    }
}
