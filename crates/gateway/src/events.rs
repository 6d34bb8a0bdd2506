//! `GET /jobs/{id}/events`: each state and the progress of a job as Server-Sent Events, resumable where they broke off.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use caudal_core::job::{JobStatus, Progress, TimedState};
use caudal_core::{Error, ErrorKind, JobId};
use chrono::{DateTime, Utc};
use futures::{Stream, stream};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::Gateway;
use crate::owner::Owner;
use crate::parameters::{JobPath, NoQuery};
use crate::problem::{Problem, ProblemDetails, ServerProblems, error_of_ended};

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Between two looks at a job: progress is told no more often, and a job that another process carries is asked for as
/// often.
const LOOK: Duration = Duration::from_millis(250);

/// A comment is sent where nothing else was for so long, so that nothing in between takes the connection for dead.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// An event as it is sent.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a schema alone: axum writes events")]
pub struct ServerSentEvent {
    /// The number of the state that it is about.
    id: String,
    /// `state` or `progress`.
    event: String,
    /// A `StateEvent` or a `ProgressEvent` as JSON.
    data: String,
}

/// The data of an event `state`. Its id is the number of the state, from 1.
#[derive(Serialize, ToSchema)]
pub struct StateEvent {
    job_id: JobId,
    state: caudal_core::JobState,
    at: DateTime<Utc>,
    /// Why the job failed or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ProblemDetails>,
}

/// The data of an event `progress`. It has the id of the state that it is about.
#[derive(Serialize, ToSchema)]
pub struct ProgressEvent {
    job_id: JobId,
    #[serde(flatten)]
    progress: Progress,
    /// Seconds that are left if it goes on as it did so far; null while nothing can be said.
    eta_seconds: Option<f64>,
}

#[utoipa::path(
    get,
    path = "/jobs/{id}/events",
    tag = "jobs",
    summary = "Follow a job",
    description = "Server-Sent Events. `state`: the job has entered a state, with the id of that state; whoever comes \
                   back with `Last-Event-ID` gets the states behind it and misses none. `progress`: how far it is, at \
                   most four times a second. The stream ends with the job; after its last event it is answered with \
                   204, which browsers take for the end.",
    params(
        ("id" = JobId, Path, description = "The job's id."),
        ("Last-Event-ID" = Option<u32>, Header, example = 2, description = "The id of the last event that arrived."),
    ),
    responses(
        (status = 200, description = "Events, until the job has ended.", body = ServerSentEvent,
            content_type = "text/event-stream",
            example = "id: 1\nevent: state\ndata: {\"job_id\":\"01890a5d-ac96-774b-bcce-b302099a8057\",\"state\":\"queued\",\"at\":\"2026-11-27T20:00:00Z\"}\n\n"),
        (status = 204, description = "The job has ended, and every event has arrived."),
        (status = 400, description = "There is a query parameter, or Last-Event-ID is none.", body = ProblemDetails,
            content_type = "application/problem+json"),
        (status = 404, description = "There is no such job.", body = ProblemDetails,
            content_type = "application/problem+json"),
        ServerProblems,
    )
)]
pub(crate) async fn events(
    State(gateway): State<Arc<Gateway>>,
    owner: Owner,
    JobPath(job): JobPath,
    _: NoQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let told = last_event(&headers)?;
    let status = gateway.orchestrator.status(&owner.0, job).await?;
    if status.status.is_final() && told >= status.transitions.len() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let until = gateway.options.whole_within.map(|longest| Instant::now() + longest);
    let follower = Follower {
        progress: gateway.orchestrator.watch(job),
        closing: gateway.closing.clone(),
        gateway,
        owner: owner.0,
        job,
        told,
        waiting: Vec::new(),
        last: None,
        fresh: Some(status),
        ended: false,
        until,
        has_begun: false,
    };
    let alive = KeepAlive::new().interval(HEARTBEAT).text("alive");
    let mut response = Sse::new(follower.stream()).keep_alive(alive).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that gather answers would hold events back.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Ok(response)
}

fn last_event(headers: &HeaderMap) -> Result<usize, Error> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(0) };
    let id = value.to_str().ok().filter(|text| text.len() <= 9).and_then(|text| text.trim().parse().ok());
    id.ok_or_else(|| {
        let detail = "Last-Event-ID: expected the id of an event of this stream";
        Error::new(ErrorKind::MalformedRequest, detail)
    })
}

