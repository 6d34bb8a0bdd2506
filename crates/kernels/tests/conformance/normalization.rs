//! Fitted parameters as defined, and what applying them does to every kind of value.

use caudal_kernels::{Method, Parameters, Warning, apply, fit, moments};

use crate::cases;
use crate::reference::order;

const METHODS: [Method; 5] = [Method::Zscore, Method::Minmax, Method::Maxabs, Method::Robust, Method::None];

fn applied(parameters: &Parameters, values: &[f64]) -> Vec<f64> {
    let mut output = vec![f64::NAN; values.len()];
    apply(parameters, values, &mut output);
    output
}

fn parameters(method: Method, values: &[f64]) -> Parameters {
    fit(method, values).parameters
}

/// Checks what holds for every method and column: specials kept, the finite finite and monotone, bounds, inverse.
pub fn check(case: &str, values: &[f64]) {
    for method in METHODS {
        let fitted = fit(method, values);
        let written = applied(&fitted.parameters, values);
        for (&x, &y) in values.iter().zip(&written) {
            if x.is_finite() {
                assert!(y.is_finite(), "{case}, {method:?}: {x:e} became {y:e}");
                let bound = match method {
                    Method::Minmax if fitted.warnings.is_empty() => (0.0, 1.0),
                    Method::Maxabs => (-1.0, 1.0),
                    _ => (f64::MIN, f64::MAX),
                };
                assert!(bound.0 <= y && y <= bound.1, "{case}, {method:?}: {x:e} became {y:e}");
                check_inverse(case, method, &fitted.parameters, x, y);
            } else {
                assert_eq!(x.to_bits(), y.to_bits(), "{case}, {method:?}");
            }
        }
    }
}

fn check_inverse(case: &str, method: Method, fitted: &Parameters, x: f64, y: f64) {
    if y.abs() == f64::MAX {
        return;
    }
    // On quarters where the way back could be beyond f64, but not where that would cost denormals their bits.
    let largest = x.abs().max(fitted.center.abs()).max(fitted.scale.unwrap_or(f64::MAX));
    let part = if largest > 1e300 { 0.25 } else { 1.0 };
    let scale = match (fitted.scale, fitted.half_scale) {
        (Some(scale), None) => scale * part,
        (None, Some(half)) => half * (2.0 * part),
        other => panic!("{case}, {method:?}: scales {other:?}"),
    };
    let (center, x_part) = (fitted.center * part, x * part);
    let error = (y * scale + center - x_part).abs();
    let relative = 4.0 * f64::EPSILON * (y.abs() * scale).max(center.abs()).max(x_part.abs());
    let denormal = f64::from_bits(1) * scale.max(2.0);
    assert!(error <= relative + denormal, "{case}, {method:?}: {x:e} to {y:e} and back is off by {error:e}");
}

#[test]
fn named_columns_keep_every_promise_of_normalisation() {
    for (case, values) in cases::nist().into_iter().chain(cases::named()) {
        check(case, &values);
    }
}

#[test]
fn parameters_are_the_columns_own_statistics() {
    let values = [&cases::normal(31, 70_000)[..], &[f64::NAN, f64::INFINITY]].concat();
    let summary = moments(&values).summary();
    let x = order::ascending(&values);
    let percentile = |p| order::percentile(&x, p).unwrap();
    let max_abs = x.iter().fold(0.0f64, |most, v| most.max(v.abs()));
    let expected = [
        (summary.mean.unwrap(), summary.std_dev.unwrap()),
        (x[0], x[x.len() - 1] - x[0]),
        (0.0, max_abs),
        (percentile(50), percentile(75) - percentile(25)),
        (0.0, 1.0),
    ];
    for (method, (center, scale)) in METHODS.into_iter().zip(expected) {
        let found = fit(method, &values);
        assert_eq!(
            found.parameters,
            Parameters { center, scale: Some(scale), half_scale: None },
            "{method:?}"
        );
        assert_eq!((found.warnings, found.summary), (vec![], summary.clone()), "{method:?}");
    }
}

