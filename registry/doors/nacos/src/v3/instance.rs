//! `/nacos/v3/admin/ns/instance`.

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{get, put};

use crate::door::Nacos;
use crate::hosts::{Hosts, Shown};
use crate::instance::{Instance, Named, patch_of};
use crate::listing::{Filter, HostList};
use crate::operations::instances::{self, Patch};
use crate::params::{Incoming, Param, Params};
use crate::result::{self, ResultError};
use crate::v2;

use super::client::deregister;

/// The paths.
pub(super) fn routes() -> Router<Nacos> {
    let instance = get(one)
        .post(v2::instance::register)
        .put(v2::instance::update)
        .delete(deregister);
    let batch = put(v2::instance::put_metadata).delete(v2::instance::delete_metadata);
    Router::new()
        .route("/nacos/v3/admin/ns/instance", instance)
        .route("/nacos/v3/admin/ns/instance/partial", put(partial))
        .route("/nacos/v3/admin/ns/instance/list", get(list))
        .route("/nacos/v3/admin/ns/instance/metadata/batch", batch)
}

/// `PUT …/partial`. Nacos 3.x: the form fills in what is not there, so that without a weight it is 1, and without
/// `enabled` it is true.
async fn partial(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let incoming = Incoming::read(request).await?;
    let params = incoming.typed();
    let metadata = patch_of(&params)?.metadata;
    let Instance {
        service,
        endpoint,
        weight,
        enabled,
        ..
    } = Instance::of(&nacos, &params)?;
    let patch = Patch {
        weight: Some(weight),
        enabled: Some(enabled),
        metadata,
    };
    instances::patch(&nacos, service, endpoint, patch).await?;
    Ok(result::ok())
}

/// `GET`: one instance, as lists show it.
async fn one(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let found = instances::find(&nacos, Named::of(&params)?)?;
    let hosts = Hosts::new(&found.view.key, nacos.registry.config().timings);
    let host = hosts.these([found.member()].into_iter(), Shown::Measured);
    Ok(result::success_of([host]))
}

/// `GET …/list`: all instances of one cluster, also those that callers may not use, with the health that was measured.
async fn list(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let (view, cluster) = instances::of_cluster(&nacos, &params)?;
    let wanted = Filter {
        clusters: cluster.as_str(),
        healthy_only: params.is_true(Param::HealthyOnly, false)?,
    }
    .wanted();
    let hosts = Hosts::new(&view.key, nacos.registry.config().timings);
    let members = view.members().filter(|member| wanted.passes(member));
    let hosts = vec![hosts.these(members, Shown::Measured)];
    Ok(result::hosts(HostList::Open(hosts)))
}
