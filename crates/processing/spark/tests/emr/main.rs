//! What launchers on EMR and EMR Serverless must do, against a stand-in that speaks both APIs and runs what it is given.

#![expect(clippy::print_stdout, reason = "the test tells its figure")]

mod stand;

use caudal_core::ErrorKind;
use caudal_spark::{Launcher, Phase};
use stand::{Kind, Stand, application, ended, submission};

const KINDS: [Kind; 3] = [Kind::Serverless, Kind::Steps, Kind::Transient];

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_started_once_by_however_many_processes() {
    let Some(stand) = Stand::new("empty", &[]) else { return };
    for kind in KINDS {
        let place = stand.place(kind).await;
        let name = application(1);
        let processes: Vec<_> = (0..6).map(|_| place.launcher()).collect();
        let starts = processes.iter().map(|process| async {
            process.start(&submission(&name)).await.expect("it starts");
        });
        futures::future::join_all(starts).await;
        assert_eq!(ended(&processes[0], &name).await, Phase::Succeeded);
        processes[1].start(&submission(&name)).await.expect("it has run");
        assert_eq!(ended(&place.launcher(), &name).await, Phase::Succeeded, "a new process knows it");
        assert_eq!(place.known().await, std::slice::from_ref(&name), "{kind:?}");
        let second = name.replace("-spark-1", "-spark-2");
        processes[0].start(&submission(&second)).await.expect("another attempt is another application");
        assert_eq!(ended(&processes[0], &second).await, Phase::Succeeded);
        assert_eq!(place.known().await.len(), 2, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_ordered_by_a_process_that_died_is_started_by_the_next_that_looks() {
    let Some(stand) = Stand::new("empty", &[]) else { return };
    for kind in KINDS {
        let place = stand.place(kind).await;
        let name = application(1);
        place.only_ordered(&submission(&name)).await;
        let heir = place.launcher();
        assert!(heir.knows(&name).await.expect("the bucket answers"));
        assert_eq!(ended(&heir, &name).await, Phase::Succeeded);
        assert_eq!(place.known().await.len(), 1, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_application_is_cancelled() {
    let Some(stand) = Stand::new("hang", &[]) else { return };
    for (before, kind) in KINDS.into_iter().enumerate() {
        let place = stand.place(kind).await;
        let (launcher, name) = (place.launcher(), application(1));
        launcher.start(&submission(&name)).await.expect("it starts");
        place.until_started(before + 1).await;
        assert_eq!(launcher.status(&name).await.expect("it is known").phase, Phase::Running);
        launcher.cancel(&name).await.expect("it is cancelled");
        assert!(matches!(ended(&launcher, &name).await, Phase::Failed(_)), "{kind:?}");
        launcher.cancel(&name).await.expect("what has ended may be cancelled");
        launcher.forget(&name).await;
        assert!(!launcher.knows(&name).await.expect("the bucket answers"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_of_a_failure_comes_out_of_the_log_that_the_service_keeps() {
    for (mode, said) in [("fault", "row 3"), ("memory", "OutOfMemoryError")] {
        let Some(stand) = Stand::new(mode, &[]) else { return };
        for kind in KINDS {
            let place = stand.place(kind).await;
            let (launcher, name) = (place.launcher(), application(1));
            launcher.start(&submission(&name)).await.expect("it starts");
            let Phase::Failed(failure) = ended(&launcher, &name).await else { panic!("it fails") };
            assert!(failure.told.is_some(), "the service says something too: {kind:?}");
            let log = String::from_utf8(launcher.log(&name).await).expect("text");
            let fault = failure.fault.map(|fault| fault.error(None).detail).unwrap_or_default();
            assert!(log.contains(said) || fault.contains(said), "{kind:?}: {fault:?} {log:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_started_is_not_found_and_what_cannot_be_started_says_why() {
    let Some(stand) = Stand::new("empty", &[]) else { return };
    for kind in KINDS {
        let place = stand.place(kind).await;
        let error = place.launcher().status(&application(1)).await.expect_err("nothing is there");
        assert_eq!(error.kind, ErrorKind::NotFound);
        assert!(place.launcher().cancel(&application(1)).await.is_err());
    }
    for kind in [Kind::Serverless, Kind::Steps] {
        // Its bucket lasts as long as the place.
        let place = stand.nowhere(kind);
        let error = place.launcher().start(&submission(&application(1))).await.expect_err("there is none");
        assert_eq!(error.kind, ErrorKind::UnavailableEngine, "{}", error.detail);
        assert!(error.detail.contains("cannot be started") || error.detail.contains("cannot be listed"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_serverless_bills_is_told() {
    let Some(stand) = Stand::new("empty", &[]) else { return };
    let place = stand.place(Kind::Serverless).await;
    let (launcher, name) = (place.launcher(), application(1));
    launcher.start(&submission(&name)).await.expect("it starts");
    assert_eq!(ended(&launcher, &name).await, Phase::Succeeded);
    let bill = launcher.bill(&name).await.expect("a bill");
    // A minute of 4 cores and 16 GB at least.
    assert!((bill.vcpu_hours - 4.0 / 60.0).abs() < 1e-2 && bill.usd > 0.0, "{bill:?}");
}

/// Half of all calls are throttled, a tenth of the replies are lost after the call was done, all at once.
#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_applications_through_throttling_and_lost_replies_end_as_they_should() {
    let faults = ["--throttle", "0.5", "--drop", "0.1", "--seed", "7", "--slots", "8"];
    let Some(stand) = Stand::new("by-id", &faults) else { return };
    for kind in [Kind::Serverless, Kind::Steps] {
        let place = stand.place(kind).await;
        let names: Vec<String> = (0..100).map(|n| application(n % 5)).collect();
        let run = |name: String| {
            let launcher = place.launcher();
            async move {
                launcher.start(&submission(&name)).await.expect("it starts");
                (stand::fails(&name), matches!(ended(&launcher, &name).await, Phase::Failed(_)))
            }
        };
        let mut ends = Vec::new();
        for some in names.chunks(20) {
            ends.extend(futures::future::join_all(some.iter().cloned().map(run)).await);
        }
        let wrong = ends.iter().filter(|(expected, found)| expected != found).count();
        let mut known = place.known().await;
        known.sort();
        let mut expected = names;
        expected.sort();
        assert_eq!(known, expected, "{kind:?}: each once");
        println!("{kind:?}: {} applications, {wrong} wrong final states", ends.len());
        assert_eq!(wrong, 0);
    }
}
