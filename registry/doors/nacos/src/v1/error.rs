//! What errors look like in v1, and wherever else answers are not framed: a status and a line of text that names the
//! parameter.

use axum::response::{IntoResponse, Response};

use crate::error::Error;
use crate::reply;

/// An error on its way to a client of v1.
#[derive(Debug)]
pub(crate) struct TextError(Error);

impl<E: Into<Error>> From<E> for TextError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for TextError {
    fn into_response(self) -> Response {
        reply::text(self.0.status(), self.0.to_string())
    }
}
