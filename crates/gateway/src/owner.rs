//! Whose jobs a request makes or sees.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use caudal_core::identity::Identity;
use caudal_core::{Error, ErrorKind};

use crate::problem::Problem;

/// The owner of the jobs that a request makes or sees: whoever [`authenticate`](crate::identity) has found to ask.
pub struct Owner(pub String);

impl<S: Sync> FromRequestParts<S> for Owner {
    type Rejection = Problem;

    /// A path that anybody may read has no owner: a handler there that asks for one is a fault of ours, and must not
    /// fall back on anybody's jobs.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let identity = parts.extensions.get::<Identity>();
        identity.map(|identity| Owner(identity.owner.clone())).ok_or_else(|| {
            Error::new(ErrorKind::Internal, "nobody was asked who they are before this was answered").into()
        })
    }
}
