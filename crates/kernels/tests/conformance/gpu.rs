//! The card against the processor: every profile, fit and normalised value has the same bits, on a real card or through the
//! emulation of `cuda/emulation`, which `.ci/gpu` builds.

#![expect(clippy::print_stdout, reason = "a test that skips says so")]

use std::convert::Infallible;
use std::process::Command;
use std::sync::Arc;

use caudal_kernels::cuda::{DeviceError, Gpu, GpuError, GpuOptions, Resident, Unavailable, survey_columns};
use caudal_kernels::{
    BLOCK_ROWS, InMemory, Method, ProfileOptions, Survey, apply, fit, fit_column, moments, profile_column,
    profile_sorted,
};
use sha2::{Digest, Sha256};

use crate::{cases, two_passes};

const METHODS: [Method; 5] = [Method::Zscore, Method::Minmax, Method::Maxabs, Method::Robust, Method::None];

/// A card, unless there is no driver or card: then the test says that it skips.
fn card(options: GpuOptions) -> Option<Arc<Gpu>> {
    match Gpu::connect(options) {
        Ok(gpu) => Some(gpu),
        Err(none @ (Unavailable::NoDriver | Unavailable::NoDevice)) => {
            println!("skipped: {none}");
            None
        }
        Err(other) => panic!("{other}"),
    }
}

