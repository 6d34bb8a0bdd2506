//! Jobs that are to stop: cancelled, late, or left to others when the process ends.

use std::time::Duration;

use caudal_core::journal::AttemptCause::{HandedOver, Submitted};
use caudal_core::{ErrorKind, JobState};
use caudal_orchestration::{Orchestrator, OrchestratorOptions, Submission, SubmissionBody};

use crate::ports::{Bucket, Turn, options, quick};
use crate::{ended, submission};

fn one_at_a_time() -> OrchestratorOptions {
    OrchestratorOptions { running_jobs: 1, ..options() }
}

#[tokio::test]
async fn a_stage_that_looks_at_nothing_is_dropped_and_its_job_cancelled() {
    let bucket = Bucket::new();
    let orchestrator = Orchestrator::start(bucket.ports(), options()).await.unwrap();
    bucket.turn(Turn::Hang, 1);
    let mut handle = orchestrator.submit(submission()).await.unwrap();
    until(|| bucket.turns_left(Turn::Hang) == 0).await;
    let begun = tokio::time::Instant::now();
    orchestrator.cancel("local", handle.job_id).await.unwrap();
    assert_eq!(ended(&mut handle).await, (JobState::Cancelled, Some(ErrorKind::Cancelled)));
    println!("cancelled after {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_job_that_waits_for_a_place_is_cancelled_at_once() {
    let bucket = Bucket::new();
    let orchestrator = Orchestrator::start(bucket.ports(), one_at_a_time()).await.unwrap();
    bucket.turn(Turn::Hang, 1);
    let _running = orchestrator.submit(submission()).await.unwrap();
    let mut waiting = orchestrator.submit(submission()).await.unwrap();
    orchestrator.cancel("local", waiting.job_id).await.unwrap();
    assert_eq!(ended(&mut waiting).await, (JobState::Cancelled, Some(ErrorKind::Cancelled)));
    assert_eq!(bucket.states(waiting.job_id), [JobState::Queued, JobState::Cancelled]);
}

#[tokio::test]
async fn a_job_of_another_instance_is_cancelled_through_its_journal() {
    let bucket = Bucket::new();
    let (one, two) = (bucket.other(), bucket.other());
    let works = Orchestrator::start(one.ports(), one_at_a_time()).await.unwrap();
    let asked = Orchestrator::start(two.ports(), options()).await.unwrap();
    bucket.turn(Turn::Hang, 1);
    let handle = works.submit(submission()).await.unwrap();
    until(|| bucket.turns_left(Turn::Hang) == 0).await;
    asked.cancel("local", handle.job_id).await.unwrap();
    assert_eq!(
        bucket.states(handle.job_id).last(),
        Some(&JobState::Cancelled),
        "its journal says so at once"
    );
    // The stage was dropped: its place is free.
    let mut next = works.submit(submission()).await.unwrap();
    assert_eq!(ended(&mut next).await, (JobState::Completed, None));
    let again = asked.cancel("local", handle.job_id).await.unwrap_err();
    assert_eq!(again.kind, ErrorKind::Conflict);
}

#[tokio::test]
async fn a_job_that_takes_longer_than_it_asked_for_fails() {
    let bucket = Bucket::new();
    let orchestrator = Orchestrator::start(bucket.ports(), options()).await.unwrap();
    bucket.turn(Turn::Hang, 1);
    let mut late = submission();
    let SubmissionBody::Parsed { request, .. } = &mut late.body else { panic!("parsed") };
    request.deadline_seconds = Some(0.05);
    let mut handle = orchestrator.submit(late).await.unwrap();
    assert_eq!(ended(&mut handle).await, (JobState::Failed, Some(ErrorKind::DeadlineExceeded)));
}

#[tokio::test]
async fn a_stage_that_takes_longer_than_one_may_fails_its_job() {
    let bucket = Bucket::new();
    let options = OrchestratorOptions { stage_deadline: Some(Duration::from_millis(50)), ..one_at_a_time() };
    let orchestrator = Orchestrator::start(bucket.ports(), options).await.unwrap();
    bucket.turn(Turn::Hang, 1);
    let mut handle = orchestrator.submit(submission()).await.unwrap();
    assert_eq!(ended(&mut handle).await, (JobState::Failed, Some(ErrorKind::DeadlineExceeded)));
    let mut next = orchestrator.submit(submission()).await.unwrap();
    assert_eq!(ended(&mut next).await, (JobState::Completed, None));
}

#[tokio::test]
async fn a_deadline_that_cannot_be_is_refused() {
    let bucket = Bucket::new();
    let orchestrator = Orchestrator::start(bucket.ports(), options()).await.unwrap();
    for seconds in ["0", "-1", "1e9", "\"soon\""] {
        let body = format!("{{\"data\": [1], \"deadline_seconds\": {seconds}}}");
        let body = SubmissionBody::Json(body.into());
        let refused = orchestrator.submit(Submission { owner: "local".into(), body }).await.err();
        let refused = refused.expect("no job");
        assert_eq!(refused.kind, ErrorKind::InvalidRequest);
        assert_eq!(refused.faults.first[0].pointer, "/deadline_seconds");
    }
}

#[tokio::test]
async fn an_instance_that_ends_lets_its_jobs_go_and_another_one_ends_them() {
    let bucket = Bucket::new();
    let (one, two) = (bucket.other(), bucket.other());
    let ends =
        Orchestrator::start(one.ports(), OrchestratorOptions { running_jobs: 1, ..quick() }).await.unwrap();
    bucket.turn(Turn::WaitForCancel, 1);
    let mut running = ends.submit(submission()).await.unwrap();
    let mut waiting = ends.submit(submission()).await.unwrap();
    until(|| bucket.turns_left(Turn::WaitForCancel) == 0).await;
    ends.drain(Duration::from_millis(10)).await;
    assert!(running.finished().await.is_err(), "whoever waits is told that it goes on elsewhere");
    assert!(waiting.finished().await.is_err());
    let refused = ends.submit(submission()).await.err().expect("nothing is taken in");
    assert_eq!(refused.kind, ErrorKind::Overloaded);
    ends.shutdown().await;
    let heir = Orchestrator::start(two.ports(), quick()).await.unwrap();
    for handle in [&running, &waiting] {
        until(|| bucket.states(handle.job_id).last() == Some(&JobState::Completed)).await;
    }
    // Nobody died over the job that had begun, and the one that waited was not attempted.
    assert_eq!(bucket.causes(running.job_id), [Submitted, HandedOver]);
    assert_eq!(bucket.causes(waiting.job_id), [Submitted]);
    heir.shutdown().await;
}

#[tokio::test]
async fn an_instance_that_ends_waits_for_the_jobs_that_run() {
    let bucket = Bucket::new();
    let orchestrator = Orchestrator::start(bucket.ports(), options()).await.unwrap();
    let mut handle = orchestrator.submit(submission()).await.unwrap();
    until(|| bucket.states(handle.job_id).len() > 1).await;
    orchestrator.drain(Duration::from_secs(20)).await;
    assert_eq!(ended(&mut handle).await, (JobState::Completed, None));
}

/// Waits until something is so.
pub async fn until(is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it comes to be");
}
