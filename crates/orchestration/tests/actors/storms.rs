//! Messages that come twice, and actors that fall wherever they can: no job is lost, none ends twice.

use std::time::Duration;

use caudal_core::JobState;
use caudal_orchestration::{Orchestrator, OrchestratorOptions};

use crate::ports::{Bucket, options};
use crate::{ended, submission};

const PATH: [JobState; 6] = [
    JobState::Queued,
    JobState::Validating,
    JobState::Normalizing,
    JobState::SparkProcessing,
    JobState::Analyzing,
    JobState::Completed,
];

#[tokio::test]
async fn messages_that_are_delivered_again_and_again_change_nothing() {
    let bucket = Bucket::new();
    let orchestrator = Orchestrator::start(bucket.ports(), options()).await.unwrap();
    let mut handles = Vec::new();
    for _ in 0..6 {
        handles.push(orchestrator.submit(submission()).await.unwrap());
    }
    let jobs: Vec<_> = handles.iter().map(|handle| handle.job_id).collect();
    let again = {
        let (orchestrator, jobs) = (orchestrator.clone(), jobs.clone());
        tokio::spawn(async move {
            for _ in 0..50 {
                for job in &jobs {
                    orchestrator.tell_again(*job).await;
                }
                tokio::task::yield_now().await;
            }
        })
    };
    for handle in &mut handles {
        assert_eq!(ended(handle).await, (JobState::Completed, None));
    }
    again.await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    for job in jobs {
        assert_eq!(bucket.states(job), PATH);
        assert_eq!(bucket.causes(job).len(), 1, "nobody has tried again");
    }
}

#[tokio::test]
async fn whatever_is_being_done_when_it_falls_every_promised_job_ends_once() {
    // Every message is noted by the clock, and so is much else: the clock falls at its n-th reading.
    let mut falls = 0;
    for reading in 0..60 {
        let bucket = Bucket::new();
        let options = OrchestratorOptions { lease: Duration::from_millis(60), ..options() };
        let orchestrator = Orchestrator::start(bucket.ports(), options).await.unwrap();
        bucket.clock_falls_after(reading);
        let mut handles = Vec::new();
        for _ in 0..2 {
            // What is not taken in is not promised.
            if let Ok(handle) = orchestrator.submit(submission()).await {
                handles.push(handle);
            }
        }
        for handle in &mut handles {
            let (state, _) = ended(handle).await;
            assert!(state.is_final(), "the clock fell at {reading}");
            let states = bucket.states(handle.job_id);
            assert_eq!(states.iter().filter(|s| s.is_final()).count(), 1, "{states:?} after {reading}");
        }
        let next = match orchestrator.submit(submission()).await {
            Ok(next) => Ok(next),
            Err(_) => orchestrator.submit(submission()).await,
        };
        let mut next = next.expect("the clock falls once");
        assert!(ended(&mut next).await.0.is_final(), "the clock fell at {reading}, and others go on");
        falls += u32::from(bucket.clock_has_fallen());
        orchestrator.shutdown().await;
    }
    println!("{falls} falls, at each reading of the clock in turn: every promised job ended once");
    assert!(falls > 30, "{falls}");
}
