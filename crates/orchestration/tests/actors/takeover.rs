//! Instances that die, and those that were only held up: their jobs go on elsewhere, once.

use caudal_core::journal::AttemptCause::{Abandoned, Submitted};
use caudal_core::{ErrorKind, JobState};
use caudal_orchestration::Orchestrator;

use crate::ports::{Bucket, Turn, quick};
use crate::stopping::until;
use crate::{ended, submission};

#[tokio::test]
async fn the_jobs_of_an_instance_that_dies_are_taken_over() {
    let bucket = Bucket::new();
    let (one, two) = (bucket.other(), bucket.other());
    let dies = Orchestrator::start(one.ports(), quick()).await.unwrap();
    let _heir = Orchestrator::start(two.ports(), quick()).await.unwrap();
    bucket.turn(Turn::Hang, 1);
    let handle = dies.submit(submission()).await.unwrap();
    until(|| bucket.turns_left(Turn::Hang) == 0).await;
    one.die();
    until(|| bucket.states(handle.job_id).last() == Some(&JobState::Completed)).await;
    assert_eq!(bucket.causes(handle.job_id), [Submitted, Abandoned]);
}

#[tokio::test]
async fn an_instance_that_was_held_up_leaves_what_was_taken_over_meanwhile() {
    let bucket = Bucket::new();
    let (one, two) = (bucket.other(), bucket.other());
    let held_up = Orchestrator::start(one.ports(), quick()).await.unwrap();
    let _heir = Orchestrator::start(two.ports(), quick()).await.unwrap();
    bucket.turn(Turn::WaitForCancel, 1);
    let mut handle = held_up.submit(submission()).await.unwrap();
    until(|| bucket.turns_left(Turn::WaitForCancel) == 0).await;
    one.die();
    until(|| bucket.states(handle.job_id).last() == Some(&JobState::Completed)).await;
    one.wake();
    assert!(handle.finished().await.is_err(), "the job is not this instance's any more");
    assert_eq!(bucket.states(handle.job_id).len(), 6, "and nothing was added to its journal");
    let mut next = held_up.submit(submission()).await.unwrap();
    assert_eq!(ended(&mut next).await, (JobState::Completed, None), "its place is free");
}

#[tokio::test]
async fn an_instance_that_lives_keeps_its_jobs() {
    let bucket = Bucket::new();
    let (one, two) = (bucket.other(), bucket.other());
    let lives = Orchestrator::start(one.ports(), quick()).await.unwrap();
    let _other = Orchestrator::start(two.ports(), quick()).await.unwrap();
    bucket.turn(Turn::WaitForCancel, 1);
    let mut handle = lives.submit(submission()).await.unwrap();
    until(|| bucket.turns_left(Turn::WaitForCancel) == 0).await;
    tokio::time::sleep(quick().lease * 4).await;
    assert_eq!(bucket.causes(handle.job_id), [Submitted]);
    lives.cancel("local", handle.job_id).await.unwrap();
    assert_eq!(ended(&mut handle).await.0, JobState::Cancelled);
}

#[tokio::test]
async fn a_job_that_kills_its_instance_three_times_is_parked_and_others_go_on() {
    let bucket = Bucket::new();
    let mut killed = bucket.other();
    let first = Orchestrator::start(killed.ports(), quick()).await.unwrap();
    bucket.turn(Turn::Hang, 1);
    let poison = first.submit(submission()).await.unwrap().job_id;
    until(|| bucket.turns_left(Turn::Hang) == 0).await;
    let mut other = first.submit(submission()).await.unwrap();
    assert_eq!(ended(&mut other).await, (JobState::Completed, None));
    // Actors live as long as somebody may speak to them.
    let mut instances = vec![first];
    for _ in 0..2 {
        bucket.turn(Turn::Hang, 1);
        killed.die();
        killed = bucket.other();
        instances.push(Orchestrator::start(killed.ports(), quick()).await.unwrap());
        until(|| bucket.turns_left(Turn::Hang) == 0).await;
    }
    killed.die();
    let last = bucket.other();
    let survivor = Orchestrator::start(last.ports(), quick()).await.unwrap();
    until(|| bucket.states(poison).last() == Some(&JobState::Failed)).await;
    let status = survivor.status("local", poison).await.unwrap();
    assert_eq!(status.error.map(|e| e.kind), Some(ErrorKind::PoisonousJob));
    assert_eq!(bucket.causes(poison), [Submitted, Abandoned, Abandoned, Abandoned]);
    let mut next = survivor.submit(submission()).await.unwrap();
    assert_eq!(ended(&mut next).await, (JobState::Completed, None));
}

#[tokio::test]
async fn a_job_that_was_never_queued_cannot_be_queued_after_it_was_cleared_away() {
    let bucket = Bucket::new();
    let (one, two) = (bucket.other(), bucket.other());
    let slow = Orchestrator::start(one.ports(), quick()).await.unwrap();
    bucket.turn(Turn::HoldUpQueued, 1);
    let submitted = tokio::spawn(async move { slow.submit(submission()).await.map(|handle| handle.job_id) });
    until(|| bucket.turns_left(Turn::HoldUpQueued) == 0).await;
    one.die();
    let _heir = Orchestrator::start(two.ports(), quick()).await.unwrap();
    until(|| bucket.jobs() == 0).await;
    one.wake();
    let refused = submitted.await.unwrap().expect_err("nothing is promised that nobody will do");
    assert_eq!(refused.kind, ErrorKind::Overloaded);
}
