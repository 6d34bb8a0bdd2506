//! The four actors against ports that a test can turn: panics, cancellation, full houses, foreign hands.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed; others tell their figures"
)]

mod once;
mod ports;
mod retries;
mod stopping;
mod storms;
mod takeover;

use std::time::Duration;

use caudal_core::request::{InlineColumn, InlineTable, JobRequest};
use caudal_core::{ErrorKind, JobState};
use caudal_orchestration::{JobHandle, JobResult, Orchestrator, Submission, SubmissionBody};
use ports::{Bucket, Turn, options};

fn submission() -> Submission {
    let column = InlineColumn { name: "value".into(), values: vec![1.0, 2.0], inexact_integers: 0 };
    let inline = Some(InlineTable { columns: vec![column] });
    Submission {
        owner: "local".into(),
        body: SubmissionBody::Parsed { request: Box::new(JobRequest::default()), inline },
    }
}

async fn ended(handle: &mut JobHandle) -> (JobState, Option<ErrorKind>) {
    let result = tokio::time::timeout(Duration::from_secs(20), handle.finished()).await;
    match &*result.expect("the job ends").expect("the actors live") {
        JobResult::Completed(response) => (response.status, None),
        JobResult::Ended(status) => (status.status, status.error.as_ref().map(|e| e.kind)),
    }
}

#[tokio::test]
async fn a_job_passes_every_state_in_order() {
    let bucket = Bucket::new();
    let orchestrator = Orchestrator::start(bucket.ports(), options()).await.unwrap();
    let mut handle = orchestrator.submit(submission()).await.unwrap();
    assert_eq!(ended(&mut handle).await, (JobState::Completed, None));
    assert_eq!(
        bucket.states(handle.job_id),
        [
            JobState::Queued,
            JobState::Validating,
            JobState::Normalizing,
            JobState::SparkProcessing,
            JobState::Analyzing,
            JobState::Completed
        ]
    );
}

#[tokio::test]
async fn an_actor_that_panics_is_restarted_and_its_job_goes_on() {
    for turn in [Turn::PanicOnAnalysis, Turn::PanicOnFinal] {
        let bucket = Bucket::new();
        let orchestrator = Orchestrator::start(bucket.ports(), options()).await.unwrap();
        bucket.turn(turn, 1);
        let mut first = orchestrator.submit(submission()).await.unwrap();
        let mut second = orchestrator.submit(submission()).await.unwrap();
        assert_eq!(ended(&mut first).await, (JobState::Completed, None), "{turn:?}");
        assert_eq!(ended(&mut second).await, (JobState::Completed, None), "{turn:?}");
        assert_eq!(bucket.turns_left(turn), 0, "{turn:?} was met");
    }
}

#[tokio::test]
async fn a_job_that_brings_an_actor_down_three_times_fails_and_others_go_on() {
    let bucket = Bucket::new();
    let orchestrator = Orchestrator::start(bucket.ports(), options()).await.unwrap();
    bucket.turn(Turn::PanicOnAnalysis, 3);
    let mut poison = orchestrator.submit(submission()).await.unwrap();
    assert_eq!(ended(&mut poison).await, (JobState::Failed, Some(ErrorKind::Internal)));
    let mut next = orchestrator.submit(submission()).await.unwrap();
    assert_eq!(ended(&mut next).await, (JobState::Completed, None));
}

#[tokio::test]
async fn a_stage_that_panics_fails_its_own_job_only() {
    let bucket = Bucket::new();
    let orchestrator = Orchestrator::start(bucket.ports(), options()).await.unwrap();
    bucket.turn(Turn::PanicInStage, 1);
    let mut broken = orchestrator.submit(submission()).await.unwrap();
    assert_eq!(ended(&mut broken).await, (JobState::Failed, Some(ErrorKind::Internal)));
    let mut next = orchestrator.submit(submission()).await.unwrap();
    assert_eq!(ended(&mut next).await, (JobState::Completed, None));
}

#[tokio::test]
async fn a_cancelled_job_ends_as_cancelled() {
    let bucket = Bucket::new();
    let orchestrator = Orchestrator::start(bucket.ports(), options()).await.unwrap();
    bucket.turn(Turn::WaitForCancel, 1);
    let mut handle = orchestrator.submit(submission()).await.unwrap();
    orchestrator.cancel("local", handle.job_id).await.unwrap();
    assert_eq!(ended(&mut handle).await, (JobState::Cancelled, Some(ErrorKind::Cancelled)));
    let again = orchestrator.cancel("local", handle.job_id).await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::Conflict);
}

#[tokio::test]
async fn a_full_house_is_told_and_nothing_is_promised() {
    let bucket = Bucket::new();
    let mut options = options();
    options.admitted_jobs = 1;
    let orchestrator = Orchestrator::start(bucket.ports(), options).await.unwrap();
    bucket.turn(Turn::WaitForCancel, 1);
    let mut first = orchestrator.submit(submission()).await.unwrap();
    let refused = orchestrator.submit(submission()).await.err().expect("no place");
    assert_eq!(refused.kind, ErrorKind::Overloaded);
    assert_eq!(bucket.jobs(), 1, "what was refused left nothing behind");
    orchestrator.cancel("local", first.job_id).await.unwrap();
    ended(&mut first).await;
    let mut next = orchestrator.submit(submission()).await.unwrap();
    assert_eq!(ended(&mut next).await, (JobState::Completed, None));
}

#[tokio::test]
async fn another_owner_does_not_find_the_job() {
    let bucket = Bucket::new();
    let orchestrator = Orchestrator::start(bucket.ports(), options()).await.unwrap();
    let mut handle = orchestrator.submit(submission()).await.unwrap();
    ended(&mut handle).await;
    assert!(orchestrator.result("local", handle.job_id).await.is_ok());
    let error = orchestrator.result("somebody", handle.job_id).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_job_whose_next_entry_another_instance_wrote_is_left_to_it() {
    let bucket = Bucket::new();
    let orchestrator = Orchestrator::start(bucket.ports(), options()).await.unwrap();
    bucket.turn(Turn::TakenByAnother, 1);
    let mut handle = orchestrator.submit(submission()).await.unwrap();
    let waited =
        tokio::time::timeout(Duration::from_secs(20), handle.finished()).await.expect("the wait ends");
    assert!(waited.is_err(), "this instance has no result to give");
    assert_eq!(bucket.states(handle.job_id).last(), Some(&JobState::Cancelled), "the other's entry stands");
}

#[tokio::test]
async fn a_job_that_is_handed_over_is_worked_on_once_by_whoever_is_told_of_it() {
    let bucket = Bucket::new();
    let (ports, given) = bucket.ports_that_hand_over();
    let taker = Orchestrator::start(ports, options()).await.unwrap();
    let worker = Orchestrator::start(bucket.ports(), options()).await.unwrap();
    let mut handle = taker.submit(submission()).await.unwrap();
    assert_eq!(*given.0.lock().unwrap(), [handle.job_id]);
    assert_eq!(
        bucket.states(handle.job_id),
        [JobState::Queued],
        "whoever takes a job in does not work on it"
    );
    let carried = worker.carry(handle.job_id).await.unwrap().expect("nobody else has it");
    assert!(matches!(&*carried, JobResult::Completed(_)));
    assert_eq!(ended(&mut handle).await, (JobState::Completed, None), "the journal tells whoever waits");
    assert!(worker.carry(handle.job_id).await.unwrap().is_none(), "told again of a job that has ended");
    assert!(worker.carry(caudal_core::JobId(uuid::Uuid::nil())).await.unwrap().is_none(), "told of no job");
}