#[test]
fn rows_are_the_difference_divided_by_the_scale() {
    let values = cases::normal(32, 70_000);
    let Parameters { center, scale, .. } = parameters(Method::Zscore, &values);
    let written = applied(&parameters(Method::Zscore, &values), &values);
    assert!(values.iter().zip(&written).all(|(x, y)| *y == (x - center) / scale.unwrap()));
    let again = moments(&written).summary();
    assert!(again.mean.unwrap().abs() < 1e-12 && (again.std_dev.unwrap() - 1.0).abs() < 1e-12);
}

#[test]
fn a_constant_column_is_centred_with_a_scale_of_one_and_a_warning() {
    for method in [Method::Zscore, Method::Minmax, Method::Robust] {
        let found = fit(method, &[0.1, f64::NAN, 0.1, 0.1]);
        assert_eq!(found.parameters, Parameters { center: 0.1, scale: Some(1.0), half_scale: None });
        assert_eq!(found.warnings, [Warning::ConstantColumn]);
        assert_eq!(applied(&found.parameters, &[0.1]), [0.0]);
    }
}

#[test]
fn maxabs_warns_of_zeros_and_not_of_another_constant() {
    assert_eq!(fit(Method::Maxabs, &[0.0, -0.0]).warnings, [Warning::ConstantColumn]);
    assert_eq!(fit(Method::Maxabs, &[0.0, -0.0]).parameters.scale, Some(1.0));
    let found = fit(Method::Maxabs, &[-4.0, -4.0]);
    assert_eq!((found.parameters.scale, found.warnings), (Some(4.0), vec![]));
}

#[test]
fn robust_warns_of_an_iqr_of_zero() {
    let found = fit(Method::Robust, &[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 9.0]);
    assert_eq!(found.warnings, [Warning::ZeroIqr]);
    assert_eq!(found.parameters, Parameters { center: 0.0, scale: Some(1.0), half_scale: None });
    assert_eq!([Warning::ZeroIqr.name(), Warning::ConstantColumn.name()], ["zero_iqr", "constant_column"]);
}

#[test]
fn a_column_without_values_is_left_as_it_is() {
    for method in METHODS {
        for values in [&[][..], &[f64::NAN, f64::INFINITY]] {
            let found = fit(method, values);
            assert_eq!((found.parameters, found.warnings), (Parameters::IDENTITY, vec![]), "{method:?}");
        }
    }
}

#[test]
fn none_passes_every_bit() {
    let values =
        [-0.0, 0.0, f64::from_bits(1), -f64::MAX, f64::NAN, f64::from_bits(0xfff8_0000_0000_1234), 1.5];
    let written = applied(&parameters(Method::None, &values), &values);
    assert!(values.iter().zip(&written).all(|(x, y)| x.to_bits() == y.to_bits()));
}

#[test]
fn a_range_beyond_f64_is_held_as_its_half() {
    let values = [-1.7e308, 0.0, 1.7e308];
    let minmax = parameters(Method::Minmax, &values);
    assert_eq!(minmax, Parameters { center: -1.7e308, scale: None, half_scale: Some(1.7e308) });
    assert_eq!(applied(&minmax, &values), [0.0, 0.5, 1.0]);
    let robust = parameters(Method::Robust, &[-1.7e308, -1.7e308, 0.0, 1.7e308, 1.7e308]);
    assert_eq!((robust.scale, robust.half_scale), (None, Some(1.7e308)));
}

#[test]
fn division_comes_first_where_the_difference_is_beyond_f64() {
    let parameters = Parameters { center: -1.5e308, scale: Some(1e308), half_scale: None };
    assert_eq!(applied(&parameters, &[1.5e308, 0.0, f64::NAN])[..2], [3.0, 1.5]);
}

#[test]
fn a_result_beyond_f64_becomes_the_largest_number_of_its_sign() {
    let parameters = Parameters { center: 0.0, scale: Some(1e-300), half_scale: None };
    assert_eq!(applied(&parameters, &[1e100, -1e100, 1e-300]), [f64::MAX, -f64::MAX, 1.0]);
    let parameters = Parameters { center: -1.7e308, ..parameters };
    assert_eq!(applied(&parameters, &[1.7e308]), [f64::MAX]);
}
