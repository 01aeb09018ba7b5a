//! Logins, as long as there is no access control: everyone who logs in is told that nobody has to.
//!
//! Clients with a configured user name log in first, and would not start without an answer.

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::post;

use crate::door::Nacos;
use crate::error::Error;
use crate::params::{Incoming, Param};
use crate::reply;
use crate::result::ResultError;
use crate::v1::error::TextError;
use crate::wire::LoginJson;

/// Nacos 2.x: what a server without access control gives for a token.
const TOKEN: &str = "AUTH_DISABLED";
const BEARER: HeaderValue = HeaderValue::from_static("Bearer AUTH_DISABLED");
/// How long it holds, in seconds. Nacos 2.x: 18000.
const TTL_SECONDS: u32 = 18_000;

/// The paths of v1, old and new, and of v3.
pub(crate) fn routes() -> Router<Nacos> {
    Router::new()
        .route("/nacos/v1/auth/login", post(login_v1))
        .route("/nacos/v1/auth/users/login", post(login_v1))
        .route("/nacos/v3/auth/user/login", post(login_v3))
}

async fn login_v1(request: Request) -> Result<Response, TextError> {
    Ok(login(request).await?)
}

async fn login_v3(request: Request) -> Result<Response, ResultError> {
    Ok(login(request).await?)
}

/// Nacos: not framed in any version. The name may be in the query or the body; the password is not even read.
async fn login(request: Request) -> Result<Response, Error> {
    let incoming = Incoming::read(request).await?;
    let username = incoming.params().get(Param::Username)?.unwrap_or_default();
    let json = LoginJson {
        access_token: TOKEN,
        token_ttl: TTL_SECONDS,
        global_admin: true,
        username: &username,
    };
    let mut response = reply::json_of(StatusCode::OK, &json);
    response.headers_mut().insert(header::AUTHORIZATION, BEARER);
    Ok(response)
}
