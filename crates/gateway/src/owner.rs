//! Who asks: the one place that authentication will fill.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use caudal_core::job::LOCAL_OWNER;

/// The owner of the jobs that a request makes or sees. Nobody can sign in yet, so it is always
/// [`LOCAL_OWNER`].
pub struct Owner(pub String);

impl<S: Sync> FromRequestParts<S> for Owner {
    type Rejection = Infallible;

    async fn from_request_parts(_: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Owner(LOCAL_OWNER.into()))
    }
}