fn surveyed<'v>(gpu: &Arc<Gpu>, values: &'v [f64]) -> ([InMemory<'v>; 1], Survey, Resident) {
    let columns = [InMemory(values)];
    let (mut surveys, resident) = survey_columns(gpu, &columns).expect("the card works");
    (columns, surveys.remove(0), resident)
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// Everything of one column, on both.
fn check(gpu: &Arc<Gpu>, case: &str, values: &[f64]) {
    let (columns, survey, resident) = surveyed(gpu, values);
    assert_eq!(survey.moments, moments(values).summary(), "{case}: moments");
    let column = resident.column(0, &columns[0]);
    for distinct in [true, false] {
        for held_values in [u64::MAX, 5_000] {
            let options = ProfileOptions { distinct, held_values };
            let found = profile_column(&column, &survey.sample, options).expect("the card works");
            let expected = profile_sorted(values, distinct);
            assert!(found == expected, "{case}, {distinct}, {held_values}: {found:#?} {expected:#?}");
        }
    }
    for method in METHODS {
        let fitted = fit_column(method, &column, &survey).expect("the card works");
        assert_eq!(fitted, fit(method, values), "{case}, {method:?}");
        let mut expected = vec![0.0; values.len()];
        apply(&fitted.parameters, values, &mut expected);
        let mut brought = values.to_vec();
        gpu.normalize(&fitted.parameters, &mut brought).expect("the card works");
        assert_eq!(bits(&brought), bits(&expected), "{case}, {method:?}: brought");
        if resident.is_whole() {
            let middle = values.len() as u64 / 3..values.len() as u64;
            let mut there = vec![0.0; (middle.end - middle.start) as usize];
            resident.normalize(0, &fitted.parameters, middle.clone(), &mut there).expect("the card works");
            assert_eq!(bits(&there), bits(&expected[middle.start as usize..]), "{case}, {method:?}: there");
        }
    }
}

#[test]
fn hard_columns_have_the_same_bits_on_a_card() {
    let Some(gpu) = card(GpuOptions::default()) else { return };
    for (case, values) in cases::named().into_iter().chain(cases::nist()) {
        check(&gpu, case, &values);
    }
}

/// Rows far out in every size, many in each block: they are summed one by one, apart from the others.
fn far_rows() -> Vec<f64> {
    let mut values = cases::normal(37, 2 * BLOCK_ROWS);
    for (i, x) in values.iter_mut().enumerate().filter(|(i, _)| i % 613 == 5) {
        *x *= 10f64.powi((i % 37) as i32) * 1.000_000_1;
    }
    values
}

#[test]
fn many_rows_far_out_have_the_same_bits_on_a_card() {
    let Some(gpu) = card(GpuOptions::default()) else { return };
    check(&gpu, "far rows", &far_rows());
}

#[test]
fn columns_over_several_blocks_have_the_same_bits_on_a_card() {
    let Some(gpu) = card(GpuOptions::default()) else { return };
    for (case, values) in two_passes::large() {
        check(&gpu, case, &values);
    }
}

#[test]
fn a_column_that_is_not_kept_on_the_card_is_fed_to_it_for_each_pass() {
    let Some(gpu) = card(GpuOptions { batch_bytes: 1 << 19, resident_share: 0.0 }) else { return };
    let mut values = cases::normal(31, 7 * BLOCK_ROWS + 99);
    values[17] = f64::NAN;
    let (_, _, resident) = surveyed(&gpu, &values);
    assert!(!resident.is_whole());
    check(&gpu, "fed", &values);
}

#[test]
fn small_batches_on_the_card_give_the_same_bits() {
    let Some(gpu) = card(GpuOptions { batch_bytes: 1 << 19, resident_share: 0.5 }) else { return };
    let values = cases::normal(32, 7 * BLOCK_ROWS + 99);
    let (_, _, resident) = surveyed(&gpu, &values);
    assert!(resident.is_whole());
    check(&gpu, "small batches", &values);
}

#[test]
fn a_sample_that_lies_costs_passes_and_never_the_answer() {
    let Some(gpu) = card(GpuOptions::default()) else { return };
    let values = cases::normal(33, 2 * BLOCK_ROWS);
    let far: Vec<f64> = (0..20_000).map(|i| 1e12 + f64::from(i)).collect();
    let (columns, _, resident) = surveyed(&gpu, &values);
    for sample in [&far, &vec![], &values[..300].to_vec()] {
        let sample = caudal_kernels::Sample::of(sample);
        let column = resident.column(0, &columns[0]);
        let found = profile_column(&column, &sample, ProfileOptions::default()).expect("the card works");
        assert!(found == profile_sorted(&values, true));
    }
}

#[test]
fn many_columns_share_batches_and_empty_ones_cost_nothing() {
    let Some(gpu) = card(GpuOptions::default()) else { return };
    let columns: Vec<Vec<f64>> = (0..5_000).map(|i| cases::normal(i, i as usize % 7)).collect();
    let columns: Vec<InMemory<'_>> = columns.iter().map(|values| InMemory(values)).collect();
    let (surveys, resident) = survey_columns(&gpu, &columns).expect("the card works");
    assert_eq!(surveys.len(), columns.len());
    for (column, survey) in columns.iter().zip(&surveys) {
        assert_eq!(survey.moments, moments(column.0).summary());
    }
    let normalized = |i: usize| {
        let fitted = fit_column(Method::Zscore, &resident.column(i, &columns[i]), &surveys[i]).expect("fits");
        let mut out = vec![0.0; columns[i].0.len()];
        let rows = 0..out.len() as u64;
        resident.normalize(i, &fitted.parameters, rows, &mut out).expect("the card works");
        out
    };
    for i in [0, 1, 13, 4_999] {
        let mut expected = vec![0.0; columns[i].0.len()];
        apply(&fit(Method::Zscore, columns[i].0).parameters, columns[i].0, &mut expected);
        assert_eq!(bits(&normalized(i)), bits(&expected));
    }
}

#[test]
fn normalising_and_counting_in_one_pass_gives_what_both_give() {
    let Some(gpu) = card(GpuOptions { batch_bytes: 1 << 20, ..GpuOptions::default() }) else { return };
    let values = cases::normal(35, 5 * BLOCK_ROWS + 5);
    let (_, _, resident) = surveyed(&gpu, &values);
    let fitted = fit(Method::Zscore, &values);
    let thresholds = vec![0.0, -3.0, 3.0, 0.5];
    let (there, counts) =
        resident.normalize_counting(0, &fitted.parameters, thresholds.clone()).expect("the card works");
    for t in thresholds {
        assert_eq!(counts.below(t), Some(values.iter().filter(|x| **x < t).count() as u64));
    }
    assert!(there.bytes() >= 8 * values.len() as u64);
}

#[test]
fn narrow_columns_with_validity_are_widened_on_the_card() {
    let Some(gpu) = card(GpuOptions::default()) else { return };
    let narrow: Vec<f32> = cases::normal(36, BLOCK_ROWS + 77).into_iter().map(|x| x as f32).collect();
    let valid: Vec<u8> = (0..narrow.len() / 8 + 2).map(|i| (i * 37 % 251) as u8).collect();
    let offset = 3;
    let is_valid = |i: usize| valid[(offset + i) / 8] >> ((offset + i) % 8) & 1 == 1;
    let wide: Vec<f64> =
        narrow.iter().enumerate().map(|(i, x)| if is_valid(i) { f64::from(*x) } else { f64::NAN }).collect();
    let found = gpu.widen_f32(&narrow, Some((&valid, offset as u64))).expect("the card works");
    assert_eq!(bits(&found), bits(&wide));
    let all: Vec<f64> = narrow.iter().map(|x| f64::from(*x)).collect();
    assert_eq!(
        bits(&gpu.widen_f64(&all, Some((&valid, offset as u64))).expect("the card works")),
        bits(&wide)
    );
    assert_eq!(bits(&gpu.widen_f32(&narrow, None).expect("the card works")), bits(&all));
}

#[test]
fn the_embedded_image_belongs_to_the_sources() {
    let folder = std::path::Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests"))
        .join("cuda");
    let script = std::fs::read_to_string(folder.join("compile.py")).expect("the script is there");
    let compiler = script.lines().find_map(|line| line.strip_prefix("NVRTC = ")).expect("a pinned compiler");
    let mut sources: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "cu" || e == "cuh"))
        .collect();
    sources.sort();
    let mut digest = Sha256::new();
    digest.update(format!("{}\n", compiler.trim_matches('"')));
    // As compile.py has them: `.cu` before `.cuh`, each by name.
    let is_header = |path: &std::path::PathBuf| path.extension().is_some_and(|e| e == "cuh");
    sources.sort_by_key(|path| path.file_name().map(|name| (name.to_owned(), is_header(path))));
    for path in sources {
        let content = std::fs::read(&path).expect("a source");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        digest.update(format!("{name} {}\n", content.len()));
        digest.update(content);
    }
    let found: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        caudal_kernels::cuda::image_sources(),
        found,
        "run crates/kernels/cuda/compile.py and commit what it writes"
    );
}

