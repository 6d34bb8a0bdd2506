//! What a job wants of its source before anything is computed: the rows that meet a condition, derived columns, or
//! the result of a whole query.

mod errors;
mod functions;
mod query;
mod session;
mod syntax;
mod table;

use std::sync::Arc;

use async_trait::async_trait;
use caudal_core::job::SourceDescription;
use caudal_core::ports::{Sources, StageInput};
use caudal_core::request::JobRequest;
use caudal_core::{JobId, Result};
use caudal_storage::{Datasets, Source};

use crate::dataframe::LazyEngine;

/// Sources as the job manager sees them: with `where`, `select` or `sql`, what was derived takes the place of what
/// was read, so that every later stage takes it for the source. The same request over the same data derives the same
/// rows in the same order, also after a restart.
pub struct DerivedSources {
    datasets: Datasets,
    engine: Arc<LazyEngine>,
}

impl DerivedSources {
    pub(crate) fn new(datasets: Datasets, engine: Arc<LazyEngine>) -> Self {
        DerivedSources { datasets, engine }
    }
}

#[async_trait]
impl Sources for DerivedSources {
    async fn open(&self, input: &StageInput) -> Result<SourceDescription> {
        let Some(asked) = Asked::of(&input.record.request) else { return self.datasets.open(input).await };
        // A second attempt begins with what can be read, not with what the first one derived.
        self.datasets.release(input.job_id());
        let source = self.datasets.source(input).await?;
        let memory = self.datasets.memory_limit().saturating_sub(held(&source));
        let stage = input.clone();
        let datasets = self.datasets.clone();
        let deriving = async move { query::derive(&datasets, &asked, &source, memory, &stage).await };
        let derived = self.engine.get().await?.run(deriving).await?;
        Ok(self.datasets.replace(input.job_id(), derived).describe())
    }

    fn release(&self, job: JobId) {
        self.datasets.release(job);
    }
}

/// What is to be derived.
enum Asked {
    /// Row by row. With nothing selected, every column.
    Rows {
        condition: Option<String>,
        select: Vec<String>,
    },
    Query(String),
}

impl Asked {
    fn of(request: &JobRequest) -> Option<Asked> {
        if let Some(query) = &request.sql {
            return Some(Asked::Query(query.clone()));
        }
        let (condition, select) = (request.condition.clone(), request.select.clone().unwrap_or_default());
        (condition.is_some() || !select.is_empty()).then_some(Asked::Rows { condition, select })
    }

    /// The field of the request to which the result as a whole belongs.
    fn pointer(&self) -> &'static str {
        match self {
            Asked::Query(_) => "/sql",
            Asked::Rows { select, .. } if !select.is_empty() => "/select",
            Asked::Rows { .. } => "/where",
        }
    }
}

/// Bytes of a source that stay in memory beside what is derived from it.
fn held(source: &Source) -> u64 {
    match source.slice(0, 0..source.rows()) {
        Some(_) => source.rows().saturating_mul(source.columns() as u64).saturating_mul(8),
        None => 0,
    }
}