/// One client that follows one job.
struct Follower {
    gateway: Arc<Gateway>,
    owner: String,
    job: JobId,
    /// Of a job that this process carries.
    progress: Option<watch::Receiver<Progress>>,
    closing: watch::Receiver<bool>,
    /// States that the client knows.
    told: usize,
    /// Events that are to be sent, the next one last.
    waiting: Vec<Event>,
    /// The progress that was told last.
    last: Option<Progress>,
    fresh: Option<JobStatus>,
    ended: bool,
    /// Until when something to tell is waited for, where an answer arrives only when it has ended.
    until: Option<Instant>,
    /// Whether this answer has told anything.
    has_begun: bool,
}

impl Follower {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> + Send {
        stream::unfold(self, |mut follower| async move {
            let event = follower.next().await?;
            Some((Ok(event), follower))
        })
    }

    /// The next event; `None` when the job has ended, the server stops, or the job can no longer be read: the client
    /// comes back then, and knows from where.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop() {
                self.has_begun = true;
                return Some(event);
            }
            if self.ended || self.until.is_some() && self.has_begun {
                return None;
            }
            let status = match self.fresh.take() {
                Some(status) => status,
                None => {
                    self.pause().await?;
                    self.gateway.orchestrator.status(&self.owner, self.job).await.ok()?
                }
            };
            self.look_at(&status);
        }
    }

    /// Waits until something may have happened; `None` when the server stops or the answer has lasted long enough.
    async fn pause(&mut self) -> Option<()> {
        if self.until.is_some_and(|until| Instant::now() >= until) {
            return None;
        }
        let closing = async { self.closing.wait_for(|closing| *closing).await.map(drop) };
        tokio::select! {
            _ = closing => None,
            () = tokio::time::sleep(LOOK) => Some(()),
        }
    }

    /// Puts events for what is new into the queue.
    fn look_at(&mut self, status: &JobStatus) {
        let mut events = Vec::new();
        for entered in status.transitions.iter().skip(self.told) {
            self.told += 1;
            events.extend(self.state_event(entered, status));
        }
        self.ended = status.status.is_final();
        let progress = self.progress.as_mut().map(|progress| progress.borrow_and_update().clone());
        if let Some(progress) = progress.filter(|p| !self.ended && self.last.as_ref() != Some(p)) {
            events.extend(self.progress_event(&progress, status));
            self.last = Some(progress);
        }
        events.reverse();
        self.waiting = events;
    }

    fn state_event(&self, entered: &TimedState, status: &JobStatus) -> Option<Event> {
        let unsuccessful = entered.state.is_final() && entered.state != caudal_core::JobState::Completed;
        let error = unsuccessful
            .then(|| ProblemDetails::new(error_of_ended(status).into(), &self.gateway.options.error_pages));
        let data = StateEvent { job_id: self.job, state: entered.state, at: entered.at, error };
        Event::default().id(self.told.to_string()).event("state").json_data(data).ok()
    }

    fn progress_event(&self, progress: &Progress, status: &JobStatus) -> Option<Event> {
        let elapsed = (self.gateway.orchestrator.now() - status.created_at).as_seconds_f64();
        let eta_seconds = eta(progress.fraction, elapsed);
        let data = ProgressEvent { job_id: self.job, progress: progress.clone(), eta_seconds };
        Event::default().id(self.told.to_string()).event("progress").json_data(data).ok()
    }
}

/// Seconds that are left, if what is left takes as long as what was done.
fn eta(fraction: f64, elapsed: f64) -> Option<f64> {
    (fraction > 0.0 && fraction <= 1.0 && elapsed >= 0.0).then(|| elapsed * (1.0 - fraction) / fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_from_what_was_done() {
        assert_eq!(eta(0.25, 10.0), Some(30.0));
        assert_eq!(eta(1.0, 10.0), Some(0.0));
        assert_eq!((eta(0.0, 10.0), eta(f64::NAN, 10.0), eta(0.5, -1.0)), (None, None, None));
    }

    #[test]
    fn a_last_event_is_a_number_of_a_state() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LAST_EVENT_ID, value.parse().expect("a header"));
            last_event(&headers).map_err(|error| error.kind)
        };
        assert_eq!(last_event(&HeaderMap::new()).map_err(|e| e.kind), Ok(0));
        assert_eq!((read("3"), read("0")), (Ok(3), Ok(0)));
        for value in ["", "x", "-1", "99999999999999999999"] {
            assert_eq!(read(value), Err(ErrorKind::MalformedRequest), "{value}");
        }
    }
}
