//! What stands in the address of a request: the job's id, and query parameters read strictly.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::Uri;
use axum::http::request::Parts;
use caudal_core::{Error, ErrorKind, Faults, JobId};

use crate::problem::Problem;

/// The `{id}` of a path. What is not a UUID is the name of no job.
pub struct JobPath(pub JobId);

impl<S: Send + Sync> FromRequestParts<S> for JobPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = parts.uri.path().to_owned();
        let id = Path::<String>::from_request_parts(parts, state).await.ok();
        id.and_then(|Path(id)| id.parse().ok()).map(JobPath).ok_or_else(|| {
            let detail = format!("there is no job at {path}: a job's id is a UUID");
            Error::new(ErrorKind::NotFound, detail).hint("GET /jobs lists the jobs").into()
        })
    }
}

/// Refuses any query parameter.
pub struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        NoQuery::check(&parts.uri)
    }
}

impl NoQuery {
    /// # Errors
    /// `MalformedRequest` that names every parameter.
    pub fn check(uri: &Uri) -> Result<NoQuery, Problem> {
        let mut query = QueryReader::of(uri)?;
        query.known(&[]);
        query.finish(NoQuery)
    }
}

/// Takes query parameters one by one and gathers every fault on the way.
pub struct QueryReader {
    pairs: Vec<(String, String)>,
    faults: Faults,
}

impl QueryReader {
    pub fn of(uri: &Uri) -> Result<QueryReader, Problem> {
        let Query(pairs) = Query::try_from_uri(uri).map_err(|e| {
            Error::new(ErrorKind::MalformedRequest, format!("the query cannot be read: {}", e.body_text()))
        })?;
        Ok(QueryReader { pairs, faults: Faults::default() })
    }

    /// Notes a fault of one parameter.
    pub fn fault(&mut self, name: &str, detail: String) {
        self.faults.push(|| format!("?{name}"), || detail);
    }

    /// Notes every parameter that is not among `names`, and every one that is given twice.
    pub fn known(&mut self, names: &[&str]) {
        let given: Vec<String> = self.pairs.iter().map(|(name, _)| name.clone()).collect();
        let expected = match names {
            [] => "no parameters are read here".to_owned(),
            names => format!("expected {}", names.join(", ")),
        };
        for (index, name) in given.iter().enumerate() {
            if !names.contains(&name.as_str()) {
                self.fault(name, format!("unknown parameter; {expected}"));
            } else if given[..index].contains(name) {
                self.fault(name, "is given twice".into());
            }
        }
    }

    /// The value of a parameter, read by `read`; `None` where it is absent or a fault was noted.
    pub fn take<T>(&mut self, name: &str, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let (_, value) = self.pairs.iter().find(|(given, _)| given == name)?;
        match read(value) {
            Ok(value) => Some(value),
            Err(detail) => {
                self.fault(name, detail);
                None
            }
        }
    }

    /// # Errors
    /// `MalformedRequest` with every fault that was noted.
    pub fn finish<T>(self, parameters: T) -> Result<T, Problem> {
        match self.faults.is_empty() {
            true => Ok(parameters),
            false => Err(Error::from_faults(ErrorKind::MalformedRequest, self.faults).into()),
        }
    }
}
