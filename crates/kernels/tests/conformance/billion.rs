//! A billion rows, made up block by block: the promised accuracy does not wear off with length.

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use caudal_kernels::{BLOCK_ROWS, BlockScan, column_moments};

use crate::cases;
use crate::reference::exact::Exact;

/// One block that comes again and again.
struct Repeated {
    block: Vec<f64>,
    times: u64,
}

impl BlockScan for Repeated {
    type Error = Infallible;

    fn rows(&self) -> u64 {
        self.block.len() as u64 * self.times
    }

    fn scan<S: Send>(
        &self,
        begin: impl Fn() -> S + Sync,
        add: impl Fn(&mut S, u64, &[f64]) + Sync,
    ) -> Result<Vec<S>, Infallible> {
        let next = AtomicU64::new(0);
        let states = Mutex::new(Vec::new());
        let work = || {
            let mut state = begin();
            loop {
                let block = next.fetch_add(1, Ordering::Relaxed);
                if block >= self.times {
                    break;
                }
                add(&mut state, block, &self.block);
            }
            states.lock().expect("no worker panics").push(state);
        };
        rayon::scope(|scope| (0..rayon::current_num_threads()).for_each(|_| scope.spawn(|_| work())));
        Ok(states.into_inner().expect("no worker panics"))
    }
}

/// A population has the same moments however often it is repeated, so that one block gives the exact reference.
fn check(block: Vec<f64>) {
    let exact = Exact::of(&block);
    let column = Repeated { block, times: 1_000_000_000 / BLOCK_ROWS as u64 + 1 };
    let Ok(moments) = column_moments(&column);
    let found = moments.summary();
    assert!(found.count == column.rows() && found.count > 1_000_000_000, "{} values", found.count);
    let close = |name: &str, found: Option<f64>, exact: f64, tolerance: f64| {
        let error = (found.expect(name) - exact).abs();
        assert!(
            error <= tolerance,
            "{name}: {found:?} is {error:e} from {exact:e}, and {tolerance:e} is allowed"
        );
    };
    let (mean, n) = (exact.mean(), exact.count);
    close("mean", found.mean, mean, 1e-13 * mean.abs().max(exact.std_dev(n)));
    close("variance", found.variance, exact.variance(n), 1e-13 * exact.variance(n));
    close("std_dev", found.std_dev, exact.std_dev(n), 1e-13 * exact.std_dev(n));
    for (name, found, exact) in
        [("skewness", found.skewness, exact.skewness()), ("kurtosis", found.kurtosis, exact.kurtosis())]
    {
        let exact = exact.expect("the column is not constant");
        close(name, found, exact, 1e-12 * exact.abs().max(1.0));
    }
}

#[test]
fn a_billion_values_around_a_billion_with_a_spread_of_a_tenth() {
    check(cases::normal(5, BLOCK_ROWS).iter().map(|x| 1e9 + 0.1 * x).collect());
}

#[test]
fn a_billion_values_near_the_ends_of_f64() {
    for unit in [1e-160, 1e150] {
        check(cases::normal(6, BLOCK_ROWS).iter().map(|x| unit * (3.0 + x)).collect());
    }
}