/// Runs one of the ignored tests below in a process of its own, with settings of the emulation.
fn in_a_process(test: &str, settings: &[(&str, &str)]) {
    if card(GpuOptions::default()).is_none() || !emulated() {
        println!("skipped: faults need the emulation");
        return;
    }
    let output = Command::new(std::env::current_exe().expect("a test runs from a file"))
        .args([test, "--exact", "--ignored", "--nocapture"])
        .envs(settings.iter().copied())
        .output()
        .expect("the test starts again");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{settings:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn emulated() -> bool {
    Gpu::connect(GpuOptions::default()).is_ok_and(|gpu| gpu.info().name.starts_with("Emulated"))
}

#[test]
fn whatever_stands_in_the_way_of_a_card_is_told_by_its_kind() {
    for (setting, value, kind) in [
        ("EMULATED_GPU_DEVICES", "0", "no_device"),
        ("EMULATED_GPU_INIT", "100", "no_device"),
        ("EMULATED_GPU_INIT", "803", "failed"),
        ("EMULATED_GPU_VERSION", "11040", "driver_too_old"),
        ("EMULATED_GPU_CAPABILITY", "61", "device_too_old"),
        ("EMULATED_GPU_RETAIN", "46", "busy"),
        ("EMULATED_GPU_MEMORY", "4096", "busy"),
        ("EMULATED_GPU_BROKEN", "block_moments", "self_test_failed"),
        ("EMULATED_GPU_BROKEN", "hash_rows", "self_test_failed"),
        ("EMULATED_GPU_BROKEN", "normalize_rows", "self_test_failed"),
        ("EMULATED_GPU_FAULT", "cuLaunchKernel:2:719", "failed"),
    ] {
        in_a_process("gpu::opening_tells_the_kind", &[(setting, value), ("EXPECTED", kind)]);
    }
}

#[test]
#[ignore = "runs in a process of its own, with settings"]
fn opening_tells_the_kind() {
    #[expect(clippy::disallowed_methods, reason = "a test that was started by another one")]
    let expected = std::env::var("EXPECTED").ok();
    let found = Gpu::open().err().map(|none| none.name());
    assert_eq!(found, expected.as_deref());
}

#[test]
fn a_card_of_another_generation_runs_what_the_driver_compiles() {
    in_a_process("gpu::opening_succeeds", &[("EMULATED_GPU_CAPABILITY", "150")]);
    in_a_process("gpu::opening_succeeds", &[("EMULATED_GPU_CAPABILITY", "70")]);
}

#[test]
#[ignore = "runs in a process of its own, with settings"]
fn opening_succeeds() {
    let gpu = Gpu::open().expect("a card");
    assert!(Arc::ptr_eq(&gpu, &Gpu::open().expect("the same card")));
}

#[test]
fn a_fault_at_any_call_of_a_job_is_an_error_and_never_a_wrong_number() {
    for call in [
        "cuMemcpyHtoDAsync_v2",
        "cuMemcpyDtoHAsync_v2",
        "cuLaunchKernel",
        "cuStreamSynchronize",
        "cuMemAllocAsync",
        "cuEventSynchronize",
        "cuStreamWaitEvent",
        "cuMemHostAlloc",
    ] {
        for nth in [1, 3, 8] {
            for code in ["700", "2:once", "719:once"] {
                let fault = format!("{call}:{nth}:{code}");
                in_a_process("gpu::a_job_is_right_or_fails", &[("EMULATED_GPU_FAULT", &fault)]);
            }
        }
    }
}

#[test]
#[ignore = "runs in a process of its own, with settings"]
fn a_job_is_right_or_fails() {
    let Ok(gpu) = Gpu::connect(GpuOptions { batch_bytes: 1 << 19, resident_share: 0.5 }) else { return };
    let values = cases::normal(41, 4 * BLOCK_ROWS + 3);
    let columns = [InMemory(&values)];
    let job = || -> Result<_, DeviceError<Infallible>> {
        let (surveys, resident) = survey_columns(&gpu, &columns)?;
        let column = resident.column(0, &columns[0]);
        let profile = profile_column(&column, &surveys[0].sample, ProfileOptions::default())?;
        let mut normalized = values.clone();
        gpu.normalize(&fit(Method::Zscore, &values).parameters, &mut normalized)?;
        Ok((profile, normalized))
    };
    match job() {
        Ok((profile, normalized)) => {
            assert!(profile == profile_sorted(&values, true));
            let mut expected = vec![0.0; values.len()];
            apply(&fit(Method::Zscore, &values).parameters, &values, &mut expected);
            assert_eq!(bits(&normalized), bits(&expected));
        }
        Err(DeviceError::Gpu(GpuError::Lost(fault))) => {
            assert!([700, 719].contains(&fault.code), "{fault}");
            // It is not used again.
            assert!(matches!(job(), Err(DeviceError::Gpu(GpuError::Lost(again))) if again == fault));
        }
        Err(DeviceError::Gpu(GpuError::OutOfMemory)) => {}
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_column_larger_than_the_cards_memory_is_gone_over_in_smaller_batches() {
    // Three batches of one block each, and what the passes hold, fit; the column of seven blocks does not.
    in_a_process("gpu::a_large_column_is_right", &[("EMULATED_GPU_MEMORY", "3000000")]);
}

#[test]
#[ignore = "runs in a process of its own, with settings"]
fn a_large_column_is_right() {
    let gpu = Gpu::connect(GpuOptions::default()).expect("a card");
    let values = cases::normal(42, 7 * BLOCK_ROWS + 5);
    let (columns, survey, resident) = surveyed(&gpu, &values);
    assert!(!resident.is_whole());
    assert_eq!(survey.moments, moments(&values).summary());
    let fitted = fit_column(Method::Robust, &resident.column(0, &columns[0]), &survey).expect("fits");
    assert_eq!(fitted, fit(Method::Robust, &values));
}
