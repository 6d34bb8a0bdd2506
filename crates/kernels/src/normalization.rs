//! What each normalisation subtracts and divides by, and how one value is transformed.

use crate::quantile::Quartiles;
use crate::summary::MomentSummary;

/// How a column is normalised (x the value, over the finite values of the column).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// (x − mean) / std_dev, population.
    Zscore,
    /// (x − min) / range.
    Minmax,
    /// x / max(|x|).
    Maxabs,
    /// (x − median) / iqr.
    Robust,
    /// x, bit by bit.
    None,
}

/// A fitted transformation: (x − center) / scale.
///
/// Exactly one of the two scales is given. `half_scale` is half of a scale that is itself beyond f64, and the
/// transformation is then (x/2 − center/2) / half_scale. `center` is finite; a scale is finite and above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    pub center: f64,
    pub scale: Option<f64>,
    pub half_scale: Option<f64>,
}

/// Why a scale of 0 was replaced by 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Warning {
    /// All values are equal, or so close that their scale is 0 in f64.
    ConstantColumn,
    /// Robust: the column is not constant but its middle half is.
    ZeroIqr,
}

impl Warning {
    /// The warning's name in results.
    pub fn name(self) -> &'static str {
        match self {
            Warning::ConstantColumn => "constant_column",
            Warning::ZeroIqr => "zero_iqr",
        }
    }
}

impl Parameters {
    /// Leaves every value as it is.
    pub const IDENTITY: Parameters = Parameters { center: 0.0, scale: Some(1.0), half_scale: None };

    /// Center and scale, or half of the scale where it is beyond f64, before a scale of 0 is replaced.
    fn new(center: f64, scale: Option<f64>, half_scale: f64) -> Parameters {
        Parameters { center, scale, half_scale: scale.is_none().then_some(half_scale) }
    }

    /// The parameters of a column and the reason where its scale of 0 was replaced by 1.
    ///
    /// `median` and `quartiles` are read by the robust method only.
    pub fn fitted(
        method: Method,
        summary: &MomentSummary,
        median: Option<f64>,
        quartiles: &Quartiles,
    ) -> (Parameters, Option<Warning>) {
        let fitted = match method {
            Method::Zscore => summary.mean.map(|mean| Parameters::new(mean, summary.std_dev, 1.0)),
            Method::Minmax => summary
                .min
                .zip(summary.max)
                .map(|(min, max)| Parameters::new(min, summary.range, max / 2.0 - min / 2.0)),
            Method::Maxabs => summary.max_abs().map(|scale| Parameters::new(0.0, Some(scale), 1.0)),
            Method::Robust => median
                .zip(quartiles.q1.zip(quartiles.q3))
                .map(|(median, (q1, q3))| Parameters::new(median, quartiles.iqr, q3 / 2.0 - q1 / 2.0)),
            Method::None => None,
        };
        match fitted {
            None => (Parameters::IDENTITY, None),
            Some(parameters) if parameters.scale != Some(0.0) => (parameters, None),
            Some(parameters) => {
                let robust = method == Method::Robust && !summary.is_constant();
                let warning = if robust { Warning::ZeroIqr } else { Warning::ConstantColumn };
                (Parameters { scale: Some(1.0), ..parameters }, Some(warning))
            }
        }
    }

    /// The transformation in the form that is applied to rows.
    pub(crate) fn steps(&self) -> Steps {
        match (self.scale, self.half_scale) {
            (None, Some(half)) => Steps { shrink: 0.5, center: self.center / 2.0, divisor: half },
            (scale, _) => Steps { shrink: 1.0, center: self.center, divisor: scale.unwrap_or(1.0) },
        }
    }
}

/// (x·shrink − center) / divisor.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Steps {
    pub shrink: f64,
    pub center: f64,
    pub divisor: f64,
}

impl Steps {
    /// The transformation without regard to overflow: right wherever it is finite.
    #[inline(always)]
    pub fn quick(&self, x: f64) -> f64 {
        (x * self.shrink - self.center) / self.divisor
    }

    /// The transformation for every x: what is not finite stays as it is, and a result beyond f64, which only a
    /// scale far below the values can give, becomes ±f64::MAX.
    #[inline(always)]
    pub fn careful(&self, x: f64) -> f64 {
        if !x.is_finite() {
            return x;
        }
        let x = x * self.shrink;
        let difference = x - self.center;
        let quotient = if difference.is_finite() {
            difference / self.divisor
        } else {
            // The signs differ, so that two infinite quotients cannot cancel to NaN.
            x / self.divisor - self.center / self.divisor
        };
        quotient.clamp(-f64::MAX, f64::MAX)
    }
}
