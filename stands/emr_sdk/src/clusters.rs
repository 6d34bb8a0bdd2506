//! EMR on EC2, which has no client tokens: a step whose reply was lost is looked for by its name.

use aws_sdk_emr::Client;
use aws_sdk_emr::types::{
    ActionOnFailure, HadoopJarStepConfig, JobFlowInstancesConfig, StepConfig, StepState, StepSummary,
};

use crate::{Failure, LOOKS, Missed, PAUSE, SUBMISSIONS, again, client, expect, fails, missed, script};

pub async fn check(url: &str) -> Result<(), Failure> {
    let emr = client!(aws_sdk_emr, url);
    let instances = JobFlowInstancesConfig::builder().keep_job_flow_alive_when_no_steps(true).build();
    let made = again!(
        emr.run_job_flow()
            .name("c")
            .release_label("emr-6.15.0")
            .step_concurrency_level(4)
            .instances(instances.clone())
    );
    let cluster = made.job_flow_id().ok_or("a cluster without an identity")?.to_owned();
    for number in 0..SUBMISSIONS {
        add(&emr, &cluster, number).await?;
    }
    let mut steps = Vec::new();
    for _ in 0..LOOKS {
        steps = all(&emr, &cluster).await?;
        if steps.iter().all(|step| state(step).is_some_and(has_ended)) {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    let mut found: Vec<_> = steps.iter().map(|step| (step.name().unwrap_or_default(), state(step))).collect();
    found.sort_by_key(|(name, _)| *name);
    let names: Vec<_> = (0..SUBMISSIONS).map(name).collect();
    let expected = names.iter().enumerate().map(|(number, name)| {
        let end = if fails(number) { StepState::Failed } else { StepState::Completed };
        (name.as_str(), Some(end))
    });
    let expected: Vec<_> = expected.collect();
    let found: Vec<_> = found.into_iter().map(|(name, state)| (name, state.cloned())).collect();
    expect(found, expected, "the steps")
}

fn name(number: usize) -> String {
    format!("caudal-{number:03}")
}

fn state(step: &StepSummary) -> Option<&StepState> {
    step.status()?.state()
}

fn has_ended(state: &StepState) -> bool {
    matches!(state, StepState::Completed | StepState::Failed | StepState::Cancelled)
}

async fn add(emr: &Client, cluster: &str, number: usize) -> Result<(), Failure> {
    let arguments = ["spark-submit", "-c", script(number)].map(str::to_owned).to_vec();
    let jar = HadoopJarStepConfig::builder().jar("command-runner.jar").set_args(Some(arguments)).build();
    let step = StepConfig::builder()
        .name(name(number))
        .action_on_failure(ActionOnFailure::Continue)
        .hadoop_jar_step(jar)
        .build();
    loop {
        let added = emr.add_job_flow_steps().job_flow_id(cluster).steps(step.clone()).send().await;
        match added.map_err(missed) {
            Ok(_) => return Ok(()),
            Err(Missed::Refused(error)) => return Err(error),
            Err(Missed::Throttled) => {}
            Err(Missed::Lost) => {
                if all(emr, cluster).await?.iter().any(|step| step.name() == Some(&name(number))) {
                    return Ok(());
                }
            }
        }
    }
}

async fn all(emr: &Client, cluster: &str) -> Result<Vec<StepSummary>, Failure> {
    let (mut found, mut marker) = (Vec::new(), None::<String>);
    loop {
        let page = again!(emr.list_steps().cluster_id(cluster).set_marker(marker.clone()));
        found.extend_from_slice(page.steps());
        match page.marker() {
            Some(next) => marker = Some(next.to_owned()),
            None => return Ok(found),
        }
    }
}
