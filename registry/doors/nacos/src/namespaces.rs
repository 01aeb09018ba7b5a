//! Namespaces, for consoles. Nacos: the id of the default one is shown as `""` in v1 and v2, as `public` in v3.
//!
//! v1 answers `true` and `false`, unframed, and says no more of what was wrong.

use std::borrow::Cow;

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::routing::get;
use beatrix_core::model::Namespace;

use crate::door::Nacos;
use crate::error::Error;
use crate::operations::namespaces::{self, Declaration, Shown};
use crate::params::{Incoming, Param, Params};
use crate::result::ResultError;
use crate::wire::{NamespaceJson, RestResultJson};
use crate::{reply, result};

/// The paths of all versions.
pub(crate) fn routes() -> Router<Nacos> {
    let v1 = get(get_v1).post(create_v1).put(update_v1).delete(remove_v1);
    let mut routes = Router::new().route("/nacos/v1/console/namespaces", v1);
    for namespace in [
        "/nacos/v2/console/namespace",
        "/nacos/v3/admin/core/namespace",
        "/nacos/v3/console/core/namespace",
    ] {
        let one = get(one).post(create).put(update).delete(remove);
        routes = routes
            .route(namespace, one)
            .route(&format!("{namespace}/list"), get(list));
        if namespace.starts_with("/nacos/v3/") {
            routes = routes
                .route(&format!("{namespace}/check"), get(check))
                .route(&format!("{namespace}/exist"), get(exist));
        }
    }
    routes
}

fn all(nacos: &Nacos) -> Vec<NamespaceJson> {
    namespaces::all(nacos).into_iter().map(Into::into).collect()
}

/// `GET`. Nacos v1: one with `show=all`, whether there is one with `checkNamespaceIdExist=true`, or else all.
async fn get_v1(nacos: Nacos, request: Request) -> Response {
    let params = Params::find(request.uri().query(), b"");
    let answer = || -> Result<Response, Error> {
        if params.get(Param::Show)?.as_deref() == Some("all") {
            let shown = namespaces::one(&nacos, params.get(Param::Namespace)?.as_deref())?;
            return Ok(reply::json_of(StatusCode::OK, &NamespaceJson::from(shown)));
        }
        if params.is_true(Param::CheckNamespaceIdExist, false)? {
            let id = params.get(Param::CustomNamespaceId)?;
            let exists = id.is_some_and(|id| namespaces::is_declared(&nacos, &id));
            return Ok(reply::json_of(StatusCode::OK, &exists));
        }
        Ok(reply::json_of(StatusCode::OK, &RestResultJson::ok(all(&nacos))))
    };
    answer().unwrap_or_else(|error| reply::text(error.status(), error.to_string()))
}

async fn create_v1(nacos: Nacos, request: Request) -> Response {
    let create = async {
        let incoming = Incoming::read(request).await?;
        let params = incoming.params();
        namespaces::create(
            &nacos,
            declaration(&params, Param::CustomNamespaceId, Param::NamespaceName)?,
        )
        .await
    };
    done_v1(create.await)
}

/// `PUT`. Nacos v1: has other names for the same.
async fn update_v1(nacos: Nacos, request: Request) -> Response {
    let update = async {
        let incoming = Incoming::read(request).await?;
        let params = incoming.params();
        params.require(Param::NamespaceV1)?;
        namespaces::update(
            &nacos,
            declaration(&params, Param::NamespaceV1, Param::NamespaceShowName)?,
        )
        .await
    };
    done_v1(update.await)
}

async fn remove_v1(nacos: Nacos, request: Request) -> Response {
    let remove = async {
        let incoming = Incoming::read(request).await?;
        namespaces::remove(&nacos, &incoming.params().require(Param::Namespace)?).await
    };
    done_v1(remove.await)
}

/// Nacos v1: what breaks a rule of namespaces is `false`; that a parameter is missing is an error.
fn done_v1(done: Result<(), Error>) -> Response {
    match done {
        Ok(()) => reply::json("true"),
        Err(Error::Invalid(_) | Error::Write(beatrix_engine::WriteError::Refused(_))) => reply::json("false"),
        Err(error) => reply::text(error.status(), error.to_string()),
    }
}

fn declaration(params: &Params<'_>, id: Param, name: Param) -> Result<Declaration, Error> {
    Ok(Declaration {
        id: params.get(id)?.map(Cow::into_owned),
        name: params.require(name)?.into_owned(),
        description: params.get(Param::NamespaceDesc)?.map(Cow::into_owned),
    })
}

async fn list(nacos: Nacos, uri: Uri) -> Response {
    let shown = namespaces::all(&nacos).into_iter().map(|shown| json(shown, &uri));
    result::success(shown.collect::<Vec<_>>())
}

fn json(shown: Shown, uri: &Uri) -> NamespaceJson {
    if shown.is_default && uri.path().starts_with("/nacos/v3/") {
        let id = Namespace::DEFAULT.to_owned();
        Shown { id, ..shown }.into()
    } else {
        shown.into()
    }
}

async fn one(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let shown = namespaces::one(&nacos, params.get(Param::Namespace)?.as_deref())?;
    Ok(result::success(json(shown, request.uri())))
}

/// `POST`. Nacos: the consoles of v3 call the id otherwise; either name is taken.
async fn create(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let incoming = Incoming::read(request).await?;
    let params = incoming.typed();
    let id = match params.get(Param::CustomNamespaceId)? {
        Some(_) => Param::CustomNamespaceId,
        None => Param::Namespace,
    };
    namespaces::create(&nacos, declaration(&params, id, Param::NamespaceName)?).await?;
    Ok(result::success(true))
}

async fn update(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let incoming = Incoming::read(request).await?;
    let params = incoming.typed();
    namespaces::update(
        &nacos,
        declaration(&params, Param::Namespace, Param::NamespaceName)?,
    )
    .await?;
    Ok(result::success(true))
}

async fn remove(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let incoming = Incoming::read(request).await?;
    namespaces::remove(&nacos, &incoming.typed().require(Param::Namespace)?).await?;
    Ok(result::success(true))
}

/// `GET …/check`. Nacos 3.x: how many there are.
async fn check(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let id = params.require(Param::Namespace)?;
    Ok(result::success(u32::from(namespaces::is_declared(&nacos, &id))))
}

/// `GET …/exist`. Nacos 3.x: no id is one that will be made, and so does not exist.
async fn exist(nacos: Nacos, request: Request) -> Result<Response, ResultError> {
    let params = Params::find(request.uri().query(), b"").typed();
    let id = match params.get(Param::CustomNamespaceId)? {
        Some(id) => Some(id),
        None => params.get(Param::Namespace)?,
    };
    let exists = id.is_some_and(|id| id != Namespace::DEFAULT && namespaces::is_declared(&nacos, &id));
    Ok(result::success(exists))
}
