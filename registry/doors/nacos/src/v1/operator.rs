//! `/nacos/v1/ns/operator`, or `ops`: the server as a whole.

use axum::http::StatusCode;
use axum::response::Response;

use crate::door::Nacos;
use crate::members;
use crate::operations::server;
use crate::params::{Incoming, Param, Params};
use crate::pushed::Pushed;
use crate::reply;
use crate::switches::SwitchesJson;
use crate::wire::{PushStateJson, ResponsibleJson, ServerJson, ServersJson};

use super::admitted::Admitted;
use super::error::TextError;

/// `GET …/metrics`. The C++ client looks for the text `status":"UP`, so it is compact and comes first.
pub(super) async fn metrics(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let params = Params::find(request.uri().query(), b"");
    let metrics = server::metrics(&nacos, &params, true)?;
    Ok(reply::json_of(StatusCode::OK, &metrics))
}

/// `GET …/switches`.
pub(super) async fn switches(nacos: Nacos, _: Admitted) -> Response {
    let switches = nacos.switches();
    let json = SwitchesJson::new(&switches, nacos.registry.config().timings);
    reply::json_of(StatusCode::OK, &json)
}

/// `PUT …/switches`.
pub(super) async fn set_switch(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    server::set_switch(&nacos, &incoming.params()).await?;
    Ok(reply::ok())
}

/// `…/push/state`, with any method: how many pushes were sent and acknowledged since the count was `reset`.
pub(super) async fn push_state(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    let reset = incoming.params().is_true(Param::Reset, false)?;
    let by_datagram = nacos.pusher.as_ref().map(|pusher| pusher.pushed(reset));
    let over_grpc = nacos.grpc.as_ref().map(|grpc| grpc.pushed(reset));
    let (mut sent, mut acknowledged) = (0, 0);
    for pushed in [by_datagram, over_grpc].into_iter().flatten() {
        let Pushed {
            sent: more,
            acknowledged: of_them,
        } = pushed;
        sent += more;
        acknowledged += of_them;
    }
    let json = PushStateJson::new(sent, acknowledged, reset);
    Ok(reply::json_of(StatusCode::OK, &json))
}

/// `GET …/distro/client`: which server judges an instance. There is one.
pub(super) async fn responsible(Admitted(request): Admitted) -> Response {
    let json = ResponsibleJson {
        responsible_server: members::address(&request).to_string(),
    };
    reply::json_of(StatusCode::OK, &json)
}

/// `GET …/servers`. Nacos ≤ 2.1; the C++ client asks for it.
pub(super) async fn servers(nacos: Nacos, Admitted(request): Admitted) -> Response {
    let member = members::member(&nacos, &request);
    let servers = [ServerJson::new(member, nacos.registry.wall().0)];
    reply::json_of(StatusCode::OK, &ServersJson { servers })
}

/// `PUT …/log`. Log levels are not set over HTTP; Nacos takes any name of a log without a word, and so does this.
pub(super) async fn log(Admitted(request): Admitted) -> Result<Response, TextError> {
    let incoming = Incoming::read(request).await?;
    let params = incoming.params();
    params.require(Param::LogName)?;
    params.require(Param::LogLevel)?;
    Ok(reply::ok())
}
