//! `PUT /nacos/v1/ns/instance/beat`.

use axum::response::Response;

use crate::beating::{self, Names};
use crate::door::Nacos;

use super::admitted::Admitted;
use super::error::TextError;

pub(super) async fn beat(nacos: Nacos, Admitted(request): Admitted) -> Result<Response, TextError> {
    Ok(beating::beat(&nacos, Names::Any, request).await?)
}
