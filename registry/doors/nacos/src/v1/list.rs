//! `GET /nacos/v1/ns/instance/list`: the instances that callers may use. Who names a port is pushed to.

use axum::response::Response;

use crate::door::Nacos;
use crate::frames;
use crate::listing::{self, Filter};
use crate::params::{Param, Params};
use crate::reply;
use crate::service::Service;
use crate::udp::Wish;

use super::admitted::Admitted;
use super::error::TextError;

pub(super) async fn list(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let params = Params::find(request.uri().query(), b"");
    let service = Service::of(&params)?;
    let clusters = params.get(Param::Clusters)?.unwrap_or_default();
    let filter = Filter {
        clusters: &clusters,
        healthy_only: params.is_true(Param::HealthyOnly, false)?,
    };
    filter.check(Param::Clusters)?;
    let wish = Wish::of(&params, Param::UdpPort, Param::ClientIp)?;
    let found = listing::hosts(&nacos, &service, filter)?;
    let pieces = listing::whole(&nacos, service.borrowed(), &clusters, found);
    if let Some(wish) = wish {
        wish.subscribe(&nacos, request.headers(), service.borrowed(), &clusters);
    }
    Ok(reply::json(frames::body(pieces)))
}
