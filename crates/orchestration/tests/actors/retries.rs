//! Failures that pass are tried again within a budget, every attempt is on record, and nothing else is tried again.

use caudal_core::journal::AttemptCause::{self, Retried, Submitted};
use caudal_core::{ErrorKind, JobState};
use caudal_orchestration::{Orchestrator, OrchestratorOptions};

use crate::ports::{Bucket, Turn, options};
use crate::{ended, submission};

async fn run(turn: Turn, times: u32) -> (JobState, Option<ErrorKind>, Vec<AttemptCause>, Bucket) {
    let bucket = Bucket::new();
    let orchestrator = Orchestrator::start(bucket.ports(), options()).await.unwrap();
    bucket.turn(turn, times);
    let mut handle = orchestrator.submit(submission()).await.unwrap();
    let (state, error) = ended(&mut handle).await;
    let causes = bucket.causes(handle.job_id);
    (state, error, causes, bucket)
}

#[tokio::test]
async fn a_storage_that_fails_for_a_while_is_tried_again_in_every_part_of_a_job() {
    for turn in [Turn::RefuseNormalization, Turn::RefuseAnalysis, Turn::RefuseFinal] {
        let (state, error, causes, bucket) = run(turn, 2).await;
        assert_eq!((state, error), (JobState::Completed, None), "{turn:?}");
        assert_eq!(causes, [Submitted, Retried, Retried], "{turn:?}");
        assert_eq!(bucket.turns_left(turn), 0);
    }
}

#[tokio::test]
async fn every_attempt_tells_where_the_one_before_failed_and_why() {
    let bucket = Bucket::new();
    let orchestrator = Orchestrator::start(bucket.ports(), options()).await.unwrap();
    bucket.turn(Turn::RefuseNormalization, 1);
    let mut handle = orchestrator.submit(submission()).await.unwrap();
    ended(&mut handle).await;
    let status = orchestrator.status("local", handle.job_id).await.unwrap();
    assert_eq!(status.attempts, 2);
    let [first, second] = status.attempt_history.as_slice() else { panic!("{status:?}") };
    assert_eq!((first.number, second.number), (1, 2));
    assert_eq!(second.state, JobState::Normalizing);
    assert_eq!(second.error.as_ref().map(|e| e.kind), Some(ErrorKind::StorageUnavailable));
    assert!(second.waited <= 0.01, "not longer than the longest first wait: {}", second.waited);
}

#[tokio::test]
async fn a_storage_that_fails_for_good_uses_up_the_budget_and_fails_the_job() {
    let (state, error, causes, _) = run(Turn::RefuseFinal, 100).await;
    assert_eq!((state, error), (JobState::Failed, Some(ErrorKind::StorageUnavailable)));
    assert_eq!(causes, [Submitted, Retried, Retried, Retried, Retried], "a budget of four");
}

#[tokio::test]
async fn what_the_user_or_we_must_change_is_not_tried_again() {
    for (turn, kind) in [(Turn::WrongData, ErrorKind::InvalidData), (Turn::PanicInStage, ErrorKind::Internal)]
    {
        let (state, error, causes, _) = run(turn, 1).await;
        assert_eq!((state, error), (JobState::Failed, Some(kind)));
        assert_eq!(causes, [Submitted], "{turn:?}");
    }
}

#[tokio::test]
async fn a_job_that_waits_to_be_tried_again_gives_its_place_to_others() {
    let bucket = Bucket::new();
    let mut options = OrchestratorOptions { running_jobs: 1, ..options() };
    options.retry.first = std::time::Duration::from_secs(3600);
    options.retry.longest = options.retry.first;
    let orchestrator = Orchestrator::start(bucket.ports(), options).await.unwrap();
    bucket.turn(Turn::RefuseNormalization, 1);
    let mut waits = orchestrator.submit(submission()).await.unwrap();
    let mut next = orchestrator.submit(submission()).await.unwrap();
    assert_eq!(ended(&mut next).await, (JobState::Completed, None));
    orchestrator.cancel("local", waits.job_id).await.unwrap();
    assert_eq!(ended(&mut waits).await, (JobState::Cancelled, Some(ErrorKind::Cancelled)));
}

#[tokio::test]
async fn an_entry_whose_confirmation_was_lost_is_found_to_be_ones_own() {
    let (state, error, _, bucket) = run(Turn::LoseConfirmation, 1).await;
    assert_eq!((state, error), (JobState::Completed, None));
    assert_eq!(bucket.turns_left(Turn::LoseConfirmation), 0);
}

#[tokio::test]
async fn a_job_that_had_too_little_memory_beside_others_is_tried_once_more_alone() {
    for (times, state) in [(1, JobState::Completed), (2, JobState::Failed)] {
        let bucket = Bucket::new();
        let orchestrator = Orchestrator::start(bucket.ports(), options()).await.unwrap();
        bucket.turn(Turn::WaitForCancel, 1);
        let mut beside = orchestrator.submit(submission()).await.unwrap();
        crate::stopping::until(|| bucket.turns_left(Turn::WaitForCancel) == 0).await;
        bucket.turn(Turn::TooLittleMemory, times);
        let mut large = orchestrator.submit(submission()).await.unwrap();
        crate::stopping::until(|| bucket.causes(large.job_id).len() == 2).await;
        assert_eq!(bucket.turns_left(Turn::TooLittleMemory), times - 1, "it waits until it is alone");
        orchestrator.cancel("local", beside.job_id).await.unwrap();
        ended(&mut beside).await;
        assert_eq!(ended(&mut large).await.0, state);
    }
}
